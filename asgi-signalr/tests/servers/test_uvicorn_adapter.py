"""The adapter for uvicorn is uvicorn's own implementation to everybody but the hubs, and faster for them."""

import asyncio
import base64
import contextlib
import itertools
import json
import struct
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from socket import create_server
from typing import Any

import pytest
from asgi_signalr import Hub, SignalR
from asgi_signalr.servers import uvicorn
from asgi_signalr.servers.uvicorn import WebSocketProtocol
from hypothesis import example, given, settings
from hypothesis import strategies as st
from uvicorn import Config, Server
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

PATIENCE = 10.0
LONGEST = 70_000

UPGRADE = (
    b"GET /chat HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: %b\r\nSec-WebSocket-Version: 13\r\n%b\r\n"
)
OFFER = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"


# What a client may send, in order or not.


def masked(first: int, payload: bytes, *, mask: bytes = b"\x01\x02\x03\x04", size_bytes: int | None = None) -> bytes:
    """Build a client's frame; the length in more bytes than it needs, if that is asked for."""
    size = len(payload)
    if size_bytes is None:
        size_bytes = 0 if size < 126 else 2 if size < 0x10000 else 8
    head = {0: bytes((0x80 | size & 0x7F,)), 2: b"\xfe" + struct.pack("!H", size & 0xFFFF)}
    length = head.get(size_bytes, b"\xff" + struct.pack("!Q", size))
    return bytes((first,)) + length + mask + bytes(each ^ mask[at % 4] for at, each in enumerate(payload))


TEXTS = st.text(max_size=40).map(str.encode) | st.sampled_from(
    [b"", b"\xff", "é".encode()[:1], b"x" * 126, b"y" * 5000]
)
FIRST = st.sampled_from([0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8A, 0x88, 0xC1, 0x91, 0x83, 0x8B, 0x09])
FRAMES = st.one_of(
    st.builds(masked, st.sampled_from([0x81, 0x82]), TEXTS),
    st.builds(masked, st.sampled_from([0x81, 0x82]), TEXTS, mask=st.binary(min_size=4, max_size=4)),
    st.builds(masked, FIRST, TEXTS),
    st.builds(masked, st.sampled_from([0x81, 0x82]), st.just(b"short"), size_bytes=st.sampled_from([2, 8])),
    st.just(masked(0x88, struct.pack("!H", 1000) + b"bye")),
    st.just(masked(0x89, b"are you there?")),
    st.just(masked(0x81, b"z" * LONGEST)),
    st.just(b"\x81\x03abc"),  # not masked
    st.binary(min_size=1, max_size=20),
)


class Wire(asyncio.Transport):
    """The socket's end: keeps what the server writes, and does not deliver while the server does not read."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.closing = False
        self.reading = asyncio.Event()
        self.reading.set()
        self.protocol: Any = None

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def write(self, data: Any) -> None:
        if not self.closing:
            self.written += data

    def pause_reading(self) -> None:
        self.reading.clear()

    def resume_reading(self) -> None:
        self.reading.set()

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True
        self.reading.set()

    def abort(self) -> None:
        self.close()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"sockname": ("127.0.0.1", 1), "peername": ("127.0.0.1", 2)}.get(name, default)


def wired(app: Any, state: ServerState, kind: Any = WebSocketProtocol, **options: Any) -> Wire:
    """Connect a wire to a server."""
    config = Config(app, lifespan="off", log_config=None, ws_ping_interval=None, **options)
    config.load()
    wire = Wire()
    wire.set_protocol(kind(config=config, server_state=state, app_state={}))
    wire.protocol.connection_made(wire)
    return wire


async def conversation(
    kind: Any, pieces: list[bytes], head: bytes, quits_at: bytes, *, in_one_tick: bool = False
) -> dict[str, Any]:
    """Send pieces to a server whose app says everything back, and tell what became of it.

    In one tick, the end of the stream follows at once.
    """
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        has_closed = False
        while True:
            event = await receive()
            if has_closed and event["type"] == "websocket.receive":
                continue  # it came before the server has closed, or after
            seen.append(event)
            if event["type"] == "websocket.disconnect":
                return
            if quits_at in (event.get("bytes") or event.get("text", "").encode()):
                has_closed = True
                await send({"type": "websocket.close", "code": 4000})
            else:
                with contextlib.suppress(Exception):  # the client may be in the wrong by now
                    await send(event | {"type": "websocket.send"})

    state = ServerState()
    wire = wired(app, state, kind, ws_max_size=LONGEST - 1)
    crashed = False
    for piece in (head, *pieces):
        async with asyncio.timeout(PATIENCE):
            await wire.reading.wait()
        if wire.closing:
            break
        try:
            wire.protocol.data_received(piece)
        except AssertionError:  # uvicorn's own: bad frames that come before it has accepted
            crashed = True
            break
        if piece is head or not in_one_tick:
            await turns()
    if in_one_tick:
        wire.protocol.eof_received()
    is_closed_by_server = wire.closing
    wire.closing = True
    wire.protocol.connection_lost(None)
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*state.tasks, return_exceptions=True)
    answer, _, rest = bytes(wire.written).partition(b"\r\n\r\n")
    frames = split(rest)
    return {
        "status": answer.split(b"\r\n")[0],
        "deflates": b"permessage-deflate" in answer,
        "events": seen,
        "messages": [each for each in frames if each[0] & 0x0F < 8],
        "controls": [each for each in frames if each[0] & 0x0F >= 8],
        "closed": is_closed_by_server,
        "crashed": crashed,
    }


async def turns() -> None:
    """Let the app do what it can."""
    for _ in range(12):
        await asyncio.sleep(0)


def split(data: bytes) -> list[tuple[int, bytes]]:
    """Cut a server's bytes into frames."""
    frames = []
    while data:
        size, start = data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(data[2:10], "big"), 10
        frames.append((data[0], data[start : start + size]))
        data = data[start + size :]
    return frames


def upgrade(*, deflate: bool = False) -> bytes:
    return UPGRADE % (base64.b64encode(bytes(16)), OFFER if deflate else b"")


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    """Cut bytes into pieces at these places."""
    edges = sorted({0, len(data), *(at % (len(data) + 1) for at in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@pytest.mark.slow
@settings(deadline=None, max_examples=150)
@given(
    frames=st.lists(FRAMES, max_size=8),
    cuts=st.lists(st.integers(min_value=0, max_value=100_000), max_size=6),
    deflate=st.booleans(),
    with_head=st.integers(min_value=0, max_value=40) | st.just(0),
)
@example(frames=[masked(0x81, b"quit"), masked(0x81, b"after")], cuts=[], deflate=False, with_head=0)
@example(frames=[masked(0x01, b"a"), masked(0x81, b"b")], cuts=[3], deflate=False, with_head=0)
@example(frames=[masked(0x01, b"a"), masked(0x89, b"p"), masked(0x80, b"b")], cuts=[1, 9], deflate=False, with_head=0)
@example(frames=[masked(0x81, b"early"), masked(0x81, b"later")], cuts=[], deflate=False, with_head=5)
@example(frames=[masked(0x81, b"\xff"), masked(0x81, b"later")], cuts=[2], deflate=True, with_head=0)
@example(frames=[masked(0x81, b"\xff")], cuts=[], deflate=False, with_head=6)
async def test_every_other_app_sees_no_difference(
    frames: list[bytes], cuts: list[int], deflate: bool, with_head: int
) -> None:
    data = b"".join(frames)
    head = upgrade(deflate=deflate) + data[:with_head]
    # uvicorn forgets the good frames of a piece that has a bad one as well, so it is given the frames one by one.
    edges = [*itertools.accumulate(len(each) for each in frames), *cuts]
    edges += [
        end - back for end, each in zip(edges, frames, strict=False) if len(each) < 30 for back in range(len(each))
    ]
    one_by_one = cut(data[with_head:], [at - with_head for at in edges if at >= with_head])
    expected = await conversation(WebSocketsSansIOProtocol, one_by_one, head, b"quit")
    assert await conversation(WebSocketProtocol, one_by_one, head, b"quit") == expected
    if with_head:
        return  # frames that come before the app has accepted are all uvicorn's own affair
    seen = await conversation(WebSocketProtocol, cut(data, cuts), head, b"quit")
    assert seen["events"] == expected["events"]
    assert seen["messages"] == expected["messages"][: len(seen["messages"])]  # some answers come after the end
    pieces = [each for each in cut(data, cuts) if len(each) < 100]  # longer ones are not read together
    has_quit = any(each.get("code") == 4000 for each in expected["events"])
    if b"".join(pieces) == data and not has_quit:
        seen = await conversation(WebSocketProtocol, pieces, head, b"quit", in_one_tick=True)
        assert seen["events"] == expected["events"]


async def test_a_byte_at_a_time_makes_the_same_messages() -> None:
    data = masked(0x81, b"small") + masked(0x82, bytes(300)) + masked(0x81, b"m" * 4096) + masked(0x88, b"\x03\xe8")
    pieces = [data[at : at + 1] for at in range(len(data))]
    seen = await conversation(WebSocketProtocol, pieces, upgrade(), b"quit")
    assert seen["events"] == [
        {"type": "websocket.receive", "text": "small"},
        {"type": "websocket.receive", "bytes": bytes(300)},
        {"type": "websocket.receive", "text": "m" * 4096},
        {"type": "websocket.disconnect", "code": 1000, "reason": ""},
    ]
    assert seen["messages"] == [(0x81, b"small"), (0x82, bytes(300)), (0x81, b"m" * 4096)]


async def test_what_came_in_the_same_tick_as_the_end_of_the_stream_is_heard_first() -> None:
    pieces = [masked(0x81, b"last words"), masked(0x88, struct.pack("!H", 1000) + b"bye")]
    seen = await conversation(WebSocketProtocol, pieces, upgrade(), b"quit", in_one_tick=True)
    assert seen["events"] == [
        {"type": "websocket.receive", "text": "last words"},
        {"type": "websocket.disconnect", "code": 1000, "reason": "bye"},
    ]
    assert seen["controls"] == [(0x88, struct.pack("!H", 1000) + b"bye")]


async def test_a_message_that_cannot_be_taken_in_ends_its_own_connection_only() -> None:
    failures: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failures.append(context["exception"]))
    taken: list[bytes] = []

    def fail(message: bytes) -> bool:
        raise RuntimeError(message)

    def take(message: bytes) -> bool:
        taken.append(message)
        return True

    async def app(scope: Any, receive: Any, send: Any) -> None:
        direct = scope["extensions"]["asgi_signalr.websocket"]
        await receive()
        await send({"type": "websocket.accept"})
        direct.fast_path = offers.pop(0)
        await receive()

    offers = [take, fail, take]
    state = ServerState()
    wires = [wired(app, state) for _ in offers]
    for wire in wires:
        wire.protocol.data_received(upgrade())
        await turns()
    for number, wire in enumerate(wires):
        wire.protocol.data_received(masked(0x81, b"message %d" % number))
    await turns()
    assert taken == [b"message 0", b"message 2"]
    assert [str(each) for each in failures] == ["b'message 1'"]
    assert [wire.closing for wire in wires] == [False, True, False]
    for wire in wires:
        wire.protocol.connection_lost(None)
    await asyncio.gather(*state.tasks, return_exceptions=True)


async def test_an_app_that_receives_nothing_is_sent_no_more_than_a_few_messages() -> None:
    going_on = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await going_on.wait()
        for _ in range(40):
            await receive()

    state = ServerState()
    wire = wired(app, state)
    wire.protocol.data_received(upgrade())
    await turns()
    sent = 0
    while wire.reading.is_set() and sent < 40:
        wire.protocol.data_received(masked(0x81, b"hello"))
        await asyncio.sleep(0)
        sent += 1
    assert sent == 16
    going_on.set()
    async with asyncio.timeout(PATIENCE):
        await wire.reading.wait()
        for _ in range(40 - sent):
            await wire.reading.wait()
            wire.protocol.data_received(masked(0x81, b"hello"))
            await asyncio.sleep(0)
        await asyncio.gather(*state.tasks, return_exceptions=True)


# Hubs on a real server.


Serve = Callable[..., Awaitable[str]]
HANDSHAKE = '{"protocol":"json","version":1}\x1e'


tenant: ContextVar[str] = ContextVar("tenant")


class Room(Hub):
    async def tell(self, text: str, times: int) -> None:
        for number in range(times):
            await self.clients.all.send("told", text, number)

    async def echo(self, text: str) -> str:
        return text

    def echo_at_once(self, text: str) -> str:
        return text

    def much(self) -> str:
        return "x" * 20_000_000

    def leave(self) -> None:
        self.context.abort()

    def whose(self) -> str:
        return tenant.get()


def an_app(**options: Any) -> SignalR:
    signalr = SignalR(**options)
    signalr.hub("/room")(Room)
    return signalr


@pytest.fixture
def enter(serve: Serve) -> Callable[..., Awaitable[Any]]:
    """Serves a hub with the adapter, and returns what opens connections to it."""

    async def enter_(app: Any) -> Callable[..., Awaitable[Any]]:
        url = (await serve(app, ws=WebSocketProtocol)).replace("http", "ws") + "/room"

        async def one(**options: Any) -> Any:
            socket = await connect(url, **options)
            await socket.send(HANDSHAKE)
            assert await socket.recv() == "{}\x1e"
            return socket

        return one

    return enter_


def call(target: str, *arguments: Any, id: str = "1") -> str:
    return json.dumps({"type": 1, "target": target, "arguments": list(arguments), "invocationId": id}) + "\x1e"


@pytest.mark.parametrize("text", ["hello", "é" * 50, "x" * 200, "y" * 20_000])
async def test_calls_of_any_length_are_answered(enter: Any, text: str) -> None:
    socket = await (await enter(an_app()))()
    for target in ("echo", "echo_at_once"):
        await socket.send(call(target, text))
        assert await socket.recv() == f'{{"type":3,"invocationId":"1","result":"{text}"}}\x1e'
    await socket.close()


async def test_a_call_in_fragments_is_answered(enter: Any) -> None:
    socket = await (await enter(an_app()))()
    message = call("echo", "in pieces")
    await socket.send([message[:10], message[10:20], message[20:]])
    assert await socket.recv() == '{"type":3,"invocationId":"1","result":"in pieces"}\x1e'
    await socket.close()


async def test_calls_sent_without_waiting_are_answered_in_order(enter: Any) -> None:
    socket = await (await enter(an_app()))()
    for number in range(200):
        await socket.send(call("echo" if number % 3 else "echo_at_once", str(number), id=str(number)))
    answers = [await socket.recv() for _ in range(200)]
    assert answers == [f'{{"type":3,"invocationId":"{n}","result":"{n}"}}\x1e' for n in range(200)]
    await socket.close()


async def test_a_plain_method_sees_what_a_middleware_has_left_for_its_connection(enter: Any) -> None:
    signalr, connections = an_app(), itertools.count(1)

    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            tenant.set(f"tenant {next(connections)}")
        await signalr(scope, receive, send)

    one = await enter(middleware)
    sockets = [await one() for _ in range(2)]
    for _ in range(2):
        for number, socket in enumerate(sockets, 1):
            await socket.send(call("whose"))
            assert await socket.recv() == f'{{"type":3,"invocationId":"1","result":"tenant {number}"}}\x1e'
    for socket in sockets:
        await socket.close()


async def test_messages_that_cross_the_servers_close_are_passed_over() -> None:
    wire = wired(an_app(), ServerState())
    protocol = wire.protocol
    head = UPGRADE.replace(b"/chat", b"/room") % (base64.b64encode(b"k" * 16), b"")
    for piece in (head, masked(0x81, HANDSHAKE.encode()), masked(0x81, call("leave").encode())):
        wire.protocol.data_received(piece)
        await turns()
    async with asyncio.timeout(PATIENCE):
        while not wire.written.endswith(b"\x88\x02\x03\xe8"):
            await turns()
    sent = len(wire.written)
    for _ in range(40):
        wire.protocol.data_received(masked(0x81, call("echo_at_once", "too late").encode()))
        assert wire.reading.is_set()
    wire.protocol.data_received(masked(0x88, b"\x03\xe8"))
    await turns()
    assert (wire.closing, len(wire.written)) == (True, sent)
    protocol.connection_lost(None)
    await turns()


@pytest.mark.parametrize(
    ("piece", "answer"),
    [
        (masked(0x89, b"p"), b"\x8a\x01p"),
        (masked(0x81, call("echo_at_once", "x").encode()), b'"result":"x"}\x1e'),
    ],
    ids=["pings", "calls"],
)
@pytest.mark.parametrize("ends", [False, True])
async def test_much_that_one_client_sends_at_once_leaves_turns_to_others_and_is_all_heard(
    monkeypatch: pytest.MonkeyPatch, piece: bytes, answer: bytes, ends: bool
) -> None:
    monkeypatch.setattr(uvicorn, "TURN", 0.0)  # each look at the clock ends the turn
    many = 64 * uvicorn.FRAMES_PER_LOOK
    wire = wired(an_app(), ServerState())
    wire.protocol.data_received(UPGRADE.replace(b"/chat", b"/room") % (base64.b64encode(b"k" * 16), b""))
    await turns()
    wire.protocol.data_received(masked(0x81, HANDSHAKE.encode()))
    await turns()
    wire.protocol.data_received(piece * many + masked(0x81, call("echo_at_once", "last").encode())[:9])
    await turns()
    assert 0 < wire.written.count(answer) < many
    assert not wire.reading.is_set()  # the kernel keeps the rest, and the client waits
    if ends:
        assert wire.protocol.eof_received()  # the transport stays open for the rest
    async with asyncio.timeout(PATIENCE):
        while wire.written.count(answer) < many:
            assert not wire.closing
            await turns()
    if not ends:
        wire.protocol.data_received(masked(0x81, call("echo_at_once", "last").encode())[9:])
        async with asyncio.timeout(PATIENCE):
            while b'"last"' not in wire.written:
                await turns()
        assert wire.reading.is_set()
    await turns()
    assert (wire.written.count(answer), wire.closing) == (many, ends)
    wire.protocol.connection_lost(None)
    await turns()


@pytest.mark.parametrize("says_goodbye", [True, False])
async def test_a_stateful_connection_ends_with_a_close_that_says_no_code_and_not_with_a_lost_wire(
    request_to: Callable[..., Awaitable[Any]], says_goodbye: bool
) -> None:
    gone = asyncio.Event()
    app = SignalR(allow_stateful_reconnects=True, disconnect_timeout=300)

    @app.hub("/room")
    class Room(Hub):
        async def on_disconnected(self, error: Exception | None) -> None:
            gone.set()

    query = "?negotiateVersion=1&useStatefulReconnect=true"
    token = (await request_to(app, "POST", f"/room/negotiate{query}")).json["connectionToken"]
    wire = wired(app, ServerState())
    path = f"/room?id={token}".encode()
    wire.protocol.data_received(UPGRADE.replace(b"/chat", path) % (base64.b64encode(b"k" * 16), b""))
    await turns()
    wire.protocol.data_received(masked(0x81, b'{"protocol":"json","version":2}\x1e'))
    async with asyncio.timeout(PATIENCE):
        while not wire.written.endswith(b"{}\x1e"):
            await turns()
    if says_goodbye:
        wire.protocol.data_received(masked(0x88, b""))
    wire.protocol.eof_received()
    wire.protocol.connection_lost(None)
    if says_goodbye:
        async with asyncio.timeout(PATIENCE):
            await gone.wait()
    else:
        await turns()
        assert not gone.is_set()  # it may come back for as long as `disconnect_timeout`
    await app.stop()


async def test_broadcasts_of_one_tick_come_one_by_one_and_in_order(enter: Any) -> None:
    one = await enter(an_app())
    sockets = [await one() for _ in range(3)]
    await sockets[0].send(call("tell", "all", 5)[:-1].replace(', "invocationId": "1"', "") + "\x1e")
    expected = [f'{{"type":1,"target":"told","arguments":["all",{number}]}}\x1e' for number in range(5)]
    for socket in sockets:
        assert [await socket.recv() for _ in range(5)] == expected
        await socket.close()


async def test_hubs_agree_to_no_compression_and_other_apps_may(serve: Serve, enter: Any) -> None:
    socket = await (await enter(an_app()))(compression="deflate")
    assert "Sec-WebSocket-Extensions" not in socket.response.headers
    await socket.close()

    async def other(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send((await receive()) | {"type": "websocket.send"})
        await receive()

    url = (await serve(other, ws=WebSocketProtocol)).replace("http", "ws")
    async with connect(url, compression="deflate") as client:
        assert client.response is not None
        assert "permessage-deflate" in client.response.headers["Sec-WebSocket-Extensions"]
        await client.send("squeeze " * 1000)
        assert await client.recv() == "squeeze " * 1000


async def test_invalid_text_ends_the_connection_with_1007(enter: Any) -> None:
    socket = await (await enter(an_app()))()
    await socket.send(b'{"type":6,"x":"\xff"}\x1e', text=True)
    with pytest.raises(ConnectionClosed):
        await socket.recv()
    assert socket.close_code == 1007


async def test_pings_are_answered_between_calls(enter: Any) -> None:
    socket = await (await enter(an_app()))()
    for _ in range(3):
        async with asyncio.timeout(PATIENCE):
            await (await socket.ping())
        await socket.send(call("echo", "hi"))
        assert "hi" in await socket.recv()
    await socket.close()


async def test_a_client_that_reads_nothing_slows_nobody_and_is_given_up(enter: Any) -> None:
    ended = asyncio.Event()

    class Watched(Room):
        async def on_disconnected(self, error: Exception | None) -> None:
            if error is not None:
                seen.append(str(error))
                ended.set()

    seen: list[str] = []
    signalr = SignalR(max_queued_bytes=200_000, close_timeout=0.1)
    signalr.hub("/room")(Watched)
    one = await enter(signalr)
    reader = await one(max_size=None)
    stuck = await one(max_queue=1)
    stuck.transport.pause_reading()
    text = "x" * 50_000
    async with asyncio.timeout(PATIENCE):
        while not ended.is_set():
            await signalr.hub_context(Watched).clients.all.send("told", text)
            assert text in await reader.recv()
    assert seen == ["The client is slow: more than 200000 bytes wait for it."]
    await reader.close()
    stuck.transport.abort()


async def raw_client(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client that has shaken hands and does no more than it is told to."""
    port = int(url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
    writer.write(upgrade().replace(b"/chat", b"/room"))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
    writer.write(masked(0x81, HANDSHAKE.encode()))
    assert await reader.readexactly(5) == b"\x81\x03{}\x1e"
    return reader, writer


async def test_a_client_that_does_not_answer_the_close_frame_is_cut_off(serve: Serve) -> None:
    reader, writer = await raw_client(await serve(an_app(close_timeout=0.2), ws=WebSocketProtocol))
    writer.write(masked(0x81, call("leave").encode()))
    async with asyncio.timeout(5):  # uvicorn waits for 10
        with contextlib.suppress(ConnectionResetError):
            while await reader.read(1000):
                pass
    writer.close()


async def test_what_a_client_does_not_read_is_not_kept_once_it_is_given_up(serve: Serve) -> None:
    ended = asyncio.Event()

    class Watched(Room):
        async def on_disconnected(self, error: Exception | None) -> None:
            ended.set()

    signalr = SignalR(keep_alive_interval=0.2, send_timeout=0.2, close_timeout=0.2)
    signalr.hub("/room")(Watched)
    reader, writer = await raw_client(await serve(signalr, ws=WebSocketProtocol))
    writer.write(masked(0x81, call("much").encode()))
    received = 0
    async with asyncio.timeout(PATIENCE):
        await ended.wait()
        await asyncio.sleep(1)
        with contextlib.suppress(ConnectionResetError):
            while part := await reader.read(100_000):
                received += len(part)
    assert received < 20_000_000
    writer.close()


async def test_a_client_that_reads_nothing_does_not_keep_the_server_from_ending() -> None:
    listener = create_server(("127.0.0.1", 0))
    server = Server(Config(an_app(close_timeout=0.2), ws=WebSocketProtocol, log_level="warning"))
    running = asyncio.create_task(server._serve(sockets=[listener]))
    _, writer = await raw_client(f"http://127.0.0.1:{listener.getsockname()[1]}")
    writer.write(masked(0x81, call("much").encode()))
    await asyncio.sleep(0.2)
    server.should_exit = True
    async with asyncio.timeout(PATIENCE):
        await running
    writer.close()


async def test_the_way_past_asgi_ends_with_the_connection(serve: Serve) -> None:
    scopes: list[Any] = []
    over = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await receive()
        await send({"type": "websocket.accept"})
        assert "asgi_signalr.websocket" in scope["extensions"]
        while (await receive())["type"] != "websocket.disconnect":
            pass
        over.set()

    url = (await serve(app, ws="asgi_signalr.servers.uvicorn:WebSocketProtocol", lifespan="off")).replace("http", "ws")
    async with connect(url):
        pass
    async with asyncio.timeout(PATIENCE):
        await over.wait()
    await asyncio.sleep(0)
    direct = scopes[0]["extensions"]["asgi_signalr.websocket"]
    assert direct.blocked
    with pytest.raises(ConnectionError):
        await direct.drained()


@pytest.mark.parametrize(
    ("more", "answer"),
    [
        (b"Cookie: " + b"x" * 9000 + b"\r\n", b"HTTP/1.1 431 "),
        (b"X: 1\r\n" * 130, b"HTTP/1.1 431 "),
        (b"no header\r\n", b"HTTP/1.1 400 Bad Request\r\n"),
    ],
)
async def test_a_request_that_is_not_taken_is_answered(more: bytes, answer: bytes) -> None:
    wire = wired(SignalR(), ServerState())
    wire.protocol.data_received(UPGRADE % (base64.b64encode(b"0" * 16), more))
    assert wire.written.startswith(answer)
    assert wire.closing


async def test_a_request_line_that_is_too_long_is_answered() -> None:
    wire = wired(SignalR(), ServerState())
    request = UPGRADE % (base64.b64encode(b"0" * 16), b"")
    wire.protocol.data_received(request.replace(b"/chat", b"/chat?access_token=" + b"x" * 9000))
    assert wire.written.startswith(b"HTTP/1.1 414 ")
    assert wire.closing
