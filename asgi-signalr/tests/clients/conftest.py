"""One application for all conversations of the official client, over each transport and protocol."""

import asyncio
import contextlib
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvicorn

sys.path.insert(0, str(Path(__file__).parent))
from functional_app import create_app


class Wire(NamedTuple):
    """What a conversation goes over."""

    transport: str
    protocol: str


WIRES = [  # not MessagePack over Server-Sent Events, which have no bytes
    Wire("WebSockets", "json"),
    Wire("WebSockets", "messagepack"),
    Wire("ServerSentEvents", "json"),
    Wire("LongPolling", "json"),
    Wire("LongPolling", "messagepack"),
]


@pytest.fixture(params=WIRES, ids="-".join)
def wire(request: pytest.FixtureRequest) -> Wire:
    """Each transport with each protocol that it carries."""
    return Wire(*request.param)


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve an application by uvicorn in a thread, for as long as there are tests; gives its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        thread.join()


@pytest.fixture(scope="session")
def lab_url() -> Iterator[str]:
    """The application with its defaults."""
    with served(create_app()) as url:
        yield url


@pytest.fixture(scope="session")
def open_lab_url(lab_url: str) -> Iterator[str]:
    """The application as another origin, which lets the pages of the first one in."""
    with served(create_app(allowed_origins=[lab_url])) as url:
        yield url


@pytest.fixture
def talk(
    run_in_node: Callable[..., Awaitable[list[Any]]], lab_url: str, wire: Wire
) -> Callable[..., Awaitable[list[Any]]]:
    """Runs a script of the official client against the application, over each wire."""

    async def talk_(script: str, **options: Any) -> list[Any]:
        return await run_in_node(script, lab_url + "/signalr", **wire._asdict(), **options)

    return talk_
