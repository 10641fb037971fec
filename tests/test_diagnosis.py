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
