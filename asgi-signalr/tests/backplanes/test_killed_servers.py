"""Servers in processes of their own: one is killed, and the others notice who is not there."""

import asyncio
import itertools
import json
import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from asgi_signalr.scaleout.envelopes import Acknowledgement, PresenceUpdate, ServerGone, decode
from asgi_signalr.scaleout.presence_tracker import BEATS_PER_LEASE
from websockets.asyncio.client import ClientConnection, connect

PATIENCE = 20.0
LEASE = 1.0  # three signs of life have to fail on a busy machine before a server is taken for dead by mistake

SERVED = """
import os

from asgi_signalr import Hub, PresenceEvent, SignalR, bearer_token

app = SignalR(
    user=bearer_token,
    backplane=os.environ["BACKPLANE"],
    presence_lease=float(os.environ["LEASE"]),
    group_timeout=2.0,
)


@app.hub("/rooms", presence=True)
class Rooms(Hub):
    async def enter(self, *rooms: str) -> None:
        for room in rooms:
            await self.groups.add(self.context.connection_id, room)

    def present(self) -> dict[str, list[str]]:
        groups = (None, *self.presence.groups())
        return {group or "": sorted(each.user_identifier for each in self.presence.members(group)) for group in groups}

    async def tell(self, text: str) -> None:
        await self.clients.all.send("told", text)

    async def whoami(self) -> str:
        return self.context.connection_id

    async def ask(self, connection_id: str) -> str:
        try:
            return await self.clients.client(connection_id).invoke("question")
        except Exception as error:
            return str(error)

    async def put(self, connection_id: str, room: str) -> str:
        try:
            await self.groups.add(connection_id, room)
        except Exception as error:
            return str(error)
        return "done"


@app.on_presence(Rooms)
async def tell(event: PresenceEvent) -> None:
    group = "" if event.group is None else f" {event.group}"
    altogether = " altogether" if event.is_users_only else ""
    text = f"{event.member.user_identifier} {event.kind}{group}{altogether}"
    await app.hub_context(Rooms).clients.all.send("told", text)
"""


class Client:
    """A user's WebSocket, which keeps what its hub tells."""

    def __init__(self, socket: ClientConnection) -> None:
        self.told: list[str] = []
        self._socket = socket
        self._ids = itertools.count(1)
        self._results: dict[str, Any] = {}

    async def call(self, target: str, *arguments: str) -> Any:
        """Call a method, and wait for what it returns."""
        id_ = str(next(self._ids))
        message = {"type": 1, "invocationId": id_, "target": target, "arguments": arguments}
        await self._socket.send(json.dumps(message) + "\x1e")
        await self._until(lambda: id_ in self._results)
        return self._results[id_]

    async def hears(self, text: str) -> None:
        """Wait until it has been told this."""
        await self._until(lambda: text in self.told)

    async def _until(self, condition: Callable[[], bool]) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while not condition():
                    for record in str(await self._socket.recv()).split("\x1e")[:-1]:
                        self._take(json.loads(record))
        except TimeoutError:
            pytest.fail(f"It did not come. Told so far: {self.told}; returned: {self._results}")

    def _take(self, message: dict[str, Any]) -> None:
        match message:
            case {"type": 1, "target": "question"}:
                self.told.append("question")  # and gives no answer
            case {"type": 1, "target": "told", "arguments": [text]}:
                self.told.append(text)
            case {"type": 3, "invocationId": id_, **rest}:
                assert "error" not in rest, rest
                self._results[id_] = rest.get("result")


Serve = Callable[[], Awaitable[tuple[asyncio.subprocess.Process, str]]]
Enter = Callable[..., Awaitable[Client]]


@pytest.fixture(
    params=[
        "postgresql",
        *(pytest.param(each, marks=pytest.mark.slow) for each in ("mariadb", "nats", "redis", "sqlite")),
    ]
)
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn."""
    return str(request.param)


@pytest.fixture
def serve(stack: AsyncExitStack, stream_url: str, tmp_path: Path) -> Serve:
    """Starts a server of the application; gives its process and its address."""
    (tmp_path / "served.py").write_text(SERVED)

    async def serve_() -> tuple[asyncio.subprocess.Process, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "uvicorn", "served:app", "--port", "0", "--no-access-log"),
            cwd=tmp_path,
            env={**os.environ, "BACKPLANE": stream_url, "LEASE": str(LEASE)},
            stderr=asyncio.subprocess.PIPE,
        )

        async def end() -> None:
            if process.returncode is None:
                process.kill()
            await process.communicate()

        stack.push_async_callback(end)
        assert process.stderr is not None
        log = ""
        async with asyncio.timeout(PATIENCE):
            while (running := re.search(r"running on http://(\S+)", log)) is None:
                line = await process.stderr.readline()
                assert line, log
                log += line.decode()
        return process, running[1]

    return serve_


@pytest.fixture
def enter(stack: AsyncExitStack) -> Enter:
    """Connects a user to a server, and enters rooms."""

    async def enter_(address: str, user: str, *rooms: str) -> Client:
        socket = await stack.enter_async_context(connect(f"ws://{address}/rooms?access_token={user}"))
        await socket.send('{"protocol":"json","version":1}\x1e')
        assert await socket.recv() == "{}\x1e"
        client = Client(socket)
        await client.call("enter", *rooms)
        return client

    return enter_


@pytest.mark.parametrize("survivors", [1, pytest.param(2, marks=pytest.mark.slow)])
async def test_who_was_on_a_killed_server_leaves_once(
    serve: Serve, enter: Enter, stream_url: str, open_node: Any, survivors: int
) -> None:
    (process, dying), *others = await asyncio.gather(*(serve() for _ in range(1 + survivors)))
    users = ["bob", "cyd"][:survivors]
    clients: list[Client] = []
    for user, (_, address) in zip(users, others, strict=True):
        clients.append(await enter(address, user, "red"))
        await clients[-1].hears(f"{user} joined red altogether")  # so every server is told of it before ada comes
    ada = await enter(dying, "ada", "red")
    await clients[0].hears("ada joined red altogether")  # what a server tells at once has no order
    await ada.call("enter", "blue")
    for client in clients:
        await client.hears("ada joined blue altogether")
        assert await client.call("present") == {"": ["ada", *users], "red": ["ada", *users], "blue": ["ada"]}
    stream = await open_node(stream_url)

    process.kill()
    await process.wait()
    for client in clients:
        await client.hears("ada left altogether")
        assert await client.call("present") == {"": users, "red": users}

    def signs_of_life(node: Any) -> int:
        return sum(isinstance(decode(payload), PresenceUpdate) for payload in node.received)

    # Who else would say so, or say so again, has done it after another lease.
    enough = signs_of_life(stream) + survivors * (BEATS_PER_LEASE + 1)
    await stream.until(lambda node: signs_of_life(node) >= enough)
    await clients[0].call("tell", "the end")
    for client in clients:
        await client.hears("the end")
        assert [text for text in client.told if text.startswith(("ada ", "the "))] == [
            *("ada joined altogether", "ada joined red altogether", "ada joined blue altogether"),
            *("ada left blue altogether", "ada left red altogether", "ada left altogether"),
            "the end",
        ]
    gone = {each.server for each in map(decode, stream.received) if isinstance(each, ServerGone)}
    assert len(gone) == 1  # nobody took a survivor for dead


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals")
async def test_who_waits_for_a_server_that_is_killed_waits_no_longer(
    serve: Serve, enter: Enter, stream_url: str, open_node: Any
) -> None:
    stream = await open_node(stream_url)
    (process, dying), (_, living) = await asyncio.gather(serve(), serve())
    ada, bob, cyd = await enter(dying, "ada"), await enter(living, "bob"), await enter(living, "cyd")
    name = await ada.call("whoami")
    asking = asyncio.create_task(bob.call("ask", name))
    await ada.hears("question")
    await stream.until(lambda node: any(isinstance(decode(each), Acknowledgement) for each in node.received))
    # Whoever asks has read by then that there is such a client: what it has put into the stream since has come back.
    await cyd.call("tell", "so far")
    await cyd.hears("so far")
    process.send_signal(signal.SIGSTOP)
    putting = asyncio.create_task(cyd.call("put", name, "red"))
    process.kill()
    assert await asking == f"Connection '{name}' disconnected."
    assert await putting == (
        f"No server has acknowledged within 2 s that connection {name} was to join a group; it may have gone."
    )
    assert await cyd.call("put", await bob.call("whoami"), "red") == "done"
