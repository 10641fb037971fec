"""SQLite: no server at all, but a folder of files that every instance opens."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class _Sqlite:
    title = "SQLite"

    @contextmanager
    def running(self, data: Path) -> Iterator[str]:
        """Make the folder; a database is a file in it."""
        folder = data.resolve() / "sqlite"
        folder.mkdir(parents=True, exist_ok=True)
        yield _url(folder)

    def existing(self, data: Path) -> str | None:
        """The folder's URL, if there is one: files need nobody who runs."""
        folder = data.resolve() / "sqlite"
        return _url(folder) if folder.is_dir() else None


def _url(folder: Path) -> str:
    return f"sqlite:///{folder.as_posix()}"


SERVICE = _Sqlite()
