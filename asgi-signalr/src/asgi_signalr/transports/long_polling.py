"""Long polling: messages wait for the client's next GET, and each GET waits for messages.

See TransportProtocols.md, Long Polling. Unlike the other transports it outlives the requests that it consists of.
"""

import asyncio
from collections.abc import Awaitable, Sequence

from asgi_signalr.http import Disconnected, Receive, disconnected
from asgi_signalr.transports.inbox import Inbox, wake
from asgi_signalr.transports.payload import Payload

HEADERS = {"Cache-Control": "no-cache, no-store", "Pragma": "no-cache", "Expires": "Thu, 01 Jan 1970 00:00:00 GMT"}
# The most bytes that wait for a poll before the sender waits as well: ASP.NET Core's size of the pipe to the transport.
HIGH_WATER = 64 * 1024
# The code of a WebSocket whose application has failed (RFC 6455, section 7.4.1).
FAILED = 1011


class LongPollingTransport:
    """One client that polls.

    Args:
        inbox: what it has posted already, if it has.

    """

    name = "LongPolling"
    keeps_alive = True
    keep_alive_frame = None
    direct = None

    def __init__(self, inbox: Inbox | None = None) -> None:
        self.inbox = inbox or Inbox()
        self._waiting: list[bytes] = []
        self._size = 0
        self._closed = False
        self.has_failed = False
        """Whether the application has failed while a poll was waiting, which is told."""
        self.is_given_up = False
        """Whether the client wants no more, or has not been heard of."""
        self._poll: asyncio.Future[None] | None = None
        self._taken: asyncio.Future[None] | None = None

    async def receive(self) -> str | bytes | None:
        """Wait for what the client posts; None once it has gone."""
        return await self.inbox.take()

    def send(self, payloads: Sequence[Payload]) -> Awaitable[None] | None:
        """Keep whole messages for the next poll; who sends waits while much is kept."""
        if self._closed:
            return None
        self._waiting += [each.data for each in payloads]
        self._size += sum([len(each.data) for each in payloads])
        wake(self._poll)
        return self._room() if self._size > HIGH_WATER else None

    async def _room(self) -> None:
        while self._size > HIGH_WATER:
            self._taken = asyncio.get_running_loop().create_future()
            await self._taken

    async def close(self, code: int = 1000, /) -> None:
        """Send nothing more: polls get what is there, and then learn that it is over."""
        self._closed = True
        self.has_failed = code == FAILED and self.is_polled
        self.inbox.close()
        wake(self._poll)

    def terminate(self) -> None:
        """End it at once, as the client wishes, or because it has not been heard of: nothing is kept for it."""
        self._closed = self.is_given_up = True
        self.inbox.close()
        self._take()
        wake(self._poll)

    @property
    def has_gone(self) -> bool:
        """Whether the client wants no more, or has not been heard of for too long."""
        return self._closed

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to poll for."""
        return self._closed and not self._waiting

    @property
    def is_polled(self) -> bool:
        """Whether a poll is waiting."""
        return self._poll is not None

    async def poll(self, receive: Receive, timeout: float) -> bytes | None:  # noqa: ASYNC109  (its end is no error)
        """Wait for something to send, at most for some seconds; returns it, empty if there was nothing.

        Returns None when it is over, or another poll has taken this one's place.

        Raises:
            Disconnected: the client has given up this poll. Nothing is lost by that.

        """
        loop = asyncio.get_running_loop()
        wake(self._poll)
        poll = self._poll = loop.create_future()
        try:
            if not self._waiting and not self._closed:
                timer = loop.call_later(timeout, wake, poll)
                watcher = loop.create_task(disconnected(receive))
                watcher.add_done_callback(lambda _: wake(poll))
                try:
                    await poll
                    if watcher.done():
                        raise Disconnected
                finally:
                    timer.cancel()
                    watcher.cancel()
            if self._poll is not poll or self.is_over:
                return None
            return self._take()
        finally:
            if self._poll is poll:
                self._poll = None

    def _take(self) -> bytes:
        data = b"".join(self._waiting)
        self._waiting.clear()
        self._size = 0
        wake(self._taken)
        return data
