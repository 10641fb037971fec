"""Requests and answers over plain HTTP: what the endpoints and the scripts have in common."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]


@dataclass(frozen=True)
class Response:
    """A whole answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):  # noqa: N818  (an answer, no error)
    """A request that is not served, and what it is told."""

    def __init__(self, status: int, text: str = "", **headers: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    @property
    def response(self) -> Response:
        """The refusal as an answer."""
        return Response(self.status, self.text.encode(), {"Content-Type": "text/plain"} | self.headers)


async def respond(scope: Scope, send: Send, response: Response, more: Mapping[str, str]) -> None:
    """Send an answer, with more headers; without its body if just the head was asked for."""
    headers = {**more, **response.headers}
    encoded = [(name.lower().encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    if response.status not in (204, 304):
        encoded.append((b"content-length", str(len(response.body)).encode("ascii")))
    await send({"type": "http.response.start", "status": response.status, "headers": encoded})
    await send({"type": "http.response.body", "body": response.body if scope["method"] != "HEAD" else b""})


def headers_of(scope: Scope) -> dict[str, str]:
    """A request's headers, by their names in lower case."""
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def path_of(scope: Scope) -> str:
    """The path below this application: what is left after the root path, when it is mounted."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and (path == root or path.startswith(root.rstrip("/") + "/")):
        path = path[len(root.rstrip("/")) :]
    return normal_path(path)


def normal_path(path: str) -> str:
    """Write a path as it is looked up: with a slash before it and none behind."""
    return "/" + path.strip("/")
