"""The connections of one application on one event loop: negotiated or open, watched by one timer."""

import asyncio
import contextlib
from dataclasses import dataclass

from asgi_signalr.connection import Connection, Ending, logger
from asgi_signalr.messages import Close
from asgi_signalr.options import Options


@dataclass
class Negotiated:
    """A connection that was negotiated: known by its token, which is secret, unlike its id."""

    connection_id: str
    hub: str
    user_identifier: str | None
    since: float
    transport: str | None = None
    """What it was opened with; None while it is still to be opened."""


class ConnectionManager:
    """Knows which connections there are, and looks after them as time passes."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._negotiated: dict[str, Negotiated] = {}
        self._connections: set[Connection] = set()
        self._all_closed = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    def negotiate(self, token: str, negotiated: Negotiated) -> None:
        """Remember a connection that a client is going to open."""
        self._negotiated[token] = negotiated
        self._watch()

    def negotiated(self, token: str, hub: str) -> Negotiated | None:
        """Look up a token; None if it is unknown, or another endpoint's."""
        entry = self._negotiated.get(token)
        return entry if entry is not None and entry.hub == hub else None

    def opened(self, connection: Connection) -> None:
        """Watch over a connection from now on."""
        self._connections.add(connection)
        self._watch()

    def closed(self, connection: Connection, token: str | None) -> None:
        """Forget a connection; its token is worth nothing any more."""
        self._connections.discard(connection)
        if not self._connections:
            self._all_closed.set()
        if token is not None:
            self._negotiated.pop(token, None)

    async def close_all(self) -> None:
        """Tell every client to come back later, and wait until they have been told."""
        for connection in tuple(self._connections):
            connection.end(Ending(close=Close(allow_reconnect=True)))
        if self._connections:
            self._all_closed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._options.close_timeout):
                    await self._all_closed.wait()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(self._options.tick, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = self._loop.time()
        for connection in tuple(self._connections):
            connection.tick(now)
        for token, entry in tuple(self._negotiated.items()):
            if entry.transport is None and now - entry.since >= self._options.disconnect_timeout:
                del self._negotiated[token]
                logger.debug("%s = was negotiated, and never opened", entry.connection_id)
        if self._connections or self._negotiated:
            self._watch()
