"""A server: what the hubs of one application share on one event loop.

The backplane, the connections, and the flusher that sends what they have queued.
"""

import asyncio
import logging
import secrets
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from asgi_signalr.backplanes import Backplane, BackplaneError, TellsHealth
from asgi_signalr.connections.manager import ConnectionManager
from asgi_signalr.connections.metrics import find_metrics
from asgi_signalr.connections.outbox import Flusher
from asgi_signalr.options import Options
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.scaleout.envelopes import Envelope, ServerState, decode, encode
from asgi_signalr.scaleout.local_hub import LocalHub
from asgi_signalr.scaleout.presence_events import PresenceFunction
from asgi_signalr.scaleout.presence_tracker import ROLL_CALL_PER_LEASE, PresenceTracker
from asgi_signalr.scaleout.roll import MARK, Roll

logger = logging.getLogger("asgi_signalr")

# Seconds that are left for the last messages at the end.
_PATIENCE = 2.0


class Server:
    """The state of one application on one event loop.

    Args:
        options: the application's.
        protocols: of each hub, by its name, those that its clients may speak, by their names.
        open_backplane: makes the backplane when it is to start.
        alone: whether there can be no other server.
        presence: for the hubs that keep it, by name, who is told of each event.

    """

    def __init__(
        self,
        options: Options,
        protocols: Mapping[str, Mapping[str, HubProtocol]],
        open_backplane: Callable[[], Backplane],
        *,
        alone: bool,
        presence: Mapping[str, Sequence[PresenceFunction]],
    ) -> None:
        self.id = secrets.token_hex(8)
        self.flusher = Flusher()
        self.is_alone = alone
        self.is_served = False
        """Whether requests come here, or the application has started here; else it has only sent from here."""
        self.speaks_websockets: bool | None = None
        """Whether the ASGI server has WebSockets; None: it has not shown yet."""
        self.options = options
        self._protocols = protocols
        self._loop = asyncio.get_running_loop()
        self._open_backplane = open_backplane
        self._backplane: Backplane | None = None
        self._starting: asyncio.Task[None] | None = None
        self._is_stopped = False
        self._until_loop_ends: AsyncGenerator[None, None] | None = None
        self._presence = presence  # the hubs that keep it, and who is told
        self._local_hubs: dict[str, LocalHub] = {}
        self._by_address: dict[str, LocalHub] = {}  # as envelopes name them
        self._publishing: set[asyncio.Task[None]] = set()
        # What a lease is to presence, this is to the roll: the others answer in a fraction of it.
        patience = options.presence_lease * ROLL_CALL_PER_LEASE
        self.roll = Roll(options.channel_prefix, secrets.token_urlsafe(MARK * 3 // 4), self, patience)
        """Which servers there are."""
        self.metrics = find_metrics()
        self.connections = ConnectionManager(options, self.metrics)

    def local_hub(self, name: str) -> LocalHub:
        """Find a hub by its name."""
        local_hub = self._local_hubs.get(name)
        if local_hub is None:
            protocols, presence = self._protocols.get(name, {}), self._presence.get(name)
            local_hub = LocalHub(name, self, protocols, presence, self.options.channel_prefix + name)
            self._local_hubs[name] = self._by_address[local_hub.address] = local_hub
            if local_hub.presence is not None and self._backplane is not None:
                local_hub.presence.begin()
        return local_hub

    @property
    def is_stopping(self) -> bool:
        """Whether it is about to end."""
        return self.connections.is_stopping

    @property
    def has_clients(self) -> bool:
        """Whether anybody is connected; other threads may ask."""
        return any(local_hub.members.connections for local_hub in tuple(self._local_hubs.values()))

    def _presences(self) -> list[PresenceTracker]:
        return [hub.presence for hub in self._local_hubs.values() if hub.presence is not None]

    # The backplane.

    @property
    def backplane(self) -> dict[str, Any]:
        """Describe the backplane: the name of its class, whether this server has joined it now, and how it fares."""
        joined = self._backplane
        health: dict[str, Any] = joined.health if isinstance(joined, TellsHealth) else {}
        return {"name": None if joined is None else type(joined).__name__, "is_joined": joined is not None, **health}

    @property
    def trouble(self) -> str | None:
        """What is wrong with the backplane now, if it tells."""
        trouble: str | None = self.backplane.get("trouble")
        return trouble

    async def start(self) -> None:
        """Start the backplane, unless that has happened. It stops with `stop`, or else with the event loop.

        Raises:
            BackplaneError: the backplane cannot be used, or this server has stopped.

        """
        if self._is_stopped:
            raise BackplaneError("This server has stopped.")
        starting = self._starting
        if starting is None:
            starting = self._starting = self._loop.create_task(self._start())
        if not starting.done():
            await asyncio.wait({starting})
        try:
            starting.result()
        except BaseException:
            if self._starting is starting:
                self._starting = None  # the next one tries again
            raise

    async def _start(self) -> None:
        backplane = self._open_backplane()
        await backplane.start(self._on_payload)
        self._backplane = backplane
        self.metrics.watch(_health_of(weakref.ref(self)))
        # The event loop closes its asynchronous generators before it ends: the one hook there is without a lifespan.
        self._until_loop_ends = _then(backplane.stop)
        await anext(self._until_loop_ends)
        if not self.is_alone:
            self.roll.call()
        for hub in self._presence:
            self.local_hub(hub)
        for presence in self._presences():
            presence.begin()
        logger.debug("server %s joined the backplane %s", self.id, type(backplane).__name__)

    async def stop(self) -> None:
        """Tell every client to come back later, and stop the backplane."""
        begun = self._loop.time()
        await self.connections.close_all()
        left = max(0.0, begun + self.options.stop_timeout - self._loop.time())
        hubs = tuple(self._local_hubs.values())
        await asyncio.gather(*(calls.finish(left) for hub in hubs for calls in tuple(hub.calls_left)))
        await asyncio.gather(*(presence.end(_PATIENCE) for presence in self._presences()))
        if self._backplane is not None and not self.is_alone:
            self.roll.leave()
        if self._publishing:
            await asyncio.wait(self._publishing, timeout=_PATIENCE)
        self._is_stopped = True
        if self._starting is not None and not self._starting.done():
            await asyncio.wait({self._starting})
        if self._until_loop_ends is not None:
            guard, self._until_loop_ends = self._until_loop_ends, None
            self._backplane = self._starting = None
            await guard.aclose()

    def resync(self) -> None:
        """Messages may have been lost: what the servers have told each other has to be told again."""
        self.metrics.gap()
        self.roll.call()
        for presence in self._presences():
            presence.resync()
        if self.options.reconnect_after_gap:
            self.connections.send_away()

    async def publish(self, envelope: Envelope) -> None:
        """Hand an envelope to every server, this one included.

        Raises:
            BackplaneError: the backplane takes no more for now, or this server has stopped.

        """
        backplane = self._backplane
        if backplane is None:
            await self.start()
            backplane = self._backplane
        assert backplane is not None  # noqa: S101  (start has returned)
        await backplane.publish(encode(envelope))

    def publish_soon(self, envelope: Envelope) -> None:
        """Hand an envelope to every server without waiting for that; what was handed over first goes first."""
        task = self._loop.create_task(self._publish_or_log(envelope))
        self._publishing.add(task)
        task.add_done_callback(self._publishing.discard)

    async def _publish_or_log(self, envelope: Envelope) -> None:
        try:
            await self.publish(envelope)
        except BackplaneError as error:
            kind, of = type(envelope).__name__, f" of {envelope.hub}" if envelope.hub else ""
            logger.warning("%s%s was not sent to the other servers: %s", kind, of, error)

    def _on_payload(self, payload: bytes) -> None:
        """Take an envelope from the backplane. Never raises: the stream is for all, and goes on."""
        try:
            envelope = decode(payload)
            if logger.isEnabledFor(logging.DEBUG):
                kind, size = type(envelope).__name__, len(payload)
                extra = {"server_id": self.id, "hub": envelope.hub, "direction": "<", "envelope": kind, "size": size}
                logger.debug("server %s < %s for %s [%d bytes]", self.id, kind, envelope.hub, size, extra=extra)
            if type(envelope) is ServerState:
                if envelope.hub == self.roll.address:
                    self.roll.handle(envelope)
                return
            local_hub = self._by_address.get(envelope.hub)
            if local_hub is not None:  # else nobody has connected to this hub here
                local_hub.handle(envelope)
        except ValueError as error:
            logger.warning("A message of another version was passed over: %s", error)
        except Exception:
            logger.exception("A message of the backplane could not be delivered.")


def _health_of(server: "weakref.ref[Server]") -> Callable[[], Mapping[str, Any]]:
    """What its backplane tells; nothing once the server has gone, which those who measure it do not keep."""

    def tell() -> Mapping[str, Any]:
        there = server()
        return {} if there is None else there.backplane

    return tell


async def _then(stop: Callable[[], Awaitable[None]]) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await stop()
