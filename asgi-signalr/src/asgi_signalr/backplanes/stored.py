"""What the engines that keep messages in a server have in common: a queue, two tasks, and words for trouble.

The *sender* appends what was published, everything that queued up meanwhile at once; the *receiver* reads what follows
its position, its own server's messages among them. Each has a connection of its own, and makes another when that is
lost, after a pause that grows. An engine says how to connect, how to receive and how to append.
"""

import asyncio
import contextlib
import logging
import random
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, ClassVar, Generic, TypedDict, TypeVar

from asgi_signalr.backplanes import BackplaneError, Deliver, OnGap, sender

logger = logging.getLogger("asgi_signalr.backplane")

C = TypeVar("C")

MAX_BATCH = 500
MAX_BYTES = 4 * 1024 * 1024  # of one read, unless a single message is larger
BATCH_BYTES = 512 * 1024  # of one statement: a longer one costs a database more than several of these
PATIENCE = 10.0  # seconds for an answer, until one has come too late
_MOST_PATIENCE = 60.0
_TURN = 0.005  # seconds that deliveries may take before others get their turn on the event loop


class QueueOptions(TypedDict, total=False):
    """What every engine takes whose messages are kept by a server."""

    on_gap: OnGap | None
    """Told when messages may have been lost."""
    queue_limit: int
    """The most payloads that wait to be sent."""
    queue_bytes: int
    """The most bytes of them."""
    queue_patience: float
    """Seconds that `publish` waits for a place among them."""
    confirm: bool
    """Whether `publish` waits until the server has the payload."""


class StoredBackplane(ABC, Generic[C]):
    """An engine whose messages are kept by a server: a database, or a broker.

    Sending and receiving survive that server's restarts. Meanwhile up to `queue_limit` payloads (and `queue_bytes`)
    wait; `publish` waits for a place among them, up to `queue_patience` seconds, and then raises. A payload is accepted
    once it is queued, in memory; with `confirm` once the server has it.
    """

    TROUBLE: ClassVar[tuple[type[BaseException], ...]] = (OSError, TimeoutError, LookupError)
    """What a server that is away, starting or restored answers; anything else is logged with its traceback."""
    MAX_PAYLOAD: ClassVar[int] = 64 * 1024 * 1024

    def __init__(
        self,
        where: str,
        *,
        on_gap: OnGap | None = None,
        queue_limit: int = 10_000,
        queue_bytes: int = 64 * 1024 * 1024,
        queue_patience: float = 10.0,
        confirm: bool = False,
    ) -> None:
        self._where = where
        self.on_gap = on_gap
        self._queue_limit = queue_limit
        self._queue_bytes = queue_bytes
        self._queue_patience = queue_patience
        self._confirm = confirm

        self.sender = sender.new()
        self._deliver: Deliver | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._said: dict[str, str] = {}
        self._failures = {"receiving": 0, "sending": 0}
        self._patience = {"receiving": PATIENCE, "sending": PATIENCE}
        self._page_bytes = MAX_BYTES
        self._gaps = 0

        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._published = self._stored = 0  # how many payloads, ever
        self._changed: deque[asyncio.Future[None]] = deque()  # who waits for a place, in order
        self._unconfirmed: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._work = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained_some = asyncio.Event()
        self._unsure = 0  # how many payloads at the queue's head may be stored already

        self._first_try: asyncio.Future[None] | None = None
        self._positioned = asyncio.Event()

    # What an engine says.

    @abstractmethod
    async def _connect(self, doing: str) -> C:
        """Connect for `receiving` or for `sending`, and prepare the server for it."""

    @abstractmethod
    async def _close(self, connection: C) -> None:
        """Let go of a connection that may be lost."""

    @abstractmethod
    async def _find_position(self, connection: C) -> None:
        """Note where the stream ends now: what comes after it will be received."""

    @abstractmethod
    async def _receive(self, connection: C) -> None:
        """Deliver what follows the position, until something goes wrong; calls `_say_well` after each good read."""

    @abstractmethod
    async def _append(self, connection: C, batch: list[bytes]) -> None:
        """Append payloads, all or none."""

    @abstractmethod
    async def _is_stored(self, connection: C) -> bool:
        """Whether the last batch was appended although its answer was lost; after this it will not be any more."""

    async def _tidy(self, connection: C) -> float:
        """Delete what is too old; returns after how many seconds to do so again."""
        return 3600.0

    def _check(self, connection: C) -> None:
        """Raise if the connection is known to be lost."""

    @property
    def _there(self) -> str:
        """What it is connected to, for the log."""
        return self._where

    def _trouble(self, error: BaseException) -> str:
        """What is wrong, for the log: never with the URL, which has the password."""
        if isinstance(error, TimeoutError):
            return f"{self._where} does not answer"
        if isinstance(error, ConnectionRefusedError):
            return f"{self._where} refuses the connection"
        return f"{self._where}: {error or type(error).__name__}"

    def _delay(self, failures: int, _error: BaseException) -> float:
        """Back-off from a tenth of a second to ten, with jitter: servers that lost one database return one by one."""
        return float(min(0.1 * 2 ** min(failures - 1, 10), 10.0) * random.uniform(0.5, 1.0))

    # What an application calls.

    @property
    def health(self) -> dict[str, Any]:
        """How it fares: whether it `is_joined`, messages `queued` for sending, `lag`, `gaps` so far, and `trouble`."""
        return {
            "is_joined": self._deliver is not None and self._positioned.is_set() and "receiving" not in self._said,
            "queued": len(self._queue),
            "lag": self._lag(),
            "gaps": self._gaps,
            "trouble": next(iter(self._said.values()), None),
        }

    def _lag(self) -> int:
        """How many messages are known to be stored that this server has not read yet."""
        return 0

    async def start(self, deliver: Deliver) -> None:
        """Begin to receive; a server that does not answer is logged and tried again, not raised.

        Once it is reached, what the others have sent meanwhile is said to be lost.

        Raises:
            BackplaneError: the server cannot be used, and trying again would not mend it.

        """
        self._deliver = deliver
        self._drained.set()
        self._first_try = asyncio.get_running_loop().create_future()
        self._tasks = [
            asyncio.create_task(self._for_ever("receiving", self._read), name="signalr-backplane-receive"),
            asyncio.create_task(self._for_ever("sending", self._send), name="signalr-backplane-send"),
        ]
        try:
            await asyncio.wait({self._first_try}, timeout=PATIENCE)
            if self._first_try.done():
                self._first_try.result()
            else:
                self._first_try.set_result(None)
        except BaseException:
            await self._end()
            raise

    async def publish(self, payload: bytes) -> None:
        """Queue a payload; waits while the queue is full, and with `confirm` until the server has it.

        Raises:
            BackplaneError: the queue stays full, because the server is away or does not keep up; or the payload is too
                large, or the backplane is not started.

        """
        if self._deliver is None:
            raise BackplaneError("The backplane is not started.")
        if len(payload) > self.MAX_PAYLOAD:
            raise BackplaneError(f"A message of {len(payload)} bytes is too large: {self.MAX_PAYLOAD} is the limit.")
        if self._changed or not self._has_room(len(payload)):
            await self._wait_for_room(len(payload))
        self._queue.append(payload)
        self._queued_bytes += len(payload)
        self._published += 1
        self._drained.clear()
        self._work.set()
        if self._confirm:
            stored = asyncio.get_running_loop().create_future()
            self._unconfirmed.append((self._published, stored))
            await stored

    def _has_room(self, size: int) -> bool:
        full = len(self._queue) >= self._queue_limit or self._queued_bytes + size > self._queue_bytes
        return not full or not self._queue

    async def _wait_for_room(self, size: int) -> None:
        """Wait in turn, so that what one sender publishes keeps its order."""
        ahead = self._changed[-1] if self._changed else None
        turn = asyncio.get_running_loop().create_future()
        self._changed.append(turn)
        try:
            async with asyncio.timeout(self._queue_patience):
                if ahead is not None:
                    await asyncio.wait({ahead})
                while not self._has_room(size):
                    self._drained_some.clear()
                    await self._drained_some.wait()
        except TimeoutError:
            why = self._said.get("sending") or self._said.get("receiving") or f"{self._where} does not keep up"
            raise BackplaneError(
                f"The message was not sent to the other servers, because the backplane's queue is full "
                f"({len(self._queue)} messages, {self._queued_bytes} bytes): {why}"
            ) from None
        finally:
            self._changed.remove(turn)
            asyncio.get_running_loop().call_soon(_let_go, turn)
        if self._deliver is None:
            raise BackplaneError("The backplane is not started.")

    async def stop(self) -> None:
        """Send what is queued if that takes no more than two seconds, then let go."""
        if self._deliver is None:
            return
        if not self._said:
            await wait(self._drained, 2.0)
        await self._end()
        if self._queue:
            self._gap(f"{len(self._queue)} messages were not sent: the backplane was stopped without its server.")
        for _, stored in self._unconfirmed:
            if not stored.done():
                stored.set_exception(BackplaneError("The backplane was stopped before the message was stored."))
        self._unconfirmed.clear()

    async def _end(self) -> None:
        self._deliver = None
        pending = set(self._tasks)
        while pending:
            for task in pending:
                task.cancel()
            # Again if need be: a driver's time-out may swallow a cancellation that comes in the same moment.
            _, pending = await asyncio.wait(pending, timeout=2.0)
        self._tasks = []

    # Both tasks: connect, work until something goes wrong, wait, again.

    async def _for_ever(self, doing: str, work: Callable[[C], Awaitable[None]]) -> None:
        while self._deliver is not None:
            connection = None
            try:
                connection = await self._connect(doing)
                if doing == "sending":
                    await self._positioned.wait()
                await work(connection)
            except Exception as error:  # whatever happens, it is said, and this goes on
                self._failures[doing] += 1
                delay = self._delay(self._failures[doing], error)
                if isinstance(error, TimeoutError) and connection is not None:
                    # Perhaps the way is slow and the messages are large: less at a time, and more time for it.
                    self._patience[doing] = min(self._patience[doing] * 2, _MOST_PATIENCE)
                    self._page_bytes = max(self._page_bytes // 4, 64 * 1024)
                trouble = self._trouble(error)
                if trouble not in self._said.values() and not isinstance(error, (*self.TROUBLE, BackplaneError)):
                    logger.error("the backplane met something unexpected", exc_info=error)
                self._say(doing, trouble, f"trying again in {max(delay, 0.1):.2g} s")
                if doing == "receiving" or isinstance(error, BackplaneError):
                    self._tried(error if isinstance(error, BackplaneError) else None)
            finally:
                if connection is not None:
                    await self._close(connection)
            await asyncio.sleep(delay)

    def _tried(self, error: BackplaneError | None = None) -> None:
        """The first try is over: `start` returns, or raises what no repeating would mend."""
        if self._first_try is None or self._first_try.done():
            return
        if error is not None:
            self._first_try.set_exception(error)
        else:
            self._first_try.set_result(None)

    def _say(self, doing: str, trouble: str, then: str = "") -> None:
        """Log a trouble once, not at every try; both tasks have the same one as a rule."""
        news = trouble not in self._said.values()
        self._said[doing] = trouble
        logger.log(logging.WARNING if news else logging.DEBUG, "; ".join(filter(None, [trouble, then])))

    def _say_well(self, doing: str) -> None:
        self._failures[doing] = 0
        if self._said.pop(doing, None) and not self._said:
            logger.info("%s: connected again", self._there)

    def _gap(self, what: str) -> None:
        self._gaps += 1
        logger.warning("messages may be lost: %s", what)
        if self.on_gap is not None:
            self.on_gap(what)

    # Receiving.

    async def _read(self, connection: C) -> None:
        if not self._positioned.is_set():
            await self._find_position(connection)
            self._positioned.set()
            if self._first_try is not None and self._first_try.done():
                self._gap("this server started without its backplane: what the others have sent since is not known.")
            self._say_well("receiving")
        self._tried()
        await self._receive(connection)

    async def _deliver_all(self, payloads: Iterable[bytes]) -> None:
        loop = asyncio.get_running_loop()
        turn = loop.time() + _TURN
        for payload in payloads:
            if self._deliver is None:
                return
            try:
                self._deliver(payload)
            except Exception:
                logger.exception("a message could not be delivered")
            if loop.time() > turn:
                await asyncio.sleep(0)
                turn = loop.time() + _TURN

    # Sending.

    async def _send(self, connection: C) -> None:
        if self._unsure:
            if await self._is_stored(connection):
                self._accept()
            self._unsure = 0
        loop = asyncio.get_running_loop()
        next_tidying = loop.time() + random.uniform(0, 1) * await self._tidy(connection)
        while True:
            if not self._queue:  # a connection alone is no proof: what waits may be refused again
                self._say_well("sending")
            await wait(self._work, max(next_tidying - loop.time(), 0))
            self._check(connection)
            if self._queue:
                batch = self._batch()
                self._unsure = len(batch)
                await self._append(connection, batch)
                self._accept()
                self._say_well("sending")
            else:
                self._work.clear()
            if loop.time() >= next_tidying:
                next_tidying = loop.time() + await self._tidy(connection)

    def _batch(self) -> list[bytes]:
        batch: list[bytes] = []
        size = 0
        for payload in self._queue:
            size += len(payload)
            if batch and (size > BATCH_BYTES or len(batch) == MAX_BATCH):
                break
            batch.append(payload)
        return batch

    def _accept(self) -> None:
        """The unsure payloads are stored."""
        for _ in range(self._unsure):
            self._queued_bytes -= len(self._queue.popleft())
        self._stored += self._unsure
        self._unsure = 0
        while self._unconfirmed and self._unconfirmed[0][0] <= self._stored:
            _, stored = self._unconfirmed.popleft()
            _let_go(stored)
        self._drained_some.set()
        if not self._queue:
            self._drained.set()


def _let_go(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():
        waiting.set_result(None)


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, up to a number of seconds."""
    # Not wait_for: before Python 3.12 it may swallow a cancellation.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
