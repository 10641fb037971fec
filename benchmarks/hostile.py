"""A good client's calls while other clients send the worst that one frame, or one connection, can hold.

uv run python benchmarks/hostile.py [CALLS]

Beside each attack on asgi-signalr, the same bytes are sent to a Starlette WebSocket that does nothing with them: that
is what the ASGI server itself costs. An attack is made again and again, by one client after the other. A call's delay
is given twice: by the clock, and in brackets as the server's own CPU time while the call waited, which is what the
attacker takes, and nothing that others do on the machine. A call that waits long stands for those that would have
begun meanwhile: one a millisecond. Exits with 1 if the p99 of the CPU time (Linux; elsewhere of the other) is more than
LIMIT ms above what the ASGI server itself costs, and more than twice that: how much a server finds in its socket at
once, and works through before any application hears of it, is chance.
"""

import json
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "real_time"))

from load import frame
from machine import LOAD_CORE, SERVER_CORE, pin

LIMIT = 25.0
"""Milliseconds: a client's turn lasts half of one, and a call takes some rounds of the event loop."""
SIZE = 15_000_000
PATIENCE = 120.0
LONGEST = 5.0
"""Seconds after which an attacker goes whose attack has no end, or whom the server does not close."""
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
                if text.startswith('{"type":7}'):
                    return
                if len(text) < 200 and '"echo"' in text:
                    await websocket.send_text(text)

    app = Starlette(routes=[WebSocketRoute("/hub", bare)] if kind == "bare" else [Mount("/", signalr)])
    ws = "asgi_signalr.servers.uvicorn:WebSocketProtocol" if kind == "adapter" else "websockets-sansio"
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(app, ws=ws, log_level="error", lifespan="off", ws_ping_interval=None)
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


@contextmanager
def server(kind: str) -> Iterator[tuple[int, Callable[[], float]]]:
    """Have a server for a while; its port, and its clock: the CPU time that it has had."""
    process = subprocess.Popen([sys.executable, __file__, "--serve", kind], stdout=subprocess.PIPE, text=True)
    try:
        pin(process.pid, SERVER_CORE)
        assert process.stdout is not None
        yield int(process.stdout.readline()), clock_of(process.pid)
    finally:
        process.kill()
        process.wait()


def clock_of(pid: int) -> Callable[[], float]:
    """Find the clock of a process's CPU time; where there is none, everybody's.

    The kernel's number of such a clock is made of the process's (Linux, `include/linux/posix-timers.h`).
    """
    if sys.platform != "linux":
        return time.perf_counter
    return partial(time.clock_gettime, (~pid << 3) | 2)


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

    def call(self, mark: str) -> None:
        """Call a method, and wait for its answer."""
        self.socket.sendall(frame(CALL % (mark, mark)))
        self.until(mark.encode())


@contextmanager
def attacks(port: int, protocol: str, data: bytes) -> Iterator[None]:
    """Have clients send something, read what comes, and go when all of it has been dealt with, one after the other."""
    over = threading.Event()

    def run() -> None:
        while not over.is_set():
            with suppress(OSError):
                attacker = Client(port, protocol)
                attacker.socket.settimeout(None)
                reader = threading.Thread(target=drain, args=(attacker.socket,), daemon=True)
                reader.start()
                attacker.socket.sendall(data + frame('{"type":7}\x1e') + whole(b"\x03\x92\x07\xc0", first=0x82))
                reader.join(LONGEST)
                attacker.socket.shutdown(socket.SHUT_RDWR)
                attacker.socket.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def drain(connection: socket.socket) -> None:
    """Read until the other side closes."""
    with suppress(OSError):
        while connection.recv(1 << 20):
            pass


@dataclass(frozen=True)
class Delays:
    """What fewer than one in a hundred of a client's calls exceed, in milliseconds."""

    seen: float
    of_server: float

    def __str__(self) -> str:
        return f"{self.seen:.1f} ({self.of_server:.1f})"


def delays(client: Client, server_clock: Callable[[], float], calls: int) -> Delays:
    """Call again and again; fewer calls if they take long."""
    seen: list[float] = []
    of_server: list[float] = []
    end = time.perf_counter() + LONGEST
    for number in range(calls):
        if time.perf_counter() > end:
            break
        began, used = time.perf_counter(), server_clock()
        client.call(f"m{number}")
        seen.append(1000 * (time.perf_counter() - began))
        of_server.append(1000 * (server_clock() - used))
        time.sleep(0.001)
    return Delays(p99(seen), p99(of_server))


def p99(delays: list[float]) -> float:
    """Find what fewer than one in a hundred calls exceed that begin every millisecond."""
    values = sorted(delay - later for delay in delays for later in range(int(delay) + 1))
    return values[-max(1, len(values) // 100)]


def main() -> int:
    """Attack each server in turn, and compare."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    pin(0, LOAD_CORE)
    figures: dict[str, dict[str, Delays]] = {}
    for kind in ("bare", "adapter", "plain"):
        with server(kind) as (port, clock):
            good = Client(port)
            figures.setdefault("nobody attacks", {})[kind] = delays(good, clock, calls)
            for name, (protocol, data) in ATTACKS.items():
                if kind == "bare" and protocol == "messagepack":
                    protocol = "json"
                with attacks(port, protocol, data):
                    figures.setdefault(name, {})[kind] = delays(good, clock, calls)
                print(f"{kind}: {name}: {figures[name][kind]}", file=sys.stderr)
    print(f"p99 of a good client's calls, ms{'':14}bare{'':10}adapter{'':12}plain")
    late = []
    for name, row in figures.items():
        itself = row["bare"].of_server
        longest = max(row[kind].of_server for kind in ("adapter", "plain"))
        late += [name] if longest > max(itself + LIMIT, 2 * itself) else []
        cells = "  ".join(f"{each!s:>15}" for each in row.values())
        print(f"{name:40} {cells}  {'LATE' if late[-1:] == [name] else ''}".rstrip())
    print(json.dumps({"limit_ms": LIMIT, "holds": not late}))
    return 1 if late else 0


if __name__ == "__main__":
    if "--serve" in sys.argv:
        serve(sys.argv[-1])
    else:
        sys.exit(main())
