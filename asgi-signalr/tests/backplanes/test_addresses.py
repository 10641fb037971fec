"""The URL of a backplane: whatever stands in it, no message repeats the password, and what cannot be read is said."""

import asyncio
import logging
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from asgi_signalr.backplanes import open_backplane
from asgi_signalr.backplanes.addresses import hosts_of
from asgi_signalr.backplanes.redis import RedisBackplane

from labkit.services.postgres.server import Server

from . import stores

PASSWORD = "p@s:s/w#r%d?[é"


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("redis://host", "host"),
        ("redis://user:pass@host:1/0", "host:1"),
        ("postgresql://user:p@ss@one:1,[::1]:2/database", "one:1,[::1]:2"),
        ("postgresql://user@%2Frun%2Fpostgresql/database", "/run/postgresql"),
        ("postgresql:///database?host=/run/postgresql", ""),
    ],
)
def test_the_hosts_of_a_url_come_without_its_password(url: str, hosts: str) -> None:
    assert hosts_of(url) == hosts


@pytest.mark.parametrize("scheme", ["mariadb", "mysql", "nats", "postgresql", "redis", "redis+cluster", "rediss"])
@pytest.mark.parametrize("password", ["geheim/1", "geheim#1", "geheim?1", "ge:heim/1", "[geheim", "12/geheim"])
def test_a_password_that_is_not_quoted_is_in_no_message(scheme: str, password: str) -> None:
    try:
        open_backplane(f"{scheme}://me:{password}@host/database")
    except ValueError as error:
        assert "quote(password, safe='')" in str(error)
        assert "geheim" not in str(error)
        assert error.__cause__ is None
    else:  # this engine's URLs may have it as it is
        assert scheme in ("mariadb", "mysql")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "has no scheme"),
        ("me:geheim@host", "has no scheme"),
        ("postgresql+asyncpg://me:geheim@host/database", r"Write postgresql:// alone"),
        ("amqp://me:geheim@host", r"No backplane has the scheme 'amqp'; there is mariadb, .*valkeys\+sentinel\.$"),
        ("redis://me:geheim@one,two", "leads to one server"),
        ("redis://me:geheim@host?nonsense=1", r"an option that redis-py does not know: 'nonsense'\."),
        ("mariadb://me:geheim@host/quiz?nonsense=1", r"an option that asyncmy does not know: 'nonsense'\."),
        ("mysql://me:geheim@host/quiz?connect_timeout=long", r"cannot have its value: .* 'long'\."),
        ("nats://me:geheim@host?nonsense=1&more=2", r"has no options, but this one has 'more', 'nonsense'\."),
        ("sqlite:///signalr.db?nonsense=1", r"an option that aiosqlite does not know: 'nonsense'\."),
        ("sqlite://folder/signalr.db", r"The servers need one file: sqlite:///PATH"),
    ],
)
def test_a_url_that_no_engine_has_is_refused_with_advice(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        open_backplane(url)
    assert "geheim" not in str(caught.value)


async def test_a_password_may_have_any_character_in_nats(open_node: Any, tmp_path: Path) -> None:
    settings = (
        f'authorization {{ user: "m@", password: "{PASSWORD}" }}\njetstream {{ store_dir: "{tmp_path.as_posix()}" }}\n'
    )
    with stores.running(stores.nats_store(tmp_path / "nats", settings)) as store:
        node = await open_node(f"nats://{quote('m@')}:{quote(PASSWORD, safe='')}@127.0.0.1:{store.port}")
        await node.send(b"1")
        await node.has(b"1")


async def test_a_password_may_have_any_character_in_redis(open_node: Any, tmp_path: Path) -> None:
    with stores.running(stores.redis_store(tmp_path / "redis", "--requirepass", PASSWORD)) as store:
        # What is the backplane's own to decide may stand in a URL that another program has, too.
        url = f"redis://:{quote(PASSWORD, safe='')}@127.0.0.1:{store.port}?decode_responses=true&socket_timeout=0.1"
        node = await open_node(url)
        await node.send(b"1")
        await node.has(b"1")
        await asyncio.sleep(0.3)  # longer than that time-out
        assert node.backplane.health["trouble"] is None


async def test_a_password_may_have_any_character_in_postgresql(open_node: Any, postgres_server: Server) -> None:
    own = Server(postgres_server.admin_url)
    own.query("postgres", f"CREATE ROLE \"m@\" LOGIN PASSWORD '{PASSWORD}'")
    own.query("postgres", 'CREATE DATABASE "a database" OWNER "m@"')
    parts = urlsplit(postgres_server.url)
    node = await open_node(
        f"postgres://{quote('m@')}:{quote(PASSWORD, safe='')}@127.0.0.1:1,{parts.hostname}:{parts.port}/a%20database"
    )
    await node.send(b"1")
    await node.has(b"1")


async def test_what_nobody_expects_is_told_in_full_once(caplog: pytest.LogCaptureFixture) -> None:
    tries = 0
    enough = asyncio.Event()

    class Wrong(RedisBackplane):
        async def _connect(self, doing: str) -> Any:
            nonlocal tries
            tries += 1
            if tries == 10:
                enough.set()
            raise TypeError("nobody has thought of this")

        def _delay(self, failures: int, error: BaseException) -> float:
            return 0

    backplane = Wrong("redis://host")
    with caplog.at_level(logging.WARNING):
        await backplane.start(lambda _: None)
        await enough.wait()
        await backplane.stop()
    assert [(each.levelname, bool(each.exc_info)) for each in caplog.records] == [("ERROR", True), ("WARNING", False)]
