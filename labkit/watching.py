"""Watches a workspace: what is saved, batch by batch, and the tasks that it may have changed."""

import contextlib
import os
import time
from collections.abc import AsyncIterator, Collection, Generator, Iterator
from pathlib import Path
from typing import Any

from watchfiles import Change, awatch, watch

from labkit import snippets, tree
from labkit.chapter import Task
from labkit.lab import Exercise

SILENT = {("manual",), ("wheels",), *((".labkit", name) for name in ("data", "evidence", "undone"))}
"""Folders of a workspace in which nothing says anything about the work, beside those that are no part of any app."""

DEBOUNCE = 200
STEP = 100
"""Milliseconds: a batch ends when nothing was saved for a `STEP`, at the latest after `DEBOUNCE`.

watchfiles wakes up once a `STEP`, also where nothing is saved: most of what an idle guide costs.
"""

TIMEOUT = 300
"""Milliseconds after which a folder in which nothing was saved is found to be gone, or Ctrl-C to be pressed."""

SWEEP = 2000
"""Milliseconds after which the files themselves are looked at, where the system tells nothing."""


async def saves(folder: Path) -> AsyncIterator[set[Path]]:
    """Yield the files saved, made or deleted below a folder, as relative paths, once they have settled for a moment.

    Where nothing was saved in `SWEEP` the set is empty. It ends when the folder is gone. Where the system tells nothing
    of a save (network drives, folders that a virtual machine or a container shares) the files' times and sizes do, two
    seconds later.
    """
    sight = _Sight(folder)
    async for batch in awatch(folder, watch_filter=sight.matters, rust_timeout=SWEEP, **_options(folder)):
        if sight.is_gone:
            return
        yield sight.changed(batch)


def saves_of_app(folder: Path) -> Generator[set[str], None, None]:
    """Yield the files of the app that were saved, as paths with slashes; also those saved while the caller was busy.

    The first set is empty: from it on nothing is missed. Raises KeyboardInterrupt when that is pressed, and ends when
    the folder is gone.
    """
    sight = _Sight(folder)
    batches = watch(folder, watch_filter=sight.matters, rust_timeout=TIMEOUT, **_options(folder))
    yield of_app(sight.changed(next(batches)))
    for batch in batches:
        if sight.is_gone:
            return
        if files := of_app(sight.changed(batch)):
            yield files


def _options(folder: Path) -> dict[str, Any]:
    """How to watch a folder: by the system's events, by polling where the system has no more of them to give."""
    options: dict[str, Any] = {"debounce": DEBOUNCE, "step": STEP, "yield_on_timeout": True}
    try:
        with contextlib.closing(watch(folder, rust_timeout=1, yield_on_timeout=True)) as attempt:
            next(attempt)
    except OSError:
        options["force_polling"] = True
    return options


def of_app(paths: Collection[Path]) -> set[str]:
    """Those of the paths that belong to the app, with slashes: not labkit's own folder, nor what editors leave."""
    return {
        path.as_posix()
        for path in paths
        if path.parts[0] not in tree.IGNORED_FOLDERS
        and path.name not in tree.IGNORED_FILES
        and not path.name.endswith(tree.IGNORED_ENDINGS)
    }


def settled(folder: Path) -> str:
    """Wait until no file of the app changes any more; the digest of what is there.

    An editor empties a file before it writes it: what is read in between is half a file.
    """
    digest = tree.digest(folder)
    while True:
        time.sleep(STEP / 1000)
        before, digest = digest, tree.digest(folder)
        if digest == before:
            return digest


def affected(exercise: Exercise, paths: Collection[str]) -> list[Task]:
    """The tasks that a change of these files can affect: those from the first on whose code belongs into one of them.

    A task builds on those before it, and never on a later one. A file that no task's code belongs into may matter to
    every task.
    """
    homes = {todo.name: todo.path for todo in snippets.todo_lines(exercise.begin)}
    touched: dict[str, int] = {}
    for position, task in enumerate(exercise.tasks):
        for step in task.steps:
            for name in step.inserted:
                if name in homes:
                    touched.setdefault(homes[name], position)
    return list(exercise.tasks[min((touched.get(path, 0) for path in paths), default=0) :])


class _Sight:
    """What was last seen of a folder: the times and sizes of the files in it that say something about the work."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._looked = time.monotonic()
        self._known = self._look()

    @property
    def is_gone(self) -> bool:
        """Whether the folder is there no more."""
        return not self._folder.is_dir()

    def matters(self, change: Change, path: str) -> bool:
        """Whether the file says something about the work."""
        parts = self._relative(path).parts
        return bool(parts) and not parts[-1].endswith(".tmp") and not any(map(_is_silent, _folders(parts)))

    def changed(self, batch: Collection[tuple[Change, str]]) -> set[Path]:
        """What the system has told of, as relative paths; if that is nothing, what the files show, now and then.

        What came and went since the last look is left out: editors try so whether they may write.
        """
        told = {self._relative(path) for _, path in batch}
        if not told and time.monotonic() < self._looked + SWEEP / 1000:
            return set()
        before, self._known, self._looked = self._known, self._look(), time.monotonic()
        every = before.keys() | self._known.keys()
        real = {path for path in told if path.as_posix() in every}
        return real or {Path(path) for path in every if before.get(path) != self._known.get(path)}

    def _relative(self, path: str) -> Path:
        return Path(path).relative_to(self._folder)

    def _look(self) -> dict[str, tuple[int, int]]:
        found: dict[str, tuple[int, int]] = {}

        def walk(folder: str, above: tuple[str, ...]) -> None:
            with contextlib.suppress(OSError), os.scandir(folder) as entries:  # what has just been deleted
                for entry in entries:
                    parts = (*above, entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        if not _is_silent(parts):
                            walk(entry.path, parts)
                    elif not entry.name.endswith(".tmp"):
                        with contextlib.suppress(OSError):
                            status = entry.stat()
                            found["/".join(parts)] = (status.st_mtime_ns, status.st_size)

        walk(str(self._folder), ())
        return found


def _folders(parts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The folders that a path leads through, and itself."""
    return (parts[:length] for length in range(1, len(parts) + 1))


def _is_silent(parts: tuple[str, ...]) -> bool:
    """Whether nothing below this folder says anything about the work."""
    return (parts[-1] in tree.IGNORED_FOLDERS and parts != (".labkit",)) or parts in SILENT
