"""Messages as they leave: encoded once, shared by all their receivers, framed for WebSockets (RFC 6455)."""

from collections.abc import Sequence
from typing import Any

import msgspec


class Payload(msgspec.Struct, eq=False, gc=False):
    """Whole messages in their encoded form, shared by all the connections that they go to.

    With a key they are news: a slow client may be spared all but the latest of the same key. Without one they are part
    of an exchange, and never dropped.
    """

    data: bytes
    binary: bool = False
    key: str | None = None
    _event: dict[str, Any] | None = None
    _frame: bytes | None = None

    @property
    def event(self) -> dict[str, Any]:
        """The same as an ASGI message, made once; who is given it leaves it as it is."""
        event = self._event
        if event is None:
            event = self._event = event_of(self.data, binary=self.binary)
        return event

    @property
    def frame(self) -> bytes:
        """The same as a server's WebSocket frame, built once."""
        frame = self._frame
        if frame is None:
            frame = self._frame = frame_of(self.data, self.binary)
        return frame


# How the frame of a whole message begins, unmasked as servers send it: by its length (RFC 6455, section 5.2).
_TEXT_HEADS = tuple(bytes((0x81, size)) for size in range(128))


_BINARY_HEADS = tuple(bytes((0x82, size)) for size in range(128))


def frame_of(data: bytes, binary: bool) -> bytes:
    """Make whole messages a server's WebSocket frame."""
    size = len(data)
    heads = _BINARY_HEADS if binary else _TEXT_HEADS
    if size < 126:
        return heads[size] + data
    return (heads[126] + size.to_bytes(2, "big") if size < 0x10000 else heads[127] + size.to_bytes(8, "big")) + data


def frames_of(payloads: Sequence[Payload]) -> bytes:
    """Put messages together, each in a frame of its own."""
    return payloads[0].frame if len(payloads) == 1 else b"".join([each.frame for each in payloads])


def event_of(data: bytes, *, binary: bool) -> dict[str, Any]:
    """Make the ASGI message that sends whole messages as one frame (ASGI, WebSocket Send)."""
    return {"type": "websocket.send", "bytes": data} if binary else {"type": "websocket.send", "text": data.decode()}
