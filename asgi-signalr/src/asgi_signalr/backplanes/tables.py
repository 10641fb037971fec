"""What the engines have in common that keep the stream as numbered rows of a table, beside a counter.

A number alone is no position: after a failover to a standby that had less, or after a restore, another message may have
it by the time a server looks. So the last message is known by its sender and its time as well. Whoever finds another
one in its place, or nothing, gives the tables another epoch, and every server says that messages may be lost: those as
well that had never seen what is lost. All of them go on with what was stored after the last message that they know.
"""

import asyncio
import itertools
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar, Unpack
from uuid import UUID

from asgi_signalr.backplanes.stored import MAX_BATCH, QueueOptions, StoredBackplane

C = TypeVar("C")

_FIRST_COUNT = 16  # messages at a time, of whose size nothing is known yet


class NothingYet(LookupError):  # noqa: N818  (a state of the store, by its name)
    """Nobody has used this backplane so far; the text says so."""


@dataclass(frozen=True)
class Mark:
    """By what a message is known besides its number, which another one may have after a restore."""

    sender: UUID
    inserted_on: datetime


@dataclass(frozen=True)
class Message:
    """A row of the stream."""

    payload_id: int
    payload: bytes
    inserted_on: datetime
    sender: UUID
    before: Mark | None = None  # the message before it, where the engine tells

    @property
    def mark(self) -> Mark:
        """By what it is known."""
        return Mark(self.sender, self.inserted_on)


@dataclass(frozen=True)
class Page:
    """What follows a number: some messages, the stream's newest number, and which stream it is.

    The mark is that of the message with the number itself; None: there is none. `now` is the database's time.
    """

    top: int
    epoch: UUID
    now: datetime
    mark: Mark | None
    messages: list[Message]


class StreamOptions(QueueOptions, total=False):
    """What every engine takes whose messages are a stream that is looked at. Times are in seconds."""

    poll: float
    """The longest pause between two looks."""
    keep_seconds: float
    """The longest that a message is kept."""
    keep_messages: int
    """The most messages that are kept."""


class TableOptions(StreamOptions, total=False):
    """The same where this library tidies the stream itself."""

    retention_interval: float
    """Seconds after which the stream is tidied again."""


class TableBackplane(StoredBackplane[C]):
    """An engine whose stream is a table. Its position is a number, an epoch, and by what the last message is known.

    What bounds the table, and how often it is tidied and looked at, say its `TableOptions`.
    """

    _confirmed = 0  # the number of the newest message of this server's own
    _last = 0
    _top = 0  # the number of the newest message, when somebody last looked
    _mark: Mark | None = None  # of the last message, where that was seen
    _until: datetime | None = None  # by the database's clock, the time of what was delivered last
    _epoch: UUID | None = None

    def __init__(
        self,
        where: str,
        *,
        poll: float = 1.0,
        keep_seconds: float = 86_400.0,
        keep_messages: int = 100_000,
        retention_interval: float = 60.0,
        **queueing: Unpack[QueueOptions],
    ) -> None:
        super().__init__(where, **queueing)
        self._poll = poll
        self._keep_seconds = keep_seconds
        self._keep_messages = keep_messages
        self._retention_interval = retention_interval
        self._bell = asyncio.Event()  # rung when there is something to look at

    @abstractmethod
    async def _look(self) -> C:
        """Connect to read only, and change nothing.

        Raises:
            NothingYet: there is no stream.

        """

    @abstractmethod
    async def _page(self, connection: C, after: int | None) -> Page:
        """Read what follows a number, in order; None: nothing, but where the stream ends."""

    @abstractmethod
    async def _renew_epoch(self, connection: C, epoch: UUID) -> UUID:
        """Give the stream another epoch, unless that has happened; returns the one that it has now."""

    @abstractmethod
    async def _last_until(self, connection: C, time: datetime | None) -> int:
        """Find the number of the newest message that was inserted by then; 0: there is none."""

    async def _find_position(self, connection: C) -> None:
        page = await self._page(connection, None)
        self._last = self._confirmed = self._top = page.top
        self._epoch, self._mark, self._until = page.epoch, page.mark, page.now

    def _lag(self) -> int:
        return max(self._top, self._confirmed, self._last) - self._last

    def _payloads(self, message: Message) -> Iterable[bytes]:
        """What a message brings to deliver; one, as a rule."""
        return (message.payload,)

    # Engines that are given messages as they come, besides being able to look.

    async def _pushed(self, connection: C, count: int, seconds: float) -> list[Message]:
        """Wait for what follows the last message, for so many seconds and messages at most."""
        raise NotImplementedError

    async def _receive_pushed(self, connection: C) -> None:
        """Look once, then take what is given; and look again when something does not follow, or now and then."""
        loop = asyncio.get_running_loop()
        count = _FIRST_COUNT
        while True:
            await self._catch_up(connection)
            self._say_well("receiving")
            next_look = loop.time() + self._poll
            while (seconds := next_look - loop.time()) > 0:
                messages = await self._pushed(connection, count, seconds)
                following = list(itertools.takewhile(self._take, messages))
                await self._deliver_all(itertools.chain.from_iterable(map(self._payloads, following)))
                if len(following) < len(messages):
                    break
                # Many small ones at a time, or a few large ones.
                size = sum(len(message.payload) for message in messages)
                if size > self._page_bytes:
                    count = max(count * self._page_bytes // size, 1)
                elif len(messages) == count and 2 * size <= self._page_bytes:
                    count = min(count * 2, MAX_BATCH)

    def _take(self, message: Message) -> bool:
        """Move the position on by a message, if it is the next one."""
        if message.payload_id != self._last + 1 or (self._mark and message.before and message.before != self._mark):
            return False
        self._last, self._mark, self._until = message.payload_id, message.mark, message.inserted_on
        return True

    async def _catch_up(self, connection: C) -> bool:
        """Deliver everything that follows the last message; whether there was anything."""
        received = False
        while True:
            page = await self._page(connection, self._last)
            self._top = page.top
            if page.epoch != self._epoch or self._is_overtaken(page):
                await self._begin_again(connection, page)
                continue
            for message in page.messages:
                if message.payload_id != self._last + 1:
                    self._gap(
                        f"messages {self._last + 1} to {message.payload_id - 1} were deleted before they were read."
                    )
                self._last, self._mark, self._until = message.payload_id, message.mark, message.inserted_on
            if not page.messages and page.top > self._last:
                self._gap(f"messages {self._last + 1} to {page.top} were deleted before they were read.")
                self._last, self._mark, self._until = page.top, None, page.now
            await self._deliver_all(itertools.chain.from_iterable(map(self._payloads, page.messages)))
            received = received or bool(page.messages)
            if self._last >= page.top:
                return received

    def _is_overtaken(self, page: Page) -> bool:
        """Whether the numbers have gone back, or another message stands where the last one stood."""
        if page.top < self._last:
            return True
        return self._mark is not None and page.mark is not None and page.mark != self._mark

    async def _begin_again(self, connection: C, page: Page) -> None:
        """Something has happened to the stream: say so, and go on with what is new in it."""
        if page.epoch != self._epoch:
            is_intact = page.top >= self._last and self._mark is not None and page.mark == self._mark
            what = (
                "the database has lost messages that other servers had sent or read."
                if is_intact
                else "the backplane's tables were made anew, or restored."
            )
            epoch = page.epoch
        else:
            is_intact = False
            what = (
                f"the database went back from message {self._last} to {page.top} (restored from a backup?)."
                if page.top < self._last
                else f"message {self._last} is another one now: the database went back, and on (a failover?)."
            )
            epoch = await self._renew_epoch(connection, page.epoch)
        if not is_intact:
            self._last = self._confirmed = await self._last_until(connection, self._until)
            self._mark = None
        self._epoch = epoch
        self._gap(what)
