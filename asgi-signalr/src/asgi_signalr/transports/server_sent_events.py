"""Server-Sent Events: one long answer that carries messages as events, and POSTs for the way back.

The frames are those of TransportProtocols.md, Server-Sent Events. It carries text only.
"""

import re
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress

from asgi_signalr.http import Receive, Send, disconnected, encoded
from asgi_signalr.transports.inbox import Inbox
from asgi_signalr.transports.payload import Payload

HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache,no-store",
    "Pragma": "no-cache",
    # Against proxies that would compress the stream, or collect it: neither must hold an event back.
    "Content-Encoding": "identity",
    "X-Accel-Buffering": "no",
}
# A comment, which clients pass over. Some browsers do not call a stream open before its first bytes.
COMMENT = b":\r\n"
# Stands for a comment among the events; it is sent alone.
KEEP_ALIVE = Payload(b"")
_LINE_END = re.compile(rb"\r\n|\n|\r")


class ServerSentEventsTransport:
    """One stream of events.

    Args:
        receive: the server's.
        send: the server's.
        inbox: what the client has posted already, if it has.

    """

    name = "ServerSentEvents"
    keeps_alive = False
    keep_alive_frame = KEEP_ALIVE
    direct = None

    def __init__(self, receive: Receive, send: Send, inbox: Inbox | None = None) -> None:
        self.inbox = inbox or Inbox()
        self._receive = receive
        self._send = send
        self._gone = False

    @property
    def has_gone(self) -> bool:
        """Whether the client has gone."""
        return self._gone

    async def start(self, more: Mapping[str, str]) -> None:
        """Begin the answer, with more headers."""
        with suppress(OSError):  # as servers may say that the client has gone; `watch` is told as well
            await self._send({"type": "http.response.start", "status": 200, "headers": encoded({**more, **HEADERS})})
            await self._send({"type": "http.response.body", "body": COMMENT, "more_body": True})

    async def watch(self) -> None:
        """Notice when the client goes: then nothing more is to be received."""
        try:
            await disconnected(self._receive)
        finally:
            self._gone = True
            self.inbox.close()

    async def receive(self) -> str | bytes | None:
        """Wait for what the client posts; None once it has gone."""
        return await self.inbox.take()

    def send(self, payloads: Sequence[Payload]) -> Awaitable[None] | None:
        """Send whole messages as one event; nothing is sent to a client that has gone."""
        if self._gone:
            return None
        event = COMMENT if payloads[0] is KEEP_ALIVE else format_event(b"".join([each.data for each in payloads]))
        return self._send({"type": "http.response.body", "body": event, "more_body": True})

    async def close(self, _code: int = 1000, /) -> None:
        """End the answer; nothing is sent to a client that has gone."""
        self.inbox.close()
        if not self._gone:
            self._gone = True
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def format_event(data: bytes) -> bytes:
    r"""Write an event: each line of the data as a field; the client joins them by `\n` again.

    A carriage return would end a line as well, so it counts as one.
    """
    if b"\n" in data or b"\r" in data:
        data = b"\r\ndata: ".join(_LINE_END.split(data))
    return b"data: " + data + b"\r\n\r\n"
