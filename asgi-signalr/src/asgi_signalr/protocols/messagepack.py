"""The MessagePack hub protocol: one array per message, after its length (HubProtocol.md, MessagePack Encoding)."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, Self

import msgspec
from msgspec import UNSET, Meta, UnsetType

from asgi_signalr.errors import InvalidDataError
from asgi_signalr.messages import (
    UNKNOWN,
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
    Unreadable,
)
from asgi_signalr.options import DecHook, EncHook, ValueForms
from asgi_signalr.protocols import check_size
from asgi_signalr.protocols.enums import FREE, is_free, named
from asgi_signalr.protocols.items import items_of, with_cut_times
from asgi_signalr.protocols.values import PLAIN, Values, unsendable
from asgi_signalr.protocols.writing import Writing, has_offset

PING = b"\x02\x91\x06"
MAX_LENGTH = 0x7FFFFFFF
ERROR_RESULT, VOID_RESULT, NON_VOID_RESULT = 1, 2, 3

_decode = msgspec.msgpack.Decoder().decode
_Name = Annotated[str, Meta(min_length=1)]


class MessagePackHubProtocol:
    """Messages as MessagePack: bytes and times travel as they are, and the frames are binary."""

    name = "messagepack"
    version = 2
    binary = True

    def __init__(
        self,
        value_forms: ValueForms = "python",
        *,
        named_floats: bool = False,
        enc_hook: EncHook | None = None,
        dec_hook: DecHook | None = None,
    ) -> None:
        values = Values(binary=True, named_floats=named_floats, enc_hook=enc_hook, dec_hook=dec_hook)
        self.convert = values.convert
        self.converter = values.converter
        self._writing = Writing(binary=True) if value_forms == "dotnet" else None
        self._encode = msgspec.msgpack.Encoder(enc_hook=values.encode).encode

    def formed(
        self,
        value_forms: ValueForms,
        *,
        exact: bool = False,
        named_floats: bool = False,
        enc_hook: EncHook | None = None,
        dec_hook: DecHook | None = None,
    ) -> Self:
        """Make the same protocol with other forms of values, with hooks; its numbers are exact anyway."""
        return type(self)(value_forms, named_floats=named_floats, enc_hook=enc_hook, dec_hook=dec_hook)

    def parse(self, buffer: bytearray, max_message_size: int) -> Iterator[Message]:
        """Take every whole message out of the buffer, and leave what is still incomplete."""
        while (prefix := read_length(buffer)) is not None:
            start, length = prefix
            check_size(length, max_message_size)
            end = start + length
            if len(buffer) < end:
                return
            body = buffer[start:end]
            del buffer[:end]
            yield parse_body(body)

    def parse_invocation(self, data: bytes, max_message_size: int) -> Invocation | None:
        """Read the one invocation that the data is; None if it is something else, for `parse` to judge."""
        try:
            prefix = read_length(data)
            if prefix is None or prefix[1] > max_message_size or prefix[0] + prefix[1] != len(data):
                return None
            message = parse_body(data[prefix[0] :])
        except InvalidDataError:
            return None
        return message if type(message) is Invocation and type(message.arguments) is list else None

    def write(self, message: Message) -> bytes:
        """Encode one message with its length."""
        if type(message) is Ping:
            return PING
        if self._writing is not None:
            message = self._writing.message(message)
        try:
            body = self._encode(_ARRAYS[type(message)](message))
        except (UnicodeEncodeError, OverflowError, RecursionError) as error:
            raise unsendable(error) from None
        return write_length(len(body)) + body

    def writer(self, to: Any) -> Callable[[Message], bytes]:
        """Prepare `write` for the results or items of a declared type: most can hold no enum to look for."""
        if self._writing is not None:
            writing, write = self._writing, self.write
            if isinstance(to, type) and to in PLAIN:
                return self._write_as_declared
            return (lambda message: self._write_as_declared(writing.message(message, to))) if has_offset(to) else write
        return self._write_as_declared if is_free(to) else self.write

    def _write_as_declared(self, message: Any) -> bytes:
        """Encode a result or an item that holds no enum."""
        try:
            if type(message) is Completion:
                body = self._encode([3, {}, message.invocation_id, NON_VOID_RESULT, message.result])
            else:
                body = self._encode([2, {}, message.invocation_id, message.item])
        except (UnicodeEncodeError, OverflowError, RecursionError) as error:
            raise unsendable(error) from None
        return write_length(len(body)) + body


# The framing.


def read_length(buffer: bytes | bytearray) -> tuple[int, int] | None:
    """Read the length of a message in bytes, and where the message begins; None while the length is incomplete.

    Seven bits per byte, the lowest first; the highest bit says that another byte follows.

    Raises:
        InvalidDataError: the length is no length.

    """
    if buffer and buffer[0] < 0x80:  # the most frequent one
        return 1, buffer[0]
    length = 0
    for at, byte in enumerate(buffer[:5]):
        length |= (byte & 0x7F) << 7 * at
        if byte < 0x80:
            break
    else:
        if len(buffer) < 5:
            return None
        length = MAX_LENGTH + 1
    if length > MAX_LENGTH:
        raise InvalidDataError("Messages over 2GB in size are not supported.")
    return at + 1, length


def write_length(length: int) -> bytes:
    """Encode the length of a message in bytes.

    Raises:
        ValueError: the message is longer than any may be.

    """
    if length < 0x80:
        return _SHORT[length]
    if length > MAX_LENGTH:
        raise ValueError("Messages over 2GB in size are not supported.")
    prefix = bytearray()
    while length >= 0x80:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    prefix.append(length)
    return bytes(prefix)


_SHORT = [bytes((length,)) for length in range(0x80)]


# Messages to arrays.


def _completion(message: Completion) -> list[Any]:
    result = message.result
    if message.error is not None:
        return [3, {}, message.invocation_id, ERROR_RESULT, message.error]
    if result is UNSET:
        return [3, {}, message.invocation_id, VOID_RESULT]
    return [3, {}, message.invocation_id, NON_VOID_RESULT, result if type(result) in FREE else named(result)]


_ARRAYS: dict[type[Message], Callable[[Any], list[Any]]] = {
    Invocation: lambda m: [1, {}, m.invocation_id or None, m.target, named(m.arguments), m.stream_ids],
    StreamItem: lambda m: [2, {}, m.invocation_id, m.item if type(m.item) in FREE else named(m.item)],
    Completion: _completion,
    StreamInvocation: lambda m: [4, {}, m.invocation_id, m.target, named(m.arguments), m.stream_ids],
    CancelInvocation: lambda m: [5, {}, m.invocation_id],
    Close: lambda m: [7, m.error or None, m.allow_reconnect],
    Ack: lambda m: [8, m.sequence_id],
    Sequence: lambda m: [9, m.sequence_id],
}


# Arrays to messages.


def parse_body(body: bytes | bytearray) -> Message:
    """Read one message without its length.

    Raises:
        InvalidDataError: it is no array, or an item is missing or of the wrong type.

    """
    if b"\xff" in body:
        body = with_cut_times(body)
    try:
        message = _decode_frequent(body).message()
    except (ValueError, RecursionError):
        return _read_slowly(body)
    return _read_slowly(body) if message is None else message


# The most frequent ones, as msgspec reads them at once.


class _Frequent(msgspec.Struct, array_like=True, frozen=True):
    """A message as it should be. More items may follow."""


class _FrequentInvocation(_Frequent, frozen=True, tag=1):
    headers: dict[str, str]
    invocation_id: str | None
    target: _Name
    arguments: list[Any]
    stream_ids: tuple[_Name, ...] = ()

    def message(self) -> Message | None:
        return Invocation(self.target, self.arguments, self.invocation_id or None, self.stream_ids)


class _FrequentStreamItem(_Frequent, frozen=True, tag=2):
    headers: dict[str, str]
    invocation_id: _Name
    item: Any

    def message(self) -> Message | None:
        return StreamItem(self.invocation_id, self.item)


class _FrequentCompletion(_Frequent, frozen=True, tag=3):
    headers: dict[str, str]
    invocation_id: _Name
    kind: Literal[2, 3]  # with an error it is not so frequent
    result: Any | UnsetType = UNSET

    def message(self) -> Message | None:
        if self.kind == VOID_RESULT:
            return Completion(self.invocation_id)
        return None if self.result is UNSET else Completion(self.invocation_id, self.result)


class _FrequentPing(_Frequent, frozen=True, tag=6):
    def message(self) -> Message | None:
        return Ping()


_decode_frequent = msgspec.msgpack.Decoder(
    _FrequentInvocation | _FrequentStreamItem | _FrequentCompletion | _FrequentPing
).decode


# All the others, and what is wrong.


def _read_slowly(body: bytes | bytearray) -> Message:
    try:
        items = _decode(body)
    except (ValueError, RecursionError) as error:  # malformed, cut off, not UTF-8, no time that there is, nested deeply
        items = _without_unreadable(body, error)
    if type(items) is not list:
        raise InvalidDataError("Reading array length for 'message' failed.")
    kind = _int32(items, 0, "messageType")
    read = _READERS.get(kind)
    return UNKNOWN if read is None else read(items)


_VALUES: dict[Any, int] = {1: 4, 2: 3, 3: 4, 4: 4}
"""Where a message has its values, by its type."""


def _without_unreadable(body: bytes | bytearray, error: Exception) -> list[Any]:
    """Read a message whose values cannot be read, such as text that is no UTF-8: the rest of it is as it is.

    Raises:
        InvalidDataError: it is malformed, or more than its values cannot be read.

    """
    try:
        items = items_of(body)
        at = _VALUES.get(_decode(items[0]))
        unreadable = Unreadable(ValueError(str(error)))
        return [unreadable if number == at else _decode(each) for number, each in enumerate(items)]
    except (ValueError, RecursionError, TypeError, IndexError):
        raise InvalidDataError(f"Error reading MessagePack. {error}") from None


def _arguments(items: list[Any]) -> list[Any]:
    value = _item(items, 4)
    return (
        value
        if isinstance(value, list)
        else Unreadable(InvalidDataError("Reading array length for 'arguments' failed."))
    )


def _item(items: list[Any], at: int) -> Any:
    return items[at] if at < len(items) else UNSET


def _int32(items: list[Any], at: int, name: str) -> int:
    value = _item(items, at)
    if type(value) is not int or not -(2**31) <= value < 2**31:
        raise InvalidDataError(f"Reading '{name}' as Int32 failed.")
    return value


def _string(items: list[Any], at: int, name: str) -> str | None:
    value = _item(items, at)
    if value is None or type(value) is str:
        return value
    raise InvalidDataError(f"Reading '{name}' as String failed.")


def _required(items: list[Any], at: int, name: str, what: str) -> str:
    value = _string(items, at, name)
    if not value:
        raise InvalidDataError(f"Null or empty {what}.")
    return value


def _list(items: list[Any], at: int, name: str) -> list[Any]:
    value = _item(items, at)
    if type(value) is not list:
        raise InvalidDataError(f"Reading array length for '{name}' failed.")
    return value


def _skip_headers(items: list[Any]) -> None:
    """Look whether the headers are there; nothing in them means anything (HubProtocol.md, Message Headers)."""
    headers = _item(items, 1)
    if type(headers) is not dict:
        raise InvalidDataError("Reading map length for 'headers' failed.")
    for number, each in enumerate(headers.items()):
        for part, text in zip(("Key", "Value"), each, strict=True):
            if type(text) is not str:
                raise InvalidDataError(f"Reading 'headers[{number}].{part}' as String failed.")


def _stream_ids(items: list[Any]) -> tuple[str, ...]:
    if len(items) < 6:  # of a client from before there were upload streams
        return ()
    ids = _list(items, 5, "streamIds")
    return tuple(_required(ids, at, "streamIds", "value in streamIds received") for at in range(len(ids)))


def _read_invocation(items: list[Any]) -> Message:
    _skip_headers(items)
    return Invocation(
        invocation_id=_string(items, 2, "invocationId") or None,
        target=_required(items, 3, "target", "target for Invocation message"),
        arguments=_arguments(items),
        stream_ids=_stream_ids(items),
    )


def _read_stream_item(items: list[Any]) -> Message:
    _skip_headers(items)
    invocation_id = _required(items, 2, "invocationId", "invocation ID for StreamItem message")
    return StreamItem(
        invocation_id, items[3] if len(items) > 3 else Unreadable(InvalidDataError("Reading 'item' failed."))
    )


def _read_completion(items: list[Any]) -> Message:
    _skip_headers(items)
    invocation_id = _required(items, 2, "invocationId", "invocation ID for Completion message")
    kind = _int32(items, 3, "resultKind")
    if kind == ERROR_RESULT:
        return Completion(invocation_id, error=_string(items, 4, "error"))
    if kind == VOID_RESULT:
        return Completion(invocation_id)
    if kind != NON_VOID_RESULT:
        raise InvalidDataError("Invalid invocation result kind.")
    if len(items) < 5:
        raise InvalidDataError("Reading 'result' failed.")
    return Completion(invocation_id, items[4])


def _read_stream_invocation(items: list[Any]) -> Message:
    _skip_headers(items)
    return StreamInvocation(
        invocation_id=_required(items, 2, "invocationId", "invocation ID for StreamInvocation message"),
        target=_required(items, 3, "target", "target for StreamInvocation message"),
        arguments=_arguments(items),
        stream_ids=_stream_ids(items),
    )


def _read_cancel_invocation(items: list[Any]) -> Message:
    _skip_headers(items)
    return CancelInvocation(_required(items, 2, "invocationId", "invocation ID for CancelInvocation message"))


def _read_close(items: list[Any]) -> Message:
    error = _string(items, 1, "error")
    allow_reconnect = items[2] if len(items) > 2 else False
    if type(allow_reconnect) is not bool:
        raise InvalidDataError("Reading 'allowReconnect' as Boolean failed.")
    return Close(error, allow_reconnect)


def _sequence_id(items: list[Any]) -> int:
    value = _item(items, 1)
    if type(value) is not int or value >= 2**63:
        raise InvalidDataError("Reading 'sequenceId' as Int64 failed.")
    return value


_READERS: dict[int, Callable[[list[Any]], Message]] = {
    1: _read_invocation,
    2: _read_stream_item,
    3: _read_completion,
    4: _read_stream_invocation,
    5: _read_cancel_invocation,
    6: lambda items: Ping(),
    7: _read_close,
    8: lambda items: Ack(_sequence_id(items)),
    9: lambda items: Sequence(_sequence_id(items)),
}
