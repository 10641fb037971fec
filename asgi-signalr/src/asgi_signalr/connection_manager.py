"""The connections of one application on one event loop: negotiated or open, watched by one timer."""

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from asgi_signalr import shutdown
from asgi_signalr.connection import Connection, Ending, logger
from asgi_signalr.http import Refusal
from asgi_signalr.messages import Close
from asgi_signalr.options import Options
from asgi_signalr.transports.long_polling import LongPollingTransport


@dataclass
class Negotiated:
    """A connection that was negotiated: known by its token, which is secret, unlike its id."""

    connection_id: str
    hub: str
    user_identifier: str | None
    alone_since: float | None
    """Since when no request of the client is here, by the event loop's clock; None while one is."""
    stateful: bool = False
    """Whether the client may bring another WebSocket when one is lost."""
    connection: Connection | None = None
    """What it was opened as; None while it is still to be opened."""

    @property
    def is_to_be_told(self) -> bool:
        """Whether something is kept for the client, which it has to come for."""
        transport = self.connection.transport if self.connection is not None else None
        return isinstance(transport, LongPollingTransport) and not transport.is_over


class ConnectionManager:
    """Knows which connections there are, and looks after them as time passes."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._negotiated: dict[str, Negotiated] = {}
        self._connections: set[Connection] = set()
        self._conversations: set[asyncio.Task[None]] = set()
        self._is_stopping = False
        self._quiet = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    def negotiate(self, token: str, negotiated: Negotiated) -> None:
        """Remember a connection that a client is going to open.

        Raises:
            Refusal: there is no place for one more.

        """
        self._admit()
        self._negotiated[token] = negotiated
        self._watch()

    def negotiated(self, token: str, hub: str) -> Negotiated | None:
        """Look up a token; None if it is unknown, or another endpoint's."""
        entry = self._negotiated.get(token)
        return entry if entry is not None and entry.hub == hub else None

    def forget(self, token: str | None) -> None:
        """Forget what was negotiated; the token is worth nothing any more."""
        if token is not None:
            self._negotiated.pop(token, None)
            self.settle()

    def opened(self, connection: Connection) -> None:
        """Watch over a connection from now on.

        Raises:
            Refusal: there is no place for one more.

        """
        self._admit()
        self._connections.add(connection)
        self._watch()

    def closed(self, connection: Connection) -> None:
        """Forget a connection: its conversation is over."""
        self._connections.discard(connection)
        self.settle()

    def converse(self, conversation: Coroutine[Any, Any, None]) -> None:
        """Run a conversation that outlives the request that has begun it."""
        task = self._loop.create_task(conversation)
        self._conversations.add(task)
        task.add_done_callback(self._conversed)

    def _conversed(self, task: asyncio.Task[None]) -> None:
        self._conversations.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("A conversation has failed.", exc_info=error)

    def _admit(self) -> None:
        if self._is_stopping:
            raise Refusal(503, "The server is about to stop.", Retry_After="1")

    def stop(self) -> None:
        """Tell every client to come back later, and admit nobody any more."""
        self._is_stopping = True
        for connection in tuple(self._connections):
            connection.end(Ending(close=Close(allow_reconnect=True)))

    async def close_all(self) -> None:
        """Tell every client to come back later, and wait until they have been told."""
        self.stop()
        self._quiet.clear()
        self.settle()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._options.close_timeout):
                await self._quiet.wait()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def settle(self) -> None:
        """See whether everybody has gone and been told: polling clients, too, which have to ask for it."""
        if not self._connections and not any(entry.is_to_be_told for entry in self._negotiated.values()):
            self._quiet.set()

    def _watch(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(self._options.tick, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if shutdown.is_asked_for():
            self.stop()
        now = self._loop.time()
        for connection in tuple(self._connections):
            connection.tick(now)
        for token, entry in tuple(self._negotiated.items()):
            if entry.alone_since is not None and now - entry.alone_since >= self._options.disconnect_timeout:
                self._abandon(token, entry)
        if self._connections or self._negotiated:
            self._watch()

    def _abandon(self, token: str, entry: Negotiated) -> None:
        self.forget(token)
        if entry.connection is None:
            logger.debug("%s = was negotiated, and never opened", entry.connection_id)
        elif isinstance(entry.connection.transport, LongPollingTransport):
            entry.connection.log("=", "has not polled for too long")
            entry.connection.transport.terminate()
