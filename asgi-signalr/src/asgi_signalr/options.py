"""What can be chosen about a server. Times are in seconds, sizes in bytes; the defaults are ASP.NET Core's."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from asgi_signalr.origins import check_origin
from asgi_signalr.outbox import SlowClientPolicy
from asgi_signalr.users import FindExpiry, FindIdentifier, FindUser


@dataclass(frozen=True)
class Options:
    """The keyword arguments of `SignalR`.

    Raises:
        ValueError: one of them is nothing that can be chosen; the message names it, and says what can be.

    """

    keep_alive_interval: float = 15
    """The server pings a client to which it has sent nothing for so long; at most half of what clients wait for."""
    client_timeout_interval: float = 30
    """A client that is silent for so long is taken for dead; counted from its first ping."""
    handshake_timeout: float = 15
    """A connection without a handshake after so long is closed."""
    disconnect_timeout: float = 15
    """A connection without a request for so long is given up: negotiated and never opened, or polled no more."""
    send_timeout: float = 10
    """A client that takes nothing of what is sent to it for so long is given up."""
    close_timeout: float = 5
    """So long a closing connection may take to send what is still queued, and then to end."""
    group_timeout: float = 30
    """So long a change of a group waits for the server that has the connection."""
    presence_lease: float = 15
    """A server that is not heard of for so long is taken for dead: its connections are present no more."""
    max_message_size: int = 32 * 1024
    """The longest message that a client may send."""
    max_parallel_invocations: int = 1
    """So many calls of one client may run at once; with one they run in order. Streams do not count."""
    max_streams_per_connection: int = 1000
    """So many streams one client may have open at once, in both directions together."""
    max_groups_per_connection: int = 1000
    """So many groups one connection may be in at once; adding it to another one raises a `HubException`."""
    stream_buffer_capacity: int = 10
    """So many items of a client's stream are kept for the hub method; then the client is not read from any more."""
    max_id_length: int = 128
    """The longest id, in characters, that a client may give an invocation or a stream."""
    max_queued_bytes: int = 4 * 1024 * 1024
    """So much may wait for one slow client; beyond it `slow_client_policy` says what happens."""
    slow_client_policy: SlowClientPolicy = "close"
    """What becomes of a client for which too much waits: `"close"` ends its connection; `"latest"` drops what a later
    message to the same clients, for the same method, has overtaken, and ends the connection only if that is no help."""
    allow_stateful_reconnects: bool = False
    """Whether a client may bring another WebSocket when one is lost, and miss nothing meanwhile."""
    stateful_reconnect_buffer_size: int = 100_000
    """So many bytes may wait for the acknowledgement of a stateful connection before its senders have to wait."""
    detailed_errors: bool = False
    """Whether clients are told the name and message of every exception, not just of a `HubException`."""
    allowed_origins: Collection[str] = ()
    """Other origins whose pages may connect, such as `https://app.example.com`; `"*"` for any."""
    transports: Collection[str] = ("WebSockets", "ServerSentEvents", "LongPolling")
    """The transports that are offered, in the order in which clients try them; a hub may choose for itself."""
    poll_timeout: float = 90
    """A poll that finds nothing to take is answered after so long, and the client polls again."""
    minimum_negotiate_version: int = 0
    """The oldest version of the negotiation that is answered."""
    max_connections_per_user: int | None = 1000
    """So many connections a user may have open on one server; None: any number. Others are refused with 429."""
    max_connections_per_address: int | None = None
    """So many connections may be open from one network address; behind a proxy all come from the proxy's."""
    max_negotiated_connections: int = 10_000
    """So many connections may be negotiated and not yet opened; one more, and the oldest of them is forgotten."""
    user: FindUser | None = None
    """How to find the user of a request; by default in `scope["user"]`, where Starlette's authentication leaves it."""
    user_identifier: FindIdentifier | None = None
    """How to name a user, unlike every other one; by default its `identity`, `sub`, `pk`, `id` or `username`."""
    expires: FindExpiry | None = None
    """When a user's authentication expires, which closes its connections; by default its `expires_at`, if any."""

    def __post_init__(self) -> None:
        for name, declared in get_type_hints(Options).items():
            value = getattr(self, name)
            may_be_zero = name in _MAY_BE_ZERO and type(value) is int and value == 0
            if declared in _RULES and not may_be_zero:
                fits, what = _RULES[declared]
                if not fits(value):
                    raise ValueError(f"{name} has to be {what}, not {value!r}.")
        if not isinstance(self.allowed_origins, Collection):
            raise ValueError(f"allowed_origins has to be a list of origins, not {self.allowed_origins!r}.")
        for origin in self.allowed_origins:
            check_origin(origin)

    @property
    def tick(self) -> float:
        """How often the one timer of a server looks at its connections."""
        shortest = min(
            self.keep_alive_interval,
            self.client_timeout_interval,
            self.handshake_timeout,
            self.disconnect_timeout,
            self.send_timeout,
        )
        return min(1.0, shortest / 4)


def _is_duration(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_function(value: Any) -> bool:
    return value is None or callable(value)


_RULES: Mapping[Any, tuple[Callable[[Any], bool], str]] = {
    float: (_is_duration, "a number of seconds above 0"),
    int: (_is_count, "a whole number above 0"),
    int | None: (lambda value: value is None or _is_count(value), "a whole number above 0, or None"),
    bool: (lambda value: isinstance(value, bool), "True or False"),
    SlowClientPolicy: (
        lambda value: value in get_args(SlowClientPolicy),
        " or ".join(map(repr, get_args(SlowClientPolicy))),
    ),
    FindUser | None: (_is_function, "a function that takes the scope, or None"),
    FindIdentifier | None: (_is_function, "a function that takes the user, or None"),
    FindExpiry | None: (_is_function, "a function that takes the user, or None"),
}
"""What an option may be, by the type that it is declared with."""

_MAY_BE_ZERO = {"max_streams_per_connection", "max_groups_per_connection", "minimum_negotiate_version"}
