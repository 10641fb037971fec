"""A client of a persistent connection: each of its messages stands for itself, text or bytes."""

import asyncio
from collections.abc import Awaitable, Sequence

from asgi_signalr.connections.connection import Connection, Ending
from asgi_signalr.connections.encoding import Encoding
from asgi_signalr.context import HubCallerContext
from asgi_signalr.errors import InvalidDataError
from asgi_signalr.protocols import check_size
from asgi_signalr.scaleout.local_hub import LocalHub
from asgi_signalr.transports import TRANSPORTS, Transport, Write
from asgi_signalr.transports.payload import Payload
from asgi_signalr.transports.websockets import WebSocketTransport

# How a WebSocket is closed (RFC 6455, section 7.4.1, and IANA's registry): here nothing else says why.
NORMAL, TOO_BIG, FAILED, RESTARTING = 1000, 1009, 1011, 1012

TEXT = Encoding("text", {"text": False})
ANYTHING = Encoding("anything", {"text": False, "binary": True})


class RawConnection(Connection):
    """A client of a persistent connection's endpoint."""

    __slots__ = ("_last_written", "local_hub")

    takes_whole_messages = True

    def __init__(
        self, context: HubCallerContext, transport: Transport, local_hub: LocalHub, max_message_size: int | None = None
    ) -> None:
        super().__init__(context, transport, local_hub.options, local_hub.flusher, local_hub.dropped)
        if max_message_size is not None:
            self.max_message_size = max_message_size
        if isinstance(transport, WebSocketTransport):
            transport.tells_text = True
        self.local_hub = local_hub
        self.encoding = ANYTHING if "Binary" in TRANSPORTS[transport.name] else TEXT
        self._last_written = asyncio.get_running_loop().time()

    async def receive_message(self) -> str | bytes | None:
        """Wait for a message; None once the client has gone.

        Raises:
            Ended: the server has ended the connection.
            InvalidDataError: the message is too long.

        """
        message = await self.interruptible(self.transport.receive())
        if message is not None:
            size = len(message.encode() if isinstance(message, str) else message)
            check_size(size, self.max_message_size)
            if isinstance(message, bytes) and self.encoding is TEXT:  # posted before it was known to be events
                return message.decode(errors="replace")
        return message

    def sender(self) -> Write:
        """Send each message apart: they have no other bounds than those of the transport."""
        return self._send_apart

    def _send_apart(self, payloads: Sequence[Payload]) -> Awaitable[None] | None:
        for number, payload in enumerate(payloads, 1):
            sending = self.transport.send((payload,))
            if sending is not None:
                return self._send_later(sending, payloads[number:])
        return None

    async def _send_later(self, sending: Awaitable[None], payloads: Sequence[Payload]) -> None:
        await sending
        for payload in payloads:
            after = self.transport.send((payload,))
            if after is not None:
                await after

    def tick(self, now: float) -> None:
        """Keep a silent transport open, where it has nothing else for that; by the event loop's clock."""
        super().tick(now)
        if self.outbox.used:
            self.outbox.used = False
            self._last_written = now
        elif (frame := self.transport.keep_alive_frame) is not None and (
            now - self._last_written >= self.options.keep_alive_interval
        ):
            self._last_written = now
            self.write(frame)

    def farewell(self, ending: Ending) -> Payload | None:
        """Say nothing: only the WebSocket's code tells the client why."""
        return None

    def close_code(self, ending: Ending) -> int:
        """Choose the code with which a WebSocket is closed."""
        if isinstance(ending.error, InvalidDataError):
            return TOO_BIG
        if ending.error is not None:
            return FAILED
        return RESTARTING if ending.close is not None and ending.close.allow_reconnect else NORMAL
