"""How messages leave: encoded once, joined per connection and loop tick, without a task for each.

A message to one connection is queued; one flush per tick of the event loop then takes each connection that has
something queued, joins that to as few frames as possible and steps the transport's `send` until it returns or suspends.
A server with a direct way is not even asked to `send`. A broadcast, if nothing else is under way, is not queued at all:
the flush sweeps over its receivers and writes one prepared frame to each.

A `send` that suspends means that this client reads too slowly: it is parked in a task of its own, and the others go on.
While it is parked its queue may grow to a limit; beyond it the client is given up, or loses all but the latest message
of each method.
"""

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from itertools import islice
from typing import Any, Protocol

from asgi_signalr.connections.stepping import rest_of
from asgi_signalr.options import SlowClientPolicy
from asgi_signalr.transports import DirectWriter, Write
from asgi_signalr.transports.payload import Payload, frame_of, frames_of

# A frame joins messages up to this size: well below what clients accept as one message.
FRAME_BYTES = 64 * 1024
# The most bytes queued before a sender waits: for the flush, or for the one connection that it writes to.
HIGH_WATER = 64 * 1024
# The most connections that one turn of a flush sends to; then the loop does other things. Messages sent meanwhile leave
# together with these for all whose turn is still to come: the busier a server is, the fewer pieces it sends.
CONNECTIONS_PER_TURN = 100
# How many answers are sent at once after a tick that had a single one, until it is seen anew how many a tick has: to
# send those of many clients together costs less, but a lone one would only wait for the loop to go round.
ANSWERS_AT_ONCE = 16


CANCELLED = "The server has cancelled what was to be sent."


class SlowClientError(Exception):
    """The client did not take what was sent to it."""


class SendTimeoutError(SlowClientError, TimeoutError):
    """The client has taken nothing at all for too long."""


class Receiver(Protocol):
    """A connection, as far as a broadcast has to know it."""

    outbox: "Outbox"
    encoding: Any


class Sweep:
    """A broadcast on its way to idle outboxes: written to one after the other, without being queued in each.

    An outbox that is given something else before the sweep has come to it gets the broadcast first.

    Args:
        receivers: the connections that it goes to.
        payloads: the message as each kind of connection takes it, by `encoding`.

    """

    __slots__ = ("_at", "_left", "_payloads", "_receivers")

    def __init__(self, receivers: Sequence[Receiver], payloads: Mapping[Any, Payload]) -> None:
        self._receivers = receivers
        self._payloads = payloads
        self._at = 0
        self._left: dict[Outbox, Receiver] | None = None  # made only if something comes in between

    def visit(self, most: int) -> bool:
        """Write to some outboxes; whether that were the last ones."""
        left = self._left
        if left is None:
            receivers = self._receivers[self._at : self._at + most]
            self._at += most
            is_over = self._at >= len(self._receivers)
        else:
            receivers = [left.pop(outbox) for outbox in tuple(islice(left, most))]
            is_over = not left
        encoding: Any = None
        for receiver in receivers:
            outbox = receiver.outbox
            if receiver.encoding is not encoding:
                encoding = receiver.encoding
                payload = self._payloads[encoding]
                frame = payload.frame
            direct = outbox.direct
            if direct is None or direct.blocked or not outbox.is_idle:
                outbox.send(payload)
                continue
            outbox.used = True
            write = direct.write  # looked up by itself: a method of `direct` is what Python would look for otherwise
            try:
                write(frame)
            except Exception as error:  # noqa: BLE001  (whatever it is, this connection is over and no other)
                outbox.fail(error)
        return is_over

    def leave_out(self, outbox: "Outbox") -> Payload | None:
        """Pass an outbox by; returns what it would have been given, if it was still to be visited."""
        left = self._left
        if left is None:
            left = self._left = {receiver.outbox: receiver for receiver in self._receivers[self._at :]}
        receiver = left.pop(outbox, None)
        return None if receiver is None else self._payloads[receiver.encoding]


class Flusher:
    """Sends what the outboxes of one server have queued: one task per tick in which anything was."""

    def __init__(self) -> None:
        self._marked: list[Outbox] = []
        self._task: asyncio.Task[None] | None = None
        self.sweep: Sweep | None = None
        """A broadcast that is under way, if nothing else was when it began."""
        self.backlog = 0  # the bytes of the fullest outbox that is to be flushed
        self.answers_at_once = 0  # how many more are sent through ASGI without waiting for the next tick

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way."""
        return self._task is None

    def mark(self, outbox: "Outbox") -> None:
        """Note that an outbox has something to send in this tick."""
        self._marked.append(outbox)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._flush())

    def broadcast(self, receivers: Sequence[Receiver], payloads: Mapping[Any, Payload]) -> None:
        """Send a message to many in this tick; to be called only while nothing is under way."""
        self.sweep = Sweep(receivers, payloads)
        self.backlog = max(len(payload.data) for payload in payloads.values())
        self._task = asyncio.get_running_loop().create_task(self._flush())

    async def caught_up(self) -> None:
        """Wait for the flush if it has much to send to one client, so that no sender runs away from it.

        For slow clients nobody waits.
        """
        if self.backlog > HIGH_WATER and self._task is not None:
            await asyncio.wait({self._task})

    async def _flush(self) -> None:
        try:
            while True:
                marked, self._marked = self._marked, []
                self.backlog = 0
                self.answers_at_once = ANSWERS_AT_ONCE if len(marked) == 1 and marked[0].holds_one else 0
                for start in range(0, len(marked), CONNECTIONS_PER_TURN):
                    if start:
                        await asyncio.sleep(0)
                    for outbox in marked[start : start + CONNECTIONS_PER_TURN]:
                        outbox.flush()
                if self.sweep is not None:
                    if marked:
                        await asyncio.sleep(0)
                    if self.sweep.visit(CONNECTIONS_PER_TURN):
                        self.sweep = None
                if self.sweep is not None:
                    await asyncio.sleep(0)
                elif not self._marked:
                    break
        finally:
            self._task = None
            self.sweep = None


class Outbox:
    """The messages on their way to one connection, in order.

    Args:
        write: the transport's way to send.
        flusher: calls `flush` in each tick that has something to send.
        limit: the most bytes that may be queued while the client is slow.
        on_failure: told once why the client can be sent to no more; the outbox is closed by then.
        policy: says what happens beyond the limit.
        on_dropped: told how many messages a slow client will never see.
        direct: where frames may be written at once; `write` then is for a client that is slow.

    """

    __slots__ = (
        "_flusher",
        "_is_marked",
        "_limit",
        "_on_dropped",
        "_on_failure",
        "_parked",
        "_policy",
        "_queue",
        "_size",
        "_write",
        "closed",
        "direct",
        "is_idle",
        "parked_since",
        "used",
    )

    def __init__(
        self,
        write: Write,
        flusher: Flusher,
        limit: int,
        on_failure: Callable[[Exception], None],
        *,
        policy: SlowClientPolicy = "close",
        on_dropped: Callable[[int], None] | None = None,
        direct: DirectWriter | None = None,
    ) -> None:
        self.direct = direct
        self._write = write
        self._flusher = flusher
        self._limit = limit
        self._on_failure = on_failure
        self._policy = policy
        self._on_dropped = on_dropped
        self._queue: list[Payload] = []
        self._size = 0
        self._is_marked = False
        self._parked: asyncio.Task[None] | None = None
        self.parked_since: float | None = None
        self.closed = False
        self.is_idle = direct is not None
        """Whether nothing is on its way, so that a frame may be written at once, unless the direct way is blocked."""
        self.used = False  # since the keep-alive timer looked last

    def put(self, payload: Payload) -> None:
        """Queue messages for this tick's flush. Does nothing once the outbox is closed."""
        if self.closed:
            return
        flusher = self._flusher
        if flusher.sweep is not None and (earlier := flusher.sweep.leave_out(self)) is not None:
            self.put(earlier)
        self.is_idle = False
        self._queue.append(payload)
        size = self._size = self._size + len(payload.data)
        if self._parked is None:
            if size > flusher.backlog:
                flusher.backlog = size
            if not self._is_marked:
                self._is_marked = True
                flusher.mark(self)
        elif size > self._limit:
            self._shed()

    @property
    def holds_one(self) -> bool:
        """Whether just one message is queued."""
        return len(self._queue) == 1

    def put_now(self, data: bytes, binary: bool) -> None:
        """Send an answer at once where that costs least, if nothing else is on its way: past ASGI, or if alone."""
        direct, flusher = self.direct, self._flusher
        if direct is None or direct.blocked or not self.is_idle or flusher.sweep is not None:
            payload = Payload(data, binary)
            if flusher.answers_at_once and flusher.is_idle and not self._queue:
                flusher.answers_at_once -= 1
                self.send(payload)
            else:
                self.put(payload)
            return
        self.used = True
        write = direct.write  # as in a sweep
        try:
            write(frame_of(data, binary))
        except Exception as error:  # noqa: BLE001  (whatever it is, this connection is over)
            self.fail(error)

    def send(self, payload: Payload) -> None:
        """Send messages behind what is queued, as far as the transport takes it at once."""
        if self.closed:
            return
        self.is_idle = False
        self._queue.append(payload)
        self._size += len(payload.data)
        if self._parked is None:
            self.flush()
        elif self._size > self._limit:
            self._shed()

    def flush(self) -> None:
        """Send what is queued, as far as the transport takes it at once."""
        self._is_marked = False
        while self._queue and self._parked is None and not self.closed:
            self.used = True
            if self._size <= FRAME_BYTES:
                frame, self._queue, self._size = self._queue, [], 0
            else:
                frame = self._take_frame()
            direct = self.direct
            try:
                if direct is not None and not direct.blocked:
                    direct.write(frame[0].frame if len(frame) == 1 else frames_of(frame))
                    continue
                sending = self._write(frame)
                if sending is None:
                    continue
                steps = sending.__await__()
                waiting_for = next(steps)
            except StopIteration:
                continue
            except Exception as error:  # noqa: BLE001  (whatever it is, this connection is over and no other)
                self.fail(error)
            except asyncio.CancelledError:  # of something that the server waited for: this flush goes on
                self.fail(ConnectionError(CANCELLED))
            else:
                loop = asyncio.get_running_loop()
                self.parked_since = loop.time()
                self._parked = loop.create_task(_rest_of(steps, waiting_for))
                self._parked.add_done_callback(self._unpark)
        self._settle()

    def _settle(self) -> None:
        self.is_idle = not (self._queue or self.closed) and self._parked is None and self.direct is not None

    async def room(self) -> None:
        """Wait while much is queued for the client: for the flush, or longer if the client is slow."""
        while self._size > HIGH_WATER and not self.closed:
            if self._parked is None:
                await asyncio.sleep(0)
            else:
                await asyncio.wait({self._parked})

    async def drain(self) -> None:
        """Wait until everything queued is sent."""
        sweep = self._flusher.sweep
        if sweep is not None and (earlier := sweep.leave_out(self)) is not None:
            self.put(earlier)
        while (self._queue or self._parked is not None) and not self.closed:
            if self._parked is None:
                self.flush()
            else:
                await asyncio.wait({self._parked})

    def close(self) -> None:
        """Take no more messages, and forget those that are still queued."""
        self.closed = True
        self.is_idle = False
        self._queue.clear()
        self._size = 0
        if self._parked is not None:
            self._parked.cancel()

    def _shed(self) -> None:
        """Bring the queue of a slow client back below its limit, or give the client up."""
        if self._policy == "latest":
            latest = {each.key: each for each in self._queue}
            kept = [each for each in self._queue if each.key is None or each is latest[each.key]]
            dropped = len(self._queue) - len(kept)
            self._queue = kept
            self._size = sum(len(each.data) for each in kept)
            if dropped and self._on_dropped is not None:
                self._on_dropped(dropped)
        if self._size > self._limit:
            self.fail(SlowClientError(f"The client is slow: more than {self._limit} bytes wait for it."))

    def _take_frame(self) -> list[Payload]:
        frame: list[Payload] = []
        size = 0
        for payload in self._queue:
            if frame and size + len(payload.data) > FRAME_BYTES:
                break
            frame.append(payload)
            size += len(payload.data)
        del self._queue[: len(frame)]
        self._size -= size
        return frame

    def _unpark(self, task: asyncio.Task[None]) -> None:
        self._parked = self.parked_since = None
        if task.cancelled():
            if not self.closed:
                self.fail(ConnectionError(CANCELLED))
            return
        error = task.exception()
        if isinstance(error, Exception):
            self.fail(error)
        else:
            self.flush()

    def fail(self, error: Exception) -> None:
        """Give the client up, because of an error."""
        self.close()
        self._on_failure(error)


async def _rest_of(steps: Generator[Any, Any, None], waiting_for: Any) -> None:
    """Go on with an awaitable that has been stepped to its first suspension, in a task: only coroutines can be one."""
    await rest_of(steps, waiting_for)
