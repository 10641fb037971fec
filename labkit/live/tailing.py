"""An application's messages in its database, followed on behalf of a page with the tool that the lab names."""

import subprocess
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from labkit.lab import Database
from labkit.live.runner import LINES
from labkit.services.postgres.server import Server

_PATIENCE = 5.0
"""How many seconds the tool has to end when it is asked to."""


class Tail:
    """Follows the messages of one database at a time; one that was followed before is let go.

    Args:
        changed: called, on any thread, after it has begun or ended.
        line: called, on any thread, with each line that the tool says.

    """

    def __init__(self, changed: Callable[[], None], line: Callable[[str], None]) -> None:
        self._changed = changed
        self._line = line
        self._process: subprocess.Popen[str] | None = None
        self.name: str | None = None
        """The database that is followed; None if none is."""
        self.lines: deque[str] = deque(maxlen=LINES)

    def start(self, settings: Database, server: Server, name: str, folder: Path) -> None:
        """Follow the messages of a database from now on."""
        from labkit.services.tail import tail_command, tail_environment

        self.stop()
        self.lines.clear()
        url = server.database_url(name)
        self._process = process = subprocess.Popen(
            tail_command(settings, url, folder),
            cwd=folder,
            env={
                **tail_environment(settings, url),
                "PYTHONUNBUFFERED": "1",
                "PYTHONIOENCODING": "utf-8",
                "NO_COLOR": "1",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        self.name = name
        threading.Thread(target=self._read, args=(process,), daemon=True).start()
        self._changed()

    def stop(self) -> bool:
        """Let go; False if nothing was followed."""
        process, self._process, self.name = self._process, None, None
        if process is None:
            return False
        process.terminate()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._changed()
        return True

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None  # noqa: S101  (it is a pipe)
        with process.stdout as lines:
            for line in lines:
                self.lines.append(line.rstrip("\n"))
                self._line(line.rstrip("\n"))
        process.wait()
        if self._process is process:
            self._process, self.name = None, None
            self._changed()
