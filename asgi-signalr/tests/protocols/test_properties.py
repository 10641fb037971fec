"""What holds of both protocols, whatever the messages and the bytes."""

import itertools
from typing import Any

import msgspec
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
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.protocols.json import JsonHubProtocol
from asgi_signalr.protocols.messagepack import MessagePackHubProtocol, read_length, write_length
from hypothesis import given, settings
from hypothesis import strategies as some

LIMIT = 2**20
both = pytest.mark.parametrize("protocol", [JsonHubProtocol(), MessagePackHubProtocol()], ids=["json", "messagepack"])
quick = settings(deadline=None, max_examples=100, database=None)

texts = some.text(some.characters(exclude_categories=["Cs"]), max_size=40)
names = some.text(some.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
numbers = some.integers(-(2**63), 2**63 - 1) | some.floats(allow_nan=False, allow_infinity=False)
values = some.recursive(
    some.none() | some.booleans() | numbers | texts,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
ids = some.lists(names, max_size=3).map(tuple)
counts = some.integers(0, 2**63 - 1)
messages = some.one_of(
    some.builds(Invocation, names, some.lists(values, max_size=4), invocation_id=some.none() | names, stream_ids=ids),
    some.builds(StreamItem, names, values),
    some.builds(Completion, names),
    some.builds(Completion, names, result=values),
    some.builds(Completion, names, error=texts),
    some.builds(StreamInvocation, names, some.lists(values, max_size=4), names, stream_ids=ids),
    some.builds(CancelInvocation, names),
    some.builds(Ping),
    some.builds(Close, error=some.none() | names, allow_reconnect=some.booleans()),
    some.builds(Ack, counts),
    some.builds(Sequence, counts),
)


def read(protocol: HubProtocol, *chunks: bytes) -> list[Message]:
    """Read messages from what arrives bit by bit; nothing may be left over."""
    buffer = bytearray()
    found: list[Message] = []
    for chunk in chunks:
        buffer += chunk
        found += protocol.parse(buffer, LIMIT)
    assert buffer == b""
    return found


@both
@quick
@given(conversation=some.lists(messages, max_size=5), cuts=some.lists(some.integers(0, 600), max_size=8))
def test_what_is_written_is_read_however_it_is_cut(
    protocol: HubProtocol, conversation: list[Message], cuts: list[int]
) -> None:
    wire = b"".join(map(protocol.write, conversation))
    assert read(protocol, wire) == conversation
    edges = [0, *sorted(min(cut, len(wire)) for cut in cuts), len(wire)]
    assert read(protocol, *(wire[a:b] for a, b in itertools.pairwise(edges))) == conversation
    assert read(protocol, *(wire[at : at + 1] for at in range(len(wire)))) == conversation


@both
@quick
@given(message=messages, kind=some.integers(10, 2**31 - 1), rest=values)
def test_messages_of_other_types_do_not_matter(protocol: HubProtocol, message: Message, kind: int, rest: Any) -> None:
    if protocol.binary:
        body = msgspec.msgpack.encode([kind, rest])
        unknown = write_length(len(body)) + body
    else:
        unknown = msgspec.json.encode({"rest": rest, "type": kind}) + b"\x1e"
    assert read(protocol, unknown + protocol.write(message) + unknown) == [UNKNOWN, message, UNKNOWN]


@pytest.mark.parametrize("protocol", [JsonHubProtocol(), MessagePackHubProtocol()], ids=["json", "messagepack"])
@quick
@given(message=messages, more=messages, cut=some.integers(0, 500))
def test_what_is_exactly_one_invocation_is_read_without_a_buffer(
    protocol: JsonHubProtocol | MessagePackHubProtocol, message: Message, more: Message, cut: int
) -> None:
    wire = protocol.write(message)
    size = len(wire) - 1 if not protocol.binary else read_length(wire)[1]  # type: ignore[index]
    assert protocol.parse_invocation(wire, size) == (message if isinstance(message, Invocation) else None)
    for other in (b"", wire[: cut % len(wire)], wire + protocol.write(more), wire + wire[:1]):
        assert protocol.parse_invocation(other, LIMIT) is None
    assert protocol.parse_invocation(wire, size - 1) is None


def survives(protocol: JsonHubProtocol | MessagePackHubProtocol, wire: bytes) -> None:
    """Read whatever it is, at once and byte by byte: there are messages, or there is the one error."""
    assert isinstance(protocol.parse_invocation(wire, LIMIT), Invocation | None)
    for chunks in ([wire], [wire[at : at + 1] for at in range(len(wire))]):
        buffer = bytearray()
        try:
            for chunk in chunks:
                before = len(buffer) + len(chunk)
                buffer += chunk
                assert all(isinstance(message, Message) for message in protocol.parse(buffer, LIMIT))
                assert len(buffer) <= before
        except InvalidDataError:
            pass


@both
@quick
@given(wire=some.binary(max_size=200))
def test_no_bytes_do_worse_than_a_protocol_error(
    protocol: JsonHubProtocol | MessagePackHubProtocol, wire: bytes
) -> None:
    survives(protocol, wire)
    survives(protocol, wire + b"\x1e" if not protocol.binary else write_length(len(wire)) + wire)


@both
@quick
@given(message=messages, at=some.integers(0, 500), byte=some.integers(0, 255), cut=some.booleans())
def test_no_damaged_message_does_worse_than_a_protocol_error(
    protocol: JsonHubProtocol | MessagePackHubProtocol, message: Message, at: int, byte: int, cut: bool
) -> None:
    wire = bytearray(protocol.write(message))
    at %= len(wire)
    wire[at : at + 1] = b"" if cut else bytes((byte,))
    survives(protocol, bytes(wire))


wires = some.recursive(
    some.none() | some.booleans() | some.integers(-2, 11) | texts,
    lambda inner: some.lists(inner, max_size=6) | some.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


@quick
@given(
    wire=some.dictionaries(
        some.sampled_from(
            ["type", "target", "arguments", "invocationId", "streamIds", "item", "result", "error", "sequenceId"]
        ),
        wires,
    )
)
def test_no_json_object_does_worse_than_a_protocol_error(wire: Any) -> None:
    survives(JsonHubProtocol(), msgspec.json.encode(wire) + b"\x1e")


@quick
@given(kind=some.integers(-1, 11), items=some.lists(wires, max_size=6))
def test_no_messagepack_array_does_worse_than_a_protocol_error(kind: int, items: list[Any]) -> None:
    body = msgspec.msgpack.encode([kind, *items])
    survives(MessagePackHubProtocol(), write_length(len(body)) + body)
