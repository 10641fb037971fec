"""Redis or Valkey as the backplane, when something goes wrong: real servers, really killed."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from asgi_signalr.backplanes import BackplaneError, open_backplane
from asgi_signalr.backplanes import redis_scripts as scripts
from asgi_signalr.backplanes.redis import RedisAddress, RedisBackplane
from redis.asyncio import Redis

from . import stores
from .pairs import say_the_gap_once_and_go_on, started

STREAM, COUNTER, STRANGER = scripts.Keys.of("signalr", UUID(int=7))


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Any]:
    """Commands, beside the backplane."""
    async with Redis.from_url(redis_url, protocol=2) as client:
        yield client


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[stores.Store]:
    """A server that a test may kill."""
    with stores.running(stores.redis_store(tmp_path / "redis")) as store:
        yield store


async def test_a_message_is_an_entry_that_names_the_one_before_it(open_node: Any, redis_url: str, redis: Any) -> None:
    one, _ = await started(open_node, redis_url)
    entries = await redis.xrange(STREAM)
    assert [entry[0] for entry in entries] == [b"1-0", b"2-0", b"3-0"]
    assert [fields[b"p"] for _, fields in entries] == [b"1", b"2", b"3"]
    assert [fields[b"s"] for _, fields in entries] == [one.backplane.sender.bytes] * 3
    marks = [fields[b"s"] + fields[b"t"] for _, fields in entries]
    assert [fields[b"b"] for _, fields in entries] == [b"", *marks[:2]]
    assert await redis.hmget(COUNTER, "top", "mark", "bytes") == [b"3", marks[2], b"3"]


async def test_a_flushed_server_is_noticed_and_said_once(open_node: Any, redis_url: str, redis: Any) -> None:
    nodes = await started(open_node, redis_url, poll=0.05)
    await redis.flushdb()
    await say_the_gap_once_and_go_on(*nodes)


@pytest.mark.parametrize("key", [COUNTER, STREAM])
async def test_a_deleted_key_stalls_nobody(open_node: Any, redis_url: str, redis: Any, key: str) -> None:
    nodes = await started(open_node, redis_url, poll=0.05)
    await redis.delete(key)
    await nodes[1].send(b"4")
    for node in nodes:
        await node.has(b"1", b"2", b"3", b"4")
        assert len(node.gaps) == (1 if key == COUNTER else 0)  # what everybody had is gone with the stream


async def test_a_stream_that_was_emptied_by_hand_is_written_on(open_node: Any, redis_url: str, redis: Any) -> None:
    node, _ = await started(open_node, redis_url, poll=0.05)
    async with redis.pipeline(transaction=True) as commands:
        commands.xtrim(STREAM, maxlen=0, approximate=False)
        commands.hset(COUNTER, "top", "1")
        await commands.execute()
    await node.send(b"4")
    await node.has(b"1", b"2", b"3", b"4")


async def test_a_restored_server_stalls_nobody_and_is_said(open_node: Any, redis_url: str, redis: Any) -> None:
    keys = (STREAM, COUNTER)
    one, other = [await open_node(redis_url, poll=0.05) for _ in range(2)]
    await one.send(b"1", b"2")
    await one.has(b"1", b"2")
    kept = [await redis.dump(key) for key in keys]
    await one.send(b"3", b"4")
    for node in (one, other):
        await node.has(b"1", b"2", b"3", b"4")
    async with redis.pipeline(transaction=True) as commands:
        for key, dump in zip(keys, kept, strict=True):
            commands.restore(key, 0, dump, replace=True)
        await commands.execute()
    for node in (one, other):
        await node.until(lambda node: bool(node.gaps))
    await one.send(b"5")
    for node in (one, other):
        await node.has(b"1", b"2", b"3", b"4", b"5")
        assert len(node.gaps) == 1


async def test_a_failover_that_was_overtaken_is_said_by_every_server(
    open_node: Any, redis_url: str, redis: Any
) -> None:
    """Its numbers are higher than before when the servers look: only the entries themselves tell."""
    keys = (STREAM, COUNTER)
    one, other = [await open_node(redis_url, poll=0.05) for _ in range(2)]
    await one.send(b"1", b"2")
    await one.has(b"1", b"2")
    kept = [await redis.dump(key) for key in keys]
    await one.send(b"3")
    for node in (one, other):
        await node.has(b"1", b"2", b"3")
    async with redis.pipeline(transaction=True) as commands:
        for key, dump in zip(keys, kept, strict=True):
            commands.restore(key, 0, dump, replace=True)
        for batch, payload in enumerate((b"new 3", b"new 4", b"new 5"), 1):
            commands.eval(scripts.SEND, 3, *keys, STRANGER, b"x" * 16, batch, 60, payload)
        await commands.execute()
    for node in (one, other):
        await node.has(b"1", b"2", b"3", b"new 3", b"new 4", b"new 5")
        assert len(node.gaps) == 1


async def test_messages_that_were_trimmed_before_they_were_read_are_said(
    open_node: Any, own_redis: stores.Store
) -> None:
    node = await open_node(own_redis.url)
    await node.send(b"1")
    await node.has(b"1")
    async with Redis.from_url(own_redis.url) as client, client.pipeline(transaction=True) as commands:
        for batch, payload in enumerate((b"2", b"3", b"4"), 1):
            keys = (STREAM, COUNTER, STRANGER)
            commands.eval(scripts.SEND, 3, *keys, b"x" * 16, batch, 60, payload)
        commands.xtrim(STREAM, maxlen=1, approximate=False)
        await commands.execute()  # nobody sees what is between
    await node.has(b"1", b"4")
    assert node.gaps == ["messages 2 to 3 were deleted before they were read."]


async def test_a_killed_connection_costs_nothing(open_node: Any, redis_url: str, redis: Any) -> None:
    nodes = await started(open_node, redis_url)
    await redis.client_kill_filter(_type="normal", skipme=True)
    await nodes[0].send(b"4", b"5")
    for node in nodes:
        await node.has(b"1", b"2", b"3", b"4", b"5")
        assert node.gaps == []


@pytest.mark.slow
async def test_a_killed_server_loses_and_repeats_nothing(open_node: Any, own_redis: stores.Store) -> None:
    nodes = [await open_node(own_redis.url) for _ in range(3)]

    async def send(node: Any, number: int) -> None:
        for turn in range(300):
            await node.send(b"%d-%d" % (number, turn))
            await asyncio.sleep(0.002)

    sending = asyncio.gather(*(send(node, number) for number, node in enumerate(nodes)))
    for _ in range(2):
        await nodes[0].until(lambda node: len(node.received) >= 100)
        await own_redis.restart()
    await sending
    expected = sorted(b"%d-%d" % (number, turn) for number in range(3) for turn in range(300))
    for node in nodes:
        await node.until(lambda node: len(node.received) >= 900)
        assert node.received == nodes[0].received
        assert node.gaps == []
    assert sorted(nodes[0].received) == expected


async def test_a_batch_that_arrives_after_it_was_given_up_is_refused(
    open_node: Any, redis_url: str, redis: Any
) -> None:
    node = await open_node(redis_url)
    await node.send(b"1")
    await node.has(b"1")
    backplane: RedisBackplane = node.backplane
    backplane._batch_number += 1
    assert not await backplane._is_stored(redis)
    keys = scripts.Keys.of("signalr", backplane.sender)
    late = (backplane.sender.bytes, backplane._batch_number, 60, b"late")
    assert await redis.eval(scripts.SEND, 3, *keys, *late) == 1
    await node.send(b"2")
    await node.has(b"1", b"2")
    assert await backplane._is_stored(redis)


async def test_a_server_that_lost_its_files_is_noticed(open_node: Any, own_redis: stores.Store) -> None:
    nodes = await started(open_node, own_redis.url)
    await own_redis.restart(without_files=True)
    await say_the_gap_once_and_go_on(*nodes)


async def test_what_a_full_server_refuses_is_sent_when_it_has_room(
    open_node: Any, own_redis: stores.Store, caplog: pytest.LogCaptureFixture, eventually: Any
) -> None:
    node = await open_node(own_redis.url)
    async with Redis.from_url(own_redis.url) as client:
        await client.config_set("maxmemory", "1")
        await node.send(b"1")

        async def has_trouble() -> bool:
            return node.backplane.health["trouble"] is not None

        await eventually(has_trouble)
        assert "maxmemory" in node.backplane.health["trouble"]
        await client.config_set("maxmemory", "0")
    await node.has(b"1")


async def test_old_messages_are_deleted_and_the_newest_are_kept(
    open_node: Any, redis_url: str, redis: Any, eventually: Any
) -> None:
    node = await open_node(redis_url)
    payloads = [b"%02d" % number for number in range(40)]
    await node.send(*payloads)
    await node.has(*payloads)  # before anything is deleted

    async def has_only(first: int) -> bool:
        entries = await redis.xrange(STREAM)
        return [entry[0] for entry in entries] == [b"%d-0" % number for number in range(first, 41)]

    await open_node(redis_url, keep_messages=20, retention_interval=0.05)
    await eventually(lambda: has_only(21))
    await open_node(redis_url, keep_bytes=20, retention_interval=0.05)
    await eventually(lambda: has_only(30))
    await open_node(redis_url, keep_seconds=0.0, retention_interval=0.05)
    await eventually(lambda: has_only(40))  # by the last one a server knows that it has missed nothing
    assert node.gaps == []


async def test_a_stream_of_a_newer_version_is_refused(open_node: Any, redis_url: str, redis: Any) -> None:
    await (await open_node(redis_url)).backplane.stop()
    await redis.hset(COUNTER, "version", 2)
    with pytest.raises(BackplaneError, match="version 2, this asgi-signalr needs version 1: upgrade"):
        await open_node(redis_url)


async def test_the_password_is_in_no_message(
    open_node: Any, own_redis: stores.Store, caplog: pytest.LogCaptureFixture
) -> None:
    async with Redis.from_url(own_redis.url) as client:
        await client.config_set("requirepass", "right")
    address = own_redis.url.partition("://")[2]
    with caplog.at_level(logging.DEBUG):
        wrong = await open_node(f"redis://:topsecret@{address}")
        assert wrong.backplane.health["trouble"].startswith(f"{address} refuses the user or the password")
        away = await open_node("redis://:topsecret@127.0.0.1:1")
        assert away.backplane.health["trouble"] == "127.0.0.1:1 refuses the connection"
    assert "topsecret" not in caplog.text
    right = await open_node(f"valkey://:right@{address}")
    await right.send(b"1")
    await right.has(b"1")


async def test_a_socket_of_the_machine_does_as_well(open_node: Any, tmp_path: Path) -> None:
    socket = tmp_path / "r.sock"
    with stores.running(stores.redis_store(tmp_path / "redis", "--unixsocket", str(socket))):
        await started(open_node, f"unix://{socket}")


async def test_streams_of_other_names_are_others(open_node: Any, redis_url: str, redis: Any) -> None:
    address, _, number = redis_url.rpartition("/")
    quiz, shop, other = [await open_node(f"{address}/{path}") for path in (f"{number}/quiz", number, f"{number}/quiz")]
    await quiz.send(b"1")
    await shop.send(b"2")
    for node, payload in ((quiz, b"1"), (other, b"1"), (shop, b"2")):
        await node.has(payload)
    assert await redis.exists("{quiz}:messages_0", "{signalr}:messages_0") == 2


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("redis://host", "signalr"),
        ("redis://host/3", "signalr"),
        ("redis://host/quiz", "quiz"),
        ("redis://host/3/quiz?socket_timeout=3", "quiz"),
        ("redis+sentinel://one:1,two:2/mymaster/3/quiz", "quiz"),
        ("unix:///run/valkey.sock?db=3&stream=quiz", "quiz"),
    ],
)
def test_a_url_may_name_the_stream(url: str, name: str) -> None:
    assert RedisAddress(url).name == name


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis+sentinel://one:1,two:2", "names the service"),
        ("redis://host:port", "port"),
    ],
)
def test_urls_that_lead_nowhere_are_refused(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        open_backplane(url)


def test_other_kinds_of_servers_are_named() -> None:
    with pytest.raises(ValueError, match=r"There are redis://, redis\+sentinel"):
        RedisAddress("redis+ring://host")


@pytest.mark.slow
async def test_a_cluster_does_as_well(open_node: Any, tmp_path: Path, eventually: Any) -> None:
    with stores.running(stores.redis_store(tmp_path / "redis", "--cluster-enabled", "yes")) as store:
        async with Redis.from_url(store.url) as client:
            await client.execute_command("CLUSTER ADDSLOTSRANGE 0 16383")

            async def is_well() -> bool:
                return bool((await client.execute_command("CLUSTER INFO"))["cluster_state"] == "ok")

            await eventually(is_well)
        nodes = await started(open_node, f"redis+cluster://127.0.0.1:1,127.0.0.1:{store.port}")
        await store.restart()
        await nodes[0].send(b"4")
        for node in nodes:
            await node.has(b"1", b"2", b"3", b"4")
            assert node.gaps == []


@pytest.mark.slow
async def test_sentinels_tell_where_the_main_server_is_after_a_failover(
    open_node: Any, tmp_path: Path, eventually: Any
) -> None:
    with stores.running(stores.redis_store(tmp_path / "main", "--repl-diskless-sync-delay", "0")) as main:
        follow = ("--replicaof", "127.0.0.1", str(main.port))
        with stores.running(stores.redis_store(tmp_path / "replica", *follow)) as replica:
            sentinel = stores.sentinel_store(tmp_path / "sentinel", main.port)
            with stores.running(sentinel):
                async with Redis.from_url(replica.url) as client, Redis.from_url(sentinel.url) as watcher:

                    async def follows() -> bool:
                        """Whether the replica is there, and the Sentinel takes it for one that may follow."""
                        known = await watcher.execute_command("SENTINEL", "REPLICAS", "mymaster")
                        is_up = (await client.info("replication"))["master_link_status"] == "up"
                        return is_up and [each[b"master-link-status"] for each in known] == [b"ok"]

                    async def has_all() -> bool:
                        sent = nodes[0].backplane.health["queued"] == 0
                        return sent and await client.xlen("{signalr}:messages_0") == 3

                    await eventually(follows)
                    nodes = await started(open_node, f"redis+sentinel://127.0.0.1:{sentinel.port}/mymaster")
                    # A replica follows a little later: what only the killed server had would be lost, and said to be.
                    await eventually(has_all)
                main.kill()
                await nodes[0].send(b"4")
                for node in nodes:
                    await node.has(b"1", b"2", b"3", b"4")
                async with Redis.from_url(replica.url) as client:
                    assert (await client.info("replication"))["role"] == "master"
