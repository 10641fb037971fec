"""The application of the clients' tests, served by real servers in processes of their own."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

APP = Path(__file__).parent.parent / "clients"
PATIENCE = 30.0
TRIES = 3

FACTORY = ("--factory", "functional_app:served")
UVICORN = ("-m", "uvicorn", "--host", "127.0.0.1", "--port", "{port}", "--no-access-log", *FACTORY)
SERVERS = {
    "uvicorn-websockets-sansio": (*UVICORN, "--ws", "websockets-sansio"),
    "uvicorn-websockets": (*UVICORN, "--ws", "websockets"),
    "uvicorn-wsproto": (*UVICORN, "--ws", "wsproto"),
    "uvicorn-adapter": (*UVICORN, "--ws", "asgi_signalr.servers.uvicorn:WebSocketProtocol"),
    "uvicorn-h11": (*UVICORN, "--http", "h11", "--ws", "websockets-sansio"),
    "hypercorn": ("-m", "hypercorn", "--bind", "127.0.0.1:{port}", "functional_app:served()"),
    "granian": (
        *("-m", "granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", "{port}"),
        *("--workers-kill-timeout", "1", *FACTORY),  # without it, it waits for polls for ever
    ),
    "daphne": ("-m", "daphne", "-b", "127.0.0.1", "-p", "{port}", "functional_app:app"),
}

# Of each kind one in every run.
QUICK = ["hypercorn", "granian"]
EACH = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in SERVERS]


class ServerProcess:
    """A server, its address and what it has printed."""

    def __init__(self, name: str, port: int, process: subprocess.Popen[bytes], log: Any) -> None:
        self.name = name
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.process = process
        self._log = log

    @property
    def log(self) -> str:
        self._log.seek(0)
        return str(self._log.read().decode("utf-8", "replace"))

    def has_its_port(self) -> bool:
        """Wait until it answers, or has failed because its port is another's."""
        try:
            self.wait_until_it_answers()
        except AssertionError:
            return "in use" not in self.log
        return True

    def wait_until_it_answers(self) -> None:
        end = time.monotonic() + PATIENCE
        while True:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < end, self.log
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), PATIENCE) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
                if client.recv(1):
                    return
            time.sleep(0.02)

    async def exited(self) -> int:
        """Wait until it has ended by itself; returns its exit code."""
        return await asyncio.to_thread(self.process.wait, PATIENCE)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def serving(name: str, **options: Any) -> Iterator[ServerProcess]:
    pytest.importorskip(SERVERS[name][1])
    environment = {
        "PYTHONPATH": os.pathsep.join([str(APP), os.environ.get("PYTHONPATH", "")]),
        "FUNCTIONAL_APP_OPTIONS": json.dumps(options),
    }
    with tempfile.TemporaryFile() as log:
        server = start(name, environment, log)
        try:
            server.wait_until_it_answers()
            yield server
        finally:
            kill_with_children(server.process.pid)
            server.process.wait()


def start(name: str, environment: dict[str, str], log: Any) -> ServerProcess:
    """Start a server; again on another port if somebody has taken this one meanwhile."""
    for attempt in range(TRIES):
        port = free_port()
        process = subprocess.Popen(
            [sys.executable, *(each.format(port=port) for each in SERVERS[name])],
            cwd=APP,
            env=os.environ | environment,
            stdout=log,
            stderr=log,
        )
        server = ServerProcess(name, port, process, log)
        if attempt + 1 == TRIES or server.has_its_port():
            break
        kill_with_children(process.pid)
        process.wait()
    return server


def kill_with_children(pid: int) -> None:
    """Some servers leave the work to processes of their own."""
    try:
        process = psutil.Process(pid)
        family = [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return
    for each in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()


@pytest.fixture(scope="module", params=EACH)
def server(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """Each server, with impatience towards clients that stop polling."""
    with serving(request.param, disconnect_timeout=0.5, allow_stateful_reconnects=True) as server:
        yield server


@pytest.fixture
def start_server() -> Iterator[Callable[[str], ServerProcess]]:
    """Starts servers that a test may end itself."""
    with contextlib.ExitStack() as stack:
        yield lambda name: stack.enter_context(serving(name))
