"""A good client's calls while another client sends the worst that one frame, or one connection, can hold.

uv run python benchmarks/hostile.py [SECONDS]

Beside each attack on asgi-signalr, the same bytes are sent to a Starlette WebSocket that does nothing with them: that
is what the ASGI server itself costs. Exits with 1 if the good client's p99 is more than LIMIT ms above that.
"""

import json
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "real_time"))

from load import frame
from machine import LOAD_CORE, SERVER_CORE, pin

LIMIT = 25.0
"""Milliseconds: a client's turn lasts one, and is given up between any two messages."""
SIZE = 15_000_000
PATIENCE = 120.0
UPGRADE = (
    "GET /hub HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
HANDSHAKE = '{"protocol":"%s","version":1}\x1e'
STREAM = '{{"type":4,"invocationId":"{}","target":"ticks","arguments":[]}}\x1e'
CALL = '{"type":1,"invocationId":"%s","target":"echo","arguments":["%s"]}\x1e'


def whole(text: bytes, *, first: int = 0x81) -> bytes:
    """Build one frame of any size; its mask is zeros, so that it is made at once."""
    return bytes((first, 0xFF)) + struct.pack("!Q", len(text)) + bytes(4) + text


def many(message: bytes, size: int = SIZE) -> bytes:
    """Repeat a message up to a size in bytes."""
    return message * (size // len(message))


def json_frame(message: str, size: int = SIZE) -> bytes:
    """Repeat a JSON message in one frame."""
    return whole(many(message.encode() + b"\x1e", size))


ATTACKS: dict[str, tuple[str, bytes]] = {
    "JSON, unknown type": ("json", json_frame('{"type":99}')),
    "JSON, pings": ("json", json_frame('{"type":6}')),
    "JSON, acks": ("json", json_frame('{"type":8,"sequenceId":1}')),
    "JSON, completions that nobody asked for": ("json", json_frame('{"type":3,"invocationId":"x","result":1}')),
    "JSON, items of no stream": ("json", json_frame('{"type":2,"invocationId":"x","item":1}')),
    "JSON, cancellations of nothing": ("json", json_frame('{"type":5,"invocationId":"x"}')),
    "JSON, calls of no method": ("json", json_frame('{"type":1,"target":"nope","arguments":[]}')),
    "JSON, calls": ("json", json_frame('{"type":1,"target":"echo","arguments":["x"]}', SIZE // 5)),
    "JSON, calls that do not fit": ("json", json_frame('{"type":1,"target":"echo","arguments":[1]}', SIZE // 5)),
    "JSON, calls with much": (
        "json",
        json_frame(f'{{"type":1,"target":"weigh","arguments":[[{",".join(["1"] * 15_000)}]]}}', SIZE // 5),
    ),
    "JSON, joining and leaving": ("json", json_frame('{"type":1,"target":"turn","arguments":[]}', SIZE // 10)),
    "JSON, 1,000 endless streams": ("json", whole("".join(map(STREAM.format, range(1000))).encode())),
    "MessagePack, unknown type": ("messagepack", whole(many(b"\x02\x91\x63"), first=0x82)),
    "MessagePack, pings": ("messagepack", whole(many(b"\x02\x91\x06"), first=0x82)),
    "300,000 empty fragments": (
        "json",
        bytes((0x01, 0x80, 0, 0, 0, 0)) + bytes((0x00, 0x80, 0, 0, 0, 0)) * 300_000 + bytes((0x80, 0x80, 0, 0, 0, 0)),
    ),
    "100,000 WebSocket pings": ("json", bytes((0x89, 0x80, 0, 0, 0, 0)) * 100_000),
}


def serve(kind: str) -> None:
    """Serve one kind of application, and print the port."""
    import asyncio
    from collections.abc import AsyncIterator

    import uvicorn
    from asgi_signalr import Hub, SignalR
    from starlette.applications import Starlette
    from starlette.routing import Mount, WebSocketRoute
    from starlette.websockets import WebSocket

    signalr = SignalR()

    @signalr.hub("/hub")
    class Bench(Hub):
        async def echo(self, text: str) -> str:
            return text

        def weigh(self, numbers: list[int]) -> int:
            return len(numbers)

        async def turn(self) -> None:
            await self.groups.add(self.context.connection_id, "x")
            await self.groups.remove(self.context.connection_id, "x")

        async def ticks(self) -> AsyncIterator[int]:
            while True:
                yield 1

    async def bare(websocket: WebSocket) -> None:
        await websocket.accept()
        with suppress(Exception):
            await websocket.receive()
            await websocket.send_text("{}\x1e")
            while (event := await websocket.receive())["type"] == "websocket.receive":
                text = event.get("text") or ""
                if len(text) < 200 and '"echo"' in text:
                    await websocket.send_text(text)

    app = Starlette(routes=[WebSocketRoute("/hub", bare)] if kind == "bare" else [Mount("/", signalr)])
    ws = "asgi_signalr.servers.uvicorn:WebSocketProtocol" if kind == "adapter" else "websockets-sansio"
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(app, ws=ws, log_level="error", lifespan="off", ws_ping_interval=None)
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


@contextmanager
def server(kind: str) -> Iterator[int]:
    """Have a server for a while; its port."""
    process = subprocess.Popen([sys.executable, __file__, "--serve", kind], stdout=subprocess.PIPE, text=True)
    try:
        pin(process.pid, SERVER_CORE)
        assert process.stdout is not None
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


class Client:
    """A client on a raw socket."""

    def __init__(self, port: int, protocol: str = "json") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(UPGRADE.encode())
        self.until(b"\r\n\r\n")
        self.socket.sendall(frame(HANDSHAKE % protocol))
        self.until(b"{}\x1e")

    def until(self, mark: bytes) -> None:
        """Read until something has come, or the end."""
        data = b""
        while mark not in data and (more := self.socket.recv(1 << 20)):
            data = data[-64:] + more

    def call(self, mark: str) -> float:
        """Call a method; how many seconds it takes."""
        began = time.perf_counter()
        self.socket.sendall(frame(CALL % (mark, mark)))
        self.until(mark.encode())
        return time.perf_counter() - began


def attack(port: int, protocol: str, data: bytes, seconds: float) -> threading.Thread:
    """Have one client send something, read what comes, and go when all of it has been dealt with."""

    def run() -> None:
        with suppress(OSError):
            attacker = Client(port, protocol)
            attacker.socket.settimeout(seconds)
            reader = threading.Thread(target=drain, args=(attacker.socket,), daemon=True)
            reader.start()
            attacker.socket.settimeout(None)
            attacker.socket.sendall(data + frame('{"type":7}\x1e') + whole(b"\x03\x92\x07\xc0", first=0x82))
            reader.join(seconds)
            attacker.socket.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def drain(connection: socket.socket) -> None:
    """Read until the other side closes."""
    with suppress(OSError):
        while connection.recv(1 << 20):
            pass


def delays(client: Client, seconds: float, until: threading.Thread | None = None) -> list[float]:
    """Call again and again; the milliseconds of each call."""
    taken, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end and (until is None or until.is_alive() or len(taken) < 100):
        taken.append(1000 * client.call(f"m{len(taken)}"))
        time.sleep(0.001)
    return taken


def p99(values: list[float]) -> float:
    """Find what one in a hundred exceeds; of fewer the longest."""
    return sorted(values)[-max(1, len(values) // 100)]


def main() -> int:
    """Attack each server in turn, and compare."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    pin(0, LOAD_CORE)
    figures: dict[str, dict[str, float]] = {}
    for kind in ("bare", "adapter", "plain"):
        with server(kind) as port:
            good = Client(port)
            figures.setdefault("nobody attacks", {})[kind] = p99(delays(good, 2.0))
            for name, (protocol, data) in ATTACKS.items():
                if kind == "bare" and protocol == "messagepack":
                    protocol = "json"
                print(f"{kind}: {name}", file=sys.stderr)
                thread = attack(port, protocol, data, seconds)
                figures.setdefault(name, {})[kind] = p99(delays(good, seconds, thread))
                thread.join()
    print(f"p99 of a good client's calls, ms{'':14}bare  adapter    plain")
    for name, row in figures.items():
        late = [kind for kind in ("adapter", "plain") if row[kind] - row["bare"] > LIMIT]
        print(f"{name:42} {row['bare']:7.1f} {row['adapter']:8.1f} {row['plain']:8.1f}  {'LATE' if late else ''}")
    held = all(row[kind] - row["bare"] <= LIMIT for row in figures.values() for kind in ("adapter", "plain"))
    print(json.dumps({"limit_ms": LIMIT, "holds": held}))
    return 0 if held else 1


if __name__ == "__main__":
    if "--serve" in sys.argv:
        serve(sys.argv[-1])
    else:
        sys.exit(main())
