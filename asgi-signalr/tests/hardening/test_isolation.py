"""What fails for one connection, or in one call, is nobody else's affair, and is told to whom it concerns."""

import asyncio
import gc
import json
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest
from asgi_signalr import Hub, HubException, SignalR

from .harness import (
    SEPARATOR,
    DirectSocket,
    GoneError,
    Http,
    Socket,
    handshake,
    read_json,
    remains,
    run,
    text_of,
)


class MuteError(HubException):
    def __str__(self) -> str:
        raise LookupError


class Unlucky(Hub):
    def at_once(self) -> None:
        raise HubException("no file \udcff")

    async def later(self) -> None:
        await asyncio.sleep(0)
        raise HubException("no file \udcff")

    async def streaming(self) -> AsyncIterator[int]:
        yield 1
        raise HubException("no file \udcff")

    async def mute(self) -> None:
        raise MuteError

    def echo(self, value: Any) -> Any:
        return value

    async def shout(self, text: str) -> None:
        await self.clients.all.send("shouted", text)


def make_app(**options: Any) -> SignalR:
    app = SignalR(**options)
    app.hub("/unlucky")(Unlucky)
    return app


async def connect(app: SignalR, kind: type[Socket] = Socket) -> Socket:
    socket = await kind(app, "/unlucky").accepted()
    socket.send(handshake())
    await socket.hear(lambda: socket.frames or None)
    return socket


def said(socket: Socket) -> list[dict[str, Any]]:
    return [message for frame in socket.frames[1:] for message in read_json(frame)]


async def hear(socket: Socket, **like: Any) -> dict[str, Any]:
    return await socket.hear(lambda: next((each for each in said(socket) if like.items() <= each.items()), None))


INVOKING = "An unexpected error occurred invoking '{}' on the server."


@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("at_once", INVOKING + " HubException: no file ?"),
        ("later", INVOKING + " HubException: no file ?"),
        ("streaming", "An error occurred on the server while streaming results. HubException: no file ?"),
        ("mute", INVOKING + " MuteError: it cannot be told"),
    ],
)
def test_a_call_is_answered_even_if_what_is_to_be_said_is_no_text(method: str, error: str) -> None:
    async def main() -> None:
        socket = await connect(make_app())
        kind = 4 if method == "streaming" else 1
        socket.send(text_of({"type": kind, "target": method, "arguments": [], "invocationId": "1"}))
        assert (await hear(socket, type=3))["error"] == error.format(method)
        socket.send(text_of({"type": 1, "target": "echo", "arguments": [7], "invocationId": "2"}))
        assert (await hear(socket, invocationId="2"))["result"] == 7
        socket.leave()
        await asyncio.sleep(60)

    run(main())


class Failing(Socket):
    """A WebSocket of a server that fails when something is sent: at once, or after a while."""

    failure: BaseException
    at_once = True
    fails = False

    async def _take(self, event: Any) -> None:
        if self.fails and not self.gone:
            if not self.at_once:
                await asyncio.sleep(0)
            raise self.failure
        await super()._take(event)


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("failure", [OSError(), RuntimeError(), asyncio.CancelledError(), KeyError("x")])
def test_a_server_that_fails_to_send_to_one_client_sends_to_the_others(failure: BaseException, at_once: bool) -> None:
    async def main() -> None:
        app = make_app()
        sockets = [await connect(app), await connect(app, Failing), await connect(app)]
        failing = sockets[1]
        assert isinstance(failing, Failing)
        failing.failure, failing.at_once, failing.fails = failure, at_once, True
        for text in ("first", "second"):
            sockets[0].send(text_of({"type": 1, "target": "shout", "arguments": [text]}))
            for socket in (sockets[0], sockets[2]):
                await hear(socket, target="shouted", arguments=[text])
        await asyncio.wait({failing.task}, timeout=60)
        assert failing.task.done()
        for socket in sockets:
            socket.leave()
        await asyncio.sleep(60)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(main())


@pytest.mark.parametrize("version", [1, 2])
def test_a_server_that_fails_to_receive_has_lost_the_client(version: int) -> None:
    async def main() -> None:
        app = make_app(allow_stateful_reconnects=True)
        asked = Http(app, "POST", "/unlucky/negotiate?negotiateVersion=1&useStatefulReconnect=true")
        await asked.answered()
        socket = await Socket(app, f"/unlucky?id={json.loads(asked.body)['connectionToken']}").accepted()
        socket.send(handshake(version=version))
        await socket.hear(lambda: socket.frames or None)
        socket.told.put_nowait(GoneError("as some servers say"))
        await asyncio.sleep(60)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert remains(app._servers.to_serve()) == {}
        assert socket.outcome is None

    run(main())


def test_a_group_has_a_name_that_every_server_can_read() -> None:
    async def main() -> None:
        app = make_app()
        groups: Any = app.hub_context(Unlucky).groups
        with pytest.raises(TypeError, match=r"^A group's name is text, not 5\.$"):
            await groups.add("anybody", 5)

    run(main())


@pytest.mark.parametrize("kind", [Socket, DirectSocket])
def test_nothing_holds_on_to_a_connection_that_has_ended(kind: type[Socket]) -> None:
    async def main() -> None:
        app = make_app()
        keeper = await connect(app)
        sockets = [await connect(app, kind) for _ in range(20)]
        for socket in sockets:
            socket.send(text_of({"type": 1, "target": "shout", "arguments": ["hello"], "invocationId": "1"}))
            await hear(socket, type=3)
        others = [each for each in app._servers.to_serve().connections._connections if each.id != "keeper"]
        ended = [weakref.ref(each) for each in others]
        others.clear()
        for socket in sockets:
            socket.leave()
        await asyncio.wait({socket.task for socket in sockets})
        sockets.clear()
        del socket
        gc.collect()
        assert len([each for each in ended if each() is not None]) == 1  # the keeper
        keeper.leave()
        await asyncio.sleep(60)

    run(main())


def test_a_broadcast_arrives_in_order_whoever_is_slow() -> None:
    async def main() -> None:
        app = make_app()
        sockets = [await connect(app, kind) for kind in (Socket, DirectSocket) * 3]
        context = app.hub_context(Unlucky)
        for number in range(300):
            if number % 50 == 10:
                sockets[number // 50].stall()
            if number % 50 == 40:
                sockets[number // 50].go_on()
            await context.clients.all.send("shouted", f"{number}")
            if number % 7 == 0:
                await asyncio.sleep(0)
        for socket in sockets:
            await hear(socket, arguments=["299"])
            assert [each["arguments"] for each in said(socket)] == [[f"{number}"] for number in range(300)]
            assert all(str(frame).endswith(SEPARATOR) for frame in socket.frames)
            socket.leave()
        await asyncio.sleep(60)

    run(main())
