"""The JSON hub protocol, byte for byte."""

import itertools

import pytest
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
)
from asgi_signalr.protocols.json import JsonHubProtocol

json = JsonHubProtocol()


def parse(data: bytes, limit: int = 32768) -> list[Message]:
    buffer = bytearray(data)
    messages = list(json.parse(buffer, limit))
    assert buffer == b""
    return messages


NO_NUMBER = "Either the JSON value is not in a supported format, or is out of bounds for an Int{}."
CALL = b'{"type":1,"target":"a","arguments":[],%b}\x1e'


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (Invocation("said", ["hi", 1]), b'{"type":1,"target":"said","arguments":["hi",1]}\x1e'),
        (Invocation("said", [], "s1"), b'{"type":1,"target":"said","arguments":[],"invocationId":"s1"}\x1e'),
        (StreamItem("1", None), b'{"type":2,"invocationId":"1","item":null}\x1e'),
        (Completion("1", None), b'{"type":3,"invocationId":"1","result":null}\x1e'),
        (Completion("1", {"a": 1}), b'{"type":3,"invocationId":"1","result":{"a":1}}\x1e'),
        (Completion("1", error="no"), b'{"type":3,"invocationId":"1","error":"no"}\x1e'),
        (Completion("1"), b'{"type":3,"invocationId":"1"}\x1e'),
        (StreamInvocation("count", [3], "2"), b'{"type":4,"target":"count","arguments":[3],"invocationId":"2"}\x1e'),
        (CancelInvocation("2"), b'{"type":5,"invocationId":"2"}\x1e'),
        (Ping(), b'{"type":6}\x1e'),
        (Close(), b'{"type":7}\x1e'),
        (Close("why", allow_reconnect=True), b'{"type":7,"error":"why","allowReconnect":true}\x1e'),
        (Ack(3), b'{"type":8,"sequenceId":3}\x1e'),
        (Sequence(4), b'{"type":9,"sequenceId":4}\x1e'),
    ],
)
def test_every_message_has_one_spelling_and_is_read_back(message: Message, wire: bytes) -> None:
    assert json.write(message) == wire
    assert parse(wire) == [message]


def test_properties_come_in_any_order_and_unknown_ones_are_ignored() -> None:
    wire = b'{"arguments":[1],"new":{},"target":"add","headers":{"a":"b"},"invocationId":"7","type":1}\x1e'
    assert parse(wire) == [Invocation("add", [1], "7")]


def test_an_empty_or_null_invocation_id_is_none() -> None:
    wire = b'{"type":1,"target":"a","arguments":[],"invocationId":""}\x1e'
    assert parse(wire + wire.replace(b'""', b"null")) == [Invocation("a", []), Invocation("a", [])]


def test_unknown_types_are_ignored_whatever_else_they_hold() -> None:
    assert parse(b'{"type":99,"target":5}\x1e{"type":6}\x1e') == [UNKNOWN, Ping()]


def test_one_frame_may_hold_several_messages_and_a_part_of_one() -> None:
    buffer = bytearray(b'{"type":6}\x1e{"type":7}\x1e{"typ')
    assert list(json.parse(buffer, 100)) == [Ping(), Close()]
    assert buffer == b'{"typ'
    buffer += b'e":6}\x1e'
    assert list(json.parse(buffer, 100)) == [Ping()]
    assert buffer == b""


@pytest.mark.parametrize(
    ("wire", "said"),
    [
        (b"[]\x1e", "Unexpected JSON Token Type 'Array'. Expected a JSON Object."),
        (b"42\x1e", "Unexpected JSON Token Type 'Number'. Expected a JSON Object."),
        (b"false\x1e", "Unexpected JSON Token Type 'False'. Expected a JSON Object."),
        (b"{}\x1e", "Missing required property 'type'."),
        (b'{"type":"1"}\x1e', "Expected 'type' to be of type Number."),
        (b'{"type":true}\x1e', "Expected 'type' to be of type Number."),
        (b'{"type":1,"arguments":[]}\x1e', "Missing required property 'target'."),
        (b'{"type":1,"target":1,"arguments":[]}\x1e', "Expected 'target' to be of type String."),
        (b'{"type":1,"target":"a"}\x1e', "Missing required property 'arguments'."),
        (b'{"type":1,"target":"a","arguments":{}}\x1e', "Expected 'arguments' to be of type Array."),
        (b'{"type":1,"Target":"a","arguments":[]}\x1e', "Missing required property 'target'."),
        (b'{"type":2,"invocationId":"1"}\x1e', "Missing required property 'item'."),
        (b'{"type":3}\x1e', "Missing required property 'invocationId'."),
        (
            b'{"type":3,"invocationId":"1","result":null,"error":"e"}\x1e',
            "The 'error' and 'result' properties are mutually exclusive.",
        ),
        (b'{"type":4,"target":"a","arguments":[]}\x1e', "Missing required property 'invocationId'."),
        (b'{"type":5}\x1e', "Missing required property 'invocationId'."),
        (b'{"type":8}\x1e', "Missing required property 'sequenceId'."),
        (b'{"type":8,"sequenceId":1.5}\x1e', NO_NUMBER.format(64)),
        (b'{"type":8,"sequenceId":9223372036854775808}\x1e', NO_NUMBER.format(64)),
        (b'{"type":1.0}\x1e', NO_NUMBER.format(32)),
        (b'{"type":99999999999}\x1e', NO_NUMBER.format(32)),
        (b'{"type":7,"allowReconnect":1}\x1e', "Expected 'allowReconnect' to be true or false."),
        (CALL % b'"streamIds":[null]', "Null value for 'streamIds' is not valid."),
        (CALL % b'"streamIds":[1]', "Cannot get the value of a token type 'Number' as a string."),
        (CALL % b'"streamIds":{}', "Expected 'streamIds' to be of type Array."),
        (CALL % b'"headers":null', "Expected 'headers' to be of type StartObject."),
        (CALL % b'"headers":{"a":{}}', "Expected header 'a' to be of type String."),
        (b'{"target":1,"type":1,"arguments":2}\x1e', "Expected 'target' to be of type String."),
    ],
)
def test_what_is_missing_or_mistyped_is_said(wire: bytes, said: str) -> None:
    with pytest.raises(InvalidDataError) as caught:
        parse(wire)
    assert str(caught.value) == said


@pytest.mark.parametrize("wire", [b"{\x1e", b"\x1e", b"\xff\x1e", b'{"type":6}x\x1e', b"[" * 20_000 + b"\x1e"])
def test_what_is_no_json_is_a_protocol_error_and_nothing_worse(wire: bytes) -> None:
    with pytest.raises(InvalidDataError):
        parse(wire)


def test_headers_say_nothing_and_are_in_nobodys_way() -> None:
    wire = CALL % b'"headers":{"traceparent":"00-1-2-01"}'
    assert json.parse_invocation(wire, 1000) is None
    assert parse(wire) == [Invocation("a", [])]


def test_the_messages_before_a_bad_one_are_still_given() -> None:
    messages = json.parse(bytearray(b'{"type":6}\x1e{}\x1e'), 100)
    assert next(messages) == Ping()
    with pytest.raises(InvalidDataError):
        next(messages)


def test_a_message_may_be_as_long_as_the_limit_and_not_longer() -> None:
    record = b'{"type":6,"x":"' + b"x" * 100 + b'"}'
    assert parse(record + b"\x1e", len(record)) == [Ping()]
    for wire in (record + b"\x1e", record):
        with pytest.raises(InvalidDataError, match=f"^The maximum message size of {len(record) - 1}B was exceeded\\."):
            list(json.parse(bytearray(wire), len(record) - 1))


def test_what_nobody_asks_for_stays_in_the_buffer() -> None:
    buffer = bytearray(b'{"type":6}\x1e' * 3)
    assert list(itertools.islice(json.parse(buffer, 100), 2)) == [Ping(), Ping()]
    assert buffer == b'{"type":6}\x1e'


def test_null_stands_for_what_is_absent() -> None:
    wire = (
        b'{"type":1,"target":"a","arguments":[],"streamIds":null}\x1e{"type":7,"error":null,"allowReconnect":null}\x1e'
        b'{"type":3,"invocationId":"1","error":null,"result":1}\x1e'
    )
    assert parse(wire) == [Invocation("a", []), Close(), Completion("1", 1)]


def test_a_completion_is_never_written_with_both_an_error_and_a_result() -> None:
    assert json.write(Completion("1", 5, "no")) == b'{"type":3,"invocationId":"1","error":"no"}\x1e'


@pytest.mark.parametrize(
    "record",
    [
        b'{"type":1,"target":"a\x1eb","arguments":[]}',
        b'{"type":1,"target":"a","arguments":["\x1e"]}',
        b'{"type":1,"target":"a","arguments":[],"unknown":{"b":"\x1e"}}',
        b'{"type":1,"target":"a",\x1e"arguments":[]}',
    ],
)
def test_a_separator_ends_a_message_wherever_it_is(record: bytes) -> None:
    assert json.parse_invocation(record + b"\x1e", 1000) is None
    with pytest.raises(InvalidDataError):
        parse(record + b"\x1e")
