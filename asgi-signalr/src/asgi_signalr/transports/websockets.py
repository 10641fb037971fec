"""WebSockets over ASGI: text frames for text protocols, binary frames for binary ones, either kind taken in.

A server may offer a way past ASGI, which costs a fraction (`asgi_signalr.servers`).
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

from asgi_signalr.http import Receive, Scope, Send, encoded
from asgi_signalr.transports import DirectWriter
from asgi_signalr.transports.pace import Pace
from asgi_signalr.transports.payload import Payload, event_of, frames_of

PATIENCE = 1.0
ABNORMAL = 1006
# There was no close frame, or one that said nothing (RFC 6455, section 7.4.1); some servers take one for the other.
UNSAID = (1005, ABNORMAL)

EXTENSION = "asgi_signalr.websocket"
"""Under this name a server may offer a `DirectWebSocket` in `scope["extensions"]`."""

# The most messages that wait to be read; then no more are taken in.
MAX_UNREAD = 16


class DirectWebSocket(DirectWriter, Protocol):
    """A server's WebSocket without ASGI in between: frames are written as they are, messages come by a call.

    It is `blocked` while the client reads too slowly, and when the WebSocket is closing.
    """

    fast_path: Callable[[bytes], bool]
    """Asked first about every message: whether it has dealt with that. May be exchanged at any time."""

    def refuse_compression(self) -> None:
        """Agree to no extension of the protocol: to be called before the WebSocket is accepted."""

    def receive_with(self, on_message: Callable[[bytes, bool], None], on_closed: Callable[[int], None]) -> None:
        """Hand over every other message, and whether it is text; at last the close code.

        `receive` has no more to say.
        """

    def pause_reading(self) -> None:
        """Take nothing more in from the client for now."""

    def resume_reading(self) -> None:
        """Go on taking in. Does nothing if it was not paused."""

    async def drained(self) -> None:
        """Wait until the client has read enough.

        Raises:
            ConnectionError: the WebSocket is closing, or lost.

        """

    def abort_after(self, seconds: float) -> None:
        """Cut the connection then, if it has not ended by itself, and forget what was still to be sent."""


class WebSocketTransport:
    """One WebSocket.

    Args:
        receive: the server's.
        send: the server's.
        scope: the request, which may offer a more direct way.
        close_timeout: seconds the client may take to answer the close frame, where the server leaves that to us.

    """

    __slots__ = (
        "_close_timeout",
        "_code",
        "_gone",
        "_receive",
        "_send",
        "_unread",
        "_waiting",
        "closed_cleanly",
        "direct",
        "fast_path",
        "tells_text",
    )

    name = "WebSockets"
    keeps_alive = False
    keep_alive_frame = None  # it has pings of its own
    inbox = None

    def __init__(self, receive: Receive, send: Send, scope: Scope | None = None, close_timeout: float = 5) -> None:
        self._receive = receive
        self._send = send
        self._gone = False
        self.tells_text = False
        """Whether text is received as `str`, and not as its bytes."""
        self.closed_cleanly = False
        """Whether the client has said why it closes, and has not just vanished."""
        self.fast_path: Callable[[bytes], bool] = no_fast_path
        """Asked first about a message that comes while somebody waits for one: whether it has dealt with that."""
        extensions = (scope or {}).get("extensions") or {}
        self.direct: DirectWebSocket | None = extensions.get(EXTENSION)
        """The server's way past ASGI. What is not blocked may be written there, instead of being sent."""
        self._unread: deque[str | bytes] | None = None
        self._waiting: asyncio.Future[str | bytes | None] | None = None
        self._code: int | None = None
        self._close_timeout = close_timeout

    @property
    def has_gone(self) -> bool:
        """Whether the client has gone; without a direct way that is known only when it is received."""
        return self._gone or self._code is not None

    def begin_with(self, posted: deque[str | bytes]) -> None:
        """Receive first what the client has posted before it brought the WebSocket."""
        self._unread = posted

    async def accept(self, subprotocol: str | None = None) -> bool:
        """Take the WebSocket, with one of the subprotocols that were offered; False if the client has gone."""
        event = await self._receive()
        if event["type"] != "websocket.connect":
            return False
        direct = self.direct
        if direct is not None:
            direct.refuse_compression()
        await self._send({"type": "websocket.accept"} | ({"subprotocol": subprotocol} if subprotocol else {}))
        if direct is not None:
            direct.receive_with(self._on_message, self._on_closed)
        return True

    def receive(self) -> Coroutine[Any, Any, str | bytes | None]:
        """Wait for a frame; None once the client has gone."""
        return self._receive_by_asgi() if self.direct is None else self._receive_directly(self.direct)

    async def _receive_by_asgi(self) -> str | bytes | None:
        if self._unread:
            return self._unread.popleft()
        receive, fast_path = self._receive, self.fast_path
        pace = Pace()
        while True:
            left = pace.pause()
            if left <= 0:
                await asyncio.sleep(0)
                pace.begin()
                left = pace.pause()
            event = await receive()
            pace.go_on(left)
            if event["type"] != "websocket.receive":
                self._end(event.get("code", ABNORMAL))
                return None
            text: str | None = event.get("text")
            if text is not None and self.tells_text:
                return text
            data: bytes = event["bytes"] if text is None else text.encode()
            if not fast_path(data):
                return data

    def send(self, payloads: Sequence[Payload]) -> Awaitable[None]:
        """Send whole messages as one frame."""
        if self.direct is not None:
            return _write_later(self.direct, frames_of(payloads))
        if len(payloads) == 1:
            return self._send(payloads[0].event)
        return self._send(event_of(b"".join([each.data for each in payloads]), binary=payloads[0].binary))

    async def close(self, code: int = 1000, /) -> None:
        """Close with a code, 1000 in good order; nothing is sent to a client that has gone."""
        if self.direct is not None:  # whoever reads nothing would keep the connection, and all that waits
            self.direct.abort_after(self._close_timeout)
        if not self._gone:
            self._gone = True
            await self._send({"type": "websocket.close", "code": code})

    def _end(self, code: int) -> None:
        self._gone = True
        self.closed_cleanly = code not in UNSAID if self.direct is None else code != ABNORMAL

    # The direct way: what comes in is kept until it is asked for.

    async def _receive_directly(self, direct: DirectWebSocket) -> str | bytes | None:
        unread = self._unread
        if unread:
            data = unread.popleft()
            if not unread:
                direct.resume_reading()
            return data
        if self._code is not None:
            self._end(self._code)
            return None
        waiting: asyncio.Future[str | bytes | None] = asyncio.get_running_loop().create_future()
        self._waiting = waiting
        direct.fast_path = self.fast_path
        try:
            return await waiting
        finally:
            direct.fast_path = no_fast_path
            self._waiting = None

    def _on_message(self, data: bytes, is_text: bool) -> None:
        message = data.decode(errors="replace") if is_text and self.tells_text else data
        direct = self.direct
        assert direct is not None  # noqa: S101  (else nothing comes this way)
        if self._waiting is not None and not self._waiting.done():
            direct.fast_path = no_fast_path  # what follows has to wait for this one
            self._waiting.set_result(message)
            return
        if self._unread is None:
            self._unread = deque()
        self._unread.append(message)
        if len(self._unread) == MAX_UNREAD:
            direct.pause_reading()

    def _on_closed(self, code: int) -> None:
        if self._code is None:  # the first one says why
            self._code = code
        if self._waiting is not None and not self._waiting.done():
            self._end(code)
            self._waiting.set_result(None)


def no_fast_path(_message: bytes) -> bool:
    """Deal with no message."""
    return False


async def _write_later(direct: DirectWebSocket, frames: bytes) -> None:
    while direct.blocked:
        await direct.drained()
    direct.write(frames)


async def refuse(
    scope: Scope, receive: Receive, send: Send, status: int, text: str, headers: Mapping[str, str]
) -> None:
    """Answer a WebSocket's request with an HTTP response; servers without that extension answer 403."""
    event = await receive()
    if event["type"] != "websocket.connect":
        return
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    await send({"type": "websocket.http.response.start", "status": status, "headers": encoded(headers)})
    await send({"type": "websocket.http.response.body", "body": text.encode()})
    # uvicorn logs an error if the application returns before it has noticed itself that the connection is over.
    with contextlib.suppress(Exception):
        async with asyncio.timeout(PATIENCE):
            await receive()
            await receive()
