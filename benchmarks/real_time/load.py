"""The load generator: many WebSocket clients on raw sockets, in one process beside the server.

It reads whatever has arrived and counts the one mark that each message carries, so it costs a fraction of what the
servers do, and it need not know how they cut their messages into frames.
"""

import base64
import json
import os
import select
import selectors
import socket
import struct
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

MARK = b"|"
KEY = bytes((1, 2, 3, 4))
READ = 64 * 1024
PATIENCE = 30.0


def frame(text: str) -> bytes:
    """Build a masked text frame, as clients send them."""
    data = text.encode()
    size = bytes((0x80 | len(data),)) if len(data) < 126 else b"\xfe" + struct.pack("!H", len(data))
    return b"\x81" + size + KEY + bytes(byte ^ KEY[at % 4] for at, byte in enumerate(data))


@dataclass(frozen=True)
class Dialect:
    """How one kind of server is talked to."""

    path: str
    hello: str | None
    """What a client says first, if anything."""
    welcome: bytes | None
    """What the answer to it contains."""
    broadcast: Callable[[int], str]
    """Ask for so many broadcasts in one tick of the server's loop."""
    echo: Callable[[str], str]
    """Call a method that returns its argument."""


def _signalr(echo: str) -> Dialect:
    def call(target: str, argument: object, more: dict[str, str]) -> str:
        message = {"type": 1, "target": target, "arguments": [argument]} | more
        return json.dumps(message, separators=(",", ":")) + "\x1e"

    return Dialect(
        "/hub",
        '{"protocol":"json","version":1}\x1e',
        b"{}\x1e",
        lambda times: call("broadcast", times, {}),
        lambda text: call(echo, text, {"invocationId": "1"}),
    )


PLAIN = Dialect("/", None, None, lambda times: f"broadcast {times}", lambda text: text)
SIGNALR = _signalr("echo")
SIGNALR_AT_ONCE = _signalr("echo_at_once")
SOCKET_IO = Dialect(
    "/socket.io/?EIO=4&transport=websocket",
    "40",
    b'40{"sid"',
    lambda times: f'42["broadcast",{times}]',
    lambda text: f'421["echo","{text}"]',
)


class Clients:
    """The clients of one server."""

    def __init__(self, port: int, dialect: Dialect, *, offer_deflate: bool = False) -> None:
        self._port = port
        self._dialect = dialect
        self._offer_deflate = offer_deflate
        self._sockets: list[socket.socket] = []
        self._receive: dict[int, Callable[[int], bytes]] = {}
        self._poll = _Poll()

    def __enter__(self) -> "Clients":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def use(self, dialect: Dialect) -> None:
        """Ask in other words from now on."""
        self._dialect = dialect

    def connect(self, number: int) -> None:
        """Connect until there are so many clients."""
        while len(self._sockets) < number:
            self._connect(min(100, number - len(self._sockets)))

    def close(self) -> None:
        """Disconnect them all."""
        for each in self._sockets:
            each.close()
        self._poll.close()
        self._sockets.clear()

    def _connect(self, number: int) -> None:
        new, deflates = [], []
        extensions = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
        for _ in range(number):
            client = socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            key = base64.b64encode(os.urandom(16)).decode()
            client.sendall(
                f"GET {self._dialect.path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
                f"{extensions if self._offer_deflate else ''}\r\n".encode()
            )
            new.append(client)
        for client in new:
            answer = _read_until(client.recv, b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 101"), answer
            deflates.append(b"permessage-deflate" in answer)
            if self._dialect.hello is not None:
                client.sendall(frame(self._dialect.hello))
        for client, is_deflated in zip(new, deflates, strict=True):
            receive = _Inflated(client) if is_deflated else client.recv
            if self._dialect.welcome is not None:
                _read_until(receive, self._dialect.welcome)
            client.setblocking(False)
            self._receive[client.fileno()] = receive
            self._poll.add(client)
        self._sockets += new

    def ask(self, times: int = 1) -> None:
        """Have the server broadcast."""
        self._sockets[0].send(frame(self._dialect.broadcast(times)))

    def take(self, deliveries: int) -> None:
        """Read until so many messages have been delivered."""
        receive, poll, mark = self._receive, self._poll, MARK
        left, deadline = deliveries, time.monotonic() + PATIENCE
        while left > 0:
            ready = poll(1.0)
            for fd in ready:
                left -= receive[fd](READ).count(mark)
            if not ready and time.monotonic() > deadline:
                raise TimeoutError(f"{left} of {deliveries} deliveries are missing.")
        assert left == 0, f"{-left} deliveries too many"

    def fan_out(
        self, seconds: float, times: int = 1, *, one_at_a_time: bool = False, outstanding: int = 3
    ) -> tuple[int, float]:
        """Have the server broadcast for a while; returns deliveries and seconds.

        The server is kept busy: it is asked again when the last broadcasts begin to arrive, so that as many are under
        way as are to be outstanding. Or one at a time: it is asked again when everybody has been reached.
        """
        receive, poll, mark = self._receive, self._poll, MARK
        per_ask = times * len(self._sockets)
        most_left = 0 if one_at_a_time else (outstanding - 1) * per_ask - 1
        started = time.perf_counter()
        end = started + seconds
        taken = asked = 0
        while True:
            now = time.perf_counter()
            while now < end and asked * per_ask - taken <= most_left:
                self.ask(times)
                asked += 1
            if taken >= asked * per_ask:
                break
            ready = poll(PATIENCE)
            if not ready:
                raise TimeoutError(f"{asked * per_ask - taken} deliveries are missing.")
            for fd in ready:
                taken += receive[fd](READ).count(mark)
        assert taken == asked * per_ask, f"{taken} deliveries instead of {asked * per_ask}"
        return taken, time.perf_counter() - started

    def echo(self, seconds: float, connections: int) -> tuple[int, float]:
        """Have so many clients call a method again and again; returns calls and seconds."""
        call = frame(self._dialect.echo("x" * 63 + MARK.decode()))
        send = {each.fileno(): each.send for each in self._sockets[:connections]}
        receive, poll, mark = self._receive, self._poll, MARK
        started = time.perf_counter()
        end = started + seconds
        for each in send.values():
            each(call)
        under_way, calls = len(send), 0
        while under_way:
            going_on = time.perf_counter() < end
            ready = poll(PATIENCE)
            if not ready:
                raise TimeoutError(f"{under_way} calls are not answered.")
            for fd in ready:
                if mark in receive[fd](READ):
                    calls += 1
                    if going_on:
                        send[fd](call)
                    else:
                        under_way -= 1
        return calls, time.perf_counter() - started

    def latencies(self, number: int, interval: float) -> list[float]:
        """Broadcast at a steady pace; returns the seconds from each request to the last client's message."""
        seconds = []
        for _ in range(number):
            started = time.perf_counter()
            self.ask()
            self.take(len(self._sockets))
            seconds.append(time.perf_counter() - started)
            time.sleep(max(0.0, interval - seconds[-1]))
        return seconds


class _Poll:
    """Waits for sockets: by epoll where there is one, since it costs least."""

    def __init__(self) -> None:
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        self._selector = selectors.DefaultSelector() if self._epoll is None else None

    def add(self, client: socket.socket) -> None:
        if self._epoll is not None:
            self._epoll.register(client.fileno(), select.EPOLLIN)
        elif self._selector is not None:
            self._selector.register(client, selectors.EVENT_READ)

    def __call__(self, timeout: float) -> Iterable[int]:
        if self._epoll is not None:
            return [fd for fd, _ in self._epoll.poll(timeout)]
        assert self._selector is not None
        return [key.fd for key, _ in self._selector.select(timeout)]

    def close(self) -> None:
        for each in (self._epoll, self._selector):
            if each is not None:
                each.close()


class _Inflated:
    """Reads compressed messages, whose marks cannot be counted before (RFC 7692, with context takeover)."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client
        self._rest = b""
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS).decompress

    def __call__(self, size: int) -> bytes:
        data, at, found = self._rest + self._client.recv(size), 0, []
        while len(data) - at >= 4:
            length, start = data[at + 1], at + 2
            if length == 126:
                length, start = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
            if start + length > len(data):
                break
            found.append(self._inflate(data[start : start + length] + b"\0\0\xff\xff"))
            at = start + length
        self._rest = data[at:]
        return b"".join(found)


def _read_until(receive: Callable[[int], bytes], wanted: bytes) -> bytes:
    data = b""
    while wanted not in data:
        more = receive(READ)
        assert more, f"The server has closed after {data!r}"
        data += more
    return data
