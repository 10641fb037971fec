"""What a stateful connection keeps until it is acknowledged, and what it lets through but once."""

import asyncio

import pytest
from asgi_signalr.errors import InvalidDataError
from asgi_signalr.hubs.message_buffer import MessageBuffer
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
from asgi_signalr.transports.payload import Payload

CALL = Invocation("call", [])


def kept(buffer: MessageBuffer, *texts: bytes) -> MessageBuffer:
    for text in texts:
        buffer.keep(Payload(text))
    return buffer


def resumed(buffer: MessageBuffer) -> tuple[int, list[bytes]]:
    sequence, payloads = buffer.resume()
    return sequence.sequence_id, [payload.data for payload in payloads]


@pytest.fixture
def buffer() -> MessageBuffer:
    return MessageBuffer(10)


def test_what_was_not_acknowledged_is_sent_again(buffer: MessageBuffer) -> None:
    kept(buffer, b"a", b"b", b"c").accepts(Ack(1))
    assert resumed(buffer) == (2, [b"b", b"c"])


def test_it_is_sent_again_as_often_as_it_takes(buffer: MessageBuffer) -> None:
    kept(buffer, b"a")
    assert resumed(buffer) == (1, [b"a"])
    kept(buffer, b"b")
    assert resumed(buffer) == (1, [b"a", b"b"])


def test_what_was_acknowledged_is_forgotten(buffer: MessageBuffer) -> None:
    kept(buffer, b"a", b"b").accepts(Ack(2))
    assert (buffer.size, resumed(buffer)) == (0, (3, []))


def test_the_first_sequence_of_a_new_buffer_is_one(buffer: MessageBuffer) -> None:
    assert resumed(buffer) == (1, [])


@pytest.mark.parametrize("sequence_id", [0, -1, 1, 2])
def test_an_acknowledgement_that_says_nothing_new_changes_nothing(buffer: MessageBuffer, sequence_id: int) -> None:
    kept(buffer, b"a", b"b", b"c").accepts(Ack(2))
    assert not buffer.accepts(Ack(sequence_id))
    assert resumed(buffer) == (3, [b"c"])


def test_an_acknowledgement_of_what_was_never_sent_does_no_harm(buffer: MessageBuffer) -> None:
    kept(buffer, b"a").accepts(Ack(1_000))
    kept(buffer, b"b")
    assert resumed(buffer) == (2, [b"b"])


async def test_a_writer_waits_while_the_buffer_is_full(buffer: MessageBuffer) -> None:
    await kept(buffer, b"0123456789").room()
    waiting = asyncio.create_task(kept(buffer, b"a").room())
    await asyncio.sleep(0)
    assert not waiting.done()
    buffer.resume()
    await asyncio.sleep(0)
    assert not waiting.done()  # another WebSocket alone acknowledges nothing
    buffer.accepts(Ack(1))
    async with asyncio.timeout(5):
        await waiting


async def test_nobody_waits_for_a_connection_that_has_ended(buffer: MessageBuffer) -> None:
    kept(buffer, b"more than ten bytes").release()
    async with asyncio.timeout(5):
        await buffer.room()


def test_every_message_is_accepted_once(buffer: MessageBuffer) -> None:
    assert [buffer.accepts(CALL) for _ in range(3)] == [True, True, True]
    buffer.resume()
    assert not buffer.accepts(Sequence(2))
    assert [buffer.accepts(CALL) for _ in range(4)] == [False, False, True, True]
    assert buffer.acknowledgement() == Ack(5)


def test_what_comes_before_the_sequence_is_passed_over(buffer: MessageBuffer) -> None:
    buffer.resume()
    assert [buffer.accepts(message) for message in (CALL, Ping(), Sequence(1), CALL)] == [False, False, False, True]


def test_a_client_that_leaves_messages_out_is_refused(buffer: MessageBuffer) -> None:
    buffer.accepts(CALL)
    buffer.resume()
    with pytest.raises(InvalidDataError, match="Sequence ID greater than amount of messages we've received"):
        buffer.accepts(Sequence(3))


def test_a_sequence_that_nobody_waits_for_changes_nothing(buffer: MessageBuffer) -> None:
    assert [buffer.accepts(message) for message in (CALL, Sequence(1), Sequence(7), CALL)] == [True, False, False, True]
    assert buffer.acknowledgement() == Ack(2)


@pytest.mark.parametrize(
    ("message", "count"),
    [
        (CALL, 1),
        (StreamItem("1", None), 1),
        (Completion("1"), 1),
        (StreamInvocation("call", [], "1"), 1),
        (CancelInvocation("1"), 1),
        (Ping(), 0),
        (Close(), 0),
    ],
)
def test_the_messages_of_types_one_to_five_are_counted(buffer: MessageBuffer, message: Message, count: int) -> None:
    assert buffer.accepts(message)
    assert buffer.acknowledgement() == (Ack(count) if count else None)


def test_an_acknowledgement_is_sent_once(buffer: MessageBuffer) -> None:
    buffer.accepts(CALL)
    assert [buffer.acknowledgement(), buffer.acknowledgement()] == [Ack(1), None]


def test_nothing_is_acknowledged_before_the_client_has_said_where_it_goes_on(buffer: MessageBuffer) -> None:
    buffer.accepts(CALL)
    buffer.resume()
    assert buffer.acknowledgement() is None
    buffer.accepts(Sequence(1))
    assert buffer.acknowledgement() == Ack(1)
