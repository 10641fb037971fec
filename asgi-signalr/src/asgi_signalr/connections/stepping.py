"""Steps what is to be awaited by hand: most of it ends at once, and needs neither a task nor a time-out.

An awaitable is an iterator that yields whatever it waits for, and ends with its result. `next` runs it up to where it
first waits; only if it waits somebody has to go on with it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from types import coroutine
from typing import Any, TypeVar

T = TypeVar("T")


@coroutine
def rest_of(steps: Generator[Any, Any, T], waiting_for: Any) -> Generator[Any, Any, T]:
    """Go on with an awaitable that has been stepped to where it waits."""
    try:
        while True:
            try:
                value = yield waiting_for
            except BaseException as error:  # what is thrown in is the awaitable's: a cancellation, too
                if not hasattr(steps, "throw"):  # an awaitable need not have it: granian's has not
                    raise
                waiting_for = steps.throw(error)
            else:
                waiting_for = next(steps) if value is None else steps.send(value)
    except StopIteration as end:
        result: T = end.value
        return result


async def within(awaitable: Awaitable[T], seconds: float | None, error: Callable[[], Exception]) -> T:
    """Wait for something, but no longer than it may take; a time-out is begun only if it waits at all.

    Args:
        awaitable: it is cancelled when its time is over.
        seconds: that time; None: as long as it takes.
        error: makes the error that is raised then.

    Raises:
        Exception: what `error` has made; a TimeoutError of its own is passed on.

    """
    steps = awaitable.__await__()
    try:
        waiting_for = next(steps)
    except StopIteration as end:
        result: T = end.value
        return result
    try:
        async with asyncio.timeout(seconds) as limit:
            return await rest_of(steps, waiting_for)
    except TimeoutError:
        if not limit.expired():
            raise
        raise error() from None
