"""uvicorn's WebSockets with a short cut for small messages, and a way past ASGI for the hubs.

Any app runs on it unchanged: `uvicorn main:app --ws asgi_signalr.servers.uvicorn:WebSocketProtocol`, or from Python
`uvicorn.run(app, ws=WebSocketProtocol)`.

It is uvicorn's own implementation on websockets (`--ws websockets-sansio`). Messages that are one whole, small frame
are taken without websockets' parser; everything else (fragments, control frames, big or malformed ones, compression)
goes its usual way. Hubs find the WebSocket in `scope["extensions"]`, write frames that were built once for all their
clients straight to the transport, and agree to no compression: it costs far more than it saves with small messages.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request
from websockets.protocol import State

from asgi_signalr.transports.websockets import EXTENSION

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
# A message of more than one segment is put together here up to this size; so a byte at a time costs little.
MAX_JOINED = 4096
# While so many messages have not been received by the app, no more are taken in.
MAX_UNREAD = 16


class _Way:
    """The way past ASGI, a `DirectWebSocket`: no bigger than what each delivery has to touch."""

    __slots__ = ("_protocol", "blocked", "write")

    def __init__(self, protocol: "WebSocketProtocol") -> None:
        self._protocol: WebSocketProtocol | None = protocol
        self.blocked = True
        self.write: Callable[[bytes], None] = _nowhere

    def refuse_compression(self) -> None:
        """Agree to no extension of the protocol: to be called before the WebSocket is accepted."""
        if self._protocol is not None:
            self._protocol.response.headers.pop("Sec-WebSocket-Extensions", None)
            self._protocol.conn.extensions = []

    def receive_with(self, on_message: Callable[[bytes, bool], None], on_closed: Callable[[int], None]) -> None:
        """Hand over every message, and whether it is text; at last the close code."""
        if self._protocol is not None:
            self._protocol.on_message = on_message
            self._protocol.queue.hand_over(on_message, on_closed)
            self.resume_reading()

    def pause_reading(self) -> None:
        """Take nothing more in from the client for now."""
        if self._protocol is not None:
            self._protocol.pause_reading()

    def resume_reading(self) -> None:
        """Go on taking in. Does nothing if it was not paused."""
        if self._protocol is not None:
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

    def end(self) -> None:
        """Lead nowhere any more, and hold nothing."""
        self.blocked = True
        self.write = _nowhere
        self._protocol = None


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One WebSocket connection of a uvicorn server."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.queue: Any = _Inbox()  # as much of a queue as is used of it
        self.on_message: Callable[[bytes, bool], None] | None = None
        self._way = _Way(self)
        self._is_fast = False  # whether frames are taken here, before the superclass gets them
        self._has_early_frames = False
        self._in_fragments = False
        self._rest = b""  # the beginning of a small message
        self._max_size = min(0xFFFF, self.config.ws_max_size)
        self._passing = 0  # so many bytes of the frame that the superclass is being given are still to come

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

    # Whether there is anything to write to.

    def start_keepalive(self) -> None:
        """Called when the app has accepted."""
        super().start_keepalive()
        self._way.blocked = False
        self._way.write = self.transport.write
        self._is_fast = not self._has_early_frames

    def pause_writing(self) -> None:
        """Called when the client reads too slowly."""
        self._way.blocked = True
        super().pause_writing()

    def resume_writing(self) -> None:
        """Called when the client has caught up."""
        super().resume_writing()
        self._way.blocked = not self._is_open()

    def keepalive_timeout(self) -> None:
        """Called when the client does not answer pings."""
        super().keepalive_timeout()
        self._check()

    def shutdown(self) -> None:
        """Called when the server stops."""
        super().shutdown()
        self._check()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called when the connection is over, however it ended."""
        self._way.blocked = True
        self._is_fast = False
        super().connection_lost(exc)
        self._rest = b""
        self.on_message = None
        self._way.end()  # else the request, the way and this would hold each other

    def _is_open(self) -> bool:
        return self.conn.state is State.OPEN and not self.close_sent and not self.transport.is_closing()

    def _check(self) -> None:
        if not self._is_open():
            self._way.blocked = True
            self._is_fast = False

    # What comes in.

    def data_received(self, data: bytes) -> None:
        """Called with whatever the client has sent, cut anywhere."""
        if self._is_fast and not self.close_sent:
            self._take(self._rest + data if self._rest else data)
            return
        self._is_fast = False
        if self._rest:
            data, self._rest = self._rest + data, b""
        if self.handshake_initiated:
            self._has_early_frames = True
        super().data_received(data)
        if self.conn.reader.buffer:
            self._has_early_frames = True

    def _take(self, data: bytes) -> None:
        """Take whole small messages out of the data, and pass everything else on."""
        self._rest = b""
        at, end = 0, len(data)
        while at < end:
            if not self._is_fast:
                super().data_received(data[at:])
                return
            if self._passing:
                stop = min(at + self._passing, end)
                self._passing -= stop - at
                super().data_received(data[at:stop])
                self._check()
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
            else:  # not masked: the superclass knows what to say about it
                self._is_fast = False
                continue
            stop = start + size
            if first not in WHOLE or self._in_fragments or size > self._max_size:
                if first not in OTHERS and not (first in COMPRESSED and self.conn.extensions):
                    self._is_fast = False  # nor is there such a frame
                    continue
                if start - 4 > end:  # the length is still to come; of the mask, which follows it, nothing is needed
                    self._rest = data[at:]
                    return
                if first & 0x0F <= 2:
                    self._in_fragments = not first & 0x80
                self._passing = stop - at
            elif stop <= end:
                if self._hand_over(apply_mask(data[start:stop], data[start - 4 : start]), first):
                    at = stop
                else:
                    self._passing = stop - at
            elif start <= end and size > MAX_JOINED:
                self._passing = stop - at
            else:
                self._rest = data[at:]
                return

    def _hand_over(self, message: bytes, first: int) -> bool:
        """Give the app a message; False for text that is not UTF-8, about which the superclass knows what to say."""
        is_text = first == WHOLE_TEXT
        on_message = self.on_message
        if on_message is not None:
            if is_text and not message.isascii() and not _is_utf8(message):
                return False
            on_message(message, is_text)
            return True
        queue = self.queue
        if is_text:
            try:
                queue.put_nowait({"type": "websocket.receive", "text": message.decode()})
            except UnicodeDecodeError:
                return False
        else:
            queue.put_nowait({"type": "websocket.receive", "bytes": message})
        if not self.read_paused and queue.qsize() >= MAX_UNREAD:
            self.pause_reading()
        return True

    def send_receive_event_to_app(self) -> None:
        """Called with a message that the superclass has put together."""
        if self.on_message is None or self.close_sent:
            super().send_receive_event_to_app()
            return
        message, self.frames = b"".join(self.frames), []
        is_text = self.curr_msg_data_type == "text"
        if is_text and not _is_utf8(message):
            self.conn.send_close(1007)
            self.handle_parser_exception()
            return
        self.on_message(message, is_text)

    def handle_connect(self, event: Request) -> None:
        """Called with the request: what the app is told of it includes the way past ASGI."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions: dict[Any, Any] = self.scope["extensions"]
            extensions[EXTENSION] = self._way


def _nowhere(_frames: bytes) -> None:
    """There is nothing to write to, yet or any more."""


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


class _Inbox:
    """What the app has yet to receive: an `asyncio.Queue` without the weight of one."""

    __slots__ = ("_events", "_on_closed", "_on_message", "_waiting")

    def __init__(self) -> None:
        self._events: deque[Any] = deque()
        self._waiting: list[asyncio.Future[None]] = []
        self._on_message: Callable[[bytes, bool], None] | None = None
        self._on_closed: Callable[[int], None] | None = None

    def hand_over(self, on_message: Callable[[bytes, bool], None], on_closed: Callable[[int], None]) -> None:
        """Keep nothing any more, but tell it at once."""
        events, self._events = self._events, deque()
        self._on_message, self._on_closed = on_message, on_closed
        for event in events:
            self.put_nowait(event)

    def put_nowait(self, event: Any) -> None:
        """Keep an event, or tell it."""
        if self._on_message is not None and event["type"] == "websocket.receive":
            text = event.get("text")
            self._on_message(event["bytes"] if text is None else text.encode(), text is not None)
            return
        if self._on_closed is not None and event["type"] == "websocket.disconnect":
            self._on_closed(event["code"])
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
        return self._events.popleft()
