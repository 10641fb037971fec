"""Whatever comes over a real socket, and however it ends: the server serves on, and gets everything back."""

import asyncio
import contextlib
import os
import random
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .harness import handshake, text_of
from .wire import (
    BINARY,
    CLOSE,
    UPGRADE,
    Events,
    Gone,
    Polls,
    Server,
    WebSocket,
    frame,
    head,
    negotiate,
    request,
    reset,
    serving,
    tcp,
)

# Short, but no shorter than it takes the attackers themselves to begin on a machine that is busy.
SHORT = {
    "handshake_timeout": 8,
    "disconnect_timeout": 8,
    "keep_alive_interval": 4,
    "client_timeout_interval": 8,
    "send_timeout": 1,
    "close_timeout": 0.5,
    "poll_timeout": 5,
}


@pytest.fixture(
    params=[pytest.param("auto", marks=pytest.mark.slow), "asgi_signalr.servers.uvicorn:WebSocketProtocol"],
    ids=["uvicorn", "fast"],
)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """The app with short time-outs, on each way to serve WebSockets."""
    with serving(request.param, tmp_path, **SHORT) as server:
        yield server


def _bad_frames(rng: random.Random) -> Iterator[bytes]:
    yield rng.randbytes(300)
    yield bytes([0x81, 5]) + b"hello"  # not masked
    yield frame(b"\xff\xfe\xfd")  # no UTF-8
    yield struct.pack("!BBQ4x", 0x81, 0xFF, 1 << 62)  # too long to be true
    yield struct.pack("!BBQ4x", 0x81, 0xFF, 1 << 63)
    yield frame(b"x" * 200, 9)  # a ping that is too long
    yield frame(b"x", 3) + frame(b"x", 15)  # kinds that there are not
    yield frame(b"x", 0)  # goes on with nothing
    yield bytes([0x01, 0x80, 0, 0, 0, 0]) + frame(b"{}\x1e")  # a message begins within another
    yield bytes([0xC1, 0x85, 0, 0, 0, 0]) + b"\0\1\2\3\4"  # compressed, it says
    yield bytes([0xF1, 0x80, 0, 0, 0, 0])  # for extensions that nobody has agreed to
    yield frame(b"\x03", CLOSE)
    yield frame(struct.pack("!H", 999) + b"\xff", CLOSE)
    yield b"".join(bytes([0x01 if not at else 0x00, 0x81, 0, 0, 0, 0]) + b"x" for at in range(2000))
    yield frame(b"x" * 40_000)
    yield frame(b"\xff\xff\xff\xff\x07" + b"x" * 5000, BINARY)
    yield frame(text_of(*[{"type": 6}] * 5000).encode()) * 3


async def _garbage_frames(port: int, rng: random.Random) -> None:
    for number, bad in enumerate(_bad_frames(rng)):
        client = WebSocket(port)
        await client.upgrade("/room?_=1")
        if number % 2:
            await client.send_frame(handshake().encode())
            await client.receive()
        client.writer.write(bad)
        await asyncio.wait({asyncio.ensure_future(client.reader.read(1 << 16))}, timeout=0.05)
        reset(client.writer) if number % 3 else client.writer.close()


async def _half_open(port: int, rng: random.Random) -> None:
    beginnings = [
        b"",
        b"GET",
        b"GET /room HTTP/1.1\r\nHost: x\r\n",
        head("GET", "/room?_=1", UPGRADE.rstrip())[:-2],
        head("POST", "/room/negotiate")[:-2],
        b"\x16\x03\x01\x02\x00" + rng.randbytes(200),  # TLS
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET " + b"/" * 70_000,
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 10_000,
        head("GET", "/room?id=%00%0d%0aSet-Cookie:x", "Origin: http://[::1", "Accept: text/event-stream"),
        head("GET", "/room", "Transfer-Encoding: chunked", length=5) + b"0\r\n\r\nGET /room HTTP/1.1\r\n\r\n",
    ]
    writers = []
    for beginning in beginnings:
        _, writer = await tcp(port)
        writer.write(beginning)
        writers.append(writer)
    await asyncio.sleep(0.3)
    for number, writer in enumerate(writers):
        reset(writer) if number % 2 else writer.close()


async def _slow_loris(port: int, rng: random.Random) -> None:
    client = WebSocket(port)
    await client.upgrade("/room?_=1")
    token, polls, events = await negotiate(port), await Polls(port).open(), await Events(port).open()
    slow = []
    for client_ in (polls, events):
        for lines in (["Content-Length: 1000000"], ["Transfer-Encoding: chunked"]):
            _, writer = await tcp(port)
            writer.write(head("POST", client_.url, *lines) + b"5\r\nx")
            slow.append(writer)
    _, early = await tcp(port)
    early.write(head("POST", f"/room?id={token}", length=10**9) + b"x")
    for byte in handshake().encode()[:20]:
        client.writer.write(frame(bytes([byte])))
        for writer in slow:
            writer.write(b"x")
        await asyncio.sleep(0.02)
    for number, writer in enumerate([*slow, early, client.writer, events.writer, polls.writer]):
        reset(writer) if number % 2 else writer.close()


async def _resets(port: int, rng: random.Random) -> None:
    """Vanish in every phase of a connection."""
    _, writer = await tcp(port)
    reset(writer)
    await negotiate(port)
    _, writer = await tcp(port)
    writer.write(head("GET", f"/room?id={await negotiate(port)}", UPGRADE.rstrip()))
    reset(writer)
    client = WebSocket(port)
    await client.upgrade("/room?_=1")
    reset(client.writer)
    client = WebSocket(port)
    await client.upgrade("/room?_=1")
    client.writer.write(frame(handshake().encode()))
    reset(client.writer)
    for kind in (WebSocket, Events, Polls):
        for what in ("wait", "flood", "shout", "join", "ask"):
            each: Any = await kind(port, user="alice").open()
            await each.invoke(what, *{"shout": ["hey"], "join": ["red"], "ask": ["age"]}.get(what, []))
            each.vanish()
    polls = await Polls(port).open()
    polls.writer.write(head("GET", polls.url))  # a poll that waits
    await polls.writer.drain()
    polls.vanish()
    _, writer = await tcp(port)
    writer.write(head("GET", f"/room?id={await negotiate(port)}", "Accept: text/event-stream"))
    reset(writer)


async def _stalled(port: int, rng: random.Random) -> None:
    """Have much sent, and read nothing of it."""
    stalled: list[Any] = [await kind(port).open(buffer=4096) for kind in (WebSocket, WebSocket, Events)]
    for client in stalled:
        with contextlib.suppress(Gone, OSError):  # it may be given up before this is all said
            for _ in range(300):
                await client.invoke("flood", wait=False)
    await asyncio.sleep(2)
    for number, client in enumerate(stalled):
        client.vanish() if number else await client.close()


@pytest.mark.slow
async def test_the_server_serves_on_whatever_comes_over_its_sockets(server: Server) -> None:
    rng = random.Random(int(os.environ.get("HARDENING_SEED", "1")))
    witness = await WebSocket(server.port).open()
    assert await witness.call("add", 1, 1) == 2
    await _resets(server.port, rng)  # warm up
    before = await server.state_when(
        lambda state: (state["connections"], state["negotiated"], state["ours"].get("HubConnection")) == (1, 1, 1)
    )
    delays: list[float] = []
    attacks = asyncio.gather(
        *(attack(server.port, rng) for attack in (_garbage_frames, _half_open, _slow_loris, _resets, _stalled))
    )
    while not attacks.done():
        began, mark = time.perf_counter(), f"mark-{len(delays)}"
        assert await witness.call("echo", mark) == mark
        delays.append(time.perf_counter() - began)
        await asyncio.wait({attacks}, timeout=0.01)
    await attacks
    after = await server.state_when(
        lambda state: (
            (state["connections"], state["negotiated"]) == (1, 1)
            and state["tasks"] <= before["tasks"]
            and state["files"] <= before["files"]
        )
    )
    assert after["ours"] == before["ours"]
    assert after["memory"] - before["memory"] < 60 << 20
    assert await witness.call("add", 1, 2) == 3
    assert max(delays) < 20  # nobody hangs; how long it takes is the benchmark's affair
    assert (await request(server.port, "GET", "/none"))[0] == 404
    assert server.complaints == []
    await witness.close()
