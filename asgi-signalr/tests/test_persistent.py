"""Persistent connections: an own protocol over every transport, for one, for groups and for all."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

import pytest
from asgi_signalr import Depends, Hub, HubCallerContext, HubException, PersistentConnection, SignalR

Request = Callable[..., Awaitable[Any]]
Ask = Callable[..., Any]
Open = Callable[..., Any]

EVENTS = {"Accept": "text/event-stream"}
TOO_LONG = (
    "The maximum message size of 1000B was exceeded. "
    "The message size can be configured with SignalR(max_message_size=…)."
)
TEXT = {"Content-Type": "text/plain;charset=UTF-8"}


class Echo(PersistentConnection):
    """Does what it is told by the first letter."""

    ends: ClassVar["asyncio.Queue[Exception | None]"]

    async def on_connected(self) -> None:
        self.received: list[str | bytes] = []

    async def on_received(self, data: str | bytes) -> None:
        self.received.append(data)
        match data:
            case "count":
                await self.connection.send(str(len(self.received)))
            case "join":
                await self.groups.add(self.context.connection_id, "room")
            case "fail":
                raise RuntimeError("on purpose")
            case "leave":
                self.context.abort()
            case str() if data.startswith("room "):
                await self.connections.group("room").send(data)
            case str() if data.startswith("others "):
                await self.connections.all_except([self.context.connection_id]).send(data)
            case str() if data.startswith("user "):
                await self.connections.user(data.split()[1]).send(data)
            case bytes() if data.startswith(b"all "):
                await self.connections.all.send(data)
            case _:
                await self.connection.send(data)

    async def on_disconnected(self, error: Exception | None) -> None:
        self.ends.put_nowait(error)


def echo(*, authorize: Any = False, **options: Any) -> SignalR:
    app = SignalR(**options)
    Echo.ends = asyncio.Queue()
    app.connection("/echo", authorize=authorize)(Echo)
    return app


async def ended() -> Exception | None:
    async with asyncio.timeout(10):
        return await Echo.ends.get()


async def negotiated(request_to: Request, app: SignalR, **more: Any) -> str:
    answer = (await request_to(app, "POST", "/echo/negotiate?negotiateVersion=1", **more)).json
    return f"/echo?id={answer['connectionToken']}"


async def test_text_stays_text_and_bytes_stay_bytes(open_to: Open) -> None:
    peer = await open_to(echo(), "/echo").accepted()
    peer.send("häl\nlo")
    assert await peer.event() == {"type": "websocket.send", "text": "häl\nlo"}
    peer.send_bytes(b"\xff\x00")
    assert await peer.event() == {"type": "websocket.send", "bytes": b"\xff\x00"}
    peer.send("")
    assert await peer.event() == {"type": "websocket.send", "text": ""}
    await peer.drop()
    assert await ended() is None


async def test_each_message_is_a_frame_of_its_own(open_to: Open) -> None:
    app = echo()
    peer = await open_to(app, "/echo").accepted()
    for number in range(3):
        await app.connection_context(Echo).connections.all.send(str(number))
        await app.connection_context(Echo).connections.all.send(b"%d" % number)
    frames = [await peer.event() for _ in range(6)]
    assert [each.get("text", each.get("bytes")) for each in frames] == ["0", b"0", "1", b"1", "2", b"2"]


async def test_a_client_that_is_slow_gets_each_message_as_a_frame(open_to: Open) -> None:
    app = echo()
    peer = await open_to(app, "/echo").accepted()
    may_read = peer.does_not_read()
    for number in range(3):
        await app.connection_context(Echo).connections.all.send(str(number))
        await asyncio.sleep(0)
    may_read.set()
    assert [await peer.frame() for _ in range(3)] == ["0", "1", "2"]


class Broken(PersistentConnection):
    def __init__(self) -> None:
        raise RuntimeError("on purpose")


async def test_one_that_cannot_be_made_ends_its_websocket(open_to: Open, caplog: pytest.LogCaptureFixture) -> None:
    app = SignalR()
    app.connection("/broken")(Broken)
    peer = await open_to(app, "/broken").accepted()
    assert await peer.closed() == 1011
    await peer.ended()
    assert [each.message for each in caplog.records] == ["Broken failed; the connection is closed."]


async def test_one_that_cannot_be_made_is_over_for_who_polls(request_to: Request, ask: Ask) -> None:
    app = SignalR()
    app.connection("/broken")(Broken)
    answer = (await request_to(app, "POST", "/broken/negotiate?negotiateVersion=1")).json
    url = f"/broken?id={answer['connectionToken']}"
    seen = [(await ask(app, "GET", url).answer()).status for _ in range(3)]
    assert seen == [200, 204, 404]


async def test_one_that_refuses_a_client_has_not_failed(open_to: Open, caplog: pytest.LogCaptureFixture) -> None:
    class Closed(PersistentConnection):
        def on_connected(self) -> None:  # type: ignore[override]
            raise HubException("Not today.")

    caplog.set_level(logging.INFO, "asgi_signalr")
    app = SignalR()
    app.connection("/closed")(Closed)
    peer = await open_to(app, "/closed").accepted()
    assert await peer.closed() == 1011
    await peer.ended()
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert record.getMessage().startswith("Closed.on_connected refuses connection ")


@pytest.mark.parametrize("data", [5, None, {"a": 1}])
async def test_only_text_and_bytes_are_sent(data: Any) -> None:
    with pytest.raises(TypeError, match="Text or bytes can be sent, not"):
        await echo().connection_context(Echo).connections.all.send(data)


async def test_an_object_lasts_as_long_as_its_connection(open_to: Open) -> None:
    app = echo()
    one, other = [await open_to(app, "/echo").accepted() for _ in range(2)]
    for number in (1, 2, 3):
        one.send("count")
        assert await one.frame() == str(number)
    other.send("count")
    assert await other.frame() == "1"


async def test_groups_users_and_all_the_others(open_to: Open) -> None:
    app = echo()
    ann, bob, eve = [await open_to(app, "/echo", user=name).accepted() for name in ("ann", "bob", "eve")]
    for member in (ann, bob):
        member.send("join")
    ann.send("x")
    bob.send("x")
    assert [await each.frame() for each in (ann, bob)] == ["x", "x"]  # they have joined
    eve.send("room 1")
    assert [await each.frame() for each in (ann, bob)] == ["room 1", "room 1"]
    bob.send("others 2")
    assert [await each.frame() for each in (ann, eve)] == ["others 2", "others 2"]
    ann.send("user eve")
    assert await eve.frame() == "user eve"
    assert all(each.has_nothing_more for each in (ann, bob, eve))


async def test_from_outside(open_to: Open) -> None:
    app = echo()
    peers = [await open_to(app, "/echo", user=name).accepted() for name in ("ann", "bob")]
    members = app._servers.to_serve().local_hub("Echo").members
    ids = {member.context.user: member.id for member in members.of_group(None)}
    outside = app.connection_context(Echo)
    await outside.groups.add(ids["bob"], "room")
    await outside.connections.group("room").send("to the room")
    await outside.connections.client(ids["ann"]).send(b"to Ann")
    assert await peers[1].frame() == "to the room"
    assert (await peers[0].event())["bytes"] == b"to Ann"
    with pytest.raises(LookupError, match=r"^Hub is not served here; decorate it with @signalr.connection\(path\).$"):
        app.connection_context(Hub)  # type: ignore[arg-type]


# The other transports.


async def test_events_carry_text(request_to: Request, ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    app = echo()
    url = await negotiated(request_to, app)
    stream = await ask(app, "GET", url, EVENTS).begun()
    assert await stream.portion() == b":\r\n"
    assert (await ask(app, "POST", url, TEXT, b"one\ntwo").answer()).status == 200
    assert await stream.portion() == b"data: one\r\ndata: two\r\n\r\n"
    for text in ("first", "second"):
        await app.connection_context(Echo).connections.all.send(text)
    assert await stream.portion() == b"data: first\r\n\r\n"
    assert await stream.portion() == b"data: second\r\n\r\n"
    await app.connection_context(Echo).connections.all.send(b"bytes")
    assert "A delivery for Echo cannot be written as text." in caplog.text
    for headers in ({}, {"Content-Type": "application/octet-stream"}):  # .NET's HttpConnection says nothing of it
        assert (await ask(app, "POST", url, headers, "héllo".encode()).answer()).status == 200
        assert await stream.portion() == "data: héllo\r\n\r\n".encode()


async def test_bytes_are_not_sent_to_one_that_listens_to_events(request_to: Request, ask: Ask) -> None:
    app = SignalR()
    errors: list[str] = []

    @app.connection("/echo")
    class Bytes(PersistentConnection):
        async def on_received(self, data: str | bytes) -> None:
            await self.connection.send(b"bytes")

        async def on_disconnected(self, error: Exception | None) -> None:
            errors.append(str(error))

    url = await negotiated(request_to, app)
    stream = await ask(app, "GET", url, EVENTS).begun()
    assert await stream.portion() == b":\r\n"
    await ask(app, "POST", url, TEXT, b"go").answer()
    assert await stream.portion() is None
    await stream.ended()
    assert errors == ["The client listens to Server-Sent Events, which carry text only."]


async def test_a_silent_stream_of_events_is_kept_open(request_to: Request, ask: Ask) -> None:
    app = echo(keep_alive_interval=0.02)
    url = await negotiated(request_to, app)
    stream = await ask(app, "GET", url, EVENTS).begun()
    assert [await stream.portion() for _ in range(3)] == [b":\r\n"] * 3


async def test_polls_carry_text_and_bytes(request_to: Request, ask: Ask) -> None:
    app = echo()
    url = await negotiated(request_to, app)
    assert (await ask(app, "GET", url).answer()).body == b""
    await ask(app, "POST", url, TEXT, b"text").answer()
    assert (await ask(app, "GET", url).answer()).body == b"text"
    await ask(app, "POST", url, {}, b"\xff\x00").answer()
    assert (await ask(app, "GET", url).answer()).body == b"\xff\x00"
    assert (await ask(app, "DELETE", url).answer()).status == 202
    assert await ended() is None


async def test_what_is_posted_at_once_is_one_message(request_to: Request, ask: Ask) -> None:
    app = echo()
    url = await negotiated(request_to, app)
    await ask(app, "GET", url).answer()
    post = ask(app, "POST", url, TEXT, body=None)
    for part in (b"in ", b"por", b"tions"):
        post.post(part)
    post.post(b"", more_body=False)
    await post.answer()
    await ask(app, "POST", url, TEXT, b"count").answer()
    text = ""
    while len(text) < len("in portions2"):
        text += (await ask(app, "GET", url).answer()).text
    assert text == "in portions2"


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"x" * 1001, 413, TOO_LONG),
        (b"\xff", 400, "The body is no UTF-8 text, as its Content-Type says."),
    ],
)
async def test_a_body_that_cannot_be_is_refused(
    request_to: Request, ask: Ask, body: bytes, status: int, text: str
) -> None:
    app = echo(max_message_size=1000)
    url = await negotiated(request_to, app)
    await ask(app, "GET", url).answer()
    response = await ask(app, "POST", url, TEXT, body).answer()
    assert (response.status, response.text) == (status, text)
    await ask(app, "POST", url, TEXT, b"x" * 1000).answer()
    assert (await ask(app, "GET", url).answer()).text == "x" * 1000


# The end.


async def test_a_connection_that_is_aborted_is_closed_normally(open_to: Open) -> None:
    peer = await open_to(echo(), "/echo").accepted()
    peer.send("leave")
    assert await peer.closed() == 1000
    assert await ended() is None


async def test_a_failure_closes_the_connection_and_the_client_learns_nothing_of_it(
    open_to: Open, caplog: pytest.LogCaptureFixture
) -> None:
    peer = await open_to(echo(), "/echo").accepted()
    peer.send("fail")
    assert await peer.closed() == 1011
    assert str(await ended()) == "on purpose"
    assert "Echo failed; the connection is closed." in caplog.text


async def test_a_connection_that_cannot_begin_does_not(open_to: Open, caplog: pytest.LogCaptureFixture) -> None:
    app = SignalR()
    ends = []

    @app.connection("/echo")
    class Refusing(PersistentConnection):
        async def on_connected(self) -> None:
            raise RuntimeError("not today")

        async def on_disconnected(self, error: Exception | None) -> None:
            ends.append(error)

    peer = await open_to(app, "/echo").accepted()
    assert await peer.closed() == 1011
    await peer.ended()
    assert ends == []
    assert "Refusing failed; the connection is closed." in caplog.text


async def test_what_fails_after_the_end_is_logged(open_to: Open, caplog: pytest.LogCaptureFixture) -> None:
    app = SignalR()

    @app.connection("/echo")
    class Forgetful(PersistentConnection):
        async def on_disconnected(self, error: Exception | None) -> None:
            raise RuntimeError("What was it?")

    peer = await open_to(app, "/echo").accepted()
    await peer.drop()
    assert "Forgetful.on_disconnected failed." in caplog.text
    assert app.status()["connections"] == {}


async def test_a_long_message_ends_the_connection(open_to: Open) -> None:
    peer = await open_to(echo(max_message_size=1000), "/echo").accepted()
    peer.send("x" * 1001)
    assert await peer.closed() == 1009
    assert str(await ended()) == TOO_LONG


async def test_the_size_of_text_is_that_of_its_bytes(open_to: Open) -> None:
    peer = await open_to(echo(max_message_size=1000), "/echo").accepted()
    peer.send("ä" * 500)
    assert await peer.frame() == "ä" * 500
    peer.send("ä" * 501)
    assert await peer.closed() == 1009


async def test_the_application_that_stops_asks_clients_to_come_back(open_to: Open) -> None:
    app = echo()
    peer = await open_to(app, "/echo").accepted()
    peer.send("x")
    await peer.frame()
    await app.stop()
    assert await peer.closed() == 1012
    assert await ended() is None


async def test_what_was_sent_before_the_end_arrives(open_to: Open) -> None:
    app = SignalR()

    @app.connection("/echo")
    class Short(PersistentConnection):
        async def on_connected(self) -> None:
            await self.connection.send("hello")
            await self.connection.send("good-bye")
            self.context.abort()

    peer = await open_to(app, "/echo").accepted()
    assert [await peer.frame(), await peer.frame(), await peer.closed()] == ["hello", "good-bye", 1000]


async def test_nothing_happens_by_default(open_to: Open) -> None:
    app = SignalR()
    app.connection("/quiet")(PersistentConnection)
    peer = await open_to(app, "/quiet").accepted()
    peer.send("x")
    await peer.drop()
    assert peer.has_nothing_more


# Who may, and what it is called.


async def test_who_may_connect(request_to: Request, open_to: Open) -> None:
    app = echo(authorize=True)
    assert (await request_to(app, "POST", "/echo/negotiate")).status == 401
    assert (await open_to(app, "/echo").refused()).status == 401
    await open_to(app, "/echo", user="ada").accepted()


async def test_a_stateful_reconnect_is_not_promised(request_to: Request) -> None:
    app = echo(allow_stateful_reconnects=True)
    url = "/echo/negotiate?negotiateVersion=1&useStatefulReconnect=true"
    assert "useStatefulReconnect" not in (await request_to(app, "POST", url)).json


def test_what_cannot_be_served_is_refused() -> None:
    app = SignalR()
    app.connection("/echo")(Echo)
    with pytest.raises(ValueError, match=r"^Echo is already served at /echo.$"):
        app.hub("/echo/")
    with pytest.raises(ValueError, match=r"^There are two hub classes named Echo; hubs are known by their names.$"):
        app.hub("/other")(type("Echo", (Hub,), {}))
    with pytest.raises(TypeError, match=r"Hub'> is no subclass of PersistentConnection.$"):
        app.connection("/other")(Hub)  # type: ignore[type-var]
    with pytest.raises(TypeError, match=r"Echo'> is no subclass of Hub.$"):
        app.hub("/other")(Echo)  # type: ignore[type-var]


# Several servers.


async def test_two_servers_serve_the_same_groups(open_to: Open) -> None:
    apps = [SignalR(backplane="memory://persistent") for _ in range(2)]
    for app in apps:
        app.connection("/echo")(Echo)
    Echo.ends = asyncio.Queue()
    here, there = [await open_to(app, "/echo").accepted() for app in apps]
    for peer in (here, there):
        peer.send("join")
        peer.send("x")
        assert await peer.frame() == "x"
    here.send("room of both")
    assert [await each.frame() for each in (here, there)] == ["room of both"] * 2
    there.send_bytes(b"all of both")
    assert [(await each.event())["bytes"] for each in (here, there)] == [b"all of both"] * 2
    ids = list(apps[1]._servers.to_serve().local_hub("Echo").members.connections)
    outside = apps[0].connection_context(Echo)
    await outside.connections.client(ids[0]).send("you, there")
    assert await there.frame() == "you, there"
    await outside.groups.remove(ids[0], "room")
    await outside.connections.group("room").send("only here")
    assert await here.frame() == "only here"
    assert there.has_nothing_more
    for app in apps:
        await app.stop()


async def test_the_transcript_tells_sizes_and_no_contents(open_to: Open, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "asgi_signalr")
    peer = await open_to(echo(), "/echo").accepted()
    peer.send("secret")
    await peer.frame()
    await peer.drop()
    opened = next(each for each in caplog.messages if each.endswith(" = opened by WebSockets for connection Echo"))
    connection_id = opened.split()[0]
    assert [each.removeprefix(connection_id) for each in caplog.messages if each.startswith(connection_id)] == [
        " = opened by WebSockets for connection Echo",
        " < text [6]",
        " > text [6]",
        " = the client has gone",
        " = closed",
    ]
    assert "secret" not in caplog.text


async def test_a_page_without_signalr_can_connect(serve: Callable[..., Awaitable[str]]) -> None:
    """Over a real server: nothing but a WebSocket is needed."""
    import websockets

    url = await serve(echo())
    async with websockets.connect(url.replace("http", "ws") + "/echo") as socket:
        await socket.send("hello")
        assert await socket.recv() == "hello"
        await socket.send(b"\x00")
        assert await socket.recv() == b"\x00"
        await socket.send("leave")
        with contextlib.suppress(websockets.ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 1000


async def test_what_is_called_may_be_plain_functions(open_to: Open) -> None:
    app = SignalR()
    log: list[Any] = []

    @app.connection("/echo")
    class Plain(PersistentConnection):
        def on_connected(self) -> None:  # type: ignore[override]
            log.append("connected")

        def on_received(self, data: str | bytes) -> Awaitable[None] | None:  # type: ignore[override]
            log.append(data)
            return self.connection.send(data) if data == "echo" else None

        def on_disconnected(self, error: Exception | None) -> None:  # type: ignore[override]
            log.append(error)

    peer = await open_to(app, "/echo").accepted()
    peer.send("one")
    peer.send("echo")
    assert await peer.frame() == "echo"
    await peer.drop()
    assert log == ["connected", "one", "echo", None]


def test_what_could_not_be_called_is_refused_at_once() -> None:
    class Deaf(PersistentConnection):
        async def on_received(self) -> None: ...  # type: ignore[override]

    class Mute(PersistentConnection):
        async def on_disconnected(self) -> None: ...  # type: ignore[override]

    class Needy(PersistentConnection):
        def __init__(self, name: str) -> None: ...

    class Dependent(PersistentConnection):
        def __init__(self, context: HubCallerContext, name: str = Depends(str)) -> None: ...

    class Hiding(PersistentConnection):
        def groups(self) -> None: ...  # type: ignore[override]

    said = {}
    for each in (Deaf, Mute, Needy, Dependent, Hiding):
        with pytest.raises(TypeError) as caught:
            SignalR().connection("/echo")(each)
        said[each.__name__] = str(caught.value)
    assert said == {
        "Deaf": "Deaf.on_received cannot be called as it will be; write async def on_received(self, data): …",
        "Mute": "Mute.on_disconnected cannot be called as it will be; write async def on_disconnected(self, error): …",
        "Needy": f"{Needy.__qualname__} needs name, which is no dependency and has no default.",
        "Dependent": "The constructor of Dependent takes context, name; "
        "persistent connections are given nothing there: use on_connected and self.context.",
        "Hiding": "Hiding.groups hides what every PersistentConnection has as self.groups; give it another name.",
    }


def test_a_client_is_named_by_text() -> None:
    clients = echo().connection_context(Echo).connections
    with pytest.raises(TypeError, match=r"^A connection's id is text, not 5\.$"):
        clients.client(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^users\(\) takes several, and 'ann' is one: write \['ann'\]\.$"):
        clients.users("ann")
