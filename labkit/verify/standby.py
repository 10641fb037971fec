"""A running copy that waits for the next run, so that a save of a page is verified without a start of the app.

It has had no visitor yet. What was saved since it started is brought over, if it is only files that the app reads anew
for each request (`reread` in exercise.toml); after any other change it is of no use.
"""

import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from labkit import services, snippets, tree
from labkit.errors import LabError
from labkit.files import Within
from labkit.verify import databases, running_copy
from labkit.verify.running_copy import RunningCopy
from labkit.verify.subject import Subject

if TYPE_CHECKING:
    from labkit.services.postgres.server import Server


@dataclass(frozen=True)
class Standby:
    """A running copy in a temporary folder, and the files that it was made of; ends with the `with` statement."""

    temporary: Path
    copy: RunningCopy
    _subject: Path
    _files: dict[str, str]
    _environment: Mapping[Path, int]
    _stack: ExitStack

    def __enter__(self) -> Self:
        """Use it until the end of the `with` statement."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop the instances."""
        self._stack.close()

    def follow(self, subject: Subject) -> bool:
        """Bring over what was saved; whether this is the subject's app then."""
        if self._subject != subject.folder or self._environment != _environment(subject.folder):
            return False
        if self.copy.instances.poll() is not None:
            return False
        now = tree.digests(subject.folder)
        changed = {path for path in now.keys() | self._files.keys() if now.get(path) != self._files.get(path)}
        if not all(subject.exercise.app.rereads(path) for path in changed):
            return False
        within = Within(self.copy.folder)  # in which the app may have made links
        try:
            for path in changed:
                within.write(path, (subject.folder / path).read_bytes() if path in now else None)
        except (LabError, OSError):
            return False
        self._files.clear()
        self._files.update(now)
        return True


def make(subject: Subject, server: "Callable[[], Server]") -> Standby | None:
    """Start a copy of the subject; None if it cannot be done, which the next run will say with its reason."""
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="labkit-", ignore_cleanup_errors=True)))
        folder = running_copy.place(subject, temporary)
        environment = _environment(subject.folder)
        try:
            running_copy.copy(subject, folder)
            files = tree.digests(folder)
            if any(True for _ in snippets.unfilled(folder)):
                return None
            own, url, database = None, None, subject.exercise.database
            if database and (name := services.declared(database, folder)) != "postgres":
                url = stack.enter_context(services.find(name).running(running_copy.data_folder(folder)))
            elif database:
                own = server()
                databases.provide(subject, folder, own)
            copy = stack.enter_context(running_copy.run(subject, folder, own, url))
        except LabError:
            return None
        return Standby(temporary, copy, subject.folder, files, environment, stack.pop_all())


def _environment(folder: Path) -> Mapping[Path, int]:
    """When the packages of the workspace's own environment last changed, if it has one."""
    own = folder / ".venv"
    places = [own / "pyvenv.cfg", own / "Lib" / "site-packages", *own.glob("lib/python*/site-packages")]
    return {path: path.stat().st_mtime_ns for path in places if path.exists()}
