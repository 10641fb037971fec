"""One method of a hub: what `hub_method` says of it, and how it is called."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import EllipsisType
from typing import Any, NoReturn

from asgi_signalr.context import Authorize
from asgi_signalr.dependencies import Source
from asgi_signalr.errors import InvalidDataError
from asgi_signalr.messages import Message, Unreadable
from asgi_signalr.protocols import HubProtocol


@dataclass(frozen=True)
class Mark:
    """What `hub_method` says of a method: another name, or None; who may call it, or an ellipsis."""

    name: str | None = None
    authorize: Authorize | EllipsisType = ...


@dataclass(frozen=True)
class HubMethod:
    """One method that clients can call, and how it is called."""

    name: str
    """Its name for clients."""
    function: Callable[..., Any]
    authorize: Authorize
    is_judged_by_call: bool
    """Whether its rule takes the call as well."""
    types: tuple[Any, ...]
    """The types of the arguments that clients give."""
    parameters: tuple[str, ...]
    """Their names."""
    required: int
    """How many of them have no default."""
    rest: Any
    """The type of further arguments, for a method with `*args`; None: there are none."""
    rest_name: str
    """The name of those."""
    answer: Any
    """The type of its result, or of its items."""
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
    """Convert received arguments, by the protocol's name."""
    writers: Mapping[str, Callable[[Message], bytes]]
    """Write its results or items, by the protocol's name, where that is not just the protocol's `write`."""

    def bind(self, arguments: list[Any], protocol: HubProtocol) -> list[Any]:
        """Turn received arguments into what the method declares.

        Raises:
            InvalidDataError: too few or too many arguments.
            ValueError: one does not fit its type.

        """
        given, declared = len(arguments), len(self.types)
        convert = self.converters[protocol.name]
        if type(arguments) is list and self.required <= given <= declared:
            return convert(arguments)
        if given < self.required or (given > declared and self.rest is None):
            if not protocol.binary and type(arguments) is list:
                convert(arguments[:declared])  # in JSON each is looked at before they are counted, as in ASP.NET Core
            if protocol.binary or type(arguments) is not Unreadable:
                self._refuse_count(arguments)
        if type(arguments) is Unreadable:
            raise arguments.error
        rest = [protocol.convert(argument, self.rest) for argument in arguments[declared:]]
        return [*convert(list(arguments[:declared])), *rest]

    def _refuse_count(self, arguments: list[Any]) -> NoReturn:
        if type(arguments) is Unreadable and isinstance(arguments.error, InvalidDataError):
            raise arguments.error  # they could not even be counted
        given, declared = len(arguments), len(self.types)
        raise InvalidDataError(f"Invocation provides {given} argument(s) but target expects {declared}.")

    def call(self, hub: object, arguments: list[Any], keywords: Mapping[str, Any]) -> Any:
        """Call the function. What it returns may still have to be awaited."""
        if self.names is None:
            return self.function(hub, *arguments, **keywords)
        return self.function(hub, **dict(zip(self.names, arguments, strict=False)), **keywords)
