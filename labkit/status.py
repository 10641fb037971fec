"""The line of `labkit status`, for the prompt of a shell: kept by the other commands, read without heavy imports.

`.labkit/status` has the line, then the app's files as they were: their times of change, sizes and paths.
"""

import os

_NAME = os.path.join(".labkit", "status")  # noqa: PTH118  (pathlib would cost the prompt its import)
_LEFT_OUT = (".pyc", ".db", ".db-wal", ".db-shm")


def line(start: str) -> str | None:
    """The line of the workspace at or above a folder, with * if a file was changed since; None if there is none."""
    folder = start
    while True:
        try:
            with open(os.path.join(folder, _NAME), encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH118, PTH123  (pathlib alone takes as long to import)
                kept, _, files = file.read().partition("\n")
            # Somebody else may have made the folder: nothing of the line gives a terminal orders.
            shown = "".join(filter(str.isprintable, kept))
            return shown + ("" if files == _files(folder) else " *")
        except OSError:
            above = os.path.dirname(folder)  # noqa: PTH120  (as above)
            if above == folder:
                return None
            folder = above


def text(folder: str, words: str) -> str:
    """What the file `.labkit/status` of a workspace has for these words."""
    return f"{words}\n{_files(folder)}"


def _files(folder: str) -> str:
    """The state of the app's files, a line for each."""
    found = []
    left = [folder]
    while left:
        with os.scandir(left.pop()) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name in ("__pycache__", "node_modules"):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    left.append(entry.path)
                elif not entry.name.endswith(_LEFT_OUT):
                    state = entry.stat()
                    found.append(f"{state.st_mtime_ns} {state.st_size} {entry.path[len(folder) :]}")
    return "\n".join(sorted(found))
