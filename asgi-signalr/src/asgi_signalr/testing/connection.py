"""The client's end of one connection: negotiation, WebSocket, handshake, messages in and out, and waiting for them."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

from asgi_signalr.handshake import SEPARATOR, HandshakeError, take_request
from asgi_signalr.messages import Close, Message
from asgi_signalr.negotiate import NegotiateError
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.testing.asgi import ASGIApp, Event, WebSocket, request

T = TypeVar("T")

# What a server sends is not limited; the protocols want a number.
_ANY_SIZE = 2**62


class RefusedError(Exception):
    """The server does not accept the connection; `status` and `text` are its answer."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str]) -> None:
        super().__init__(f"{status} {text}".rstrip())
        self.status = status
        """The HTTP status. A WebSocket that is closed before it was accepted counts as 403, as servers answer it."""
        self.text = text
        """The body of the answer; may be empty."""
        self.headers = headers
        """The headers of the answer, by their names in lower case."""


class RedirectedError(Exception):
    """The negotiation sends the client elsewhere; clients in a test's process do not follow."""

    def __init__(self, url: str, access_token: str | None) -> None:
        super().__init__(f"The client is sent to {url}.")
        self.url = url
        """Where the client is to negotiate instead."""
        self.access_token = access_token
        """What it is to show there; None if it has to find its token itself."""


class ClosedError(Exception):
    """The connection has ended, and with it what was awaited. Its text is the server's error, if it gave one."""

    def __init__(self, close: Close) -> None:
        super().__init__(close.error or "The connection is closed.")
        self.error = close.error
        """What the server said was the reason; None if it gave none."""
        self.allow_reconnect = close.allow_reconnect
        """Whether the client is to come back."""


class Connection:
    """One connection to a hub, from the client's side. Each message is given to `on_message` as it is sent."""

    def __init__(
        self,
        app: ASGIApp,
        path: str,
        *,
        scope: Mapping[str, Any],
        headers: Mapping[str, str],
        query: Mapping[str, str],
        access_token: str | None,
        protocol: HubProtocol,
        timeout: float,
        on_message: Callable[[Message], None],
    ) -> None:
        self.protocol = protocol
        self.id: str | None = None
        self.close: Close | None = None
        """The server's good-bye, once it has come."""
        self.end: Exception | None = None
        """Why nothing more can come; None while the connection is open."""
        self.failure: BaseException | None = None
        """What belongs to the test and was raised where the test could not see it."""
        self._app = app
        self._path = path
        self._scope = scope
        self._headers = headers
        self._query = query
        self._access_token = access_token
        self._timeout = timeout
        self._on_message = on_message
        self._socket: WebSocket | None = None
        self._accepted = False
        self._handshaken = False
        self._refusal: list[Event] = []
        self._buffer = bytearray()
        self._news = asyncio.Event()

    # Opening.

    async def open(self, *, skip_negotiation: bool) -> None:
        """Negotiate, open the WebSocket, shake hands.

        Raises:
            RefusedError: the server does not accept the connection.
            RedirectedError: it sends the client elsewhere.
            NegotiateError: it answers the negotiation with an error, or offers no WebSockets.
            HandshakeError: the server does not speak the protocol.
            TimeoutError: the server has not answered in time.

        """
        query = dict(self._query)
        if not skip_negotiation:
            query["id"] = await self._negotiate()
        if self._access_token is not None:
            query["access_token"] = self._access_token
        self._socket = WebSocket(
            self._app, self._path, urlencode(query), self._headers, self._scope, self._take, self._over
        )
        try:
            await self.until(lambda: self._accepted or None, "The WebSocket was not accepted")
            asked = {"protocol": self.protocol.name, "version": 1}
            self._socket.send(json.dumps(asked).encode() + SEPARATOR, binary=False)
            await self.until(lambda: self._handshaken or None, "The handshake was not answered")
        except BaseException:
            await self.leave(1006)
            raise

    async def _negotiate(self) -> str:
        headers = dict(self._headers)
        if self._access_token is not None:
            headers["Authorization"] = f"Bearer {self._access_token}"
        query = urlencode({**self._query, "negotiateVersion": "1"})
        path = self._path.rstrip("/") + "/negotiate"
        try:
            async with asyncio.timeout(self._timeout):
                answer = await request(self._app, "POST", path, query, headers, self._scope)
        except TimeoutError:
            raise TimeoutError(f"The negotiation was not answered within {self._timeout:g} s.") from None
        if answer.status != 200:
            raise RefusedError(answer.status, answer.text, answer.headers)
        wire = json.loads(answer.body)
        if error := wire.get("error"):
            raise NegotiateError(error)
        if url := wire.get("url"):
            raise RedirectedError(url, wire.get("accessToken"))
        if "WebSockets" not in [each["transport"] for each in wire["availableTransports"]]:
            raise NegotiateError(f"{self._path} offers no WebSockets, which is how this client connects.")
        self.id = wire["connectionId"]
        return str(wire["connectionToken"])

    # Sending.

    def write(self, message: Message) -> None:
        """Send one message.

        Raises:
            ClosedError: the connection has ended.

        """
        if self.end is not None:
            raise self.end
        self._open_socket().send(self.protocol.write(message), binary=self.protocol.binary)

    async def room(self) -> None:
        """Wait while the server reads none of many messages."""
        await self._open_socket().room()

    def _open_socket(self) -> WebSocket:
        if self._socket is None:
            raise RuntimeError("The client is not connected; use it within `async with`.")
        return self._socket

    # Receiving.

    def _take(self, event: Event) -> None:
        """Take an event as the application sends it. Raises nothing into the application."""
        try:
            match event["type"]:
                case "websocket.accept":
                    self._accepted = True
                case "websocket.send":
                    self._take_frame(event.get("bytes"), event.get("text"))
                case "websocket.close" if self._accepted:
                    self._finish(ClosedError(self.close or Close()))
                case "websocket.close":
                    self._finish(RefusedError(403, "", {}))
                case _:
                    self._take_refusal(event)
        except Exception as error:  # noqa: BLE001  (whatever it is, it belongs to the test)
            self.fail(error)
        self.tell()

    def _take_refusal(self, event: Event) -> None:
        self._refusal.append(event)
        if event["type"] == "websocket.http.response.body" and not event.get("more_body", False):
            start, *body = self._refusal
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in start["headers"]}
            text = b"".join(each.get("body", b"") for each in body).decode("utf-8", "replace")
            self._finish(RefusedError(start["status"], text, headers))

    def _take_frame(self, data: bytes | None, text: str | None) -> None:
        binary = text is None
        if binary is not self.protocol.binary:
            raise AssertionError(f"The server sent a {'binary' if binary else 'text'} frame for {self.protocol.name}.")
        self._buffer += (data or b"") if text is None else text.encode()
        if not self._handshaken and not self._take_handshake():
            return
        for message in self.protocol.parse(self._buffer, _ANY_SIZE):
            if isinstance(message, Close):
                self.close = message
            else:
                self._on_message(message)
        if self._buffer:
            raise AssertionError("The server sent a frame that ends within a message.")

    def _take_handshake(self) -> bool:
        answer = take_request(self._buffer)
        if answer is None:
            raise AssertionError("The server sent a frame that ends within the answer to the handshake.")
        if error := json.loads(answer).get("error"):
            self._finish(HandshakeError(error))
            return False
        self._handshaken = True
        return True

    # Waiting.

    async def until(self, find: Callable[[], T | None], what: str, more: Callable[[], str] = str) -> T:
        """Wait until something is found that is not None.

        Raises:
            TimeoutError: it was not in time; the message says `what` was not, and what `more` returns.
            Exception: it can not come any more: why the connection has ended, or what was raised unseen.

        """
        limit = asyncio.timeout(self._timeout)
        try:
            async with limit:
                while (found := find()) is None:
                    if self.failure is not None:
                        failure, self.failure = self.failure, None
                        raise failure
                    if self.end is not None:
                        raise self.end
                    await self._news.wait()
                return found
        except TimeoutError:
            if not limit.expired():
                raise
            raise TimeoutError(f"{what} within {self._timeout:g} s{more()}.") from None

    def tell(self) -> None:
        """Have everybody who waits look again."""
        news, self._news = self._news, asyncio.Event()
        news.set()

    def fail(self, error: BaseException) -> None:
        """Keep an exception that belongs to the test: the next wait raises it, or else the end of the client."""
        self.failure = self.failure or error
        self.tell()

    # The end.

    async def leave(self, code: int) -> None:
        """End the connection, and wait until the application is done with it.

        Raises:
            TimeoutError: it is not done in time, and was cancelled.

        """
        if self._socket is None:
            return
        if code == 1000:  # in good order: the server answers a good-bye with its own, and closes
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._timeout):
                    while self.end is None:
                        await self._news.wait()
        self._socket.disconnect(code)
        await self._socket.ended(self._timeout)

    def _over(self, error: BaseException | None) -> None:
        """Note that the application is done with the WebSocket; with an exception, if it let one out."""
        if error is not None:
            self.fail(error)
        self._finish(ClosedError(self.close or Close()))
        self.tell()

    def _finish(self, end: Exception) -> None:
        self.end = self.end or end
