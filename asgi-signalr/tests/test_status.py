"""What an application tells about itself, and the scripts that it serves."""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from asgi_signalr import Hub, SignalR, client

Request = Callable[..., Awaitable[Any]]
Ask = Callable[..., Any]
Open = Callable[..., Any]


class Chat(Hub): ...


class Board(Hub): ...


def served(**options: Any) -> SignalR:
    app = SignalR(**options)
    app.hub("/chat")(Chat)
    app.hub("/board")(Board)
    return app


async def test_the_status_counts_connections_by_endpoint_and_transport(
    request_to: Request, ask: Ask, open_to: Open
) -> None:
    app = served(max_connections_per_user=1)
    assert app.status() == {
        "since": None,
        "connections": {},
        "negotiated": 0,
        "refused": {},
        "backplane": {"name": None, "is_joined": False},
    }
    peers = [await open_to(app).shake_hands() for _ in range(2)]
    await open_to(app, user="ada").shake_hands()
    await open_to(app, user="ada").refused()
    token = (await request_to(app, "POST", "/board/negotiate?negotiateVersion=1")).json["connectionToken"]
    await request_to(app, "POST", "/board/negotiate?negotiateVersion=1")
    await ask(app, "GET", f"/board?id={token}").answer()
    status = app.status()
    assert datetime.now(UTC) - datetime.fromisoformat(status.pop("since")) < timedelta(minutes=1)
    assert status == {
        "connections": {"Chat": {"WebSockets": 3}, "Board": {"LongPolling": 1}},
        "negotiated": 1,
        "refused": {"user": 1},
        "backplane": {"name": "MemoryBackplane", "is_joined": True},
    }
    for peer in peers:
        await peer.drop()
    assert app.status()["connections"] == {"Chat": {"WebSockets": 1}, "Board": {"LongPolling": 1}}


async def test_the_status_is_served_where_that_is_wished(request_to: Request, open_to: Open) -> None:
    app = served(status_path="/status")
    await open_to(app).shake_hands()
    response = await request_to(app, "GET", "/status")
    assert (response.status, response.json) == (200, app.status())
    assert response.headers.items() >= {"content-type": "application/json", "cache-control": "no-store"}.items()
    assert (await request_to(app, "POST", "/status")).status == 405
    assert (await request_to(served(), "GET", "/status")).status == 404


# Scripts.


@pytest.mark.parametrize("name", client.SCRIPTS)
async def test_a_script_is_kept_for_good_where_the_address_names_its_version(request_to: Request, name: str) -> None:
    app = served()
    pinned = await request_to(app, "GET", f"/{name}?v={client.version()}")
    assert (pinned.status, pinned.body) == (200, client.script(name).body)
    assert pinned.headers == {
        "etag": client.script(name).etag,
        "cache-control": "public, max-age=31536000, immutable",
        "content-type": "text/javascript; charset=utf-8",
        "x-content-type-options": "nosniff",
        "access-control-allow-origin": "*",
        "content-length": str(len(pinned.body)),
    }
    for url in (f"/{name}", f"/{name}?v=1.0"):
        assert (await request_to(app, "GET", url)).headers["cache-control"] == "public, no-cache"


async def test_the_tag_of_a_script_pins_it(request_to: Request) -> None:
    tag = served().script_tag()
    found = re.fullmatch(r'<script src="(.+)" integrity="(.+)" crossorigin="anonymous"></script>', tag)
    assert found is not None
    url, integrity = found.groups()
    assert url == f"/signalr/signalr.min.js?v={client.version()}"
    assert integrity == client.script("signalr.min.js").integrity
    assert "immutable" in (await request_to(served(), "GET", url, root_path="/signalr")).headers["cache-control"]
    with pytest.raises(LookupError):
        served().script_tag("/signalr/other.js")


# A server that is told to exit, and waits for its requests.


async def test_streams_and_polls_end_when_uvicorn_is_told_to_exit(
    request_to: Request, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Uvicorn:
        should_exit = False

        def handle_exit(self) -> None: ...

    uvicorn = Uvicorn()
    monkeypatch.setattr("asgi_signalr.connections.shutdown._getsignal", lambda _: uvicorn.handle_exit)
    app = served(handshake_timeout=0.2)  # which makes the timer look often
    stream, poll = [
        (await request_to(app, "POST", "/chat/negotiate?negotiateVersion=1")).json["connectionToken"] for _ in range(2)
    ]
    events = await ask(app, "GET", f"/chat?id={stream}", {"Accept": "text/event-stream"}).begun()
    await ask(app, "GET", f"/chat?id={poll}").answer()
    waiting = ask(app, "GET", f"/chat?id={poll}")
    for token in (stream, poll):
        await ask(app, "POST", f"/chat?id={token}", body=b'{"protocol":"json","version":1}\x1e').answer()
    assert (await waiting.answer()).text == "{}\x1e"
    waiting = ask(app, "GET", f"/chat?id={poll}")
    await asyncio.sleep(0)
    uvicorn.should_exit = True
    close = '{"type":7,"allowReconnect":true}\x1e'
    assert (await waiting.answer()).text == close
    assert [await events.portion() for _ in range(4)] == [
        b":\r\n",
        b"data: {}\x1e\r\n\r\n",
        f"data: {close}\r\n\r\n".encode(),
        None,
    ]


SERVED = """
from asgi_signalr import PersistentConnection, SignalR

app = SignalR()
app.connection("/quiet")(PersistentConnection)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot ask a process to terminate")
async def test_uvicorn_does_not_wait_for_streams_that_wait_for_it(tmp_path: Path) -> None:
    (tmp_path / "served.py").write_text(SERVED)
    command = [sys.executable, "-m", "uvicorn", "served:app", "--port", "0"]
    process = await asyncio.create_subprocess_exec(*command, cwd=tmp_path, stderr=asyncio.subprocess.PIPE)
    try:
        assert process.stderr is not None
        log = ""
        async with asyncio.timeout(30):
            while (running := re.search(r"running on (http://\S+)", log)) is None:
                log += (await process.stderr.readline()).decode()
            async with httpx.AsyncClient(base_url=running[1]) as http:
                token = (await http.post("/quiet/negotiate?negotiateVersion=1")).json()["connectionToken"]
                headers = {"Accept": "text/event-stream"}
                async with http.stream("GET", f"/quiet?id={token}", headers=headers) as stream:
                    portions = stream.aiter_bytes()
                    assert await anext(portions) == b":\r\n"
                    process.terminate()
                    assert [portion async for portion in portions] == []  # it ends, and in good order
            log += (await process.stderr.read()).decode()
            await process.wait()
        assert "Finished server process" in log
        assert token not in log
    finally:
        if process.returncode is None:
            process.kill()
