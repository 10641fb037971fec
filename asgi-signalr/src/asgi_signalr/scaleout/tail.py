"""Shows a backplane's messages as they arrive: for people who want to see what their servers tell each other."""

import asyncio
import contextlib
import json
import sys
from typing import Any
from urllib.parse import unquote, urlsplit

from asgi_signalr.scaleout import view

_CHECK = 2.0
"""Seconds between two looks if no notification comes."""


class TailError(Exception):
    """The messages cannot be shown; the text says why, and what to do."""


async def tail_messages(url: str, *, once: bool, lines: int | None, as_json: bool) -> None:
    """Write messages to stdout: the last `lines`, then, unless `once`, every new one.

    Raises:
        TailError: this URL has no messages to show.

    """
    if urlsplit(url).scheme not in ("postgresql", "postgres"):
        raise TailError("only a PostgreSQL backplane's messages are shown: postgresql://USER:PASSWORD@HOST/DATABASE")
    try:
        import asyncpg
    except ImportError as error:
        raise TailError("the PostgreSQL driver is missing: install asgi-signalr[postgres]") from error
    tail = _Tail(url, as_json)
    try:
        if once:
            await tail.show_all(lines)
        else:
            await tail.follow(10 if lines is None else lines)
    except asyncpg.InvalidCatalogNameError as error:
        raise TailError(f"{error}: create it, or check the name") from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
        raise TailError(f"{tail.where}: {error or 'no answer'}") from error


class _Tail:
    """One look at one database."""

    def __init__(self, url: str, as_json: bool) -> None:
        parts = urlsplit(url)
        self._url = url
        self._as_json = as_json
        self.where = parts.netloc.rpartition("@")[2]
        self._database = unquote(parts.path.lstrip("/"))

    async def show_all(self, lines: int | None) -> None:
        """Show the messages that are there; JSON is one document."""
        from asgi_signalr.backplanes import postgres_schema as schema

        connection = await self._connect()
        try:
            if not await schema.is_installed(connection):
                raise TailError(self._no_tables())
            page = await schema.read(connection, None, 1, 1)
            after = 0 if lines is None else max(page.top - lines, 0)
            page = await schema.read(connection, after, 1_000_000, 2**40)
        finally:
            connection.terminate()
        if self._as_json:
            document = {"schema": 1, "messages": [_to_dict(message) for message in page.messages]}
            sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        else:
            for message in page.messages:
                self._show(message)
            if not page.messages:
                sys.stderr.write(f"No messages in database {self._database} yet.\n")

    async def follow(self, lines: int) -> None:
        """Show the last messages, then each new one, until interrupted; survives restarts of the database."""
        import asyncpg

        from asgi_signalr.backplanes import postgres_schema as schema

        last: int | None = None
        epoch: Any = None
        connected = False
        while True:
            try:
                connection = await self._connect()
                connected = True
                bell = asyncio.Event()
                connection.add_termination_listener(lambda _, bell=bell: bell.set())
                with contextlib.suppress(asyncpg.PostgresError):  # refused: then by looking again and again
                    await connection.add_listener(schema.CHANNEL, lambda *_, bell=bell: bell.set())
                await self._wait_for_tables(connection)
                while True:
                    bell.clear()
                    page = await schema.read(connection, last, 200, 4 * 1024 * 1024)
                    if last is None:
                        last, epoch = max(page.top - lines, 0), page.epoch
                        continue
                    if page.epoch != epoch:
                        self._note("The tables were made anew; the numbers begin again.")
                        last, epoch = 0, page.epoch
                        continue
                    for message in page.messages:
                        self._show(message)
                        last = message.payload_id
                    if not page.messages:
                        last = page.top  # lower after a restore, higher after a purge
                        with contextlib.suppress(TimeoutError):
                            async with asyncio.timeout(_CHECK):
                                await bell.wait()
            except asyncpg.InvalidCatalogNameError:
                raise
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError, LookupError) as error:
                if not connected:
                    raise
                self._note(f"{self.where}: {error or 'no answer'}; trying again …")
                await asyncio.sleep(1.0)

    async def _connect(self) -> Any:
        import asyncpg

        return await asyncpg.connect(self._url, timeout=10, server_settings={"application_name": "asgi-signalr tail"})

    async def _wait_for_tables(self, connection: Any) -> None:
        from asgi_signalr.backplanes import postgres_schema as schema

        said = False
        while not await schema.is_installed(connection):
            if not said:
                self._note(self._no_tables() + ". Waiting …")
                said = True
            await asyncio.sleep(0.5)

    def _no_tables(self) -> str:
        return (
            f"database {self._database} has no backplane tables yet: the first server with this backplane makes them, "
            "at its first connection or message"
        )

    def _note(self, text: str) -> None:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def _show(self, message: Any) -> None:
        if self._as_json:
            line = json.dumps(_to_dict(message), ensure_ascii=False)
        else:
            time = message.inserted_on.astimezone().strftime("%H:%M:%S")
            sender = str(message.sender)[:8]
            line = f"{message.payload_id:>5}  {time}  from {sender}  {view.describe(message.payload)}"
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def _to_dict(message: Any) -> dict[str, Any]:
    try:
        what = view.to_dict(message.payload)
    except ValueError as error:
        what = {"kind": "unknown", "error": str(error)}
    return {
        "id": message.payload_id,
        "time": message.inserted_on.isoformat(),
        "sender": str(message.sender),
        "size": len(message.payload),
        **what,
    }
