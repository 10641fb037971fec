"""The errors there are, by whose fault they are.

    HubException       raise it in a hub method: the client is told its message
    InvalidDataError   the client broke the protocol; its connection is closed
    BackplaneError     (in `backplanes`) a message was not accepted for the other servers

Any other exception in a hub method is the server's own affair: the client hears that something unexpected
happened, and no more unless `detailed_errors` is on.
"""


class HubException(Exception):  # noqa: N818  (its name is part of what clients are sent)
    """An error whose message is meant for the client."""


class InvalidDataError(ValueError):
    """The client sent something that the protocol does not allow."""


class NamedDataError(InvalidDataError):
    """The same, where ASP.NET Core tells its client of another exception than `InvalidDataException`.

    Args:
        name: of the exception there.
        text: what is wrong.

    """

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


class MessageSizeError(InvalidDataError):
    """The client sent a longer message than it may."""


class ClientResultError(HubException, InvalidDataError):
    """A client answered with a result of another type than was asked for. Its caller is told, as by a HubException."""


class ClientTimeoutError(HubException, TimeoutError):
    """A client has not answered in time. Its caller is told, as by a HubException."""


def denies(error: BaseException) -> bool:
    """Say whether an error is a web framework's 401 or 403, as raised by a dependency that is shared with it."""
    is_ours = isinstance(error, HubException)
    return not is_ours and hasattr(error, "detail") and getattr(error, "status_code", None) in (401, 403)


def is_refusal(error: BaseException) -> bool:
    """Say whether an error is how a hub refuses a client that connects, and no failure of its own."""
    return isinstance(error, HubException) or denies(error)


_WIRE_NAMES = {
    "ClientResultError": "HubException",
    "ClientTimeoutError": "HubException",
    "InvalidDataError": "InvalidDataException",
    "MessageSizeError": "InvalidDataException",
    "TimeoutError": "OperationCanceledException",
}


def for_client(text: str, error: BaseException | None, detailed: bool) -> str:
    """Add the error's name and message to a text, if they may leave the server."""
    if error is None or not (detailed or isinstance(error, HubException)):
        return text
    name = error.name if isinstance(error, NamedDataError) else type(error).__name__
    try:
        message = str(error)
    except Exception:  # noqa: BLE001  (it is not ours)
        message = "it cannot be told"
    if not message and not error.args and type(error) is HubException:
        message = "Exception of type 'Microsoft.AspNetCore.SignalR.HubException' was thrown."
    # The name of a file may contain what is no text (half of a surrogate pair), and somebody waits for this answer.
    return f"{text} {_WIRE_NAMES.get(name, name)}: {message}".encode("utf-8", "replace").decode()
