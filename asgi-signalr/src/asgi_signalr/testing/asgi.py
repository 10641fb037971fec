"""The part of an ASGI server, for one application and without a network: requests, WebSockets, the lifespan.

The scopes are those that uvicorn makes, and an exception that the application lets out is raised in the test.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from asgi_signalr.http import Event

ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]
"""Any ASGI application, whatever names its framework has for the types of a scope and its events."""

# The most frames that wait for the application before an upload waits for it.
_FRAMES_AHEAD = 16


@dataclass(frozen=True)
class Response:
    """The answer to a request."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")


def _scope(kind: str, path: str, query: str, headers: Mapping[str, str], more: Mapping[str, Any]) -> dict[str, Any]:
    every = {"host": "testserver"} | {name.lower(): value for name, value in headers.items()}
    return {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "scheme": "http" if kind == "http" else "ws",
        "server": ("testserver", 80),
        "client": ("testclient", 50000),
        "root_path": "",
        "path": path,
        "raw_path": quote(path).encode("ascii"),
        "query_string": query.encode("ascii"),
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in every.items()],
        "state": {},
    } | dict(more)


async def request(
    app: ASGIApp, method: str, path: str, query: str, headers: Mapping[str, str], more: Mapping[str, Any]
) -> Response:
    """Ask the application, and wait until it has answered wholly."""
    status, names, body = 0, {}, bytearray()
    asked = False
    answered = asyncio.Event()

    async def receive() -> Event:
        nonlocal asked
        if asked:
            await answered.wait()
            return {"type": "http.disconnect"}
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(event: Event) -> None:
        nonlocal status
        if event["type"] == "http.response.start":
            status = event["status"]
            names.update({name.decode("latin-1").lower(): value.decode("latin-1") for name, value in event["headers"]})
        elif event["type"] == "http.response.body":
            body.extend(event.get("body", b""))
            if not event.get("more_body", False):
                answered.set()

    await app(_scope("http", path, query, headers, more) | {"method": method}, receive, send)
    return Response(status, names, bytes(body))


class WebSocket:
    """The client's end of one WebSocket; what the application sends is given to `on_event` as it is sent."""

    def __init__(
        self,
        app: ASGIApp,
        path: str,
        query: str,
        headers: Mapping[str, str],
        more: Mapping[str, Any],
        on_event: Callable[[Event], None],
        on_end: Callable[[BaseException | None], None],
    ) -> None:
        self._on_event = on_event
        self._on_end = on_end
        self._to_app: asyncio.Queue[Event] = asyncio.Queue()
        self._taken = asyncio.Event()
        self._gone = False
        extensions: dict[str, Any] = {"websocket.http.response": {}}
        scope = _scope("websocket", path, query, headers, {"subprotocols": [], "extensions": extensions} | dict(more))
        self._to_app.put_nowait({"type": "websocket.connect"})
        self._task = asyncio.ensure_future(app(scope, self._receive, self._send))
        self._task.add_done_callback(self._end)

    async def _receive(self) -> Event:
        event = await self._to_app.get()
        self._taken.set()
        if event["type"] == "websocket.disconnect":
            self._to_app.put_nowait(event)  # who asks again is told again
        return event

    async def _send(self, event: Event) -> None:
        if self._gone:
            raise OSError("The client has gone.")
        if event["type"] == "websocket.close" or (
            event["type"] == "websocket.http.response.body" and not event.get("more_body", False)
        ):
            self.disconnect(event.get("code", 1000))
        self._on_event(event)

    def _end(self, task: asyncio.Future[None]) -> None:
        self._gone = True
        self._taken.set()
        self._on_end(None if task.cancelled() else task.exception())

    def send(self, data: bytes, *, binary: bool) -> None:
        """Send one frame; one that comes too late is lost, as on a network."""
        if not self._gone:
            data_of = {"bytes": data} if binary else {"text": data.decode()}
            self._to_app.put_nowait({"type": "websocket.receive", **data_of})

    async def room(self) -> None:
        """Wait while the application reads none of many frames."""
        while self._to_app.qsize() >= _FRAMES_AHEAD and not self._gone:
            self._taken.clear()
            await self._taken.wait()

    def disconnect(self, code: int) -> None:
        """End the WebSocket: 1000 in good order, 1006 for a client that vanishes."""
        if not self._gone:
            self._gone = True
            self._to_app.put_nowait({"type": "websocket.disconnect", "code": code, "reason": ""})

    async def ended(self, patience: float) -> None:
        """Wait until the application has done with the WebSocket; cancel it if it does not come to an end.

        Raises:
            TimeoutError: it had to be cancelled.

        """
        done, _ = await asyncio.wait({self._task}, timeout=patience)
        if not done:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            raise TimeoutError(f"The application was not done with the connection {patience:g} s after its end.")


@asynccontextmanager
async def running(app: ASGIApp, *, timeout: float = 5) -> AsyncIterator[ASGIApp]:  # noqa: ASYNC109  (for each of the two events)
    """Run an application's lifespan around some tests, for an application that needs it; gives the app to ask.

    Hubs need no lifespan, but what else an application opens at its start may. The state that the lifespan leaves
    is in the scope of each request to the app that this gives. `timeout` is in seconds, for either event.

    Raises:
        RuntimeError: the application said that it could not start.
        TimeoutError: it did not start, or did not stop, in time.

    """
    state: dict[str, Any] = {}
    to_app: asyncio.Queue[Event] = asyncio.Queue()
    from_app: asyncio.Queue[Event] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}
    task = asyncio.ensure_future(app(scope, to_app.get, from_app.put))

    async def say(event: str) -> None:
        to_app.put_nowait({"type": f"lifespan.{event}"})
        answer = asyncio.ensure_future(from_app.get())
        done, _ = await asyncio.wait({answer, task}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if answer in done:
            if answer.result()["type"].endswith(".failed"):
                raise RuntimeError(f"The application's {event} failed: {answer.result().get('message', '')}")
            return
        answer.cancel()
        if task not in done:
            raise TimeoutError(f"The application's {event} took longer than {timeout:g} s.")
        if event == "startup":
            task.result()  # raises what the application did

    async def with_state(request: Any, receive: Any, send: Any) -> None:
        await app(request | {"state": state.copy()}, receive, send)

    try:
        await say("startup")
        yield with_state
        await say("shutdown")
    finally:
        task.cancel()
        await asyncio.wait({task})
