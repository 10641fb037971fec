"""What the tests of backplanes share: servers that are nothing but a backplane, and databases for them."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import pytest
from asgi_signalr.backplanes import Backplane, open_backplane
from asgi_signalr.backplanes.postgres import PostgresBackplane
from asgi_signalr.backplanes.sql import SqlBackplane

from labkit.postgres import Server

PATIENCE = 20.0


class Node:
    """One server's end of the stream."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        self.received: list[bytes] = []
        self.gaps: list[str] = []
        self._changed = asyncio.Event()
        engine = SqlBackplane if url.startswith("sqlite:") else PostgresBackplane
        self.backplane: Backplane = (
            engine(url, on_gap=self._gap, **options) if options else open_backplane(url, on_gap=self._gap)
        )

    async def start(self) -> "Node":
        await self.backplane.start(self._take)
        return self

    def _take(self, payload: bytes) -> None:
        self.received.append(payload)
        self._changed.set()

    def _gap(self, what: str) -> None:
        self.gaps.append(what)
        self._changed.set()

    async def send(self, *payloads: bytes) -> None:
        for payload in payloads:
            await self.backplane.publish(payload)

    async def until(self, condition: Callable[["Node"], bool]) -> None:
        """Wait until it is true of this node."""
        async with asyncio.timeout(PATIENCE):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()

    async def has(self, *payloads: bytes) -> None:
        """Wait until as many payloads are there, and compare them."""
        await self.until(lambda node: len(node.received) >= len(payloads))
        assert self.received == list(payloads)


async def eventually(condition: Callable[[], Awaitable[Any]]) -> None:
    """Wait until something that only the database knows is true."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110  (nobody would set an event)
            await asyncio.sleep(0.01)


Open = Callable[..., Awaitable[Node]]
Query = Callable[..., Awaitable[list[dict[str, Any]]]]

_numbers = itertools.count(1)


@pytest.fixture(name="eventually")
def eventually_() -> Callable[[Callable[[], Awaitable[Any]]], Awaitable[None]]:
    """Waits for a condition that is asked again and again."""
    return eventually


@pytest.fixture
def database_url(postgres_server: Server) -> str:
    """An empty database of this test's own."""
    name = f"backplane_{next(_numbers)}"
    postgres_server.create_database(name)
    return postgres_server.database_url(name)


@pytest.fixture
async def open_node() -> AsyncIterator[Open]:
    """Makes started nodes; they are stopped after the test."""
    async with AsyncExitStack() as stack:

        async def open_(url: str, **options: Any) -> Node:
            node = Node(url, options)
            stack.push_async_callback(node.backplane.stop)
            return await node.start()

        yield open_


@pytest.fixture
async def query() -> AsyncIterator[Query]:
    """Runs SQL in the database of a URL, beside the backplane."""
    connections: dict[str, asyncpg.Connection] = {}

    async def query_(url: str, sql: str, *arguments: Any) -> list[dict[str, Any]]:
        if url not in connections:
            connections[url] = await asyncpg.connect(url)
        return [dict(row) for row in await connections[url].fetch(sql, *arguments)]

    yield query_
    for connection in connections.values():
        connection.terminate()


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """What has to end after the test: clients before their servers."""
    async with AsyncExitStack() as stack:
        yield stack
