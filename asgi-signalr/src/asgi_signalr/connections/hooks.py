"""The application's own functions around a connection: they get their time, and no more."""

from collections.abc import Awaitable
from typing import TypeVar

from asgi_signalr.connections.stepping import within

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
    return await within(
        hook, seconds, lambda: HookTimeoutError(f"{name} has not ended within {seconds:g} s (hook_timeout).")
    )
