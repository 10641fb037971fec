"""What a live ASP.NET Core answered, this library answers, or the table of differences says why not."""

import asyncio
import contextlib
import logging
import re
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from asgi_signalr.servers.uvicorn import WebSocketProtocol
from asgi_signalr.testing.asgi import WebSocket, running
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from .clock import PatientEventLoop
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


class OverNetwork:
    """A client's WebSocket to a server."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, data: str | bytes) -> None:
        with contextlib.suppress(ConnectionClosed):
            await self._connection.send(data)

    async def receive(self) -> str | bytes | tuple[int, str]:
        try:
            return await self._connection.recv()
        except ConnectionClosed as end:
            return (1006, "") if end.rcvd is None else (end.rcvd.code, end.rcvd.reason)

    async def close(self) -> None:
        await self._connection.close()


async def differences(open_to: Callable[[str], Awaitable[InProcess | OverNetwork]], at_once: int) -> dict[str, Any]:
    """Replay all exchanges; returns those that are different, or no longer, against the table."""
    listed = {name for each in TABLE for name in each["exchanges"]}
    turns = asyncio.Semaphore(at_once)

    async def differs(exchange: Exchange) -> bool:
        async with turns:
            socket = await open_to(exchange.path)
            lines = await replay(exchange, socket, is_different=exchange.name in listed)
            await socket.close()
        return not equal(exchange.seen, lines)

    exchanges = recorded()
    seen = await asyncio.gather(*map(differs, exchanges))
    different = {exchange.name for exchange, is_different in zip(exchanges, seen, strict=True) if is_different}
    return {"new": sorted(different - listed), "gone": sorted(listed - different)}


@pytest.fixture(autouse=True)
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log nothing: hundreds of these calls fail on purpose, and writing their tracebacks costs more than all else."""
    monkeypatch.setattr(logging.getLogger("asgi_signalr"), "disabled", True)


def test_every_exchange_is_answered_as_recorded_or_is_listed_as_different() -> None:
    async def compare() -> dict[str, Any]:
        async with running(app, timeout=30) as started:

            async def open_to(path: str) -> InProcess:
                return InProcess(started, path)

            return await differences(open_to, at_once=64)

    with asyncio.Runner(loop_factory=PatientEventLoop) as runner:
        assert runner.run(compare()) == {"new": [], "gone": []}


@pytest.mark.slow
@pytest.mark.parametrize("ws", ["websockets-sansio", WebSocketProtocol], ids=["uvicorn", "adapter"])
async def test_every_exchange_is_answered_so_by_a_server(serve: Callable[..., Awaitable[str]], ws: Any) -> None:
    url = await serve(app, ws=ws, lifespan="off")

    async def open_to(path: str) -> OverNetwork:
        address = url.replace("http://", "ws://") + path
        return OverNetwork(await connect(address, compression=None, max_size=None, ping_interval=None))

    assert await differences(open_to, at_once=8) == {"new": [], "gone": []}


def test_each_difference_is_seen_by_the_replay_or_by_a_test_of_its_own() -> None:
    for each in TABLE:
        file, _, name = each.get("test", "").partition("::")
        assert each["exchanges"] or f"def {name}(" in (TESTS / file).read_text(encoding="utf-8"), each["cause"]


OF_DOTNET = re.compile(r"System\.|LineNumber|Int32|Reader|(Json|Hub)Exception")


def test_what_is_left_is_no_fault() -> None:
    exchanges = {each.name: each for each in recorded()}
    faults = [
        name
        for each in TABLE
        for name in each["exchanges"]
        if (exchange := exchanges[name]).kind not in ("b", "c", "e")
        and name not in each.get("since", ())
        and not (exchange.kind == "d" and any(map(OF_DOTNET.search, exchange.seen)))
    ]
    assert faults == []
    for each in TABLE:
        assert set(each.get("since", ())) <= set(each["exchanges"]), each["cause"]
