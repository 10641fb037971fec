"""Hubs: classes whose public methods clients call, and what of a class that makes callable.

A hub object lives for one call; what is to last belongs into `context.items`, or outside.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import EllipsisType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, get_args, overload

from asgi_signalr.clients import GroupManager, HubCallerClients
from asgi_signalr.context import Authorize, checked_rule
from asgi_signalr.dependencies import Source, hints_of, source_of
from asgi_signalr.errors import InvalidDataError
from asgi_signalr.messages import Message
from asgi_signalr.presence import Presence
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.registration import check_event, check_members, check_takes_self
from asgi_signalr.streams import awaited, is_stream, item_type

if TYPE_CHECKING:
    from asgi_signalr.hub_connection import HubConnection

T = TypeVar("T")


class _OnDemand(Generic[T]):
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

    context = _OnDemand(lambda connection: connection.context)
    """The connection that calls."""
    clients = _OnDemand(lambda connection: HubCallerClients(connection.find_lifetime, connection.id))
    """The clients, to send to."""
    groups = _OnDemand(lambda connection: GroupManager(connection.find_lifetime))
    """The groups of this hub."""
    presence = _OnDemand(lambda connection: Presence(connection.find_lifetime))
    """Who is in them, if it is served with `presence=True`."""
    _hub_connection: "HubConnection"

    async def on_connected(self) -> None:
        """Override to act when a connection begins. An exception refuses it."""

    async def on_disconnected(self, error: Exception | None) -> None:
        """Override to act when a connection has ended: by an error, or with None as it should."""


F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class _Mark:
    """What `hub_method` has said of a method; of what is None or an ellipsis it has said nothing."""

    name: str | None = None
    authorize: Authorize | EllipsisType = ...


@overload
def hub_method(name: F, /) -> F: ...


@overload
def hub_method(name: str | None = None, *, authorize: Authorize | EllipsisType = ...) -> Callable[[F], F]: ...


def hub_method(name: Any = None, *, authorize: Authorize | EllipsisType = ...) -> Any:
    """Give a hub method another name for its clients, or a rule about who may call it.

    A method that overrides another has its name and its rule, unless it is given its own. A decorator above this one
    has to use `functools.wraps`: else nothing of this is to be seen on what it puts in the method's place.

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
        before: _Mark = getattr(function, "__hub_method__", _Mark())
        if name is not None and before.name not in (None, name):
            raise TypeError(
                f"{function.__qualname__} is marked with two names, {name!r} and {before.name!r}; leave one out."
            )
        if ... not in (authorize, before.authorize) and authorize != before.authorize:
            raise TypeError(
                f"{function.__qualname__} is marked with two rules, {authorize!r} and {before.authorize!r}; "
                "write one function that asks both."
            )
        both = _Mark(before.name if name is None else name, before.authorize if authorize is ... else authorize)
        function.__hub_method__ = both  # type: ignore[attr-defined]
        return function

    return mark


def _mark_of(definition: Any) -> _Mark:
    mark = getattr(getattr(definition, "__func__", definition), "__hub_method__", None)
    return mark if isinstance(mark, _Mark) else _Mark()


def _said_of(definitions: Iterable[Any]) -> tuple[str | None, Authorize]:
    """Find a method's name for clients and its rule: each as its own class says, or else the nearest base."""
    marks = [_mark_of(each) for each in definitions]
    name = next((each.name for each in marks if each.name is not None), None)
    return name, next((each.authorize for each in marks if not isinstance(each.authorize, EllipsisType)), False)


@dataclass(frozen=True)
class HubMethod:
    """One method that clients can call, and how it is called."""

    name: str
    """Its name for clients."""
    function: Callable[..., Any]
    authorize: Authorize
    types: tuple[Any, ...]
    """The types of the arguments that clients give."""
    required: int
    """So many of them have no default."""
    rest: Any
    """The type of further arguments, for a method with `*args`; None: there are none."""
    names: tuple[str, ...] | None
    """The names of the arguments, if they are to be given by name: a stream or a dependency comes before one."""
    uploads: Mapping[str, Any]
    """The parameters that take a client's streams, and the types of their items."""
    sources: Mapping[str, Source]
    """The parameters that the library fills."""
    is_stream: bool
    """Whether it answers with a stream."""
    is_async: bool
    is_plain: bool
    """Whether nothing in it can wait, so that it needs no task."""
    converters: Mapping[str, Callable[[list[Any]], list[Any]]]
    """What converts received arguments, by the protocol's name."""
    writers: Mapping[str, Callable[[Message], bytes]]
    """What writes its results or items, by the protocol's name, where that is not just the protocol's `write`."""

    def bind(self, arguments: list[Any], protocol: HubProtocol) -> list[Any]:
        """Turn received arguments into what the method declares.

        Raises:
            InvalidDataError: too few or too many arguments.
            ValueError: one does not fit its type.

        """
        given, declared = len(arguments), len(self.types)
        convert = self.converters[protocol.name]
        if self.required <= given <= declared:
            return convert(arguments)
        if given > declared and self.rest is not None:
            rest = [protocol.convert(each, self.rest) for each in arguments[declared:]]
            return [*convert(arguments[:declared]), *rest]
        raise InvalidDataError(f"Invocation provides {given} argument(s) but target expects {declared}.")

    def call(self, hub: Hub, arguments: list[Any], keywords: Mapping[str, Any]) -> Any:
        """Call the function. What it returns may still have to be awaited."""
        if self.names is None:
            return self.function(hub, *arguments, **keywords)
        return self.function(hub, **dict(zip(self.names, arguments, strict=False)), **keywords)


def methods_of(hub: type[Hub], protocols: Mapping[str, HubProtocol]) -> dict[str, HubMethod]:
    """List what clients can call of a hub, by names in lower case.

    Raises:
        TypeError: two methods have the same name for clients, a signature cannot be called by clients or the library,
            or something hides what the hub has from its base.

    """
    check_members(hub, Hub, [name for name, each in vars(Hub).items() if isinstance(each, _OnDemand)])
    check_event(hub, "on_connected")
    check_event(hub, "on_disconnected", "error")
    methods: dict[str, HubMethod] = {}
    for name in dict.fromkeys(name for each in hub.__mro__ if not issubclass(Hub, each) for name in vars(each)):
        where = f"{hub.__name__}.{name}"
        owners = [each for each in hub.__mro__ if name in vars(each)]
        function, *overridden = (vars(each)[name] for each in owners)
        if name.startswith("_") or name in vars(Hub) or not inspect.isfunction(function):
            if _mark_of(function) != _Mark():
                raise TypeError(f"{where} is marked with @hub_method, but clients can call public methods only.")
            continue
        check_takes_self(function, name, owners[0], where)
        called, authorize = _said_of([function, *overridden])
        method = _method(where, called or name, function, authorize, protocols)
        if method.name.lower() in methods:
            raise TypeError(f"{hub.__name__} has two methods that clients call {method.name!r}; give one another name.")
        methods[method.name.lower()] = method
    return methods


def _method(
    where: str, name: str, function: Callable[..., Any], authorize: Authorize, protocols: Mapping[str, HubProtocol]
) -> HubMethod:
    hints = hints_of(function, where)
    types: dict[str, Any] = {}
    uploads: dict[str, Any] = {}
    sources: dict[str, Source] = {}
    required, rest = 0, None
    has_other = is_by_name = False  # a parameter that clients give no argument for; one that they do comes behind it
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        to = hints.get(parameter.name, Any)
        source, item = source_of(parameter, to, where), item_type(to)
        if source is not None or item is not None:
            if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                raise TypeError(f"{where} takes {parameter.name} by position only; it has to be given by name.")
            has_other |= parameter.kind is parameter.POSITIONAL_OR_KEYWORD
            if source is not None:
                sources[parameter.name] = source
            elif item is not None:
                uploads[parameter.name] = item[0]
        elif parameter.kind is parameter.VAR_POSITIONAL:
            if has_other:
                raise TypeError(f"{where} has *{parameter.name} behind a stream or a dependency; put that behind it.")
            rest = to
        elif parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            types[parameter.name] = to
            required += parameter.default is parameter.empty
            is_by_name |= has_other
        elif parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty:
            raise TypeError(f"{where} requires {parameter.name} by keyword; clients pass arguments by position.")
    streams = is_stream(function, hints.get("return"))
    is_async = inspect.iscoroutinefunction(inspect.unwrap(function))
    try:
        converters = {each.name: each.converter(tuple(types.values())) for each in protocols.values()}
        for each in protocols.values():
            each.converter((*uploads.values(), Any if rest is None else rest))  # only to see that there is one
    except TypeError as error:
        raise TypeError(f"{where} cannot be called by clients. {error}") from error
    returns = awaited(hints.get("return", Any))
    answer = next(iter(get_args(returns)), Any) if streams else returns
    writers = {each.name: writer(answer) for each in protocols.values() if (writer := getattr(each, "writer", None))}
    return HubMethod(
        name=name,
        function=function,
        authorize=authorize,
        types=tuple(types.values()),
        required=required,
        rest=rest,
        names=tuple(types) if is_by_name else None,
        uploads=uploads,
        sources=sources,
        is_stream=streams,
        is_async=is_async,
        is_plain=not (is_async or streams or uploads or sources) and isinstance(authorize, bool),
        converters=converters,
        writers=writers,
    )
