"""WebSockets over ASGI: text frames for text protocols, binary frames for binary ones, either kind taken in."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from asgi_signalr.outbox import Payload

PATIENCE = 1.0
ABNORMAL = 1006  # RFC 6455, section 7.4.1: there was no close frame

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]


class WebSocketTransport:
    """One WebSocket."""

    name = "WebSockets"
    keeps_alive = False

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._gone = False
        self.closed_cleanly = False
        """Whether the client has said that it closes, and has not just vanished."""

    async def accept(self) -> bool:
        """Take the WebSocket; False if the client has gone meanwhile."""
        event = await self._receive()
        if event["type"] != "websocket.connect":
            return False
        await self._send({"type": "websocket.accept"})
        return True

    async def receive(self) -> bytes | None:
        """Wait for a frame; None once the client has gone."""
        event = await self._receive()
        if event["type"] != "websocket.receive":
            self._gone = True
            self.closed_cleanly = event.get("code", ABNORMAL) != ABNORMAL
            return None
        text: str | None = event.get("text")
        if text is not None:
            return text.encode()
        return event["bytes"]  # type: ignore[no-any-return]

    def send(self, payloads: Sequence[Payload]) -> Awaitable[None]:
        """Send whole messages as one frame."""
        if payloads[0].binary:
            return self._send({"type": "websocket.send", "bytes": b"".join(each.data for each in payloads)})
        text = payloads[0].text if len(payloads) == 1 else "".join([each.text for each in payloads])
        return self._send({"type": "websocket.send", "text": text})

    async def close(self) -> None:
        """Close with code 1000; nothing is sent to a client that has gone."""
        if not self._gone:
            self._gone = True
            await self._send({"type": "websocket.close", "code": 1000})


async def refuse(
    scope: MutableMapping[str, Any], receive: Receive, send: Send, status: int, text: str, headers: dict[str, str]
) -> None:
    """Answer a WebSocket's request with an HTTP response; servers without that extension answer 403."""
    event = await receive()
    if event["type"] != "websocket.connect":
        return
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close", "code": 1008})
        return
    body = text.encode()
    encoded = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "websocket.http.response.start", "status": status, "headers": encoded})
    await send({"type": "websocket.http.response.body", "body": body})
    # uvicorn logs an error if the application returns before it has noticed itself that the connection is over.
    with contextlib.suppress(Exception):
        async with asyncio.timeout(PATIENCE):
            await receive()
            await receive()
