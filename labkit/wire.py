"""The wire between a browser context and the app: what goes over it is seen, may be held back, and can be cut.

A browser context uses it as a SOCKS proxy. Neither the app nor the page can tell: every byte is what it would be
without. What workers, frames and any transport send goes this way as well::

    wire = new_wire()
    context = new_browser_context(proxy=wire.proxy)
    ...
    [exchange.target for exchange in wire.exchanges]
    wire.hold(lambda exchange: exchange.is_websocket)
    wire.release()
    wire.cut()
    wire.mend()

The connections are looked after by a thread of the wire's own; its records may be read from any other.
"""

import asyncio
import contextlib
import ipaddress
import struct
import threading
import time
import zlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

KEPT = 1 << 20
"""The longest body, in bytes, that is kept of an answer."""

CLOSE = 8
"""The kind of the frame with which either side ends a WebSocket."""

_NO_BODY = (204, 304)


@dataclass
class Message:
    """A message of a WebSocket, or an event of a stream of Server-Sent Events; `at` is in seconds since 1970."""

    at: float
    data: str | bytes
    from_server: bool


@dataclass
class Exchange:
    """A request and its answer, with the messages that followed it; times are in seconds since 1970."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    began: float
    body: bytes = b""
    status: int | None = None
    answer_headers: list[tuple[str, str]] = field(default_factory=list)
    answer: bytes = b""
    ended: float | None = None
    messages: list[Message] = field(default_factory=list)

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @cached_property
    def is_websocket(self) -> bool:
        """Whether the request asks for a WebSocket."""
        return self.header("upgrade").lower() == "websocket"

    def header(self, name: str) -> str:
        """A header of the request, or an empty text; `name` is in small letters."""
        return _header(self.headers, name)

    def answer_header(self, name: str) -> str:
        """A header of the answer, or an empty text; `name` is in small letters."""
        return _header(self.answer_headers, name)


class Wire:
    """One context's wire. `exchanges` are in the order of their requests."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.on_message: Callable[[Exchange, Message], None] = lambda exchange, message: None
        """Called in the wire's own thread for each message from the server, before the browser has it."""
        self.refused = 0
        """How many connections were refused because the wire was cut."""
        self._is_cut = False
        self._holds: Callable[[Exchange], bool] | None = None
        self._instead: Callable[[Message], str | bytes | None] | None = None
        self._links: set[_Link] = set()
        self._loop = asyncio.new_event_loop()
        self._port: int | None = None
        ready = threading.Event()
        threading.Thread(target=self._run, args=(ready,), daemon=True, name="wire").start()
        ready.wait()

    @property
    def proxy(self) -> dict[str, str]:
        """What a browser context takes as its proxy."""
        return {"server": f"socks5://127.0.0.1:{self._port}"}

    def hold(
        self, what: Callable[[Exchange], bool], instead: Callable[[Message], str | bytes | None] | None = None
    ) -> None:
        """From now on, keep back whatever the server sends in these exchanges.

        Of a WebSocket, with `instead`, only messages for which it gives something that is sent in their place, such as
        what keeps the connection alive.
        """

        def held() -> None:
            self._holds, self._instead = what, instead

        self._do(held)

    def release(self, reorder: Callable[[Sequence[Message]], Sequence[Message]] | None = None) -> None:
        """Hold nothing any more, and pass on what was held; the messages of a WebSocket in another order, if asked."""

        def passed_on() -> None:
            self._holds = None
            for link in self._links:
                if link.holds:
                    link.release(reorder)

        self._do(passed_on)

    @property
    def held(self) -> int:
        """How much is held back; 0 if nothing is."""
        return sum(len(link.held) + len(link._held_frames) for link in list(self._links))

    def cut(self) -> None:
        """End all connections, and refuse new ones."""

        def ended() -> None:
            self._is_cut = True
            for link in list(self._links):
                link.abort()

        self._do(ended)

    def mend(self) -> None:
        """Let connections be made again."""
        self._do(lambda: setattr(self, "_is_cut", False))

    def close(self) -> None:
        """End everything, the thread as well."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._loop.stop)

    def _do(self, what: Callable[[], None]) -> None:
        done = threading.Event()

        def then() -> None:
            try:
                what()
            finally:
                done.set()

        self._loop.call_soon_threadsafe(then)
        done.wait(10)

    def _run(self, ready: threading.Event) -> None:
        async def listen() -> None:
            server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            self._port = server.sockets[0].getsockname()[1]
            ready.set()

        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(listen())
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # SOCKS 5, of which a browser uses this much: no password, and a connection to an address.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readexactly((await reader.readexactly(2))[1])
            writer.write(b"\x05\x00")
            *_, kind = await reader.readexactly(4)
            size = {1: 4, 4: 16}.get(kind) or (await reader.readexactly(1))[0]
            address = await reader.readexactly(size)
            (port,) = struct.unpack(">H", await reader.readexactly(2))
            host = str(ipaddress.ip_address(address)) if kind in (1, 4) else address.decode()
            if self._is_cut:
                self.refused += 1
                writer.transport.abort()
                return
            try:
                from_server, to_server = await asyncio.open_connection(host, port)
            except OSError:
                writer.write(b"\x05\x05\x00\x01" + bytes(6))
                writer.close()
                return
            writer.write(b"\x05\x00\x00\x01" + bytes(6))
            link = _Link(self, writer, to_server)
            self._links.add(link)
            try:
                await asyncio.gather(link.pump(reader, True), link.pump(from_server, False))
            finally:
                link.abort()
                self._links.discard(link)

    def _is_held(self, exchange: Exchange | None) -> bool:
        return self._holds is not None and exchange is not None and self._holds(exchange)


class _Link:
    """One connection: the bytes of both ways, passed on and understood."""

    def __init__(self, wire: Wire, to_browser: asyncio.StreamWriter, to_server: asyncio.StreamWriter) -> None:
        self.held = bytearray()
        self._wire = wire
        self._writers = {True: to_server, False: to_browser}
        self._incoming = {True: _Incoming(), False: _Incoming()}
        self._waiting: list[Exchange] = []
        self._current: Exchange | None = None
        self._frames_read: list[Message | bytes] = []
        """What a WebSocket's server has sent and is not passed on yet; a control frame as it was."""
        self._held_frames: list[Message | bytes] = []
        self._rewrites = False
        self._parsers: dict[bool, Generator[None, None, None] | None] = {True: self._requests(), False: self._answers()}
        for each in self._parsers.values():
            if each:
                next(each)

    async def pump(self, reader: asyncio.StreamReader, from_browser: bool) -> None:
        writer = self._writers[from_browser]
        while data := await reader.read(1 << 16):
            exchange, was_whole = self._current, not self._incoming[from_browser].data
            self._understand(data, from_browser)
            if from_browser:
                writer.write(data)
            else:
                self._pass_on(data, exchange, was_whole)
            await writer.drain()
        if not self.held or from_browser:
            with contextlib.suppress(OSError, RuntimeError):
                writer.write_eof()

    def _pass_on(self, data: bytes, exchange: Exchange | None, was_whole: bool) -> None:
        """Give the browser what the server has sent, or keep it."""
        frames, self._frames_read = self._frames_read, []
        is_held = self._wire._is_held(exchange)
        instead = self._wire._instead
        if is_held and instead and exchange and exchange.is_websocket and exchange.status == 101:
            # From here on frames are written anew: the browser lacks what later ones were compressed with.
            self._rewrites = self._rewrites or (was_whole and self._parsers[False] is not None)
        if not self._rewrites:
            if is_held or self.held:
                self.held += data
                self._held_frames += frames
            else:
                self._writers[False].write(data)
            return
        for each in frames:
            other = instead(each) if is_held and instead and isinstance(each, Message) else None
            if isinstance(each, Message) and other is not None:
                self._held_frames.append(each)
                each = Message(each.at, other, True)
            self._write_frame(each)

    @property
    def holds(self) -> bool:
        return bool(self.held or self._held_frames)

    def release(self, reorder: Callable[[Sequence[Message]], Sequence[Message]] | None) -> None:
        frames, held = self._held_frames, bytes(self.held)
        self._held_frames, self.held = [], bytearray()
        if not self._rewrites:
            self._writers[False].write(held)
            return
        messages = [each for each in frames if isinstance(each, Message)]
        for message in reorder(messages) if reorder else messages:
            self._write_frame(message)

    def abort(self) -> None:
        for writer in self._writers.values():
            writer.transport.abort()

    def _write_frame(self, frame: "Message | bytes") -> None:
        if isinstance(frame, bytes):
            self._writers[False].write(frame)
            return
        data = frame.data.encode() if isinstance(frame.data, str) else frame.data
        length = len(data)
        if length < 126:
            size = bytes([length])
        else:
            size = b"\x7e" + struct.pack(">H", length) if length < 1 << 16 else b"\x7f" + struct.pack(">Q", length)
        self._writers[False].write(bytes([0x81 if isinstance(frame.data, str) else 0x82]) + size + data)

    def _understand(self, data: bytes, from_browser: bool) -> None:
        parser = self._parsers[from_browser]
        if parser is None:
            return
        self._incoming[from_browser].data += data
        try:
            parser.send(None)
        except (StopIteration, ValueError, UnicodeDecodeError, zlib.error):
            self._parsers[from_browser] = None  # passed on all the same

    def _requests(self) -> Generator[None, None, None]:
        incoming = self._incoming[True]
        while True:
            first, headers = yield from incoming.head()
            method, target, _ = first.split(" ", 2)
            exchange = Exchange(method, target, headers, time.time())
            exchange.body = yield from incoming.body(headers)
            self._waiting.append(exchange)
            self._current = self._current if self._current and self._current.ended is None else exchange
            self._wire.exchanges.append(exchange)
            if exchange.is_websocket:
                while exchange.status is None:
                    yield
                if exchange.status == 101:
                    yield from self._frames(exchange, from_server=False)

    def _answers(self) -> Generator[None, None, None]:
        incoming = self._incoming[False]
        while True:
            first, headers = yield from incoming.head()
            status = int(first.split(" ")[1])
            if status < 200 and status != 101:
                continue
            exchange = self._current = self._waiting.pop(0)
            exchange.answer_headers = headers
            exchange.status = status
            if status == 101:
                yield from self._frames(exchange, from_server=True)
            elif exchange.method != "HEAD" and status not in _NO_BODY:
                is_stream = "text/event-stream" in exchange.answer_header("content-type")
                events = bytearray()

                def take(part: bytes, exchange: Exchange = exchange, is_stream: bool = is_stream) -> None:
                    if is_stream:
                        self._take_events(exchange, events, part)  # noqa: B023  (used within this turn only)
                    elif len(exchange.answer) < KEPT:
                        exchange.answer += part

                yield from incoming.body(headers, until_end=True, take=take)
            exchange.ended = time.time()
            self._current = self._waiting[0] if self._waiting else None

    def _take_events(self, exchange: Exchange, events: bytearray, part: bytes) -> None:
        events += part.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        while (end := events.find(b"\n\n")) >= 0:
            lines = bytes(events[:end]).decode(errors="replace").split("\n")
            del events[: end + 2]
            data = [line[5:].removeprefix(" ") for line in lines if line.startswith("data:")]
            if data:
                self._note(exchange, "\n".join(data), True)

    def _frames(self, exchange: Exchange, from_server: bool) -> Generator[None, None, None]:
        incoming = self._incoming[not from_server]
        extensions = exchange.answer_header("sec-websocket-extensions")
        forgets = ("server" if from_server else "client") + "_no_context_takeover" in extensions
        inflater = zlib.decompressobj(-15)
        whole, kind, is_packed = b"", 0, False
        while True:
            first, second = yield from incoming.exactly(2)
            length = second & 127
            if length > 125:
                size = yield from incoming.exactly(2 if length == 126 else 8)
                length = int.from_bytes(size, "big")
            mask = (yield from incoming.exactly(4)) if second & 128 else b""
            part = yield from incoming.exactly(length)
            if mask:
                part = bytes(byte ^ mask[index % 4] for index, byte in enumerate(part))
            if first & 8:  # ping, pong, close
                if first & 15 == CLOSE:
                    exchange.ended = exchange.ended or time.time()
                if from_server:
                    self._frames_read.append(bytes([first, second]) + part)
                continue
            if first & 15:
                whole, kind, is_packed = b"", first & 15, bool(first & 64)
            whole += part
            if first & 128:
                if is_packed:
                    whole = inflater.decompress(whole + b"\x00\x00\xff\xff")
                    inflater = zlib.decompressobj(-15) if forgets else inflater
                self._note(exchange, whole.decode() if kind == 1 else whole, from_server)

    def _note(self, exchange: Exchange, data: str | bytes, from_server: bool) -> None:
        message = Message(time.time(), data, from_server)
        if from_server:
            self._frames_read.append(message)
            self._wire.on_message(exchange, message)
        exchange.messages.append(message)


class _Incoming:
    """Bytes of which one waits for more: each generator yields until there are enough."""

    def __init__(self) -> None:
        self.data = bytearray()

    def exactly(self, count: int) -> Generator[None, None, bytes]:
        while len(self.data) < count:
            yield
        taken = bytes(self.data[:count])
        del self.data[:count]
        return taken

    def until(self, end: bytes) -> Generator[None, None, bytes]:
        searched = 0
        while (found := self.data.find(end, searched)) < 0:
            searched = max(len(self.data) - len(end), 0)
            yield
        taken = yield from self.exactly(found + len(end))
        return taken[: -len(end)]

    def head(self) -> Generator[None, None, tuple[str, list[tuple[str, str]]]]:
        text = (yield from self.until(b"\r\n\r\n")).decode("latin-1")
        first, *lines = text.lstrip("\r\n").split("\r\n")
        headers = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        return first, headers

    def body(
        self,
        headers: list[tuple[str, str]],
        until_end: bool = False,
        take: Callable[[bytes], None] | None = None,
    ) -> Generator[None, None, bytes]:
        parts: list[bytes] = []
        take = take or parts.append
        if "chunked" in _header(headers, "transfer-encoding").lower():
            while size := int((yield from self.until(b"\r\n")).split(b";")[0], 16):
                take((yield from self.exactly(size)))
                yield from self.exactly(2)
            yield from self.until(b"\r\n")
        elif length := _header(headers, "content-length"):
            left = int(length)
            while left:
                part = yield from self.exactly(min(left, len(self.data)) or 1)
                left -= len(part)
                take(part)
        elif until_end:
            while True:
                take((yield from self.exactly(max(len(self.data), 1))))
        return b"".join(parts)


def _header(headers: list[tuple[str, str]], name: str) -> str:
    return next((value for key, value in headers if key.lower() == name), "")
