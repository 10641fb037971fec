"""Why an app does not start, from its log."""

import os
import sys
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


@pytest.mark.parametrize(
    ("file", "last"),
    [
        ("random", "ImportError: cannot import name 'Random' from 'random' ({folder}/random.py)"),
        ("uvicorn", "AttributeError: module 'uvicorn' has no attribute 'run'"),
        ("json", "ModuleNotFoundError: No module named 'json.decoder'; 'json' is not a package"),
    ],
)
def test_a_file_that_takes_the_place_of_another_module_is_to_be_renamed(tmp_path: Path, file: str, last: str) -> None:
    lines = ["Traceback (most recent call last):", '  File "shop.py", line 1, in <module>']
    last = last.format(folder=tmp_path)
    before = diagnosis.ended("The app", 1, [*lines, last], tmp_path, tmp_path / "log")
    assert before.next and "Rename" not in before.next
    (tmp_path / f"{file}.py").write_text("x = 1\n", encoding="utf-8")
    error = diagnosis.ended("The app", 1, [*lines, last], tmp_path, tmp_path / "log")
    assert error.next == f"Rename {file}.py, and repeat the command."
    assert error.message.startswith(
        f"The app does not start: {file}.py has the name of another module, whose place it takes: {last[:20]}"
    )


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


def ended(folder: Path, said: str) -> diagnosis.AppDidNotStart:
    error = diagnosis.ended("The app", 1, said.strip().splitlines(), folder, folder / "logs" / "instance-1.log")
    assert isinstance(error, diagnosis.AppDidNotStart)
    return error


def test_what_ended_a_program_of_node_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "kettle.js").write_text("function boil() {\n  throw new TypeError('it is empty');\n}\nboil();\n")
    error = ended(
        tmp_path,
        f"""
{tmp_path}/kettle.js:2
  throw new TypeError('it is empty');
  ^

TypeError: it is empty
    at boil ({tmp_path}/kettle.js:2:9)
    at Object.<anonymous> ({tmp_path}/kettle.js:4:1)
    at node:internal/main/run_main_module:28:49

Node.js v24.19.0
""",
    )
    assert error.message == (
        "The app does not start: an exception in kettle.js, line 2: TypeError: it is empty.\n"
        "    2 |   throw new TypeError('it is empty');"
    )
    assert (error.where, error.next) == ("kettle.js:2", "Mend kettle.js:2, save the file and repeat the command.")


@pytest.mark.parametrize("kind", ["require", "import"])
def test_a_package_of_node_that_is_not_there_is_told_with_the_line_that_wants_it(tmp_path: Path, kind: str) -> None:
    (tmp_path / "app.mjs").write_text("// tea\nimport hello from 'hello';\n")
    at = f"{tmp_path}/app.mjs"
    said = {
        "require": f"""
node:internal/modules/cjs/loader:1210
  throw err;
  ^

Error: Cannot find module 'hello'
Require stack:
- {at}
    at require (node:internal/modules/helpers:182:18)
    at Object.<anonymous> ({at}:2:11) {{
  code: 'MODULE_NOT_FOUND'
}}

Node.js v24.19.0
""",
        "import": f"""
node:internal/modules/esm/resolve:873

Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'hello' imported from {at}
    at packageResolve (node:internal/modules/esm/resolve:873:9) {{
  code: 'ERR_MODULE_NOT_FOUND'
}}

Node.js v24.19.0
""",
    }
    error = ended(tmp_path, said[kind])
    what = "module 'hello'" if kind == "require" else f"package 'hello' imported from {at}"
    assert error.message == (
        f"The app does not start: an import fails in app.mjs, line 2: Cannot find {what}.\n"
        "    2 | import hello from 'hello';"
    )
    assert (error.reason, error.where) == ("import error", "app.mjs:2")


@pytest.mark.parametrize(
    "said",
    [
        "/usr/bin/python: can't open file '{}/ap.py': [Errno 2] No such file or directory",
        "Error: Cannot find module '{}/ap.py'\n    at Module._load (node:internal/modules/cjs/loader:1038:27)",
    ],
    ids=["python", "node"],
)
def test_a_command_that_names_a_file_in_vain_is_told(tmp_path: Path, said: str) -> None:
    error = ended(tmp_path, said.format(tmp_path))
    assert error.message == "The app does not start: its command names ap.py, which is not there."
    assert (error.reason, error.file, error.next) == (
        "missing file",
        "ap.py",
        "Bring ap.py back: labkit reset ap.py. If it never was there, "
        "the lab's author corrects `command` in exercise.toml.",
    )


@pytest.mark.skipif(sys.platform == "win32", reason="makes a pipe")
def test_a_log_makes_labkit_open_nothing_that_is_not_the_apps(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mjs")
    for path in (tmp_path / "pipe.mjs", Path("/etc/passwd"), tmp_path / ".." / "elsewhere.mjs"):
        error = ended(tmp_path, f"Error: Cannot find package 'x' imported from {path}\n\nNode.js v24.19.0")
        assert error.where is None
