"""The backplane in MariaDB or MySQL, which cannot push."""

import inspect
from typing import Any, ClassVar, Unpack

import asyncmy
from sqlalchemy import text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection

from asgi_signalr.backplanes import BackplaneError
from asgi_signalr.backplanes.sql import SqlBackplane, parsed
from asgi_signalr.backplanes.sql_statements import MysqlStatements
from asgi_signalr.backplanes.stored import MAX_BYTES, PATIENCE
from asgi_signalr.backplanes.tables import TableOptions


class MysqlBackplane(SqlBackplane):
    """Joins the servers that use one database; `open_backplane("mariadb://user:password@host/database")` makes it.

    The database must exist; the tables are made on first use. The options are those of every `SqlBackplane`.
    """

    MAX_PAYLOAD: ClassVar = 7 * 1024 * 1024
    """A byte may take two in a statement, and a statement no more than `max_allowed_packet`: 16 MiB as a rule."""

    def __init__(self, url: str, **options: Unpack[TableOptions]) -> None:
        parts = parsed(url)
        if not parts.database:
            raise ValueError(f"The URL names no database: {parts.get_backend_name()}://user:password@host/DATABASE.")
        driver = f"{parts.get_backend_name()}+asyncmy"
        super().__init__(
            f"{parts.host or 'localhost'}:{parts.port or 3306}/{parts.database}",
            parts.set(drivername=driver),
            MysqlStatements(),
            # What a transaction reads is one state, whatever the server's own default is.
            {"isolation_level": "REPEATABLE READ", "connect_args": {"connect_timeout": PATIENCE}},
            **options,
        )

    def _unknown_options(self, url: URL, given: dict[str, Any]) -> set[str]:
        return set(given) - set(inspect.signature(asyncmy.connect).parameters)

    async def _install(self, connection: AsyncConnection) -> None:
        async with connection.begin():
            packet = await connection.scalar(text("SELECT @@max_allowed_packet"))
            await connection.execute(text("SET SESSION innodb_lock_wait_timeout = 5"))
        least = 2 * max(self.MAX_PAYLOAD, MAX_BYTES)
        if packet < least:
            raise BackplaneError(
                f"{self._where} takes statements of {packet} bytes, {least} are needed: set max_allowed_packet to 16M."
            )
        await super()._install(connection)
