"""PostgreSQL as the backplane, when something goes wrong: real servers, really killed."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest
from asgi_signalr.backplanes import BackplaneError
from asgi_signalr.backplanes import postgres_schema as schema
from asgi_signalr.backplanes.postgres import PostgresBackplane

from labkit.services.postgres.cluster import Cluster
from labkit.services.postgres.keeper import temporary_server
from labkit.services.postgres.server import Server

from .pairs import say_the_gap_once_and_go_on, started

SELECT_IDS = "SELECT payload_id FROM signalr.messages_0 ORDER BY payload_id"
BY_HAND = """
    WITH counter AS (UPDATE signalr.messages_0_id SET payload_id = payload_id + 1 RETURNING payload_id)
    INSERT INTO signalr.messages_0 SELECT payload_id, $1, now(), $2 FROM counter
"""


@pytest.fixture
def crashing() -> Iterator[tuple[Server, Cluster]]:
    """A server that a test may stop without any last writes, and start again on the same port."""
    with temporary_server() as server:
        home = Path(server.query("postgres", "SHOW data_directory")[0]["data_directory"]).parent
        server.create_database("signalr")
        yield server, Cluster(home, temporary=True)


async def test_the_tables_are_those_of_signalrs_sql_backplane(database_url: str, open_node: Any, query: Any) -> None:
    await open_node(database_url)
    columns = await query(
        database_url,
        "SELECT table_name || '.' || column_name || ' ' || data_type AS column FROM information_schema.columns "
        "WHERE table_schema = 'signalr' ORDER BY table_name, ordinal_position",
    )
    assert [row["column"] for row in columns] == [
        "messages_0.payload_id bigint",
        "messages_0.payload bytea",
        "messages_0.inserted_on timestamp with time zone",
        "messages_0.sender uuid",
        "messages_0_id.payload_id bigint",
        "messages_0_id.epoch uuid",
        "schema.version integer",
    ]


async def test_a_message_waits_for_the_transaction_that_took_the_number_before(
    database_url: str, open_node: Any, query: Any, eventually: Any
) -> None:
    node = await open_node(database_url)
    slow = await asyncpg.connect(database_url)
    transaction = slow.transaction()
    await transaction.start()
    await slow.execute(BY_HAND, b"first", uuid4())
    await node.send(b"second")
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name LIKE '% sending %'"
    await eventually(lambda: query(database_url, waiting))
    assert node.received == []
    await transaction.commit()
    await node.has(b"first", b"second")
    await slow.close()


async def test_a_rollback_leaves_no_hole(database_url: str, open_node: Any, query: Any) -> None:
    node = await open_node(database_url)
    await node.send(b"1")
    await node.has(b"1")
    other = await asyncpg.connect(database_url)
    transaction = other.transaction()
    await transaction.start()
    await other.execute(BY_HAND, b"never", uuid4())
    await transaction.rollback()
    await other.close()
    await node.send(b"2")
    await node.has(b"1", b"2")
    assert await query(database_url, SELECT_IDS) == [{"payload_id": 1}, {"payload_id": 2}]
    assert node.gaps == []


async def test_a_killed_listener_catches_up(database_url: str, open_node: Any, query: Any) -> None:
    one, other = await open_node(database_url), await open_node(database_url)
    await one.send(b"1")
    await other.has(b"1")
    await query(
        database_url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1",
        f"asgi-signalr receiving {other.backplane.sender}",
    )
    await one.send(b"2", b"3")
    await other.has(b"1", b"2", b"3")
    assert other.gaps == []


async def test_a_killed_sender_sends_everything_once(database_url: str, open_node: Any, query: Any) -> None:
    node = await open_node(database_url)
    payloads = [b"%d" % number for number in range(600)]
    for start in range(0, 600, 100):
        await node.send(*payloads[start : start + 100])
        await query(
            database_url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1",
            f"asgi-signalr sending {node.backplane.sender}",
        )
    await node.has(*payloads)


async def test_a_crash_of_the_database_loses_and_doubles_nothing(
    crashing: tuple[Server, Cluster], open_node: Any
) -> None:
    server, cluster = crashing
    nodes = [await open_node(server.database_url("signalr")) for _ in range(2)]
    payloads = [b"%d" % number for number in range(1500)]

    async def send() -> None:
        for payload in payloads:
            await nodes[0].send(payload)
            await asyncio.sleep(0)

    sending = asyncio.create_task(send())
    await nodes[1].until(lambda node: len(node.received) > 10)
    for _ in range(2):
        await asyncio.to_thread(cluster.stop)
        await asyncio.to_thread(cluster.start)
    await sending
    for node in nodes:
        await node.has(*payloads)
        assert node.gaps == []


async def test_tables_made_anew_stall_nobody_and_are_said(database_url: str, open_node: Any, query: Any) -> None:
    one, other = await open_node(database_url), await open_node(database_url)
    await one.send(b"1", b"2", b"3")
    await other.has(b"1", b"2", b"3")
    await query(database_url, "DROP SCHEMA signalr CASCADE")
    await one.send(b"4")
    await one.has(b"1", b"2", b"3", b"4")
    await other.has(b"1", b"2", b"3", b"4")
    assert one.gaps == other.gaps == ["the backplane's tables were made anew, or restored."]


async def test_a_restored_database_stalls_nobody_and_is_said(database_url: str, open_node: Any, query: Any) -> None:
    node = await open_node(database_url)
    await node.send(b"1", b"2", b"3")
    await node.has(b"1", b"2", b"3")
    await query(database_url, "DELETE FROM signalr.messages_0 WHERE payload_id > 1")
    await query(database_url, "UPDATE signalr.messages_0_id SET payload_id = 1")
    await query(database_url, "NOTIFY signalr_0")
    await node.until(lambda node: node.gaps)
    await node.send(b"4")
    await node.has(b"1", b"2", b"3", b"4")
    assert node.gaps == ["the database went back from message 3 to 1 (restored from a backup?)."]


@pytest.mark.parametrize(
    ("kept", "gap", "received"),
    [
        (2, "messages 1 to 2 were deleted before they were read.", [b"c", b"d"]),
        (0, "messages 1 to 4 were deleted before they were read.", []),
    ],
)
async def test_messages_deleted_while_a_server_was_away_are_said(
    database_url: str, open_node: Any, query: Any, kept: int, gap: str, received: list[bytes]
) -> None:
    node = await open_node(database_url)
    # All of it becomes visible at once: the server was as good as away.
    await query(
        database_url,
        "WITH counter AS (UPDATE signalr.messages_0_id SET payload_id = 4) INSERT INTO signalr.messages_0 "
        "SELECT number, convert_to(chr(96 + number), 'UTF8'), now(), gen_random_uuid() "
        "FROM generate_series(5 - $1::int, 4) AS number",
        kept,
    )
    await query(database_url, "NOTIFY signalr_0")
    await node.until(lambda node: node.gaps and len(node.received) == len(received))
    assert (node.gaps, node.received) == ([gap], received)
    await node.send(b"e")
    await node.has(*received, b"e")


async def test_a_failover_that_was_overtaken_is_said_by_every_server(
    database_url: str, open_node: Any, query: Any
) -> None:
    """Its numbers are higher than before when the servers look: only the messages themselves tell."""
    one, late = await open_node(database_url), await open_node(database_url)
    await one.send(b"1", b"2", b"3")
    await one.has(b"1", b"2", b"3")
    await late.has(b"1", b"2", b"3")
    # The standby had two messages, and others went on from there: one transaction, so nobody sees what is between.
    other = await asyncpg.connect(database_url)
    async with other.transaction():
        await other.execute("DELETE FROM signalr.messages_0 WHERE payload_id = 3")
        await other.execute("UPDATE signalr.messages_0_id SET payload_id = 2")
        for payload in (b"new 3", b"new 4", b"new 5"):
            await other.execute(BY_HAND.replace("now()", "clock_timestamp()"), payload, uuid4())
        await other.execute("NOTIFY signalr_0")
    await other.close()
    for node in (one, late):
        await node.has(b"1", b"2", b"3", b"new 3", b"new 4", b"new 5")
        assert len(node.gaps) == 1


async def test_a_server_that_had_not_read_what_was_lost_says_so_too(
    database_url: str, open_node: Any, query: Any
) -> None:
    one, other = await open_node(database_url), await open_node(database_url)
    await one.send(b"1", b"2")
    await one.has(b"1", b"2")
    await other.has(b"1", b"2")
    # One of the servers finds the stream broken, and gives it another epoch.
    await query(database_url, "UPDATE signalr.messages_0_id SET epoch = gen_random_uuid()")
    await one.send(b"3")
    for node in (one, other):
        await node.has(b"1", b"2", b"3")
        assert node.gaps == ["the database has lost messages that other servers had sent or read."]


@pytest.mark.parametrize(
    "sql",
    [
        "TRUNCATE signalr.messages_0_id",
        "TRUNCATE signalr.messages_0_id, signalr.messages_0, signalr.schema",
        "DROP INDEX signalr.messages_0_id_single; INSERT INTO signalr.messages_0_id VALUES (2, gen_random_uuid())",
        "UPDATE signalr.messages_0_id SET payload_id = 1",
        "DROP TABLE signalr.messages_0_id",
        "DROP TABLE signalr.messages_0_id, signalr.messages_0, signalr.schema",
    ],
    ids=["no counter", "nothing at all", "two counters", "a message beyond the counter", "no table of it", "no tables"],
)
async def test_a_broken_counter_is_made_anew_and_said_once(
    database_url: str, open_node: Any, query: Any, sql: str
) -> None:
    nodes = await started(open_node, database_url)
    for statement in sql.split("; "):
        await query(database_url, statement)
    await query(database_url, "NOTIFY signalr_0")
    await say_the_gap_once_and_go_on(*nodes)
    assert len(await query(database_url, "SELECT FROM signalr.messages_0_id")) == 1


async def test_a_table_of_messages_that_was_dropped_is_made_anew(database_url: str, open_node: Any, query: Any) -> None:
    one, other = await started(open_node, database_url)
    await query(database_url, "DROP TABLE signalr.messages_0")
    await one.send(b"4")
    for node in (one, other):
        await node.has(b"1", b"2", b"3", b"4")
        assert node.gaps == []  # everybody had read what is gone


async def test_a_read_is_bounded_by_bytes(database_url: str, open_node: Any, query: Any) -> None:
    payloads = [bytes([number]) * 1_500_000 for number in range(8)]
    node = await open_node(database_url)
    await node.send(*payloads)
    await node.has(*payloads)
    connection = await asyncpg.connect(database_url)
    pages, last = [], 0
    while (page := await schema.read(connection, last, 500, 4_000_000)).messages:
        pages.append(len(page.messages))
        last = page.messages[-1].payload_id
    assert pages == [3, 3, 2]
    assert [len((await schema.read(connection, 0, 500, 1)).messages)] == [1]  # one, whatever its size
    await connection.close()


async def test_a_confirmed_message_is_in_the_database(database_url: str, open_node: Any, query: Any) -> None:
    node = await open_node(database_url, confirm=True)
    await node.send(b"1")
    assert await query(database_url, SELECT_IDS) == [{"payload_id": 1}]


async def test_the_health_says_what_is_wrong(crashing: tuple[Server, Cluster], open_node: Any, eventually: Any) -> None:
    server, cluster = crashing
    node = await open_node(server.database_url("signalr"))
    well = {"is_joined": True, "queued": 0, "lag": 0, "gaps": 0, "trouble": None}
    assert node.backplane.health == well
    await asyncio.to_thread(cluster.stop)

    async def is_away() -> bool:
        return not node.backplane.health["is_joined"]

    await eventually(is_away)
    await node.send(b"1")
    assert node.backplane.health["queued"] == 1
    assert node.backplane.health["trouble"]
    await asyncio.to_thread(cluster.start)
    await node.has(b"1")
    assert node.backplane.health == well


def test_a_server_that_stops_in_traffic_is_trouble_and_nothing_unexpected(caplog: pytest.LogCaptureFixture) -> None:
    backplane = PostgresBackplane("postgresql://user:secret@host/database")
    error = asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress")
    assert backplane._trouble(error) == f"host: {error}"
    assert caplog.records == []


async def test_old_messages_are_deleted_and_the_newest_are_kept(
    database_url: str, open_node: Any, query: Any, eventually: Any
) -> None:
    node = await open_node(database_url)
    payloads = [b"%d" % number for number in range(40)]
    await node.send(*payloads)
    await node.has(*payloads)  # before anything is deleted
    keeper = await open_node(database_url, keep_messages=5, retention_interval=0.05)
    oldest = "SELECT FROM signalr.messages_0 HAVING min(payload_id) = 36 AND count(*) = 5"
    await eventually(lambda: query(database_url, oldest))
    assert [node.gaps, keeper.gaps] == [[], []]


async def test_servers_that_start_at_once_make_the_tables_once(database_url: str, open_node: Any, query: Any) -> None:
    nodes = await asyncio.gather(*(open_node(database_url) for _ in range(6)))
    await nodes[0].send(b"1")
    for node in nodes:
        await node.has(b"1")
    assert await query(database_url, "SELECT version FROM signalr.schema") == [{"version": 1}]
    assert await query(database_url, "SELECT payload_id FROM signalr.messages_0_id") == [{"payload_id": 1}]


async def test_tables_of_a_newer_version_are_refused(database_url: str, open_node: Any, query: Any) -> None:
    node = await open_node(database_url)
    await node.backplane.stop()
    await query(database_url, "UPDATE signalr.schema SET version = 2")
    with pytest.raises(BackplaneError, match="version 2, this asgi-signalr needs version 1: upgrade"):
        await open_node(database_url)


async def test_eight_senders_reach_every_server_exactly_once_in_one_order(database_url: str, open_node: Any) -> None:
    nodes = await asyncio.gather(*(open_node(database_url) for _ in range(8)))
    sent = [[b"%d-%d" % (number, turn) for turn in range(100)] for number in range(8)]

    async def send(node: Any, payloads: list[bytes]) -> None:
        for payload in payloads:
            await node.send(payload)
            await asyncio.sleep(0)

    await asyncio.gather(*(send(node, payloads) for node, payloads in zip(nodes, sent, strict=True)))
    for node in nodes:
        await node.until(lambda node: len(node.received) >= 800)
        assert node.received == nodes[0].received
    assert sorted(nodes[0].received) == sorted(payload for payloads in sent for payload in payloads)


async def test_a_missing_database_is_said_once_and_used_when_it_is_made(
    postgres_server: Server, open_node: Any, caplog: pytest.LogCaptureFixture
) -> None:
    url = postgres_server.database_url("made_later")
    address = postgres_server.address.partition("@")[2]
    with caplog.at_level(logging.INFO, logger="asgi_signalr.backplane"):
        node = await open_node(url)
        await node.send(b"early")
        postgres_server.create_database("made_later")
        await node.has(b"early")
    lines = [record.getMessage() for record in caplog.records if record.name == "asgi_signalr.backplane"]
    assert lines == [
        f'database "made_later" does not exist on {address}: create it; trying again in 2 s',
        f"messages may be lost: {node.gaps[0]}",
        f'database "made_later" on {address}: connected again',
    ]
    assert node.gaps == ["this server started without its backplane: what the others have sent since is not known."]


async def test_the_queue_is_bounded_and_the_password_is_in_no_message(
    open_node: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        node = await open_node("postgresql://me:topsecret@127.0.0.1:1/signalr", queue_limit=3, queue_patience=0.05)
        await node.send(b"1", b"2", b"3")
        with pytest.raises(
            BackplaneError, match=r"queue is full \(3 messages, 3 bytes\): 127.0.0.1:1 refuses the connection"
        ) as caught:
            await node.send(b"4")
        await node.backplane.stop()
    assert node.gaps == ["3 messages were not sent: the backplane was stopped without its server."]
    assert "127.0.0.1:1" in caplog.text
    assert "topsecret" not in caplog.text + str(caught.value)


async def test_where_listen_is_refused_it_polls_and_says_so_once(
    crashing: tuple[Server, Cluster], open_node: Any, query: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server, cluster = crashing
    url = server.database_url("signalr")
    await (await open_node(url)).backplane.stop()
    # A standby is a server that follows another; this one waits for one that never comes.
    await asyncio.to_thread(cluster.stop)
    (cluster.data / "standby.signal").touch()
    await asyncio.to_thread(cluster.start)
    node = await open_node(url)
    assert "refuses LISTEN" in caplog.text
    # It becomes the main server, as in a failover; the node goes on polling until it reconnects.
    await query(Server(server.admin_url).database_url("signalr"), "SELECT pg_promote()")
    await node.send(b"1")
    await node.has(b"1")
    assert caplog.text.count("refuses LISTEN") == 1


@pytest.mark.slow
async def test_of_several_hosts_the_one_is_taken_that_can_be_written_to(
    crashing: tuple[Server, Cluster], postgres_server: Server, database_url: str, open_node: Any
) -> None:
    standby, cluster = crashing
    main, first = urlsplit(database_url), urlsplit(standby.url)
    name = main.path[1:]
    standby.create_database(name)
    standby.query("signalr", f"ALTER ROLE {main.username} PASSWORD '{main.password}'")
    await asyncio.to_thread(cluster.stop)
    (cluster.data / "standby.signal").touch()
    await asyncio.to_thread(cluster.start)
    user = main.netloc.rpartition("@")[0]
    node = await open_node(f"postgresql://{user}@127.0.0.1:1,127.0.0.1:{first.port},127.0.0.1:{main.port}/{name}")
    await node.send(b"1")
    await node.has(b"1")
    assert node.backplane.health["trouble"] is None
    # Who says what is wanted gets it: here the first that answers.
    any_one = f"postgresql://{user}@127.0.0.1:{first.port},127.0.0.1:{main.port}/{name}?target_session_attrs=any"
    assert "read-only" in (await open_node(any_one)).backplane.health["trouble"]
