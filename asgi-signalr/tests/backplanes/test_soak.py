"""Stores that are killed, frozen and locked, and servers that stand still, while many send: nothing is lost in silence.

`ASGI_SIGNALR_SOAK_SECONDS` says how long each engine is tried; `-s` shows the figures.
"""

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from asgi_signalr.backplanes import BackplaneError

from labkit.services.postgres.cluster import Cluster
from labkit.services.postgres.keeper import temporary_server

from . import stores

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")]

SECONDS = float(os.environ.get("ASGI_SIGNALR_SOAK_SECONDS", "15"))
SENDERS = 8

Fault = Callable[[], Awaitable[None]]


@dataclass
class Tried:
    """A store, and what can happen to it without a loss."""

    url: str
    faults: list[Fault]


@contextlib.contextmanager
def postgres() -> Iterator[Tried]:
    with temporary_server() as server:
        server.create_database("signalr")
        home = Path(server.query("postgres", "SHOW data_directory")[0]["data_directory"]).parent
        cluster = Cluster(home, temporary=True)

        async def crash() -> None:
            await asyncio.to_thread(cluster.stop)
            await asyncio.to_thread(cluster.start)

        async def end_connections() -> None:
            sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'asgi-signalr%'"
            with contextlib.suppress(Exception):  # it may be away
                await asyncio.to_thread(server.query, "signalr", sql)

        yield Tried(server.database_url("signalr"), [crash, end_connections])


@contextlib.contextmanager
def tried_store(store: stores.Store) -> Iterator[Tried]:
    async def freeze() -> None:
        with store.frozen():
            await asyncio.sleep(random.uniform(0.1, 2))

    with stores.running(store):
        yield Tried(store.url, [store.restart, freeze])


@pytest.fixture(params=["mariadb", "nats", "postgresql", "redis", "sqlite"])
async def tried(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Tried]:
    """Each engine with a store of its own."""
    async with AsyncExitStack() as stack:
        match request.param:
            case "mariadb":
                store = stores.mariadb_store(tmp_path / "store")
                tried = stack.enter_context(tried_store(store))
                yield Tried(await stores.mariadb_database(store, "signalr"), tried.faults)
            case "nats":
                yield stack.enter_context(tried_store(stores.nats_store(tmp_path / "store")))
            case "redis":
                yield stack.enter_context(tried_store(stores.redis_store(tmp_path / "store")))
            case "postgresql":
                yield stack.enter_context(postgres())
            case _:
                file = tmp_path / "signalr.db"

                async def hold() -> None:
                    await asyncio.to_thread(_hold, file, random.uniform(0.1, 2))

                yield Tried(f"sqlite:///{file}", [hold])


def _hold(file: Path, seconds: float) -> None:
    """Have the lock of a file, as a slow writer has it, who then takes it all back."""
    with contextlib.closing(sqlite3.connect(file, timeout=20, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE SignalR_Messages_0_Id SET PayloadId = PayloadId + 100")
        time.sleep(seconds)
        writer.execute("ROLLBACK")


async def test_what_was_accepted_arrives_once_and_in_one_order_whatever_happens(tried: Tried, open_node: Any) -> None:
    nodes = [await open_node(tried.url, confirm=True, queue_patience=60.0) for _ in range(3)]
    loop = asyncio.get_running_loop()
    end = loop.time() + SECONDS
    accepted: list[bytes] = []

    async def send(sender: int) -> None:
        turn = 0
        while loop.time() < end:
            payload = b"%d-%d" % (sender, turn) + b"x" * random.choice((0, 0, 0, 1000, 100_000))
            with contextlib.suppress(BackplaneError):
                await nodes[sender % 3].send(payload)
                accepted.append(payload)
            turn += 1
            await asyncio.sleep(random.uniform(0, 0.02))

    happened = 0

    async def harm() -> None:
        nonlocal happened
        while tried.faults and loop.time() < end:
            await asyncio.sleep(random.uniform(0.2, 2))
            await random.choice(tried.faults)()
            happened += 1

    async with asyncio.timeout(SECONDS + 120):
        await asyncio.gather(*map(send, range(SENDERS)), harm())
        await nodes[0].send(b"end")
        for node in nodes:
            while b"end" not in node.received[-1:]:  # noqa: ASYNC110  (for longer than a node waits)
                await asyncio.sleep(0.05)
    for node in nodes:
        assert node.gaps == []
        assert node.received == nodes[0].received
        for sender in range(SENDERS):
            turns = [
                int(each.split(b"-")[1].rstrip(b"x")) for each in node.received if each.startswith(b"%d-" % sender)
            ]
            assert turns == sorted(turns)
    assert sorted(nodes[0].received) == sorted([*accepted, b"end"])
    sys.stdout.write(f"\n{tried.url.partition(':')[0]}: {len(accepted)} messages, {happened} faults in {SECONDS:g} s\n")


BURST = 10_000

RECEIVER = """
import asyncio, sys
from asgi_signalr.backplanes import open_backplane

async def main(url, count):
    received, gaps, complete = [], [], asyncio.Event()
    def take(payload):
        received.append(payload)
        if len(received) == count:
            complete.set()
    backplane = open_backplane(url, on_gap=gaps.append)
    await backplane.start(take)
    print("started", flush=True)
    await complete.wait()
    print(gaps == [] and received == [b"%d" % number for number in range(count)], flush=True)
    await backplane.stop()

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


async def test_a_server_that_stands_still_for_ten_thousand_messages_receives_them_all(
    tried: Tried, open_node: Any
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", RECEIVER, tried.url, str(BURST)), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            assert await process.stdout.readline() == b"started\n"
            node = await open_node(tried.url)
            process.send_signal(signal.SIGSTOP)
            await node.send(*(b"%d" % number for number in range(BURST)))
            await node.until(lambda node: len(node.received) == BURST)
            process.send_signal(signal.SIGCONT)
            assert await process.stdout.readline() == b"True\n"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()
