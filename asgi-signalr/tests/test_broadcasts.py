"""A broadcast is written to its receivers one after the other, and keeps its place among everything else."""

import asyncio
from typing import Any, cast

import pytest
from asgi_signalr.connections.outbox import CONNECTIONS_PER_TURN, Flusher, Outbox
from asgi_signalr.transports import DirectWriter
from asgi_signalr.transports.payload import Payload

NEWS = Payload(b"news")
MANY = CONNECTIONS_PER_TURN + 20


class Direct:
    """A WebSocket past ASGI: every frame is one entry, without its head."""

    def __init__(self) -> None:
        self.blocked = False
        self.breaks = False
        self.frames: list[bytes] = []

    def write(self, frame: bytes) -> None:
        if self.breaks:
            raise ConnectionError("broken")
        self.frames.append(frame)

    async def later(self, payloads: Any) -> None:
        self.frames.append(b"".join(each.frame for each in payloads))


class Receiver:
    """A client that can be written to directly."""

    encoding = "json"

    def __init__(self, flusher: Flusher) -> None:
        self.direct = Direct()
        self.failures: list[Exception] = []
        self.outbox = Outbox(
            self.direct.later, flusher, 100, self.failures.append, direct=cast(DirectWriter, self.direct)
        )

    @property
    def heard(self) -> bytes:
        return b"".join(self.direct.frames)


def framed(*texts: str) -> bytes:
    return b"".join(Payload(text.encode()).frame for text in texts)


@pytest.fixture
async def flusher() -> Flusher:
    return Flusher()


async def sent(flusher: Flusher) -> None:
    while not flusher.is_idle:  # noqa: ASYNC110  (nothing tells of it)
        await asyncio.sleep(0)


async def test_everybody_hears_it_once(flusher: Flusher) -> None:
    receivers = [Receiver(flusher) for _ in range(MANY)]
    flusher.broadcast(receivers, {"json": NEWS})
    await sent(flusher)
    assert [receiver.direct.frames for receiver in receivers] == [[framed("news")]] * MANY


async def test_an_answer_comes_behind_the_broadcast_before_it(flusher: Flusher) -> None:
    receivers = [Receiver(flusher) for _ in range(MANY)]
    flusher.broadcast(receivers, {"json": NEWS})
    receivers[0].outbox.put_now(b"answer", False)
    receivers[-1].outbox.put(Payload(b"answer"))
    await sent(flusher)
    answered = framed("news", "answer")
    assert [receiver.heard for receiver in receivers] == [answered, *[framed("news")] * (MANY - 2), answered]


async def test_while_it_is_under_way_both_orders_are_kept(flusher: Flusher) -> None:
    receivers = [Receiver(flusher) for _ in range(MANY)]
    flusher.broadcast(receivers, {"json": NEWS})
    await asyncio.sleep(0)  # the first turn
    assert (receivers[0].heard, receivers[-1].heard) == (framed("news"), b"")
    for receiver in (receivers[0], receivers[-1]):
        receiver.outbox.put_now(b"answer", False)
    await sent(flusher)
    assert [receivers[at].heard for at in (0, 1, -2, -1)] == [
        framed("news", "answer"),
        framed("news"),
        framed("news"),
        framed("news", "answer"),
    ]


async def test_a_second_one_in_the_same_tick_leaves_together_with_it(flusher: Flusher) -> None:
    receivers = [Receiver(flusher) for _ in range(5)]
    flusher.broadcast(receivers, {"json": NEWS})
    for receiver in receivers:
        receiver.outbox.put(Payload(b"more"))
    await sent(flusher)
    assert [receiver.direct.frames for receiver in receivers] == [[framed("news", "more")]] * 5


async def test_who_is_not_among_its_receivers_hears_nothing_of_it(flusher: Flusher) -> None:
    receivers, other = [Receiver(flusher) for _ in range(5)], Receiver(flusher)
    flusher.broadcast(receivers, {"json": NEWS})
    other.outbox.put_now(b"answer", False)
    await sent(flusher)
    assert other.heard == framed("answer")


async def test_one_that_breaks_or_waits_harms_no_other(flusher: Flusher) -> None:
    receivers = [Receiver(flusher) for _ in range(5)]
    receivers[1].direct.breaks = receivers[2].direct.blocked = True
    receivers[3].outbox.close()
    flusher.broadcast(receivers, {"json": NEWS})
    await sent(flusher)
    await asyncio.sleep(0)
    assert [receiver.heard for receiver in receivers] == [framed("news"), b"", framed("news"), b"", framed("news")]
    assert [len(receiver.failures) for receiver in receivers] == [0, 1, 0, 0, 0]


async def test_a_connection_that_says_goodbye_has_sent_it(flusher: Flusher) -> None:
    receivers = [Receiver(flusher) for _ in range(MANY)]
    flusher.broadcast(receivers, {"json": NEWS})
    await receivers[-1].outbox.drain()
    assert receivers[-1].heard == framed("news")
