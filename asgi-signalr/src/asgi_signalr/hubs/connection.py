"""A client of a hub: the protocol it speaks, and whether it is still there.

Its life: opened → handshake → connected → ended. A stateful connection may lose its WebSocket meanwhile, and goes on
with the next one as if nothing had happened.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from functools import cache
from typing import Any

from asgi_signalr.connections.connection import Connection, Ending
from asgi_signalr.connections.encoding import Encoding
from asgi_signalr.connections.outbox import Outbox, SlowClientError
from asgi_signalr.context import HubCallerContext
from asgi_signalr.errors import for_client
from asgi_signalr.hubs.calls import Calls
from asgi_signalr.hubs.message_buffer import COUNTED, MessageBuffer
from asgi_signalr.logs import printable
from asgi_signalr.messages import Close, Message, Ping
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.protocols.json import JsonHubProtocol
from asgi_signalr.scaleout.local_hub import LocalHub
from asgi_signalr.transports import Transport
from asgi_signalr.transports.pace import Pace
from asgi_signalr.transports.payload import Payload
from asgi_signalr.transports.resumable import ResumableTransport

logger = logging.getLogger("asgi_signalr")

CLIENT_TIMEOUT = "Client hasn't sent a message/ping within the configured ClientTimeoutInterval."

_BEFORE_THE_HANDSHAKE = JsonHubProtocol()


@cache
def _encoding(protocol: str, binary: bool) -> Encoding:
    return Encoding(protocol, {protocol: binary})


class HubConnection(Connection):
    """A client of a hub."""

    __slots__ = (
        "_detached_at",
        "_has_stale_bytes",
        "_held",
        "_held_bytes",
        "_is_read_out",
        "_is_stalled",
        "_last_heard",
        "_last_written",
        "_opened",
        "armed",
        "buffer",
        "calls",
        "handshaken",
        "heard",
        "local_hub",
        "messages",
        "protocol",
    )

    def __init__(self, context: HubCallerContext, transport: Transport, local_hub: LocalHub) -> None:
        options = local_hub.options
        super().__init__(context, transport, options, local_hub.flusher, local_hub.dropped)
        self.local_hub = local_hub
        self.protocol: HubProtocol = _BEFORE_THE_HANDSHAKE
        self.buffer = bytearray()
        self.calls = Calls(options.max_parallel_invocations)
        self.handshaken = False
        self.armed = False  # the client's time-out counts from its first ping
        self.messages: MessageBuffer | None = None  # what makes the connection a stateful one
        self._detached_at: float | None = None
        self._has_stale_bytes = False
        self._is_stalled = False
        self._is_read_out = False  # whether it is known that nothing more comes
        self.heard = False  # since the timer looked last
        self._opened = self._last_heard = self._last_written = asyncio.get_running_loop().time()

    def find_local_hub(self) -> LocalHub:
        """Find the hub's connections, for what the hub sends."""
        return self.local_hub

    def log_message(self, direction: str, message: Message, size: int | None = None) -> None:
        """Write a message into the transcript: its kind, target, id and size in bytes, never its contents."""
        if logger.isEnabledFor(logging.DEBUG):
            facts = _facts(message) if size is None else _facts(message) | {"size": size}
            parts = [printable(str(fact)) for name, fact in facts.items() if name != "size"]
            if getattr(message, "error", None):
                parts.append("with an error")
            if size is not None:
                parts.append(f"[{size} bytes]")
            self.log(direction, " ".join(parts), **facts)

    # Sending.

    def agree(self, protocol: HubProtocol, version: int) -> None:
        """Speak a protocol from now on: the handshake is done. From version 2 on, the connection may be stateful."""
        self.protocol = protocol
        self.encoding = _encoding(protocol.name, protocol.binary)
        self.handshaken = True
        self.log("=", f"shook hands: {protocol.name}")
        if version > 1 and isinstance(self.transport, ResumableTransport):
            self.messages = MessageBuffer(self.options.stateful_reconnect_buffer_size)
            self._held: deque[Message] = deque()
            self._held_bytes = 0
            self.outbox = self._numbered_outbox()
            self.transport.can_resume = True
            self.transport.on_detached = self._pause
            self.transport.on_attached = self._resume

    def send(self, message: Message, write: Callable[[Message], bytes] | None = None) -> None:
        """Encode one message, as its protocol does if nothing else is given, and queue it.

        Raises:
            TypeError, ValueError: an argument or a result cannot be encoded.

        """
        self.write(self._encode(message, write))

    def write(self, payload: Payload) -> None:
        """Queue one encoded message; a connection that has ended takes none."""
        if self.ending is not None:
            return
        if self.messages is not None:
            self.messages.keep(payload)
            if self.messages.size > self.options.max_queued_bytes:
                self._cannot_send(SlowClientError("The client does not acknowledge what is sent to it."))
                return
        if self._detached_at is None:
            self.outbox.put(payload)

    @property
    def has_room(self) -> bool:
        """Whether an answer can be sent now: of a stateful connection not too much waits to be acknowledged."""
        return self.messages is None or self.messages.has_room

    async def room(self) -> None:
        """Wait while much is queued for this client, or has not been acknowledged by it."""
        await super().room()
        if self.messages is not None:
            await self.messages.room()

    def _control(self, message: Message) -> None:
        """Queue a message that is about the connection itself: it is not numbered, and never sent again."""
        if self.ending is None and self._detached_at is None:
            self.outbox.put(self._encode(message))

    def _encode(self, message: Message, write: Callable[[Message], bytes] | None = None) -> Payload:
        payload = Payload((write or self.protocol.write)(message), binary=self.protocol.binary)
        self.log_message(">", message, len(payload.data))
        return payload

    # Receiving.

    def received(self, data: str | bytes | None) -> bytes | None:
        """Note that the client is there. What is left of a lost WebSocket is no beginning of this."""
        self.heard = True
        if self._has_stale_bytes:
            self._has_stale_bytes = False
            self.buffer.clear()
        return data.encode() if isinstance(data, str) else data

    async def stall(self, obstacle: Coroutine[Any, Any, object]) -> None:
        """Read no more before something has happened.

        Raises:
            Ended: the server has ended the connection.

        """
        self._is_stalled = True
        try:
            if self.messages is None:
                await self.interruptible(obstacle)
                return
            waiting = asyncio.ensure_future(obstacle)
            try:
                await self.interruptible(self._read_ahead(self.messages, waiting))
            finally:
                waiting.cancel()
        finally:
            self._is_stalled = False

    async def _read_ahead(self, messages: MessageBuffer, waiting: asyncio.Future[Any]) -> None:
        """Wait for something, and read on meanwhile: it may wait itself for the client's acknowledgements.

        Other messages are held back, up to a limit.

        Raises:
            InvalidDataError: the client broke the protocol.

        """
        while not waiting.done() and self._held_bytes < self.options.max_queued_bytes and not self._is_read_out:
            reading = asyncio.ensure_future(self.transport.receive())
            try:
                await asyncio.wait({waiting, reading}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                reading.cancel()
            if reading.done() and not reading.cancelled():
                await self._hold(messages, self.received(reading.result()))
        await waiting

    async def _hold(self, messages: MessageBuffer, data: bytes | None) -> None:
        if data is None:
            self._is_read_out = True
            return
        self.buffer += data
        pace = Pace()
        for message in self.protocol.parse(self.buffer, self.options.max_message_size):
            if pace.is_over():
                await asyncio.sleep(0)
                pace.begin()
            if messages.accepts(message):
                self._held.append(message)
                messages.held += isinstance(message, COUNTED)
        self._held_bytes += len(data)

    async def more(self) -> bytes | None:
        """Wait for bytes from the client; None once it has gone, which may have been heard already."""
        return None if self._is_read_out else self.received(await self.transport.receive())

    def unread(self) -> Iterator[Message | None]:
        """Read the messages that have arrived, those first that were held back.

        None stands for one that keeps a stateful connection, or came twice: it is not for the hub.

        Raises:
            InvalidDataError: the client broke the protocol.

        """
        messages = self.messages
        if messages is None:
            yield from self.protocol.parse(self.buffer, self.options.max_message_size)
            return
        arrived = self.protocol.parse(self.buffer, self.options.max_message_size)
        while True:
            while self._held:
                message = self._held.popleft()
                messages.held -= isinstance(message, COUNTED)
                yield message
            self._held_bytes = 0
            following = next(arrived, None)
            if following is None:
                return
            yield following if messages.accepts(following) else None

    # Stateful reconnect.

    def _numbered_outbox(self) -> Outbox:
        """Make an outbox that spares a slow client nothing: what is numbered cannot be dropped."""
        return Outbox(self.transport.send, self.local_hub.flusher, self.options.max_queued_bytes, self._cannot_send)

    def _pause(self) -> None:
        self.log("=", "has lost its WebSocket")
        self._detached_at = asyncio.get_running_loop().time()
        self.outbox.close()

    def _resume(self) -> None:
        """Go on with another WebSocket: everything that was not acknowledged is sent again."""
        assert self.messages is not None  # noqa: S101  (else nothing is resumed)
        self.log("=", "goes on with another WebSocket")
        self._detached_at = None
        self.heard = True
        self._has_stale_bytes = True
        self.outbox.close()
        self.outbox = self._numbered_outbox()
        sequence, unacknowledged = self.messages.resume()
        self._control(sequence)
        for payload in unacknowledged:
            self.outbox.put(payload)

    def _cannot_send(self, error: Exception) -> None:
        transport = self.transport
        if self.messages is None or self.ending is not None or isinstance(error, SlowClientError):
            super()._cannot_send(error)
        elif isinstance(transport, ResumableTransport):
            self.log("=", f"cannot be sent to: {type(error).__name__}: {error}")
            transport.detach()

    # Ending.

    def end(self, ending: Ending) -> None:
        """End the connection, from anywhere on the event loop. The first ending counts."""
        super().end(ending)
        if self.messages is not None:
            self.messages.release()

    def fail(self, error: Exception, *, allow_reconnect: bool) -> None:
        """End the connection because of an error."""
        self.log("=", f"ends: {type(error).__name__}: {printable(str(error))}")
        text = for_client("Connection closed with an error.", error, self.options.detailed_errors)
        self.end(Ending(error, Close(text, allow_reconnect)))

    def farewell(self, ending: Ending) -> Payload | None:
        """Encode the Close message, for a client that has shaken hands."""
        if ending.close is None or not self.handshaken:
            return None
        self.log_message(">", ending.close)
        return Payload(self.protocol.write(ending.close), binary=self.protocol.binary)

    # Time.

    def forgive(self, seconds: float) -> None:
        """Count a time in which the whole server stood still as nobody's silence."""
        super().forgive(seconds)
        self._opened += seconds
        self._last_heard += seconds
        if self._detached_at is not None:
            self._detached_at += seconds

    def tick(self, now: float) -> None:
        """Ping a client that heard nothing, end a connection that is overdue; by the event loop's clock."""
        options = self.options
        if self.heard or self._is_busy():
            self.heard = False
            self._last_heard = now
        if self.outbox.used:
            self.outbox.used = False
            self._last_written = now
        super().tick(now)
        if self.ending is not None:
            return
        if self._detached_at is not None:
            if now - self._detached_at >= options.disconnect_timeout:
                self.end(Ending(timed_out=True))
            return
        if self.messages is not None and (acknowledgement := self.messages.acknowledgement()) is not None:
            self._control(acknowledgement)
        if not self.handshaken:
            if now - self._opened >= options.handshake_timeout:
                self.end(Ending(timed_out=True))
        elif self.armed and now - self._last_heard >= options.client_timeout_interval:
            self.fail(TimeoutError(CLIENT_TIMEOUT), allow_reconnect=True)
        elif not self.transport.keeps_alive and now - self._last_written >= options.keep_alive_interval:
            self._last_written = now
            self._control(Ping())

    def _is_busy(self) -> bool:
        """Whether the client is kept waiting by the server itself, which then cannot hear it."""
        return super()._is_busy() or self._is_stalled

    def _notice_absence(self) -> None:
        if self._is_stalled and self.context.aborted.is_set():
            self.end(Ending())  # the methods have been told before, and still let no more messages be read
        else:
            super()._notice_absence()


def _facts(message: Message) -> dict[str, object]:
    facts: dict[str, object] = {"message_type": type(message).__name__}
    for name in ("target", "invocation_id"):
        if (value := getattr(message, name, None)) is not None:
            facts[name] = value
    return facts
