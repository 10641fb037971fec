"""Event loops: what is sent from another one than the clients' is said to be lost, and one application serves many."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import anyio.from_thread
import anyio.to_thread
import pytest
from asgi_signalr import Hub, PersistentConnection, SignalR
from asgi_signalr.testing import TestClient, TestConnection

LOST = (
    r"^The clients are connected on another event loop, .* anyio\.from_thread\.run\(chat\.clients\.all\.send, .* "
    r"asyncio\.run_coroutine_threadsafe\("
)


class Chat(Hub):
    async def say(self, text: str) -> None:
        await self.clients.all.send("said", text)


class Echo(PersistentConnection):
    async def on_received(self, data: str | bytes) -> None:
        pass


def served(backplane: str = "memory://") -> SignalR:
    signalr = SignalR(backplane=backplane)
    signalr.hub("/chat", presence=True)(Chat)
    signalr.connection("/echo")(Echo)
    return signalr


@pytest.mark.parametrize("backplane", ["memory://", "memory://loops"])
async def test_sending_from_another_event_loop_than_the_clients_is_an_error(backplane: str) -> None:
    signalr = served(backplane)
    chat, echo = signalr.hub_context(Chat), signalr.connection_context(Echo)
    asks: list[Callable[[], Awaitable[object]]] = [
        lambda: chat.clients.all.send("said", "lost"),
        lambda: chat.clients.all.send("said", "lost"),  # the first one has left nothing behind that takes it
        lambda: chat.groups.add("id", "group"),
        lambda: chat.clients.client("id").invoke("ask"),
        lambda: echo.connections.all.send("lost"),
    ]

    async def elsewhere() -> None:
        for ask in asks:
            with pytest.raises(RuntimeError, match=LOST):
                await ask()

    async with TestClient(signalr, "/chat") as client:
        await asyncio.to_thread(asyncio.run, elsewhere())
        await anyio.to_thread.run_sync(lambda: anyio.from_thread.run(chat.clients.all.send, "said", "heard"))
        assert await client.next("said") == ["heard"]
    async with TestConnection(signalr, "/echo"):
        await asyncio.to_thread(asyncio.run, elsewhere())
    await asyncio.to_thread(asyncio.run, chat.clients.all.send("said", "to nobody"))


def test_one_application_serves_one_event_loop_after_another() -> None:
    signalr = served()
    chat = signalr.hub_context(Chat)

    async def converse() -> list[Any]:
        await chat.clients.all.send("said", "to nobody")
        client = await TestClient(signalr, "/chat").__aenter__()  # left open: the loop ends with it
        await chat.clients.all.send("said", "hello")
        return await client.next("said")

    paused = asyncio.new_event_loop()
    assert paused.run_until_complete(converse()) == ["hello"]
    assert asyncio.run(converse()) == ["hello"]
    assert asyncio.run(converse()) == ["hello"]
    paused.run_until_complete(signalr.stop())
    paused.run_until_complete(paused.shutdown_asyncgens())
    paused.close()


async def test_several_event_loops_with_clients_or_a_start_of_their_own_send_each_to_their_own() -> None:
    signalr = served()
    chat = signalr.hub_context(Chat)
    heard: list[Any] = []

    async def with_a_client() -> None:
        async with TestClient(signalr, "/chat") as client:
            await chat.clients.all.send("said", "there")
            heard.append(await client.next("said"))
        await chat.clients.all.send("said", "to nobody any more")

    async def started() -> None:
        async with signalr.lifespan():
            await chat.clients.all.send("said", "to nobody yet")

    async with TestClient(signalr, "/chat") as client:
        for other in (with_a_client, started):
            await asyncio.to_thread(asyncio.run, other())
        await chat.clients.all.send("said", "here")
        assert await client.next("said") == ["here"]
    assert heard == [["there"]]
