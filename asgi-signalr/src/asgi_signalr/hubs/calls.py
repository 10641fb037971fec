"""The calls of one connection: which run, which wait for their turn, and the streams that are open."""

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from asgi_signalr.connections.connection import LAST_WORD
from asgi_signalr.hubs.methods import HubMethod
from asgi_signalr.hubs.streams import Upload
from asgi_signalr.messages import Invocation, StreamInvocation
from asgi_signalr.transports.pace import SharedTurn

logger = logging.getLogger("asgi_signalr")

# How many calls may wait for their turn while their connection is still read from: what comes behind them, such as a
# ping, the end of a stream or the end of the connection, is heard meanwhile. With more the reading waits as well.
LOOK_AHEAD = 16

# The most calls of one connection that may have lent their turns to others while they wait for clients: far more than
# any client needs, but a client that never answers is not to fill the memory with them.
MOST_LENT = 1000

# How many streams of a connection that has ended are told so in one round of the event loop.
ENDED_AT_ONCE = 20

# Why a call is cancelled that does not end in time: its error says so, and the log has said it already.
SERVER_STOPS = "the server stops"

CallMessage = Invocation | StreamInvocation
Waiting = tuple[HubMethod | None, CallMessage, Sequence[Upload]]


class Call:
    """A running call that has a task of its own; `turns.released` gives its turn back."""

    __slots__ = (
        "_calls",
        "_holds_turn",
        "_is_cancelled",
        "_released",
        "has_begun",
        "invocation_id",
        "is_closing",
        "task",
    )

    def __init__(self, calls: "Calls", invocation_id: str | None, *, holds_turn: bool) -> None:
        self._calls = calls
        self.invocation_id = invocation_id
        self._holds_turn = holds_turn
        self._released = 0
        self.has_begun = False
        self.is_closing = False  # the resources that it has used are being closed, which nothing is to interrupt
        self._is_cancelled = False
        self.task: asyncio.Task[None] | None = None
        calls.running.add(self)
        calls.latest = self
        if holds_turn:
            calls.free -= 1

    def release(self, _asked: str) -> None:
        """Give the turn up for a while, whichever client is asked."""
        self._released += 1
        if self._released == 1 and self._holds_turn:
            self._calls.lent += 1
            self._calls.release()

    def retake(self) -> None:
        """Count again as running, even if another call runs by now."""
        self._released -= 1
        if self._released == 0 and self._holds_turn:
            self._calls.lent -= 1
            self._calls.free -= 1

    def end(self) -> None:
        """Give the turn back for good."""
        self.task = None  # which may go on with the next call
        self._calls.running.discard(self)
        if not self._calls.running:
            self._calls.latest = None
            self._calls.on_done()
        if self._holds_turn:
            self._holds_turn = False
            if self._released:
                self._calls.lent -= 1
            else:
                self._calls.release()

    def cancel(self) -> None:
        """Stop a call that the client wants no more of. One that has not begun finds out by itself."""
        if not self._is_cancelled and not self.is_closing:
            self._is_cancelled = True
            if self.has_begun and self.task is not None:
                self.task.cancel()

    def cancelled(self) -> bool:
        """Say whether the call is to stop."""
        return self._is_cancelled


class Calls:
    """The calls of a connection that have not been answered yet."""

    # Every idle connection has one of these, so it weighs little: a list for a few calls, an event only for who waits.
    __slots__ = (
        "_progress",
        "downloads",
        "free",
        "is_beginning",
        "latest",
        "lent",
        "on_done",
        "on_free",
        "running",
        "shared",
        "taken_up",
        "uploads",
        "waiting",
    )

    def __init__(self, turns: int) -> None:
        self.free = turns
        """How many more calls may begin now."""
        self.lent = 0
        """How many running calls have lent their turns to others, while they wait for clients."""
        self.waiting: list[Waiting] = []
        """Calls that wait for their turn, in order."""
        self.running: set[Call] = set()
        """Calls that have a task."""
        self.latest: Call | None = None
        """The one of them that was given its task last."""
        self.downloads: dict[str, Call] = {}
        """The streams to the client, by invocation id."""
        self.uploads: dict[str, Upload] = {}
        """The streams from the client that have not ended, by stream id."""
        self.shared: SharedTurn | None = None
        """The turn of the streams to the client, once there are any."""
        self.taken_up = 0
        """How many streams from the client belong to calls that have not ended, whether they have themselves or not."""
        self.on_free: Callable[[], None] | None = None
        """Called when a turn is free: begins the waiting calls. None: none has ever waited."""
        self.on_done: Callable[[], None] = _nothing
        """Called when no call runs any more."""
        self.is_beginning = False
        """Whether waiting calls are being begun at this moment."""
        self._progress: asyncio.Event | None = None

    @property
    def streams(self) -> int:
        """Count the streams in both directions. None is forgotten before its method is done: that is what costs."""
        return len(self.downloads) + self.taken_up

    @property
    def are_to_begin(self) -> bool:
        """Whether a call has been given to a task that has not come to it yet; nothing is to overtake it."""
        return self.latest is not None and not self.latest.has_begun

    def find(self, invocation_id: str) -> Call | None:
        """Find a running call by its id; None: it has none, or has been answered."""
        return next((each for each in self.running if each.invocation_id == invocation_id), None)

    def release(self) -> None:
        """Give a turn to whoever waits for it."""
        self.free += 1
        if self.waiting and not self.is_beginning:  # else a call has ended as soon as it began, and the next is begun
            assert self.on_free is not None  # noqa: S101  (since one waits)
            self.on_free()

    def made_progress(self) -> None:
        """Note that fewer calls wait."""
        if self._progress is not None:
            self._progress.set()

    async def begun(self) -> None:
        """Wait until the latest call has begun: it is to see what its client had sent before it, and no more."""
        # In the next tick it begins, before this goes on.
        while self.are_to_begin:  # noqa: ASYNC110  (an event would take one tick more of every call)
            await asyncio.sleep(0)

    async def room(self) -> None:
        """Wait until no more calls wait than may."""
        await self._until(LOOK_AHEAD)

    async def all_begun(self) -> None:
        """Wait until no call waits any more."""
        await self._until(0)

    async def _until(self, number: int) -> None:
        while len(self.waiting) > number:
            if self._progress is None:
                self._progress = asyncio.Event()
            self._progress.clear()
            await self._progress.wait()

    def end(self) -> None:
        """End what cannot go on without the connection. Methods go on, and are told by `context.aborted`."""
        self.waiting.clear()
        self.made_progress()
        error = ConnectionError("The underlying connection was closed.")
        ends: list[Callable[[], None]] = [partial(upload.end, error) for upload in self.uploads.values()]
        self.uploads.clear()
        _do_by_and_by(ends + [call.cancel for call in self.downloads.values()])

    async def finish(self, seconds: float) -> None:
        """Wait until all calls are done, because the server stops; those that are not in time are cancelled."""
        while any(call.task is None for call in self.running):  # noqa: ASYNC110  (it takes a tick or a few)
            await asyncio.sleep(0)
        tasks = {call.task for call in self.running if call.task is not None} - {asyncio.current_task()}
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            task.cancel(SERVER_STOPS)
        if late:
            logger.warning("The server stops; calls that have not ended in time are cancelled (stop_timeout).")
            await asyncio.wait(late, timeout=LAST_WORD)


def _do_by_and_by(steps: list[Callable[[], None]]) -> None:
    """Do a few things, and the rest in later rounds of the event loop: a task goes on after each of them."""
    for step in steps[:ENDED_AT_ONCE]:
        step()
    if rest := steps[ENDED_AT_ONCE:]:
        asyncio.get_running_loop().call_soon(_do_by_and_by, rest)


def _nothing() -> None:
    pass


def begin_task(call: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Run a call in a task of its own; where Python can, at once up to where it first waits."""
    loop = asyncio.get_running_loop()
    if sys.version_info >= (3, 12):
        return asyncio.Task(call, loop=loop, eager_start=True)
    return loop.create_task(call)
