"""PostgreSQL: the lab's own server, or the one that the environment names.

`server` asks one, `lab_server` finds the lab's; `keeper` runs one and ends it, `cluster` is its folder, `account` who
runs it as root, `roles` who may log in; `tables` looks into a database.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from labkit.services.tables import Rows, Table


class _Postgres:
    title = "PostgreSQL"

    def is_here(self) -> bool:
        """It comes with labkit."""
        return True

    @contextmanager
    def running(self, data: Path) -> Iterator[str]:
        """Use it if it runs, else start it; its databases are in labkit's own folder, for all workspaces."""
        from labkit.services.postgres.lab_server import find_server

        with find_server().running() as server:
            yield server.url

    def existing(self, data: Path) -> str | None:
        """The server's URL, if it runs."""
        from labkit.services.postgres.lab_server import find_server

        server = find_server().existing()
        return server.url if server else None

    def tables(self, url: str, database: str) -> "list[Table]":
        """The tables of a database."""
        from labkit.services.postgres import tables
        from labkit.services.postgres.server import Server

        return tables.tables(Server(url), database)

    def rows(self, url: str, database: str, table: str, limit: int) -> "Rows":
        """The rows of one of them."""
        from labkit.services.postgres import tables
        from labkit.services.postgres.server import Server

        return tables.rows(Server(url), database, table, limit)


SERVICE = _Postgres()
