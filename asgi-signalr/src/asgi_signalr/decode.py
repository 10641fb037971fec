"""What a WebSocket's frames say, in words: for reports of tests and for looking at recorded traffic."""

import base64
import json
import sys
from collections.abc import Iterator
from typing import IO, Any

import msgspec

from asgi_signalr.errors import InvalidDataError
from asgi_signalr.messages import Invocation, Message, StreamInvocation
from asgi_signalr.protocols.json import JsonHubProtocol
from asgi_signalr.protocols.messagepack import MessagePackHubProtocol

_LONGEST = 1_000_000


def decode_lines(source: IO[str], to: IO[str]) -> None:
    """Read a frame per line, `{"text": …}` or `{"binary": "…"}` in Base64; write what each says, a JSON list per line.

    What is no message of SignalR is an empty list.
    """
    for line in source:
        try:
            frame = json.loads(line)
            binary = frame.get("binary")
            said = list(describe(str(frame.get("text", "")) if binary is None else base64.b64decode(binary)))
        except (ValueError, AttributeError, TypeError):
            said = []
        to.write(json.dumps(said) + "\n")
    to.flush()


def describe(frame: str | bytes) -> Iterator[str]:
    """Say what each message of a frame is; text is taken for JSON, bytes for MessagePack."""
    if isinstance(frame, bytes) and not frame.startswith(b"{"):
        yield from _messages(MessagePackHubProtocol(), frame)
        return
    text = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
    for record in filter(None, text.split("\x1e")):
        handshake = _handshake(record)
        if handshake:
            yield handshake
        else:
            yield from _messages(JsonHubProtocol(), f"{record}\x1e".encode())


def _handshake(record: str) -> str | None:
    try:
        found = json.loads(record)
    except ValueError:
        return None
    if found == {}:
        return "Handshake accepted"
    if not isinstance(found, dict) or "type" in found:
        return None
    if "error" in found:
        return f"Handshake refused: {found['error']}"
    return f"Handshake {found['protocol']} {found.get('version', '')}".rstrip() if "protocol" in found else None


def _messages(protocol: JsonHubProtocol | MessagePackHubProtocol, data: bytes) -> Iterator[str]:
    try:
        for message in protocol.parse(bytearray(data), _LONGEST):
            yield _said(message)
    except InvalidDataError:
        return


def _said(message: Message) -> str:
    name = type(message).__name__
    if isinstance(message, Invocation | StreamInvocation):
        asked = f" #{message.invocation_id}" if message.invocation_id else ""
        return f"{name}{asked} {message.target}({', '.join(map(_value, message.arguments))})"
    fields = {
        field: value
        for field, value in msgspec.structs.asdict(message).items()
        if value is not None and value is not msgspec.UNSET and value != ()
    }
    return " ".join([name, *(f"{field}={_value(value)}" for field, value in fields.items())])


def _value(value: Any) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError):
        return repr(value)


def main() -> int:
    """Decode from standard input to standard output."""
    decode_lines(sys.stdin, sys.stdout)
    return 0
