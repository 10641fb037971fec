"""MariaDB as the backplane, when something goes wrong: a real server; `test_soak` kills and freezes it."""

from pathlib import Path
from typing import Any

import pytest
from asgi_signalr.backplanes import BackplaneError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from . import stores
from .certificates import certify
from .pairs import say_the_gap_once_and_go_on, started

pytestmark = pytest.mark.slow

TAKE = "UPDATE SignalR_Messages_0_Id SET PayloadId = PayloadId + 1"
PUT = (
    "INSERT INTO SignalR_Messages_0 SELECT PayloadId, '{}', UTC_TIMESTAMP(6), REPLACE(UUID(), '-', '') "
    "FROM SignalR_Messages_0_Id"
)


def engine_of(url: str) -> Any:
    return create_async_engine(url.replace("mariadb:", "mariadb+asyncmy:"), poolclass=NullPool)


async def run(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run SQL beside the backplane, in one transaction; returns the rows of the last statement."""
    rows: list[tuple[Any, ...]] = []
    async with engine_of(url).begin() as connection:
        for sql in statements:
            result = await connection.execute(text(sql))
            rows = [tuple(row) for row in result] if result.returns_rows else []
    return rows


async def test_a_message_waits_for_the_transaction_that_took_the_number_before(
    mariadb_url: str, open_node: Any, eventually: Any
) -> None:
    node = await open_node(mariadb_url)
    async with engine_of(mariadb_url).connect() as slow:
        await slow.execute(text(TAKE))
        await slow.execute(text(PUT.format("first")))
        await node.send(b"second")
        waits = "SELECT 1 FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'"
        await eventually(lambda: run(mariadb_url, waits))
        assert node.received == []
        await slow.commit()
    await node.has(b"first", b"second")


async def test_a_rollback_leaves_no_hole(mariadb_url: str, open_node: Any) -> None:
    one, other = await open_node(mariadb_url), await open_node(mariadb_url)
    await one.send(b"1")
    await other.has(b"1")
    async with engine_of(mariadb_url).connect() as slow:
        await slow.execute(text(TAKE))
        await slow.execute(text(PUT.format("never")))
        await one.send(b"2")
        await slow.rollback()
    for node in (one, other):
        await node.has(b"1", b"2")
        assert node.gaps == []
    assert await run(mariadb_url, "SELECT PayloadId FROM SignalR_Messages_0 ORDER BY 1") == [(1,), (2,)]


async def test_a_killed_connection_costs_nothing(mariadb_url: str, open_node: Any) -> None:
    nodes = await started(open_node, mariadb_url)
    name = mariadb_url.rpartition("/")[2]
    others = f"SELECT id FROM information_schema.PROCESSLIST WHERE db = '{name}' AND id != CONNECTION_ID()"
    for (number,) in await run(mariadb_url, others):
        await run(mariadb_url, f"KILL {number}")
    await nodes[0].send(b"4", b"5")
    for node in nodes:
        await node.has(b"1", b"2", b"3", b"4", b"5")
        assert node.gaps == []


async def test_a_restored_database_stalls_nobody_and_is_said(mariadb_url: str, open_node: Any) -> None:
    nodes = await started(open_node, mariadb_url)
    await run(
        mariadb_url,
        "DELETE FROM SignalR_Messages_0 WHERE PayloadId > 1",
        "UPDATE SignalR_Messages_0_Id SET PayloadId = 1",
    )
    await say_the_gap_once_and_go_on(*nodes)


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM SignalR_Messages_0_Id",
        "INSERT INTO SignalR_Messages_0_Id SELECT 1, Epoch FROM SignalR_Messages_0_Id",
        "DROP TABLE SignalR_Messages_0_Id, SignalR_Messages_0, SignalR_Schema",
    ],
    ids=["no counter", "two counters", "no tables"],
)
async def test_tables_that_are_broken_or_gone_are_made_anew_and_said_once(
    mariadb_url: str, open_node: Any, sql: str
) -> None:
    nodes = await started(open_node, mariadb_url)
    await run(mariadb_url, sql)
    await say_the_gap_once_and_go_on(*nodes)
    assert await run(mariadb_url, "SELECT count(*) FROM SignalR_Messages_0_Id") == [(1,)]


async def test_a_failover_that_was_overtaken_is_said_by_every_server(mariadb_url: str, open_node: Any) -> None:
    """Its numbers are higher than before when the servers look: only the messages themselves tell."""
    nodes = await started(open_node, mariadb_url)
    going_on = [each for payload in ("new 3", "new 4", "new 5") for each in (TAKE, PUT.format(payload))]
    await run(
        mariadb_url,
        "DELETE FROM SignalR_Messages_0 WHERE PayloadId = 3",
        "UPDATE SignalR_Messages_0_Id SET PayloadId = 2",
        *going_on,
    )
    for node in nodes:
        await node.has(b"1", b"2", b"3", b"new 3", b"new 4", b"new 5")
        assert len(node.gaps) == 1


async def test_messages_that_were_purged_before_they_were_read_are_said(mariadb_url: str, open_node: Any) -> None:
    nodes = await started(open_node, mariadb_url)
    # All of it becomes visible at once: the servers were as good as away.
    await run(mariadb_url, TAKE, TAKE, TAKE, PUT.format("6"))
    for node in nodes:
        await node.has(b"1", b"2", b"3", b"6")
        assert node.gaps == ["messages 4 to 5 were deleted before they were read."]


async def test_tables_of_a_newer_version_are_refused(mariadb_url: str, open_node: Any) -> None:
    await (await open_node(mariadb_url)).backplane.stop()
    await run(mariadb_url, "UPDATE SignalR_Schema SET SchemaVersion = 2")
    with pytest.raises(BackplaneError, match="version 2, this asgi-signalr needs version 1: upgrade"):
        await open_node(mariadb_url)


async def test_it_is_reached_by_tls_and_a_strange_certificate_is_refused(tmp_path: Path, open_node: Any) -> None:
    certify(tmp_path)
    tls = (f"--ssl-cert={tmp_path}/certificate", f"--ssl-key={tmp_path}/key")
    with stores.running(stores.mariadb_store(tmp_path / "store", *tls)) as store:
        url = await stores.mariadb_database(store, "signalr")
        await run(url, "ALTER USER root@localhost REQUIRE SSL", "SELECT 1")
        one, other = [await open_node(f"{url}?ssl_ca={tmp_path}/certificate") for _ in range(2)]
        await one.send(b"1")
        await other.has(b"1")
        for each in (one, other):
            await each.backplane.stop()
        (tmp_path / "other").mkdir()
        certify(tmp_path / "other")
        stranger = await open_node(f"{url}?ssl_ca={tmp_path}/other/certificate")
        assert "certificate" in str(stranger.backplane.health["trouble"]).lower()
        await stranger.backplane.stop()
