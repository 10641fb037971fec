"""The contract of backplanes, kept by every engine."""

import asyncio
import itertools
import os
from typing import Any

import pytest
from asgi_signalr.backplanes import BackplaneError, open_backplane

SERVER = os.environ.get("ASGI_SIGNALR_TEST_MSSQL_URL")
ENGINES = [
    *("memory", "nats", "postgresql", "redis", "sqlite"),
    pytest.param("mariadb", marks=pytest.mark.slow),
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


async def test_what_waits_for_the_store_is_confirmed(url: str, engine: str, open_node: Any) -> None:
    if engine == "memory":
        pytest.skip("it has no store")
    one, other = await open_node(url, confirm=True), await open_node(url)
    await asyncio.gather(*(one.send(b"%02d" % number) for number in range(20)))
    assert one.backplane.health["queued"] == 0
    for node in (one, other):
        await node.has(*(b"%02d" % number for number in range(20)))
        assert node.backplane.health["lag"] == 0
