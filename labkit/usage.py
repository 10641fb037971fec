"""Whether the app of a workspace runs at this moment: each process that runs it leaves a note for as long as it does.

The note is `.labkit/running/PID`, with when that process began (one that was left behind counts no more), when its
instances were started last, and the ports at which they answer.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from labkit import documents
from labkit.errors import MachineError, UsageError
from labkit.files import write_whole
from labkit.processes import began


@dataclass(frozen=True)
class User:
    """A process that runs the app of a workspace: its id, when it started the instances, in seconds since the epoch,
    and the ports at which they answer, none as long as they do not.
    """

    pid: int
    since: float
    ports: tuple[int, ...]


@contextmanager
def noted(folder: Path) -> Iterator[Callable[[Sequence[int]], None]]:
    """Note that this process runs the app of the workspace in `folder`; a folder that takes no file gets no note.

    The function notes the ports of instances that answer from now on; none when they are stopped, or started anew.
    """
    path = folder / ".labkit" / "running" / str(os.getpid())
    own = began(os.getpid())
    since = time.time()

    def note(ports: Sequence[int]) -> None:
        nonlocal since
        if not ports:
            since = time.time()
        text = json.dumps({"began": own, "since": since, "ports": list(ports)})
        with contextlib.suppress(OSError, MachineError):
            write_whole(path, text.encode())

    note(())
    try:
        yield note
    finally:
        with contextlib.suppress(OSError):
            path.unlink()


def users(folder: Path) -> list[User]:
    """The processes that run the app of the workspace in `folder`; notes without one are swept away."""
    found = []
    with contextlib.suppress(OSError):
        for path in sorted((folder / ".labkit" / "running").iterdir()):
            if not path.name.isdecimal():  # one that is just being written
                continue
            if user := _read(path):
                found.append(user)
            else:
                with contextlib.suppress(OSError):
                    path.unlink()
    return found


def refuse_if_used(folder: Path) -> None:
    """Raise UsageError if the app of this workspace runs: its data cannot be moved under it."""
    if pids := [each.pid for each in users(folder)]:
        raise UsageError(
            f"The app of this workspace runs (process {', '.join(map(str, pids))}), and writes to its data.",
            "Stop it first, with Ctrl-C or q in its terminal, or in the guide, then repeat the command.",
        )


def _read(path: Path) -> User | None:
    """What a note says; None if its process has ended, or if it is no such note."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        pid, document = int(path.name), documents.read_json(path)
        ports = tuple(port for port in document["ports"] if isinstance(port, int) and 0 < port < 65536)
        if document["began"] is not None and document["began"] == began(pid):
            return User(pid, float(document["since"]), ports)
    return None
