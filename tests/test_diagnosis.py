"""Why an app does not start, from its log."""

from pathlib import Path

import pytest

from labkit import diagnosis
from labkit.errors import MachineError


@pytest.mark.parametrize(
    "last",
    [
        "sqlite3.OperationalError: database or disk is full",
        "sqlite3.OperationalError: attempt to write a readonly database",
        "OSError: [Errno 28] No space left on device: 'shop.db'",
    ],
)
def test_an_app_that_cannot_write_is_the_machines_fault(tmp_path: Path, last: str) -> None:
    lines = ["Traceback (most recent call last):", '  File "shop.py", line 1, in <module>', last]
    error = diagnosis.ended("The app", 1, lines, tmp_path, tmp_path / "logs" / "instance-1.log")
    assert isinstance(error, MachineError)
    assert error.message == f"The app cannot write its data: {last.replace('sqlite3.', '')}."


def test_a_call_without_await_is_found_at_its_line(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("async def bake(): ...\n\n\nbake()\n", encoding="utf-8")
    warning = "RuntimeWarning: coroutine 'bake' was never awaited"
    lines = [f"{tmp_path / 'shop.py'}:4: {warning}", "  bake()", "RuntimeWarning: Enable tracemalloc to get more"]
    place = diagnosis.Place("shop.py", 4, "bake()")
    text = "coroutine 'bake' was never awaited"
    assert diagnosis.never_awaited(lines, tmp_path) == diagnosis.Raised("RuntimeWarning", text, place)
    for nowhere in ("sys:1", f"{tmp_path / 'shop.py'}:-1"):
        found = diagnosis.never_awaited([f"{nowhere}: {warning}"], tmp_path)
        assert found == diagnosis.Raised("RuntimeWarning", text, None)
    assert diagnosis.never_awaited(["opening on 8000"], tmp_path) is None


def test_a_frame_of_python_itself_is_no_line_of_the_app(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("bake()\n", encoding="utf-8")
    lines = ['  File "shop.py", line 1, in <module>', '  File "<frozen _collections_abc>", line 774, in get']
    found = diagnosis.last_exception([*lines, "KeyError: 'bread'"], tmp_path)
    assert found == diagnosis.Raised("KeyError", "'bread'", diagnosis.Place("shop.py", 1, "bake()"))


def test_an_exception_that_names_a_function_is_at_that_function(tmp_path: Path) -> None:
    (tmp_path / "wrap.py").write_text("call()\n", encoding="utf-8")
    (tmp_path / "shop.py").write_text("\ndef bake() -> bool:\n", encoding="utf-8")
    lines = [
        "ERROR:    Exception in ASGI application",
        "Traceback (most recent call last):",
        '  File "wrap.py", line 1, in call',
        "fastapi.exceptions.ResponseValidationError: 1 validation error:",
        "  {'type': 'bool_type', 'input': None}",
        "",
        '  File "shop.py", line 2, in bake',
        "    POST /cakes",
        "INFO:     the next request",
    ]
    place = diagnosis.Place("shop.py", 2, "def bake() -> bool:")
    raised = diagnosis.Raised("ResponseValidationError", "1 validation error:", place)
    assert diagnosis.unhandled(lines, tmp_path) == [raised]
    named_elsewhere = [line.replace("shop.py", "/usr/lib/bakery.py") for line in lines]
    assert diagnosis.unhandled(named_elsewhere, tmp_path)[0].place == diagnosis.Place("wrap.py", 1, "call()")
