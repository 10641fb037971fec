"""A second, independent client: pysignalr, over WebSockets with both protocols.

Its own limits: WebSockets only; it negotiates version 0, so that its id is its token; there is no way to wait for the
result of a method that takes a stream; a connection that was closed is opened again with the id that has ended with it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from functional_app import create_app

pysignalr_client = pytest.importorskip("pysignalr.client")
from pysignalr.exceptions import AuthorizationError  # noqa: E402  (skipped before, where it is not installed)
from pysignalr.protocol.json import JSONProtocol  # noqa: E402  (skipped before, where it is not installed)
from pysignalr.protocol.messagepack import MessagepackProtocol  # noqa: E402  (skipped before, where it is not installed)

Serve = Callable[..., Awaitable[str]]
NO_METHOD = "Failed to invoke 'missing' due to an error on the server. HubException: Method does not exist."
PATIENCE = 10.0


class Client:
    """What a test wants of the client: answers to wait for."""

    def __init__(self, url: str, protocol: Any, **options: Any) -> None:
        self.client = pysignalr_client.SignalRClient(url, protocol=protocol, **options)
        self.errors: asyncio.Queue[Any] = asyncio.Queue()
        self.client.on_error(self.errors.put)
        self._opened = asyncio.Event()

        async def opened() -> None:
            self._opened.set()

        self.client.on_open(opened)

    async def start(self) -> "Client":
        self.task = asyncio.create_task(self.client.run())
        opened = asyncio.create_task(self._opened.wait())
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait({opened, self.task}, return_when=asyncio.FIRST_COMPLETED)
        if self.task.done():
            opened.cancel()
            self.task.result()
        return self

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def invoke(self, method: str, *arguments: Any) -> Any:
        answer: asyncio.Queue[Any] = asyncio.Queue()
        await self.client.send(method, list(arguments), answer.put)
        async with asyncio.timeout(PATIENCE):
            message = await answer.get()
        return message.error or message.result

    def heard(self, event: str) -> asyncio.Queue[Any]:
        calls: asyncio.Queue[Any] = asyncio.Queue()
        self.client.on(event, calls.put)
        return calls

    async def items(self, method: str, *arguments: Any) -> tuple[list[Any], str | None]:
        received: list[Any] = []
        end: asyncio.Queue[Any] = asyncio.Queue()

        async def take(item: Any) -> None:
            received.append(item)

        await self.client.stream(method, list(arguments), take, end.put, end.put)
        async with asyncio.timeout(PATIENCE):
            return received, (await end.get()).error


@pytest.fixture(params=[JSONProtocol, MessagepackProtocol], ids=["json", "messagepack"])
async def connect(request: pytest.FixtureRequest, serve: Serve) -> AsyncIterator[Callable[..., Awaitable[Client]]]:
    """Connects clients to the application; they are stopped after the test."""
    url = await serve(create_app())
    clients: list[Client] = []

    async def connect_(path: str = "/lab", **options: Any) -> Client:
        client = Client(f"{url}/signalr{path}", request.param(), **options)
        clients.append(client)
        return await client.start()

    yield connect_
    for client in clients:
        await client.stop()


async def test_calls_are_answered(connect: Any) -> None:
    client = await connect()
    assert await client.invoke("add", 1, 2) == 3
    assert await client.invoke("Echo", {"a": [1.5, None, "é\u2028"]}) == {"a": [1.5, None, "é\u2028"]}
    assert await client.invoke("nothing") is None
    assert await client.invoke("length", "x" * 32_000) == 32_000
    assert len(await client.invoke("getText", 300_000)) == 300_000
    assert await client.invoke("missing") == NO_METHOD
    assert await client.invoke("fail", "on purpose") == (
        "An unexpected error occurred invoking 'fail' on the server. HubException: on purpose"
    )
    assert client.errors.qsize() == 2


async def test_events_reach_groups_and_users(connect: Any) -> None:
    ann, bob = [await connect(headers={"Authorization": f"Bearer {user}"}) for user in ("ann", "bob")]
    to_ann, to_bob = ann.heard("told"), bob.heard("told")
    assert (await ann.invoke("whoami"))["user"] == "ann"
    await bob.invoke("join", "room")
    await ann.invoke("tell_group", "room", "group")
    await ann.invoke("tell_user", "bob", "user")
    await bob.invoke("tell_others", "others")
    await ann.client.send("tell_all", ["all"])
    async with asyncio.timeout(PATIENCE):
        assert [await to_bob.get() for _ in range(3)] == [["group"], ["user"], ["all"]]
        assert [await to_ann.get() for _ in range(2)] == [["others"], ["all"]]


async def test_streams_go_both_ways(connect: Any) -> None:
    client = await connect("/flows")
    assert await client.items("numbers", 3) == ([0, 1, 2], None)
    assert await client.items("numbers_then_fail", 1) == (
        [0],
        "An error occurred on the server while streaming results. HubException: no more",
    )
    collected = client.heard("collected")
    async with client.client.client_stream("collect") as stream:
        for part in ("a", "b", "c"):
            await stream.send(part)
    async with asyncio.timeout(PATIENCE):
        assert await collected.get() == [["a", "b", "c"]]


async def test_the_server_asks_the_client(connect: Any) -> None:
    client = await connect("/flows")
    assert await client.invoke("why_no_answer", await client.invoke("own_id")) == (
        "HubException: Client didn't provide a result."
    )

    async def answer(arguments: list[Any]) -> str:
        return f"{arguments[0]}!"

    client.client.on("answer", answer)
    assert await client.invoke("ask", "why") == "why!"


async def test_who_is_not_signed_in_is_told(connect: Any) -> None:
    with pytest.raises(AuthorizationError):
        await connect("/private")
