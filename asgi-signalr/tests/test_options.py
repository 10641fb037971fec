"""Options: what cannot be chosen is refused where it is chosen, not when the first client comes."""

import math
import re
from datetime import timedelta
from typing import Any, get_type_hints

import pytest
from asgi_signalr import SignalR
from asgi_signalr.backplanes.memory import MemoryBackplane
from asgi_signalr.options import Options, OptionsDict

SECONDS, COUNT = "a number of seconds above 0", "a whole number above 0"
DURATIONS = [
    "keep_alive_interval",
    "client_timeout_interval",
    "handshake_timeout",
    "disconnect_timeout",
    "send_timeout",
    "close_timeout",
    "group_timeout",
    "presence_lease",
    "poll_timeout",
]
COUNTS = [
    "max_message_size",
    "max_parallel_invocations",
    "stream_buffer_capacity",
    "max_id_length",
    "max_queued_bytes",
    "stateful_reconnect_buffer_size",
    "max_negotiated_connections",
]


@pytest.mark.parametrize("name", DURATIONS)
@pytest.mark.parametrize("value", [0, -1, 0.0, math.nan, None, "15", True, timedelta(seconds=15)])
def test_a_time_is_a_number_of_seconds(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} has to be {SECONDS}, not {re.escape(repr(value))}.$"):
        SignalR(**{name: value})


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [0, -1, None, 1.5, "1MB", True])
def test_a_limit_is_a_whole_number(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{name} has to be {COUNT}, not {re.escape(repr(value))}.$"):
        SignalR(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("max_streams_per_connection", -1, COUNT),
        ("max_groups_per_connection", None, COUNT),
        ("minimum_negotiate_version", False, COUNT),
        ("max_connections_per_user", 0, f"{COUNT}, or None"),
        ("max_connections_per_address", "10", f"{COUNT}, or None"),
        ("allow_stateful_reconnects", "yes", "True or False"),
        ("detailed_errors", 1, "True or False"),
        ("slow_client_policy", "drop", "'close' or 'latest'"),
        ("slow_client_policy", [], "'close' or 'latest'"),
        ("allowed_origins", None, "a list of origins"),
        ("user", "ada", "a function that takes the scope, or None"),
        ("user_identifier", "email", "a function that takes the user, or None"),
        ("expires", 5, "a function that takes the user, or None"),
        ("revalidate", True, "a function that takes the user, or None"),
        ("status_path", 5, "a path such as '/healthz', or None"),
    ],
)
def test_what_an_option_cannot_be_is_refused_by_its_name(name: str, value: Any, what: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(f"{name} has to be {what}, not {value!r}.") + "$"):
        SignalR(**{name: value})


def test_callers_are_shown_every_option_with_its_type() -> None:
    assert get_type_hints(OptionsDict) == get_type_hints(Options)


def test_what_an_option_can_be_is_taken() -> None:
    shortest: dict[str, Any] = {**dict.fromkeys(DURATIONS, 0.01), **dict.fromkeys(COUNTS, 1)}
    longest: dict[str, Any] = {**dict.fromkeys(DURATIONS, math.inf), "max_connections_per_user": None}
    SignalR(**shortest | {"slow_client_policy": "latest"})
    SignalR(**longest | {"max_connections_per_address": 1})
    SignalR(max_streams_per_connection=0, max_groups_per_connection=0, minimum_negotiate_version=0)
    assert Options().tick == 1.0


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "https://app.example.com",
        "https://App.Example.com/",
        "http://localhost:5173",
        "http://[::1]:5173",
        "capacitor://localhost",
        "chrome-extension://abcdef",
        "file://",
        "null",
    ],
)
def test_an_origin_is_what_browsers_send(origin: str) -> None:
    assert SignalR(allowed_origins=[origin]).options.allowed_origins == [origin]
    assert SignalR(allowed_origins=origin).options.allowed_origins == (origin,)


@pytest.mark.parametrize(
    "origin",
    [
        "app.example.com",
        "localhost:5173",
        "https://app.*.example.com",
        "https://app.example.com/chat",
        "https://app.example.com?x=1",
        "https://ada@app.example.com",
        "https://",
        " https://app.example.com",
        "https://müller.example",
        "",
        None,
        b"https://app.example.com",
    ],
)
def test_an_origin_that_no_browser_sends_is_refused(origin: Any) -> None:
    text = (
        f"In allowed_origins, {origin!r} is no origin. Write each as browsers send it, such as "
        "'https://app.example.com', 'https://*.example.com' or 'http://localhost:5173', or '*' for any."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        SignalR(allowed_origins=["https://good.example", origin])


@pytest.mark.parametrize("origin", ["https://app.example.com:443", "http://app.example.com:80/"])
def test_an_origin_with_its_scheme_s_own_port_is_refused(origin: str) -> None:
    text = f"In allowed_origins, leave the port out of {origin!r}: browsers do, as it is the usual one."
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        SignalR(allowed_origins=[origin])


@pytest.mark.parametrize("backplane", [5, None, MemoryBackplane, object()])
def test_a_backplane_is_a_url_or_an_engine(backplane: Any) -> None:
    text = (
        "A backplane is a URL such as 'postgresql://host/database', or an object with start, publish and stop, "
        f"not {backplane!r}."
    )
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        SignalR(backplane=backplane)
