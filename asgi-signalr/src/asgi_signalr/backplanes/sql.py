"""The backplane in an SQL database that cannot push, over SQLAlchemy: SQLite, two processes and one file.

The tables are those of SignalR's SQL Server backplane, `SignalR_Messages_0` and its counter. A sender takes the next
numbers from the counter's row within the transaction that inserts the messages, so numbers become visible in their
order. Servers look for messages: at once while there are some, then ever more rarely.
"""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, ParamSpec, TypeVar, Unpack
from uuid import UUID, uuid4

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Uuid,
    and_,
    delete,
    event,
    func,
    insert,
    inspect,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from asgi_signalr.backplanes import BackplaneError
from asgi_signalr.backplanes.stored import MAX_BATCH, wait
from asgi_signalr.backplanes.tables import Mark, Message, NothingYet, Page, TableBackplane, TableOptions

VERSION = 1
_FIRST_PAUSE = 0.01

_tables = MetaData()
_schema = Table("SignalR_Schema", _tables, Column("SchemaVersion", Integer, primary_key=True, autoincrement=False))
_counter = Table(
    "SignalR_Messages_0_Id",
    _tables,
    Column("PayloadId", BigInteger, primary_key=True, autoincrement=False),
    Column("Epoch", Uuid, nullable=False),
)
_messages = Table(
    "SignalR_Messages_0",
    _tables,
    Column("PayloadId", BigInteger, primary_key=True, autoincrement=False),
    Column("Payload", LargeBinary, nullable=False),
    Column("InsertedOn", DateTime, nullable=False),
    Column("Sender", Uuid, nullable=False),
)


P = ParamSpec("P")
R = TypeVar("R")


def _whole(work: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Have a transaction end before its task does: one that is cut off in its thread keeps the lock for a while."""

    @functools.wraps(work)
    async def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        task = asyncio.ensure_future(work(*args, **kwargs))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            while not task.done():  # however often it is cancelled
                try:
                    await asyncio.wait({task})
                except asyncio.CancelledError:
                    continue
            if not task.cancelled():
                task.exception()  # it is of no use to anybody, and so no news either
            raise

    return wrapped


class SqlBackplane(TableBackplane[AsyncConnection]):
    """Joins the servers that use one database; `open_backplane("sqlite:///quiz.db")` makes it.

    Times are in seconds. `poll` is the longest pause between two looks; `keep_seconds` and `keep_messages` bound the
    table, and are the longest absence of a server that loses nothing. The other options are those of every
    `StoredBackplane`. The file is in WAL mode, which needs a disk of the machine's own, and not a network's.
    """

    TROUBLE: ClassVar = (OSError, SQLAlchemyError, TimeoutError, LookupError)

    def __init__(
        self,
        url: str,
        **options: Unpack[TableOptions],
    ) -> None:
        parsed = make_url(url)
        if not parsed.database or parsed.database == ":memory:":
            raise ValueError("The servers need one file: sqlite:///PATH, such as sqlite:///signalr.db.")
        super().__init__(parsed.database, **options)
        self._engine = create_async_engine(parsed.set(drivername="sqlite+aiosqlite"), poolclass=NullPool)
        event.listen(self._engine.sync_engine, "connect", _prepare)
        event.listen(self._engine.sync_engine, "begin", _begin)

    # Connections.

    async def _connect(self, doing: str) -> AsyncConnection:
        if not self._has_folder():
            raise LookupError("there is no such folder: make it")
        await self._install()
        connection = await self._engine.connect()
        connection.info["file"] = self._file()
        return connection

    async def _look(self) -> AsyncConnection:
        nothing = NothingYet(
            f"{self._where} has no backplane tables yet: the first server with this backplane makes them"
        )
        if self._file() is None:
            raise nothing
        connection = await self._engine.connect()
        async with connection.begin():
            has_tables = await connection.run_sync(lambda sync: inspect(sync).has_table(_schema.name))
        if not has_tables:
            await self._close(connection)
            raise nothing
        return connection

    def _has_folder(self) -> bool:
        return Path(self._where).absolute().parent.is_dir()

    def _file(self) -> tuple[int, int] | None:
        """Which file has the name now."""
        try:
            status = Path(self._where).stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _check(self, connection: AsyncConnection) -> None:
        # Who has a deleted file open reads and writes on, alone with those who have it open as well.
        if connection.info["file"] != self._file():
            raise LookupError("the file was deleted or replaced")

    @_whole
    async def _install(self) -> None:
        # Looks first and writes then, so it needs the lock from its beginning: a lock cannot be had later in it.
        async with self._engine.execution_options(begin="BEGIN IMMEDIATE").begin() as connection:
            await self._make_tables(connection)

    async def _make_tables(self, connection: AsyncConnection) -> None:
        await connection.run_sync(_tables.create_all)
        version = await connection.scalar(select(func.max(_schema.c.SchemaVersion)))
        if version is None:
            await connection.execute(insert(_schema).values(SchemaVersion=VERSION))
        elif version != VERSION:
            advice = "upgrade asgi-signalr here" if version > VERSION else "drop the tables SignalR_…"
            raise BackplaneError(
                f"The tables have version {version}, this asgi-signalr needs version {VERSION}: {advice}."
            )
        counters, top = (await connection.execute(select(func.count(), func.max(_counter.c.PayloadId)))).one()
        highest = await connection.scalar(select(func.max(_messages.c.PayloadId))) or 0
        if counters != 1 or highest > top:
            await connection.execute(delete(_counter))
            await connection.execute(insert(_counter).values(PayloadId=max(top or 0, highest), Epoch=uuid4()))

    @_whole
    async def _close(self, connection: AsyncConnection) -> None:
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

    @_whole
    async def _page(self, connection: AsyncConnection, after: int | None) -> Page:
        async with connection.begin():
            counters, top, highest = (
                await connection.execute(
                    select(
                        func.count(),
                        func.max(_counter.c.PayloadId),
                        select(func.max(_messages.c.PayloadId)).scalar_subquery(),
                    )
                )
            ).one()
            if counters != 1 or (highest or 0) > top:
                raise LookupError("the counter is missing or wrong")
            epoch = await connection.scalar(select(_counter.c.Epoch))
            of_last = select(_messages.c.Sender, _messages.c.InsertedOn).where(
                _messages.c.PayloadId == (top if after is None else after)
            )
            last = (await connection.execute(of_last)).one_or_none()
            messages = [] if after is None else await self._following(connection, after)
        assert epoch is not None  # noqa: S101  (there is one row)
        return Page(top, epoch, _now(), Mark(*last) if last is not None else None, messages)

    async def _following(self, connection: AsyncConnection, after: int) -> list[Message]:
        """Read as many messages as their bytes allow, and one in any case."""
        sizes = (
            select(_messages.c.PayloadId, func.length(_messages.c.Payload))
            .where(_messages.c.PayloadId > after)
            .order_by(_messages.c.PayloadId)
            .limit(MAX_BATCH)
        )
        until, size = after, 0
        for number, length in await connection.execute(sizes):
            if until != after and size + length > self._page_bytes:
                break
            until, size = number, size + length
        rows = await connection.execute(
            select(_messages)
            .where(and_(_messages.c.PayloadId > after, _messages.c.PayloadId <= until))
            .order_by(_messages.c.PayloadId)
        )
        return [Message(*row) for row in rows]

    @_whole
    async def _renew_epoch(self, connection: AsyncConnection, epoch: UUID) -> UUID:
        async with connection.begin():
            await connection.execute(update(_counter).where(_counter.c.Epoch == epoch).values(Epoch=uuid4()))
            renewed: UUID = (await connection.execute(select(_counter.c.Epoch))).scalar_one()
        return renewed

    @_whole
    async def _last_until(self, connection: AsyncConnection, time: datetime | None) -> int:
        async with connection.begin():
            newest = select(func.max(_messages.c.PayloadId)).where(_messages.c.InsertedOn <= (time or datetime.min))
            return await connection.scalar(newest) or 0

    # Sending.

    @_whole
    async def _append(self, connection: AsyncConnection, batch: list[bytes]) -> None:
        async with connection.begin():
            changed = await connection.execute(
                update(_counter).values(PayloadId=_counter.c.PayloadId + literal(len(batch)))
            )
            if changed.rowcount != 1:
                raise LookupError("the counter is missing or wrong")
            last = (await connection.execute(select(_counter.c.PayloadId))).scalar_one()
            first, now = last - len(batch) + 1, _now()
            rows: list[dict[str, Any]] = [
                {"PayloadId": first + index, "Payload": payload, "InsertedOn": now, "Sender": self.sender}
                for index, payload in enumerate(batch)
            ]
            await connection.execute(insert(_messages), rows)
        self._confirmed = last
        self._bell.set()

    @_whole
    async def _is_stored(self, connection: AsyncConnection) -> bool:
        async with connection.begin():
            newest = await connection.scalar(
                select(func.max(_messages.c.PayloadId)).where(
                    and_(_messages.c.PayloadId > self._confirmed, _messages.c.Sender == self.sender)
                )
            )
        self._confirmed = newest or self._confirmed
        return newest is not None

    @_whole
    async def _tidy(self, connection: AsyncConnection) -> float:
        """Delete what is too old; the last of it stays, by which a server knows that it has missed nothing."""
        number = _messages.c.PayloadId
        too_old = _messages.c.InsertedOn < _now() - timedelta(seconds=self._keep_seconds)
        oldest = select(func.max(number)).where(too_old).scalar_subquery()
        newest = select(func.max(_counter.c.PayloadId)).scalar_subquery()
        async with connection.begin():
            await connection.execute(
                delete(_messages).where(or_(number < oldest, number <= newest - self._keep_messages))
            )
        return self._retention_interval


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _prepare(connection: Any, _record: object) -> None:
    # The driver is not to begin transactions by itself: a read of several statements is to see one state.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout = 9000")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def _begin(connection: Connection) -> None:
    # Reads take no lock that a writer needs. Writers have it from their first statement, which writes.
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))
