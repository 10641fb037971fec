"""Hubs: classes whose public methods clients call, and what of a class that makes callable.

A hub object lives for one call; what is to last belongs into `context.items`, or outside.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

from asgi_signalr.clients import GroupManager, HubCallerClients
from asgi_signalr.context import Authorize, HubCallerContext
from asgi_signalr.errors import InvalidDataError
from asgi_signalr.protocols import HubProtocol


class Hub:
    """The base of all hubs. Public methods of a subclass can be called by its clients; `async def` or `def`."""

    context: HubCallerContext
    """The connection that calls."""
    clients: HubCallerClients
    """The clients, to send to."""
    groups: GroupManager
    """The groups of this hub."""

    async def on_connected(self) -> None:
        """Override to act when a connection begins. An exception refuses it."""

    async def on_disconnected(self, error: Exception | None) -> None:
        """Override to act when a connection has ended: by an error, or with None as it should."""


F = TypeVar("F", bound=Callable[..., Any])


def hub_method(name: str | None = None, *, authorize: Authorize = False) -> Callable[[F], F]:
    """Give a hub method another name for its clients, or a rule about who may call it."""

    def mark(function: F) -> F:
        function.__hub_method__ = (name, authorize)  # type: ignore[attr-defined]
        return function

    return mark


@dataclass(frozen=True)
class HubMethod:
    """One method that clients can call, and how its arguments are bound."""

    name: str
    function: Callable[..., Any]
    is_async: bool
    authorize: Authorize
    types: tuple[Any, ...]
    required: int
    rest: Any = None
    """The type of further arguments, for a method with `*args`; None: there are none."""

    def bind(self, arguments: list[Any], protocol: HubProtocol) -> list[Any]:
        """Turn received arguments into what the method declares.

        Raises:
            InvalidDataError: too few or too many arguments.
            ValueError: one does not fit its type.

        """
        given, declared = len(arguments), len(self.types)
        if given < self.required or (given > declared and self.rest is None):
            raise InvalidDataError(f"Invocation provides {given} argument(s) but target expects {declared}.")
        types = self.types if given <= declared else self.types + (self.rest,) * (given - declared)
        return [
            value if to is Any else protocol.convert(value, to)
            for value, to in zip(arguments, types, strict=False)  # parameters with defaults may be left out
        ]


def methods_of(hub: type[Hub]) -> dict[str, HubMethod]:
    """List what clients can call of a hub, by names in lower case.

    Raises:
        TypeError: two methods have the same name for clients, or a signature cannot be called by clients.

    """
    methods: dict[str, HubMethod] = {}
    for name in dict.fromkeys(name for each in hub.__mro__ if not issubclass(Hub, each) for name in vars(each)):
        function = inspect.getattr_static(hub, name)
        if name.startswith("_") or name in vars(Hub) or not inspect.isfunction(function):
            continue
        method = _method(hub, name, function)
        if method.name.lower() in methods:
            raise TypeError(f"{hub.__name__} has two methods that clients call {method.name!r}; give one another name.")
        methods[method.name.lower()] = method
    return methods


def _method(hub: type[Hub], name: str, function: Callable[..., Any]) -> HubMethod:
    where = f"{hub.__name__}.{name}"
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise TypeError(f"{where} is a stream, which this version cannot serve.")
    called, authorize = getattr(function, "__hub_method__", (None, False))
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise TypeError(f"{where} has an annotation that cannot be resolved: {error}.") from error
    types, required, rest = [], 0, None
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        to = hints.get(parameter.name, Any)
        if parameter.kind is parameter.VAR_POSITIONAL:
            rest = to
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            types.append(to)
            required += parameter.default is parameter.empty
        elif parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty:
            raise TypeError(f"{where} requires {parameter.name} by keyword; clients pass arguments by position.")
    return HubMethod(
        called or name, function, inspect.iscoroutinefunction(function), authorize, tuple(types), required, rest
    )
