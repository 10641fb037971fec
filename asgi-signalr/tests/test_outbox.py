"""What waits for a client goes in order and in few pieces, stays within its bounds, and never makes others wait."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest
from asgi_signalr.connections.outbox import (
    ANSWERS_AT_ONCE,
    CONNECTIONS_PER_TURN,
    FRAME_BYTES,
    Flusher,
    Outbox,
    SlowClientError,
)
from asgi_signalr.transports.payload import Payload


class Line:
    """A transport: what is sent in one piece is one entry. It may be stuck, and it may break."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.free = asyncio.Event()
        self.free.set()
        self.at_once = False
        self.breaks: Exception | None = None

    def send(self, payloads: Sequence[Payload]) -> Awaitable[None] | None:
        if self.at_once:
            self._keep(payloads)
            return None
        return self._send(payloads)

    async def _send(self, payloads: Sequence[Payload]) -> None:
        await self.free.wait()
        if self.breaks is not None:
            raise self.breaks
        self._keep(payloads)

    def _keep(self, payloads: Sequence[Payload]) -> None:
        self.pieces.append("".join(each.data.decode() for each in payloads))


class Client:
    """One client's outbox, and what became of it."""

    def __init__(self, flusher: Flusher, limit: int = 100, **options: Any) -> None:
        self.line = Line()
        self.failures: list[Exception] = []
        self.dropped: list[int] = []
        self.outbox = Outbox(
            self.line.send, flusher, limit, self.failures.append, on_dropped=self.dropped.append, **options
        )

    def put(self, *texts: str, key: str | None = None) -> None:
        for text in texts:
            self.outbox.put(Payload(text.encode(), key=key))


@pytest.fixture
async def flusher() -> Flusher:
    return Flusher()


async def sent() -> None:
    """Let a tick's flush happen."""
    for _ in range(3):
        await asyncio.sleep(0)


@pytest.mark.parametrize("at_once", [False, True])
async def test_what_is_put_in_one_tick_goes_in_one_piece(flusher: Flusher, at_once: bool) -> None:
    client = Client(flusher)
    client.line.at_once = at_once
    client.put("a", "b", "c")
    await sent()
    client.put("d")
    await sent()
    assert client.line.pieces == ["abc", "d"]


async def test_what_is_sent_during_a_broadcast_joins_it_for_those_whose_turn_is_to_come(flusher: Flusher) -> None:
    clients = [Client(flusher) for _ in range(2 * CONNECTIONS_PER_TURN)]
    for text in ("a", "b"):
        for client in clients:
            client.put(text)
        await asyncio.sleep(0)  # the first turn of the flush, if it has not begun
    await sent()
    halves = clients[:CONNECTIONS_PER_TURN], clients[CONNECTIONS_PER_TURN:]
    assert [{tuple(client.line.pieces) for client in half} for half in halves] == [{("a", "b")}, {("ab",)}]


async def test_a_piece_stays_within_its_size_but_for_a_message_that_is_longer(flusher: Flusher) -> None:
    client = Client(flusher, limit=10 * FRAME_BYTES)
    half, more = "h" * (FRAME_BYTES // 2), "m" * (FRAME_BYTES + 1)
    client.put(half, half, half, more, "end")
    await sent()
    assert client.line.pieces == [half + half, half, more, "end"]


async def test_after_a_tick_with_one_answer_the_next_ones_are_sent_at_once(flusher: Flusher) -> None:
    client = Client(flusher)
    client.outbox.put_now(b"first", False)
    assert client.line.pieces == []
    await sent()
    seen = []
    for _ in range(ANSWERS_AT_ONCE + 1):
        client.outbox.put_now(b"next", False)
        seen.append(len(client.line.pieces))
    assert seen == [*range(2, ANSWERS_AT_ONCE + 2), ANSWERS_AT_ONCE + 1]  # the last one shows how many a tick has now
    await sent()
    assert client.line.pieces == ["first", *(ANSWERS_AT_ONCE + 1) * ["next"]]


@pytest.mark.parametrize("number", [1, 2])
async def test_answers_are_sent_together_while_a_tick_has_several(flusher: Flusher, number: int) -> None:
    clients = [Client(flusher) for _ in range(number)]
    for text in ("a", "b"):
        for client in clients:
            client.outbox.put_now(text.encode(), False)
            client.outbox.put_now(text.encode(), False)
        assert {tuple(client.line.pieces) for client in clients} <= {(), ("aa",)}
        await sent()
    assert {tuple(client.line.pieces) for client in clients} == {("aa", "bb")}


async def test_an_answer_that_is_sent_at_once_overtakes_nothing(flusher: Flusher) -> None:
    client, other = Client(flusher), Client(flusher)
    client.outbox.put_now(b"first", False)
    await sent()
    client.put("a")
    client.outbox.put_now(b"b", False)
    other.outbox.put_now(b"c", False)
    assert (client.line.pieces, other.line.pieces) == (["first"], [])
    await sent()
    client.line.free.clear()
    client.outbox.put_now(b"d", False)
    await sent()
    client.outbox.put_now(b"e", False)
    client.line.free.set()
    await sent()
    assert client.line.pieces == ["first", "ab", "d", "e"]


class Wire:
    """A way past ASGI."""

    def __init__(self) -> None:
        self.blocked = False
        self.frames: list[bytes] = []
        self.write = self.frames.append


async def test_what_is_put_now_is_sent_now_where_there_is_a_way_past_asgi(flusher: Flusher) -> None:
    wire = Wire()
    client = Client(flusher, direct=wire)
    client.outbox.put_now(b"now", False)
    assert wire.frames == [b"\x81\x03now"]
    wire.blocked = True
    client.outbox.put_now(b"later", False)
    assert (len(wire.frames), client.line.pieces) == (1, [])
    await sent()
    assert (len(wire.frames), client.line.pieces) == (1, ["later"])


async def test_what_is_put_now_over_asgi_leaves_with_the_tick(flusher: Flusher) -> None:
    client = Client(flusher)
    client.outbox.put_now(b"now", False)
    assert client.line.pieces == []
    await sent()
    assert client.line.pieces == ["now"]


async def test_what_is_put_now_does_not_overtake(flusher: Flusher) -> None:
    client = Client(flusher)
    client.put("first")
    client.outbox.put_now(b"second", False)
    await sent()
    client.line.free.clear()
    client.put("third")
    await sent()
    client.outbox.put_now(b"fourth", False)
    client.line.free.set()
    await client.outbox.drain()
    assert client.line.pieces == ["firstsecond", "third", "fourth"]


async def test_a_client_that_reads_nothing_makes_no_other_wait(flusher: Flusher) -> None:
    stuck, reader = Client(flusher), Client(flusher)
    stuck.line.free.clear()
    for text in "abc":
        stuck.put(text)
        reader.put(text)
        await sent()
    assert reader.line.pieces == ["a", "b", "c"]
    assert stuck.line.pieces == []
    assert stuck.outbox.parked_since is not None
    stuck.line.free.set()
    await stuck.outbox.drain()
    assert stuck.line.pieces == ["a", "bc"]
    assert stuck.outbox.parked_since is None


async def test_a_client_that_reads_too_slowly_is_given_up(flusher: Flusher) -> None:
    client = Client(flusher, limit=10)
    client.line.free.clear()
    client.put("on its way")
    await sent()
    client.put("12345", "67890")
    assert client.failures == []
    client.put("1", "2")
    assert [type(each) for each in client.failures] == [SlowClientError]
    assert str(client.failures[0]) == "The client is slow: more than 10 bytes wait for it."
    client.line.free.set()
    await sent()
    assert client.line.pieces == []
    assert client.outbox.closed


async def test_a_slow_client_may_get_the_latest_of_each_method_instead(flusher: Flusher) -> None:
    client = Client(flusher, limit=10, policy="latest")
    client.line.free.clear()
    client.put("on its way")
    await sent()
    client.put("a1", "a2", key="a")
    client.put("b1", "b2", key="b")
    client.put("!!")
    client.put("a3", key="a")
    assert client.dropped == [3]
    client.line.free.set()
    await client.outbox.drain()
    assert client.line.pieces == ["on its way", "b2!!a3"]
    assert client.failures == []


async def test_answers_are_never_dropped_for_a_slow_client(flusher: Flusher) -> None:
    client = Client(flusher, limit=10, policy="latest")
    client.line.free.clear()
    client.put("on its way")
    await sent()
    client.put("1234", "5678")
    client.put("news", key="news")
    assert client.dropped == []
    assert [str(each) for each in client.failures] == ["The client is slow: more than 10 bytes wait for it."]


async def test_the_memory_for_a_client_that_reads_nothing_is_bounded(flusher: Flusher) -> None:
    client = Client(flusher, limit=1000, policy="latest")
    client.line.free.clear()
    for number in range(5000):
        client.put(f"{number:0100}", key=f"method {number % 3}")
        await asyncio.sleep(0)
        assert client.outbox._size <= 1000
    client.line.free.set()
    await client.outbox.drain()
    received = "".join(client.line.pieces)
    assert len(received) == 100 * (5000 - sum(client.dropped))
    assert received.endswith("".join(f"{number:0100}" for number in (4997, 4998, 4999)))


async def test_a_transport_that_breaks_ends_its_own_client_only(flusher: Flusher) -> None:
    broken, other = Client(flusher), Client(flusher)
    broken.line.breaks = OSError("gone")
    broken.put("a")
    other.put("a")
    await sent()
    assert [str(each) for each in broken.failures] == ["gone"]
    assert other.line.pieces == ["a"]
    broken.put("b")
    await sent()
    assert len(broken.failures) == 1


async def test_a_closed_outbox_forgets_what_is_queued(flusher: Flusher) -> None:
    client = Client(flusher)
    client.put("a")
    client.outbox.close()
    client.put("b")
    client.outbox.put_now(b"c", False)
    await client.outbox.drain()
    await sent()
    assert client.line.pieces == []


async def test_a_sender_waits_for_room_behind_a_slow_client(flusher: Flusher) -> None:
    client = Client(flusher, limit=1_000_000)
    client.line.free.clear()
    client.put("a")
    await sent()
    client.put("b" * 100_000)
    waiting = asyncio.create_task(client.outbox.room())
    await sent()
    assert not waiting.done()
    client.line.free.set()
    async with asyncio.timeout(10):
        await waiting


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65535, b"\x81\x7e\xff\xff"),
        (65536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_a_frame_has_the_shortest_head(size: int, head: bytes) -> None:
    assert Payload(b"x" * size).frame == head + b"x" * size


def test_a_binary_message_makes_a_binary_frame() -> None:
    assert Payload(b"\x91\x06", binary=True).frame == b"\x82\x02\x91\x06"


def test_a_frame_and_an_asgi_message_are_made_once() -> None:
    payload = Payload("é".encode())
    assert payload.frame is payload.frame
    assert payload.event is payload.event
    assert payload.event == {"type": "websocket.send", "text": "é"}
    assert Payload(b"\x91\x06", binary=True).event == {"type": "websocket.send", "bytes": b"\x91\x06"}
