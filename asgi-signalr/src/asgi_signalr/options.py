"""The options of a server: time-outs, limits, and who may connect. Times are in seconds, sizes in bytes.

The defaults are ASP.NET Core's. Each option is listed once, in `Options`; `OptionsDict` has their types for callers.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, get_args, get_type_hints

from asgi_signalr.origins import AllowedOrigins, check_origin
from asgi_signalr.users import FindExpiry, FindIdentifier, FindUser, Revalidate

EncHook = Callable[[Any], Any]
"""Makes what can be sent of a value of the application's own; NotImplementedError: it does not know it."""
DecHook = Callable[[type, Any], Any]
"""Makes a type of the application's own of a received value; NotImplementedError: it does not know the type."""

SelectSubprotocol = Callable[[Sequence[str]], str | None]
"""Chooses a subprotocol of a WebSocket by those that the client offers; None: none of them."""

ValueForms = Literal["python", "dotnet"]
"""How values are written: as pydantic and FastAPI write them, or as every .NET client reads them."""

SlowClientPolicy = Literal["close", "latest"]
"""What becomes of a client for which too much is queued: its connection ends, or older messages are dropped."""


class OptionsDict(TypedDict, total=False):
    """The types of the options, as keyword arguments of `SignalR`; `Options` describes them."""

    keep_alive_interval: float
    client_timeout_interval: float
    handshake_timeout: float
    disconnect_timeout: float
    send_timeout: float
    close_timeout: float
    stop_timeout: float
    body_timeout: float
    hook_timeout: float
    poll_timeout: float
    group_timeout: float
    revalidation_interval: float
    presence_lease: float
    max_message_size: int
    max_id_length: int
    max_parallel_invocations: int
    max_streams_per_connection: int
    max_groups_per_connection: int
    stream_buffer_capacity: int
    max_connections_per_user: int | None
    max_connections_per_address: int | None
    max_anonymous_connections: int | None
    max_negotiated_connections: int
    max_queued_bytes: int
    slow_client_policy: SlowClientPolicy
    allow_stateful_reconnects: bool
    stateful_reconnect_buffer_size: int
    allowed_origins: AllowedOrigins
    transports: Collection[str]
    minimum_negotiate_version: int
    select_subprotocol: SelectSubprotocol | None
    reconnect_after_gap: bool
    channel_prefix: str
    detailed_errors: bool
    value_forms: ValueForms
    named_floats: bool
    enc_hook: EncHook | None
    dec_hook: DecHook | None
    user: FindUser | None
    user_identifier: FindIdentifier | None
    expires: FindExpiry | None
    revalidate: Revalidate | None


@dataclass(frozen=True)
class Options:
    """The keyword arguments of `SignalR`.

    Raises:
        ValueError: one of them has a value that it cannot have; the message names it, and says what it can be.

    """

    # Time-outs.

    keep_alive_interval: float = 15
    """Seconds after which a client that was sent nothing is pinged; at most half of the clients' own time-out."""
    client_timeout_interval: float = 30
    """Seconds of silence after which a client counts as dead; they count from its first ping."""
    handshake_timeout: float = 15
    """Seconds after which a connection without a handshake is closed."""
    disconnect_timeout: float = 15
    """Seconds without a request after which a connection is given up: one never opened, or one polled no more."""
    send_timeout: float = 10
    """Seconds after which a client that reads nothing is disconnected."""
    stop_timeout: float = 5
    """Seconds that running calls get when the server stops; then they are cancelled."""
    body_timeout: float = 30
    """Seconds after which a POST is given up of whose body nothing more comes."""
    hook_timeout: float = 30
    """Seconds that functions get to find a request's user, decide about it or redirect it, and a hub's events."""
    close_timeout: float = 5
    """Seconds a closing connection may take to send what is queued, then to close."""
    poll_timeout: float = 90
    """Seconds after which a poll that finds nothing to take is answered, and the client polls again."""
    group_timeout: float = 30
    """Seconds that a change of a group waits for the server that has the connection."""
    revalidation_interval: float = 5
    """Seconds after which it is asked again, by `revalidate`, whether the user of a connection is signed in still."""
    presence_lease: float = 15
    """Seconds after which a server that is not heard of counts as dead, and its connections as gone."""

    # Limits per message.

    max_message_size: int = 32 * 1024
    """The longest message that a client may send."""
    max_id_length: int = 128
    """The longest id, in characters, that a client may give an invocation or a stream."""

    # Limits per connection.

    max_parallel_invocations: int = 1
    """The most calls of one client that run at once; with one they run in order. Streams do not count."""
    max_streams_per_connection: int = 1000
    """The most streams a client may have open at once, counting both directions."""
    max_groups_per_connection: int = 1000
    """The most groups a connection may be in at once; adding it to another one raises a `HubException`."""
    stream_buffer_capacity: int = 10
    """The most items of a client's stream that wait for the hub method; beyond it the client is not read from."""

    # Limits per server.

    max_connections_per_user: int | None = 1000
    """The most connections that a user may have open on one server; None: no limit. Others are refused with 429."""
    max_connections_per_address: int | None = None
    """The most connections that may be open from one network address; behind a proxy all come from the proxy's."""
    max_anonymous_connections: int | None = 10_000
    """The most connections without a user that may be open on one server; None: no limit. Others get 429."""
    max_negotiated_connections: int = 10_000
    """The most connections that may be negotiated and not yet opened; one more, and the oldest of them is forgotten."""

    # Slow clients.

    max_queued_bytes: int = 4 * 1024 * 1024
    """The most bytes queued for one slow client; `slow_client_policy` says what happens beyond it."""
    slow_client_policy: SlowClientPolicy = "close"
    """What becomes of a client for which too much waits: `"close"` ends its connection; `"latest"` drops what a later
    message to the same clients, for the same method, has overtaken, and ends the connection only if that is no help."""

    # Reconnect.

    allow_stateful_reconnects: bool = False
    """Whether a client may bring another WebSocket when one is lost, and miss nothing meanwhile."""
    stateful_reconnect_buffer_size: int = 100_000
    """The most bytes that may wait for the acknowledgement of a stateful connection; beyond it its senders wait."""

    # Several servers.

    reconnect_after_gap: bool = True
    """Whether clients are told to reconnect when messages of other servers may have been lost, so that they reload.

    Without it they go on, and know nothing of what they miss.
    """
    channel_prefix: str = ""
    """Keeps applications apart that share a backplane, such as `"shop."`; the same on all servers of one of them."""

    # Who may connect, and how.

    allowed_origins: AllowedOrigins = ()
    """Other origins whose pages may connect, such as `https://app.example.com` or, for all subdomains,
    `https://*.example.com`; `"*"` for any; or a function that is given an origin and says yes or no."""
    transports: Collection[str] = ("WebSockets", "ServerSentEvents", "LongPolling")
    """The transports that are offered, in the order in which clients try them; a hub may choose for itself."""
    minimum_negotiate_version: int = 0
    """The oldest version of the negotiation that is answered."""
    select_subprotocol: SelectSubprotocol | None = None
    """Chooses one of the subprotocols that a WebSocket's client offers, or None; for clients that insist on one."""
    detailed_errors: bool = False
    """Whether clients are told the name and message of every exception, not just of a `HubException`."""

    # Values.

    value_forms: ValueForms = "python"
    """How values are written: as pydantic and FastAPI write them, or `"dotnet"`, as every .NET client reads them."""

    named_floats: bool = False
    """Whether the texts `"NaN"`, `"Infinity"` and `"-Infinity"` are read as floats: Newtonsoft.Json writes them so."""
    enc_hook: EncHook | None = None
    """Makes what can be sent of a value of your own type, or raises NotImplementedError."""
    dec_hook: DecHook | None = None
    """Makes a value of your own type, its first argument, of what was received, or raises NotImplementedError."""

    # Users.

    user: FindUser | None = None
    """How to find the user of a request; by default in `scope["user"]`, where Starlette's authentication leaves it."""
    user_identifier: FindIdentifier | None = None
    """How to name a user, unlike every other one; by default its `identity`, `sub`, `pk`, `id` or `username`."""
    expires: FindExpiry | None = None
    """When a user's authentication expires, which closes its connections; by default its `expires_at`, if any."""
    revalidate: Revalidate | None = None
    """How to ask whether a user is signed in still, else its connections are closed; by default its method
    `is_still_authenticated`, if any."""

    def __post_init__(self) -> None:
        for name, declared in get_type_hints(Options).items():
            value = getattr(self, name)
            may_be_zero = name in _MAY_BE_ZERO and type(value) is int and value == 0
            if declared in _RULES and not may_be_zero:
                fits, what = _RULES[declared]
                if not fits(value):
                    raise ValueError(f"{name} has to be {what}, not {value!r}.")
        if isinstance(self.allowed_origins, str):
            object.__setattr__(self, "allowed_origins", (self.allowed_origins,))
        if callable(self.allowed_origins):
            return
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
            self.revalidation_interval,
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
    str: (lambda value: isinstance(value, str), "text"),
    SlowClientPolicy: (
        lambda value: value in get_args(SlowClientPolicy),
        " or ".join(map(repr, get_args(SlowClientPolicy))),
    ),
    ValueForms: (lambda value: value in get_args(ValueForms), " or ".join(map(repr, get_args(ValueForms)))),
    SelectSubprotocol | None: (_is_function, "a function that takes the list of what is offered, or None"),
    EncHook | None: (_is_function, "a function that takes a value, or None"),
    DecHook | None: (_is_function, "a function that takes a type and a value, or None"),
    FindUser | None: (_is_function, "a function that takes the scope, or None"),
    FindIdentifier | None: (_is_function, "a function that takes the user, or None"),
    FindExpiry | None: (_is_function, "a function that takes the user, or None"),
    Revalidate | None: (_is_function, "a function that takes the user, or None"),
}
"""The values that an option may have, by the type that it is declared with."""

_MAY_BE_ZERO = {"max_streams_per_connection", "max_groups_per_connection", "minimum_negotiate_version"}
