"""What one submission may use, and the guard that ends its app where it uses more."""

import contextlib
import glob
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import psutil  # type: ignore[import-untyped,unused-ignore]

PAUSE = 0.5
"""How many seconds lie between two looks at what an app uses."""

_OWN = ("labkit.verify.worker", "labkit.services.postgres.keeper")
"""What verify starts beside the app."""


@dataclass(frozen=True)
class Limits:
    """What one submission may use: seconds in all, and of its app bytes of memory, processes, and bytes on the disk."""

    seconds: float = 300.0
    memory: int = 2_000_000_000
    processes: int = 200
    disk: int = 500_000_000


class Guard:
    """Looks at what the app in this process's run uses, and ends it where that is too much; `deeds` says what it did.

    Args:
        limits: What it may use.
        copies: The folder in one of whose folders the copy of the app is.
        name: The copy's path in there.

    """

    def __init__(self, limits: Limits, copies: Path, name: str) -> None:
        self.deeds: list[str] = []
        self._limits = limits
        self._copies = copies
        self._name = name
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        """Look until the end of the `with` statement."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()

    def note(self, deed: str) -> None:
        """Take down what the app did and must not, once. From any thread."""
        if deed not in self.deeds:
            self.deeds.append(deed)

    def _watch(self) -> None:
        while not self._ended.wait(PAUSE):
            programs = _programs()
            if programs and (deed := self._too_much(programs)):
                self.note(deed)
                _kill(programs)

    def _too_much(self, programs: "list[psutil.Process]") -> str | None:
        limits = self._limits
        if len(programs) > limits.processes:
            return f"The app started more than {limits.processes} processes, and was ended."
        if _memory(programs) > limits.memory:
            return f"The app used more than {limits.memory / 1e9:g} GB of memory, and was ended."
        if any(
            _size(folder, limits.disk) > limits.disk for folder in self._copies.glob(f"*/{glob.escape(self._name)}")
        ):
            return f"The app wrote more than {limits.disk / 1e6:g} MB to the disk, and was ended."
        return None


def _programs() -> "list[psutil.Process]":
    """The processes of the app: what this process has started, without verify's own, and all that they started."""
    import psutil

    found: dict[int, psutil.Process] = {}
    for each in psutil.Process().children(recursive=True):  # one look at the whole machine; parents come first
        with contextlib.suppress(psutil.Error):
            parent = each.ppid()
            if parent in found or (parent == os.getpid() and not _is_own(each.cmdline())):
                found[each.pid] = each
    return list(found.values())


def _is_own(command: list[str]) -> bool:
    is_watchdog = command[1:4] == ["-I", "-S", "-c"]
    return is_watchdog or any(name in command for name in _OWN)


def _memory(programs: "list[psutil.Process]") -> int:
    import psutil

    total = 0
    for each in programs:
        with contextlib.suppress(psutil.Error):
            total += each.memory_info().rss
    return total


def _size(folder: Path, enough: int) -> int:
    """The bytes that the files below a folder take, counted until that is more than enough."""
    total = 0
    for root, _, names in os.walk(folder):  # which follows no links
        for name in names:
            with contextlib.suppress(OSError):
                total += (Path(root) / name).lstat().st_size
        if total > enough:
            break
    return total


def _kill(programs: "list[psutil.Process]") -> None:
    """End them: first all of them are stopped, so that none starts another one meanwhile."""
    import psutil

    for each in programs:
        with contextlib.suppress(psutil.Error):
            each.suspend()
    for each in programs:
        with contextlib.suppress(psutil.Error):
            each.kill()
