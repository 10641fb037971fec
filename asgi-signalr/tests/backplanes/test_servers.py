"""Two servers of one application are one: what SignalR expects of any backplane, with real connections on both."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest
from asgi_signalr import Hub, HubException, SignalR
from asgi_signalr.backplanes import open_backplane
from asgi_signalr.clients import HubContext
from asgi_signalr.testing import TestClient


class Chat(Hub):
    """Clients only listen."""


class Listener(TestClient):
    """A client that keeps what it hears."""

    def __init__(self, app: SignalR, **options: Any) -> None:
        super().__init__(app, "/chat", **options)
        self.heard: list[Any] = []
        self.on("heard", lambda *arguments: self.heard.extend(arguments))

    @property
    def id(self) -> str:
        assert self.connection_id
        return self.connection_id


@pytest.fixture(
    params=[*("memory", "nats", "postgresql", "redis", "sqlite"), pytest.param("mariadb", marks=pytest.mark.slow)]
)
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn."""
    return str(request.param)


@pytest.fixture(name="url")
def url_(stream_url: str) -> str:
    """A stream that no other test knows."""
    return stream_url


Serve = Callable[[], Awaitable[SignalR]]
Listen = Callable[..., Awaitable[Listener]]


@pytest.fixture
def serve(url: str, stack: AsyncExitStack) -> Serve:
    """Starts a server of the application."""

    async def serve_() -> SignalR:
        app = SignalR(backplane=url)
        app.hub("/chat")(Chat)
        await stack.enter_async_context(app.lifespan())
        return app

    return serve_


@pytest.fixture
def listen(stack: AsyncExitStack) -> Listen:
    """Connects a client to a server."""

    async def listen_(app: SignalR, **options: Any) -> Listener:
        return await stack.enter_async_context(Listener(app, **options))

    return listen_


def context_of(app: SignalR) -> HubContext:
    return app.hub_context(Chat)


async def all_heard(app: SignalR, *clients: Listener) -> list[list[Any]]:
    """What each client has heard so far: what is sent to all now comes behind everything else."""
    await context_of(app).clients.all.send("end")
    for client in clients:
        await client.next("end")
    return [client.heard for client in clients]


# Whom messages reach.


async def test_all_are_the_clients_of_every_server(serve: Serve, listen: Listen) -> None:
    one, other = await serve(), await serve()
    here, there = await listen(one), await listen(other, protocol="messagepack")
    await context_of(one).clients.all.send("heard", "hi")
    assert await all_heard(one, here, there) == [["hi"], ["hi"]]


async def test_who_has_gone_hears_nothing_and_the_others_do(serve: Serve, listen: Listen) -> None:
    one, other = await serve(), await serve()
    here, there = await listen(one), await listen(other)
    await there.close()
    await context_of(other).clients.all.send("heard", "hi")
    assert await all_heard(other, here) == [["hi"]]
    assert there.heard == []


async def test_a_connection_and_a_user_are_reached_from_any_server(serve: Serve, listen: Listen) -> None:
    one, other = await serve(), await serve()
    first, second = await listen(one, user="ada"), await listen(other, user="ada")
    stranger = await listen(one, user="bob")
    await context_of(other).clients.client(first.id).send("heard", "you")
    await context_of(other).clients.user("ada").send("heard", "ada")
    assert await all_heard(other, first, second, stranger) == [["you", "ada"], ["ada"], []]
    await first.close()
    await context_of(one).clients.user("ada").send("heard", "still ada")
    assert await all_heard(one, second, stranger) == [["ada", "still ada"], []]


async def test_a_group_has_members_on_any_server(serve: Serve, listen: Listen) -> None:
    one, other = await serve(), await serve()
    here, there, stranger = await listen(one), await listen(other), await listen(other)
    await context_of(one).groups.add(here.id, "red")
    await context_of(other).groups.add(there.id, "red")
    await context_of(one).clients.group("red").send("heard", "red")
    await context_of(one).clients.group_except("red", [there.id]).send("heard", "but")
    assert await all_heard(one, here, there, stranger) == [["red", "but"], ["red"], []]
    await here.close()
    await context_of(one).clients.group("red").send("heard", "left")
    assert await all_heard(one, there, stranger) == [["red", "left"], []]
    assert here.heard == ["red", "but"]


async def test_groups_are_changed_from_any_server(serve: Serve, listen: Listen) -> None:
    one, other = await serve(), await serve()
    client = await listen(one)
    for app in (one, other, one, other):  # once is enough
        await context_of(app).groups.add(client.id, "red")
    await context_of(other).clients.group("red").send("heard", "in")
    await context_of(other).groups.remove(client.id, "red")
    await context_of(other).clients.group("red").send("heard", "out")
    for app in (one, other):  # it is no member any more
        await context_of(app).groups.remove(client.id, "red")
        await context_of(app).groups.remove(client.id, "never joined")
    assert await all_heard(one, client) == [["in"]]


NAMES = ("*", "a,b", "it's", 'say "x"', "%s", "a\x00b", "\n", "", " ", "\u00e9", "e\u0301", "\U0001f600", "x" * 5000)


async def test_names_are_taken_literally(serve: Serve, listen: Listen) -> None:
    one, other = await serve(), await serve()
    stranger = await listen(one, user="red")
    await context_of(other).groups.add(stranger.id, "red")
    members = [await listen(one, user=name) for name in NAMES]
    for member, name in zip(members, NAMES, strict=True):
        await context_of(other).groups.add(member.id, name)
        await context_of(other).clients.group(name).send("heard", f"group {name}")
        await context_of(other).clients.user(name).send("heard", f"user {name}")
        await context_of(other).clients.client(name).send("heard", f"connection {name}")
    # An empty identifier is nobody's.
    expected = [[f"group {name}", f"user {name}"] if name else [f"group {name}"] for name in NAMES]
    assert await all_heard(other, *members, stranger) == [*expected, []]


async def test_a_message_to_a_connection_that_is_here_does_not_take_the_backplane(serve: Serve, listen: Listen) -> None:
    app = await serve()
    client = await listen(app)
    published: list[Any] = []

    async def publish(envelope: Any) -> None:
        published.append(envelope)

    app._servers.to_serve().publish = publish  # type: ignore[method-assign]
    await context_of(app).clients.client(client.id).send("heard", "direct")
    await context_of(app).clients.client(client.id).send("end")
    await client.next("end")
    await context_of(app).clients.client("of another server").send("heard", "direct")
    assert (client.heard, [envelope.names for envelope in published]) == (["direct"], [("of another server",)])


async def test_a_client_that_fails_fails_for_itself(serve: Serve, listen: Listen) -> None:
    one, other = await serve(), await serve()
    failing, fine = await listen(other), await listen(other)
    for client in (failing, fine):
        await context_of(other).groups.add(client.id, "red")

    def fail(_payloads: object) -> Any:
        raise OSError("the client has gone")

    other._servers.to_serve().local_hub("Chat").members.connections[failing.id].outbox._write = fail
    await context_of(one).clients.client(failing.id).send("heard", 0)
    for number in (1, 2):
        await context_of(one).clients.group("red").send("heard", number)
    await context_of(one).clients.client(fine.id).send("end")
    await fine.next("end")
    assert (failing.heard, fine.heard) == ([], [1, 2])


async def test_what_one_task_sends_arrives_in_order(serve: Serve, listen: Listen) -> None:
    one, other = await serve(), await serve()
    here, there = await listen(one), await listen(other)
    for number in range(50):
        await context_of(one).clients.all.send("heard", number)
    assert await all_heard(one, here, there) == [list(range(50))] * 2


async def test_the_first_messages_of_a_server_arrive_in_order(url: str, serve: Serve, listen: Listen) -> None:
    client = await listen(await serve())
    app = SignalR(backplane=url)  # it is not started yet
    app.hub("/chat")(Chat)
    try:
        await asyncio.gather(*(context_of(app).clients.all.send("heard", number) for number in range(5)))
        assert await all_heard(app, client) == [[0, 1, 2, 3, 4]]
    finally:
        await app.stop()


# What clients answer.


async def test_a_client_of_another_server_answers(serve: Serve, listen: Listen) -> None:
    one, other = await serve(), await serve()
    for protocol in ("json", "messagepack"):
        client = await listen(other, protocol=protocol)
        client.on("double", lambda number: number * 2)
        proxy = context_of(one).clients.client(client.id)
        assert await proxy.invoke("double", 21, returns=int) == 42
        with pytest.raises(HubException, match=r"^Client didn't provide a result\.$"):
            await proxy.invoke("unknown")


# Servers of several versions.


async def test_what_newer_servers_say_is_passed_over(
    url: str, serve: Serve, listen: Listen, caplog: pytest.LogCaptureFixture
) -> None:
    app = await serve()
    client = await listen(app)
    record = b'{"type":1,"target":"heard","arguments":["newer"]}\x1e'
    newer = open_backplane(url)
    await newer.start(lambda _: None)
    envelopes: tuple[Any, ...] = (
        ["delivery", "Chat", "all", [], [], {"json": record}, "heard", {"more": 1}, None],
        ["unheard-of", "Chat", 1, 2, 3],
        ["delivery", "Chat", "the nearest", [], [], {"json": record}],
        ["delivery", "Unknown", "all", [], [], {"json": record}],
        ["delivery", "Chat", "all", [], [], {"telepathy": b"?"}],
        ["group", "Chat", "add", "red", client.id, "7", "newer", "more"],
        ["result", "Chat", "s1-x", "newer", "telepathy", b"?"],
        {"not": "an array"},
    )
    for envelope in envelopes:
        await newer.publish(msgspec.msgpack.encode(envelope))
    await newer.stop()
    await context_of(app).clients.group("red").send("heard", "still here")
    assert await all_heard(app, client) == [["newer", "still here"]]
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(warnings) == 4
    assert [warning.startswith("A message of another version was passed over: ") for warning in warnings] == [
        True,
        True,
        False,
        True,
    ]
    assert warnings[2] == "A delivery for Chat cannot be written as json."


async def test_a_command_sends_to_the_clients_of_the_servers(database_url: str) -> None:
    """It has no clients and an event loop of its own, as another process."""
    signalr = SignalR(backplane=database_url)
    signalr.hub("/chat")(Chat)

    async def announce() -> None:
        async with signalr.lifespan():
            await signalr.hub_context(Chat).clients.all.send("said", "hello")

    async with signalr.lifespan(), TestClient(signalr, "/chat") as client:
        await asyncio.to_thread(asyncio.run, announce())
        assert await client.next("said") == ["hello"]
