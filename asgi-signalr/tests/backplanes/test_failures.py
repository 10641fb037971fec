"""What can happen to any engine, and to some of them only; `docs/backplanes.md` lists the cases with their tests."""

import asyncio
import contextlib
import shutil
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest

from labkit.services.postgres.cluster import Cluster
from labkit.services.postgres.keeper import temporary_server
from labkit.services.postgres.server import Server

from . import stores
from .certificates import certify
from .ways import Way

LONG = 60.0  # seconds


# PostgreSQL


@pytest.fixture
def small_queue() -> Iterator[Server]:
    """A server whose queue of notifications holds half a megabyte."""
    with temporary_server() as server:
        server.create_database("signalr")
        server.query("postgres", "ALTER SYSTEM SET max_notify_queue_pages = 64")
        cluster = Cluster(
            Path(server.query("postgres", "SHOW data_directory")[0]["data_directory"]).parent, temporary=True
        )
        cluster.stop()
        cluster.start()
        yield server


@pytest.mark.slow
async def test_a_listener_that_stays_in_a_transaction_holds_senders_up_and_loses_nothing(
    small_queue: Server, open_node: Any
) -> None:
    url = small_queue.database_url("signalr")
    one, other = await open_node(url), await open_node(url)
    await one.send(b"1")
    await other.has(b"1")
    stuck, filler = await asyncpg.connect(url), await asyncpg.connect(url)
    await stuck.execute("LISTEN anything")
    await stuck.execute("BEGIN; SELECT 1")
    for size in (7000, 100, 1):  # until not even the smallest has room
        with pytest.raises(asyncpg.PostgresError, match="too many notifications"):
            for number in range(10_000):
                await filler.execute("SELECT pg_notify('anything', $1 || repeat('x', $2::int))", f"{number}", size)
    await one.send(b"2")
    async with asyncio.timeout(LONG):
        while not (trouble := one.backplane.health["trouble"]):  # noqa: ASYNC110  (nobody would set an event)
            await asyncio.sleep(0.05)
    assert "too many notifications" in trouble
    await stuck.execute("ROLLBACK")
    await one.has(b"1", b"2")
    await other.has(b"1", b"2")
    assert one.gaps == other.gaps == []
    for each in (stuck, filler):
        await each.close()


@pytest.fixture
def pooler(request: pytest.FixtureRequest, postgres_server: Server, database_url: str, tmp_path: Path) -> Iterator[str]:
    """The same database behind PgBouncer, whose pool is in the mode of the test."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("there is no PgBouncer here")
    parts = urlsplit(database_url)
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    (tmp_path / "users").write_text(f'"{parts.username}" "{parts.password}"\n')
    mode, _, tls = request.param.partition(" ")
    if tls:
        certify(tmp_path)
    (tmp_path / "pgbouncer.ini").write_text(
        f"[databases]\n* = host={parts.hostname} port={parts.port}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\npool_mode = {mode}\n"
        f"auth_type = plain\nauth_file = {tmp_path}/users\ndefault_pool_size = 4\n"
        "ignore_startup_parameters = extra_float_digits\n"
        + (f"client_tls_sslmode = require\nclient_tls_key_file = {tmp_path}/key\n" if tls else "")
        + (f"client_tls_cert_file = {tmp_path}/certificate\n" if tls else "")
    )
    tmp_path.chmod(0o755)
    as_user = ["-u", "nobody"] if sys.platform != "win32" and Path("/proc/self").stat().st_uid == 0 else []
    process = subprocess.Popen(
        [program, *as_user, str(tmp_path / "pgbouncer.ini")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        yield parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{port}").geturl()
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.slow
@pytest.mark.parametrize("pooler", ["session"], indirect=True)
async def test_behind_a_pooler_in_session_mode_all_is_as_without(
    pooler: str, open_node: Any, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = await open_node(pooler), await open_node(pooler)
    await one.send(b"1")
    await other.has(b"1")
    assert "polling" not in caplog.text
    assert one.backplane.health["trouble"] is other.backplane.health["trouble"] is None
    for each in (one, other):
        await each.backplane.stop()


@pytest.mark.slow
@pytest.mark.parametrize("pooler", ["transaction"], indirect=True)
async def test_behind_a_pooler_in_transaction_mode_it_says_what_to_do(
    pooler: str, open_node: Any, caplog: pytest.LogCaptureFixture
) -> None:
    nodes = [await open_node(pooler) for _ in range(2)]
    async with asyncio.timeout(LONG):
        # A pool may give somebody who is alone the same connection each time, so that nothing is missed.
        while "a pooler in transaction mode does" not in caplog.text:
            for node in nodes:
                await node.send(b"1")
            await asyncio.sleep(0.05)
    assert "connect to the database itself, or to a pool in session mode" in caplog.text
    for node in nodes:
        await node.backplane.stop()


# TLS


async def _are_joined(open_node: Any, url: str) -> None:
    one, other = await open_node(url), await open_node(url)
    await one.send(b"1")
    await other.has(b"1")
    for each in (one, other):
        await each.backplane.stop()


async def _is_refused(open_node: Any, url: str) -> None:
    stranger = await open_node(url)
    assert "certificate" in str(stranger.backplane.health["trouble"]).lower()
    await stranger.backplane.stop()


@pytest.mark.slow
async def test_redis_is_reached_by_tls_and_a_strange_certificate_is_refused(
    redis_url: str, open_node: Any, tmp_path: Path
) -> None:
    certify(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "certificate", tmp_path / "key")
    parts = urlsplit(redis_url)
    assert parts.port
    async with Way(parts.port, context).opened() as way:
        url = parts._replace(scheme="rediss", netloc=f"127.0.0.1:{way.port}").geturl()
        await _are_joined(open_node, f"{url}?ssl_ca_certs={tmp_path}/certificate")
        await _is_refused(open_node, url)


@pytest.mark.slow
async def test_nats_is_reached_by_tls_and_a_strange_certificate_is_refused(
    open_node: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certify(tmp_path)
    settings = (
        f'jetstream {{ store_dir: "{tmp_path.as_posix()}/store" }}\n'
        f'tls {{ cert_file: "{tmp_path.as_posix()}/certificate", key_file: "{tmp_path.as_posix()}/key" }}\n'
    )
    with stores.running(stores.nats_store(tmp_path / "nats", settings)) as store:
        url = store.url.replace("nats://", "tls://")
        await _is_refused(open_node, url)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate"))
        await _are_joined(open_node, url)


@pytest.mark.slow
@pytest.mark.parametrize("pooler", ["session tls"], indirect=True)
async def test_postgresql_is_reached_by_tls_and_a_strange_certificate_is_refused(
    pooler: str, open_node: Any, tmp_path: Path
) -> None:
    await _are_joined(open_node, f"{pooler}?sslmode=verify-full&sslrootcert={tmp_path}/certificate")
    certify(tmp_path)  # another one
    await _is_refused(open_node, f"{pooler}?sslmode=verify-full&sslrootcert={tmp_path}/certificate")


# SQLite


@pytest.mark.parametrize(("end", "received"), [("COMMIT", [b"first", b"2"]), ("ROLLBACK", [b"2"])])
async def test_who_sends_waits_for_a_slow_writer_and_there_is_no_hole(
    open_node: Any, tmp_path: Path, end: str, received: list[bytes]
) -> None:
    url = f"sqlite:///{tmp_path}/signalr.db"
    one, other = await open_node(url), await open_node(url)
    await one.send(b"1")
    await other.has(b"1")
    file = sqlite3.connect(tmp_path / "signalr.db", timeout=20, isolation_level=None, check_same_thread=False)
    with contextlib.closing(file) as slow:
        await asyncio.to_thread(slow.execute, "BEGIN IMMEDIATE")
        slow.execute("UPDATE SignalR_Messages_0_Id SET PayloadId = PayloadId + 1")
        slow.execute(
            "INSERT INTO SignalR_Messages_0 SELECT PayloadId, CAST('first' AS BLOB), '2026-01-01 00:00:00.000000', ? "
            "FROM SignalR_Messages_0_Id",
            (uuid4().hex,),
        )
        await one.send(b"2")
        assert one.backplane.health["queued"] == 1
        assert other.received == [b"1"]
        slow.execute(end)
    for node in (one, other):
        await node.has(b"1", *received)
        assert node.gaps == []
    with contextlib.closing(sqlite3.connect(tmp_path / "signalr.db")) as file:
        numbers = [number for (number,) in file.execute("SELECT PayloadId FROM SignalR_Messages_0 ORDER BY 1")]
    assert numbers == list(range(1, 2 + len(received)))
