"""Whom a message reaches: all, caller, others, groups, users, connections; and on two servers the same."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from asgi_signalr import BackplaneError, ClientProxy, Hub, HubException, SignalR
from asgi_signalr.messages import Invocation, Message
from asgi_signalr.protocols.json import JsonHubProtocol
from asgi_signalr.protocols.messagepack import MessagePackHubProtocol
from asgi_signalr.testing import TestClient

Connect = Callable[..., Awaitable[Any]]

_names = itertools.count(1)


class Chat(Hub):
    def id(self) -> str:
        return str(self.context.connection_id)

    async def tell(self, whom: str, *names: str) -> None:
        clients = self.clients
        proxies: dict[str, Callable[[], ClientProxy]] = {
            "all": lambda: clients.all,
            "all_except": lambda: clients.all_except(names),
            "caller": lambda: clients.caller,
            "others": lambda: clients.others,
            "client": lambda: clients.client(names[0]),
            "clients": lambda: clients.clients(names),
            "group": lambda: clients.group(names[0]),
            "groups": lambda: clients.groups(names),
            "others_in_group": lambda: clients.others_in_group(names[0]),
            "group_except": lambda: clients.group_except(names[0], names[1:]),
            "user": lambda: clients.user(names[0]),
            "users": lambda: clients.users(names),
        }
        await proxies[whom]().send("heard")

    async def join(self, group: str) -> None:
        await self.groups.add(self.context.connection_id, group)

    async def leave(self, group: str) -> None:
        await self.groups.remove(self.context.connection_id, group)


HEARD = '{"type":1,"target":"heard","arguments":[]}'
DONE = '{"type":3,"invocationId":"1","result":null}'


def chat(**options: Any) -> SignalR:
    app = SignalR(**options)
    app.hub("/chat")(Chat)
    return app


@pytest.fixture
async def two_servers() -> AsyncIterator[list[SignalR]]:
    """Two servers of one application, joined by a backplane in this process."""
    url = f"memory://two-{next(_names)}"
    servers = [chat(backplane=url, group_timeout=1) for _ in range(2)]
    for server in servers:
        await server.start()
    yield servers
    for server in servers:
        await server.stop()


@pytest.fixture(params=[1, 2], ids=["one server", "two servers"])
def servers(request: pytest.FixtureRequest, two_servers: list[SignalR]) -> list[SignalR]:
    return two_servers if request.param == 2 else [chat()] * 2


async def heard(peers: dict[str, Any]) -> set[str]:
    """Ask everybody what has arrived. Answers come after what was sent before the question."""
    names = set()
    for name, peer in peers.items():
        peer.invoke("id", id="sentinel")
        frames = ""
        while "sentinel" not in frames:
            frames += await peer.frame()
        if frames.startswith(HEARD):
            names.add(name)
            assert frames.count(HEARD) == 1
    return names


@pytest.mark.parametrize(
    ("whom", "names", "expected"),
    [
        ("all", [], "ABCD"),
        ("all_except", ["A", "C"], "BD"),
        ("caller", [], "A"),
        ("others", [], "BCD"),
        ("client", ["C"], "C"),
        ("client", ["unknown"], ""),
        ("clients", ["A", "B", "D", "unknown"], "ABD"),
        ("group", ["red"], "AB"),
        ("group", ["none"], ""),
        ("group", ["*"], ""),
        ("groups", ["red", "blue"], "ABC"),
        ("others_in_group", ["red"], "B"),
        ("group_except", ["red", "B"], "A"),
        ("user", ["ada"], "AB"),
        ("user", ["ADA"], ""),
        ("users", ["ada", "bob"], "ABC"),
    ],
)
async def test_a_message_reaches_those_it_is_for(
    servers: list[SignalR], connect: Connect, whom: str, names: list[str], expected: str
) -> None:
    users = {"A": "ada", "B": "ada", "C": "bob", "D": None}
    peers = {
        name: await connect(server, user=users[name])
        for name, server in zip("ABCD", (servers[0], servers[1]) * 2, strict=True)
    }
    ids = {name: (await peer.call("id")).split('"')[-2] for name, peer in peers.items()}
    for name, group in (("A", "red"), ("B", "red"), ("B", "blue"), ("C", "blue")):
        await peers[name].call("join", group)
    peers["A"].invoke("tell", whom, *(ids.get(name, name) for name in names), id=None)
    assert "".join(sorted(await heard(peers))) == expected


async def test_who_has_left_a_group_or_reconnected_is_no_member(connect: Connect) -> None:
    app = chat()
    leaver, dropped, member = [await connect(app) for _ in range(3)]
    for peer in (leaver, dropped, member):
        assert await peer.call("join", "red") == DONE
        assert await peer.call("join", "red") == DONE
    assert await leaver.call("leave", "red") == DONE
    assert await leaver.call("leave", "never joined") == DONE
    await dropped.drop()
    again = await connect(app)
    await app.hub_context(Chat).clients.group("red").send("heard")
    assert await heard({"leaver": leaver, "again": again, "member": member}) == {"member"}
    await again.call("join", "red")
    await app.hub_context(Chat).clients.group("red").send("heard")
    assert await heard({"again": again, "member": member}) == {"again", "member"}


async def test_a_group_exists_while_it_has_members(connect: Connect) -> None:
    app = chat()
    peer = await connect(app, user="ada")
    await peer.call("join", "red")
    await peer.drop()
    members = app._servers.to_serve().local_hub("Chat").members
    assert (members.connections, members._groups, members._users) == ({}, {}, {})


async def test_everybody_hears_messages_in_one_order(two_servers: list[SignalR], connect: Connect) -> None:
    peers = [await connect(server) for server in two_servers]
    contexts = [server.hub_context(Chat) for server in two_servers]
    for turn in range(5):
        for sender, context in enumerate(contexts):
            await context.clients.all.send("heard", sender, turn)
    expected = "".join(
        '{"type":1,"target":"heard","arguments":[%s,%s]}\x1e' % (sender, turn)  # noqa: UP031  (the text is full of braces)
        for turn in range(5)
        for sender in range(2)
    )
    for peer in peers:
        frames = ""
        while len(frames) < len(expected):
            frames += await peer.frame()
        assert frames == expected


async def test_a_connection_of_another_server_joins_and_leaves_groups(
    two_servers: list[SignalR], connect: Connect
) -> None:
    here, there = two_servers
    peer = await connect(there)
    connection_id = (await peer.call("id")).split('"')[-2]
    context = here.hub_context(Chat)
    await context.groups.add(connection_id, "red")
    await context.clients.group("red").send("heard")
    assert await heard({"peer": peer}) == {"peer"}
    await context.groups.remove(connection_id, "red")
    await context.clients.group("red").send("heard")
    assert await heard({"peer": peer}) == set()


@pytest.mark.parametrize("servers", [1, 2], ids=["one server", "another server"])
async def test_a_connection_may_be_in_so_many_groups(connect: Connect, servers: int) -> None:
    url = f"memory://full-{next(_names)}"
    apps = [chat(backplane=url, group_timeout=1, max_groups_per_connection=2) for _ in range(servers)]
    for app in apps:
        await app.start()
    peer = await connect(apps[0])
    connection_id = (await peer.call("id")).split('"')[-2]
    groups = apps[-1].hub_context(Chat).groups
    for group in ("red", "blue", "red"):
        await groups.add(connection_id, group)
    with pytest.raises(HubException, match=r"^A connection may be in 2 groups at once\. That can be configured with "):
        await groups.add(connection_id, "green")
    assert "HubException: A connection may be in 2 groups at once." in await peer.call("join", "green")
    await groups.remove(connection_id, "blue")
    await groups.add(connection_id, "green")
    for app in apps:
        await app.stop()


async def test_a_command_for_a_connection_that_no_server_has_times_out() -> None:
    app = chat(backplane="memory://lonely", group_timeout=0.01)
    with pytest.raises(TimeoutError, match=r"^No server has acknowledged within 0\.01 s that connection x was to join"):
        await app.hub_context(Chat).groups.add("x", "red")
    await app.stop()


async def test_a_single_server_need_not_ask_anybody() -> None:
    await chat().hub_context(Chat).groups.add("x", "red")


async def test_two_apps_with_no_backplane_are_strangers(connect: Connect) -> None:
    one, other = chat(), chat()
    peer = await connect(other)
    await one.hub_context(Chat).clients.all.send("heard")
    assert await heard({"peer": peer}) == set()


# The backplane.


class Broken:
    async def start(self, deliver: Any) -> None:
        self.deliver = deliver

    async def publish(self, payload: bytes) -> None:
        raise BackplaneError("full")

    async def stop(self) -> None:
        pass


async def test_a_backplane_that_takes_no_more_is_the_senders_error(connect: Connect) -> None:
    app = chat(backplane=Broken())
    with pytest.raises(BackplaneError):
        await app.hub_context(Chat).clients.all.send("heard")
    peer = await connect(app)
    assert "An unexpected error occurred invoking 'tell' on the server." in await peer.call("tell", "all")
    peer.invoke("tell", "caller")
    assert await heard({"peer": peer}) == {"peer"}


async def test_everybody_hears_of_a_backplane_that_does_not_start() -> None:
    class Refusing(Broken):
        async def start(self, deliver: Any) -> None:
            await asyncio.sleep(0)
            raise BackplaneError("another version")

    app = chat(backplane=Refusing())
    send = app.hub_context(Chat).clients.all.send
    outcomes = await asyncio.gather(*(send("heard") for _ in range(3)), return_exceptions=True)
    assert [repr(outcome) for outcome in outcomes] == ["BackplaneError('another version')"] * 3


async def test_a_server_that_has_stopped_sends_no_more(connect: Connect) -> None:
    app = chat(backplane=f"memory://stopped-{next(_names)}")
    local_hub = (await connect(app)) and app._servers.to_serve().local_hub("Chat")
    await app.stop()
    with pytest.raises(BackplaneError, match=r"^This server has stopped\.$"):
        await local_hub.send("all", (), (), Invocation("heard", []))
    await app.hub_context(Chat).clients.all.send("heard")  # the application may begin again
    await app.stop()


async def test_what_cannot_be_read_in_the_stream_is_passed_over(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    backplane = Broken()
    app = chat(backplane=backplane)
    peer = await connect(app)
    caplog.clear()  # it cannot be told that there is a server more
    for payload in (b"", b"nonsense", b"\x92\xa3new\x01"):
        backplane.deliver(payload)
    passed_over = [record for record in caplog.records if "was passed over" in record.getMessage()]
    assert [record.levelname for record in passed_over] == ["WARNING"] * 3
    assert await heard({"peer": peer}) == set()


async def test_an_unknown_scheme_is_heard_of_at_once_without_its_password() -> None:
    with pytest.raises(ValueError, match=r"^No backplane has the scheme 'amqp'; there is mariadb, memory, ") as caught:
        SignalR(backplane="amqp://user:secret@host")
    assert "secret" not in str(caught.value)


async def test_the_backplane_is_chosen_before_the_first_connection(connect: Connect) -> None:
    app = chat()
    app.use_backplane("memory://")
    await connect(app)
    with pytest.raises(RuntimeError, match="before the first connection"):
        app.use_backplane("memory://")


def test_without_a_lifespan_the_backplane_stops_with_the_event_loop() -> None:
    class Noted(Broken):
        stopped = False

        async def publish(self, payload: bytes) -> None:
            self.deliver(payload)

        async def stop(self) -> None:
            self.stopped = True

    async def send() -> None:
        await app.hub_context(Chat).clients.all.send("heard")

    backplane = Noted()
    app = chat(backplane=backplane)
    asyncio.run(send())
    assert backplane.stopped


async def test_gaps_are_told_to_the_application() -> None:
    app = chat()
    told: list[Any] = []

    @app.on_backplane_gap
    def fail(reason: str) -> None:
        raise ValueError(reason)

    app.on_backplane_gap(told.append)
    app._servers._gap("away for a while")  # raises nothing: it is the backplane that calls it
    assert told == ["away for a while"]


async def test_an_engine_of_ones_own_tells_of_its_gaps_as_well() -> None:
    class Lossy(Broken):
        on_gap: Any = None

    engine, told = Lossy(), []
    engine.on_gap = lambda what: told.append(f"engine: {what}")
    app = chat(backplane=engine)
    app.on_backplane_gap(lambda what: told.append(f"application: {what}"))
    engine.on_gap("away for a while")
    assert told == ["engine: away for a while", "application: away for a while"]


# Slow clients.


async def test_a_slow_client_slows_nobody_and_is_given_up_in_the_end(connect: Connect) -> None:
    app = chat(max_queued_bytes=1000, close_timeout=0.02)
    slow, fast = await connect(app), await connect(app)
    slow.does_not_read()
    context = app.hub_context(Chat)
    for number in range(3):
        await context.clients.all.send("heard", "x" * 600)
        assert len(await fast.frame()) > 600, number
    await slow.ended()
    assert slow.has_nothing_more
    await context.clients.all.send("heard", "still")
    assert "still" in await fast.frame()


async def test_a_slow_client_among_several_that_are_sent_to_holds_nobody_up(connect: Connect) -> None:
    app = chat(max_queued_bytes=1_000_000)
    slow, fast = await connect(app), await connect(app)
    names = [(await each.call("id")).split('"')[-2] for each in (slow, fast)]
    slow.does_not_read()
    context = app.hub_context(Chat)
    async with asyncio.timeout(10):  # the send timeout is as long: one that waits for the slow one comes too late
        for number in range(5):
            await context.clients.clients(names).send("heard", f"{number} " + "x" * 40_000)
            assert f'"{number} x' in await fast.frame()


async def test_a_client_that_takes_nothing_for_too_long_is_given_up(connect: Connect) -> None:
    app = chat(send_timeout=0.02, close_timeout=0.02)
    slow = await connect(app)
    slow.does_not_read()
    await app.hub_context(Chat).clients.all.send("heard")
    await slow.ended()


@pytest.mark.parametrize("number_of_servers", [1, 2])
async def test_a_slow_client_may_be_spared_all_but_the_latest(connect: Connect, number_of_servers: int) -> None:
    url = f"memory://latest-{next(_names)}" if number_of_servers == 2 else "memory://"
    app = chat(max_queued_bytes=1500, slow_client_policy="latest", backplane=url)
    other = chat(backplane=url) if number_of_servers == 2 else app
    dropped: list[int] = []
    slow = await connect(app)
    await slow.call("join", "red")
    app._servers.to_serve().metrics.dropped = lambda hub, messages: dropped.append(messages)  # type: ignore[method-assign]
    go_on = slow.does_not_read()
    clients = other.hub_context(Chat).clients
    await clients.all.send("heard", "first")
    await asyncio.sleep(0)  # now it waits
    for number in range(10):
        await clients.all.send("heard", number, "x" * 300)
        await clients.group("red").send("heard", number, "red")
        await clients.all.send("seen", number)
    go_on.set()
    frames = ""
    while '"seen","arguments":[9]' not in frames:
        frames += await slow.frame()
    messages = [json.loads(record) for record in frames.split("\x1e")[:-1]]
    numbers = [(message["target"], message["arguments"][0]) for message in messages]
    assert numbers[0] == ("heard", "first")
    assert numbers[-3:] == [("heard", 9), ("heard", 9), ("seen", 9)]
    assert (len(numbers) + sum(dropped), sum(dropped) > 10) == (31, True)
    await app.stop()
    await other.stop()


async def test_a_client_that_was_slow_for_a_moment_gets_everything_in_order(connect: Connect) -> None:
    app = chat()
    slow = await connect(app)
    go_on = slow.does_not_read()
    context = app.hub_context(Chat)
    for number in range(3):
        await context.clients.all.send("heard", number)
        await asyncio.sleep(0)
    go_on.set()
    frames = ""
    while "[2]" not in frames:
        frames += await slow.frame()
    assert frames == "".join(f'{{"type":1,"target":"heard","arguments":[{number}]}}\x1e' for number in range(3))


async def test_messages_of_one_tick_share_a_frame_and_long_ones_do_not(connect: Connect) -> None:
    app = chat()
    peer = await connect(app)
    context = app.hub_context(Chat)
    await context.clients.all.send("heard")
    await context.clients.all.send("heard")
    assert await peer.frame() == (HEARD + "\x1e") * 2
    await context.clients.all.send("heard", "x" * 60_000)
    await context.clients.all.send("heard", "y" * 60_000)
    assert [len(await peer.frame()), len(await peer.frame())] == [60_045, 60_045]


async def test_a_broadcast_is_encoded_once(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    app, written = chat(), []
    peers = [await connect(app) for _ in range(5)]
    write = JsonHubProtocol.write

    def noted(self: JsonHubProtocol, message: Message) -> bytes | str:
        written.append(message)
        return write(self, message)

    monkeypatch.setattr(JsonHubProtocol, "write", noted)
    await app.hub_context(Chat).clients.all.send("heard")
    for peer in peers:
        assert await peer.frame() == HEARD + "\x1e"
    assert len(written) == 1


async def test_only_protocols_that_somebody_speaks_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    for protocol in (JsonHubProtocol, MessagePackHubProtocol):

        def write(self: Any, message: Any, write: Any = protocol.write) -> Any:
            written.append(self.name)
            return write(self, message)

        monkeypatch.setattr(protocol, "write", write)
    app = chat()
    send = app.hub_context(Chat).clients.all.send
    await send("heard")
    assert written == []  # nobody is there
    async with TestClient(app, "/chat", protocol="messagepack") as client:
        written.clear()
        await send("heard")
        await client.next("heard")
        assert written == ["messagepack"]
    app = chat(backplane=f"memory://protocols-{next(_names)}")
    written.clear()
    await app.hub_context(Chat).clients.all.send("heard")
    assert written == ["json", "messagepack"]  # for whoever is on the other servers
    await app.stop()


# Names.


def refusal_of(call: Callable[[], Any]) -> str:
    with pytest.raises(TypeError) as caught:
        call()
    return str(caught.value)


def test_one_name_where_several_are_taken_is_refused_and_not_spelled_out() -> None:
    clients = chat().hub_context(Chat).clients
    said = {
        method: refusal_of(lambda method=method: getattr(clients, method)("15"))  # type: ignore[misc]
        for method in ("all_except", "clients", "groups", "users")
    }
    said["group_except"] = refusal_of(lambda: clients.group_except("room", "15"))
    said["bytes"] = refusal_of(lambda: clients.users(b"15"))  # type: ignore[arg-type]
    assert said == {
        **{
            method: f"{method}() takes several, and '15' is one: write ['15']."
            for method in ("all_except", "clients", "groups", "users", "group_except")
        },
        "bytes": "users() takes several, and b'15' is one: write ['15'].",
    }


@pytest.mark.parametrize("wrong", [5, None, b"x"])
def test_a_name_that_is_no_text_is_refused_as_it_would_reach_nobody(wrong: Any) -> None:
    clients = chat().hub_context(Chat).clients
    calls: dict[str, Callable[[], Any]] = {
        "user": lambda: clients.user(wrong),
        "users": lambda: clients.users(["ada", wrong]),
        "group": lambda: clients.group(wrong),
        "groups": lambda: clients.groups({"red", wrong}),
        "group_except": lambda: clients.group_except(wrong, ()),
        "except_group": lambda: clients.group_except("red", [wrong]),
        "client": lambda: clients.client(wrong),
        "clients": lambda: clients.clients([wrong]),
        "all_except": lambda: clients.all_except([wrong]),
    }
    connection, group, user = (
        f"{kind} is text, not {wrong!r}." for kind in ("A connection's id", "A group's name", "A user's identifier")
    )
    assert {name: refusal_of(call) for name, call in calls.items()} == {
        **dict.fromkeys(("user", "users"), user),
        **dict.fromkeys(("group", "groups", "group_except"), group),
        **dict.fromkeys(("except_group", "client", "clients", "all_except"), connection),
    }


async def test_groups_and_methods_have_names_of_text() -> None:
    context = chat().hub_context(Chat)
    said = []
    for coroutine in (
        context.groups.add("id", 5),  # type: ignore[arg-type]
        context.groups.remove("id", None),  # type: ignore[arg-type]
        context.groups.add(5, "room"),  # type: ignore[arg-type]
        context.clients.all.send({"a": 1}),  # type: ignore[arg-type]
        context.clients.client("id").invoke(5),  # type: ignore[call-overload]
    ):
        with pytest.raises(TypeError) as caught:
            await coroutine
        said.append(str(caught.value))
    assert said == [
        "A group's name is text, not 5.",
        "A group's name is text, not None.",
        "A connection's id is text, not 5.",
        "A method's name is text, not {'a': 1}.",
        "A method's name is text, not 5.",
    ]
