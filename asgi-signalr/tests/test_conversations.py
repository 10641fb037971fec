"""Conversations in process, through the real code of both ends, in each protocol."""

import asyncio
import datetime
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from decimal import Decimal
from enum import IntEnum
from typing import Annotated, Any

import msgspec
import pydantic
import pytest
from asgi_signalr import (
    Depends,
    Hub,
    HubCallerContext,
    HubException,
    HubFilter,
    InvocationContext,
    PresenceEvent,
    SignalR,
    hub_method,
)
from asgi_signalr.filters import Invoke
from asgi_signalr.testing import ClosedError, TestClient

Connect = Callable[..., TestClient]


@pytest.fixture(params=["json", "messagepack"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def log() -> list[str]:
    """What happened, in order."""
    return []


@pytest.fixture
def signalr(log: list[str]) -> SignalR:
    return SignalR(detailed_errors=True, filters=[Noting(log)])


@pytest.fixture
def connect(signalr: SignalR, protocol: Any, log: list[str]) -> Connect:
    """Makes clients of a hub with all that hubs have."""
    signalr.hub("/hub")(hub_that_logs(log))
    return lambda **options: TestClient(signalr, "/hub", protocol=protocol, **options)


class Color(IntEnum):
    RED = 1


@dataclass
class Point:
    x: float
    y: float


class Struct(msgspec.Struct):
    name: str


class Model(pydantic.BaseModel):
    name: str


class Noting(HubFilter):
    """Notes the calls of methods whose names say so."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    async def invoke(self, context: InvocationContext, next: Invoke) -> Any:
        if not context.method_name.startswith("noted"):
            return await next(context)
        self.log.append(f"before {context.method_name}{context.arguments}")
        try:
            return await next(context)
        finally:
            self.log.append(f"after {context.method_name}")


def hub_that_logs(log: list[str]) -> type[Hub]:
    async def session(context: HubCallerContext) -> AsyncIterator[str]:
        log.append("opened")
        yield f"session of {context.user_identifier}"
        log.append("closed")

    class Everything(Hub):
        async def on_connected(self) -> None:
            await self.clients.caller.send("welcome", self.context.connection_id)

        async def on_disconnected(self, error: Exception | None) -> None:
            log.append(f"disconnected: {error}")

        # Calls.

        def add(self, a: int, b: int = 10) -> int:
            return a + b

        def nothing(self) -> None: ...

        async def fail(self, kind: str) -> None:
            raise HubException("on purpose") if kind == "hub" else LookupError("by accident")

        @hub_method("renamed", authorize=True)
        def other_name(self) -> str | None:
            return self.context.user_identifier

        def types(self, values: list[Any]) -> list[str]:
            return [type(value).__name__ for value in values]

        def point(self, point: Point) -> Point:
            return Point(point.y, point.x)

        def struct(self, struct: Struct) -> Struct:
            return Struct(struct.name.upper())

        def model(self, model: Model) -> Model:
            return Model(name=model.name.upper())

        def stamp(self, when: datetime.datetime) -> datetime.datetime:
            return when + datetime.timedelta(days=1)

        def blob(self, data: bytes) -> bytes:
            return data[::-1]

        def identify(self, name: uuid.UUID) -> uuid.UUID:
            return name

        def money(self, amount: Decimal) -> Decimal:
            return amount * 2

        def color(self, color: Color) -> Color:
            assert isinstance(color, Color)
            return color

        # Whom a message goes to.

        async def join(self, group: str) -> None:
            await self.groups.add(self.context.connection_id, group)

        async def leave(self, group: str) -> None:
            await self.groups.remove(self.context.connection_id, group)

        async def tell(self, whom: str, *names: str) -> None:
            clients = self.clients
            proxies: dict[str, Callable[[], Any]] = {
                "all": lambda: clients.all,
                "all_except": lambda: clients.all_except(names),
                "caller": lambda: clients.caller,
                "others": lambda: clients.others,
                "client": lambda: clients.client(names[0]),
                "clients": lambda: clients.clients(names),
                "group": lambda: clients.group(names[0]),
                "groups": lambda: clients.groups(names),
                "group_except": lambda: clients.group_except(names[0], names[1:]),
                "others_in_group": lambda: clients.others_in_group(names[0]),
                "user": lambda: clients.user(names[0]),
                "users": lambda: clients.users(names),
            }
            await proxies[whom]().send("told", whom)

        # Streams.

        async def count(self, to: int) -> AsyncIterator[int]:
            for number in range(to):
                yield number

        async def for_ever(self) -> AsyncIterator[int]:
            number = 0
            try:
                while True:
                    yield number
                    number += 1
                    await asyncio.sleep(0)
            finally:
                log.append("the stream is closed")

        async def break_off(self) -> AsyncIterator[int]:
            yield 1
            raise HubException("no more")

        async def total(self, numbers: AsyncIterator[int], *, start: int = 0) -> int:
            return start + sum([number async for number in numbers])

        async def both(self, ones: AsyncIterator[int], points: AsyncIterator[Point], factor: int) -> list[Any]:
            return [factor * sum([one async for one in ones]), [point.x async for point in points]]

        async def doubled(self, numbers: AsyncIterator[int]) -> AsyncIterator[int]:
            async for number in numbers:
                yield number * 2

        # What clients answer.

        async def ask(self, question: str) -> str:
            return await self.clients.caller.invoke("answer", question, returns=str)

        async def ask_client(self, connection_id: str) -> int:
            return await self.clients.client(connection_id).invoke("age", returns=int)

        # Dependencies and filters.

        async def noted(self, text: str, session: Annotated[str, Depends(session)]) -> str:
            log.append("called")
            return f"{text} in the {session}"

        # The end.

        def abort(self) -> None:
            self.context.abort()

    return Everything


# Calls.


async def test_a_call_has_a_result(connect: Connect) -> None:
    async with connect() as client:
        assert await client.next("WELCOME") == [client.connection_id]
        assert await client.invoke("Add", 1, 2) == 3
        assert await client.invoke("add", 1) == 11
        assert await client.invoke("nothing") is None


async def test_calls_of_several_clients_and_many_at_once(connect: Connect) -> None:
    async with connect() as one, connect() as two:
        calls = [client.invoke("add", number, number) for number in range(50) for client in (one, two)]
        assert await asyncio.gather(*calls) == [2 * number for number in range(50) for _ in range(2)]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (("nobody",), "Failed to invoke 'nobody' due to an error on the server. HubException: Method does not exist."),
        (
            ("add",),
            "Failed to invoke 'add' due to an error on the server. InvalidDataException: "
            "Invocation provides 0 argument(s) but target expects 2.",
        ),
        (("renamed",), "Failed to invoke 'renamed' because user is unauthorized"),
        (
            ("count", 3),
            "The client attempted to invoke the streaming 'count' method with a non-streaming invocation.",
        ),
        (("fail", "hub"), "An unexpected error occurred invoking 'fail' on the server. HubException: on purpose"),
        (("fail", ""), "An unexpected error occurred invoking 'fail' on the server. LookupError: by accident"),
    ],
)
async def test_what_is_wrong_with_a_call_is_said(connect: Connect, call: tuple[Any, ...], error: str) -> None:
    async with connect() as client:
        with pytest.raises(HubException) as raised:
            await client.invoke(*call)
        assert str(raised.value) == error
        assert await client.invoke("add", 1, 1) == 2


@pytest.mark.parametrize("kind", ["hub", ""])
async def test_only_what_is_meant_for_the_client_is_told_by_default(kind: str, protocol: str) -> None:
    signalr = SignalR()
    signalr.hub("/hub")(hub_that_logs([]))
    async with TestClient(signalr, "/hub", protocol=protocol) as client:  # type: ignore[arg-type]
        with pytest.raises(HubException) as raised:
            await client.invoke("fail", kind)
        reason = " HubException: on purpose" if kind else ""
        assert str(raised.value) == "An unexpected error occurred invoking 'fail' on the server." + reason


async def test_a_rule_of_a_method_and_its_other_name(connect: Connect) -> None:
    async with connect(user="ann") as client:
        assert await client.invoke("renamed") == "ann"
        with pytest.raises(HubException, match=r"'other_name' .* Method does not exist"):
            await client.invoke("other_name")


@pytest.mark.parametrize(
    ("method", "value", "result"),
    [
        ("point", Point(1, 2), Point(2, 1)),
        ("struct", Struct("a"), Struct("A")),
        ("model", Model(name="a"), Model(name="A")),
        (
            "stamp",
            datetime.datetime(2026, 2, 28, 12, tzinfo=datetime.UTC),
            datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC),
        ),
        ("blob", b"\x00\xff", b"\xff\x00"),
        ("identify", uuid.UUID(int=7), uuid.UUID(int=7)),
        ("money", Decimal("1.10"), Decimal("2.20")),
        ("color", Color.RED, Color.RED),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_values_keep_their_types(connect: Connect, method: str, value: Any, result: Any) -> None:
    async with connect() as client:
        got = await client.invoke(method, value, returns=type(result))
        assert (got, type(got)) == (result, type(result))


async def test_what_does_not_fit_is_refused(connect: Connect) -> None:
    async with connect() as client:
        for method, value in (("point", {"x": 1}), ("stamp", "soon"), ("identify", "me"), ("color", 7), ("add", "1")):
            with pytest.raises(HubException, match=f"^Failed to invoke '{method}' due to an error on the server."):
                await client.invoke(method, value)


# Whom a message goes to.


async def test_messages_reach_those_they_are_for(connect: Connect) -> None:
    async with connect(user="ann") as ann, connect(user="ann") as other_ann, connect(user="bob") as bob:
        everybody = [ann, other_ann, bob]
        heard: list[list[str]] = [[], [], []]
        for client, by_client in zip(everybody, heard, strict=True):
            client.on("told", by_client.append)
        for client, group in ((ann, "a"), (bob, "a"), (other_ann, "b")):
            await client.invoke("join", group)
        ids = [str(client.connection_id) for client in everybody]
        for whom, names, reached in (
            ("all", [], [0, 1, 2]),
            ("all_except", [ids[1]], [0, 2]),
            ("caller", [], [0]),
            ("others", [], [1, 2]),
            ("client", [ids[1]], [1]),
            ("clients", ids[1:], [1, 2]),
            ("group", ["a"], [0, 2]),
            ("groups", ["a", "b"], [0, 1, 2]),
            ("group_except", ["a", ids[0]], [2]),
            ("others_in_group", ["a"], [2]),
            ("user", ["ann"], [0, 1]),
            ("users", ["ann", "bob"], [0, 1, 2]),
        ):
            await ann.invoke("tell", whom, *names)
            for client in everybody:
                await client.invoke("nothing")  # by its answer all that was sent before is there
            assert [index for index in range(3) if heard[index]] == reached, whom
            assert [texts for texts in heard if texts] == [[whom]] * len(reached)
            for texts in heard:
                texts.clear()
        await bob.invoke("leave", "a")
        await ann.invoke("tell", "others_in_group", "a")
        await bob.invoke("nothing")
        assert heard == [[], [], []]


async def test_clients_of_both_protocols_hear_the_same(signalr: SignalR) -> None:
    hub = signalr.hub("/hub")(hub_that_logs([]))
    async with (
        TestClient(signalr, "/hub", protocol="json") as text,
        TestClient(signalr, "/hub", protocol="messagepack") as binary,
    ):
        await text.send("tell", "all")
        assert [await text.next("told"), await binary.next("told")] == [["all"], ["all"]]
        await signalr.hub_context(hub).clients.all.send("news", 1)
        assert [await text.next("news"), await binary.next("news")] == [[1], [1]]


# Streams.


async def test_a_stream_comes_item_by_item_and_ends(connect: Connect) -> None:
    async with connect() as client:
        assert [item async for item in client.stream("count", 3)] == [0, 1, 2]
        assert [item async for item in client.stream("count", 0)] == []
        with pytest.raises(HubException, match="The client attempted to invoke the non-streaming 'add' method"):
            await anext(client.stream("add", 1, 2))


async def test_a_stream_that_is_left_is_closed_at_the_server(connect: Connect, log: list[str]) -> None:
    async with connect() as client:
        async with aclosing(client.stream("for_ever")) as numbers:
            assert [await anext(numbers) for _ in range(3)] == [0, 1, 2]
        while "the stream is closed" not in log:
            await client.invoke("nothing")
        other = client.stream("for_ever")
        assert await anext(other) == 0
    assert sorted(log) == ["disconnected: None", "the stream is closed", "the stream is closed"]
    with pytest.raises(ClosedError):
        while True:
            await anext(other)


async def test_a_stream_ends_with_its_error_after_its_items(connect: Connect) -> None:
    async with connect() as client:
        items = []
        with pytest.raises(HubException, match="An error occurred on the server while streaming results"):
            async for item in client.stream("break_off"):
                items.append(item)
        assert items == [1]


async def numbers(to: int) -> AsyncIterator[int]:
    for number in range(to):
        yield number


async def points(*points: Point) -> AsyncIterator[Point]:
    for point in points:
        yield point


async def failing() -> AsyncIterator[int]:
    yield 1
    raise OSError("The sensor is broken.")


async def test_streams_go_up(connect: Connect) -> None:
    async with connect() as client:
        assert await client.invoke("total", numbers(1000)) == 499_500
        assert await client.invoke("both", numbers(4), points(Point(1, 2), Point(3, 4)), 10) == [60, [1, 3]]
        assert [item async for item in client.stream("doubled", numbers(3))] == [0, 2, 4]


async def test_a_stream_s_error_is_raised_in_the_method(connect: Connect) -> None:
    async with connect() as client:
        with pytest.raises(HubException, match=r"HubException: The sensor is broken\.$"):
            await client.invoke("total", failing())
        with pytest.raises(HubException, match="Client sent 0 stream"):
            await client.invoke("total")


# What clients answer.


async def test_a_client_answers_its_own_call(connect: Connect) -> None:
    async with connect() as client:
        client.on("answer", str.upper)
        assert await client.invoke("ask", "why?") == "WHY?"

        @client.on("answer")
        async def answer(question: str) -> str:
            return f"{question} {await client.invoke('add', 20, 22)}"

        assert await client.invoke("ask", "what?") == "what? 42"


async def test_another_client_answers(connect: Connect) -> None:
    async with connect() as ann, connect() as bob:
        bob.on("age", lambda: 42)
        assert await ann.invoke("ask_client", bob.connection_id) == 42
        bob.on("age", lambda: "young")
        with pytest.raises(HubException):
            await ann.invoke("ask_client", bob.connection_id)

        @bob.on("age")
        def refuse() -> None:
            raise ValueError("That is private.")

        with pytest.raises(HubException, match=r"That is private\."):
            await ann.invoke("ask_client", bob.connection_id)
        with pytest.raises(HubException, match="Client didn't provide a result"):
            await bob.invoke("ask_client", ann.connection_id)
        with pytest.raises(HubException):
            await bob.invoke("ask_client", "nobody")


# Presence.


async def test_everybody_in_a_room_hears_who_comes_and_goes(protocol: str) -> None:
    signalr = SignalR()

    @signalr.hub("/rooms", presence=True)
    class Rooms(Hub):
        async def enter(self, room: str) -> list[str]:
            await self.groups.add(self.context.connection_id, room)
            return sorted(self.presence.users(room))

    @signalr.on_presence(Rooms)
    async def tell_the_room(event: PresenceEvent) -> None:
        if event.group is not None and event.is_users_only:
            room = signalr.hub_context(Rooms).clients.group(event.group)
            await room.send(event.kind, event.member.user_identifier)

    def connect(user: str) -> TestClient:
        return TestClient(signalr, "/rooms", user=user, protocol=protocol)  # type: ignore[arg-type]

    async with connect("ann") as ann:
        assert await ann.invoke("enter", "room") == ["ann"]
        assert await ann.next("joined") == ["ann"]
        async with connect("bob") as bob, connect("bob") as other_tab:
            assert await bob.invoke("enter", "room") == ["ann", "bob"]
            assert await ann.next("joined") == ["bob"]
            await other_tab.invoke("enter", "room")
            await bob.close()
            assert signalr.hub_context(Rooms).presence.count("room") == 2
        assert await ann.next("left") == ["bob"]
        assert signalr.hub_context(Rooms).presence.users() == {"ann"}
    assert signalr.hub_context(Rooms).presence.groups() == set()


# Dependencies and filters.


async def test_filters_and_dependencies_are_around_a_call(connect: Connect, log: list[str]) -> None:
    async with connect(user="ann") as client:
        assert await client.invoke("noted", "hello") == "hello in the session of ann"
        assert sorted(log) == ["after noted", "before noted['hello']", "called", "closed", "opened"]
        assert log.index("opened") < log.index("called") < log.index("closed")


# Stateful reconnect.


async def test_nothing_is_lost_when_a_websocket_is(protocol: str, log: list[str]) -> None:
    signalr = SignalR(allow_stateful_reconnects=True)
    hub = signalr.hub("/hub")(hub_that_logs(log))
    everybody = signalr.hub_context(hub).clients.all
    async with TestClient(signalr, "/hub", protocol=protocol, stateful_reconnect=True) as client:  # type: ignore[arg-type]
        numbers = client.stream("count", 10_000)
        assert [await anext(numbers) for _ in range(10)] == list(range(10))
        await client.drop()
        await everybody.send("news", 1)
        await client.send("tell", "all")  # waits for the next WebSocket
        call = asyncio.create_task(client.invoke("add", 1, 2))
        await asyncio.sleep(0)
        await client.reconnect()
        assert await client.next("news") == [1]
        assert await client.next("told") == ["all"]
        assert await call == 3
        assert [number async for number in numbers] == list(range(10, 10_000))
        await everybody.send("news", 2)
        assert await client.next("news") == [2]
        assert log == []
    assert log == ["disconnected: None"]


async def test_a_client_learns_that_it_cannot_reconnect(connect: Connect, signalr: SignalR) -> None:
    async with connect(stateful_reconnect=True) as client:  # the server does not allow it
        await client.drop()
        with pytest.raises(RuntimeError, match="Only a stateful connection can reconnect"):
            await client.reconnect()


# The end.


async def test_the_hub_hears_how_a_connection_ended(connect: Connect, log: list[str]) -> None:
    async with connect():
        pass
    async with connect() as client:
        await client.close("The battery is empty.")
    async with connect() as client:
        await client.drop()
    async with connect() as client:
        await client.send("abort")
        close = await client.closed()
        assert (close.error, close.allow_reconnect) == (None, False)
    assert log == [
        "disconnected: None",
        "disconnected: The battery is empty.",
        "disconnected: None",
        "disconnected: None",
    ]


async def test_clients_are_told_to_come_back_when_the_server_stops(connect: Connect, signalr: SignalR) -> None:
    async with connect() as client:
        await asyncio.gather(signalr.stop(), client.closed())
        assert (await client.closed()).allow_reconnect


async def test_a_message_that_is_too_long_ends_the_connection(connect: Connect) -> None:
    async with connect() as client:
        await client.send("tell", "x" * 33_000)
        close = await client.closed()
        assert close.allow_reconnect
        assert str(close.error).startswith(
            "Connection closed with an error. InvalidDataException: The maximum message size of 32768B was exceeded."
        )
