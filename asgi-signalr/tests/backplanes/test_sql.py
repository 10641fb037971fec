"""SQLite as the backplane: two processes and one file, when something goes wrong."""

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from asgi_signalr.backplanes import BackplaneError, open_backplane


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


async def started(open_node: Any, file: Path) -> tuple[Any, Any]:
    one, other = [await open_node(f"sqlite:///{file}") for _ in range(2)]
    await one.send(b"1", b"2", b"3")
    await one.has(b"1", b"2", b"3")
    await other.has(b"1", b"2", b"3")
    return one, other


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
    nodes = await started(open_node, file)
    await run(file, sql)
    for node in nodes:
        await node.until(lambda node: bool(node.gaps))
    await nodes[1].send(b"4")
    for node in nodes:
        await node.has(b"1", b"2", b"3", b"4")
        assert len(node.gaps) == 1


async def test_a_restored_file_stalls_nobody_and_is_said(open_node: Any, file: Path) -> None:
    one, other = await started(open_node, file)
    await run(file, "DELETE FROM SignalR_Messages_0 WHERE PayloadId > 1")
    await run(file, "UPDATE SignalR_Messages_0_Id SET PayloadId = 1")
    for node in (one, other):
        await node.until(lambda node: bool(node.gaps))
    await one.send(b"4")
    for node in (one, other):
        await node.has(b"1", b"2", b"3", b"4")
        assert len(node.gaps) == 1


async def test_another_message_under_the_same_number_is_noticed(open_node: Any, file: Path) -> None:
    nodes = await started(open_node, file)
    await run(file, "UPDATE SignalR_Messages_0 SET Sender = lower(hex(randomblob(16))) WHERE PayloadId = 3")
    for node in nodes:
        await node.until(lambda node: bool(node.gaps))
        assert len(node.gaps) == 1


async def test_tables_of_a_newer_version_are_refused(open_node: Any, file: Path) -> None:
    await (await open_node(f"sqlite:///{file}")).backplane.stop()
    await run(file, "UPDATE SignalR_Schema SET SchemaVersion = 2")
    with pytest.raises(BackplaneError, match="version 2, this asgi-signalr needs version 1: upgrade"):
        await open_node(f"sqlite:///{file}")


async def test_a_missing_folder_is_said(open_node: Any, tmp_path: Path) -> None:
    node = await open_node(f"sqlite:///{tmp_path}/none/signalr.db")
    assert "there is no such folder: make it" in node.backplane.health["trouble"]
    (tmp_path / "none").mkdir()
    await node.send(b"1")
    await node.has(b"1")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_memory_is_no_file(url: str) -> None:
    with pytest.raises(ValueError, match="The servers need one file"):
        open_backplane(url)
