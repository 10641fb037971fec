"""The way of most calls: one message, one method in which nothing can wait, one answer.

It does what the ordinary way in `dispatch` does, in one step and only if nothing else is going on: no message before
it is waiting or incomplete, no filter or dependency is around the method, nobody reads the transcript. Whatever is
different is left to the ordinary way, before anything has happened.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from asgi_signalr.connection import logger
from asgi_signalr.hub_connection import HubConnection
from asgi_signalr.hubs import HubMethod
from asgi_signalr.invoker import HubInvoker, is_to_be_awaited
from asgi_signalr.messages import Completion, Invocation
from asgi_signalr.outbox import Payload

Answer = Callable[[HubConnection, Invocation, Any, Exception | None], None]
"""The ordinary way to answer with a result, whatever it is, or an error."""

_VALUES = frozenset((bool, bytes, dict, float, int, list, str, tuple, type(None)))


class QuickCalls:
    """Answers calls of the plain methods of a hub."""

    def __init__(self, methods: Mapping[str, HubMethod], invoker: HubInvoker, answer: Answer) -> None:
        self._methods = {
            name: method
            for name, method in methods.items()
            if method.is_plain and method.authorize is False and method.names is None
        }
        self._invoker = invoker
        self._answer = answer

    def take(self, connection: HubConnection, message: Invocation) -> bool:
        """Answer a call, if it is one of these."""
        method = self._methods.get(message.target.lower())
        calls = connection.calls
        if method is None or calls.free <= 0 or message.stream_ids or logger.isEnabledFor(logging.DEBUG):
            return False
        invocation_id, protocol = message.invocation_id, connection.protocol
        if invocation_id is not None and len(invocation_id) > connection.options.max_id_length:
            return False
        arguments = message.arguments
        if not method.required <= len(arguments) <= len(method.types):
            return False
        try:
            arguments = method.converters[protocol.name](arguments)
        except Exception:  # noqa: BLE001  (the ordinary way finds the same, and says so)
            return False
        try:
            result = method.function(self._invoker.hub_for(connection), *arguments)
            if (
                (type(result) not in _VALUES and is_to_be_awaited(result))
                or connection.ending is not None
                or connection.messages is not None
            ):
                self._answer(connection, message, result, None)
            elif invocation_id is not None:
                data = protocol.write(Completion(invocation_id, result))
                connection.outbox.put_now(Payload(data, protocol.binary))
        except Exception as failure:  # noqa: BLE001  (the hub's code may raise anything, so may what encodes its values)
            self._answer(connection, message, None, failure)
        return True
