"""The JSON hub protocol: one object per message, each ended by the record separator."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from msgspec import UNSET

from asgi_signalr.errors import InvalidDataError
from asgi_signalr.messages import (
    Ack,
    CancelInvocation,
    Close,
    Completion,
    Invocation,
    Message,
    Ping,
    Sequence,
    StreamInvocation,
    StreamItem,
)

SEPARATOR = b"\x1e"


def _foreign(value: Any) -> Any:
    """Encode what msgspec does not know; pydantic's models know how themselves."""
    dump = getattr(value, "model_dump", None)
    if dump is None:
        raise TypeError(f"A value of type {type(value).__name__} cannot be sent to a client.")
    return dump(mode="json")


def _native(to: type, value: Any) -> Any:
    """Make what msgspec does not know from a received value; pydantic's models know how themselves."""
    validate = getattr(to, "model_validate", None)
    if validate is None:
        raise NotImplementedError(f"A parameter of type {to.__name__} cannot be received from a client.")
    return validate(value)


_encode = msgspec.json.Encoder(enc_hook=_foreign).encode
_decode = msgspec.json.Decoder().decode


class JsonHubProtocol:
    """Messages as JSON text. NaN and the infinities are written as null, since JSON has no word for them."""

    name = "json"
    version = 2
    binary = False

    def parse(self, buffer: bytearray, max_message_size: int) -> Iterator[Message]:
        """Take every whole message out of the buffer, and leave what is still incomplete."""
        *records, rest = bytes(buffer).split(SEPARATOR)
        buffer[:] = rest
        for record in records:
            _check_size(record, max_message_size)
            if (message := parse_record(record)) is not None:
                yield message
        _check_size(rest, max_message_size)

    def write(self, message: Message) -> bytes:
        """Encode one message with its record separator."""
        return _encode(_as_object(message)) + SEPARATOR

    def convert(self, value: Any, to: Any) -> Any:
        """Turn a value of the JSON types into the type that a hub method declares."""
        return msgspec.convert(value, to, builtin_types=(), str_keys=True, dec_hook=_native)


def _check_size(record: bytes, max_message_size: int) -> None:
    if len(record) > max_message_size:
        raise InvalidDataError(
            f"The maximum message size of {max_message_size}B was exceeded. "
            "The message size can be configured with SignalR(max_message_size=…)."
        )


def _as_object(message: Message) -> dict[str, Any]:
    """Spell a message out; absent properties are left out, since clients refuse empty ones."""
    match message:
        case Invocation(target, arguments, invocation_id, stream_ids):
            wire: dict[str, Any] = {"type": 1, "target": target, "arguments": arguments}
            if invocation_id:
                wire["invocationId"] = invocation_id
            if stream_ids:
                wire["streamIds"] = stream_ids
        case StreamItem(invocation_id, item):
            wire = {"type": 2, "invocationId": invocation_id, "item": item}
        case Completion(invocation_id, result, error):
            wire = {"type": 3, "invocationId": invocation_id}
            if error is not None:
                wire["error"] = error
            elif result is not UNSET:
                wire["result"] = result
        case StreamInvocation(target, arguments, invocation_id, stream_ids):
            wire = {"type": 4, "target": target, "arguments": arguments, "invocationId": invocation_id}
            if stream_ids:
                wire["streamIds"] = stream_ids
        case CancelInvocation(invocation_id):
            wire = {"type": 5, "invocationId": invocation_id}
        case Close(error, allow_reconnect):
            wire = {"type": 7}
            if error:
                wire["error"] = error
            if allow_reconnect:
                wire["allowReconnect"] = True
        case Ack(sequence_id):
            wire = {"type": 8, "sequenceId": sequence_id}
        case Sequence(sequence_id):
            wire = {"type": 9, "sequenceId": sequence_id}
        case _:
            wire = {"type": 6}
    return wire


def parse_record(record: bytes) -> Message | None:
    """Read one message without its separator; None for a type that this version does not know.

    Raises:
        InvalidDataError: it is no JSON object, or a required property is missing or of the wrong type.

    """
    try:
        wire = _decode(record)
    except (ValueError, RecursionError) as error:  # malformed, not UTF-8, a number or a nesting too long
        raise InvalidDataError(f"Error reading JSON. {error}") from None
    if not isinstance(wire, dict):
        raise InvalidDataError("Unexpected JSON Token Type. Expected a JSON Object.")
    kind = _required(wire, "type", int)
    read = _READERS.get(kind)
    return None if read is None else read(wire)


_JSON_NAMES = {int: "Number", str: "String", list: "Array", bool: "Boolean"}


def _required(wire: dict[str, Any], name: str, of: type) -> Any:
    if name not in wire:
        raise InvalidDataError(f"Missing required property '{name}'.")
    return _typed(wire[name], name, of)


def _optional(wire: dict[str, Any], name: str, of: type) -> Any:
    value = wire.get(name)
    return None if value is None else _typed(value, name, of)


def _typed(value: Any, name: str, of: type) -> Any:
    if not isinstance(value, of) or (of is int and isinstance(value, bool)):
        raise InvalidDataError(f"Expected '{name}' to be of type {_JSON_NAMES[of]}.")
    return value


def _stream_ids(wire: dict[str, Any]) -> tuple[str, ...]:
    return tuple(_typed(each, "streamIds", str) for each in _optional(wire, "streamIds", list) or ())


def _read_invocation(wire: dict[str, Any]) -> Message:
    return Invocation(
        _required(wire, "target", str),
        _required(wire, "arguments", list),
        _optional(wire, "invocationId", str) or None,
        _stream_ids(wire) if "streamIds" in wire else (),
    )


def _read_stream_item(wire: dict[str, Any]) -> Message:
    if "item" not in wire:
        raise InvalidDataError("Missing required property 'item'.")
    return StreamItem(_required(wire, "invocationId", str), wire["item"])


def _read_completion(wire: dict[str, Any]) -> Message:
    error = _optional(wire, "error", str)
    if error is not None and "result" in wire:
        raise InvalidDataError("The 'error' and 'result' properties are mutually exclusive.")
    return Completion(_required(wire, "invocationId", str), wire.get("result", UNSET), error)


def _read_stream_invocation(wire: dict[str, Any]) -> Message:
    return StreamInvocation(
        _required(wire, "target", str),
        _required(wire, "arguments", list),
        _required(wire, "invocationId", str),
        _stream_ids(wire),
    )


def _read_close(wire: dict[str, Any]) -> Message:
    return Close(_optional(wire, "error", str), _optional(wire, "allowReconnect", bool) or False)


_READERS: dict[int, Callable[[dict[str, Any]], Message]] = {
    1: _read_invocation,
    2: _read_stream_item,
    3: _read_completion,
    4: _read_stream_invocation,
    5: lambda wire: CancelInvocation(_required(wire, "invocationId", str)),
    6: lambda wire: Ping(),
    7: _read_close,
    8: lambda wire: Ack(_required(wire, "sequenceId", int)),
    9: lambda wire: Sequence(_required(wire, "sequenceId", int)),
}
