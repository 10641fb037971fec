"""What a live ASP.NET Core answered, this library answers, or the table of differences says why not."""

import asyncio
import tomllib
from pathlib import Path
from typing import Any

from asgi_signalr.testing.asgi import WebSocket, running

from .hubs import app
from .replay import Exchange, equal, recorded, replay

TABLE = tomllib.loads(Path(__file__).with_name("differences.toml").read_text(encoding="utf-8"))["difference"]
TESTS = Path(__file__).parents[1]


class InProcess:
    """A client's WebSocket to the app in this process."""

    def __init__(self, app: Any, url: str) -> None:
        self._received: asyncio.Queue[str | bytes | tuple[int, str]] = asyncio.Queue()
        self._accepted = asyncio.Event()
        path, _, query = url.partition("?")
        self._socket = WebSocket(app, path, query, {}, {}, self._on_event, lambda error: self._accepted.set())

    def _on_event(self, event: Any) -> None:
        if event["type"] == "websocket.send":
            self._received.put_nowait(event["text"] if event.get("text") is not None else event["bytes"])
        elif event["type"] == "websocket.close":
            self._received.put_nowait((event.get("code", 1000), event.get("reason") or ""))
        self._accepted.set()

    async def send(self, data: str | bytes) -> None:
        await self._accepted.wait()
        self._socket.send(data.encode() if isinstance(data, str) else data, binary=isinstance(data, bytes))
        for _ in range(10):  # the answers to one frame come before the next one is read
            await asyncio.sleep(0)

    async def receive(self) -> str | bytes | tuple[int, str]:
        return await self._received.get()

    async def close(self) -> None:
        self._socket.disconnect(1000)
        await self._socket.ended(10)


async def test_every_exchange_is_answered_as_recorded_or_is_listed_as_different() -> None:
    different = set()
    turns = asyncio.Semaphore(64)

    async with running(app, timeout=30) as started:

        async def try_one(exchange: Exchange) -> None:
            async with turns:
                socket = InProcess(started, exchange.path)
                lines = await replay(exchange, socket)
                await socket.close()
            if not equal(exchange.seen, lines):
                different.add(exchange.name)

        await asyncio.gather(*map(try_one, recorded()))

    listed = {name for each in TABLE for name in each["exchanges"]}
    assert {"new": sorted(different - listed), "gone": sorted(listed - different)} == {"new": [], "gone": []}


def test_each_difference_is_seen_by_the_replay_or_by_a_test_of_its_own() -> None:
    for each in TABLE:
        file, _, name = each.get("test", "").partition("::")
        assert each["exchanges"] or f"def {name}(" in (TESTS / file).read_text(encoding="utf-8"), each["cause"]
