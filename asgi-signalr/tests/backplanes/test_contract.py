"""The contract of backplanes, kept by every engine."""

import asyncio
import itertools
import os
from typing import Any

import pytest
from asgi_signalr.backplanes import BackplaneError, open_backplane
from asgi_signalr.backplanes.stored import MAX_BYTES

SERVER = os.environ.get("ASGI_SIGNALR_TEST_MSSQL_URL")
ENGINES = [
    *("memory", "nats", "postgresql", "redis", "sqlite"),
    pytest.param("mariadb", marks=pytest.mark.slow),
    pytest.param("system_redis", marks=pytest.mark.slow),
    *(["mssql"] if SERVER else []),
]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn."""
    return str(request.param)


@pytest.fixture(name="url")
def url_(stream_url: str) -> str:
    """A stream that no other test knows."""
    return stream_url


@pytest.fixture
def stored(engine: str) -> None:
    """Leaves out the one in memory, which has no store and no queue."""
    if engine == "memory":
        pytest.skip("it has no store")


async def test_every_server_receives_what_one_sends_itself_included(url: str, open_node: Any) -> None:
    one, other = await open_node(url), await open_node(url)
    await one.send(b"1", b"2")
    await one.has(b"1", b"2")
    await other.has(b"1", b"2")
    await other.send(b"3")
    await one.has(b"1", b"2", b"3")
    await other.has(b"1", b"2", b"3")


async def test_every_server_receives_the_same_order(url: str, open_node: Any) -> None:
    nodes = [await open_node(url) for _ in range(3)]
    sent = [[f"{number}-{turn}".encode() for turn in range(20)] for number in range(3)]
    await asyncio.gather(*(node.send(*payloads) for node, payloads in zip(nodes, sent, strict=True)))
    for node in nodes:
        await node.until(lambda node: len(node.received) >= 60)
    assert sorted(nodes[0].received) == sorted(itertools.chain(*sent))
    assert nodes[0].received == nodes[1].received == nodes[2].received
    for payloads in sent:
        assert [each for each in nodes[0].received if each in payloads] == payloads


async def test_payloads_are_bytes_that_nobody_looks_into(url: str, open_node: Any) -> None:
    payloads = (b"", b"\x00\xff'\"\\", bytes(range(256)), b"x" * 1_000_000)
    one, other = await open_node(url), await open_node(url)
    await one.send(*payloads)
    await one.has(*payloads)
    await other.has(*payloads)


async def test_a_server_receives_nothing_from_before_its_start(url: str, open_node: Any) -> None:
    one = await open_node(url)
    await one.send(b"before")
    await one.has(b"before")
    late = await open_node(url)
    await one.send(b"after")
    await late.has(b"after")


async def test_a_stopped_server_receives_nothing_and_refuses_to_send(url: str, open_node: Any) -> None:
    one, gone = await open_node(url), await open_node(url)
    await gone.backplane.stop()
    await one.send(b"1")
    await one.has(b"1")
    assert gone.received == []
    with pytest.raises(BackplaneError, match="not started"):
        await gone.send(b"2")


async def test_what_was_accepted_before_stop_is_sent(url: str, open_node: Any) -> None:
    one, other = await open_node(url), await open_node(url)
    await one.send(*(b"%d" % number for number in range(50)))
    await one.backplane.stop()
    await other.has(*(b"%d" % number for number in range(50)))


async def test_publishing_before_start_is_refused(url: str) -> None:
    with pytest.raises(BackplaneError, match="not started"):
        await open_backplane(url).publish(b"1")


async def test_servers_that_start_at_once_are_joined(url: str, open_node: Any) -> None:
    nodes = await asyncio.gather(*(open_node(url) for _ in range(4)))
    await asyncio.gather(*(node.send(b"%d" % number) for number, node in enumerate(nodes)))
    for node in nodes:
        await node.until(lambda node: len(node.received) == 4)
        assert node.received == nodes[0].received
        assert node.gaps == []
    assert sorted(nodes[0].received) == [b"0", b"1", b"2", b"3"]


@pytest.mark.usefixtures("stored")
async def test_what_waits_for_the_store_is_confirmed(url: str, open_node: Any) -> None:
    one, other = await open_node(url, confirm=True), await open_node(url)
    await asyncio.gather(*(one.send(b"%02d" % number) for number in range(20)))
    assert one.backplane.health["queued"] == 0
    for node in (one, other):
        await node.has(*(b"%02d" % number for number in range(20)))
        assert node.backplane.health["lag"] == 0


@pytest.mark.usefixtures("stored")
async def test_a_full_queue_is_waited_for(url: str, open_node: Any) -> None:
    node = await open_node(url, queue_limit=10)
    payloads = [b"%d" % number for number in range(300)]
    await asyncio.gather(*(node.send(payload) for payload in payloads))
    await node.has(*payloads)
    by_bytes = await open_node(url, queue_bytes=30_000)
    large = [bytes([number]) * 20_000 for number in range(10)]
    await asyncio.gather(*(by_bytes.send(payload) for payload in large))
    await by_bytes.has(*large)


@pytest.mark.usefixtures("stored")
async def test_what_is_too_large_is_refused_and_the_next_one_sent(url: str, open_node: Any) -> None:
    node = await open_node(url)
    limit = node.backplane.MAX_PAYLOAD
    with pytest.raises(BackplaneError, match=rf"A message of {limit + 1} bytes is too large: {limit} is the limit\."):
        await node.send(bytes(limit + 1))
    await node.send(b"1")
    await node.has(b"1")


@pytest.mark.usefixtures("stored")
async def test_a_read_is_bounded_by_bytes(url: str, open_node: Any) -> None:
    payloads = [bytes([number]) * 1_500_000 for number in range(8)]
    node = await open_node(url)
    await node.send(*payloads)
    await node.has(*payloads)
    backplane = node.backplane
    looking = await backplane._look()
    sizes: list[int] = []
    last = 0
    while messages := (await backplane._page(looking, last)).messages:
        sizes.append(sum(len(each.payload) for each in messages))
        last = messages[-1].payload_id
    await backplane._close(looking)
    assert len(sizes) > 2
    assert max(sizes) < MAX_BYTES + len(payloads[0])  # the last one may go beyond
    assert sum(sizes) >= sum(map(len, payloads))


async def test_a_server_may_stop_in_the_middle_of_anything(url: str, open_node: Any) -> None:
    stays = await open_node(url)
    own = _tasks()
    sent: list[bytes] = []
    for turns in range(0, 60, 6):
        starting = asyncio.create_task(open_node(url))
        await _turns(turns)
        starting.cancel()
        node = (await asyncio.gather(starting, return_exceptions=True))[0]
        if isinstance(node, BaseException):
            node = await open_node(url)
        payloads = [b"%d-%d" % (turns, number) for number in range(3)]
        await asyncio.gather(node.send(*payloads), stays.send(b"own %d" % turns))
        await _turns(turns)
        await node.backplane.stop()
        assert node.gaps == []  # what it had accepted is sent
        sent += [*payloads, b"own %d" % turns]
    await stays.until(lambda node: len(node.received) == len(sent))
    assert sorted(stays.received) == sorted(sent)
    assert [each for each in stays.received if b"-" in each] == [each for each in sent if b"-" in each]
    assert stays.gaps == []
    assert _tasks() == own


async def _turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def _tasks() -> set[asyncio.Task[Any]]:
    """The tasks of backplanes that run now."""
    return {each for each in asyncio.all_tasks() if each.get_name().startswith("signalr-backplane")}
