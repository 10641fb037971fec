"""uvicorn's WebSockets with a short cut for small messages, and a way past ASGI for the hubs.

Any app runs on it unchanged: `uvicorn main:app --ws asgi_signalr.servers.uvicorn:WebSocketProtocol`, or from Python
`uvicorn.run(app, ws=WebSocketProtocol)`.

It is uvicorn's own implementation on websockets (`--ws websockets-sansio`). Messages that are one whole, small frame
are taken without websockets' parser; everything else (fragments, control frames, big or malformed ones, compression)
goes its usual way. Hubs find the WebSocket in `scope["extensions"]`, write frames that were built once for all their
clients straight to the transport, and agree to no compression: it costs far more than it saves with small messages.

What all clients have sent in one tick of the event loop is dealt with together, behind the last of the system calls
that read it: from one message to the next the code then still is in the processor's caches.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from asgi_signalr.transports.websockets import ABNORMAL, EXTENSION, no_fast_path

try:
    from websockets.speedups import apply_mask
except ImportError:  # no wheel with it for this machine
    from websockets.utils import apply_mask

__all__ = ["WebSocketProtocol"]

# The first byte of a whole text or binary message (RFC 6455, section 5.2): FIN, and the opcode.
WHOLE_TEXT = 0x81
WHOLE_BINARY = 0x82
WHOLE = (WHOLE_TEXT, WHOLE_BINARY)
# The other first bytes that there are: fragments, then close, ping and pong.
OTHERS = (*WHOLE, 0x80, 0x00, 0x01, 0x02, 0x88, 0x89, 0x8A)
# Those of messages that are compressed: with RSV1 (RFC 7692, section 6).
COMPRESSED = (0x41, 0x42, 0xC1, 0xC2)
# The second byte: masked, the length in it; masked, the length in the next two; else masked, in the next eight.
MASKED = 0x80
MASKED_16 = 0xFE
# The difference between that second byte and the length of a whole small frame: its head has six bytes.
MASKED_LESS_HEAD = MASKED - 6
NO_ASCII = b"\xff"
# The end of the request's head (RFC 9112, section 2.1): what follows are frames.
END_OF_HEAD = b"\r\n\r\n"
# The answer to what is no HTTP request (RFC 9110, section 15.5.1).
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
# Close frames: with no code, as websockets echoes one, and with 1000.
CLOSE_UNSAID = b"\x88\x00"
CLOSE_1000 = b"\x88\x02\x03\xe8"
# A message of more than one segment is put together here up to this size; so a byte at a time costs little.
MAX_JOINED = 4096
# The most messages that wait for the app; then no more are taken in.
MAX_UNREAD = 16
# The most names of headers that are kept for all clients: attackers may think of any number.
MOST_NAMES = 200
# How many frames of one client are taken in between two looks at the clock: it has its turn, and no more.
FRAMES_PER_LOOK = 16
# Seconds that this may take before the event loop does other things.
TURN = 0.0005


class _Arrivals:
    """The data that has come in on one event loop since it last went round, until all of it is taken in together."""

    __slots__ = ("pieces",)

    def __init__(self) -> None:
        self.pieces: list[tuple[_DirectWebSocket, bytes]] = []

    def begin(self) -> None:
        """Take in what comes from now on when the loop goes round again."""
        asyncio.get_running_loop().call_soon(self.take_in)

    def take_in(self) -> None:
        """Take it in, each client's in order."""
        pieces, self.pieces = self.pieces, []
        for direct, data in pieces:
            try:
                size = len(data)
                if direct.is_between and 8 < size < direct.max_size and data[0] == WHOLE_TEXT and not direct.blocked:
                    # Most often it is just one message, of a kind that takes no longer look.
                    said = data[1]
                    if said == size + MASKED_LESS_HEAD:
                        message = apply_mask(data[6:], data[2:6])
                    elif said == MASKED_16 and data[2] << 8 | data[3] == size - 8:
                        message = apply_mask(data[8:], data[4:8])
                    else:
                        message = NO_ASCII
                    if message.isascii():
                        fast_path = direct.fast_path  # by itself: Python would look for a method first
                        if not fast_path(message):
                            direct.on_message(message, True)
                        continue
                direct.take_apart(data)
            except Exception as error:  # noqa: BLE001  (no client's affair is another's)
                direct.fail(error)


_arrivals: WeakKeyDictionary[asyncio.AbstractEventLoop, _Arrivals] = WeakKeyDictionary()


class _DirectWebSocket(asyncio.Protocol):
    """The way past ASGI, a `DirectWebSocket`, and what takes frames in: no bigger than each message has to touch.

    It takes uvicorn's place at the transport once the app has accepted, and lets uvicorn have everything unusual.
    """

    __slots__ = (
        "_arrivals",
        "_has_given_up",
        "_in_fragments",
        "_is_held",
        "_is_read_out",
        "_later",
        "_passing",
        "_protocol",
        "_rest",
        "blocked",
        "fast_path",
        "is_between",
        "max_size",
        "on_message",
        "write",
    )

    def __init__(self, protocol: "WebSocketProtocol") -> None:
        self._protocol: WebSocketProtocol | None = protocol
        self._arrivals = _arrivals.setdefault(protocol.loop, _Arrivals())
        self._has_given_up = False
        self.on_message: Callable[[bytes, bool], None] = protocol.receive_message
        self.max_size = min(0xFFFF, protocol.config.ws_max_size)
        self.is_between = True  # messages: of none has a part been received
        self._in_fragments = False
        self._is_held = False  # whether the hub takes nothing more for now
        self._is_read_out = False  # whether nothing more comes than what came already
        self._later = b""  # what came with more than there was time for
        self._rest = b""  # the beginning of a small message
        self._passing = 0  # bytes still to come of the frame that uvicorn is being given
        self.blocked = True
        self.fast_path: Callable[[bytes], bool] = no_fast_path
        self.write: Callable[[bytes], None] = _nowhere

    # For the hubs.

    def refuse_compression(self) -> None:
        """Agree to no extension of the protocol: to be called before the WebSocket is accepted."""
        if self._protocol is not None:
            self._protocol.response.headers.pop("Sec-WebSocket-Extensions", None)
            self._protocol.conn.extensions = []

    def receive_with(self, on_message: Callable[[bytes, bool], None], on_closed: Callable[[int], None]) -> None:
        """Hand over every other message, and whether it is text; at last the close code."""
        if self._protocol is not None:
            self._protocol.is_handed_over = True
            self.on_message = on_message
            self._protocol.queue.hand_over(on_message, on_closed)
            self.resume_reading()

    def pause_reading(self) -> None:
        """Take nothing more in from the client for now."""
        self._is_held = True
        if self._protocol is not None:
            self._protocol.pause_reading()

    def resume_reading(self) -> None:
        """Go on taking in. Does nothing if it was not paused."""
        self._is_held = False
        if self._protocol is not None and not self._later:
            self._protocol.resume_reading()

    async def drained(self) -> None:
        """Wait until the client has read enough.

        Raises:
            ConnectionError: the WebSocket is closing, or lost.

        """
        if self._protocol is not None:
            await self._protocol.writable.wait()
        if self._protocol is None or self.blocked:
            raise ConnectionError("The WebSocket is closing, or lost.")

    def abort_after(self, seconds: float) -> None:
        """Cut the connection then, if it has not ended by itself, and forget what was still to be sent."""
        if self._protocol is not None:
            self._protocol.loop.call_later(seconds, self._abort)

    def _abort(self) -> None:
        if self._protocol is not None:
            self._protocol.transport.abort()

    # For the transport.

    def data_received(self, data: bytes) -> None:
        """Called with what the client has sent, cut anywhere."""
        arrivals = self._arrivals
        if not arrivals.pieces:
            arrivals.begin()
        arrivals.pieces.append((self, data))
        if len(data) > MAX_JOINED:
            arrivals.take_in()  # there may be more of this in the same tick

    def eof_received(self) -> bool:
        """Called when the client will send nothing more; returns whether the transport is to stay open meanwhile."""
        self._arrivals.take_in()
        if self._protocol is not None and self._protocol.transport.get_extra_info("sslcontext") is not None:
            while self._later:  # with TLS the transport is closed after this, whatever is returned
                self._go_on()
        self._is_read_out = bool(self._later)
        return self._is_read_out

    def take_apart(self, data: bytes) -> None:
        """Take whole small messages out of what the client has sent, and pass everything else on."""
        if self._later:
            self._later += data
        elif self._protocol is not None and not self._protocol.transport.is_closing():
            self._split(self._protocol, data)
            self.is_between = not (self._rest or self._passing or self._in_fragments or self._later)

    def _put_off(self, protocol: "WebSocketProtocol", data: bytes) -> None:
        """Let others have their turn before the rest is taken in, and read nothing more meanwhile."""
        self._later = data
        protocol.pause_reading()
        protocol.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        data, self._later = self._later, b""
        if not data or self._protocol is None:
            return
        try:
            self.take_apart(data)
        except Exception as error:  # noqa: BLE001  (no client's affair is another's)
            self.fail(error)
        if self._later or self._protocol is None:
            return
        if self._is_read_out:
            self._protocol.transport.close()
        elif not self._is_held:
            self._protocol.resume_reading()

    def fail(self, error: Exception) -> None:
        """Give the connection up."""
        if self._protocol is not None:
            context = {"message": "A WebSocket message could not be taken in.", "exception": error, "protocol": self}
            self._protocol.loop.call_exception_handler(context)
            self._protocol.transport.abort()

    def deliver(self, message: bytes, is_text: bool) -> None:
        """Offer a message, and hand it over if it is not taken."""
        if not self.fast_path(message):
            self.on_message(message, is_text)

    def _split(self, protocol: "WebSocketProtocol", data: bytes) -> None:
        if self._rest:
            data, self._rest = self._rest + data, b""
        if protocol.close_sent or self._has_given_up:
            self._give_up(data)
            return
        at, end = 0, len(data)
        frames, turn = 0, time.perf_counter() + TURN
        while at < end:
            frames += 1
            if not frames % FRAMES_PER_LOOK and time.perf_counter() > turn:
                self._put_off(protocol, data[at:])
                return
            if self.blocked and not protocol.is_open():
                self._give_up(data[at:])
                return
            if self._passing:
                stop = min(at + self._passing, end)
                self._passing -= stop - at
                protocol.data_received(data[at:stop])
                self.check()
                if not self._passing:
                    protocol.put_parser_away()
                at = stop
                continue
            if end - at < 2:
                self._rest = data[at:]
                return
            first, size = data[at], data[at + 1]
            if MASKED <= size < MASKED_16:
                start, size = at + 6, size - MASKED
            elif size == MASKED_16:
                start, size = at + 8, int.from_bytes(data[at + 2 : at + 4], "big")
            elif size > MASKED_16:
                start, size = at + 14, int.from_bytes(data[at + 2 : at + 10], "big")
            else:  # not masked
                self._give_up(data[at:])
                return
            stop = start + size
            if first not in WHOLE or self._in_fragments or size > self.max_size:
                if first not in OTHERS and not (first in COMPRESSED and protocol.conn.extensions):
                    self._give_up(data[at:])  # there is no such frame
                    return
                if start - 4 > end:  # the length is still to come; of the mask, which follows it, nothing is needed
                    self._rest = data[at:]
                    return
                if first & 0x0F <= 2:
                    self._in_fragments = not first & 0x80
                self._passing = stop - at
            elif stop <= end:
                message, is_text = apply_mask(data[start:stop], data[start - 4 : start]), first == WHOLE_TEXT
                if is_text and not message.isascii() and not _is_utf8(message):
                    self._passing = stop - at
                else:
                    self.deliver(message, is_text)
                    at = stop
            elif start <= end and size > MAX_JOINED:
                self._passing = stop - at
            else:
                self._rest = data[at:]
                return

    def _give_up(self, data: bytes) -> None:
        """Let uvicorn have this and everything that follows: it knows what to say about it."""
        if self._protocol is not None:
            self.blocked = self._has_given_up = True
            self._protocol.transport.set_protocol(self._protocol)
            self._protocol.data_received(data)

    def pause_writing(self) -> None:
        """Called when the client reads too slowly."""
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Called when the client has caught up."""
        if self._protocol is not None:
            self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called when the connection is over, however it ended."""
        if self._protocol is not None:
            self._protocol.connection_lost(exc)

    # For uvicorn.

    def open(self, transport: asyncio.Transport) -> None:
        """Begin: the app has accepted."""
        self.blocked = False
        self.write = transport.write

    def check(self) -> None:
        """Write no more if the WebSocket is closing."""
        if self._protocol is None or not self._protocol.is_open():
            self.blocked = True

    def end(self) -> None:
        """Lead nowhere any more, and hold nothing."""
        self.blocked = True
        self.write = _nowhere
        self.fast_path = no_fast_path
        self.on_message = _nobody
        self._protocol = None


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket connection of a uvicorn server."""

    # As many of the superclass's as it takes for Python to keep the others without a dictionary: that has room for 30.
    __slots__ = (
        "_direct",
        "_has_early_frames",
        "_last_of_head",
        "app",
        "app_state",
        "client",
        "config",
        "conn",
        "connections",
        "default_headers",
        "is_handed_over",
        "loop",
        "queue",
        "request",
        "response",
        "scope",
        "server",
        "tasks",
        "transport",
        "writable",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._direct = _DirectWebSocket(self)
        # As much of a queue and of an event as is used of them; an idle connection has them, too.
        self.queue: Any = _Inbox(self._direct)
        self.writable: Any = _Gate()
        self.is_handed_over = False
        """Whether messages are told to a hub, and not kept for the app."""
        self._last_of_head: bytes | None = b""  # until the app has accepted
        self._has_early_frames = False

    def is_open(self) -> bool:
        """Whether messages go either way."""
        return self.conn.state is State.OPEN and not self.close_sent and not self.transport.is_closing()

    def receive_message(self, message: bytes, is_text: bool) -> None:
        """Keep a message for the app."""
        queue = self.queue
        if is_text:
            queue.put_nowait({"type": "websocket.receive", "text": message.decode()})
        else:
            queue.put_nowait({"type": "websocket.receive", "bytes": message})
        if queue.qsize() >= MAX_UNREAD:
            self.pause_reading()

    def pause_reading(self) -> None:
        """Take nothing more in from the client for now."""
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Go on taking in. Does nothing if it was not paused."""
        if self.read_paused:
            self.read_paused = False
            if not self.transport.is_closing():
                self.transport.resume_reading()

    def handle_connect(self, event: Request) -> None:
        """Called with the request: what the app is told of it includes the way past ASGI."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions: dict[Any, Any] = self.scope["extensions"]
            extensions[EXTENSION] = self._direct
            self.scope["headers"] = [(_same(name), value) for name, value in self.scope["headers"]]

    def start_keepalive(self) -> None:
        """Called when the app has accepted."""
        super().start_keepalive()
        self._direct.open(self.transport)
        self._last_of_head = None
        del self.request, self.response  # they have done their work, and weigh as much as all the rest
        if not self._has_early_frames:
            self.put_parser_away()
            self.transport.set_protocol(self._direct)

    def put_parser_away(self) -> None:
        """Forget how far frames have been read, as nothing of one has: most clients send none that is read here."""
        if self.conn.state is State.OPEN and not self.conn.reader.buffer:
            self.conn.parser = _ParserToCome(self.conn)  # type: ignore[assignment]  # only `next` is asked of it

    def keepalive_timeout(self) -> None:
        """Called when the client does not answer pings."""
        super().keepalive_timeout()
        self._direct.check()

    def shutdown(self) -> None:
        """Called when the server stops."""
        super().shutdown()
        self._direct.check()

    def pause_writing(self) -> None:
        """Called when the client reads too slowly."""
        self._direct.blocked = True
        super().pause_writing()

    def resume_writing(self) -> None:
        """Called when the client has caught up."""
        super().resume_writing()
        self._direct.blocked = not self.is_open()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called when the connection is over, however it ended."""
        self.queue.is_lost = True
        super().connection_lost(exc)
        self._direct.end()  # else the request, the way and this would hold each other

    def data_received(self, data: bytes) -> None:
        """Called with data that the direct way does not take in, or no longer."""
        if self._last_of_head is not None:
            head = self._last_of_head + data
            end = head.find(END_OF_HEAD)
            self._has_early_frames |= self.handshake_initiated or 0 <= end < len(head) - len(END_OF_HEAD)
            self._last_of_head = head[1 - len(END_OF_HEAD) :]
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_complete:
            self._refuse_request()

    def _refuse_request(self) -> None:
        """Answer a request that websockets takes for none, or that is longer than it takes: its client waits."""
        answer = b"".join(self.conn.data_to_send())
        if not self.transport.is_closing():
            self.transport.write(answer or BAD_REQUEST)
            self.transport.close()
        self.handshake_complete = self.close_sent = True

    def handle_close(self, event: Frame) -> None:
        """Called with the client's close frame. A hub answers one without a code with 1000, as ASP.NET Core does."""
        if self.is_handed_over:
            self.conn.writes[:] = [CLOSE_1000 if frame == CLOSE_UNSAID else frame for frame in self.conn.writes]
        super().handle_close(event)

    def send_receive_event_to_app(self) -> None:
        """Called with a message that the superclass has put together."""
        if not self.is_handed_over or self.close_sent:
            super().send_receive_event_to_app()
            return
        message, self.frames = b"".join(self.frames), []
        is_text = self.curr_msg_data_type == "text"
        if is_text and not _is_utf8(message):
            self.conn.send_close(1007)
            self.handle_parser_exception()
            return
        self._direct.deliver(message, is_text)


def _same(name: bytes) -> bytes:
    """Find the one object that stands for a header's name: clients send the same few, and keep them."""
    return _names.setdefault(name, name) if len(_names) < MOST_NAMES else _names.get(name, name)


_names: dict[bytes, bytes] = {}


def _nobody(_message: bytes, _is_text: bool) -> None:
    """Nobody receives anything any more."""


def _nowhere(_frames: bytes) -> None:
    """There is nothing to write to, yet or any more."""


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


class _ParserToCome:
    """The parser of a WebSocket's frames, which is made for the first one that it has to read."""

    __slots__ = ("_conn",)

    def __init__(self, conn: ServerProtocol) -> None:
        self._conn = conn

    def __next__(self) -> None:
        """Read what has been received."""
        parser = self._conn.parser = self._conn.parse()
        next(parser)


class _Gate:
    """Whether the client reads fast enough: an `asyncio.Event` without the weight of one."""

    __slots__ = ("_closed",)

    def __init__(self) -> None:
        self._closed: asyncio.Event | None = None

    def is_set(self) -> bool:
        """Whether it does."""
        return self._closed is None

    def set(self) -> None:
        """Note that it does."""
        if self._closed is not None:
            self._closed.set()
            self._closed = None

    def clear(self) -> None:
        """Note that it does not."""
        if self._closed is None:
            self._closed = asyncio.Event()

    async def wait(self) -> None:
        """Wait until it does."""
        if self._closed is not None:
            await self._closed.wait()


class _Inbox:
    """The events that the app has yet to receive: an `asyncio.Queue` without the weight of one."""

    __slots__ = ("_direct", "_events", "_on_closed", "_on_message", "_waiting", "is_lost")

    def __init__(self, direct: _DirectWebSocket) -> None:
        self._direct = direct
        self.is_lost = False
        """Whether the connection is over: a close frame comes before that."""
        self._events: list[Any] = []  # seldom more than one, and none in most connections
        self._waiting: list[asyncio.Future[None]] = []
        self._on_message: Callable[[bytes, bool], None] | None = None
        self._on_closed: Callable[[int], None] | None = None

    def hand_over(self, on_message: Callable[[bytes, bool], None], on_closed: Callable[[int], None]) -> None:
        """Keep nothing any more, but tell it at once."""
        events, self._events = self._events, []
        self._on_message, self._on_closed = on_message, on_closed
        for event in events:
            self.put_nowait(event)

    def put_nowait(self, event: Any) -> None:
        """Keep an event, or tell it."""
        if self._on_message is not None and event["type"] == "websocket.receive":
            text = event.get("text")
            self._on_message(event["bytes"] if text is None else text.encode(), text is not None)
            return
        if event["type"] == "websocket.disconnect":
            self._direct.blocked = True  # whoever closes, or has closed
            if self._on_closed is not None:
                self._on_closed(ABNORMAL if self.is_lost else event["code"])
        self._events.append(event)
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)
                break

    def qsize(self) -> int:
        """Count the events."""
        return len(self._events)

    def empty(self) -> bool:
        """Whether there is no event."""
        return not self._events

    async def get(self) -> Any:
        """Wait for an event."""
        while not self._events:
            waiting = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            try:
                await waiting
            finally:
                self._waiting.remove(waiting)
        return self._events.pop(0)
