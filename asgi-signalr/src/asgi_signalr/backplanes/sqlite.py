"""The backplane in a file of SQLite: two processes on one machine, and no server."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from sqlite3 import OperationalError
from typing import Any, TypeVar, Unpack

from sqlalchemy import event
from sqlalchemy.engine import URL, Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from asgi_signalr.backplanes.sql import SqlBackplane, parsed
from asgi_signalr.backplanes.sql_statements import Statements
from asgi_signalr.backplanes.tables import TableOptions

_BUSY = 9.0
"""How many seconds one waits for a lock."""

R = TypeVar("R")


class SqliteBackplane(SqlBackplane):
    """Joins the servers that use one file; `open_backplane("sqlite:///quiz.db")` makes it.

    The options are those of every `SqlBackplane`. The file is in WAL mode, which needs a disk of the machine's own, and
    not a network's.
    """

    def __init__(self, url: str, **options: Unpack[TableOptions]) -> None:
        parts = parsed(url)
        if parts.host or not parts.database or parts.database == ":memory:":
            raise ValueError("The servers need one file: sqlite:///PATH, such as sqlite:///signalr.db.")
        super().__init__(parts.database, parts.set(drivername="sqlite+aiosqlite"), Statements(), {}, **options)
        event.listen(self._engine.sync_engine, "connect", _prepare)
        event.listen(self._engine.sync_engine, "begin", _begin)

    def _unknown_options(self, url: URL, given: dict[str, Any]) -> set[str]:
        return set(url.query) - set(given)  # SQLAlchemy leaves them out

    async def _carry_out(self, coroutine: Coroutine[Any, Any, R], doing: str) -> R:
        """Have a transaction end before its task does: one that is cut off in its thread keeps the lock for a while."""
        task = asyncio.ensure_future(coroutine)
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

    async def _connect(self, doing: str) -> AsyncConnection:
        if not self._has_folder():
            raise LookupError("there is no such folder: make it")
        await self._carry_out(self._install_alone(), doing)
        connection = await self._engine.connect()
        connection.info["file"] = self._file()
        return connection

    async def _install_alone(self) -> None:
        # Looks first and writes then, so it needs the lock from its beginning: a lock cannot be had later in it.
        async with self._engine.execution_options(begin="BEGIN IMMEDIATE").connect() as connection:
            await _keep_a_log(connection)
            await self._install(connection)

    async def _look(self) -> AsyncConnection:
        if self._file() is None:
            raise self._nothing
        return await super()._look()

    async def _close(self, connection: AsyncConnection) -> None:
        await self._carry_out(connection.close(), "")

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


async def _keep_a_log(connection: AsyncConnection) -> None:
    """Put the file into WAL mode; several that do so at once are told that it is locked, however patient they are."""
    driver: Any = (await connection.get_raw_connection()).driver_connection
    async with asyncio.timeout(_BUSY):
        while True:
            try:
                await driver.execute("PRAGMA journal_mode = WAL")
            except OperationalError as error:
                if "locked" not in str(error):
                    raise
                await asyncio.sleep(0.02)
            else:
                return


def _prepare(connection: Any, _record: object) -> None:
    # The driver is not to begin transactions by itself: a read of several statements is to see one state.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY * 1000:.0f}")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def _begin(connection: Connection) -> None:
    # Reads take no lock that a writer needs. Writers have it from their first statement, which writes.
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))
