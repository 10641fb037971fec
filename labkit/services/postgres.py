"""PostgreSQL: the lab's own server, or the one that the environment names."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labkit.tables import Rows, Table


class _Postgres:
    title = "PostgreSQL"

    @contextmanager
    def running(self, data: Path) -> Iterator[str]:
        """Use it if it runs, else start it; its databases are in labkit's own folder, for all workspaces."""
        from labkit import postgres

        with postgres.find_server().running() as server:
            yield server.url

    def existing(self, data: Path) -> str | None:
        """The server's URL, if it runs."""
        from labkit import postgres

        server = postgres.find_server().existing()
        return server.url if server else None

    def tables(self, url: str, database: str) -> "list[Table]":
        """The tables of a database."""
        from labkit import tables
        from labkit.postgres import Server

        return tables.tables(Server(url), database)

    def rows(self, url: str, database: str, table: str, limit: int) -> "Rows":
        """The rows of one of them."""
        from labkit import tables
        from labkit.postgres import Server

        return tables.rows(Server(url), database, table, limit)


SERVICE = _Postgres()
