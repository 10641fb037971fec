"""The MessagePack hub protocol: one array per message, after its length (HubProtocol.md, MessagePack Encoding)."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, Self

import msgspec
from msgspec import UNSET, Meta, UnsetType

from asgi_signalr.errors import InvalidDataError, NamedDataError
from asgi_signalr.messages import (
    UNKNOWN,
    Ack,
    CancelInvocation,
    Close,
    Completion,
    CutOff,
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
from asgi_signalr.protocols.items import Items, with_cut_times
from asgi_signalr.protocols.plain import with_whole_characters
from asgi_signalr.protocols.values import PLAIN, Values, unsendable
from asgi_signalr.protocols.writing import Writing, has_offset

PING = b"\x02\x91\x06"
MAX_LENGTH = 0x7FFFFFFF
ERROR_RESULT, VOID_RESULT, NON_VOID_RESULT = 1, 2, 3

_Name = Annotated[str, Meta(min_length=1)]
_Headers = dict[_Name, _Name]


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
        self._encode_own = values.encode if self._writing is None else self._writing.after(values.encode)
        self._encode = msgspec.msgpack.Encoder(enc_hook=self._encode_own).encode

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
            items = _ARRAYS[type(message)](message)
        except RecursionError as error:
            raise unsendable(error) from None
        return self._framed(items)

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
        if type(message) is Completion:
            return self._framed([3, {}, message.invocation_id, NON_VOID_RESULT, message.result])
        return self._framed([2, {}, message.invocation_id, message.item])

    def _framed(self, items: list[Any]) -> bytes:
        try:
            body = self._encode(items)
        except UnicodeEncodeError:
            body = self._encode(with_whole_characters(items, self._encode_own))
        except (OverflowError, RecursionError) as error:
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
        raise NamedDataError("FormatException", "Messages over 2GB in size are not supported.")
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
    headers: _Headers
    invocation_id: str | None
    target: _Name
    arguments: list[Any]
    stream_ids: tuple[_Name, ...] = ()

    def message(self) -> Message | None:
        return Invocation(self.target, self.arguments, self.invocation_id or None, self.stream_ids)


class _FrequentStreamItem(_Frequent, frozen=True, tag=2):
    headers: _Headers
    invocation_id: _Name
    item: Any

    def message(self) -> Message | None:
        return StreamItem(self.invocation_id, self.item)


class _FrequentCompletion(_Frequent, frozen=True, tag=3):
    headers: _Headers
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
    items = Items(body)
    read = _READERS.get(items.integer("messageType"))
    return UNKNOWN if read is None else read(items)


def _read_invocation(items: Items) -> Message:
    items.skip_headers()
    invocation_id = items.text("invocationId") or None
    target = items.filled("target", "target for Invocation message")
    arguments, stream_ids = _arguments(items)
    return Invocation(target, arguments, invocation_id, stream_ids)


def _read_stream_invocation(items: Items) -> Message:
    items.skip_headers()
    invocation_id = items.filled("invocationId", "invocation ID for StreamInvocation message")
    target = items.filled("target", "target for StreamInvocation message")
    arguments, stream_ids = _arguments(items)
    return StreamInvocation(target, arguments, invocation_id, stream_ids)


def _arguments(items: Items) -> tuple[list[Any], tuple[str, ...]]:
    """Read the arguments of a call and the ids of its streams, which only matter if the arguments can be read."""
    arguments = items.arguments()
    if type(arguments) is Unreadable:
        return arguments, ()
    try:
        return arguments, items.stream_ids()
    except InvalidDataError as error:
        return CutOff(arguments, error), ()


def _read_stream_item(items: Items) -> Message:
    items.skip_headers()
    invocation_id = items.filled("invocationId", "invocation ID for StreamItem message")
    return StreamItem(invocation_id, items.value("item"))


def _read_completion(items: Items) -> Message:
    items.skip_headers()
    invocation_id = items.filled("invocationId", "invocation ID for Completion message")
    kind = items.integer("resultKind")
    if kind == ERROR_RESULT:
        return Completion(invocation_id, error=items.text("error"))
    if kind == VOID_RESULT:
        return Completion(invocation_id)
    if kind != NON_VOID_RESULT:
        raise InvalidDataError("Invalid invocation result kind.")
    return Completion(invocation_id, items.result())


def _read_cancel_invocation(items: Items) -> Message:
    items.skip_headers()
    return CancelInvocation(items.filled("invocationId", "invocation ID for CancelInvocation message"))


def _read_close(items: Items) -> Message:
    error = items.text("error")
    return Close(error, items.boolean("allowReconnect") if items.count > 2 else False)


_READERS: dict[int, Callable[[Items], Message]] = {
    1: _read_invocation,
    2: _read_stream_item,
    3: _read_completion,
    4: _read_stream_invocation,
    5: _read_cancel_invocation,
    6: lambda items: Ping(),
    7: _read_close,
    8: lambda items: Ack(items.integer("sequenceId", 64)),
    9: lambda items: Sequence(items.integer("sequenceId", 64)),
}
