"""What a client and the log are told of a call that fails."""

import asyncio
import logging
from collections.abc import Mapping

from asgi_signalr.errors import HubException, denies, for_client
from asgi_signalr.hubs.calls import SERVER_STOPS, CallMessage
from asgi_signalr.hubs.connection import HubConnection
from asgi_signalr.logs import printable
from asgi_signalr.names import folded

logger = logging.getLogger("asgi_signalr")

# Clients choose the names that they call, so there is an end to those that are remembered.
_MOST_WARNINGS = 100
# Clients can have a method fail as often as they like: so many tracebacks of a hub are written in a minute.
_MOST_TRACEBACKS = 100
_MINUTE = 60.0


class CallRefusedError(Exception):
    """A call that does not come to be; its text is the client's answer, and the reason is for the log."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text)
        self.reason = reason


def unauthorized(method: str) -> CallRefusedError:
    """Make the refusal of a call that its user may not make, of a method by its name."""
    text = f"Failed to invoke '{method}' because user is unauthorized"
    return CallRefusedError(text, "the user is unauthorized")


class Failures:
    """Tells of the failed calls of one hub class.

    Args:
        hub: its name.
        names: those of its methods, as they are declared, by the same as they are compared: clients may spell them
            otherwise.

    """

    def __init__(self, hub: str, names: Mapping[str, str]) -> None:
        self._hub = hub
        self._names = names
        self._called_in_vain: set[str] = set()
        self._minute = float("-inf")
        self._told = self._more = 0

    def text_for(
        self, connection: HubConnection, message: CallMessage, failure: BaseException, *, streaming: bool = False
    ) -> str:
        """Log a failure, unless it is meant for the client; returns what the client is told."""
        if denies(failure):
            failure = unauthorized(self._name_of(message))
        if isinstance(failure, CallRefusedError):
            if message.invocation_id is None:
                self.warn(connection, message, failure.reason)
            return str(failure)
        if not isinstance(failure, HubException):
            self.log(connection, message, failure)
        if isinstance(failure, asyncio.CancelledError):
            failure = RuntimeError(f"cancelled {failure}".rstrip())  # it itself, or something that it waited for
        if streaming:
            text = "An error occurred on the server while streaming results."
            return for_client(text, failure, connection.options.detailed_errors)
        return self.failed(connection, message, failure)

    def log(self, connection: HubConnection, message: CallMessage, failure: BaseException) -> None:
        """Log a failure with its traceback, and many in a short time only as a number."""
        is_told = _is_of_stopping_server(failure) or _is_of_lost_client(connection, failure)
        level = logging.DEBUG if is_told else logging.ERROR
        now = asyncio.get_running_loop().time()
        if now - self._minute >= _MINUTE:
            if self._more:
                logger.error("%d more calls of %s have failed within a minute.", self._more, self._hub)
            self._minute, self._told, self._more = now, 0, 0
        if level == logging.ERROR and self._told >= _MOST_TRACEBACKS:
            self._more += 1
            return
        self._told += level == logging.ERROR
        logger.log(level, "%s.%s failed.", self._hub, self._name_of(message), exc_info=failure)

    def warn(self, connection: HubConnection, message: CallMessage, reason: str) -> None:
        """Say that a call has come to nothing, of which nobody else hears: its client does not wait. Once per name."""
        name = printable(message.target)
        if name not in self._called_in_vain and len(self._called_in_vain) < _MOST_WARNINGS:
            self._called_in_vain.add(name)
            logger.warning(
                "A client of %s (connection %s) calls %s in vain, and does not wait to be told: %s. This is said once.",
                self._hub,
                connection.id,
                name,
                reason,
            )

    def failed(self, connection: HubConnection, message: CallMessage, error: BaseException) -> str:
        """Say that a call has failed; the error itself only to those who may know it."""
        text = f"An unexpected error occurred invoking '{self._name_of(message)}' on the server."
        return for_client(text, error, connection.options.detailed_errors)

    def _name_of(self, message: CallMessage) -> str:
        return self._names.get(folded(message.target), message.target)


def is_passed_on(failure: BaseException) -> bool:
    """Say whether a failure is, besides, somebody else's affair: the task is cancelled, or the whole program ends."""
    if isinstance(failure, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0
    return isinstance(failure, KeyboardInterrupt)


def _is_of_lost_client(connection: HubConnection, failure: BaseException) -> bool:
    """Say whether a method failed because its client has gone: an everyday event."""
    return connection.ending is not None and isinstance(failure, ConnectionError)


def _is_of_stopping_server(failure: BaseException) -> bool:
    """Say whether a method failed because the server gave it no more time: the log says that once for all calls."""
    return isinstance(failure, asyncio.CancelledError) and failure.args == (SERVER_STOPS,)
