"""The answer to a client that asks for a WebSocket, for the peers that have no library for it."""

import base64
import hashlib
import re

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accepted(request: bytes) -> bytes:
    """The response to its request, which is whole (RFC 6455, section 4.2.2)."""
    found = re.search(rb"(?i)sec-websocket-key: *([^\r]+)", request)
    assert found is not None
    accept = base64.b64encode(hashlib.sha1(found[1] + MAGIC, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
