"""What the tests of the HTTP transports share: a hub, and a client that negotiates, posts, polls and listens."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from asgi_signalr import Hub, SignalR

HANDSHAKE = b'{"protocol":"json","version":1}\x1e'
EVENTS = {"Accept": "text/event-stream"}


class Chat(Hub):
    """Says what happens to it."""

    ends: "asyncio.Queue[Exception | None]"
    begun: asyncio.Event
    may_go_on: asyncio.Event
    noted: list[str]

    async def on_disconnected(self, error: Exception | None) -> None:
        self.ends.put_nowait(error)

    def echo(self, text: str) -> str:
        return text

    def who(self) -> list[Any]:
        context = self.context
        return [
            context.user_identifier,
            getattr(context.user, "age", None),
            dict(context.query),
            context.headers["x-a"],
        ]

    async def say(self, text: str) -> None:
        await self.clients.all.send("said", text)

    async def wait(self) -> None:
        self.begun.set()
        await self.may_go_on.wait()

    def note(self, text: str) -> None:
        self.noted.append(text)

    def leave(self) -> None:
        self.context.abort()


class Client:
    """A client of that hub over HTTP, frame by frame."""

    def __init__(self, request_to: Callable[..., Awaitable[Any]], ask: Callable[..., Any], **options: Any) -> None:
        self.hub = cast(Any, type("Chat", (Chat,), {}))
        self.hub.ends, self.hub.begun, self.hub.may_go_on = asyncio.Queue(), asyncio.Event(), asyncio.Event()
        self.hub.noted = []
        rules = {name: options.pop(name) for name in ("authorize",) if name in options}
        self.app = SignalR(**options)
        self.app.hub("/chat", **rules)(self.hub)
        self.token = ""
        self.connection_id = ""
        self.user: Any = None
        self._request_to = request_to
        self._ask = ask

    @property
    def url(self) -> str:
        return f"/chat?id={self.token}"

    @property
    def manager(self) -> Any:
        return self.app._servers.to_serve().connections

    @property
    def connection(self) -> Any:
        return self.manager.negotiated(self.token, "Chat").connection

    def pass_time(self, seconds: float) -> None:
        """Have the server find that its client has been away for longer than it has."""
        manager, entry = self.manager, self.manager.negotiated(self.token, "Chat")
        if entry.alone_since is not None:
            entry.alone_since -= seconds
        manager._timer.cancel()
        manager._due = asyncio.get_running_loop().time()  # no standstill of the server itself
        manager._tick()

    def change(self, **options: Any) -> None:
        """Change an option of the application meanwhile."""
        endpoint = self.app._routes.endpoint("/chat")
        assert endpoint is not None
        endpoint._options = replace(endpoint._options, **options)

    async def negotiate(self) -> "Client":
        response = await self._request_to(self.app, "POST", "/chat/negotiate?negotiateVersion=1", user=self.user)
        self.token, self.connection_id = response.json["connectionToken"], response.json["connectionId"]
        return self

    def ask(self, method: str, body: bytes | None = b"", headers: dict[str, str] | None = None, **more: Any) -> Any:
        return self._ask(self.app, method, more.pop("url", self.url), headers, body, **{"user": self.user} | more)

    async def post(self, body: bytes) -> None:
        response = await self.ask("POST", body).answer()
        assert (response.status, response.text, response.headers["content-type"]) == (200, "", "text/plain")

    async def invoke(self, target: str, *arguments: Any) -> None:
        call = {"type": 1, "invocationId": "1", "target": target, "arguments": arguments}
        await self.post(json.dumps(call).encode() + b"\x1e")

    async def ended(self) -> Exception | None:
        async with asyncio.timeout(10):
            error: Exception | None = await self.hub.ends.get()
        return error

    # Long polling.

    def poll(self, **more: Any) -> Any:
        return self.ask("GET", **more)

    async def polled(self) -> str:
        response = await self.poll().answer()
        assert response.status == 200
        assert response.headers["content-type"] in ("application/octet-stream", "" if response.text else "text/plain")
        return str(response.text)

    async def poll_open(self) -> "Client":
        """Begin with long polling, as far as the answer to the handshake."""
        await self.negotiate()
        assert await self.polled() == ""
        await self.post(HANDSHAKE)
        assert await self.polled() == "{}\x1e"
        return self

    # Server-Sent Events.

    async def listen(self) -> Any:
        """Begin with Server-Sent Events, as far as the answer to the handshake; returns the stream."""
        await self.negotiate()
        stream = await self.ask("GET", headers=EVENTS).begun()
        assert (stream.status, await stream.portion()) == (200, b":\r\n")
        await self.post(HANDSHAKE)
        assert await stream.portion() == b"data: {}\x1e\r\n\r\n"
        return stream


@pytest.fixture
def client(request_to: Callable[..., Awaitable[Any]], ask: Callable[..., Any]) -> Callable[..., Client]:
    """Makes clients of a hub over HTTP, each with an application of its own."""

    def client_(**options: Any) -> Client:
        return Client(request_to, ask, **options)

    return client_
