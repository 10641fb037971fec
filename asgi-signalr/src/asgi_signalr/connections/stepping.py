"""Steps what is to be awaited by hand: most of it ends at once, and needs neither a task nor a time-out.

An awaitable is an iterator that yields whatever it waits for, and ends with its result. `next` runs it up to where it
first waits; only if it waits somebody has to go on with it.
"""

from collections.abc import Generator
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
