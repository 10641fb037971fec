"""Watches a workspace: what is saved, batch by batch, and the tasks that it may have changed."""

import time
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from pathlib import Path

from watchfiles import Change, awatch, watch

from labkit import snippets, tree
from labkit.chapter import Task
from labkit.lab import Exercise

SILENT = ("data", "evidence", "undone")
"""Folders of `.labkit` that say nothing about the work."""

DEBOUNCE = 100
STEP = 50
"""Milliseconds: a batch ends when nothing was saved for a `STEP`, at the latest after `DEBOUNCE`."""

TIMEOUT = 300
"""Milliseconds after which a folder in which nothing was saved is found to be gone, or Ctrl-C to be pressed."""


async def saves(folder: Path) -> AsyncIterator[set[Path]]:
    """Yield the files saved, made or deleted below a folder, as relative paths, once they have settled for a moment.

    Where the system sends no events (some network drives, Windows' files seen from WSL), watchfiles polls.
    """
    async for batch in awatch(folder, watch_filter=_matters(folder), debounce=DEBOUNCE, step=STEP):
        yield {Path(path).relative_to(folder) for _, path in batch}


def saves_of_app(folder: Path) -> Iterator[set[str]]:
    """Yield the files of the app that were saved, as paths with slashes; also those saved while the caller was busy.

    The first set is empty: from it on nothing is missed. Raises KeyboardInterrupt when that is pressed, and ends when
    the folder is gone.
    """
    batches = watch(
        folder,
        watch_filter=_matters(folder),
        debounce=DEBOUNCE,
        step=STEP,
        rust_timeout=TIMEOUT,
        yield_on_timeout=True,
    )
    yield of_app({Path(path).relative_to(folder) for _, path in next(batches)})
    for batch in batches:
        if not folder.is_dir():
            return
        if files := of_app({Path(path).relative_to(folder) for _, path in batch}):
            yield files


def of_app(paths: Collection[Path]) -> set[str]:
    """Those of the paths that belong to the app, with slashes: labkit's own folder does not."""
    return {path.as_posix() for path in paths if path.parts[0] not in tree.IGNORED_FOLDERS}


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


def _matters(folder: Path) -> Callable[[Change, str], bool]:
    def matters(change: Change, path: str) -> bool:
        parts = Path(path).relative_to(folder).parts
        if not parts or parts[0] in (".git", ".venv") or "__pycache__" in parts:
            return False
        return not (parts[0] == ".labkit" and len(parts) > 1 and parts[1] in SILENT) and not parts[-1].endswith(".tmp")

    return matters
