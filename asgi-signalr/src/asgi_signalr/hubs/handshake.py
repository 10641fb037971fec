"""The first exchange of a connection: the client names a protocol, the server agrees or says why not.

It is JSON whatever the protocol, ended by the record separator.
"""

import json
import re
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from asgi_signalr.errors import InvalidDataError, NamedDataError
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.protocols.json import check_int, check_object, check_text, refuse_word

SEPARATOR = b"\x1e"
AGREED = b"{}" + SEPARATOR


class HandshakeError(Exception):
    """The handshake fails; the message is what the client is told."""


def take_request(buffer: bytearray, max_size: int = sys.maxsize) -> bytes | None:
    """Take the handshake request out of the buffer; None while it is incomplete. Messages may follow it.

    Raises:
        HandshakeError: with its separator it is longer than `max_size`.

    """
    end = buffer.find(SEPARATOR, 0, max_size)
    if end < 0:
        if len(buffer) > max_size:
            raise HandshakeError("Handshake was canceled.")
        return None
    request = bytes(buffer[:end])
    del buffer[: end + 1]
    return request


def choose_protocol(
    request: bytes, protocols: Mapping[str, HubProtocol], binary_allowed: bool
) -> tuple[HubProtocol, int]:
    """Find the protocol that a request asks for, and the version that is spoken from now on.

    Version 2 is 1 with the messages of the stateful reconnect.

    Args:
        request: without its separator.
        protocols: those that the server speaks, by their names.
        binary_allowed: whether the transport carries more than text.

    Raises:
        HandshakeError: it is not supported, not in this version, or not on this transport.
        InvalidDataError: the request is malformed.

    """
    name, version = _parse(request)
    protocol = protocols.get(name) or next(
        (each for known, each in protocols.items() if known.lower() == name.lower()), None
    )
    if protocol is None:
        raise HandshakeError(f"The protocol '{name}' is not supported.")
    if version > protocol.version:
        raise HandshakeError(f"The server does not support version {version} of the '{name}' protocol.")
    if protocol.binary and not binary_allowed:
        raise HandshakeError(
            f"Cannot use the '{name}' protocol on the current transport. "
            "The transport does not support 'Binary' transfer format."
        )
    return protocol, version


def _parse(request: bytes) -> tuple[str, int]:
    try:
        wire: Any = msgspec.json.decode(request)
    except (ValueError, RecursionError) as error:  # malformed, not UTF-8, a number or a nesting too long
        wire = _with_half_characters(request, error)
    check_object(wire)
    for name, value in wire.items():
        if name == "protocol":
            check_text(value, name)
        elif name == "version" and value is not None:
            check_int(value, name)
    for name in ("protocol", "version"):
        if wire.get(name) is None:
            content = request.decode("utf-8", "replace")
            raise InvalidDataError(f"Missing required property '{name}'. Message content: {content}")
    if (half := _HALF.search(wire["protocol"])) is not None:
        raise NamedDataError("InvalidOperationException", _half_text(wire["protocol"], half.start()))
    return wire["protocol"], wire["version"]


_HALF = re.compile("[\ud800-\udfff]")


def _with_half_characters(request: bytes, error: Exception) -> Any:
    """Read a request that a decoder refuses because somewhere in it a character is only half there.

    Raises:
        InvalidDataError: it refuses it for something else.

    """
    try:
        return json.loads(request.decode(), parse_constant=refuse_word)
    except (ValueError, RecursionError):
        raise NamedDataError("JsonReaderException", str(error)) from None


def _half_text(text: str, at: int) -> str:
    is_second = text[at] >= "\udc00"
    if not is_second and not _HALF.match(text, at + 1):
        return "Cannot read incomplete UTF-16 JSON text as string with missing low surrogate."
    wrong = text[at] if is_second else text[at + 1]
    return f"Cannot read invalid UTF-16 JSON text as string. Invalid surrogate value: '0x{ord(wrong):X}'."


def refused(error: str) -> bytes:
    """Encode the answer to a request that fails."""
    return msgspec.json.encode({"error": error}) + SEPARATOR
