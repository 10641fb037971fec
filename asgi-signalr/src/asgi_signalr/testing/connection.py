"""The client's end of one connection: negotiation, WebSocket, frames in and out, and waiting for what they bring."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from typing import TypeVar, overload
from urllib.parse import parse_qsl, urlencode

from asgi_signalr.endpoints.negotiate import NegotiateError
from asgi_signalr.http import Event
from asgi_signalr.messages import Close
from asgi_signalr.testing.asgi import ASGIApp, WebSocket, request

T = TypeVar("T")


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
        """The token to show there; None if the client has to find its own."""


class ClosedError(Exception):
    """The connection has ended, and with it what was awaited. Its text is the server's error, if it gave one."""

    def __init__(self, close: Close) -> None:
        super().__init__(close.error or "The connection is closed.")
        self.error = close.error
        """The reason that the server gave; None if it gave none."""
        self.allow_reconnect = close.allow_reconnect
        """Whether the client is to come back."""


class ClientConnection:
    """One connection to an endpoint, from the client's side. Each frame is given to `on_frame` as it is sent."""

    def __init__(
        self,
        app: ASGIApp,
        path: str,
        *,
        user: object | None,
        headers: Mapping[str, str] | None,
        query: Mapping[str, str] | None,
        access_token: str | None,
        timeout: float,
        on_frame: Callable[[str | bytes], None],
        stateful_reconnect: bool = False,
    ) -> None:
        self.is_stateful = False
        """Whether the server keeps the connection when its WebSocket is lost."""
        self.is_lost = False
        """Whether the WebSocket is lost, and the connection is not."""
        self.id: str | None = None
        self.close: Close | None = None
        """The server's good-bye, once it has come; only hubs have one."""
        self.code = 1000
        """The code that the WebSocket was closed with."""
        self.end: Exception | None = None
        """Why nothing more can come; None while the connection is open."""
        self.failure: BaseException | None = None
        """An exception that belongs to the test, raised where the test could not see it."""
        self.timeout = timeout
        self._app = app
        self._path = _checked(path)
        self._scope = {} if user is None else {"user": user}
        self._headers = headers or {}
        self._query = query or {}
        self._access_token = access_token
        self._on_frame = on_frame
        self._stateful_reconnect = stateful_reconnect
        self._is_used = False
        self._token: str | None = None
        self._socket: WebSocket | None = None
        self._accepted = False
        self._refusal: list[Event] = []
        self._news = asyncio.Event()

    # Opening.

    async def open(self, *, skip_negotiation: bool) -> None:
        """Negotiate and open the WebSocket.

        Raises:
            RefusedError: the server does not accept the connection.
            RedirectedError: it sends the client elsewhere.
            NegotiateError: it answers the negotiation with an error, or offers no WebSockets.
            TimeoutError: it has not answered in time.

        """
        if self._is_used:
            raise RuntimeError("A client connects once; make another one.")
        self._is_used = True
        if not skip_negotiation:
            self._token = await self._negotiate()
        await self._connect()

    async def reopen(self) -> None:
        """Open another WebSocket for a connection whose own is lost.

        Raises:
            RefusedError: the server does not know the connection any more.
            TimeoutError: it has not answered in time.

        """
        self.is_lost = self._accepted = False
        await self._connect()

    async def _connect(self) -> None:
        query = dict(self._query)
        if self._token is not None:
            query["id"] = self._token
        if self._access_token is not None:
            query["access_token"] = self._access_token
        self._socket = WebSocket(
            self._app, self._path, urlencode(query), self._headers, self._scope, self._take, self._over
        )
        try:
            await self.until(lambda: self._accepted or None, "The WebSocket was not accepted")
        except BaseException:
            await self.leave(1006)
            raise

    async def _negotiate(self) -> str:
        headers = dict(self._headers)
        if self._access_token is not None:
            headers["Authorization"] = f"Bearer {self._access_token}"
        resume = {"useStatefulReconnect": "true"} if self._stateful_reconnect else {}
        query = urlencode({**self._query, "negotiateVersion": "1", **resume})
        path = self._path.rstrip("/") + "/negotiate"
        try:
            async with asyncio.timeout(self.timeout):
                answer = await request(self._app, "POST", path, query, headers, self._scope)
        except TimeoutError:
            raise TimeoutError(f"The negotiation was not answered within {self.timeout:g} s.") from None
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
        self.is_stateful = wire.get("useStatefulReconnect", False)
        return str(wire["connectionToken"])

    # Sending.

    def send(self, data: bytes, *, binary: bool) -> None:
        """Send one frame; a WebSocket that is lost takes none.

        Raises:
            ClosedError: the connection has ended.
            Exception: it has ended, and this was raised unseen, by the application for example.

        """
        if self.end is not None:
            raise self._reason(self.end)
        self._open_socket().send(data, binary=binary)

    async def room(self) -> None:
        """Wait while the server reads none of many frames."""
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
                    text = event.get("text")
                    self._on_frame(event["bytes"] if text is None else text)
                case "websocket.close" if self._accepted:
                    self.code = event.get("code", 1000)
                    self.finish(ClosedError(self.close or Close()))
                case "websocket.close":
                    self.finish(RefusedError(403, "", {}))
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
            self.finish(RefusedError(start["status"], text, headers))

    # Waiting.

    async def until(self, find: Callable[[], T | None], what: str, more: Callable[[], str] = str) -> T:
        """Wait until something is found that is not None.

        Raises:
            TimeoutError: it was not in time; the message says `what` was not, and what `more` returns.
            Exception: it can not come any more: why the connection has ended, or what was raised unseen.

        """
        limit = asyncio.timeout(self.timeout)
        try:
            async with limit:
                while (found := find()) is None:
                    if (reason := self._reason(self.end)) is not None:
                        raise reason
                    await self._news.wait()
                return found
        except TimeoutError:
            if not limit.expired():
                raise
            raise TimeoutError(f"{what} within {self.timeout:g} s{more()}.") from None

    @overload
    def _reason(self, end: Exception) -> BaseException: ...

    @overload
    def _reason(self, end: Exception | None) -> BaseException | None: ...

    def _reason(self, end: Exception | None) -> BaseException | None:
        """Find what to raise instead of waiting: what was raised unseen, once, or else why the connection has ended."""
        failure, self.failure = self.failure, None
        return failure or end

    def tell(self) -> None:
        """Have everybody who waits look again."""
        news, self._news = self._news, asyncio.Event()
        news.set()

    def fail(self, error: BaseException) -> None:
        """Keep an exception that belongs to the test: the next wait raises it, or else the end of the client."""
        self.failure = self.failure or error
        self.tell()

    # The end.

    async def ended(self) -> None:
        """Wait until the server has closed the WebSocket, in time or not."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.timeout):
                while self.end is None:
                    await self._news.wait()

    async def leave(self, code: int) -> None:
        """Close the WebSocket, and wait until the application is done with it.

        Raises:
            TimeoutError: it is not done in time, and was cancelled.

        """
        if self._socket is None:
            return
        self._socket.disconnect(code)
        await self._socket.ended(self.timeout)

    def _over(self, error: BaseException | None) -> None:
        """Note that the application is done with the WebSocket; with an exception, if it let one out."""
        if error is not None:
            self.fail(error)
        if not self.is_lost:
            self.finish(ClosedError(self.close or Close()))
        self.tell()

    def finish(self, end: Exception) -> None:
        """Say why nothing more can come. The first reason counts."""
        self.end = self.end or end


def _checked(path: object) -> str:
    """See that a path is one.

    Raises:
        TypeError: it is something else, such as the hub itself.
        ValueError: it is a whole URL, or has a query string.

    """
    if not isinstance(path, str):
        raise TypeError(f"The path of a hub in the application is text such as '/signalr/chat', not {path!r}.")
    if "?" in path:
        bare, _, query = path.partition("?")
        parameters = dict(parse_qsl(query, keep_blank_values=True))
        raise ValueError(f"A path has no query string; instead of {path!r} give {bare!r}, query={parameters!r}.")
    if not path.startswith("/"):
        raise ValueError(f"A path begins with a slash and has no host, such as '/signalr/chat', not {path!r}.")
    return path
