"""The MessagePack hub protocol, byte for byte: the vectors are those of HubProtocol.md."""

import itertools
from datetime import datetime, timedelta, timezone
from typing import Any, cast

import msgspec
import pytest
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
from asgi_signalr.protocols.messagepack import MessagePackHubProtocol, parse_body, read_length, write_length

messagepack = MessagePackHubProtocol()
HEADERS = "82 a1 78 a1 79 a1 7a a1 7a"
UNEXPECTED = "MessagePackSerializationException"


def parse(data: bytes, limit: int = 32768) -> list[Message]:
    buffer = bytearray(data)
    messages = list(messagepack.parse(buffer, limit))
    assert buffer == b""
    return messages


def framed(body: bytes | str | list[Any]) -> bytes:
    if isinstance(body, str):
        body = bytes.fromhex(body)
    elif isinstance(body, list):
        body = msgspec.msgpack.encode(body)
    return write_length(len(body)) + body


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("96 01 80 a3 78 79 7a a6 6d 65 74 68 6f 64 91 2a 90", Invocation("method", [42], "xyz")),
        ("96 01 80 c0 a6 6d 65 74 68 6f 64 91 2a 90", Invocation("method", [42])),
        ("96 04 80 a3 78 79 7a a6 6d 65 74 68 6f 64 91 2a 90", StreamInvocation("method", [42], "xyz")),
        ("94 02 80 a3 78 79 7a 2a", StreamItem("xyz", 42)),
        ("95 03 80 a3 78 79 7a 01 a5 45 72 72 6f 72", Completion("xyz", error="Error")),
        ("94 03 80 a3 78 79 7a 02", Completion("xyz")),
        ("95 03 80 a3 78 79 7a 03 2a", Completion("xyz", 42)),
        ("93 05 80 a3 78 79 7a", CancelInvocation("xyz")),
        ("91 06", Ping()),
        ("93 07 a3 78 79 7a c3", Close("xyz", allow_reconnect=True)),
        ("92 08 cc 24", Ack(36)),
        ("92 09 cc 13", Sequence(19)),
        # and what the specification shows no bytes of
        ("95 03 80 a3 78 79 7a 03 c0", Completion("xyz", None)),
        ("94 02 80 a3 78 79 7a c0", StreamItem("xyz", None)),
        ("93 07 c0 c2", Close()),
        ("96 01 80 c0 a1 61 90 92 a1 31 a1 32", Invocation("a", [], stream_ids=("1", "2"))),
    ],
)
def test_every_message_has_one_spelling_and_is_read_back(body: str, message: Message) -> None:
    if not isinstance(message, Ack | Sequence):  # 36 fits into a fixint, which is as good
        assert messagepack.write(message) == framed(body)
    assert parse(framed(body)) == [message]
    assert parse(messagepack.write(message)) == [message]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (f"96 01 {HEADERS} a3 78 79 7a a6 6d 65 74 68 6f 64 91 2a 90", Invocation("method", [42], "xyz")),
        (f"94 02 {HEADERS} a3 78 79 7a 2a", StreamItem("xyz", 42)),
        ("92 07 a3 78 79 7a", Close("xyz")),
        ("92 07 c0", Close()),
        ("95 01 80 a3 78 79 7a a6 6d 65 74 68 6f 64 91 2a", Invocation("method", [42], "xyz")),
        ("95 04 80 a3 78 79 7a a6 6d 65 74 68 6f 64 91 2a", StreamInvocation("method", [42], "xyz")),
        ("96 01 80 a0 a6 6d 65 74 68 6f 64 91 2a 90", Invocation("method", [42])),
        ("98 01 80 c0 a6 6d 65 74 68 6f 64 91 2a 90 c3 80", Invocation("method", [42])),
        ("95 03 80 a3 78 79 7a 02 2a", Completion("xyz")),
        ("92 06 2a", Ping()),
        ("94 07 c0 c3 2a", Close(allow_reconnect=True)),
    ],
)
def test_other_spellings_are_read_too(body: str, message: Message) -> None:
    assert parse(framed(body)) == [message]


def test_unknown_types_are_ignored_whatever_else_they_hold() -> None:
    assert parse(framed([99, 5, "x"]) + framed([-1]) + framed([0]) + framed([6])) == [UNKNOWN, UNKNOWN, UNKNOWN, Ping()]


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([], "Reading 'messageType' as Int32 failed."),
        (["1"], "Reading 'messageType' as Int32 failed."),
        ([True], "Reading 'messageType' as Int32 failed."),
        ([1.0], "Reading 'messageType' as Int32 failed."),
        ([2**31], "Reading 'messageType' as Int32 failed."),
        ([1], "Reading map length for 'headers' failed."),
        ([1, []], "Reading map length for 'headers' failed."),
        ([1, {"a": 1}], "Reading 'headers[0].Value' as String failed."),
        ([1, {"a": "b", 1: "c"}], "Reading 'headers[1].Key' as String failed."),
        ([1, {"": "b"}], "Null or empty key in header."),
        ([1, {"a": None}], "Null or empty value in header."),
        ([1, {}], "Reading 'invocationId' as String failed."),
        ([1, {}, 7], "Reading 'invocationId' as String failed."),
        ([1, {}, None], "Reading 'target' as String failed."),
        ([1, {}, None, 7, []], "Reading 'target' as String failed."),
        ([1, {}, None, None, []], "Null or empty target for Invocation message."),
        ([1, {}, None, "", []], "Null or empty target for Invocation message."),
        ([2, {}, None, 1], "Null or empty invocation ID for StreamItem message."),
        ([3, {}, "", 2], "Null or empty invocation ID for Completion message."),
        ([3, {}, "1"], "Reading 'resultKind' as Int32 failed."),
        ([3, {}, "1", "2"], "Reading 'resultKind' as Int32 failed."),
        ([3, {}, "1", 4], "Invalid invocation result kind."),
        ([3, {}, "1", 1, 5], "Reading 'error' as String failed."),
        ([3, {}, "1", 3], "Attempted to read past the end of the stream."),
        ([4, {}, None, "a", []], "Null or empty invocation ID for StreamInvocation message."),
        ([4, {}, "1", "", []], "Null or empty target for StreamInvocation message."),
        ([5, {}, None], "Null or empty invocation ID for CancelInvocation message."),
        ([5, {}, 1], "Reading 'invocationId' as String failed."),
        ([7], "Reading 'error' as String failed."),
        ([7, None, 1], "Reading 'allowReconnect' as Boolean failed."),
        ([8, "1"], "Reading 'sequenceId' as Int64 failed."),
        ([8, 2**63], "Reading 'sequenceId' as Int64 failed."),
        ([9], "Reading 'sequenceId' as Int64 failed."),
    ],
)
def test_what_is_missing_or_mistyped_is_said(items: list[Any], said: str) -> None:
    with pytest.raises(InvalidDataError) as caught:
        parse(framed(items))
    assert str(caught.value) == said


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x06",
        b"\x81\x01\x02",
        b"\xc1",
        b"\x92\x06",
        b"\xdd\xff\xff\xff\xff\x06",
        b"\xdf\xff\xff\xff\xff\x06",
        b"\x91" * 20_000,
        b"\x81\x91" * 10_000,
        b"\x81\x80\x01",
    ],
)
def test_what_is_no_message_is_a_protocol_error_and_nothing_worse(body: bytes) -> None:
    with pytest.raises(InvalidDataError):
        parse(framed(body), 2**20)


@pytest.mark.parametrize(
    ("body", "name", "said"),
    [
        (b"", "EndOfStreamException", "Attempted to read past the end of the stream."),
        (b"\x92\x06", "EndOfStreamException", "Attempted to read past the end of the stream."),
        (b"\x01", UNEXPECTED, "Unexpected msgpack code 1 (positive fixint) encountered."),
        (b"\x80", UNEXPECTED, "Unexpected msgpack code 128 (fixmap) encountered."),
        (b"\xa0", UNEXPECTED, "Unexpected msgpack code 160 (fixstr) encountered."),
        (b"\xc0", UNEXPECTED, "Unexpected msgpack code 192 (nil) encountered."),
        (b"\xd9\x00", UNEXPECTED, "Unexpected msgpack code 217 (str 8) encountered."),
        (b"\xde\x00\x00", UNEXPECTED, "Unexpected msgpack code 222 (map 16) encountered."),
        (b"\xff", UNEXPECTED, "Unexpected msgpack code 255 (negative fixint) encountered."),
        (
            b"\x93\x05\x82\xa1a\xa1b\xa1a\xa1c\xa11",
            "ArgumentException",
            "An item with the same key has already been added. Key: a",
        ),
    ],
)
def test_some_mistakes_have_another_name_in_dotnet(body: bytes, name: str, said: str) -> None:
    with pytest.raises(NamedDataError) as caught:
        parse_body(body)
    assert (caught.value.name, str(caught.value)) == (name, said)


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (b"", "Reading array length for 'streamIds' failed."),
        (b"\xc0", "Reading array length for 'streamIds' failed."),
        (b"\x91\x01", "Unexpected msgpack code 1 (positive fixint) encountered."),
        (b"\x91\xa0", "Null or empty value in streamIds received."),
        (b"\x91\xc0", "Null or empty value in streamIds received."),
    ],
)
def test_what_is_wrong_behind_the_arguments_waits_for_them_to_fit(ids: bytes, said: str) -> None:
    message = parse_body(b"\x96\x01\x80\xc0\xa1a\x91\x01" + ids)
    assert isinstance(message, Invocation)
    assert isinstance(message.arguments, CutOff)
    assert (message.arguments, message.stream_ids) == ([1], ())
    assert str(message.arguments.error) == said


def test_what_follows_the_items_of_a_message_is_not_looked_at() -> None:
    assert parse(framed(b"\x91\x06\x06")) == [Ping()]
    assert parse(framed(b"\x99\x01\x80\xa11\xa1a\x91\x01\x90")) == [Invocation("a", [1], "1")]


def test_names_and_ids_that_are_no_utf8_are_mended() -> None:
    assert parse(framed(b"\x96\x01\x80\xa1\xff\xa2a\xff\x90\x90")) == [Invocation("a\ufffd", [], "\ufffd")]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"\x94\x01\x80\xc0\xa1a", "Reading array length for 'arguments' failed."),
        (b"\x95\x01\x80\xc0\xa1a\x80", "Reading array length for 'arguments' failed."),
        (b"\x95\x04\x80\xa11\xa1a\xc0", "Reading array length for 'arguments' failed."),
        (b"\x93\x02\x80\xa11", "Reading 'item' failed."),
        (b"\x96\x01\x80\xc0\xa1a\x91\xc7\x0c\xff" + b"\xff" * 12 + b"\x90", "Invalid MessagePack timestamp"),
        (b"\x96\x01\x80\xc0\xa1a\x91\xd4\xff\x00\x90", "Invalid MessagePack timestamp"),
        (b"\x96\x01\x80\xc0\xa1a\x91\xa1\xff\x90", "utf-8"),
        (b"\x96\x01\x80\xc0\xa1a\x91\xc6\xff\xff\xff\xff\x90", "Input data was truncated"),
        (b"\x96\x01\x80\xc0\xa1a\xdd\xff\xff\xff\xff\x90", "Reading array length for 'arguments' failed."),
    ],
)
def test_values_that_cannot_be_read_stand_in_their_message_as_such(body: bytes, said: str) -> None:
    (message,) = parse(framed(body))
    values = message.item if isinstance(message, StreamItem) else cast("Invocation", message).arguments
    assert isinstance(values, Unreadable)
    assert said in str(values.error)
    with pytest.raises(ValueError, match=said):
        messagepack.convert(values, str)


def test_an_extension_that_nobody_knows_fits_no_declared_type() -> None:
    (invocation,) = parse(framed(b"\x96\x01\x80\xc0\xa1a\x91\xd4\x05\x00\x90"))
    assert isinstance(invocation, Invocation)
    with pytest.raises(ValueError, match="Expected `str`"):
        messagepack.convert(invocation.arguments[0], str)


# The framing.


@pytest.mark.parametrize(
    ("length", "prefix"),
    [
        (0, "00"),
        (0x35, "35"),
        (0x7F, "7f"),
        (0x80, "80 01"),
        (0x1480, "80 29"),
        (0x3FFF, "ff 7f"),
        (0x4000, "80 80 01"),
        (0x1FFFFF, "ff ff 7f"),
        (0x200000, "80 80 80 01"),
        (0xFFFFFFF, "ff ff ff 7f"),
        (0x10000000, "80 80 80 80 01"),
        (0x7FFFFFFF, "ff ff ff ff 07"),
    ],
)
def test_lengths_take_one_to_five_bytes(length: int, prefix: str) -> None:
    wire = bytes.fromhex(prefix)
    assert write_length(length) == wire
    assert read_length(bytearray(wire)) == (len(wire), length)
    assert [read_length(bytearray(wire[:cut])) for cut in range(len(wire))] == [None] * len(wire)


def test_a_length_may_be_longer_than_it_needs_to_be() -> None:
    assert parse(b"\x82\x80\x00\x91\x06") == [Ping()]


@pytest.mark.parametrize("prefix", ["ff ff ff ff 08", "ff ff ff ff 7f", "80 80 80 80 80", "80 80 80 80 80 01"])
def test_lengths_beyond_two_gigabytes_are_refused(prefix: str) -> None:
    with pytest.raises(InvalidDataError, match=r"^Messages over 2GB in size are not supported\.$"):
        list(messagepack.parse(bytearray.fromhex(prefix), 2**40))
    with pytest.raises(ValueError, match=r"^Messages over 2GB in size are not supported\.$"):
        write_length(2**31)


def test_one_frame_may_hold_several_messages_and_a_part_of_one() -> None:
    buffer = bytearray(b"\x02\x91\x06\x03\x92\x07\xc0\x02\x91")
    assert list(messagepack.parse(buffer, 100)) == [Ping(), Close()]
    assert buffer == b"\x02\x91"
    buffer += b"\x06"
    assert list(messagepack.parse(buffer, 100)) == [Ping()]
    assert buffer == b""


def test_the_messages_before_a_bad_one_are_still_given() -> None:
    messages = messagepack.parse(bytearray(b"\x02\x91\x06\x01\x06"), 100)
    assert next(messages) == Ping()
    with pytest.raises(InvalidDataError):
        next(messages)


def test_what_nobody_asks_for_stays_in_the_buffer() -> None:
    buffer = bytearray(b"\x02\x91\x06" * 3)
    assert list(itertools.islice(messagepack.parse(buffer, 100), 2)) == [Ping(), Ping()]
    assert buffer == b"\x02\x91\x06"


def test_a_message_may_be_as_long_as_the_limit_and_is_refused_before_it_has_arrived() -> None:
    wire = messagepack.write(Invocation("a", ["x" * 300]))
    size = len(wire) - 2
    assert parse(wire, size) == [Invocation("a", ["x" * 300])]
    with pytest.raises(InvalidDataError, match=f"^The maximum message size of {size - 1}B was exceeded\\."):
        list(messagepack.parse(bytearray(wire[:2]), size - 1))


def test_a_time_beyond_the_years_that_there_are_in_utc_is_refused_by_name() -> None:
    beyond = datetime.max.replace(tzinfo=timezone(timedelta(hours=-8)))
    with pytest.raises(ValueError, match="A datetime that is outside of the years 1 to 9999 in UTC cannot be sent"):
        MessagePackHubProtocol().write(Completion("1", beyond))
