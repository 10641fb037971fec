"""A server and its store that cannot reach each other for a while, or hardly: the same for every engine with a port.

`ASGI_SIGNALR_IDLE_SECONDS` says how long nothing happens where nothing happens.
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from asgi_signalr import Hub, SignalR
from asgi_signalr.backplanes import BackplaneError
from asgi_signalr.backplanes.stored import MAX_BYTES
from asgi_signalr.testing import TestClient

from .ways import Way

LONG = 60.0  # seconds; a dropped connection is noticed by time-outs of ten
IDLE = float(os.environ.get("ASGI_SIGNALR_IDLE_SECONDS", "12"))  # longer than those


@pytest.fixture(params=[pytest.param("mariadb", marks=pytest.mark.slow), "nats", "postgresql", "redis"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine that is reached by a port."""
    return str(request.param)


@pytest.fixture
async def way(stream_url: str) -> AsyncIterator[Way]:
    """What is between the second server of a test and its store."""
    async with Way.to(stream_url).opened() as way:
        yield way


async def has(node: Any, *payloads: bytes) -> None:
    """Wait for longer than a node does."""
    async with asyncio.timeout(LONG):
        while len(node.received) < len(payloads):  # noqa: ASYNC110  (a node gives up before)
            await asyncio.sleep(0.05)
    assert node.received == list(payloads)


async def test_a_connection_that_is_cut_costs_nothing(stream_url: str, way: Way, open_node: Any) -> None:
    one, other = await open_node(stream_url), await open_node(way.of(stream_url))
    for number in range(3):
        way.cut()
        await one.send(b"%d" % (2 * number))
        await has(other, *(b"%d" % each for each in range(2 * number + 1)))
        await other.send(b"%d" % (2 * number + 1))
        await has(one, *(b"%d" % each for each in range(2 * number + 2)))
    await has(other, *one.received)
    assert one.gaps == other.gaps == []
    await other.backplane.stop()


async def test_who_was_away_for_less_than_is_kept_has_missed_nothing(stream_url: str, way: Way, open_node: Any) -> None:
    one, other = await open_node(stream_url), await open_node(way.of(stream_url))
    await one.send(b"1")
    await other.has(b"1")
    way.close()
    await one.send(b"2", b"3")
    await other.send(b"4")
    await one.has(b"1", b"2", b"3")
    way.is_open = True
    for node in (one, other):
        await has(node, b"1", b"2", b"3", b"4")
        assert node.gaps == []
    await other.backplane.stop()


async def test_who_was_away_for_longer_than_is_kept_says_so(
    stream_url: str, engine: str, way: Way, open_node: Any, eventually: Any
) -> None:
    few: dict[str, Any] = {"keep_messages": 5} | ({} if engine == "nats" else {"retention_interval": 0.05})
    one = await open_node(stream_url, **few)
    other = await open_node(way.of(stream_url))
    await one.send(b"first")
    await other.has(b"first")
    way.close()
    for number in range(20):  # each alone, as NATS counts what travels together as one
        await one.send(b"%d" % number)
        await one.until(lambda node, number=number: len(node.received) == number + 2)
    looking = await one.backplane._look()

    async def is_tidied() -> bool:
        page = await one.backplane._page(looking, 0)
        return bool(page.messages[0].payload_id == page.top - 4)

    await eventually(is_tidied)
    await one.backplane._close(looking)
    way.is_open = True
    await other.until(lambda node: bool(node.gaps))
    await one.send(b"last")
    await other.until(lambda node: node.received[-1:] == [b"last"])
    assert other.received == [b"first", *(b"%d" % number for number in range(15, 20)), b"last"]
    assert len(other.gaps) == 1
    assert one.gaps == []
    await other.backplane.stop()


async def test_who_starts_without_its_store_says_so_and_joins_later(stream_url: str, way: Way, open_node: Any) -> None:
    one = await open_node(stream_url)
    way.close()
    deaf = await open_node(way.of(stream_url))
    assert not deaf.backplane.health["is_joined"]
    assert deaf.backplane.health["trouble"]
    await one.send(b"missed")
    await one.has(b"missed")
    await deaf.send(b"kept")
    assert deaf.backplane.health["queued"] == 1
    way.is_open = True
    await has(one, b"missed", b"kept")
    await has(deaf, b"kept")
    assert deaf.gaps == ["this server started without its backplane: what the others have sent since is not known."]
    assert one.gaps == []
    await deaf.backplane.stop()


@pytest.mark.slow
async def test_on_a_slow_way_less_is_read_at_a_time(stream_url: str, way: Way, open_node: Any) -> None:
    """Not even the first page of what it has missed comes within the time that it has."""
    one, other = await open_node(stream_url), await open_node(way.of(stream_url))
    await one.send(b"first")
    await other.has(b"first")
    way.close()
    payloads = [bytes([number]) * 1_500_000 for number in range(6)]
    for payload in payloads:
        await one.send(payload)
    await one.has(b"first", *payloads)
    other.backplane._patience["receiving"] = 1.5
    way.pace = MAX_BYTES / 3
    way.is_open = True
    await has(other, b"first", *payloads)
    assert other.gaps == []
    assert other.backplane._page_bytes < MAX_BYTES
    way.pace = None
    await other.backplane.stop()


@pytest.mark.slow
async def test_an_idle_connection_that_was_silently_dropped_costs_time_and_no_message(
    stream_url: str, way: Way, open_node: Any
) -> None:
    one, other = await open_node(stream_url), await open_node(way.of(stream_url))
    await one.send(b"1")
    await other.has(b"1")
    way.swallow()
    await one.send(b"2")
    await other.send(b"3")
    for node in (one, other):
        await has(node, b"1", b"2", b"3")
        assert node.gaps == []
    await other.backplane.stop()


class Chat(Hub):
    """Clients only listen."""


async def test_who_asks_while_the_store_is_away_is_told_that_and_nothing_of_the_client(
    stream_url: str, way: Way, eventually: Any
) -> None:
    here, there = [SignalR(backplane=url, group_timeout=0.5) for url in (way.of(stream_url), stream_url)]
    for app in (here, there):
        app.hub("/chat")(Chat)
    async with here.lifespan(), there.lifespan(), TestClient(there, "/chat") as client:
        client.on("name", lambda: "ada")
        assert client.connection_id
        proxy, groups = here.hub_context(Chat).clients.client(client.connection_id), here.hub_context(Chat).groups
        async with asyncio.timeout(LONG):
            assert await proxy.invoke("name") == "ada"
            way.close()

            async def is_away() -> bool:
                return here.status()["backplane"]["trouble"] is not None

            await eventually(is_away)
            with pytest.raises(BackplaneError, match=r"could not be asked, because of the backplane: "):
                await proxy.invoke("name")
            with pytest.raises(TimeoutError, match=r"a group; it will once the backplane is well again: "):
                await groups.add(client.connection_id, "red")
            way.is_open = True
            await here.hub_context(Chat).clients.group("red").send("heard", "hello")  # behind that command
            assert await client.next("heard") == ["hello"]

            async def is_back() -> bool:
                return not await is_away()

            await eventually(is_back)
            assert await proxy.invoke("name") == "ada"


# Whatever the store.


@pytest.fixture
def every_url(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """A stream of each engine whose store is on this machine."""
    urls = [f"sqlite:///{tmp_path}/signalr.db"]
    for name in ("database_url", "mariadb_url", "nats_url", "redis_url"):
        with contextlib.suppress(pytest.skip.Exception):
            urls.append(request.getfixturevalue(name))
    return urls


@pytest.mark.slow
async def test_a_message_after_a_time_in_which_nothing_happened_arrives(every_url: list[str], open_node: Any) -> None:
    pairs = [[await open_node(url) for _ in range(2)] for url in every_url]
    for one, other in pairs:
        await one.send(b"1")
        await other.has(b"1")
    await asyncio.sleep(IDLE)
    for one, other in pairs:
        assert one.backplane.health["trouble"] is other.backplane.health["trouble"] is None
        await one.send(b"2")
        await other.has(b"1", b"2")
        assert one.gaps == other.gaps == []


WRONG_CLOCK = """
import datetime, sys, time

right, Right, wrong_by = time.time, datetime.datetime, float(sys.argv[2])

class Wrong(Right):
    @classmethod
    def now(cls, tz=None):
        return Right.now(tz) + datetime.timedelta(seconds=wrong_by)

time.time, datetime.datetime = lambda: right() + wrong_by, Wrong

import asyncio, json
from asgi_signalr.backplanes import open_backplane

async def main():
    received, gaps, complete = [], [], asyncio.Event()
    answers = asyncio.Queue()

    def take(payload):
        received.append(payload.decode())
        if not received[-1].startswith("answer"):
            answers.put_nowait(b"answer " + payload)
        if len(received) == 20:
            complete.set()

    async def answer():
        while True:
            await backplane.publish(await answers.get())

    backplane = open_backplane(sys.argv[1], on_gap=gaps.append)
    await backplane.start(take)
    answering = asyncio.create_task(answer())
    print("started", flush=True)
    await complete.wait()
    answering.cancel()
    await backplane.stop()
    print(json.dumps([received, gaps]))

asyncio.run(main())
"""


@pytest.mark.parametrize(
    "engine", [pytest.param("mariadb", marks=pytest.mark.slow), "nats", "postgresql", "redis", "sqlite"]
)
async def test_a_server_whose_clock_is_wrong_is_as_good_as_another(stream_url: str, open_node: Any) -> None:
    node = await open_node(stream_url)
    for wrong_by in ("3600", "-3600"):
        before = len(node.received)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", WRONG_CLOCK, stream_url, wrong_by), stdout=asyncio.subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            async with asyncio.timeout(LONG):
                assert await process.stdout.readline() == b"started\n"
                await node.send(*(b"%d" % number for number in range(10)))
                received, gaps = json.loads(await process.stdout.readline())
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()
        await node.until(lambda node, before=before: len(node.received) == before + 20)
        assert received == [each.decode() for each in node.received[before:]]
        assert sorted(received) == sorted(f"{word}{number}" for word in ("", "answer ") for number in range(10))
        assert gaps == node.gaps == []
