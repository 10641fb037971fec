"""What the tests of backplanes share: servers that are nothing but a backplane, and databases for them."""

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import nats
import pytest
import sqlalchemy
from asgi_signalr.backplanes import Backplane, open_backplane
from asgi_signalr.backplanes.mssql import MssqlBackplane
from asgi_signalr.backplanes.mysql import MysqlBackplane
from asgi_signalr.backplanes.nats import NatsBackplane
from asgi_signalr.backplanes.postgres import PostgresBackplane
from asgi_signalr.backplanes.redis import RedisBackplane
from asgi_signalr.backplanes.sqlite import SqliteBackplane
from nats.js.errors import NotFoundError

from labkit.services.postgres.server import Server

from . import stores

PATIENCE = 20.0


ENGINES: dict[str, Any] = {
    "mariadb": MysqlBackplane,
    "mssql": MssqlBackplane,
    "nats": NatsBackplane,
    "postgresql": PostgresBackplane,
    "redis": RedisBackplane,
    "sqlite": SqliteBackplane,
}


class Node:
    """One server's end of the stream."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        self.received: list[bytes] = []
        self.gaps: list[str] = []
        self._changed = asyncio.Event()
        self.backplane: Backplane = (
            ENGINES[url.partition("://")[0]](url, on_gap=self._gap, **options)
            if options
            else open_backplane(url, on_gap=self._gap)
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


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stores.Store]:
    """A Redis for the whole session; a test takes one of its databases, empty."""
    folder = tmp_path_factory.mktemp("redis")
    with stores.running(stores.redis_store(folder, "--databases", "10000", "--appendonly", "no")) as store:
        yield store


@pytest.fixture
def redis_url(redis_server: stores.Store) -> str:
    """An empty database of this test's own."""
    return f"{redis_server.url}/{next(_numbers)}"


@pytest.fixture(scope="session")
def system_redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stores.Store]:
    """The same with the Redis of the system."""
    folder, program = tmp_path_factory.mktemp("system-redis"), stores.system_redis_program()
    options = ("--databases", "10000", "--appendonly", "no")
    with stores.running(stores.redis_store(folder, *options, program=program)) as store:
        yield store


@pytest.fixture
def system_redis_url(system_redis_server: stores.Store) -> str:
    """An empty database of this test's own."""
    return f"{system_redis_server.url}/{next(_numbers)}"


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stores.Store]:
    """A NATS for the whole session; its stream is emptied for each test."""
    with stores.running(stores.nats_store(tmp_path_factory.mktemp("nats"))) as store:
        yield store


@pytest.fixture
async def nats_url(nats_server: stores.Store) -> str:
    """A server with no stream."""
    client = await nats.connect(nats_server.url)
    with contextlib.suppress(NotFoundError):
        await client.jetstream().delete_stream("signalr_messages_0")
    await client.close()
    return nats_server.url


@pytest.fixture(scope="session")
def mariadb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[stores.Store]:
    """A MariaDB for the whole session; a test takes a database of its own."""
    with stores.running(stores.mariadb_store(tmp_path_factory.mktemp("mariadb"))) as store:
        yield store


@pytest.fixture
async def mariadb_url(mariadb_server: stores.Store) -> str:
    """An empty database of this test's own."""
    return await stores.mariadb_database(mariadb_server, f"backplane_{next(_numbers)}")


@pytest.fixture
async def mssql_url() -> str:
    """The database of a SQL Server that ASGI_SIGNALR_TEST_MSSQL_URL names, without the backplane's tables."""
    url = os.environ.get("ASGI_SIGNALR_TEST_MSSQL_URL")
    if url is None:
        pytest.skip("ASGI_SIGNALR_TEST_MSSQL_URL names no SQL Server")
    backplane = MssqlBackplane(url)
    async with backplane._engine.begin() as connection:
        for name in ("Messages_0", "Messages_0_Id", "Schema"):
            await connection.execute(sqlalchemy.text(f"DROP TABLE IF EXISTS [SignalR].[{name}]"))
    return url


@pytest.fixture
def stream_url(request: pytest.FixtureRequest, engine: str) -> str:
    """A stream of an engine that no other test knows."""
    if engine == "memory":
        return f"memory://test-{next(_numbers)}"
    if engine == "sqlite":
        return f"sqlite:///{request.getfixturevalue('tmp_path')}/signalr.db"
    return str(request.getfixturevalue("database_url" if engine == "postgresql" else f"{engine}_url"))


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
