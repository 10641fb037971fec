"""SQLite: no server at all, but a folder of files that every instance opens."""

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit.errors import LabError, UsageError

if TYPE_CHECKING:
    from labkit.services.tables import Rows, Table


class _Sqlite:
    title = "SQLite"

    def is_here(self) -> bool:
        """It is a part of Python."""
        return True

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

    def tables(self, url: str, database: str) -> "list[Table]":
        """The tables of a file."""
        from labkit.services.tables import Table

        with _opened(url, database) as file:
            names = [name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")]
            return [Table(name, file.execute(f"SELECT count(*) FROM {_quoted(name)}").fetchone()[0]) for name in names]  # noqa: S608  (the name is quoted)

    def rows(self, url: str, database: str, table: str, limit: int) -> "Rows":
        """The rows of one of them, by its primary key."""
        from labkit.services.tables import Rows

        with _opened(url, database) as file:
            found = file.execute(f"SELECT * FROM {_quoted(table)} ORDER BY rowid DESC LIMIT ?", (limit,))  # noqa: S608  (the name is quoted)
            columns = [each[0] for each in found.description]
            rows = [dict(zip(columns, map(_shown, row), strict=True)) for row in found]
            total = file.execute(f"SELECT count(*) FROM {_quoted(table)}").fetchone()[0]  # noqa: S608  (the name is quoted)
        return Rows(table, columns, rows[::-1], total)


@contextmanager
def _opened(url: str, database: str) -> Iterator[sqlite3.Connection]:
    from labkit.services.tables import FIRST_TABLES

    path = Path(url.removeprefix("sqlite:///")) / database
    if not path.is_file():
        raise UsageError(f"There is no file {path} yet: the application makes it when somebody uses it.", FIRST_TABLES)
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as file:
            yield file
    except sqlite3.Error as error:
        raise LabError(f"{path}: {error}.") from error


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _shown(value: Any) -> str:
    from labkit.services.tables import shown_bytes

    return "" if value is None else shown_bytes(value if isinstance(value, bytes) else str(value).encode())


def _url(folder: Path) -> str:
    return f"sqlite:///{folder.as_posix()}"


SERVICE = _Sqlite()
