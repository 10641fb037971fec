"""The log of an app that runs in another window, read where that window writes it."""

import contextlib
import os
import re
from collections import deque
from pathlib import Path

from labkit.live.runner import LINES

_MOST = 200_000
"""The most bytes of one log that are read at once; of more, the last."""

_TAIL = 256
"""How many bytes before the place up to which a log was read are known again, if they are the same log's still."""

_NAME = re.compile(r"instance-(\d+)\.log")

Line = tuple[int, str]
"""An instance's number and a line of its log."""


class Logs:
    """Follows the instances' logs in a folder, whoever writes them there."""

    def __init__(self) -> None:
        self._ends: dict[int, tuple[int, bytes]] = {}

    def new(self, folder: Path, since: float) -> list[Line]:
        """The lines that came since the last time; at first the last of those that are there.

        A log that was written last before `since`, in seconds since the epoch, is of an app that has ended.
        """
        found: deque[Line] = deque(maxlen=LINES)
        with contextlib.suppress(OSError):
            for path in sorted(folder.iterdir()):
                with contextlib.suppress(OSError):
                    if (match := _NAME.fullmatch(path.name)) and path.stat().st_mtime >= since:
                        number = int(match[1])
                        found += [(number, line) for line in self._lines(number, path)]
        return list(found)

    def _lines(self, number: int, path: Path) -> list[str]:
        """The whole lines of a log behind those that were read already, all of them if it was begun anew."""
        end, last = self._ends.get(number, (0, b""))
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(end - len(last), 0))
            if file.read(len(last)) != last:
                end = file.seek(0)
            if cut := size - end > _MOST:
                end = file.seek(size - _MOST)
            whole, newline, _ = file.read(_MOST).rpartition(b"\n")
            end += len(whole) + len(newline)
            file.seek(max(end - _TAIL, 0))
            self._ends[number] = end, file.read(end - file.tell())
        lines = whole.decode("utf-8", "replace").splitlines() if newline else []
        return lines[1:] if cut else lines
