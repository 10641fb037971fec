"""Hubs: classes whose public methods clients call.

A hub object lives for one call; state that is to last belongs in `context.items`, or outside.
"""

import inspect
from collections.abc import Callable
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

from asgi_signalr.clients import GroupManager, HubCallerClients
from asgi_signalr.context import Authorize, checked_rule
from asgi_signalr.hubs.methods import Mark
from asgi_signalr.presence import Presence

if TYPE_CHECKING:
    from asgi_signalr.hubs.connection import HubConnection

__all__ = ["Hub", "hub_method"]

T = TypeVar("T")


class OnDemand(Generic[T]):
    """An attribute of a hub that is made when it is first asked for: most calls need few of them."""

    def __init__(self, make: Callable[["HubConnection"], T]) -> None:
        self._make = make

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, hub: None, owner: type) -> Self: ...

    @overload
    def __get__(self, hub: "Hub", owner: type) -> T: ...

    def __get__(self, hub: "Hub | None", owner: type) -> T | Self:
        try:
            connection = hub._hub_connection  # type: ignore[union-attr]
        except AttributeError:
            if hub is None:
                return self
            raise RuntimeError(
                f"self.{self._name} is not available in a constructor, nor in a hub that you make yourself. "
                "A constructor may take a parameter of the type HubCallerContext; "
                f"signalr.hub_context({owner.__name__}) reaches the clients from anywhere."
            ) from None
        made = self._make(connection)
        hub.__dict__[self._name] = made
        return made


class Hub:
    """The base of all hubs. Public methods of a subclass can be called by its clients; `async def` or `def`.

    Static methods, class methods, properties and names that begin with `_` are none of theirs.

    A generator of either kind, or a method that is annotated to return an `AsyncIterator`, answers with a stream. A
    parameter that is annotated as `AsyncIterator[T]` takes a stream of the client.
    """

    context = OnDemand(lambda connection: connection.context)
    """The connection that calls."""
    clients = OnDemand(lambda connection: HubCallerClients(connection.find_local_hub, connection.id))
    """The clients, to send to."""
    groups = OnDemand(lambda connection: GroupManager(connection.find_local_hub))
    """The groups of this hub."""
    presence = OnDemand(lambda connection: Presence(connection.find_local_hub))
    """Who is in them, if it is served with `presence=True`."""
    _hub_connection: "HubConnection"

    async def on_connected(self) -> None:
        """Override to act when a connection begins. An exception refuses it."""

    async def on_disconnected(self, error: Exception | None) -> None:
        """Override to act when a connection has ended: by an error, or with None as it should."""


F = TypeVar("F", bound=Callable[..., Any])


@overload
def hub_method(name: F, /) -> F: ...


@overload
def hub_method(name: str | None = None, *, authorize: Authorize | EllipsisType = ...) -> Callable[[F], F]: ...


def hub_method(name: Any = None, *, authorize: Authorize | EllipsisType = ...) -> Any:
    """Give a hub method another name for its clients, or a rule about who may call it.

    A method that overrides another has its name and its rule, unless it is given its own. A decorator above this one
    has to use `functools.wraps`, so that the mark stays on the function that it puts in the method's place.

    Raises:
        TypeError: two of them say different things of one method; or that is no method, the name no text, or the rule
            neither a bool nor a function.

    """
    if callable(name) or isinstance(name, classmethod):  # without parentheses
        return hub_method(authorize=authorize)(name)
    if not isinstance(name, str | None):
        raise TypeError(f"The name that clients call a method by is text, not {name!r}.")
    if authorize is not ...:
        checked_rule(authorize)

    def mark(function: F) -> F:
        if not inspect.isfunction(function):
            raise TypeError(f"@hub_method() marks methods that take self, not {function!r}.")
        before: Mark = getattr(function, "__hub_method__", Mark())
        if name is not None and before.name not in (None, name):
            raise TypeError(
                f"{function.__qualname__} is marked with two names, {name!r} and {before.name!r}; leave one out."
            )
        if ... not in (authorize, before.authorize) and authorize != before.authorize:
            raise TypeError(
                f"{function.__qualname__} is marked with two rules, {authorize!r} and {before.authorize!r}; "
                "write one function that asks both."
            )
        both = Mark(before.name if name is None else name, before.authorize if authorize is ... else authorize)
        function.__hub_method__ = both  # type: ignore[attr-defined]
        return function

    return mark
