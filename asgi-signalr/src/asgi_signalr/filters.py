"""Hub filters: code around every call of a hub's methods, and around the begin and end of its connections.

    class Timing(HubFilter):
        async def invoke(self, context: InvocationContext, next: Invoke) -> Any:
            began = time.perf_counter()
            try:
                return await next(context)
            finally:
                print(context.method_name, time.perf_counter() - began)

Filters of the whole application (`SignalR(filters=…)`) are around those of a hub (`hub(path, filters=…)`), and in each
list the first is the outermost, as in ASP.NET Core.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asgi_signalr.context import HubCallerContext

if TYPE_CHECKING:
    from asgi_signalr.hubs import Hub
    from asgi_signalr.hubs.methods import HubMethod


@dataclass
class InvocationContext:
    """A call of a hub method on its way; a filter may change its arguments."""

    context: HubCallerContext
    """The connection that calls."""
    hub: "Hub"
    method_name: str
    """The method's name for clients."""
    hub_method: "HubMethod"
    """The method: its `function`, its `types`."""
    arguments: list[Any]
    """The client's arguments, already of the declared types."""
    keywords: dict[str, Any]
    """Parameters that the client does not give as arguments: its streams, and dependencies."""


@dataclass
class LifetimeContext:
    """The beginning or the end of a connection on its way to the hub."""

    context: HubCallerContext
    """The connection."""
    hub: "Hub"


Invoke = Callable[[InvocationContext], Awaitable[Any]]
Connected = Callable[[LifetimeContext], Awaitable[None]]
Disconnected = Callable[[LifetimeContext, Exception | None], Awaitable[None]]


class HubFilter:
    """The base of all filters; override the events to be filtered. An event that is not overridden costs nothing."""

    async def invoke(self, context: InvocationContext, next: Invoke) -> Any:
        """Call the method with `await next(context)`, and return what the client is to get: or raise, to refuse.

        Of a method that answers with a stream `next` returns the iterator, from which nothing was taken yet.
        """
        return await next(context)

    async def on_connected(self, context: LifetimeContext, next: Connected) -> None:
        """Begin a connection with `await next(context)`, or raise to refuse it."""
        await next(context)

    async def on_disconnected(
        self,
        context: LifetimeContext,
        error: Exception | None,
        next: Disconnected,
    ) -> None:
        """Let the hub know of a connection's end with `await next(context, error)`."""
        await next(context, error)


def checked_filters(filters: Iterable[HubFilter]) -> tuple[HubFilter, ...]:
    """See that these are filters.

    Raises:
        TypeError: one is none.

    """
    filters = tuple(filters)
    for each in filters:
        if not isinstance(each, HubFilter):
            raise TypeError(f"{each!r} is no HubFilter; pass an object of a subclass.")
    return filters


def around_invoke(filters: Sequence[HubFilter], invoke: Invoke) -> Invoke:
    """Put filters around the call of a method."""
    for each in reversed(filters):
        if type(each).invoke is not HubFilter.invoke:
            invoke = _invoke(each, invoke)
    return invoke


def around_connected(filters: Sequence[HubFilter], connected: Connected) -> Connected:
    """Put filters around `on_connected`."""
    for each in reversed(filters):
        if type(each).on_connected is not HubFilter.on_connected:
            connected = _connected(each, connected)
    return connected


def around_disconnected(filters: Sequence[HubFilter], disconnected: Disconnected) -> Disconnected:
    """Put filters around `on_disconnected`."""
    for each in reversed(filters):
        if type(each).on_disconnected is not HubFilter.on_disconnected:
            disconnected = _disconnected(each, disconnected)
    return disconnected


def _invoke(by: HubFilter, inner: Invoke) -> Invoke:
    return lambda context: by.invoke(context, inner)


def _connected(by: HubFilter, inner: Connected) -> Connected:
    return lambda context: by.on_connected(context, inner)


def _disconnected(by: HubFilter, inner: Disconnected) -> Disconnected:
    return lambda context, error: by.on_disconnected(context, error, inner)
