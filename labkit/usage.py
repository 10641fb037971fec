"""Whether the app of a workspace runs at this moment: each process that runs it leaves a note for as long as it does.

The note is `.labkit/running/PID`, with when that process began: one that was left behind counts no more.
"""

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labkit.errors import UsageError


@contextmanager
def noted(folder: Path) -> Iterator[None]:
    """Note that this process runs the app of the workspace in `folder`; a folder that takes no file gets no note."""
    path = folder / ".labkit" / "running" / str(os.getpid())
    with contextlib.suppress(OSError):
        path.parent.mkdir(exist_ok=True)
        path.write_text(repr(_began(os.getpid())), encoding="ascii")
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink()


def users(folder: Path) -> list[int]:
    """The processes that run the app of the workspace in `folder`, by their ids; notes without one are swept away."""
    found = []
    with contextlib.suppress(OSError):
        for path in sorted((folder / ".labkit" / "running").iterdir()):
            if path.name.isdecimal() and _read(path) == repr(_began(int(path.name))):
                found.append(int(path.name))
            else:
                with contextlib.suppress(OSError):
                    path.unlink()
    return found


def refuse_if_used(folder: Path) -> None:
    """Raise UsageError if the app of this workspace runs: its data cannot be moved under it."""
    if pids := users(folder):
        raise UsageError(
            f"The app of this workspace runs (process {', '.join(map(str, pids))}), and writes to its data.",
            "Stop it first, with Ctrl-C or q in its terminal, or in the guide, then repeat the command.",
        )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""


def _began(pid: int) -> float | None:
    import psutil

    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None
