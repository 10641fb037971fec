"""What users of the library write, as type checkers see it; `test_typing` has mypy and pyright check it. Never run.

Lines with `type: ignore` are mistakes that the checkers have to find: an ignore that is not needed is an error.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, assert_type

import asgi_signalr
from asgi_signalr import (
    Backplane,
    BackplaneError,
    ClientProxy,
    ConnectionContext,
    ConnectionProxy,
    Connections,
    ConnectionSender,
    Deliver,
    Depends,
    GroupManager,
    Hub,
    HubCallerClients,
    HubCallerContext,
    HubClients,
    HubContext,
    HubException,
    HubFilter,
    HubInvocation,
    HubProtocol,
    InvalidDataError,
    InvocationContext,
    LifetimeContext,
    Member,
    OnGap,
    PersistentConnection,
    Presence,
    PresenceEvent,
    Receive,
    Redirect,
    Scope,
    Send,
    SignalR,
    SingleClientProxy,
    bearer_token,
    hub_method,
    open_backplane,
)
from asgi_signalr.filters import Connected, Disconnected, Invoke
from asgi_signalr.messages import Close
from asgi_signalr.protocols.json import JsonHubProtocol
from asgi_signalr.testing import ClosedError, RedirectedError, RefusedError, TestClient, TestConnection, running
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount


@dataclass
class Point:
    x: float
    y: float


def user_of(scope: Scope) -> str | None:
    return bearer_token(scope)


async def user_later(scope: Any) -> object | None:
    return None


def only_ann(context: HubCallerContext) -> bool:
    assert_type(context.connection_id, str)
    assert_type(context.user_identifier, str | None)
    assert_type(context.user, object | None)
    assert_type(context.items, dict[Any, Any])
    return context.user_identifier == "ann"


async def only_bob(context: HubCallerContext) -> bool:
    return context.headers.get("x-name") == "bob" or context.query.get("name") == "bob"


signalr = SignalR(
    user=user_of,
    allowed_origins=["https://app.example.com"],
    keep_alive_interval=5,
    max_message_size=64 * 1024,
    detailed_errors=True,
    backplane="postgresql://host/database",
)
SignalR(user=user_later)
SignalR(keep_alive="5")  # type: ignore[call-arg]
SignalR(keep_alive_interval="5")  # type: ignore[arg-type]


# Hubs.


def own_sheet(context: HubCallerContext, call: HubInvocation) -> bool:
    return bool(call.arguments[:1] == (context.user_identifier,))


@signalr.hub("/draw", authorize=only_ann)
class Draw(Hub):
    async def on_connected(self) -> None:
        assert_type(self.context, HubCallerContext)
        assert_type(self.clients, HubCallerClients)
        assert_type(self.groups, GroupManager)
        await self.groups.add(self.context.connection_id, "painters")

    async def on_disconnected(self, error: Exception | None) -> None:
        await self.clients.others_in_group("painters").send("left", str(error))

    async def draw(self, points: list[Point]) -> int:
        for proxy in (
            self.clients.all,
            self.clients.others,
            self.clients.all_except([self.context.connection_id]),
            self.clients.clients({"a", "b"}),
            self.clients.group("painters"),
            self.clients.groups(["painters"]),
            self.clients.group_except("painters", ()),
            self.clients.user("ann"),
            self.clients.users(["ann"]),
        ):
            assert_type(proxy, ClientProxy)
            await proxy.send("drawn", points)
        return len(points)

    @hub_method("eraseAll", authorize=only_bob)
    def erase_all(self, why: str = "") -> None:
        if not why:
            raise HubException("Say why.")
        self.context.abort()

    @hub_method
    def fill(self, color: int) -> int:
        return color

    @hub_method("outlined", authorize=True)
    @hub_method(authorize=True)
    async def outline(self, color: int) -> int:
        return color


assert_type(Draw().erase_all("enough"), None)
assert_type(Draw().fill(1), int)
Draw().fill("red")  # type: ignore[arg-type]
hub_method(5)  # type: ignore[call-overload]
hub_method(authorize=own_sheet)
hub_method(authorize="admin")  # type: ignore[call-overload]
Draw().erase_all(1)  # type: ignore[arg-type]
signalr.hub("/nothing")(Point)  # type: ignore[type-var]


# Streams, clients' results, dependencies.


class Session:
    def total(self) -> int:
        return 0


async def get_session(context: HubCallerContext) -> AsyncIterator[Session]:
    yield Session()


@signalr.hub("/more", transports=["WebSockets"], filters=())
class More(Hub):
    def __init__(self, session: Annotated[Session, Depends(get_session)]) -> None:
        self.session = session

    async def count(self, to: int) -> AsyncIterator[int]:
        for number in range(to):
            yield number

    async def add_up(self, numbers: AsyncIterator[int], session: Session = Depends(get_session)) -> int:  # noqa: B008  (as FastAPI's users write it)
        async for number in numbers:
            assert_type(number, int)
        return session.total()

    async def ask(self, connection_id: str) -> None:
        assert_type(self.clients.caller, SingleClientProxy)
        assert_type(self.clients.client(connection_id), SingleClientProxy)
        try:
            assert_type(await self.clients.caller.invoke("age", returns=int, timeout=5), int)
            assert_type(await self.clients.caller.invoke("point", returns=Point), Point)
            assert_type(await self.clients.client(connection_id).invoke("anything"), Any)
            assert_type(await self.clients.caller.invoke("maybe", returns=int | None), Any)
        except (InvalidDataError, ConnectionError):
            pass
        await self.clients.all.invoke("age")  # type: ignore[attr-defined]


class Timing(HubFilter):
    async def invoke(self, context: InvocationContext, next: Invoke) -> Any:
        assert_type(context.method_name, str)
        assert_type(context.context, HubCallerContext)
        assert_type(context.hub, Hub)
        context.arguments.append(1)
        return await next(context)

    async def on_connected(self, context: LifetimeContext, next: Connected) -> None:
        await next(context)

    async def on_disconnected(
        self,
        context: LifetimeContext,
        error: Exception | None,
        next: Disconnected,
    ) -> None:
        await next(context, error)


def elsewhere(context: HubCallerContext) -> Redirect | None:
    return Redirect("https://other.example.com/chat") if context.user is None else None


signalr.hub("/redirected", redirect=elsewhere, filters=[Timing()])(type("Redirected", (Hub,), {}))
SignalR(filters=[Timing()])
SignalR(filters=[Timing])  # type: ignore[list-item]
signalr.dependency_overrides[get_session] = Session


@signalr.hub("/rooms", presence=True)
class Rooms(Hub):
    async def enter(self, room: str) -> list[Member]:
        await self.groups.add(self.context.connection_id, room)
        assert_type(self.presence, Presence)
        assert_type(self.presence.users(room), frozenset[str])
        return [*self.presence.members(room), *self.presence.members()]


@signalr.on_presence(Rooms)
async def tell_the_room(event: PresenceEvent) -> None:
    assert_type(event.member.user_identifier, str | None)
    assert_type(event.group, str | None)
    assert_type(signalr.hub_context(Rooms).presence.count(event.group), int)


@signalr.connection("/echo", authorize=True)
class Echo(PersistentConnection):
    async def on_received(self, data: str | bytes) -> None:
        assert_type(self.connection, ConnectionSender)
        assert_type(self.connections, Connections)
        assert_type(self.connections.group("listeners"), ConnectionProxy)
        await self.connection.send(data)
        await self.connections.all.send(1)  # type: ignore[arg-type]


# From outside.


async def tell() -> None:
    context = signalr.hub_context(Draw)
    assert_type(context, HubContext)
    assert_type(context.clients, HubClients)
    await context.clients.user("ann").send("news")
    await context.groups.remove("id", "painters")
    assert_type(signalr.connection_context(Echo), ConnectionContext)
    assert_type(signalr.script_tag(), str)
    assert_type(signalr.status(), dict[str, Any])
    await context.clients.caller.send()  # type: ignore[attr-defined]


class OwnBackplane:
    async def start(self, deliver: Deliver) -> None:
        deliver(b"")

    async def publish(self, payload: bytes) -> None:
        raise BackplaneError("full")

    async def stop(self) -> None: ...


def on_gap(reason: str) -> None: ...


async def on_gap_later(reason: str) -> None: ...


backplane: Backplane = OwnBackplane()
listener: OnGap = on_gap
signalr.use_backplane(backplane)
signalr.use_backplane(open_backplane("memory://", on_gap=on_gap))
told: Callable[[str], None] = signalr.on_backplane_gap(on_gap)
told_later: Callable[[str], Awaitable[None]] = signalr.on_backplane_gap(on_gap_later)


class Shouting(JsonHubProtocol):
    name = "shouting"


own_protocol: HubProtocol = Shouting()


# In applications.


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    assert_type(scope["path"], Any)
    await signalr(scope, receive, send)


fastapi = FastAPI(lifespan=signalr.lifespan)
fastapi.mount("/signalr", signalr)
starlette = Starlette(routes=[Mount("/signalr", signalr)], lifespan=signalr.lifespan)

assert_type(asgi_signalr.__version__, str)
assert_type(asgi_signalr.Hubb, Any)  # type: ignore[attr-defined]


# Tests.


async def numbers() -> AsyncIterator[int]:
    yield 1


async def test() -> None:
    client = TestClient(fastapi, "/signalr/draw", user="ann", query={"a": "b"}, protocol="messagepack", timeout=1)

    @client.on("drawn")
    def drawn(points: list[Point]) -> int:
        return len(points)

    assert_type(drawn([]), int)
    async with running(starlette) as app, TestClient(app, "/signalr/draw") as other:
        assert_type(other, TestClient)
        assert_type(other.connection_id, str | None)
        assert_type(await other.invoke("draw", []), Any)
        assert_type(await other.invoke("draw", numbers(), returns=int), int)
        assert_type(await other.invoke("draw", numbers(), returns=list[Point]), list[Point])
        assert_type(other.stream("draw", returns=Point), AsyncGenerator[Point, None])
        async for each in other.stream("draw"):
            assert_type(each, Any)
        assert_type(await other.next("drawn"), list[Any])
        assert_type(await other.closed(), Close)
        assert_type(other.is_closed, bool)
    async with TestConnection(starlette, "/signalr/echo") as raw:
        await raw.send(b"")
        assert_type(await raw.receive(), str | bytes)
    try:
        async with TestClient(signalr, "/draw", protocol="morse"):  # type: ignore[arg-type]
            pass
    except RedirectedError as redirected:
        assert_type(redirected.url, str)
    except RefusedError as refused:
        assert_type(refused.status, int)
    except ClosedError as closed:
        assert_type(closed.error, str | None)
