"""The application's own functions around a connection: they get their time, and no more."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from asgi_signalr.connections.stepping import rest_of

T = TypeVar("T")


class HookTimeoutError(TimeoutError):
    """A function of the application has not ended in time. It has been cancelled."""


async def in_time(hook: Awaitable[T], seconds: float, name: str) -> T:
    """Wait for a function of the application, but not for ever.

    Args:
        hook: what it has returned.
        seconds: the time that it gets, `hook_timeout`.
        name: what it is called, in the error.

    Raises:
        HookTimeoutError: it takes longer.

    """
    steps = hook.__await__()
    try:
        waiting_for = next(steps)
    except StopIteration as end:  # as most of them do: they wait for nothing
        result: T = end.value
        return result
    try:
        async with asyncio.timeout(seconds) as limit:
            return await rest_of(steps, waiting_for)
    except TimeoutError:
        if not limit.expired():
            raise
        raise HookTimeoutError(f"{name} has not ended within {seconds:g} s (hook_timeout).") from None
