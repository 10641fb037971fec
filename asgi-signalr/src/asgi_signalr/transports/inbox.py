"""The POSTs of a client, on their way to the conversation: for transports whose client speaks by requests."""

import asyncio
from collections import deque

# The most bytes that wait to be taken before a POST waits as well: ASP.NET Core's size of the pipe to the application.
HIGH_WATER = 64 * 1024


class InboxClosed(Exception):  # noqa: N818  (a turn of events, no error)
    """The connection takes nothing more."""


class Inbox:
    """Portions of what a client has posted, in order. It is bounded: who puts in too much waits for the taker."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        """Held by the one POST whose body is being put in: bodies do not mix."""
        self._portions: deque[str | bytes] = deque()
        self._size = 0
        self._closed = False
        self._changed: asyncio.Future[None] | None = None  # for the taker
        self._emptied: asyncio.Future[None] | None = None  # for the one that holds the lock

    @property
    def size(self) -> int:
        """How much waits to be taken."""
        return self._size

    async def put(self, portion: str | bytes) -> None:
        """Hand over a portion, and wait until there is room for the next.

        Raises:
            InboxClosed: the connection has ended, or ends meanwhile.

        """
        self.check()
        self._portions.append(portion)
        self._size += len(portion)
        wake(self._changed)
        while self._size > HIGH_WATER:
            self._emptied = asyncio.get_running_loop().create_future()
            await self._emptied
            self.check()

    async def take(self) -> str | bytes | None:
        """Wait for a portion; None once the inbox is closed and empty."""
        while not self._portions:
            if self._closed:
                return None
            self._changed = asyncio.get_running_loop().create_future()
            await self._changed
        portion = self._portions.popleft()
        self._size -= len(portion)
        if self._size <= HIGH_WATER:
            wake(self._emptied)
        return portion

    def take_all(self) -> deque[str | bytes]:
        """Take whatever is there, without waiting for more."""
        portions, self._portions = self._portions, deque()
        self._size = 0
        wake(self._emptied)
        return portions

    def check(self) -> None:
        """Make sure that more can be put in.

        Raises:
            InboxClosed: the connection has ended.

        """
        if self._closed:
            raise InboxClosed

    def close(self) -> None:
        """Take nothing more in. What is there can still be taken."""
        self._closed = True
        wake(self._changed)
        wake(self._emptied)


def wake(future: asyncio.Future[None] | None) -> None:
    """Let whoever waits for a future go on, if anybody does."""
    if future is not None and not future.done():
        future.set_result(None)
