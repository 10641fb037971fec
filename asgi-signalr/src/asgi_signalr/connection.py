"""One connection of a hub: what its client sent, what is on the way to it, and when it is over.

Its life: opened → handshake → connected → ended. It ends because the client goes or closes, or because the server
says so through `end`, from wherever it is; the conversation in `dispatch` then says good-bye.
"""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from asgi_signalr.context import HubCallerContext
from asgi_signalr.errors import for_client
from asgi_signalr.messages import Close, Message, Ping
from asgi_signalr.options import Options
from asgi_signalr.outbox import Flusher, Outbox, Payload
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.protocols.json import JsonHubProtocol
from asgi_signalr.transports import Transport

if TYPE_CHECKING:
    from asgi_signalr.lifetime import HubLifetime

logger = logging.getLogger("asgi_signalr")

T = TypeVar("T")

CLIENT_TIMEOUT = "Client hasn't sent a message/ping within the configured ClientTimeoutInterval."


@dataclass(frozen=True)
class Ending:
    """Why the server ends a connection, and what it tells the client."""

    error: Exception | None = None
    """What `on_disconnected` is given."""
    close: Close | None = None
    """The good-bye; None if the client is not there to read it."""


class Ended(Exception):  # noqa: N818  (a turn of events, no error)
    """The server has ended the connection while it was waiting for its client."""


class HubConnection:
    """A client of a hub."""

    def __init__(
        self,
        context: HubCallerContext,
        transport: Transport,
        lifetime: "HubLifetime",
        options: Options,
        flusher: Flusher,
    ) -> None:
        self.id = context.connection_id
        self.context = context
        self.transport = transport
        self.lifetime = lifetime
        self.options = options
        self.protocol: HubProtocol = JsonHubProtocol()
        self.buffer = bytearray()
        self.groups: set[str] = set()
        self.running: asyncio.Task[None] | None = None
        self.ending: Ending | None = None
        self.handshaken = False
        self.armed = False  # the client's time-out counts from its first ping
        self.outbox = Outbox(transport.send, flusher, options.max_queued_bytes, self._cannot_send)
        self._heard = False
        self._is_closed = False
        self._waiting: asyncio.Task[object] | None = None
        now = asyncio.get_running_loop().time()
        self._opened = self._last_heard = self._last_written = now
        context.on_abort = self.abort

    def find_lifetime(self) -> "HubLifetime":
        """The hub's connections, for what the hub sends."""
        return self.lifetime

    def log(self, direction: str, text: object) -> None:
        """Write a line of the transcript: `<` received, `>` sent, `=` what happened."""
        logger.debug("%s %s %s", self.id, direction, text)

    # Sending.

    def write(self, payload: Payload) -> None:
        """Queue encoded messages; a connection that has ended takes none."""
        if self.ending is None:
            self.outbox.put(payload)

    def send(self, message: Message) -> None:
        """Encode one message and queue it.

        Raises:
            TypeError, ValueError: an argument or a result cannot be encoded.

        """
        payload = Payload(self.protocol.write(message), binary=self.protocol.binary)
        if logger.isEnabledFor(logging.DEBUG):
            self.log(">", f"{summary(message)} [{len(payload.data)} bytes]")
        self.write(payload)

    # Receiving.

    async def receive(self) -> bytes | None:
        """Wait for bytes from the client; None once it has gone.

        Raises:
            Ended: the server has ended the connection.

        """
        data = await self.interruptible(self.transport.receive())
        self._heard = True
        return data

    async def interruptible(self, awaitable: Coroutine[Any, Any, T]) -> T:
        """Wait for something, but not longer than the connection lasts.

        Only these waits are ever interrupted; a hub's own code is not.

        Raises:
            Ended: the server has ended the connection.

        """
        if self._has_ended():
            awaitable.close()
            raise Ended
        task = asyncio.current_task()
        self._waiting = task
        try:
            return await awaitable
        except asyncio.CancelledError:
            if self._has_ended() and task is not None and task.uncancel() == 0:
                raise Ended from None
            raise
        finally:
            self._waiting = None

    # Ending.

    def _has_ended(self) -> bool:
        return self.ending is not None

    def end(self, ending: Ending) -> None:
        """End the connection, from anywhere on the event loop. The first ending counts."""
        if self.ending is not None:
            return
        self.ending = ending
        if self._waiting is not None:
            self._waiting.cancel()

    def abort(self) -> None:
        """End the connection at the hub's own wish: the client does not come back by itself."""
        self.end(Ending(close=Close()))

    def fail(self, error: Exception, *, allow_reconnect: bool) -> None:
        """End the connection because of an error."""
        self.log("=", f"ends: {type(error).__name__}: {error}")
        text = for_client("Connection closed with an error.", error, self.options.detailed_errors)
        self.end(Ending(error, Close(text, allow_reconnect)))

    async def say_goodbye(self) -> None:
        """Send what is queued and the Close message, then close the transport: as far as that is possible in time."""
        if self._is_closed:
            return
        self._is_closed = True
        ending = self.ending = self.ending or Ending()
        try:
            async with asyncio.timeout(self.options.close_timeout):
                if ending.close is not None:
                    if self.handshaken:
                        self.outbox.put(Payload(self.protocol.write(ending.close), binary=self.protocol.binary))
                        self.log(">", summary(ending.close))
                    await self.outbox.drain()
                self.outbox.close()
                await self.transport.close()
        except Exception as error:  # noqa: BLE001  (the client may go at any moment; then this is all there is to do)
            self.log("=", f"closed uncleanly: {type(error).__name__}: {error}")
        finally:
            self.outbox.close()

    def _cannot_send(self, error: Exception) -> None:
        self.log("=", f"cannot be sent to: {type(error).__name__}: {error}")
        self.end(Ending(error))

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
        if self.outbox.parked_since is not None and now - self.outbox.parked_since >= options.send_timeout:
            self.outbox.close()
            self._cannot_send(TimeoutError("The client takes nothing of what is sent to it."))
        elif not self.handshaken:
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
