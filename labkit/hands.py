"""Work side by side: each hand is a thread that does one thing after the other, with tools of its own."""

import queue
import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Protocol, Self, TypeVar

from labkit import signals

Item = TypeVar("Item")
ItemIn = TypeVar("ItemIn", contravariant=True)
Outcome = TypeVar("Outcome")
OutcomeOut = TypeVar("OutcomeOut", covariant=True)


class Stopped(Exception):  # noqa: N818  (a wish, no error)
    """Nobody waits for what is being done any more."""


class Hand(Protocol[ItemIn, OutcomeOut]):
    """A worker with its tools, which it has from entering to leaving; all but `interrupt` is for one thread."""

    def __enter__(self) -> Self:
        """Begin."""
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Put the tools away."""

    def do(self, item: ItemIn) -> OutcomeOut:
        """Do one thing. Raises Stopped if that was interrupted."""
        ...

    def interrupt(self) -> None:
        """Bring what it does to an end now. For another thread."""


def outcomes(
    items: Sequence[Item], hands: Sequence[Hand[Item, Outcome]], stopping: threading.Event
) -> Generator[Outcome, None, None]:
    """Have the hands do everything; the outcomes come as they stand.

    Whoever stops to listen ends all that runs: `stopping` is set, and every hand interrupted. A second Ctrl-C does not
    cut that short. What a hand raises is raised here.
    """
    waiting: queue.SimpleQueue[Item] = queue.SimpleQueue()
    for item in items:
        waiting.put(item)
    found: queue.SimpleQueue[Outcome | BaseException] = queue.SimpleQueue()
    pool = ThreadPoolExecutor(max(len(hands), 1))
    try:
        for hand in hands:
            pool.submit(_work, hand, waiting, found.put, stopping)
        for _ in items:
            outcome = signals.next_of(found)
            if isinstance(outcome, BaseException):
                raise outcome
            yield outcome
    finally:
        with signals.unheard():
            stopping.set()
            for hand in hands:
                hand.interrupt()
            pool.shutdown()


def _work(
    hand: Hand[Item, Outcome],
    waiting: "queue.SimpleQueue[Item]",
    tell: Callable[[Outcome | BaseException], None],
    stopping: threading.Event,
) -> None:
    try:
        with hand:
            while not stopping.is_set():
                try:
                    item = waiting.get_nowait()
                except queue.Empty:
                    return
                tell(hand.do(item))
    except Stopped:
        return
    except BaseException as error:  # noqa: BLE001  (whoever listens raises it)
        tell(error)
