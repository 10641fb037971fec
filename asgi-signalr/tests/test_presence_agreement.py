"""Whatever happens in whatever order, the servers end up agreeing on who is present, and on what was told."""

import asyncio
import contextlib
import random
from collections import Counter, deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from asgi_signalr.options import Options
from asgi_signalr.presence import PresenceEvent
from asgi_signalr.scaleout.envelopes import Envelope, PresenceUpdate, RollCall, ServerGone
from asgi_signalr.scaleout.members import Members
from asgi_signalr.scaleout.presence_tracker import PresenceTracker

PATIENCE = 5.0
LEASE = 0.15
USERS = ("ada", "bob", None)
GROUPS = ("red", "blue", "green")


class Node:
    """One server, and its way to the others."""

    is_alone = False
    trouble = None

    def __init__(self, stream: "Stream", name: str) -> None:
        self.id = name
        self.hears: Callable[[Envelope], bool] = lambda _: True
        self.members = Members()
        self._stream = stream
        self._queue: deque[Envelope] = deque()
        self._sending: asyncio.Task[None] | None = None
        self.tracker = PresenceTracker("Chat", self.members, self, [stream.told.append], LEASE)
        self.members.on_change = self.tracker.changed
        stream.nodes.append(self)
        self.tracker.begin()

    async def publish(self, envelope: Envelope) -> None:
        self.publish_soon(envelope)

    def publish_soon(self, envelope: Envelope) -> None:
        self._queue.append(envelope)
        if self._sending is None:
            self._sending = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        while self._queue:
            for _ in range(self._stream.random.randint(0, 3)):
                await asyncio.sleep(0)
            self._stream.deliver(self._queue.popleft())
        self._sending = None

    def handle(self, envelope: Envelope) -> None:
        match envelope:
            case PresenceUpdate():
                self.tracker.handle(envelope)
            case RollCall():
                self.tracker.answer(envelope)
            case ServerGone():
                self.tracker.end_server(envelope)

    def act(self) -> None:
        """Let something happen to a connection here."""
        chance = self._stream.random
        here = list(self.members.of_group(None))
        if not here or chance.random() < 0.2:
            name = f"{self.id}-{self._stream.number()}"
            context = SimpleNamespace(user_identifier=chance.choice(USERS))
            connection: Any = SimpleNamespace(id=name, context=context, groups=set(), ending=None, options=Options())
            self.members.add(connection)
            return
        connection = chance.choice(here)
        if chance.random() < 0.1:
            self.members.remove(connection)
        elif (group := chance.choice(GROUPS)) in connection.groups:
            self.members.remove_from_group(connection, group)
        else:
            self.members.add_to_group(connection, group)

    def sees(self) -> dict[str | None, Counter[str]]:
        groups = (None, *GROUPS)
        return {group: Counter(each.connection_id for each in self.tracker.members(group)) for group in groups}


class Stream:
    """One order for all, from which a server may miss something."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.nodes: list[Node] = []
        self.told: list[PresenceEvent] = []
        self._number = 0

    def number(self) -> int:
        self._number += 1
        return self._number

    def deliver(self, envelope: Envelope) -> None:
        for node in tuple(self.nodes):
            if node.hears(envelope):
                node.handle(envelope)

    def truth(self) -> dict[str | None, Counter[str]]:
        return {
            group: Counter(each.id for node in self.nodes for each in node.members.of_group(group))
            for group in (None, *GROUPS)
        }

    async def agreed(self) -> None:
        """Wait until every server sees what is so, and everything was told of every connection."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while not self._is_agreed():  # noqa: ASYNC110  (nobody would set an event)
                    await asyncio.sleep(0.005)
        assert [node.sees() for node in self.nodes] == [self.truth()] * len(self.nodes)
        assert self.balance()[0] == self.expected()[0]

    def _is_agreed(self) -> bool:
        return all(node.sees() == self.truth() for node in self.nodes) and self.balance()[0] == self.expected()[0]

    def assert_users_were_told(self) -> None:
        """See that of every user's first and last connection was told, and of no other: where nothing was lost."""
        assert self.balance()[1] == self.expected()[1]

    def balance(self) -> tuple[Counter[Any], Counter[Any]]:
        """Sum up what was told: of connections, and of users altogether."""
        connections: Counter[Any] = Counter()
        users: Counter[Any] = Counter()
        for event in self.told:
            by = 1 if event.kind == "joined" else -1
            connections[event.group, event.member.connection_id] += by
            if event.is_users_only and event.member.user_identifier is not None:
                users[event.group, event.member.user_identifier] += by
        return _without_zeros(connections), _without_zeros(users)

    def expected(self) -> tuple[Counter[Any], Counter[Any]]:
        members = [
            (group, each) for node in self.nodes for group in (None, *GROUPS) for each in node.members.of_group(group)
        ]
        users = {(group, each.context.user_identifier) for group, each in members}
        return (
            Counter((group, each.id) for group, each in members),
            Counter((group, user) for group, user in users if user is not None),
        )

    async def end(self) -> None:
        for node in self.nodes:
            await node.tracker.end(0)


def _without_zeros(counter: Counter[Any]) -> Counter[Any]:
    return Counter({key: number for key, number in counter.items() if number})


async def turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(10))
async def test_servers_agree_whatever_their_connections_do(seed: int) -> None:
    stream = Stream(seed)
    for name in "ABC":
        Node(stream, name)
    for _ in range(300):
        stream.random.choice(stream.nodes).act()
        await turns(stream.random.randint(0, 4))
    await stream.agreed()
    stream.assert_users_were_told()
    await stream.end()


@pytest.mark.parametrize("seed", range(10))
async def test_servers_agree_again_after_anything_was_lost(seed: int) -> None:
    stream = Stream(seed)
    for name in "ABC":
        Node(stream, name)
    for _ in range(20):
        unlucky = stream.random.choice(stream.nodes)
        unlucky.hears = lambda envelope: not isinstance(envelope, PresenceUpdate) or stream.random.random() < 0.5
        for _ in range(15):
            stream.random.choice(stream.nodes).act()
            await turns(stream.random.randint(0, 4))
        unlucky.hears = lambda _: True
    await stream.agreed()
    await stream.end()


@pytest.mark.parametrize("seed", range(5))
async def test_servers_agree_after_some_have_died_and_others_have_come(seed: int) -> None:
    stream = Stream(seed)
    for name in "ABC":
        Node(stream, name)
    for name in "DE":
        for _ in range(50):
            stream.random.choice(stream.nodes).act()
            await turns(stream.random.randint(0, 4))
        await stream.agreed()
        dead = stream.nodes.pop(stream.random.randrange(len(stream.nodes)))
        await dead.tracker.end(0)
        await stream.agreed()  # one that starts meanwhile would not know of the dead one's users
        Node(stream, name)
    await stream.agreed()
    stream.assert_users_were_told()
    await stream.end()
