"""The fast path, which most calls take: a message that comes alone, one method with nothing around it, one answer.

It does what the ordinary path does, reading in `conversation` and calling in `dispatch`, in fewer steps and only if
nothing else is going on: no message before it is waiting or incomplete, no filter or dependency is around the method,
nobody reads the transcript. Everything else is left to the ordinary path, before anything has happened.

It is one function for each protocol, with everything at hand that is the same for all connections: half of what a call
costs in Python is looking such things up, and handing them from one function to the next.
"""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping
from contextvars import copy_context
from typing import Any

from asgi_signalr.connections import turns
from asgi_signalr.hubs.calls import Call
from asgi_signalr.hubs.connection import HubConnection
from asgi_signalr.hubs.invoker import HubInvoker
from asgi_signalr.hubs.methods import HubMethod
from asgi_signalr.messages import Completion, Invocation, Message
from asgi_signalr.names import folded
from asgi_signalr.options import Options
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.protocols.values import PLAIN

ParseInvocation = Callable[[bytes, int], Invocation | None]
"""A protocol's own, as `HubProtocol` has it."""
TryFast = Callable[[HubConnection, bytes], bool]
"""Acts on what a client has sent, if it is one call and may begin; False: it is to be read, or the end has come."""
Begin = Callable[[HubConnection, Invocation], bool]
"""The ordinary path's beginning of a call; False as above."""
Conclude = Callable[[HubConnection, Invocation, Any, BaseException | None], None]
"""The ordinary path's answer with a result, of whatever kind, or an error."""
ConcludeLater = Callable[[HubConnection, Call, Invocation, Any, BaseException | None], Awaitable[None]]
"""The same for a call that has a task of its own."""

_VALUES = frozenset((bool, bytes, dict, float, int, list, str, tuple, type(None)))


_Target = tuple[
    Callable[..., Any],  # the function
    bool,  # whether it is to be awaited
    Any,  # the type of its only argument, if such a value needs no conversion; else None
    range,  # how many arguments it can be given
    Callable[[list[Any]], list[Any]],  # converts them
    Callable[[Message], bytes],  # writes its result
]
"""A method that the fast path can call. A plain tuple: taking a named one apart costs four times as much."""


def fast_path(
    protocol: HubProtocol,
    methods: Mapping[str, HubMethod],
    invoker: HubInvoker,
    options: Options,
    begin: Begin,
    conclude: Conclude,
    conclude_later: ConcludeLater,
) -> TryFast | None:
    """Make the fast path of one protocol's clients; None if the protocol does not read single invocations."""
    parse_invocation: ParseInvocation | None = getattr(protocol, "parse_invocation", None)
    if parse_invocation is None:
        return None
    targets: dict[str, _Target] = {
        name: (
            method.function,
            not method.is_plain,
            method.types[0] if len(method.types) == 1 and method.types[0] in PLAIN else None,
            range(method.required, len(method.types) + 1),
            method.converters[protocol.name],
            method.writers.get(protocol.name, protocol.write),
        )
        for method in methods.values()
        if method.authorize is False and method.names is None and (method.is_plain or _is_simple(method, invoker))
        for name in _spellings(method.name)
    }
    binary, make_hub = protocol.binary, invoker.hub
    max_message_size, max_id_length = options.max_message_size, options.max_id_length

    def try_fast(connection: HubConnection, data: bytes) -> bool:
        if connection.ending is not None or connection.buffer:
            return False
        message = parse_invocation(data, max_message_size)
        if message is None or message.stream_ids:
            return False
        connection.heard = True
        calls, target, invocation_id = connection.calls, targets.get(message.target), message.invocation_id
        if (
            target is None
            or calls.free <= 0
            or calls.waiting
            or calls.lent
            or (calls.latest is not None and calls.are_to_begin)
            or connection.is_transcribed
            or (invocation_id is not None and len(invocation_id) > max_id_length)
        ):
            return begin(connection, message)
        function, is_async, only, numbers, convert, write = target
        arguments = message.arguments
        is_easy = len(arguments) == 1 and type(arguments[0]) is only  # there is nothing to convert
        if not is_easy:
            if len(arguments) not in numbers:
                return begin(connection, message)
            try:
                arguments = convert(arguments)
            except Exception:  # noqa: BLE001  (the ordinary path finds the same, and says so)
                return begin(connection, message)
        if is_async:
            call = Call(calls, invocation_id, holds_turn=True)
            connection.local_hub.runner.run_now(call, finish(connection, call, message, function, arguments, write))
            return connection.ending is None
        try:
            hub = make_hub()
            hub._hub_connection = connection
            context = copy_context()  # its own: what a call leaves there is not for the next one
            result = context.run(function, hub, arguments[0]) if is_easy else context.run(function, hub, *arguments)
            if type(result) in _VALUES and connection.ending is None:
                if invocation_id is not None:
                    connection.outbox.put_now(write(Completion(invocation_id, result)), binary)
                return connection.ending is None
        except BaseException as failure:  # noqa: BLE001  (the hub's code may raise anything, so may what encodes)
            conclude(connection, message, None, failure)
        else:
            conclude(connection, message, result, None)
        return connection.ending is None

    async def finish(
        connection: HubConnection,
        call: Call,
        message: Invocation,
        function: Callable[..., Any],
        arguments: list[Any],
        write: Callable[[Message], bytes],
    ) -> None:
        turns.current.set(call)
        call.has_begun = True
        try:
            if call.cancelled():
                raise asyncio.CancelledError
            result = await function(invoker.hub_for(connection), *arguments)
            if message.invocation_id is not None and connection.ending is None:
                connection.outbox.put_now(write(Completion(message.invocation_id, result)), binary)
        except BaseException as failure:  # noqa: BLE001  (as above)
            await conclude_later(connection, call, message, None, failure)
        finally:
            call.end()

    return try_fast


def _spellings(name: str) -> set[str]:
    """List how clients spell a name; the ordinary path knows the others."""
    pascal = "".join(each[:1].upper() + each[1:] for each in name.split("_"))
    return {name, name.lower(), folded(name), pascal, pascal[:1].lower() + pascal[1:]}


def _is_simple(method: HubMethod, invoker: HubInvoker) -> bool:
    """Whether a method that may wait needs nothing but its arguments."""
    has_more = method.is_stream or method.uploads or method.sources or invoker.may_wait
    return inspect.iscoroutinefunction(method.function) and not has_more
