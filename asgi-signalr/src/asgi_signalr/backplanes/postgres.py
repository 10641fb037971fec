"""The backplane in PostgreSQL: the table is the truth, NOTIFY only the bell.

The receiver listens, and on each bell, and every few seconds without one, reads what follows the last message that it
has delivered. Its own server's messages come that way too, so every server delivers the same messages in the same
order. A lost connection costs nothing but time: the receiver goes on after its last message, the sender finds out
whether its last statement was carried out before it repeats it.
"""

import logging
import os
from datetime import datetime
from typing import ClassVar, Unpack
from urllib.parse import parse_qs, unquote, urlsplit
from uuid import UUID

import asyncpg

from asgi_signalr.backplanes import BackplaneError
from asgi_signalr.backplanes import postgres_schema as schema
from asgi_signalr.backplanes.addresses import hosts_of
from asgi_signalr.backplanes.stored import MAX_BATCH, PATIENCE, wait
from asgi_signalr.backplanes.tables import NothingYet, Page, TableBackplane, TableOptions

logger = logging.getLogger("asgi_signalr.backplane")

_MISSING_DATABASE_DELAY = 2.0
_BELL_TEST = 2.0


class PostgresBackplane(TableBackplane[asyncpg.Connection]):
    """Joins the servers that use one database; `open_backplane("postgresql://user:password@host/database")` makes it.

    The database must exist; the tables are made on first use. Of several hosts, `host1:5432,host2:5432`, the one is
    taken that can be written to. Times are in seconds. `poll` is the longest that a
    message can take when a bell was missed; `keep_seconds` and `keep_messages` bound the table, and are the longest
    absence of a server that loses nothing. The other options are those of every `StoredBackplane`.
    """

    TROUBLE: ClassVar = (
        *(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError, LookupError),
        asyncpg.InternalClientError,  # what is under way when a server stops at once may end in the wrong state
    )

    def __init__(
        self,
        url: str,
        **options: Unpack[TableOptions],
    ) -> None:
        hosts = hosts_of(url)
        parts = urlsplit(url)
        self._url = url
        self._database = unquote(parts.path.lstrip("/")) or unquote(parts.username or "")
        query = parse_qs(parts.query)
        where = hosts or ",".join(query.get("host", []))
        # Of several, the one that takes messages: a standby may come first, and does since the last failover.
        is_said = "target_session_attrs" in query or "PGTARGETSESSIONATTRS" in os.environ
        self._wanted = "read-write" if "," in where and not is_said else None
        # Its bell rings at each message, so to look for those that it has not rung for is seldom worth it.
        options.setdefault("poll", 3.0)
        super().__init__(where or "the default server", **options)
        self._said_once: set[str] = set()

        self._listening: dict[asyncpg.Connection, bool] = {}  # the one of now, and whether its bell rings

    # Connections.

    async def _connect(self, doing: str) -> asyncpg.Connection:
        patience = self._patience[doing]
        connection = await asyncpg.connect(
            self._url,
            timeout=PATIENCE,
            command_timeout=patience,
            target_session_attrs=self._wanted,
            server_settings={"application_name": self._application_name(doing)},
        )
        try:
            # A statement that waits for a lock gives up before its server here does.
            await connection.execute(f"SET lock_timeout = '5s'; SET statement_timeout = '{patience - 1:g}s'")
            # A queue of notifications that was full stays so until somebody asks how full it is.
            await connection.execute("SELECT pg_notification_queue_usage()")
            await schema.install(connection)
            if await schema.repair(connection):
                logger.warning("%s: the counter was missing or wrong, and was made anew", self._there)
        except BaseException:
            connection.terminate()
            raise
        return connection

    async def _look(self) -> asyncpg.Connection:
        connection = await asyncpg.connect(
            self._url, timeout=PATIENCE, server_settings={"application_name": "asgi-signalr tail"}
        )
        if not await schema.is_installed(connection):
            await self._close(connection)
            raise NothingYet(
                f"{self._there} has no backplane tables yet: the first server with this backplane makes them"
            )
        return connection

    async def _close(self, connection: asyncpg.Connection) -> None:
        try:
            await connection.close(timeout=1)
        except self.TROUBLE:
            connection.terminate()

    def _check(self, connection: asyncpg.Connection) -> None:
        if connection.is_closed():
            raise ConnectionError("connection lost")

    def _application_name(self, doing: str) -> str:
        return f"asgi-signalr {doing} {self.sender}"

    def _delay(self, failures: int, error: BaseException) -> float:
        if isinstance(error, asyncpg.InvalidCatalogNameError):
            return _MISSING_DATABASE_DELAY
        return super()._delay(failures, error)

    @property
    def _there(self) -> str:
        return f'database "{self._database}" on {self._where}'

    def _trouble(self, error: BaseException) -> str:
        if isinstance(error, asyncpg.InvalidCatalogNameError):
            return f'database "{self._database}" does not exist on {self._where}: create it'
        if isinstance(error, asyncpg.InsufficientPrivilegeError):
            return f"no permission in {self._there}: {error}"
        if isinstance(error, asyncpg.InvalidSQLStatementNameError | asyncpg.DuplicatePreparedStatementError):
            return (
                f"{self._where} forgets prepared statements, as a pooler in transaction mode does: connect to the "
                f"database itself, or to a pool in session mode ({error})"
            )
        if isinstance(error, BackplaneError):
            return f"{self._there}: {error}"
        return super()._trouble(error)

    def _say_once(self, text: str) -> None:
        if text not in self._said_once:
            self._said_once.add(text)
            logger.warning("%s", text)

    # Receiving.

    async def _find_position(self, connection: asyncpg.Connection) -> None:
        # LISTEN comes before the position is read: what is sent in between rings.
        await self._listen(connection)
        await super()._find_position(connection)

    async def _receive(self, connection: asyncpg.Connection) -> None:
        connection.add_termination_listener(self._ring)
        listening = await self._listen(connection)
        pause = self._poll if listening else 0.1
        while True:
            self._bell.clear()
            received = await self._catch_up(connection)
            self._say_well("receiving")
            if not listening:
                pause = 0.1 if received else min(pause * 2, 1.0, self._poll)
            await wait(self._bell, pause)

    def _ring(self, *_: object) -> None:
        self._bell.set()

    async def _listen(self, connection: asyncpg.Connection) -> bool:
        """Listen, and hear whether the bell rings; False: it has to be looked again and again."""
        if connection in self._listening:
            return self._listening[connection]
        self._listening.clear()
        try:
            await connection.add_listener(schema.CHANNEL, self._ring)
            self._bell.clear()
            await connection.execute(f"NOTIFY {schema.CHANNEL}")
        except asyncpg.PostgresError as error:
            # A standby and some poolers refuse it.
            self._say_once(f"{self._where} refuses LISTEN ({error}): polling instead, which is slower")
            rings = False
        else:
            await wait(self._bell, _BELL_TEST)
            rings = self._bell.is_set()
            if not rings:
                self._say_once(
                    f"{self._where} takes LISTEN and tells of nothing, as a pooler in transaction mode does: polling "
                    "instead, which is slower; connect to the database itself, or to a pool in session mode"
                )
        self._listening[connection] = rings
        return rings

    async def _page(self, connection: asyncpg.Connection, after: int | None) -> Page:
        return await schema.read(connection, after, MAX_BATCH, self._page_bytes)

    async def _renew_epoch(self, connection: asyncpg.Connection, epoch: UUID) -> UUID:
        return await schema.renew_epoch(connection, epoch)

    async def _last_until(self, connection: asyncpg.Connection, time: datetime | None) -> int:
        return await schema.last_until(connection, time)

    # Sending.

    async def _append(self, connection: asyncpg.Connection, batch: list[bytes]) -> None:
        self._confirmed = await schema.send(connection, batch, self.sender)

    async def _is_stored(self, connection: asyncpg.Connection) -> bool:
        """Find out whether the last statement was carried out although its answer was lost.

        A batch is one transaction, so one message of it tells for all. The statement must not be carried out after
        we looked: where the old connection's process still runs in the database, it is ended first.
        """
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE application_name = $1 AND pid <> pg_backend_pid()",
            self._application_name("sending"),
        )
        last = await schema.sent_since(connection, self._confirmed, self.sender)
        if last is not None:
            self._confirmed = last
        return last is not None

    async def _tidy(self, connection: asyncpg.Connection) -> float:
        full = 1000
        deleted = await schema.delete_old(connection, self._keep_seconds, self._keep_messages, full)
        return 0 if deleted == full else self._retention_interval
