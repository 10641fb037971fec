"""Presence: who is in which group of a hub on all servers, and who is told of it."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from asgi_signalr import Hub, SignalR
from asgi_signalr.presence import Presence, PresenceEvent
from asgi_signalr.scaleout.envelopes import PresenceUpdate, ServerGone, decode
from asgi_signalr.scaleout.presence_roster import Member
from asgi_signalr.testing import TestClient

from labkit.services.postgres.server import Server

PATIENCE = 10.0
LEASE = 0.3
"""For servers on a stream of the test, which may be silent or lose things."""

LONG = 20.0
"""For the others: a busy machine may keep a server silent for longer than a short one."""

_names = itertools.count(1)


class Chat(Hub):
    async def join(self, *groups: str) -> None:
        for group in groups:
            await self.groups.add(self.context.connection_id, group)

    async def leave(self, group: str) -> None:
        await self.groups.remove(self.context.connection_id, group)

    def users(self, group: str) -> list[str]:
        return sorted(self.presence.users(group))

    def members(self, group: str) -> tuple[Member, ...]:
        return self.presence.members(group)


class Backplane:
    """A stream that loses what a test wants it to lose, and keeps what was sent."""

    def __init__(self, stream: list["Backplane"]) -> None:
        self._stream = stream
        self.sent: list[Any] = []
        self.is_dead = False
        self.loses: Callable[[Any], bool] = lambda _: False

    async def start(self, deliver: Callable[[bytes], None]) -> None:
        self._deliver = deliver
        self._stream.append(self)

    async def publish(self, payload: bytes) -> None:
        await asyncio.sleep(0)
        if self.is_dead:
            return
        self.sent.append(decode(payload))
        for backplane in tuple(self._stream):
            if not backplane.is_dead and not backplane.loses(self.sent[-1]):
                backplane._deliver(payload)

    async def stop(self) -> None:
        self._stream.remove(self)


class Node:
    """One server, and what it has told the application."""

    def __init__(self, backplane: Any, lease: float = LONG) -> None:
        self.app = SignalR(backplane=backplane, presence_lease=lease, group_timeout=1)
        self.app.hub("/chat", presence=True)(Chat)
        self.app.on_presence(Chat)(self._take)
        self.backplane = backplane
        self.events: list[str] = []
        self._changed = asyncio.Event()

    async def _take(self, event: PresenceEvent) -> None:
        group = "" if event.group is None else f" {event.group}"
        altogether = " altogether" if event.is_users_only else ""
        self.events.append(f"{event.member.user_identifier} {event.kind}{group}{altogether}")
        self._changed.set()

    @property
    def presence(self) -> Presence:
        return self.app.hub_context(Chat).presence

    def die(self) -> None:
        """Say and hear nothing any more."""
        self.backplane.is_dead = True

    async def told(self, *events: str) -> None:
        """Wait until the application has been told so much, and see that it was this."""
        async with asyncio.timeout(PATIENCE):
            while len(self.events) < len(events):
                self._changed.clear()
                await self._changed.wait()
        assert self.events == list(events)

    async def sees(self, group: str | None, *users: str) -> None:
        """Wait until these users are the group's members."""
        async with asyncio.timeout(PATIENCE):
            while self.users(group) != sorted(users):  # noqa: ASYNC110  (nobody would set an event)
                await asyncio.sleep(0.001)

    def users(self, group: str | None) -> list[str]:
        return sorted(str(member.user_identifier) for member in self.presence.members(group))


Serve = Callable[..., Awaitable[Node]]
Enter = Callable[..., Awaitable[TestClient]]


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    """What has to end after the test: clients before their servers."""
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture(params=["memory", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """A stream that no other test knows."""
    if request.param == "memory":
        return f"memory://presence-{next(_names)}"
    server: Server = request.getfixturevalue("postgres_server")
    name = f"presence_{next(_names)}"
    server.create_database(name)
    return server.database_url(name)


@pytest.fixture
def serve(stack: AsyncExitStack) -> Serve:
    """Starts a server; by default on a stream of this test that can lose messages."""
    stream: list[Backplane] = []

    async def serve_(backplane: Any = None, **options: Any) -> Node:
        node = (
            Node(Backplane(stream), **{"lease": LEASE} | options) if backplane is None else Node(backplane, **options)
        )
        await stack.enter_async_context(node.app.lifespan())
        return node

    return serve_


@pytest.fixture
def enter(stack: AsyncExitStack) -> Enter:
    """Connects a user to a server, and joins groups."""

    async def enter_(node: Node, user: str | None, *groups: str) -> TestClient:
        client = await stack.enter_async_context(TestClient(node.app, "/chat", user=user))
        await client.invoke("join", *groups)
        return client

    return enter_


# One server.


async def test_a_hub_knows_who_is_in_its_groups(serve: Serve, enter: Enter) -> None:
    node = await serve("memory://")
    ada, bob = await enter(node, "ada", "red"), await enter(node, "bob", "red", "blue")
    assert await ada.invoke("users", "red") == ["ada", "bob"]
    assert await ada.invoke("members", "blue") == [{"connection_id": bob.connection_id, "user_identifier": "bob"}]
    await enter(node, None, "red")
    presence = node.presence
    assert (presence.count("red"), presence.users("red")) == (3, {"ada", "bob"})
    assert (presence.count(), presence.users()) == (3, {"ada", "bob"})
    assert presence.groups() == {"red", "blue"}
    await bob.close()
    assert presence.members("red")[0] == Member(str(ada.connection_id), "ada")
    assert (presence.count("red"), presence.count("blue"), presence.groups()) == (2, 0, {"red"})


async def test_the_application_is_told_of_users_and_of_their_further_connections(serve: Serve, enter: Enter) -> None:
    node = await serve("memory://")
    first, second = await enter(node, "ada", "red"), await enter(node, "ada", "red", "red")
    await first.invoke("leave", "red")
    await second.close()
    await first.close()
    await node.told(
        "ada joined altogether",
        "ada joined red altogether",
        "ada joined",
        "ada joined red",
        "ada left red",
        "ada left red altogether",
        "ada left",
        "ada left altogether",
    )


async def test_an_anonymous_connection_is_a_user_of_its_own(serve: Serve, enter: Enter) -> None:
    node = await serve("memory://")
    await enter(node, None)
    await (await enter(node, None)).close()
    await node.told("None joined altogether", "None joined altogether", "None left altogether")


async def test_a_function_that_fails_keeps_nobody_from_being_told(
    serve: Serve, enter: Enter, caplog: pytest.LogCaptureFixture
) -> None:
    node = await serve("memory://")
    told: list[str] = []

    @node.app.on_presence(Chat)
    def fail(event: PresenceEvent) -> None:
        told.append(event.kind)
        raise ValueError("no")

    await (await enter(node, "ada")).close()
    await node.told("ada joined altogether", "ada left altogether")
    assert (told, caplog.messages) == (["joined", "left"], ["A presence function failed."] * 2)


async def test_a_hub_that_does_not_ask_for_it_has_none() -> None:
    app = SignalR()
    app.hub("/chat")(Chat)
    presence = app.hub_context(Chat).presence
    for ask in (presence.members, presence.users, presence.count, presence.groups):
        with pytest.raises(RuntimeError, match=r"^Presence is not kept for Chat: serve it with presence=True\.$"):
            ask()
    with pytest.raises(LookupError, match="serve it with presence=True"):
        app.on_presence(Chat)


async def test_a_group_that_is_named_by_no_text_is_refused(serve: Serve) -> None:
    presence = (await serve()).presence
    for ask in (presence.members, presence.users, presence.count):
        with pytest.raises(TypeError, match=r"^A group's name is text, not 5\.$"):
            ask(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "*", "a,b", "é", "\x00", "x" * 1000])
async def test_names_are_taken_literally(serve: Serve, enter: Enter, name: str) -> None:
    one, other = await serve(), await serve()
    await enter(one, "ada", name)
    await other.sees(name, "ada")
    assert (other.presence.groups(), one.presence.groups()) == ({name}, {name})


# Several servers.


async def test_every_server_knows_the_members_on_all(url: str, serve: Serve, enter: Enter) -> None:
    one, other = await serve(url), await serve(url)
    ada = await enter(one, "ada", "red")
    await enter(other, "bob", "red", "blue")
    for node in (one, other):
        await node.sees("red", "ada", "bob")
        await node.sees("blue", "bob")
        await node.sees(None, "ada", "bob")
        assert (node.presence.count("red"), node.presence.count(), node.presence.groups()) == (2, 2, {"red", "blue"})
    await ada.invoke("leave", "red")
    assert one.users("red") == (["bob"])  # its own server knows at once
    for node in (one, other):
        await node.sees("red", "bob")
        await node.sees(None, "ada", "bob")


async def test_each_event_is_told_by_the_server_that_has_the_connection(url: str, serve: Serve, enter: Enter) -> None:
    one, other = await serve(url), await serve(url)
    first = await enter(one, "ada", "red")
    await one.told("ada joined altogether", "ada joined red altogether")
    second = await enter(other, "ada", "red")
    await other.told("ada joined", "ada joined red")
    await first.close()
    await one.told("ada joined altogether", "ada joined red altogether", "ada left red", "ada left")
    await second.close()
    await other.told("ada joined", "ada joined red", "ada left red altogether", "ada left altogether")
    assert len(one.events) == 4


async def test_a_server_that_starts_learns_who_is_there(url: str, serve: Serve, enter: Enter) -> None:
    one = await serve(url)
    await enter(one, "ada", "red")
    await one.told("ada joined altogether", "ada joined red altogether")
    late = await serve(url)
    await late.sees("red", "ada")
    await enter(late, "ada")
    await late.told("ada joined")


async def test_two_servers_that_start_together_agree_on_who_came_first(serve: Serve, enter: Enter) -> None:
    nodes = await asyncio.gather(serve(), serve())
    await asyncio.gather(*(enter(node, "ada") for node in nodes))
    for node in nodes:
        await node.sees(None, "ada", "ada")
    async with asyncio.timeout(PATIENCE):
        while not all(node.events for node in nodes):  # noqa: ASYNC110  (nothing tells of it)
            await asyncio.sleep(0.001)
    assert sorted(nodes[0].events + nodes[1].events) == ["ada joined", "ada joined altogether"]


async def test_a_server_that_stops_takes_its_members_along_and_says_so(url: str, serve: Serve, enter: Enter) -> None:
    one = await serve(url)
    leaving = Node(url)
    await leaving.app.start()
    await enter(leaving, "ada", "red")
    await one.sees("red", "ada")
    await leaving.app.stop()
    assert leaving.events[2:] == ["ada left red altogether", "ada left altogether"]
    await one.sees(None)
    assert (one.presence.groups(), one.events) == (frozenset(), [])


async def test_the_members_of_a_server_that_dies_leave_and_one_survivor_says_so(serve: Serve, enter: Enter) -> None:
    dying, *survivors = await asyncio.gather(serve(), serve(), serve())
    await enter(dying, "ada", "red")
    await enter(survivors[0], "ada")
    for node in survivors:
        await node.sees("red", "ada")
    dying.die()
    for node in survivors:
        await node.sees("red")
        await node.sees(None, "ada")
    gone = [each for node in survivors for each in node.backplane.sent if isinstance(each, ServerGone)]
    told = [event for node in survivors for event in node.events if "left" in event]
    assert (len(gone) >= 1, sorted(told)) == (True, ["ada left", "ada left red altogether"])


async def test_a_server_that_was_only_away_is_there_again(serve: Serve, enter: Enter) -> None:
    away, other = await asyncio.gather(serve(), serve())
    await enter(away, "ada", "red")
    await other.sees("red", "ada")
    away.die()
    await other.sees("red")
    away.backplane.is_dead = False
    await other.sees("red", "ada")
    await away.sees("red", "ada")
    other_told = [event for event in other.events if "ada" in event]
    assert sorted(other_told) == ["ada left altogether", "ada left red altogether"]


async def test_who_hears_nothing_declares_nobody_dead(serve: Serve, enter: Enter) -> None:
    deaf, other = await asyncio.gather(serve(), serve())
    await enter(other, "ada", "red")
    await deaf.sees("red", "ada")
    deaf.backplane.loses = lambda _: True
    beats = len(deaf.backplane.sent)
    async with asyncio.timeout(PATIENCE):
        while len(deaf.backplane.sent) < beats + 8:  # noqa: ASYNC110  (nothing tells of it)
            await asyncio.sleep(0.01)
    assert deaf.users("red") == ["ada"]
    assert not [each for each in deaf.backplane.sent if isinstance(each, ServerGone)]


async def test_lost_changes_are_noticed_and_asked_for(serve: Serve, enter: Enter) -> None:
    one, other = await asyncio.gather(serve(), serve())
    ada = await enter(one, "ada", "red", "blue", "green", "yellow")
    await other.sees("yellow", "ada")
    other.backplane.loses = lambda envelope: isinstance(envelope, PresenceUpdate) and bool(envelope.changes)
    await ada.invoke("leave", "red")
    await one.told(*one.events[:5], "ada left red altogether")
    assert other.users("red") == ["ada"]
    other.backplane.loses = lambda _: False
    await other.sees("red")  # the next sign of life has a number that does not fit
    assert other.users("blue") == ["ada"]


async def test_an_own_change_that_is_lost_is_told_again(serve: Serve, enter: Enter) -> None:
    one, other = await asyncio.gather(serve(), serve())
    for node in (one, other):
        node.backplane.loses = lambda envelope: isinstance(envelope, PresenceUpdate) and bool(envelope.changes)
    await enter(one, "ada", "red")
    for node in (one, other):
        node.backplane.loses = lambda _: False
    await one.told("ada joined altogether", "ada joined red altogether")
    await other.sees("red", "ada")


async def test_after_a_gap_everybody_tells_everything(serve: Serve, enter: Enter) -> None:
    one, other = await asyncio.gather(serve(lease=60), serve(lease=60))
    other.backplane.loses = lambda _: True
    await enter(one, "ada", "red")
    other.backplane.loses = lambda _: False
    other.app._servers._gap("away for a while")
    await other.sees("red", "ada")


async def test_joining_and_leaving_at_once_ends_the_same_everywhere(url: str, serve: Serve, enter: Enter) -> None:
    nodes = [await serve(url), await serve(url)]
    clients = [await enter(node, "ada") for node in nodes for _ in range(3)]
    for _ in range(10):
        await asyncio.gather(*(client.invoke("join", "red") for client in clients))
        await asyncio.gather(*(client.invoke("leave", "red") for client in clients))
    await clients[0].invoke("join", "red")
    for node in nodes:
        await node.sees("red", "ada")
        assert node.presence.count("red") == 1
    async with asyncio.timeout(PATIENCE):
        while True:
            told = [event for node in nodes for event in node.events]
            joined, left = (sum(event.startswith(f"ada {kind} red") for event in told) for kind in ("joined", "left"))
            came, went = (told.count(f"ada {kind} red altogether") for kind in ("joined", "left"))
            if (joined - left, came - went) == (1, 1):
                break
            await asyncio.sleep(0.001)
