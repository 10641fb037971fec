"""NATS JetStream as the backplane, when something goes wrong: real servers, really killed."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import nats
import pytest
from asgi_signalr.backplanes import BackplaneError

from . import stores
from .pairs import say_the_gap_once_and_go_on, started

STREAM, SUBJECT = "signalr_messages_0", "signalr.messages_0"


@pytest.fixture
async def jetstream(nats_url: str) -> AsyncIterator[Any]:
    """Commands, beside the backplane."""
    client = await nats.connect(nats_url)
    yield client.jetstream()
    await client.close()


@pytest.fixture
def own_nats(tmp_path: Path) -> Iterator[stores.Store]:
    """A server that a test may kill."""
    with stores.running(stores.nats_store(tmp_path / "nats")) as store:
        yield store


async def test_a_recreated_stream_is_another_one_and_is_said(open_node: Any, nats_url: str, jetstream: Any) -> None:
    nodes = await started(open_node, nats_url, poll=0.05)
    await jetstream.delete_stream(STREAM)
    await say_the_gap_once_and_go_on(*nodes)


async def test_messages_that_were_purged_before_they_were_read_are_said(open_node: Any, own_nats: stores.Store) -> None:
    node = await open_node(own_nats.url)
    for payload in (b"1", b"2"):
        await node.send(payload)
        await node.has(*[b"1", b"2"][: int(payload)])
    client = await nats.connect(own_nats.url)
    stream = client.jetstream()
    await stream.purge_stream(STREAM, keep=1)
    node.backplane._last = 0  # as if it had been away
    await client.close()
    await node.until(lambda node: bool(node.gaps))
    assert node.gaps == ["messages 1 to 1 were deleted before they were read."]


async def test_a_frame_that_is_sent_twice_is_delivered_once(open_node: Any, nats_url: str, jetstream: Any) -> None:
    nodes = await started(open_node, nats_url)
    for number in range(1, (await jetstream.stream_info(STREAM)).state.last_seq + 1):
        sent = await jetstream.get_msg(STREAM, number)
        await jetstream.publish(SUBJECT, sent.data, headers=sent.headers)
    await nodes[0].send(b"4")
    for node in nodes:
        await node.has(b"1", b"2", b"3", b"4")
        assert node.gaps == []


async def test_what_is_larger_than_the_server_takes_travels_in_pieces(
    open_node: Any, nats_url: str, jetstream: Any
) -> None:
    payload = bytes(range(256)) * 12_000  # 3 MB, and a frame may have one
    one, other = [await open_node(nats_url) for _ in range(2)]
    await asyncio.gather(one.send(payload, b"1"), other.send(payload[::-1], b"2"))
    for node in (one, other):
        await node.until(lambda node: len(node.received) == 4)
        assert node.received == one.received
        assert sorted(map(len, node.received)) == [1, 1, len(payload), len(payload)]
    assert (await jetstream.stream_info(STREAM)).state.last_seq >= 6


@pytest.mark.slow
async def test_a_killed_server_loses_and_repeats_nothing(open_node: Any, own_nats: stores.Store) -> None:
    nodes = [await open_node(own_nats.url) for _ in range(3)]

    async def send(node: Any, number: int) -> None:
        for turn in range(300):
            await node.send(b"%d-%d" % (number, turn))
            await asyncio.sleep(0.002)

    sending = asyncio.gather(*(send(node, number) for number, node in enumerate(nodes)))
    for _ in range(2):
        await nodes[0].until(lambda node: len(node.received) >= 100)
        await own_nats.restart()
    await sending
    for node in nodes:
        await node.until(lambda node: len(node.received) >= 900)
        assert node.received == nodes[0].received
        assert node.gaps == []
    assert sorted(nodes[0].received) == sorted(b"%d-%d" % (n, turn) for n in range(3) for turn in range(300))


async def test_a_server_that_was_restored_stalls_nobody_and_is_said(
    open_node: Any, own_nats: stores.Store, tmp_path: Path
) -> None:
    one, other = [await open_node(own_nats.url) for _ in range(2)]
    await one.send(b"1")
    await one.has(b"1")
    own_nats.stop()
    shutil.copytree(own_nats.folder, tmp_path / "backup")
    await asyncio.to_thread(own_nats.start)
    await one.send(b"2", b"3")
    for node in (one, other):
        await node.has(b"1", b"2", b"3")
    own_nats.kill()
    shutil.rmtree(own_nats.folder)
    shutil.copytree(tmp_path / "backup", own_nats.folder)
    await asyncio.to_thread(own_nats.start)
    for node in (one, other):
        await node.until(lambda node: bool(node.gaps))
    await other.send(b"4")
    for node in (one, other):
        await node.has(b"1", b"2", b"3", b"4")
        assert len(node.gaps) == 1


async def test_a_failover_that_was_overtaken_is_said_by_every_server(
    open_node: Any, own_nats: stores.Store, tmp_path: Path
) -> None:
    """Its numbers are higher than before when the servers look: only the messages themselves tell."""
    one, other = [await open_node(own_nats.url) for _ in range(2)]
    await one.send(b"1")
    for node in (one, other):
        await node.has(b"1")
    own_nats.stop()
    shutil.copytree(own_nats.folder, tmp_path / "standby")
    await asyncio.to_thread(own_nats.start)
    await one.send(b"2")
    for node in (one, other):
        await node.has(b"1", b"2")
    own_nats.kill()
    # What did not have the second message goes on without it, before these two look.
    with stores.running(stores.nats_store(tmp_path / "standby")) as standby:
        goes_on = await open_node(standby.url)
        for number in range(3):
            await goes_on.send(b"new %d" % number)
            await goes_on.until(lambda node, number=number: len(node.received) == number + 1)
        await goes_on.backplane.stop()
        standby.stop()
    shutil.rmtree(own_nats.folder)
    shutil.copytree(tmp_path / "standby", own_nats.folder)
    await asyncio.to_thread(own_nats.start)
    for node in (one, other):
        await node.has(b"1", b"2", b"new 0", b"new 1", b"new 2")
        assert len(node.gaps) == 1


async def test_a_server_that_lost_its_files_is_noticed(open_node: Any, own_nats: stores.Store) -> None:
    nodes = await started(open_node, own_nats.url)
    await own_nats.restart(without_files=True)
    await say_the_gap_once_and_go_on(*nodes)


async def test_a_stream_of_a_newer_version_is_refused(open_node: Any, nats_url: str, jetstream: Any) -> None:
    await (await open_node(nats_url)).backplane.stop()
    config = (await jetstream.stream_info(STREAM)).config
    config.metadata = {**config.metadata, "version": "2"}
    await jetstream.update_stream(config)
    with pytest.raises(BackplaneError, match="version 2, this asgi-signalr needs version 1: upgrade"):
        await open_node(nats_url)


async def test_streams_of_other_names_are_others(open_node: Any, own_nats: stores.Store) -> None:
    quiz, shop, other = [await open_node(f"{own_nats.url}{path}") for path in ("/quiz", "", "/quiz")]
    await quiz.send(b"1")
    await shop.send(b"2")
    for node, payload in ((quiz, b"1"), (other, b"1"), (shop, b"2")):
        await node.has(payload)
    with pytest.raises(ValueError, match="is no name of a stream"):
        await open_node(f"{own_nats.url}/a.b")


async def test_the_limits_of_the_stream_are_those_of_the_first_server(
    open_node: Any, nats_url: str, jetstream: Any
) -> None:
    await open_node(nats_url, keep_seconds=60.0, keep_messages=5, keep_bytes=10_000_000)
    config = (await jetstream.stream_info(STREAM)).config
    assert (config.max_age, config.max_msgs, config.max_bytes) == (60.0, 5, 10_000_000)


async def test_what_is_wrong_is_said_without_the_password(
    open_node: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    away = await open_node("nats://me:topsecret@127.0.0.1:1")
    assert away.backplane.health["trouble"] == "127.0.0.1:1 refuses the connection"
    plain = stores.nats_store(tmp_path / "plain", settings='authorization { user: "me", password: "right" }')
    with stores.running(plain):
        address = plain.url.partition("://")[2]
        wrong = await open_node(f"nats://me:topsecret@{address}")
        assert wrong.backplane.health["trouble"] == f"{address} refuses the user or the password"
        right = await open_node(f"nats://me:right@{address}")
        assert right.backplane.health["trouble"].startswith(f"{address} has no JetStream, or it is starting")
    assert "topsecret" not in caplog.text
