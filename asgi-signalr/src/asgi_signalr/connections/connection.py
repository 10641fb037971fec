"""One client of an endpoint: its way in and out, and when it is over. What is said on it is its handler's affair.

It ends because the client goes, or because the server says so through `end`, from wherever it is; the conversation
of its handler is then interrupted where it waits for the client, and says good-bye.
"""

import asyncio
import inspect
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from asgi_signalr.connections.encoding import NO_ENCODING
from asgi_signalr.connections.outbox import Flusher, Outbox, SendTimeoutError
from asgi_signalr.context import HubCallerContext
from asgi_signalr.messages import Close
from asgi_signalr.options import Options
from asgi_signalr.transports import Transport, Write
from asgi_signalr.transports.payload import Payload

logger = logging.getLogger("asgi_signalr")

T = TypeVar("T")

# Seconds that a transport which could not send everything gets to close.
LAST_WORD = 1.0


@dataclass(frozen=True)
class Ending:
    """Why the server ends a connection, and what it tells the client."""

    error: Exception | None = None
    """The argument of `on_disconnected`."""
    close: Close | None = None
    """The good-bye; None if the client is not there to read it."""
    timed_out: bool = False
    """Whether the client was waited for in vain, without that being an error."""


class Ended(Exception):  # noqa: N818  (a turn of events, no error)
    """The server has ended the connection while it was waiting for its client."""


class Connection:
    """A client of an endpoint, whatever the transport and whatever is said on it.

    Args:
        context: who the client is, and the request that it came with.
        transport: its way in and out.
        options: the application's.
        flusher: sends what this server's connections have queued.
        on_dropped: told how many messages the client was spared because it is slow.

    """

    __slots__ = (
        "__weakref__",
        "_is_closed",
        "_revalidated",
        "_revalidating",
        "_waiting",
        "context",
        "encoding",
        "ending",
        "groups",
        "id",
        "is_transcribed",
        "max_message_size",
        "options",
        "outbox",
        "transport",
    )

    takes_whole_messages = False
    """Whether what the client posts at once is one message; else it is a part of a stream of bytes."""

    def __init__(
        self,
        context: HubCallerContext,
        transport: Transport,
        options: Options,
        flusher: Flusher,
        on_dropped: Callable[[int], None],
    ) -> None:
        self.id = context.connection_id
        self.context = context
        self.transport = transport
        self.options = options
        self.max_message_size = options.max_message_size
        self.encoding = NO_ENCODING
        self.groups: set[str] = set()
        self.ending: Ending | None = None
        self.outbox = Outbox(
            self.sender(),
            flusher,
            options.max_queued_bytes,
            self._cannot_send,
            policy=options.slow_client_policy,
            on_dropped=on_dropped if options.slow_client_policy == "latest" else None,
            direct=transport.direct,
        )
        self.is_transcribed = logger.isEnabledFor(logging.DEBUG)
        """Whether somebody reads the transcript; looked up once per tick, for those who ask for each message."""
        self._is_closed = False
        self._waiting: asyncio.Task[object] | None = None
        self._revalidated: float | None = None
        self._revalidating: asyncio.Task[None] | None = None
        context.on_abort = self.abort

    def log(self, direction: str, text: object, **facts: object) -> None:
        """Write a line of the transcript: `<` received, `>` sent, `=` what happened.

        The log record has `connection_id`, `hub`, `direction` and the facts as attributes as well, for handlers that
        keep them apart.
        """
        if logger.isEnabledFor(logging.DEBUG):
            known = {"connection_id": self.id, "hub": self.context.hub, "direction": direction}
            logger.debug("%s %s %s", self.id, direction, text, extra=known | facts)

    def log_delivery(self, target: str | None, size: int) -> None:
        """Write into the transcript that an encoded message was sent; it calls a method, or none."""
        if target is None:
            self.log(">", f"a message [{size} bytes]", size=size)
        else:
            self.log(">", f"Invocation {target} [{size} bytes]", message_type="Invocation", target=target, size=size)

    # Sending.

    def sender(self) -> Write:
        """Choose how the outbox hands messages to the transport; by default several at once."""
        return self.transport.send

    def write(self, payload: Payload) -> None:
        """Queue encoded messages; a connection that has ended takes none."""
        if self.ending is None:
            self.outbox.put(payload)

    async def room(self) -> None:
        """Wait while much is queued for this client and it is slow."""
        await self.outbox.room()

    def farewell(self, ending: Ending) -> Payload | None:
        """Encode the good-bye of an ending; None if nothing is to be said."""
        raise NotImplementedError

    def close_code(self, ending: Ending) -> int:
        """Choose the code with which a WebSocket is closed; by default a normal end, since the farewell says more."""
        return 1000

    # Receiving.

    async def receive(self) -> bytes | None:
        """Wait for bytes from the client; None once it has gone.

        Raises:
            Ended: the server has ended the connection.

        """
        with self.waiting():
            return self.received(await self.transport.receive())

    def received(self, data: str | bytes | None) -> bytes | None:
        """Note that something has come from the client, or that it has gone."""
        return data.encode() if isinstance(data, str) else data

    async def interruptible(self, awaitable: Coroutine[Any, Any, T]) -> T:
        """Wait for something, but not longer than the connection lasts.

        Raises:
            Ended: the server has ended the connection.

        """
        try:
            with self.waiting():
                return await awaitable
        finally:
            awaitable.close()  # if it was never begun

    def waiting(self) -> "_Waiting":
        """Wait for the client, or for something else, but not longer than the connection lasts: in a `with`.

        Only these waits are ever interrupted; a handler's own code is not.

        Raises:
            Ended: the server has ended the connection.

        """
        return _Waiting(self)

    # Ending.

    def _has_ended(self) -> bool:
        return self.ending is not None

    def end(self, ending: Ending) -> None:
        """End the connection, from anywhere on the event loop. The first ending counts."""
        if self.ending is not None:
            return
        self.ending = ending
        if self._waiting is not None and self._waiting is not asyncio.current_task():
            self._waiting.cancel()

    def abort(self) -> None:
        """End the connection at the application's own wish: the client does not come back by itself."""
        self.end(Ending(close=Close()))

    async def say_goodbye(self) -> None:
        """Send what is queued and the farewell, then close the transport: as far as that is possible in time."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._revalidating is not None and self._revalidating is not asyncio.current_task():
            self._revalidating.cancel()
        ending = self.ending = self.ending or Ending()
        try:
            if ending.close is not None:
                await self._in_time(self.options.close_timeout, self._say(ending))
            self.outbox.close()
            # Even if the client has not taken what was sent: whoever serves the transport waits for its end.
            await self._in_time(
                min(LAST_WORD, self.options.close_timeout), self.transport.close(self.close_code(ending))
            )
        finally:
            self.outbox.close()

    async def _say(self, ending: Ending) -> None:
        if (farewell := self.farewell(ending)) is not None:
            self.outbox.put(farewell)
        await self.outbox.drain()

    async def _in_time(self, seconds: float, step: Coroutine[Any, Any, None]) -> None:
        try:
            async with asyncio.timeout(seconds):
                await step
        except Exception as error:  # noqa: BLE001  (the client may go at any moment; then this is all there is to do)
            self.log("=", f"closed uncleanly: {type(error).__name__}: {error}")

    def _cannot_send(self, error: Exception) -> None:
        self.log("=", f"cannot be sent to: {type(error).__name__}: {error}")
        self.end(Ending(error))

    # Time.

    def forgive(self, seconds: float) -> None:
        """Count a time in which the whole server stood still as nobody's silence."""
        if self.outbox.parked_since is not None:
            self.outbox.parked_since += seconds

    def _is_busy(self) -> bool:
        """Whether the conversation is not waiting for the client, but has something else to do first."""
        return self._waiting is None

    def _notice_absence(self) -> None:
        """Tell what keeps the conversation busy that the client has gone: nobody is receiving, so nobody else would."""
        if not self.context.aborted.is_set():
            self.log("=", "the client has gone")
            self.context.aborted.set()

    def _takes_nothing(self, now: float) -> bool:
        """Whether the client reads too slowly; one that polls and does not come for it is somebody else's affair."""
        since = self.outbox.parked_since
        return since is not None and now - since >= self.options.send_timeout and not self.transport.keeps_alive

    def tick(self, now: float) -> None:
        """End a connection that is overdue; called once in a while, with the time by the event loop's clock."""
        self.is_transcribed = logger.isEnabledFor(logging.DEBUG)
        if self._takes_nothing(now):
            self.outbox.close()
            self._cannot_send(SendTimeoutError("The client takes nothing of what is sent to it."))
        elif self._is_busy() and self.transport.has_gone:
            self._notice_absence()
        elif self.context.expires_at is not None and time.time() >= self.context.expires_at:
            self.log("=", "the user's authentication has expired")
            self.end(Ending(close=Close(allow_reconnect=True)))
        elif self.context.revalidate is not None and self.ending is None:
            self._revalidate(now)

    def _revalidate(self, now: float) -> None:
        """Have it asked once in a while whether the user is signed in still; at first, that has just been found out."""
        if self._revalidated is None:
            self._revalidated = now
        elif now - self._revalidated >= self.options.revalidation_interval and self._revalidating is None:
            self._revalidated = now
            self._revalidating = asyncio.create_task(self._end_unless_authenticated())

    async def _end_unless_authenticated(self) -> None:
        """Ask, and end the connection if the answer is no, or does not come: the client may authenticate anew."""
        assert self.context.revalidate is not None  # noqa: S101  (as has been checked)
        try:
            async with asyncio.timeout(self.options.disconnect_timeout):
                verdict = self.context.revalidate()
                if inspect.isawaitable(verdict):
                    verdict = await verdict
        except Exception:  # whatever the application's own code raises: who cannot be asked about is not let on
            logger.exception("It could not be found out whether the user of a connection is signed in still.")
            verdict = False
        finally:
            self._revalidating = None
        if not verdict:
            self.log("=", "the user is not signed in any more")
            self.end(Ending(close=Close(allow_reconnect=True)))


class _Waiting:
    """A wait that the end of a connection interrupts. No generator: every idle connection is in one."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        if self._connection._has_ended():
            raise Ended
        self._connection._waiting = asyncio.current_task()

    def __exit__(self, kind: type[BaseException] | None, _error: object, _traceback: object) -> None:
        connection = self._connection
        task, connection._waiting = connection._waiting, None
        if not connection._has_ended():
            return
        if kind is None:
            raise Ended
        # The connection's end has cancelled the wait, unless it is the task itself that is cancelled.
        if issubclass(kind, asyncio.CancelledError) and task is not None and task.uncancel() == 0:
            raise Ended from None
