"""The JSON hub protocol: one object per message, each ended by the record separator (HubProtocol.md, JSON Encoding)."""

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Literal, NoReturn, Self

import msgspec
from msgspec import UNSET, structs

from asgi_signalr.errors import InvalidDataError, NamedDataError
from asgi_signalr.messages import (
    UNKNOWN,
    Ack,
    AnyMessage,
    CancelInvocation,
    Close,
    Completion,
    Invocation,
    Message,
    Ping,
    StreamInvocation,
    StreamItem,
    Unreadable,
)
from asgi_signalr.messages import Sequence as SequenceMessage
from asgi_signalr.options import DecHook, EncHook, ValueForms
from asgi_signalr.protocols import check_size
from asgi_signalr.protocols.plain import with_text_keys, with_whole_characters
from asgi_signalr.protocols.values import PLAIN, Values, unsendable
from asgi_signalr.protocols.writing import Writing, has_offset

SEPARATOR = b"\x1e"
SEPARATOR_BYTE = SEPARATOR[0]
PING = b'{"type":6}' + SEPARATOR
HEADERS = b'"headers"'
"""What the headers of a message begin with. They mean nothing here, but are looked at if they are there."""

_Decode = Callable[[bytes | bytearray], Any]
_decode: _Decode = msgspec.json.Decoder().decode
_decode_message: _Decode = msgspec.json.Decoder(AnyMessage).decode
_decode_exactly: _Decode = msgspec.json.Decoder(float_hook=Decimal).decode
_decode_message_exactly: _Decode = msgspec.json.Decoder(AnyMessage, float_hook=Decimal).decode


class JsonHubProtocol:
    """Messages as JSON text. NaN and the infinities are written as null, since JSON has no word for them."""

    name = "json"
    version = 2
    binary = False

    def __init__(
        self,
        value_forms: ValueForms = "python",
        *,
        exact: bool = False,
        named_floats: bool = False,
        enc_hook: EncHook | None = None,
        dec_hook: DecHook | None = None,
    ) -> None:
        is_dotnet = value_forms == "dotnet"
        self._is_exact = exact or is_dotnet
        values = Values(
            binary=False,
            exact=self._is_exact,
            keeps_decimals=is_dotnet,
            named_floats=named_floats,
            enc_hook=enc_hook,
            dec_hook=dec_hook,
        )
        self.convert = values.convert
        self.converter = values.converter
        self._writing = Writing(binary=False) if is_dotnet else None
        self._encode_own = values.encode if self._writing is None else self._writing.after(values.encode)
        decimals: Literal["string", "number"] = "number" if is_dotnet else "string"
        self._encode = msgspec.json.Encoder(enc_hook=self._encode_own, decimal_format=decimals).encode
        self._encode_as_read = msgspec.json.Encoder(decimal_format="number").encode
        self._decode_message = _decode_message_exactly if self._is_exact else _decode_message

    def formed(
        self,
        value_forms: ValueForms,
        *,
        exact: bool = False,
        named_floats: bool = False,
        enc_hook: EncHook | None = None,
        dec_hook: DecHook | None = None,
    ) -> Self:
        """Make the same protocol with other forms of values, with hooks; exact: with all digits of numbers."""
        return type(self)(value_forms, exact=exact, named_floats=named_floats, enc_hook=enc_hook, dec_hook=dec_hook)

    def parse(self, buffer: bytearray, max_message_size: int) -> Iterator[Message]:
        """Take every whole message out of the buffer, and leave what is still incomplete."""
        while (end := buffer.find(SEPARATOR)) >= 0:
            check_size(end, max_message_size)
            record = buffer[:end]
            del buffer[: end + 1]
            yield parse_record(record, exact=self._is_exact)
        check_size(len(buffer), max_message_size)

    def parse_invocation(self, data: bytes, max_message_size: int) -> Invocation | None:
        """Read the one invocation that the data is; None if it is something else, for `parse` to judge."""
        try:
            if data[-1] != SEPARATOR_BYTE or len(data) > max_message_size + 1:
                return None
            if HEADERS in data or (b"-0" in data and _NEGATIVE_ZERO.search(data) is not None):
                return None
            message = self._decode_message(data[:-1])
        except (ValueError, RecursionError, IndexError):  # as with another separator in it, or nothing at all
            return None
        return message if type(message) is Invocation else None

    def write(self, message: Message) -> bytes:
        """Encode one message with its record separator. Absent properties are left out: clients refuse empty ones."""
        if type(message) is Completion:
            if message.error is not None:
                message = Completion(message.invocation_id, error=message.error)  # never with a result as well
        elif type(message) is Ping:
            return PING
        return self._write(message) if self._writing is None else self._write(self._writing.message(message))

    def write_as_read(self, message: Message) -> bytes:
        """Encode a message that has been read: numbers that were read exactly are numbers again."""
        return self._encode_as_read(message) + SEPARATOR

    def writer(self, to: Any) -> Callable[[Message], bytes]:
        """Prepare `write` for the results or items of a declared type: they are neither errors nor pings."""
        if (writing := self._writing) is None or (isinstance(to, type) and to in PLAIN):
            return self._write
        return (lambda message: self._write(writing.message(message, to))) if has_offset(to) else self.write

    def _write(self, message: Message) -> bytes:
        try:
            return self._encode(message) + SEPARATOR
        except UnicodeEncodeError:
            return self._encode(with_whole_characters(message, self._encode_own)) + SEPARATOR
        except (OverflowError, RecursionError) as error:
            raise unsendable(error) from None
        except TypeError as error:
            try:
                return self._encode(_with_text_keys(message, self._encode_own)) + SEPARATOR
            except (TypeError, ValueError, RecursionError):
                raise error from None


def _with_text_keys(message: Message, encode: EncHook) -> Message:
    match message:
        case Completion(result=result):
            return structs.replace(message, result=with_text_keys(result, encode))
        case StreamItem(item=item):
            return structs.replace(message, item=with_text_keys(item, encode))
        case Invocation(arguments=arguments) | StreamInvocation(arguments=arguments):
            return structs.replace(message, arguments=with_text_keys(arguments, encode))
    return message


def parse_record(record: bytes | bytearray, *, exact: bool = False) -> Message:
    """Read one message without its separator.

    Args:
        record: the message.
        exact: whether numbers with a fraction become `Decimal`, with all their digits.

    Raises:
        InvalidDataError: it is no JSON object, or a required property is missing or of the wrong type.

    """
    try:
        if b"-0" in record and _NEGATIVE_ZERO.search(record) is not None:
            record = _with_negative_zeros(record)
        message: Message = (_decode_message_exactly if exact else _decode_message)(record)
    except (ValueError, RecursionError):
        return _read_slowly(record, exact)
    is_doubtful = HEADERS in record or (type(message) is Completion and _says_too_much(message))
    return _read_slowly(record, exact) if is_doubtful else message


def _says_too_much(completion: Completion) -> bool:
    return completion.error is not None and completion.result is not UNSET


# What is not quite as the messages are declared: null for what is absent, a type not known, or a reason to complain.


def _read_slowly(record: bytes | bytearray, exact: bool) -> Message:
    try:
        wire = (_decode_exactly if exact else _decode)(record)
    except (ValueError, RecursionError) as error:  # malformed, not UTF-8, or it has a value that cannot be read
        wire = _without_unreadable(record, error)
    check_object(wire)
    if "type" in wire:
        check_int(wire["type"], "type")
        if wire["type"] not in _READERS:
            return UNKNOWN  # whatever else it has
    for name, value in wire.items():
        if (check := _CHECKS.get(name)) is not None:
            check(value, name)
    return _READERS[_required(wire, "type")](wire)


_VALUES = {"arguments", "item", "result"}


def _without_unreadable(record: bytes | bytearray, error: Exception) -> Any:
    """Read a message whose values cannot be read, such as half of a surrogate pair: the rest of it is as it is.

    Raises:
        InvalidDataError: it is no JSON, or more than its values cannot be read.

    """
    try:
        wire = json.loads(record.decode(), parse_constant=refuse_word, parse_int=_number, parse_float=_number)
        if isinstance(wire, dict):
            for name in _VALUES & wire.keys():
                count = len(wire[name]) if isinstance(wire[name], list) else 0
                wire[name] = Unreadable(ValueError(str(error)), count)
        _decode(json.dumps(wire, ensure_ascii=False).encode())
    except (ValueError, RecursionError):
        raise InvalidDataError(f"Error reading JSON. {error}") from None
    return wire


_NEGATIVE_ZERO = re.compile(rb"-0\s*[],}]")
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|-0(?=\s*[],}])', re.DOTALL)


def _with_negative_zeros(record: bytes | bytearray) -> bytes:
    """Write -0 as a number with a fraction: as a whole one it would lose its sign."""
    return _TOKENS.sub(lambda found: b"-0.0" if found[0] == b"-0" else found[0], record)


def _number(text: str) -> int | float:
    """Read a number of the message itself; one that is too long for Python stands among its values."""
    return int(text) if len(text) < 20 and text.lstrip("-").isdecimal() else 0.0


def refuse_word(word: str) -> NoReturn:
    """Refuse what Python's decoder takes for a number, and JSON does not know: NaN and Infinity.

    Raises:
        ValueError: always.

    """
    raise ValueError(f"{word} is no JSON")


def check_object(wire: Any) -> None:
    """Refuse what is no object.

    Raises:
        InvalidDataError: says what it is.

    """
    if not isinstance(wire, dict):
        raise InvalidDataError(f"Unexpected JSON Token Type '{_token(wire)}'. Expected a JSON Object.")


def _token(value: Any) -> str:
    """Name what a value is in JSON, as .NET does."""
    return str(value) if isinstance(value, bool) else _TOKENS_OF.get(type(value), "Number")


_TOKENS_OF = {list: "Array", dict: "Object", str: "String", type(None): "Null"}


# What each property has to be, whatever the message: they are looked at as they come.


def check_int(value: Any, name: str, bits: int = 32) -> None:
    """Refuse what is no whole number of so many bits.

    Raises:
        InvalidDataError: it is another number, or none.

    """
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise InvalidDataError(f"Expected '{name}' to be of type Number.")
    if not isinstance(value, int) or not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        text = f"Either the JSON value is not in a supported format, or is out of bounds for an Int{bits}."
        raise NamedDataError("FormatException", text)


def check_text(value: Any, name: str) -> None:
    """Refuse what is no text.

    Raises:
        InvalidDataError: it is none.

    """
    if not isinstance(value, str):
        raise InvalidDataError(f"Expected '{name}' to be of type String.")


def _check_text_or_null(value: Any, name: str) -> None:
    if value is not None:
        check_text(value, name)


def _check_array(value: Any, name: str) -> None:
    if not isinstance(value, list):
        raise InvalidDataError(f"Expected '{name}' to be of type Array.")


def _check_stream_ids(value: Any, name: str) -> None:
    if value is None:
        return
    _check_array(value, name)
    for each in value:
        if each is None:
            raise InvalidDataError(f"Null value for '{name}' is not valid.")
        if not isinstance(each, str):
            token = {"Array": "StartArray", "Object": "StartObject"}.get(_token(each), _token(each))
            text = f"Cannot get the value of a token type '{token}' as a string."
            raise NamedDataError("InvalidOperationException", text)


def _check_bool(value: Any, name: str) -> None:
    if value is not None and not isinstance(value, bool):
        raise InvalidDataError(f"Expected '{name}' to be true or false.")


def _check_headers(value: Any, name: str) -> None:
    if not isinstance(value, dict):
        raise InvalidDataError(f"Expected '{name}' to be of type StartObject.")
    for header, text in value.items():
        if not isinstance(text, str):
            raise InvalidDataError(f"Expected header '{header}' to be of type String.")


_CHECKS: dict[str, Callable[[Any, str], None]] = {
    "invocationId": _check_text_or_null,
    "streamIds": _check_stream_ids,
    "target": check_text,
    "error": _check_text_or_null,
    "allowReconnect": _check_bool,
    "arguments": _check_array,
    "headers": _check_headers,
    "sequenceId": lambda value, name: check_int(value, name, 64),
}


# Of each message, which have to be there.


def _required(wire: dict[str, Any], name: str) -> Any:
    if name not in wire:
        raise InvalidDataError(f"Missing required property '{name}'.")
    return wire[name]


def _invocation_id(wire: dict[str, Any]) -> str:
    invocation_id: str = wire.get("invocationId", "")
    check_text(invocation_id, "invocationId")
    if not invocation_id:  # clients fail at an answer with it
        raise InvalidDataError("Missing required property 'invocationId'.")
    return invocation_id


def _stream_ids(wire: dict[str, Any]) -> tuple[str, ...]:
    return tuple(wire.get("streamIds") or ())


def _read_invocation(wire: dict[str, Any]) -> Message:
    target, arguments = _required(wire, "target"), _required(wire, "arguments")
    return Invocation(target, arguments, wire.get("invocationId") or None, _stream_ids(wire))


def _read_stream_item(wire: dict[str, Any]) -> Message:
    return StreamItem(_invocation_id(wire), _required(wire, "item"))


def _read_completion(wire: dict[str, Any]) -> Message:
    invocation_id, error = _invocation_id(wire), wire.get("error")
    if error is not None and "result" in wire:
        raise InvalidDataError("The 'error' and 'result' properties are mutually exclusive.")
    return Completion(invocation_id, wire.get("result", UNSET), error)


def _read_stream_invocation(wire: dict[str, Any]) -> Message:
    target, invocation_id = _required(wire, "target"), _invocation_id(wire)
    return StreamInvocation(target, _required(wire, "arguments"), invocation_id, _stream_ids(wire))


_READERS: dict[int, Callable[[dict[str, Any]], Message]] = {
    1: _read_invocation,
    2: _read_stream_item,
    3: _read_completion,
    4: _read_stream_invocation,
    5: lambda wire: CancelInvocation(_invocation_id(wire)),
    6: lambda wire: Ping(),
    7: lambda wire: Close(wire.get("error"), wire.get("allowReconnect") or False),
    8: lambda wire: Ack(_required(wire, "sequenceId")),
    9: lambda wire: SequenceMessage(_required(wire, "sequenceId")),
}
