"""What is saved in a workspace, batch by batch."""

from collections.abc import AsyncIterator
from pathlib import Path

from watchfiles import Change, awatch

SILENT = ("data", "evidence", "undone")
"""Folders of `.labkit` that say nothing about the work."""


async def saves(folder: Path) -> AsyncIterator[set[Path]]:
    """Yield the files saved, made or deleted below a folder, as relative paths, once they have settled for a moment.

    Where the system sends no events (some network drives, Windows' files seen from WSL), watchfiles polls.
    """

    def matters(change: Change, path: str) -> bool:
        parts = Path(path).relative_to(folder).parts
        if not parts or parts[0] in (".git", ".venv") or "__pycache__" in parts:
            return False
        return not (parts[0] == ".labkit" and len(parts) > 1 and parts[1] in SILENT) and not parts[-1].endswith(".tmp")

    async for batch in awatch(folder, watch_filter=matters, debounce=200, step=50, recursive=True):
        yield {Path(path).relative_to(folder) for _, path in batch}
