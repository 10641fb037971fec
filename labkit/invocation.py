"""Commands in the form in which they work here: labkit may be on the PATH, or be called by `uv run` or by its path."""

import functools
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from labkit import language

_ROOT = Path(__file__).parent.parent


def here(text: str, folder: Path | None = None) -> str:
    """An advice in the reader's language, with labkit as it has to be called in `folder`, else in the current one."""
    text = language.translated(text)
    called = labkit(folder)
    if called == "labkit":
        return text
    names = "|".join(map(re.escape, _commands()))
    return re.sub(rf"(?<![\w/.-])labkit (?=(?:{names})\b|--)", lambda _: f"{called} ", text)


def labkit(folder: Path | None = None) -> str:
    """How labkit is called in a folder: `labkit`, `uv run labkit`, or by its path."""
    if _called_by_uv():
        return _by_uv(folder or Path.cwd())
    program = Path(sys.argv[0])
    if program.name == "__main__.py" and program.parent == Path(__file__).parent:
        return "labkit" if shutil.which("labkit") else f"{quoted(sys.executable)} -m labkit"
    if program.stem.lower() != "labkit" or not program.is_absolute():
        return "labkit"
    found = shutil.which("labkit")
    if found and Path(found).resolve() == program.resolve():
        return "labkit"
    return quoted(str(program))


def cd(folder: Path) -> str:
    """The command that goes into a folder, named from the current one."""
    from labkit import tree

    return f"cd {tree.argument(folder)}"


def quoted(word: str) -> str:
    """A word of a command line, quoted where the shell would take it for more than one."""
    if sys.platform == "win32":
        return f'"{word}"' if re.search(r"[^\w@%+=:,./\\~-]", word) else word
    return shlex.quote(word)


@functools.cache
def _called_by_uv() -> bool:
    """Whether `uv run` has started this very process, and not one that it was started from."""
    if not os.environ.get("UV_RUN_RECURSION_DEPTH"):
        return False
    import psutil

    try:
        parent = psutil.Process().parent()
        while parent is not None and parent.name().lower() == "labkit.exe":  # Windows starts scripts by a small program
            parent = parent.parent()
        return parent is not None and parent.name().lower() in ("uv", "uv.exe")
    except psutil.Error:
        return False


def _by_uv(folder: Path) -> str:
    """`uv run labkit` in labkit's own project; elsewhere uv has to be told which project is meant."""
    project = next((each for each in (folder, *folder.parents) if (each / "pyproject.toml").is_file()), None)
    if project is not None and project.resolve() == _ROOT:
        return "uv run labkit"
    if not (_ROOT / "pyproject.toml").is_file():  # not a checkout: who called uv knows how
        return "uv run labkit"
    return f"uv run --project {quoted(str(_ROOT))} labkit"


@functools.cache
def _commands() -> tuple[str, ...]:
    import typer.main

    from labkit.cli import app

    return tuple(typer.main.get_command(app).commands)  # type: ignore[attr-defined]  # it is a group
