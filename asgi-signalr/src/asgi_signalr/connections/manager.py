"""The connections of one application on one event loop: negotiated or open, watched by one timer."""

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, NoReturn
from weakref import WeakSet

from asgi_signalr.connections import shutdown
from asgi_signalr.connections.connection import Connection, Ending
from asgi_signalr.connections.metrics import Metrics, Status
from asgi_signalr.connections.outbox import SlowClientError
from asgi_signalr.http import Refusal, address_of
from asgi_signalr.messages import Close
from asgi_signalr.options import Options
from asgi_signalr.transports.inbox import Inbox
from asgi_signalr.transports.long_polling import LongPollingTransport

logger = logging.getLogger("asgi_signalr")


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
    is_forgotten: bool = False
    """Whether the token is worth nothing any more."""
    connection: Connection | None = None
    """The connection that it became; None while it is still to be opened."""
    conversation: asyncio.Task[None] | None = None
    """What is said on it, where that is no request's own affair."""
    posted: Inbox | None = None
    """What the client has posted before it opened the connection, if it has."""

    @property
    def is_to_be_told(self) -> bool:
        """Whether something is kept for the client, which it has to come for."""
        transport = self.connection.transport if self.connection is not None else None
        return isinstance(transport, LongPollingTransport) and not transport.is_over


class ConnectionManager:
    """Knows which connections there are, and looks after them as time passes."""

    def __init__(self, options: Options, metrics: Metrics) -> None:
        self._options = options
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._negotiated: dict[str, Negotiated] = {}
        self._connections: dict[Connection, tuple[str | None, str | None, float]] = {}  # user, address, since when
        self._abandoned: WeakSet[Connection] = WeakSet()
        self._of_user: Counter[str | None] = Counter()
        self._at_address: Counter[str | None] = Counter()
        self.refused: Counter[str] = Counter()
        """How often there was no place for one more, by the reason."""
        self._conversations: set[asyncio.Task[None]] = set()
        self.unopened: dict[str, str] = {}
        """The tokens of those that are negotiated and not opened, by id, the oldest first."""
        self.since = time.time()
        self._is_stopping = False
        self._quiet = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0  # when the timer is to look next

    @property
    def is_stopping(self) -> bool:
        """Whether the server is about to end."""
        return self._is_stopping or shutdown.is_asked_for()

    def negotiate(self, token: str, negotiated: Negotiated, address: str | None) -> None:
        """Remember a connection that a client is going to open, from a network address.

        Where too many are never opened, the one that has waited longest is forgotten: most clients open theirs at once,
        and somebody who negotiates and negotiates is not to keep them out.

        Raises:
            Refusal: there is no place for one more.

        """
        self._admit(negotiated.user_identifier, address)
        if len(self.unopened) >= self._options.max_negotiated_connections:
            self._count_refused("negotiated")
            self.forget(next(iter(self.unopened.values())))
        self.unopened[negotiated.connection_id] = token
        self._negotiated[token] = negotiated
        self._watch()

    def negotiated(self, token: str, hub: str) -> Negotiated | None:
        """Look up a token; None if it is unknown, or another endpoint's."""
        entry = self._negotiated.get(token)
        return entry if entry is not None and entry.hub == hub else None

    def forget(self, token: str | None) -> None:
        """Forget what was negotiated; the token is worth nothing any more."""
        entry = None if token is None else self._negotiated.pop(token, None)
        if entry is not None:
            entry.is_forgotten = True
            self.unopened.pop(entry.connection_id, None)
            self.settle()

    def opened(self, connection: Connection, entry: Negotiated | None) -> None:
        """Watch over a connection from now on; it was negotiated, or else not.

        Raises:
            Refusal: there is no place for one more.

        """
        user, address = connection.context.user_identifier, address_of(connection.context.scope)
        self._admit(user, address)
        self._connections[connection] = user, address, self._loop.time()
        self._metrics.opened(connection.transport.name)
        self._of_user[user] += 1
        self._at_address[address] += 1
        if entry is not None:
            entry.connection = connection
            entry.alone_since = None
            self.unopened.pop(entry.connection_id, None)
        self._watch()

    def closed(self, connection: Connection) -> None:
        """Forget a connection: its conversation is over."""
        user, address, since = self._connections.pop(connection)
        self._metrics.closed(connection.transport.name, self._status(connection), self._loop.time() - since)
        if connection.ending is not None and isinstance(connection.ending.error, SlowClientError):
            self._metrics.slow_client(connection.context.hub)
        for counter, name in ((self._of_user, user), (self._at_address, address)):
            counter[name] -= 1
            if not counter[name]:
                del counter[name]
        self.settle()

    def _status(self, connection: Connection) -> Status:
        ending = connection.ending
        if connection in self._abandoned or (
            ending is not None and (ending.timed_out or isinstance(ending.error, TimeoutError))
        ):
            return "timeout"
        return "app_shutdown" if self._is_stopping else "normal_closure"

    def counts(self) -> dict[str, dict[str, int]]:
        """Count the open connections, by endpoint and transport."""
        counts: dict[str, dict[str, int]] = {}
        for connection in self._connections:
            of = counts.setdefault(connection.context.hub, {})
            of[connection.transport.name] = of.get(connection.transport.name, 0) + 1
        return counts

    def converse(self, entry: Negotiated, conversation: Coroutine[Any, Any, None]) -> None:
        """Run a conversation that outlives the request that has begun it."""
        task = entry.conversation = self._loop.create_task(conversation)
        self._conversations.add(task)
        task.add_done_callback(self._conversed)

    async def conversed(self, entry: Negotiated) -> None:
        """Wait for the end of a conversation, if the server is about to end: that waits for requests only."""
        if self.is_stopping and entry.conversation is not None:
            seconds = self._options.close_timeout + self._options.stop_timeout
            await asyncio.wait({entry.conversation}, timeout=seconds)

    def _conversed(self, task: asyncio.Task[None]) -> None:
        self._conversations.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("A conversation has failed.", exc_info=error)

    def _admit(self, user: str | None, address: str | None) -> None:
        of_user, at_address = self._options.max_connections_per_user, self._options.max_connections_per_address
        anonymous = self._options.max_anonymous_connections
        if self.is_stopping:
            self._refuse("stopping", 503, "The server is about to stop.")
        if user is not None and of_user is not None and self._of_user[user] >= of_user:
            self._refuse("user", 429, f"This user has {of_user} connections already, as many as are allowed.")
        if user is None and anonymous is not None and self._of_user[None] >= anonymous:
            self._refuse("anonymous", 429, f"There are {anonymous} connections without a user, as many as are allowed.")
        if address is not None and at_address is not None and self._at_address[address] >= at_address:
            self._refuse("address", 429, f"This address has {at_address} connections already, as many as are allowed.")

    def _refuse(self, reason: str, status: int, text: str) -> NoReturn:
        self._count_refused(reason)
        raise Refusal(status, text, Retry_After="1")

    def _count_refused(self, reason: str) -> None:
        self.refused[reason] += 1
        self._metrics.refused(reason)

    def send_away(self) -> None:
        """Tell every client to come back later."""
        for connection in tuple(self._connections):
            connection.end(Ending(close=Close(allow_reconnect=True)))

    async def close_all(self) -> None:
        """Tell every client to come back later, admit nobody any more, and wait until all have been told."""
        self._is_stopping = True
        self.send_away()
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
        if not self._is_stopping or self._connections:  # nobody waits for it, or it is too early
            return
        if not any(entry.is_to_be_told for entry in self._negotiated.values()):
            self._quiet.set()

    def _watch(self) -> None:
        if self._timer is None:
            self._due = self._loop.time() + self._options.tick
            self._timer = self._loop.call_at(self._due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if shutdown.is_asked_for():
            self.send_away()
        now = self._loop.time()
        # While the loop or the whole process stood still, nobody was heard: that time is nobody's silence.
        standstill = now - self._due if now - self._due > self._options.tick else 0.0
        for connection in tuple(self._connections):
            if standstill:
                connection.forgive(standstill)
            connection.tick(now)
        for token, entry in tuple(self._negotiated.items()):
            if entry.alone_since is None:
                continue
            entry.alone_since += standstill
            if now - entry.alone_since >= self._options.disconnect_timeout:
                self._abandon(token, entry)
        if self._connections or self._negotiated:
            self._watch()

    def _abandon(self, token: str, entry: Negotiated) -> None:
        self.forget(token)
        if entry.connection is None:
            logger.debug("%s = was negotiated, and never opened", entry.connection_id)
        elif isinstance(entry.connection.transport, LongPollingTransport):
            if entry.connection.ending is None:
                entry.connection.log("=", "has not polled for too long")
            self._abandoned.add(entry.connection)
            entry.connection.transport.terminate()
