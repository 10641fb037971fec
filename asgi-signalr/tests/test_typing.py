"""What users write type-checks as strictly as mypy and pyright can; see typing/user_code.py."""

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import asgi_signalr
import asgi_signalr.testing
import pytest

FOLDER = Path(__file__).parent / "typing"
USER_CODE = FOLDER / "user_code.py"


def run(*command: str | Path) -> str:
    """Run a checker with this Python; returns what it says."""
    done = subprocess.run(
        [sys.executable, "-m", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    )
    return f"{done.returncode}: {done.stdout}"


def test_the_sample_uses_every_public_name() -> None:
    used = {
        alias.name
        for node in ast.walk(ast.parse(USER_CODE.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    public = {*asgi_signalr.__all__, *asgi_signalr.testing.__all__}
    assert public - used == {"ASGIApp"}


@pytest.mark.slow
def test_mypy_is_content(tmp_path: Path) -> None:
    said = run("mypy", "--config-file=", "--strict", "--cache-dir", tmp_path, USER_CODE)
    assert said == "0: Success: no issues found in 1 source file\n"


@pytest.mark.slow
def test_pyright_is_content() -> None:
    if importlib.util.find_spec("basedpyright") is None:
        pytest.skip("pyright is not installed")
    said = run("basedpyright", "--project", FOLDER, "--pythonpath", sys.executable)
    assert said == "0: 0 errors, 0 warnings, 0 notes\n"
