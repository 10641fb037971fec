"""Requests and answers over plain HTTP: what the endpoints and the scripts have in common."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, MutableMapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

Scope = MutableMapping[str, Any]
"""What an ASGI server says of a request; the same type as Starlette's."""
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
"""How an ASGI application hears from the server."""
Send = Callable[[Event], Awaitable[None]]
"""How an ASGI application answers."""


@dataclass(frozen=True)
class Response:
    """A whole answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):  # noqa: N818  (an answer, no error)
    """A request that is not served, and what it is told; the log may have advice for those who run the server."""

    def __init__(self, status: int, text: str = "", *, advice: str = "", **headers: str) -> None:
        super().__init__(text)
        self.advice = advice
        self.status = status
        self.text = text
        self.headers = {name.replace("_", "-").lower(): value for name, value in headers.items()}

    @property
    def response(self) -> Response:
        """The refusal as an answer."""
        return Response(self.status, self.text.encode(), {"Content-Type": "text/plain"} | self.headers)


class Disconnected(Exception):  # noqa: N818  (a turn of events, no error)
    """The client has gone before its request was read, or answered."""


async def respond(scope: Scope, send: Send, response: Response, more: Mapping[str, str]) -> None:
    """Send an answer, with more headers; without its body if just the head was asked for."""
    headers = encoded({**more, **response.headers})
    if response.status not in (204, 304):
        headers.append((b"content-length", str(len(response.body)).encode("ascii")))
    with suppress(OSError):  # as servers may say that the client has gone
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body if scope["method"] != "HEAD" else b""})


def encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Write headers as ASGI wants them."""
    return [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]


class Body:
    """A request's body, as it arrives."""

    def __init__(self, receive: Receive, patience: float | None = None) -> None:
        self._receive = receive
        self._patience = patience
        self._is_read = False

    async def portions(self) -> AsyncIterator[bytes]:
        """Read it portion by portion.

        Raises:
            Disconnected: the client has gone before all of it was there.
            Refusal: nothing more of it has come for long.

        """
        while not self._is_read:
            try:
                async with asyncio.timeout(self._patience):
                    event = await self._receive()
            except TimeoutError:
                self._is_read = True
                raise Refusal(408, "The body did not come in time.") from None
            if event["type"] != "http.request":
                self._is_read = True
                raise Disconnected
            self._is_read = not event.get("more_body", False)
            if portion := event.get("body", b""):
                yield portion

    async def drain(self, limit: int = 64 * 1024, patience: float = 5) -> None:
        """Read what is left of it, up to a limit in bytes and seconds, before an answer that does not need it.

        HTTP/2 carries many requests over one connection, and Hypercorn gives all of them up when a body arrives after
        its answer.

        Raises:
            Disconnected: the client has gone.

        """
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                async for portion in self.portions():
                    limit -= len(portion)
                    if limit < 0:
                        return


async def disconnected(receive: Receive) -> None:
    """Wait until the client has gone; whatever else it sends is passed over."""
    with suppress(Exception):  # a server that fails here has no client any more
        while (await receive())["type"] != "http.disconnect":
            pass


def headers_of(scope: Scope) -> dict[str, str]:
    """A request's headers, by their names in lower case; one that comes several times is joined.

    By commas (RFC 9110, section 5.3), but Cookie by semicolons: HTTP/2 sends each cookie apart (RFC 9113, 8.2.3).
    """
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope.get("headers", ()):
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        there = headers.get(name)
        headers[name] = value if there is None else f"{there}{'; ' if name == 'cookie' else ', '}{value}"
    return headers


def cookies_of(scope: Scope) -> dict[str, str]:
    """A request's cookies, by their names; of several with one name the first, which is the most specific."""
    cookies: dict[str, str] = {}
    for pair in headers_of(scope).get("cookie", "").split(";"):
        name, equals, value = pair.strip().partition("=")
        if equals:
            cookies.setdefault(name.strip(), value.strip().strip('"'))
    return cookies


class Parameters(dict[str, str]):
    """The parameters of a query string: the last of a name by its name, and all of them in order."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self.pairs = tuple(pairs)
        super().__init__(self.pairs)

    def get_all(self, name: str) -> list[str]:
        """All values of a name, in order."""
        return [value for each, value in self.pairs if each == name]


def address_of(scope: Scope) -> str | None:
    """The address that a request comes from, as the server sees it: of the client, or of the last proxy."""
    client = scope.get("client")
    return None if not client else str(client[0])


def path_of(scope: Scope) -> str:
    """The path below this application: what is left after the root path, when it is mounted."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and (path == root or path.startswith(root.rstrip("/") + "/")):
        path = path[len(root.rstrip("/")) :]
    return path.removesuffix("/") or "/"


def normal_path(path: str) -> str:
    """Write a path that something is served at as it is looked up: with a slash before it and none behind."""
    return "/" + path.strip("/")
