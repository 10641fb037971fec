"""SQLite as the backplane: two processes and one file, when something goes wrong."""

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from asgi_signalr.backplanes import BackplaneError, open_backplane
from asgi_signalr.backplanes.sqlite import SqliteBackplane

from .pairs import say_the_gap_once_and_go_on, started


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The database's file, which the first server makes."""
    return tmp_path / "signalr.db"


async def run(file: Path, sql: str) -> list[Any]:
    """Run SQL beside the backplane, in a thread: a server on this event loop may hold the lock."""
    return await asyncio.to_thread(_run, file, sql)


def _run(file: Path, sql: str) -> list[Any]:
    connection = sqlite3.connect(file, timeout=20)
    with connection:
        rows = connection.execute(sql).fetchall()
    connection.close()
    return rows


async def test_the_tables_are_those_of_signalrs_sql_backplane(open_node: Any, file: Path) -> None:
    await open_node(f"sqlite:///{file}")
    columns = await run(
        file,
        "SELECT tables.name || '.' || columns.name FROM sqlite_master AS tables, "
        "pragma_table_info(tables.name) AS columns WHERE tables.type = 'table' ORDER BY tables.name, cid",
    )
    assert [row[0] for row in columns] == [
        "SignalR_Messages_0.PayloadId",
        "SignalR_Messages_0.Payload",
        "SignalR_Messages_0.InsertedOn",
        "SignalR_Messages_0.Sender",
        "SignalR_Messages_0_Id.PayloadId",
        "SignalR_Messages_0_Id.Epoch",
        "SignalR_Schema.SchemaVersion",
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM SignalR_Messages_0_Id",
        "UPDATE SignalR_Messages_0_Id SET PayloadId = 1",
        "INSERT INTO SignalR_Messages_0_Id SELECT 1, Epoch FROM SignalR_Messages_0_Id",
        "DROP TABLE SignalR_Messages_0_Id",
    ],
)
async def test_a_broken_counter_is_made_anew_and_said_once(open_node: Any, file: Path, sql: str) -> None:
    nodes = await started(open_node, f"sqlite:///{file}")
    await run(file, sql)
    await say_the_gap_once_and_go_on(*nodes)


async def test_a_restored_file_stalls_nobody_and_is_said(open_node: Any, file: Path) -> None:
    one, other = await started(open_node, f"sqlite:///{file}")
    await run(file, "DELETE FROM SignalR_Messages_0 WHERE PayloadId > 1")
    await run(file, "UPDATE SignalR_Messages_0_Id SET PayloadId = 1")
    for node in (one, other):
        await node.until(lambda node: bool(node.gaps))
    await one.send(b"4")
    for node in (one, other):
        await node.has(b"1", b"2", b"3", b"4")
        assert len(node.gaps) == 1


async def test_messages_that_were_purged_before_they_were_read_are_said(open_node: Any, file: Path) -> None:
    nodes = await started(open_node, f"sqlite:///{file}")
    # All of it becomes visible at once: the servers were as good as away.
    connection = sqlite3.connect(file, timeout=20)
    with connection:
        connection.execute("UPDATE SignalR_Messages_0_Id SET PayloadId = 6")
        connection.execute(
            "INSERT INTO SignalR_Messages_0 SELECT 6, CAST('6' AS BLOB), InsertedOn, Sender FROM SignalR_Messages_0 "
            "WHERE PayloadId = 3"
        )
    connection.close()
    for node in nodes:
        await node.has(b"1", b"2", b"3", b"6")
        assert node.gaps == ["messages 4 to 5 were deleted before they were read."]


async def test_another_message_under_the_same_number_is_noticed(open_node: Any, file: Path) -> None:
    nodes = await started(open_node, f"sqlite:///{file}")
    await run(file, "UPDATE SignalR_Messages_0 SET Sender = lower(hex(randomblob(16))) WHERE PayloadId = 3")
    for node in nodes:
        await node.until(lambda node: bool(node.gaps))
        assert len(node.gaps) == 1


async def test_tables_of_a_newer_version_are_refused(open_node: Any, file: Path) -> None:
    await (await open_node(f"sqlite:///{file}")).backplane.stop()
    await run(file, "UPDATE SignalR_Schema SET SchemaVersion = 2")
    with pytest.raises(BackplaneError, match="version 2, this asgi-signalr needs version 1: upgrade"):
        await open_node(f"sqlite:///{file}")


async def test_tables_of_another_program_are_refused(open_node: Any, file: Path) -> None:
    for statement in (  # as the classic SignalR has them
        "CREATE TABLE SignalR_Schema (SchemaVersion INT PRIMARY KEY)",
        "INSERT INTO SignalR_Schema VALUES (1)",
        "CREATE TABLE SignalR_Messages_0_Id (PayloadId BIGINT PRIMARY KEY)",
        "INSERT INTO SignalR_Messages_0_Id VALUES (7)",
        "CREATE TABLE SignalR_Messages_0 (PayloadId BIGINT PRIMARY KEY, Payload BLOB, InsertedOn DATETIME)",
    ):
        await run(file, statement)
    with pytest.raises(BackplaneError, match=r"SignalR_Messages_0_Id .* has no Epoch: .* a database of its own"):
        await open_node(f"sqlite:///{file}")


async def test_a_server_that_is_stopped_in_any_moment_leaves_the_lock(open_node: Any, file: Path) -> None:
    await open_node(f"sqlite:///{file}")
    for turns in range(0, 40, 3):
        node = await open_node(f"sqlite:///{file}")
        await node.send(b"1")
        for _ in range(turns):
            await asyncio.sleep(0)
        await node.backplane._end()
        connection = sqlite3.connect(file, timeout=0, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")  # raises if anybody has the lock
        connection.execute("ROLLBACK")
        connection.close()


async def test_a_missing_folder_is_said(open_node: Any, tmp_path: Path) -> None:
    node = await open_node(f"sqlite:///{tmp_path}/none/signalr.db")
    assert "there is no such folder: make it" in node.backplane.health["trouble"]
    (tmp_path / "none").mkdir()
    await node.send(b"1")
    await node.has(b"1")
    assert node.gaps == ["this server started without its backplane: what the others have sent since is not known."]


def test_the_lag_is_what_is_stored_and_not_read_yet(file: Path) -> None:
    backplane = SqliteBackplane(f"sqlite:///{file}")
    backplane._last, backplane._top, backplane._confirmed = 4, 7, 9
    assert backplane.health["lag"] == 5
    backplane._last = 10
    assert backplane.health["lag"] == 0


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_memory_is_no_file(url: str) -> None:
    with pytest.raises(ValueError, match="The servers need one file"):
        open_backplane(url)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows deletes no open file")
async def test_a_deleted_file_is_made_anew_and_said(open_node: Any, file: Path) -> None:
    nodes = await started(open_node, f"sqlite:///{file}")
    for each in file.parent.glob("signalr.db*"):
        each.unlink()
    await say_the_gap_once_and_go_on(*nodes)
    assert await run(file, "SELECT count(*) FROM SignalR_Messages_0") == [(1,)]


async def test_servers_that_look_for_messages_leave_the_lock_to_those_who_write(open_node: Any, file: Path) -> None:
    for _ in range(4):
        node = await open_node(f"sqlite:///{file}", poll=0.001, retention_interval=86_400.0)
        await node.send(b"1")
        await node.has(b"1")  # so the tidying at the start is over, too

    def write() -> None:
        connection = sqlite3.connect(file, timeout=0, isolation_level=None)
        for _ in range(500):
            connection.execute("BEGIN IMMEDIATE")  # raises if anybody has the lock
            connection.execute("COMMIT")
        connection.close()

    await asyncio.to_thread(write)


async def test_old_messages_are_deleted_and_the_newest_are_kept(open_node: Any, file: Path, eventually: Any) -> None:
    node = await open_node(f"sqlite:///{file}")
    payloads = [b"%d" % number for number in range(40)]
    await node.send(*payloads)
    await node.has(*payloads)  # before anything is deleted
    keeper = await open_node(f"sqlite:///{file}", keep_messages=5, retention_interval=0.05)

    async def are_five() -> bool:
        return await run(file, "SELECT min(PayloadId), count(*) FROM SignalR_Messages_0") == [(36, 5)]

    await eventually(are_five)
    assert [node.gaps, keeper.gaps] == [[], []]


async def test_what_is_older_than_is_kept_is_deleted_but_for_the_last(
    open_node: Any, file: Path, eventually: Any
) -> None:
    node = await open_node(f"sqlite:///{file}")
    await node.send(b"1", b"2", b"3")
    await node.has(b"1", b"2", b"3")
    await open_node(f"sqlite:///{file}", keep_seconds=0.0, retention_interval=0.05)

    async def is_one() -> bool:
        return await run(file, "SELECT PayloadId FROM SignalR_Messages_0") == [(3,)]

    await eventually(is_one)
    assert node.gaps == []


# Servers in processes of their own.

SERVER = """
import asyncio, json, sys

from asgi_signalr.backplanes import open_backplane


async def main(url, name, count):
    received, gaps, has_more = [], [], asyncio.Event()

    def take(payload):
        received.append(payload.decode())
        has_more.set()

    async def until(number):
        while len(received) < number:
            has_more.clear()
            await has_more.wait()

    backplane = open_backplane(url, on_gap=gaps.append)
    await backplane.start(take)
    print("started", flush=True)
    await until(1)  # the word to begin
    for turn in range(count):
        await backplane.publish(f"{name}-{turn}".encode())
        await asyncio.sleep(0)
    await until(1 + 2 * count)
    await backplane.stop()
    print(json.dumps([received, gaps]))


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


@pytest.fixture
async def serve(file: Path) -> AsyncIterator[Callable[..., Awaitable[asyncio.subprocess.Process]]]:
    """Starts a server in a process of its own, which sends messages once it is told to."""
    processes: list[asyncio.subprocess.Process] = []

    async def serve_(name: str, count: int) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SERVER, f"sqlite:///{file}", name, str(count)), stdout=asyncio.subprocess.PIPE
        )
        processes.append(process)
        assert process.stdout
        assert await process.stdout.readline() == b"started\n"
        return process

    yield serve_
    for process in processes:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.slow
async def test_two_processes_that_start_at_once_receive_the_same_order(serve: Any, open_node: Any, file: Path) -> None:
    async with asyncio.timeout(150):
        processes = await asyncio.gather(serve("a", 200), serve("b", 200))
        node = await open_node(f"sqlite:///{file}")
        await node.send(b"begin")
        (received, gaps), other = [json.loads((await process.communicate())[0]) for process in processes]
    assert other == [received, gaps]
    assert gaps == []
    assert received[0] == "begin"
    for name in "ab":
        assert [each for each in received if each[0] == name and each != "begin"] == [f"{name}-{n}" for n in range(200)]
    await node.has(*(each.encode() for each in received))


@pytest.mark.slow
async def test_a_process_that_is_killed_while_it_sends_leaves_the_others_whole(
    serve: Any, open_node: Any, file: Path
) -> None:
    async with asyncio.timeout(150):
        process = await serve("a", 1_000_000)
        node = await open_node(f"sqlite:///{file}")
        await node.send(b"begin")
        await node.until(lambda node: len(node.received) > 300)
        process.kill()
        await process.wait()
        await node.send(b"end")
        await node.until(lambda node: node.received[-1] == b"end")
    sent = node.received[1:-1]
    assert sent == [b"a-%d" % turn for turn in range(len(sent))]
    assert node.gaps == []
    assert await run(file, "PRAGMA integrity_check") == [("ok",)]


# Without the drivers.


@pytest.mark.parametrize(
    ("missing", "url", "extra"),
    [
        ("aioodbc", "mssql://host/database", "mssql"),
        ("asyncmy", "mariadb://host/database", "mysql"),
        ("asyncpg", "postgresql://host/database", "postgres"),
        ("nats", "nats://host", "nats"),
        ("redis", "redis://host", "redis"),
        ("sqlalchemy", "sqlite:///signalr.db", "sql"),
        ("aiosqlite", "sqlite:///signalr.db", "sql"),
        pytest.param("greenlet", "sqlite:///signalr.db", "sql", marks=pytest.mark.slow),
    ],
)
def test_a_missing_driver_is_named_with_the_extra_to_install(missing: str, url: str, extra: str) -> None:
    script = (
        f"import sys; sys.modules[{missing!r}] = None; import asgi_signalr; asgi_signalr.SignalR(backplane={url!r})"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    said = ran.stderr.splitlines()[-1]
    assert said.startswith(f"ImportError: The driver for {url.partition(':')[0]}:// is missing (")
    assert said.endswith(f"): pip install 'asgi-signalr[{extra}]'")
