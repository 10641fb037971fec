"""A thousand clients of every kind for minutes: they come, talk, stall, vanish and come back; nothing of them stays."""

import asyncio
import logging
import math
import os
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .wire import Client, Events, Gone, Polls, Server, WebSocket, raise_file_limit, serving

logger = logging.getLogger(__name__)

SECONDS = float(os.environ.get("HARDENING_SOAK_SECONDS", "60"))
CLIENTS = int(os.environ.get("HARDENING_SOAK_CLIENTS", "1000"))
# A polling client needs more files at times: for its posts.
FILES_PER_CLIENT = 3
KINDS: list[Callable[[int], Client]] = [
    *[WebSocket] * 5,
    *[lambda port: WebSocket(port, "messagepack")] * 2,
    *[Events] * 2,
    Polls,
    lambda port: Polls(port, "messagepack"),
]
GROUPS = [f"group-{number}" for number in range(20)]
LOST = (Gone, OSError, asyncio.IncompleteReadError, ConnectionError)


class Crowd:
    """Clients that come and go, and what they have seen."""

    def __init__(self, port: int, size: int, seed: int) -> None:
        self.port = port
        self.seen: Counter[str] = Counter()
        self.delays: list[float] = []
        self._rng = random.Random(seed)
        self._tasks = [asyncio.create_task(self._live(number)) for number in range(size)]

    async def disperse(self) -> None:
        """Have everybody go, one way or another."""
        for task in self._tasks:
            task.cancel()
        failures = [each for each in await asyncio.gather(*self._tasks, return_exceptions=True) if each]
        assert [each for each in failures if not isinstance(each, asyncio.CancelledError)] == []

    async def _live(self, number: int) -> None:
        await asyncio.sleep(self._rng.random() * 5)
        while True:
            client = self._rng.choice(KINDS)(self.port)
            lives = self._stall if number % 20 == 0 else self._behave
            opened = False
            try:
                await client.open(buffer=4096 if lives == self._stall else None)
                opened = True
                self.seen[f"came: {type(client).__name__} {client.protocol}"] += 1
                await lives(client)
            except LOST as error:
                self.seen[f"lost: {type(error).__name__}" if opened else f"turned away: {error!r:.60}"] += 1
                await asyncio.sleep(self._rng.random())
            finally:
                if hasattr(client, "writer"):
                    client.vanish()

    async def _behave(self, client: Client) -> None:
        """Be in a group, listen to what is told there, say something now and then, and go in the end."""
        await client.invoke("join", self._rng.choice(GROUPS), wait=False)
        listening = asyncio.create_task(self._listen(client))
        try:
            end = time.monotonic() + self._rng.expovariate(1 / 20)
            while (left := end - time.monotonic()) > 0 and not listening.done():
                await asyncio.wait({listening}, timeout=min(left, 4 * self._rng.random()))
                what = self._rng.random()
                if what < 0.6:
                    await client.invoke("echo", "x" * self._rng.randrange(2000))
                elif what < 0.8:
                    await client.invoke("leave", self._rng.choice(GROUPS), wait=False)
                else:
                    await client.invoke("join", self._rng.choice(GROUPS), wait=False)
            if listening.done():
                listening.result()
        finally:
            listening.cancel()
        if self._rng.random() < 0.5:
            await client.close()
            self.seen["went"] += 1
        else:
            client.vanish()
            self.seen["vanished"] += 1

    async def _listen(self, client: Client) -> None:
        async for kind, name, value in client.messages():
            self.seen["messages"] += 1
            if (kind, name) == (1, "told"):
                self.delays.append(time.perf_counter() - float(value[0].partition(" ")[0]))
            elif kind == 3 and isinstance(value, str):
                assert set(value) <= {"x"}, value

    async def _stall(self, client: Client) -> None:
        """Ask for much, and read nothing."""
        await client.invoke("join", self._rng.choice(GROUPS), wait=False)
        for _ in range(400):
            await client.invoke("flood", wait=False)
        self.seen["stalled"] += 1
        await asyncio.sleep(self._rng.random() * 20)


async def _tell(port: int, rng: random.Random) -> None:
    """Tell groups something, all along."""
    teller = await WebSocket(port).open()
    try:
        while True:
            await teller.call("tell", rng.choice(GROUPS), f"{time.perf_counter()} {'y' * 500}")
            await asyncio.sleep(0.01)
    finally:
        await teller.close()


async def _round(
    server: Server, size: int, seconds: float, seed: int, files: float = math.inf
) -> tuple[Crowd, dict[str, Any]]:
    """Let a crowd live for a while; returns what the server holds when everybody has gone, and no file is left."""
    crowd = Crowd(server.port, size, seed)
    telling = asyncio.create_task(_tell(server.port, random.Random(seed)))
    await asyncio.wait({telling}, timeout=seconds)
    assert not telling.done(), telling.result()
    telling.cancel()
    await asyncio.wait({telling})
    await crowd.disperse()
    return crowd, await server.state_when(
        lambda state: (
            (state["connections"], state["negotiated"]) == (0, 0) and state["tasks"] <= 4 and state["files"] <= files
        ),
        patience=30,  # uvicorn waits for 10 s for a client that does not answer the end of its WebSocket
    )


@pytest.fixture(params=["auto", "asgi_signalr.servers.uvicorn:WebSocketProtocol"], ids=["uvicorn", "fast"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """The app, with time-outs that are short enough for the test to see them all."""
    options = {"disconnect_timeout": 5, "keep_alive_interval": 5, "send_timeout": 3, "close_timeout": 2}
    raise_file_limit(CLIENTS * FILES_PER_CLIENT + 200)
    with serving(request.param, tmp_path, **options) as server:
        yield server


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_nothing_is_left_of_a_thousand_clients(
    server: Server, record_property: Callable[[str, object], None]
) -> None:
    files = raise_file_limit(CLIENTS * FILES_PER_CLIENT + 200)
    size = min(CLIENTS, (files - 200) // FILES_PER_CLIENT)
    _, before = await _round(server, size // 5, SECONDS / 10, 1)  # what is made once is made by then
    crowd, after = await _round(server, size, SECONDS, 2, before["files"])
    delays = statistics.quantiles(crowd.delays, n=100)
    report = {
        "clients": size,
        **crowd.seen,
        "delay p50, ms": round(delays[49] * 1000, 1),
        "delay p99, ms": round(delays[98] * 1000, 1),
        "memory before, MB": before["memory"] >> 20,
        "memory after, MB": after["memory"] >> 20,
        "objects": (before["objects"], after["objects"]),
        "files": (before["files"], after["files"]),
    }
    for name, value in report.items():
        record_property(name, value)
        logger.info("%s: %s", name, value)
    assert after["ours"] == before["ours"]
    assert after["tasks"] == before["tasks"]
    assert after["objects"] < before["objects"] * 1.1
    assert server.complaints == []
