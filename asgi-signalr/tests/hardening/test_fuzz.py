"""Whatever clients send, in whatever order, over any transport: the server serves on, and forgets them all."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import msgspec
import pytest
from asgi_signalr import SignalR
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from .harness import (
    HOST,
    SEPARATOR,
    DirectSocket,
    Exchange,
    Http,
    Log,
    Loop,
    Socket,
    handshake,
    packed,
    read_json,
    read_messagepack,
    remains,
    text_of,
    varint,
)
from .rooms import HUB_LOGS, METHODS, SECRETS, make_app

T = TypeVar("T")

# What clients say: the messages there are, every part of which may be something else.

ODD_NAMES = ["__proto__", "constructor", "__init__", "on_connected", "context", "", "İ", "ﬁ", "\0", "a" * 300, "_hub"]
IDS = ["1", "2", "3", "s1", "s2", "s3", "0", "", "__proto__", "\ud800", "x" * 500]
HUGE = [2**31, 2**53, 2**63, 2**64, 10**40, -(2**63) - 1, 10**400]

users = st.sampled_from([None, *SECRETS])
picks = st.integers(0, 1 << 16)
odd_text = st.text(alphabet=st.characters(exclude_categories=()), max_size=20)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from(HUGE)
    | st.floats()
    | odd_text
    | st.sampled_from(["\x1e", "﻿", "\u2028\r\n", "data: x\r\n\r\n", "🙂" * 50]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(odd_text | st.sampled_from(ODD_NAMES), inner, max_size=3)
    ),
    max_leaves=6,
)
ids = st.sampled_from(IDS)
names = st.sampled_from(METHODS) | st.sampled_from(METHODS).map(str.upper) | st.sampled_from(ODD_NAMES)
arguments = st.lists(st.sampled_from(["red", "blue", 1, 2]) | values, max_size=3)
fitting = st.sampled_from(
    [
        {"type": 1, "target": "join", "arguments": ["red"], "invocationId": "1"},
        {"type": 1, "target": "leave", "arguments": ["red"]},
        {"type": 1, "target": "tell", "arguments": ["red", "psst"]},
        {"type": 1, "target": "tell_others", "arguments": ["psst"], "invocationId": "1"},
        {"type": 1, "target": "shout", "arguments": ["hey"], "invocationId": "2"},
        {"type": 1, "target": "flood", "arguments": []},
        {"type": 1, "target": "wait", "arguments": [], "invocationId": "3"},
        {"type": 1, "target": "ask", "arguments": ["age"], "invocationId": "1"},
        {"type": 1, "target": "total", "arguments": [], "streamIds": ["2"], "invocationId": "1"},
        {"type": 1, "target": "first", "arguments": [], "streamIds": ["2"], "invocationId": "1"},
        {"type": 2, "invocationId": "2", "item": 4},
        {"type": 2, "invocationId": "2", "item": "no number"},
        {"type": 3, "invocationId": "2"},
        {"type": 3, "invocationId": "2", "error": "the client's own"},
        {"type": 3, "invocationId": "s1", "result": 7},
        {"type": 3, "invocationId": "s1", "result": "no number"},
        {"type": 3, "invocationId": "s2", "error": "not now"},
        {"type": 4, "target": "count", "arguments": [40], "invocationId": "1"},
        {"type": 4, "target": "forever", "arguments": [], "invocationId": "2"},
        {"type": 4, "target": "crashing", "arguments": [], "invocationId": "3"},
        {"type": 4, "target": "doubled", "arguments": [], "streamIds": ["3"], "invocationId": "2"},
        {"type": 4, "target": "doubled", "arguments": [], "streamIds": ["3", "3"], "invocationId": "2"},
        {"type": 5, "invocationId": "1"},
        {"type": 5, "invocationId": "2"},
        {"type": 6},
        {"type": 8, "sequenceId": 1},
        {"type": 9, "sequenceId": 1},
    ]
)
any_message = st.fixed_dictionaries(
    {"type": st.integers(1, 9)},
    optional={
        "target": names,
        "arguments": arguments,
        "invocationId": ids,
        "streamIds": st.lists(ids, max_size=3),
        "item": values,
        "result": values,
        "error": odd_text,
        "allowReconnect": st.booleans(),
        "sequenceId": st.integers(-3, 5) | st.sampled_from(HUGE),
        "headers": st.dictionaries(odd_text, odd_text, max_size=2),
    },
)
spoilt = st.builds(
    lambda message, name, value: {**message, name: value},
    any_message,
    st.sampled_from(["type", "target", "arguments", "invocationId", "streamIds", "sequenceId", "allowReconnect"]),
    values,
)
messages = fitting | fitting | any_message | spoilt

TEXT_JUNK = [
    text_of(*[{"type": 1, "target": "wait", "arguments": []}] * 30),
    "",
    SEPARATOR,
    "{",
    "null" + SEPARATOR,
    "[" * 3000 + SEPARATOR,
    '{"a":' * 700 + SEPARATOR,
    '{"type":1,"target":"echo","invocationId":"1","arguments":[' + "[" * 900 + "]" * 900 + "]}" + SEPARATOR,
    '{"type":1,"target":"echo","invocationId":"1","arguments":[' + "9" * 3000 + "]}" + SEPARATOR,
    '{"type":1,"target":"echo","invocationId":"1","arguments":[1e999,-1e999,1e-999]}' + SEPARATOR,
    '{"type":1,"target":"echo","invocationId":"1","arguments":["\\ud800"]}' + SEPARATOR,
    '{"type":' + "9" * 400 + "}" + SEPARATOR,
    '{"type":1e0}' + SEPARATOR,
    "x" * 5000,
    "\ufeff{}" + SEPARATOR,
    text_of(*[{"type": 6}] * 300),
    handshake() * 3,
]
BINARY_JUNK = [
    b"",
    b"\xff\xfe\x1e",
    b"\x00",
    b"\x80",
    b"\x80\x80\x80\x80\x80",
    b"\xff\xff\xff\xff\x07",
    b"\xff\xff\xff\xff\x0f",
    varint(1000) + b"\x91" * 1000,
    varint(5) + b"\xdd\xff\xff\xff\xff",
    varint(5) + b"\xdf\xff\xff\xff\xff",
    varint(6) + b"\x92\xc6\xff\xff\xff\xff",
    varint(3) + b"\x91\xc1\x00",
    packed([1, {}, "1", "echo", [{1: 2, None: 3}]], [1, {}, "1", "echo", [{"a": b"\xff"}]]),
    packed([1, {}, "1", "echo", [msgspec.msgpack.Ext(5, b"x"), msgspec.msgpack.Ext(-1, b"x" * 12)]]),
    PINGS := b"\x02\x91\x06" * 500,
]


def as_text(messages: list[Any]) -> str:
    """Write messages as JSON; not every one of them can be sent as text."""
    return text_of(*messages).encode("utf-8", "replace").decode()


def as_items(message: dict[str, Any]) -> list[Any]:
    """Write a message as the array that MessagePack has for it."""
    get = message.get
    match message["type"]:
        case 1 | 4:
            return [get("type"), {}, get("invocationId"), get("target"), get("arguments"), get("streamIds", [])]
        case 2:
            return [2, {}, get("invocationId"), get("item")]
        case 3 if "error" in message:
            return [3, {}, get("invocationId"), 1, get("error")]
        case 3:
            return [3, {}, get("invocationId"), 3, get("result")]
        case 7:
            return [7, get("error"), get("allowReconnect")]
        case 8 | 9:
            return [get("type"), get("sequenceId")]
        case kind:
            return [kind, {}, get("invocationId")]


def as_binary(messages: list[Any]) -> bytes:
    """Write messages as MessagePack, as far as that has values for them."""
    written = b""
    for message in messages:
        with contextlib.suppress(ValueError, OverflowError):
            written += packed(as_items(message))
    return written


@st.composite
def mutated(draw: st.DrawFn, frames: st.SearchStrategy[Any]) -> Any:
    """Cut a frame off, double a part of it, or put something else into it."""
    frame = draw(frames)
    at, to = sorted((draw(picks) % (len(frame) + 1), draw(picks) % (len(frame) + 1)))
    other = draw(odd_text).encode("utf-8", "replace") if isinstance(frame, bytes) else draw(odd_text)
    return draw(
        st.sampled_from([frame[:to], frame[:at] + frame[to:], frame[:to] + frame[at:], frame[:at] + other + frame[at:]])
    )


conversations = st.lists(messages, min_size=1, max_size=4)
texts = conversations.map(as_text) | mutated(conversations.map(as_text)) | st.sampled_from(TEXT_JUNK)
binaries = conversations.map(as_binary) | mutated(conversations.map(as_binary)) | st.sampled_from(BINARY_JUNK)
frames = texts | binaries
handshakes = st.sampled_from(
    [handshake(), handshake(), handshake("messagepack"), handshake("json", 2), handshake("messagepack", 2)]
) | st.sampled_from(
    [
        handshake("xml"),
        handshake("json", 3),
        handshake("json", 10**30),
        '{"protocol":"\\ud800","version":1}' + SEPARATOR,
        '{"protocol":"' + "x" * 3000 + '","version":1}' + SEPARATOR,
        "[]" + SEPARATOR,
        handshake() + text_of({"type": 6}, {"type": 1, "target": "shout", "arguments": ["first"]}),
        *TEXT_JUNK,
    ]
)
origins = st.sampled_from(
    [{}, {}, {}, {"origin": f"http://{HOST}"}, {"origin": "https://evil.test"}, {"origin": "null"}, {"origin": ""}]
) | st.fixed_dictionaries(
    {
        "origin": st.sampled_from(
            ["http://[::1", "http://a:b:c", "http://\xff", f"http://{HOST}:99999999999", "//", "é"]
        )
    },
    optional={"host": st.sampled_from(["", "[", "a:b", f"{HOST}:x", "\xe9", "," * 50])},
)
paths = st.sampled_from(
    ["/room", "/members", "/echo", "/room/negotiate", "/members/negotiate", "/signalr.js", "/none", "//room//"]
)
queries = st.lists(
    st.tuples(
        st.sampled_from(
            ["negotiateVersion", "NEGOTIATEVERSION", "useStatefulReconnect", "_", "access_token", "%69d", "x"]
        ),
        st.sampled_from(
            ["0", "1", "-1", "true", "9" * 5000, "%00", "%0d%0aX: y", "%ff", "%ud800", "&&==;;", "é", "\u0661"]
        ),
    ),
    max_size=4,
).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs))


ACCEPT_EVENTS = {"accept": "text/event-stream"}
rooms = st.sampled_from(["/room", "/room", "/room", "/members", "/members", "/echo"])
protocols = st.sampled_from(["json", "messagepack"])


class Clients(RuleBasedStateMachine):
    """Clients of two users and of nobody in particular; beside them one that behaves, and is to be served well."""

    options: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=Loop)
        self.loop: Any = self.runner.get_loop()  # the harness' own
        self.log = Log()
        self.log.__enter__()
        self.app = make_app(allow_stateful_reconnects=True, **self.options)
        self.exchanges: list[Any] = []
        self.pending: list[Http] = []
        self.clients: list[Client] = []
        self.tokens: list[tuple[str, str, str | None, str]] = []
        self.minted: list[tuple[str, Http]] = []
        self.numbers = itertools.count()

    @initialize()
    def begin(self) -> None:
        self._run(self._begin())

    async def _begin(self) -> None:
        self.witness = await _connect(self.app)

    # What happens.

    @rule(
        path=rooms,
        user=users,
        protocol=protocols,
        transport=st.sampled_from(["WebSockets", "direct WebSockets", "Events", "Polls"]),
        said=st.lists(fitting, max_size=6),
    )
    def comes(self, path: str, user: str | None, protocol: str, transport: str, said: list[Any]) -> None:
        token = self._negotiate(path, user, "?negotiateVersion=1&useStatefulReconnect=true")
        if token is None:
            return
        url, socket = f"{path}?id={token}", None
        if transport.endswith("WebSockets"):
            socket = self._add(DirectSocket if transport == "direct WebSockets" else Socket, url, user)
            socket.send(handshake(protocol, len(self.tokens) % 2 + 1))
        else:
            protocol = "json" if transport == "Events" else protocol
            self.pending.append(self._add(Http, "GET", url, user, ACCEPT_EVENTS if transport == "Events" else {}))
            self._run(self._rest())
            self.pending.append(self._add(Http, "POST", url, user, body=handshake(protocol).encode()))
        self.clients.append(Client(url, user, protocol, socket))
        self._run(self._rest())
        self._say(0, *[[each] for each in said])

    @rule(path=rooms, user=users, headers=origins, request=handshakes)
    def comes_badly(self, path: str, user: str | None, headers: dict[str, str], request: str) -> None:
        socket = self._add(Socket, path, user, headers)
        socket.send(request.encode("utf-8", "replace").decode())
        self.clients.append(Client(path, user, "json", socket))
        self._check()

    @rule(path=rooms, user=users, query=st.sampled_from(["?negotiateVersion=1", "", "?negotiateVersion=0"]))
    def negotiates(self, path: str, user: str | None, query: str) -> None:
        self._negotiate(path, user, query)
        self._check()

    def _negotiate(self, path: str, user: str | None, query: str) -> str | None:
        request = self._add(Http, "POST", f"{path}/negotiate{query}", user)
        if self._run(request.answered()) != 200:
            return None
        answer = json.loads(request.body)
        token: str = answer.get("connectionToken", answer["connectionId"])
        self.tokens.append((token, answer["connectionId"], user, path))
        if "connectionToken" in answer:
            self.minted.append((token, request))
        return token

    @precondition(lambda self: self.clients)
    @rule(which=picks, said=st.lists(fitting, min_size=1, max_size=5))
    def calls(self, which: int, said: list[Any]) -> None:
        self._say(which, said)

    @precondition(lambda self: self.clients)
    @rule(which=picks, said=st.lists(fitting | any_message, min_size=1, max_size=3))
    def says(self, which: int, said: list[Any]) -> None:
        self._say(which, *[[each] for each in said])

    @precondition(lambda self: self.clients)
    @rule(which=picks, frame=frames)
    def says_nonsense(self, which: int, frame: str | bytes) -> None:
        self._say(which, frame)

    @precondition(lambda self: self.clients)
    @rule(which=picks)
    def polls(self, which: int) -> None:
        client = self._client(which)
        self.pending.append(self._add(Http, "GET", client.url, client.user))
        self._check()

    @precondition(lambda self: self.clients)
    @rule(which=picks)
    def comes_back(self, which: int) -> None:
        client = self._client(which)
        client.socket = self._add(Socket, client.url, client.user)
        client.socket.send(text_of({"type": 9, "sequenceId": 1}))
        self._check()

    @precondition(lambda self: self.tokens)
    @rule(
        which=picks,
        as_owner=st.integers(0, 4),
        by_id=st.integers(0, 6),
        kind=st.sampled_from(["WebSocket", "GET", "GET", "POST", "POST", "DELETE"]),
        events=st.booleans(),
        body=handshakes | frames,
        all_of_it=st.integers(0, 4),
    )
    def meddles(
        self, which: int, as_owner: int, by_id: int, kind: str, events: bool, body: str | bytes, all_of_it: int
    ) -> None:
        url, user = self._url(which, as_owner, by_id)
        data = body if isinstance(body, bytes) else body.encode("utf-8", "replace")
        if kind == "WebSocket":
            self._add(Socket, url, user).send(data.decode("utf-8", "replace"))
        else:
            request = self._add(Http, kind, url, user, ACCEPT_EVENTS if events else {}, body=None)
            half = len(data) // 2
            request.post(data[:half], more=True)
            request.post(data[half:], more=not all_of_it)
            self.pending.append(request)
        self._check()

    @rule(
        method=st.sampled_from(["GET", "POST", "PUT", "OPTIONS", "HEAD", "DELETE", "PATCH", "get", "X" * 100]),
        path=paths,
        query=queries,
        user=users,
        headers=origins,
        more=st.dictionaries(
            st.sampled_from(["accept", "access-control-request-method", "if-none-match", "content-length"]),
            st.sampled_from(["", "text/event-stream", "*", "-1", "\xff", 'W/"x"']),
            max_size=2,
        ),
    )
    def asks_anything(
        self, method: str, path: str, query: str, user: str | None, headers: dict[str, str], more: dict[str, str]
    ) -> None:
        self.pending.append(self._add(Http, method, f"{path}?{query}", user, {**headers, **more}))
        self._check()

    @precondition(lambda self: self.exchanges)
    @rule(which=picks, how=st.sampled_from([1000, 1001, 1005, 1006, "gives up", "stalls", "stalls", "reads again"]))
    def falters(self, which: int, how: int | str) -> None:
        exchange = self.exchanges[-1 - which % min(len(self.exchanges), 12)]
        if how == "stalls":
            exchange.stall()
        elif how == "reads again":
            exchange.go_on()
        elif isinstance(exchange, Socket):
            exchange.leave(how if isinstance(how, int) else 1006)
        else:
            exchange.leave()
        self._check()

    @rule(seconds=st.sampled_from([0.5, 3, 11, 16, 40, 100]))
    def time_passes(self, seconds: float) -> None:
        self._run(asyncio.sleep(seconds))
        self._check()

    # What always holds.

    def _check(self) -> None:
        self._run(self._see_that_the_witness_is_served())
        assert self.loop.mishaps == []
        for exchange in self.exchanges:
            if exchange.outcome is not None:
                raise exchange.outcome

    async def _see_that_the_witness_is_served(self) -> None:
        await self._rest()
        mark, began = f"mark-{next(self.numbers)}", self.loop.time()
        answer = text_of({"type": 3, "invocationId": "w", "result": mark}).replace(" ", "")
        self.witness.send(text_of({"type": 1, "target": "echo", "arguments": [mark], "invocationId": "w"}))
        await self.witness.hear(lambda: True if any(answer in frame for frame in self.witness.frames) else None)
        assert self.loop.time() == began, "The client that behaves has had to wait for others."
        del self.witness.events[:-1]

    async def _rest(self) -> None:
        """Let everything happen that happens without time passing."""
        for _ in range(2000):
            await asyncio.sleep(0)
            if not self.loop._ready:
                return
        raise AssertionError("The server does not come to rest.")

    def teardown(self) -> None:
        try:
            if hasattr(self, "witness"):
                assert self._run(self._see_that_nothing_is_left()) == {}
            assert [line for line in self.log.lines if not _is_as_it_should(line)] == []
            for exchange in self.exchanges:
                self._see_what_was_told(exchange)
            assert self.loop.mishaps == []
        finally:
            self.log.__exit__()
            self.runner.close()

    async def _see_that_nothing_is_left(self) -> dict[str, int]:
        for exchange in self.exchanges:
            exchange.leave()
        await self._see_that_the_witness_is_served()
        self.witness.leave()
        await asyncio.sleep(300)
        for exchange in self.exchanges:
            assert exchange.task.done(), f"{exchange.url} still runs."
            assert exchange.outcome is None, exchange.outcome
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert self.loop.timers == []
        return remains(self.app._servers.to_serve())

    def _see_what_was_told(self, exchange: Exchange) -> None:
        output = exchange.output
        for user, secret in SECRETS.items():
            assert user == exchange.user or secret.encode() not in output, f"{exchange.user} has read {user}'s secret."
        for token, request in self.minted:
            assert exchange is request or token.encode() not in output, "A token has been given away."
        if exchange.url.startswith("/echo"):
            return
        if isinstance(exchange, Socket):
            for frame in exchange.frames:
                _read(frame)
        elif isinstance(exchange, Http) and exchange.status == 200 and exchange.method == "GET":
            kinds = dict(exchange.events[0]["headers"])
            if kinds[b"content-type"] == b"text/event-stream":
                for event in exchange.body.split(b"\r\n\r\n")[1:]:
                    _read(event.removeprefix(b"data: ").decode()) if event else None
            elif kinds[b"content-type"] == b"application/octet-stream":
                _read(exchange.body)

    # How it is done.

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        result: T = self.loop.run_until_complete(coroutine)
        return result

    def _add(self, kind: type[Exchange], *args: Any, **more: Any) -> Any:
        async def begin() -> Exchange:
            return kind(self.app, *args, **more)

        exchange = self._run(begin())
        self.exchanges.append(exchange)
        return exchange

    def _url(self, which: int, as_owner: int, by_id: int) -> tuple[str, str | None]:
        """Find a connection to ask for: mostly as its owner and by its token, sometimes otherwise."""
        token, connection_id, owner, path = self.tokens[-1 - which % min(len(self.tokens), 4)]
        user = owner if as_owner else {None: "alice", "alice": "bob", "bob": None}[owner]
        return f"{path}?id={token if by_id else connection_id}", user

    def _client(self, which: int) -> "Client":
        """Find one to go on with: one of the latest that are still there."""
        there = [each for each in self.clients if each.socket is None or each.socket.is_open] or self.clients
        return there[-1 - which % min(len(there), 3)]

    def _say(self, which: int, *said: str | bytes | list[Any]) -> None:
        client = self._client(which)
        for each in said:
            frame = (as_text if client.protocol == "json" else as_binary)(each) if isinstance(each, list) else each
            if client.socket is not None:
                client.socket.send(frame)
            else:
                body = frame if isinstance(frame, bytes) else frame.encode()
                self.pending.append(self._add(Http, "POST", client.url, client.user, body=body))
                self.pending.append(self._add(Http, "GET", client.url, client.user))
        self._check()


@dataclass
class Client:
    """One that has come: where it is served, and how it speaks."""

    url: str
    user: str | None
    protocol: str
    socket: Socket | None
    """None: it posts what it says."""


async def _connect(app: SignalR, path: str = "/room", user: str | None = None) -> Socket:
    socket = await Socket(app, path, user).accepted()
    socket.send(handshake())
    await socket.hear(lambda: socket.frames or None)
    return socket


def _read(frame: str | bytes) -> None:
    if isinstance(frame, str) or frame.startswith(b"{"):
        if isinstance(frame, bytes) and not frame.endswith(b"\x1e"):
            head, _, rest = frame.partition(b"\x1e")
            read_json(head + b"\x1e")
            read_messagepack(rest)
        elif frame:
            read_json(frame)
    else:
        read_messagepack(frame)


def _is_as_it_should(line: str) -> bool:
    """Whether it is what the hubs do on purpose, or what the library says of clients and advises."""
    line = line.lower()
    hubs = ("room", "members")
    return line.startswith(
        (
            *(f"error asgi_signalr {hub}.{name} " for hub in hubs for name in HUB_LOGS),
            "error asgi_signalr the result of ",
            *("warning asgi_signalr a client ", "warning asgi_signalr pages of "),
            *(f"warning asgi_signalr {name}: no connection with that id. " for name in (*hubs, "echo")),
        )
    )


COMMON = settings(
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)


def test_no_conversation_hurts_anybody_else() -> None:
    run_state_machine_as_test(
        Clients, settings=settings(COMMON, max_examples=10, stateful_step_count=30, derandomize=True)
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_parallel_invocations": 3, "detailed_errors": True},
        {"slow_client_policy": "latest"},
        {
            "max_connections_per_user": 2,
            "max_streams_per_connection": 3,
            "max_id_length": 2,
            "stream_buffer_capacity": 1,
        },
    ],
    ids=lambda options: next(iter(options), "default"),
)
def test_no_conversation_hurts_anybody_else_however_many_there_are(options: dict[str, Any]) -> None:
    class Others(Clients):
        pass

    Others.options = options
    run_state_machine_as_test(
        Others, settings=settings(COMMON, max_examples=200, stateful_step_count=50, print_blob=True)
    )
