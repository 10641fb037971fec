"""How hub methods are declared, read once when a class is served: a mistake is heard of there, not from a client."""

import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Mapping,
)
from types import EllipsisType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from asgi_signalr.context import Authorize, takes_invocation
from asgi_signalr.dependencies import Source, hints_of, source_of
from asgi_signalr.hubs import Hub, OnDemand
from asgi_signalr.hubs.methods import HubMethod, Mark
from asgi_signalr.names import folded
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.protocols.enums import filled
from asgi_signalr.protocols.reading import has_decimal


def _mark_of(definition: Any) -> Mark:
    mark = getattr(getattr(definition, "__func__", definition), "__hub_method__", None)
    return mark if isinstance(mark, Mark) else Mark()


def _said_of(definitions: Iterable[Any]) -> tuple[str | None, Authorize]:
    """Find a method's name for clients and its rule: each as its own class says, or else the nearest base."""
    marks = [_mark_of(each) for each in definitions]
    name = next((each.name for each in marks if each.name is not None), None)
    return name, next((each.authorize for each in marks if not isinstance(each.authorize, EllipsisType)), False)


def methods_of(hub: type[Hub], protocols: Mapping[str, HubProtocol]) -> dict[str, HubMethod]:
    """List what clients can call of a hub, by names without case and underscores.

    Raises:
        TypeError: two methods have the same name for clients, a signature cannot be called by clients or the library,
            or something hides what the hub has from its base.

    """
    check_members(hub, Hub, [name for name, each in vars(Hub).items() if isinstance(each, OnDemand)])
    check_event(hub, "on_connected")
    check_event(hub, "on_disconnected", "error")
    methods: dict[str, HubMethod] = {}
    for name in dict.fromkeys(name for each in hub.__mro__ if not issubclass(Hub, each) for name in vars(each)):
        where = f"{hub.__name__}.{name}"
        owners = [each for each in hub.__mro__ if name in vars(each)]
        function, *overridden = (vars(each)[name] for each in owners)
        if name.startswith("_") or name in vars(Hub) or not inspect.isfunction(function):
            if _mark_of(function) != Mark():
                raise TypeError(f"{where} is marked with @hub_method, but clients can call public methods only.")
            continue
        check_takes_self(function, name, owners[0], where)
        called, authorize = _said_of([function, *overridden])
        method = _method(where, called or name, function, authorize, protocols, arguments_of(hub, owners[0]))
        if folded(method.name) in methods:
            raise TypeError(f"{hub.__name__} has two methods that clients call {method.name!r}; give one another name.")
        methods[folded(method.name)] = method
    return methods


def has_decimals(hub: type[Hub]) -> bool:
    """Say whether a hub's methods take or return decimals, so that the numbers it is sent have to be read exactly."""
    functions = [
        (owner, function)
        for owner in hub.__mro__
        if not issubclass(Hub, owner)
        for name, function in vars(owner).items()
        if name[:1] != "_" and inspect.isfunction(function)
    ]
    try:
        return any(
            has_decimal(filled(each, arguments_of(hub, owner)))
            for owner, function in functions
            for each in hints_of(function, hub.__name__).values()
        )
    except TypeError:  # which is said where the methods are read
        return False


def arguments_of(hub: type, owner: type) -> Mapping[Any, Any]:
    """Find what a hub puts in place of the type parameters of a generic base; one that it leaves open is its bound."""

    def within(kind: type, given: Mapping[Any, Any]) -> Mapping[Any, Any] | None:
        if kind is owner:
            return given
        generic = {get_origin(base) or base: base for base in getattr(kind, "__orig_bases__", ())}
        for base in kind.__bases__:
            spelled = generic.get(base, base)
            parameters = getattr(base, "__parameters__", ())
            of_base = dict(zip(parameters, (filled(each, given) for each in get_args(spelled)), strict=False))
            if (found := within(base, of_base)) is not None:
                return found
        return None

    given = dict(within(hub, {}) or {})
    for parameter in getattr(owner, "__parameters__", ()):
        left = given.get(parameter, parameter)
        if isinstance(left, TypeVar):
            one_of = Union[left.__constraints__] if left.__constraints__ else Any  # noqa: UP007  (of a tuple)
            given[parameter] = left.__bound__ or one_of
    return given


def _method(
    where: str,
    name: str,
    function: Callable[..., Any],
    authorize: Authorize,
    protocols: Mapping[str, HubProtocol],
    arguments: Mapping[Any, Any],
) -> HubMethod:
    hints = {each: filled(hint, arguments) for each, hint in hints_of(function, where).items()}
    types: dict[str, Any] = {}
    uploads: dict[str, Any] = {}
    sources: dict[str, Source] = {}
    required, rest, rest_name = 0, None, ""
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
            rest, rest_name = to, parameter.name
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
    returns = hints.get("return", Any)
    answer = next(iter(get_args(awaited(returns))), Any) if streams else returns
    while get_origin(answer) in (Awaitable, Coroutine):
        answer = get_args(answer)[-1]
    writers = {each.name: writer(answer) for each in protocols.values() if (writer := getattr(each, "writer", None))}
    return HubMethod(
        name=name,
        function=function,
        authorize=authorize,
        is_judged_by_call=takes_invocation(authorize),
        types=tuple(types.values()),
        parameters=tuple(types),
        required=required,
        rest=rest,
        rest_name=rest_name,
        answer=answer,
        names=tuple(types) if is_by_name else None,
        uploads=uploads,
        sources=sources,
        is_stream=streams,
        is_async=is_async,
        is_plain=not (is_async or streams or uploads or sources) and isinstance(authorize, bool),
        converters=converters,
        writers=writers,
    )


# The types of streams, in annotations.


def item_type(annotation: Any) -> tuple[Any] | None:
    """Read the item type of a parameter that takes a client's stream; None for any other parameter."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if annotation in (AsyncIterator, AsyncIterable):
        return (Any,)
    if get_origin(annotation) in (AsyncIterator, AsyncIterable):
        return (get_args(annotation)[0],)
    return None


def is_stream(function: Callable[..., Any], returns: Any) -> bool:
    """Say whether a method answers with a stream: a generator of either kind, or what returns an iterator."""
    inner = inspect.unwrap(function)
    if inspect.isasyncgenfunction(inner) or inspect.isgeneratorfunction(inner):
        return True
    returns = awaited(returns)
    return (get_origin(returns) or returns) in (AsyncIterator, AsyncIterable, AsyncGenerator)


def awaited(returns: Any) -> Any:
    """Read from a method's annotation the type of its result once it has been awaited."""
    while get_origin(returns) in (Annotated, Awaitable, Coroutine):
        arguments = get_args(returns)
        returns = arguments[0] if get_origin(returns) is Annotated else arguments[-1]
    return returns


# Checks.


def check_event(owner: type, name: str, *arguments: str) -> None:
    """See that a method can be called when something happens to a connection.

    Raises:
        TypeError: it takes other arguments, has no `self`, or would only make a generator.

    """
    method = inspect.getattr_static(owner, name)
    if inspect.isfunction(method):
        try:
            inspect.signature(method).bind("self", *arguments)
        except TypeError:
            is_fit = False
        else:
            is_fit = not is_stream(method, None)
    else:
        is_fit = callable(method) and not isinstance(method, staticmethod)
    if not is_fit:
        usage = f"async def {name}({', '.join(('self', *arguments))})"
        raise TypeError(f"{owner.__name__}.{name} cannot be called as it will be; write {usage}: …")


def check_takes_self(method: Callable[..., Any], name: str, owner: type, where: str) -> None:
    """See that a method has a `self`: without it, its first argument would be taken for one.

    What a decorator has put in its place may call it otherwise.

    Raises:
        TypeError: it has none.

    """
    first = next(iter(inspect.signature(method).parameters.values()), None)
    if first is not None and first.kind is first.VAR_POSITIONAL:
        raise TypeError(f"{where} hides its parameters behind *{first.name}; decorate with functools.wraps.")
    is_as_written = method.__qualname__ == f"{owner.__qualname__}.{method.__name__}"
    if (
        first is None
        or first.kind not in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD)
        or (is_as_written and first.name != "self")
    ):
        raise TypeError(f"{where} does not take self; write def {name}(self, …).")


def check_members(owner: type, base: type, names: Iterable[str]) -> None:
    """See that a class leaves alone what it has from its base.

    Raises:
        TypeError: it has something else by that name.

    """
    for name in names:
        if inspect.getattr_static(owner, name, None) is not vars(base).get(name):
            raise TypeError(
                f"{owner.__name__}.{name} hides what every {base.__name__} has as self.{name}; give it another name."
            )
