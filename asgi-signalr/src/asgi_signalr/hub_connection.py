"""A client of a hub: the protocol it speaks, and whether it is still there.

Its life: opened → handshake → connected → ended.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from asgi_signalr.connection import Connection, Ending, logger
from asgi_signalr.context import HubCallerContext
from asgi_signalr.errors import for_client
from asgi_signalr.messages import Close, Message, Ping
from asgi_signalr.options import Options
from asgi_signalr.outbox import Flusher, Payload
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.protocols.json import JsonHubProtocol
from asgi_signalr.transports import Transport

if TYPE_CHECKING:
    from asgi_signalr.lifetime import HubLifetime

CLIENT_TIMEOUT = "Client hasn't sent a message/ping within the configured ClientTimeoutInterval."


class HubConnection(Connection):
    """A client of a hub."""

    def __init__(
        self,
        context: HubCallerContext,
        transport: Transport,
        lifetime: "HubLifetime",
        options: Options,
        flusher: Flusher,
    ) -> None:
        super().__init__(context, transport, lifetime, options, flusher)
        self.protocol: HubProtocol = JsonHubProtocol()
        self.buffer = bytearray()
        self.running: asyncio.Task[None] | None = None
        self.handshaken = False
        self.armed = False  # the client's time-out counts from its first ping
        self._heard = False
        self._opened = self._last_heard = self._last_written = asyncio.get_running_loop().time()

    def find_lifetime(self) -> "HubLifetime":
        """The hub's connections, for what the hub sends."""
        return self.lifetime

    # Sending.

    def agree(self, protocol: HubProtocol) -> None:
        """Speak a protocol from now on: the handshake is done."""
        self.protocol = protocol
        self.encoding = protocol.name
        self.handshaken = True
        self.log("=", f"shook hands: {protocol.name}")

    def send(self, message: Message) -> None:
        """Encode one message and queue it.

        Raises:
            TypeError, ValueError: an argument or a result cannot be encoded.

        """
        payload = Payload(self.protocol.write(message), binary=self.protocol.binary)
        if logger.isEnabledFor(logging.DEBUG):
            self.log(">", f"{summary(message)} [{len(payload.data)} bytes]")
        self.write(payload)

    def payload(self, encodings: Mapping[str, bytes]) -> Payload | None:
        """Take what is written in this client's protocol."""
        data = encodings.get(self.protocol.name)
        return None if data is None else Payload(data, binary=self.protocol.binary)

    # Receiving.

    async def receive(self) -> bytes | None:
        """Wait for bytes from the client; None once it has gone.

        Raises:
            Ended: the server has ended the connection.

        """
        data = await super().receive()
        self._heard = True
        return data

    # Ending.

    def fail(self, error: Exception, *, allow_reconnect: bool) -> None:
        """End the connection because of an error."""
        self.log("=", f"ends: {type(error).__name__}: {error}")
        text = for_client("Connection closed with an error.", error, self.options.detailed_errors)
        self.end(Ending(error, Close(text, allow_reconnect)))

    def farewell(self, ending: Ending) -> Payload | None:
        """Encode the Close message, for a client that has shaken hands."""
        if ending.close is None or not self.handshaken:
            return None
        self.log(">", summary(ending.close))
        return Payload(self.protocol.write(ending.close), binary=self.protocol.binary)

    # Time.

    def tick(self, now: float) -> None:
        """Look at the clock: ping a client that heard nothing, end a connection that is overdue."""
        options = self.options
        if self._heard or self._is_busy():
            self._heard = False
            self._last_heard = now
        if self.outbox.used:
            self.outbox.used = False
            self._last_written = now
        super().tick(now)
        if self.ending is not None:
            return
        if not self.handshaken:
            if now - self._opened >= options.handshake_timeout:
                self.end(Ending())
        elif self.armed and now - self._last_heard >= options.client_timeout_interval:
            self.fail(TimeoutError(CLIENT_TIMEOUT), allow_reconnect=True)
        elif not self.transport.keeps_alive and now - self._last_written >= options.keep_alive_interval:
            self._last_written = now
            self.send(Ping())

    def _is_busy(self) -> bool:
        """Whether the client is kept waiting by the server itself, which then cannot hear it."""
        return self._waiting is None or (self.running is not None and not self.running.done())


def summary(message: Message) -> str:
    """Describe a message for the transcript: its kind, its target and id, never its contents."""
    parts = [type(message).__name__]
    parts += [str(value) for name in ("target", "invocation_id") if (value := getattr(message, name, None)) is not None]
    if getattr(message, "error", None):
        parts.append("with an error")
    return " ".join(parts)
