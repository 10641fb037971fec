"""A server: what the hubs of one application share on one event loop.

The backplane, the connections that are negotiated or open, the one timer that watches them all, and the flusher
that sends what they have queued.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass

from asgi_signalr.backplanes import Backplane
from asgi_signalr.connection import Ending, HubConnection, logger
from asgi_signalr.lifetime import HubLifetime
from asgi_signalr.messages import Close
from asgi_signalr.options import Options
from asgi_signalr.outbox import Flusher
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.scaleout import Acknowledgement, Delivery, Envelope, GroupCommand, decode, encode


@dataclass
class Negotiated:
    """A connection that was negotiated: known by its token, which is secret, unlike its id."""

    connection_id: str
    hub: str
    user_identifier: str | None
    since: float
    transport: str | None = None
    """What it was opened with; None while it is still to be opened."""


class Server:
    """The state of one application on one event loop."""

    def __init__(
        self,
        options: Options,
        protocols: Mapping[str, HubProtocol],
        open_backplane: Callable[[], Backplane],
        *,
        alone: bool,
    ) -> None:
        self.id = secrets.token_hex(8)
        self.flusher = Flusher()
        self.is_alone = alone
        self._options = options
        self._protocols = protocols
        self._loop = asyncio.get_running_loop()
        self._open_backplane = open_backplane
        self._backplane: Backplane | None = None
        self._starting: asyncio.Task[None] | None = None
        self._until_loop_ends: AsyncGenerator[None, None] | None = None
        self._lifetimes: dict[str, HubLifetime] = {}
        self._negotiated: dict[str, Negotiated] = {}
        self._connections: set[HubConnection] = set()
        self._all_closed = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    def lifetime(self, hub: str) -> HubLifetime:
        """The connections of a hub, by its name."""
        if hub not in self._lifetimes:
            self._lifetimes[hub] = HubLifetime(hub, self._protocols, self, self._options.group_timeout)
        return self._lifetimes[hub]

    # Connections.

    def negotiate(self, token: str, negotiated: Negotiated) -> None:
        """Remember a connection that a client is going to open."""
        self._negotiated[token] = negotiated
        self._watch()

    def negotiated(self, token: str, hub: str) -> Negotiated | None:
        """Look up a token; None if it is unknown, or another hub's."""
        entry = self._negotiated.get(token)
        return entry if entry is not None and entry.hub == hub else None

    def opened(self, connection: HubConnection) -> None:
        """Watch over a connection from now on."""
        self._connections.add(connection)
        self._watch()

    def closed(self, connection: HubConnection, token: str | None) -> None:
        """Forget a connection; its token is worth nothing any more."""
        self._connections.discard(connection)
        if not self._connections:
            self._all_closed.set()
        if token is not None:
            self._negotiated.pop(token, None)

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

    # The backplane.

    async def start(self) -> None:
        """Start the backplane, unless that has happened. It stops with `stop`, or else with the event loop."""
        if self._starting is None:
            self._starting = self._loop.create_task(self._start())
        if not self._starting.done():
            await asyncio.wait({self._starting})
        try:
            self._starting.result()
        except BaseException:
            self._starting = None  # the next one tries again
            raise

    async def _start(self) -> None:
        backplane = self._open_backplane()
        await backplane.start(self._deliver)
        self._backplane = backplane
        # The event loop closes its asynchronous generators before it ends: the one hook there is without a lifespan.
        self._until_loop_ends = _then(backplane.stop)
        await anext(self._until_loop_ends)
        logger.debug("server %s joined the backplane %s", self.id, type(backplane).__name__)

    async def stop(self) -> None:
        """Tell every client to come back later, and stop the backplane."""
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
        if self._until_loop_ends is not None:
            guard, self._until_loop_ends = self._until_loop_ends, None
            self._backplane = self._starting = None
            await guard.aclose()

    async def publish(self, envelope: Envelope) -> None:
        """Hand an envelope to every server, this one included.

        Raises:
            BackplaneError: the backplane takes no more for now.

        """
        backplane = self._backplane
        if backplane is None:
            await self.start()
            backplane = self._backplane
        assert backplane is not None  # noqa: S101  (start has returned)
        await backplane.publish(encode(envelope))

    def _deliver(self, payload: bytes) -> None:
        """Take an envelope from the backplane. Never raises: the stream is for all, and goes on."""
        try:
            envelope = decode(payload)
            logger.debug(
                "server %s < %s for %s [%d bytes]", self.id, type(envelope).__name__, envelope.hub, len(payload)
            )
            lifetime = self._lifetimes.get(envelope.hub)
            if lifetime is None:
                return  # nobody has connected to this hub here
            match envelope:
                case Delivery():
                    lifetime.deliver(envelope)
                case GroupCommand():
                    answer = lifetime.obey(envelope)
                    if answer is not None:
                        self._answer(answer)
                case Acknowledgement(_, command_id, server) if server == self.id:
                    lifetime.acknowledge(command_id)
        except ValueError as error:
            logger.warning("A message of another version was passed over: %s", error)
        except Exception:  # noqa: BLE001  (the contract of `Deliver`)
            logger.exception("A message of the backplane could not be delivered.")

    def _answer(self, acknowledgement: Acknowledgement) -> None:
        task = self._loop.create_task(self.publish(acknowledgement))
        _answering.add(task)
        task.add_done_callback(_answering.discard)


_answering: set[asyncio.Task[None]] = set()


async def _then(stop: Callable[[], Awaitable[None]]) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await stop()
