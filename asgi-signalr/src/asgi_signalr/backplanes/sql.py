"""The backplane in an SQL database that cannot push, over SQLAlchemy.

Servers look for messages: at once while there are some, then ever more rarely, up to `poll`. What is said to the
database is in `sql_statements`; SQLite, MySQL and SQL Server have modules of their own for what differs.
"""

import asyncio
import contextlib
import functools
import warnings
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar, Unpack
from uuid import UUID, uuid4

from sqlalchemy import Connection, Table, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SAWarning, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from asgi_signalr.backplanes import BackplaneError
from asgi_signalr.backplanes.addresses import UNREADABLE
from asgi_signalr.backplanes.sql_statements import VERSION, Statements
from asgi_signalr.backplanes.stored import PATIENCE, wait
from asgi_signalr.backplanes.tables import Mark, Message, NothingYet, Page, TableBackplane, TableOptions

_FIRST_PAUSE = 0.01

P = ParamSpec("P")
R = TypeVar("R")
Work = Callable[Concatenate["SqlBackplane", P], Coroutine[Any, Any, R]]


def work(doing: str) -> Callable[[Work[P, R]], Work[P, R]]:
    """Have a method that talks to the database carried out as the engine does it, for `receiving` or `sending`."""

    def decorate(method: Work[P, R]) -> Work[P, R]:
        @functools.wraps(method)
        async def wrapped(self: "SqlBackplane", /, *args: P.args, **kwargs: P.kwargs) -> R:
            return await self._carry_out(method(self, *args, **kwargs), doing)

        return wrapped

    return decorate


def parsed(url: str) -> URL:
    """Read a URL.

    Raises:
        ValueError: it cannot be read; the message has nothing of it.

    """
    try:
        return make_url(url)
    except (ValueError, ArgumentError):
        raise ValueError(UNREADABLE) from None


class SqlBackplane(TableBackplane[AsyncConnection]):
    """What the engines over SQLAlchemy have in common; `open_backplane` makes one by its URL.

    Times are in seconds. `poll` is the longest pause between two looks; `keep_seconds` and `keep_messages` bound the
    table, and are the longest absence of a server that loses nothing. The other options are those of every
    `StoredBackplane`.
    """

    TROUBLE: ClassVar = (OSError, SQLAlchemyError, TimeoutError, LookupError)

    def __init__(
        self, where: str, url: URL, statements: Statements, engine: dict[str, Any], **options: Unpack[TableOptions]
    ) -> None:
        super().__init__(where, **options)
        self._statements = statements
        self._engine = self._checked_engine(url, engine)

    def _checked_engine(self, url: URL, options: dict[str, Any]) -> AsyncEngine:
        """Read the URL's options as the driver will, which looks at them only when it connects, and that is late.

        Raises:
            ValueError: there is an unknown one, or one that cannot have its value.

        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SAWarning)  # it is an error here
                engine = create_async_engine(url, poolclass=NullPool, **options)
                unknown = self._unknown_options(url, dict(engine.dialect.create_connect_args(url)[1]))
        except ValueError as error:
            raise ValueError(f"An option of the URL cannot have its value: {error}.") from None
        if unknown:
            names = ", ".join(sorted(map(repr, unknown)))
            raise ValueError(f"The URL has an option that {engine.driver} does not know: {names}.")
        return engine

    def _unknown_options(self, url: URL, given: dict[str, Any]) -> set[str]:
        """Which of them the driver does not know, that is given what SQLAlchemy has made of the URL."""
        return set()

    async def _carry_out(self, coroutine: Coroutine[Any, Any, R], doing: str) -> R:
        """Give up on a server that does not answer; whoever does lets go of the connection."""
        async with asyncio.timeout(self._patience[doing]):
            return await coroutine

    # Connections.

    async def _connect(self, doing: str) -> AsyncConnection:
        async with asyncio.timeout(PATIENCE):
            connection = await self._engine.connect()
            try:
                await self._install(connection)
            except BaseException:
                await self._close(connection)
                raise
        return connection

    async def _look(self) -> AsyncConnection:
        async with asyncio.timeout(PATIENCE):
            connection = await self._engine.connect()
            schema = self._statements.schema
            async with connection.begin():
                has_tables = await connection.run_sync(
                    lambda sync: inspect(sync).has_table(schema.name, schema=schema.schema)
                )
        if not has_tables:
            await self._close(connection)
            raise self._nothing
        return connection

    @property
    def _nothing(self) -> NothingYet:
        return NothingYet(f"{self._where} has no backplane tables yet: the first server with this backplane makes them")

    async def _install(self, connection: AsyncConnection) -> None:
        """Make the tables, or mend them, with nobody else doing so."""
        statements = self._statements
        async with connection.begin():
            await connection.run_sync(statements.lock)
            try:
                await connection.run_sync(statements.make)
                await self._fill(connection)
            finally:
                with contextlib.suppress(SQLAlchemyError):  # the error says more
                    await connection.run_sync(statements.unlock)

    async def _fill(self, connection: AsyncConnection) -> None:
        """See to the version and the counter."""
        statements = self._statements
        for table in (statements.counter, statements.messages):
            columns = await connection.run_sync(_columns, table)
            if missing := [column.name for column in table.columns if column.name not in columns]:
                raise BackplaneError(
                    f"The table {table.fullname} is not this asgi-signalr's, as it has no {' and no '.join(missing)}: "
                    "a classic SignalR has such tables. Take a database of its own."
                )
        version = await connection.scalar(statements.version())
        if version is None:
            await connection.execute(statements.schema.insert().values(SchemaVersion=VERSION))
        elif version != VERSION:
            advice = "upgrade asgi-signalr here" if version > VERSION else "drop the tables SignalR_…"
            raise BackplaneError(
                f"The tables have version {version}, this asgi-signalr needs version {VERSION}: {advice}."
            )
        counters, top = (await connection.execute(statements.counted())).one()
        highest = await connection.scalar(statements.highest()) or 0
        if counters != 1 or highest > top:
            await connection.execute(statements.counter.delete())
            await connection.execute(
                statements.counter.insert().values(PayloadId=max(top or 0, highest), Epoch=uuid4())
            )

    async def _close(self, connection: AsyncConnection) -> None:
        # Without a word to a server that may not answer: it ends what was begun.
        with contextlib.suppress(Exception):
            async with asyncio.timeout(2):
                await connection.invalidate()
                await connection.close()

    def _trouble(self, error: BaseException) -> str:
        if isinstance(error, DBAPIError):
            return f"{self._where}: {error.orig}"
        return super()._trouble(error)

    # Receiving.

    async def _receive(self, connection: AsyncConnection) -> None:
        pause = _FIRST_PAUSE
        while True:
            self._bell.clear()
            self._check(connection)
            received = await self._catch_up(connection)
            self._say_well("receiving")
            pause = _FIRST_PAUSE if received else min(pause * 1.5, self._poll)
            await wait(self._bell, pause)

    @work("receiving")
    async def _page(self, connection: AsyncConnection, after: int | None) -> Page:
        statements = self._statements
        async with connection.begin():
            counters, top = (await connection.execute(statements.counted())).one()
            highest = await connection.scalar(statements.highest()) or 0
            if counters != 1 or highest > top:
                raise LookupError("the counter is missing or wrong")
            epoch, now = (await connection.execute(statements.epoch())).one()
            of_last = statements.mark(top if after is None else after)
            last = (await connection.execute(of_last)).one_or_none()
            messages = [] if after is None else await self._following(connection, after)
        return Page(top, epoch, now, Mark(*last) if last is not None else None, messages)

    async def _following(self, connection: AsyncConnection, after: int) -> list[Message]:
        """Read as many messages as their bytes allow, and one in any case."""
        until, size = after, 0
        for number, length in await connection.execute(self._statements.sizes(after)):
            if until != after and size + length > self._page_bytes:
                break
            until, size = number, size + length
        if until == after:
            return []
        return [Message(*row) for row in await connection.execute(self._statements.following(after, until))]

    @work("receiving")
    async def _renew_epoch(self, connection: AsyncConnection, epoch: UUID) -> UUID:
        async with connection.begin():
            await connection.execute(self._statements.renewed(epoch, uuid4()))
            renewed: UUID = (await connection.execute(self._statements.epoch())).one()[0]
        return renewed

    @work("receiving")
    async def _last_until(self, connection: AsyncConnection, time: datetime | None) -> int:
        async with connection.begin():
            # The year 1: some have no earlier one, and no message is from then.
            return await connection.scalar(self._statements.newest(time or datetime(1, 1, 1))) or 0

    # Sending.

    @work("sending")
    async def _append(self, connection: AsyncConnection, batch: list[bytes]) -> None:
        async with connection.begin():
            last, now = await self._take_numbers(connection, len(batch))
            first = last - len(batch) + 1
            rows: list[dict[str, Any]] = [
                {"PayloadId": first + index, "Payload": payload, "InsertedOn": now, "Sender": self.sender}
                for index, payload in enumerate(batch)
            ]
            await connection.execute(self._statements.messages_in(), rows)
        self._confirmed = last
        self._bell.set()

    async def _take_numbers(self, connection: AsyncConnection, count: int) -> tuple[int, datetime]:
        """Take the next numbers; the last of them, and the time."""
        changed = await connection.execute(self._statements.take_numbers(count))
        rows = changed.all() if changed.returns_rows else None
        if (changed.rowcount if rows is None else len(rows)) != 1:
            raise LookupError("the counter is missing or wrong")
        last, now = rows[0] if rows is not None else (await connection.execute(self._statements.taken())).one()
        return last, now

    @work("sending")
    async def _is_stored(self, connection: AsyncConnection) -> bool:
        async with connection.begin():
            newest = await connection.scalar(self._statements.own(self.sender, self._confirmed))
        self._confirmed = newest or self._confirmed
        return newest is not None

    @work("sending")
    async def _tidy(self, connection: AsyncConnection) -> float:
        """Delete what is too old; the last of it stays, by which a server knows that it has missed nothing."""
        statements = self._statements
        async with connection.begin():
            now = (await connection.execute(statements.epoch())).one()[1]
            oldest = await connection.scalar(statements.newest(now - timedelta(seconds=self._keep_seconds)))
            top = (await connection.execute(statements.counted())).one()[1]
        async with connection.begin():  # SQLite: who has only read may not be let to write
            await connection.execute(statements.deleted(max(oldest or 0, top - self._keep_messages + 1)))
        return self._retention_interval


def _columns(connection: Connection, table: Table) -> set[str]:
    return {column["name"] for column in inspect(connection).get_columns(table.name, schema=table.schema)}
