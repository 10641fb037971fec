"""The testing client itself: what it sees, and how it says what went wrong."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from asgi_signalr import Hub, HubException, PersistentConnection, Redirect, SignalR
from asgi_signalr.endpoints.negotiate import NegotiateError
from asgi_signalr.http import Scope
from asgi_signalr.hubs.handshake import HandshakeError
from asgi_signalr.testing import ClosedError, RedirectedError, RefusedError, TestClient, TestConnection, running
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route


class Chat(Hub):
    left: list[Exception | None] = []  # noqa: RUF012  (shared on purpose: a hub lives for one call)

    async def on_disconnected(self, error: Exception | None) -> None:
        self.left.append(error)

    def add(self, a: int, b: int) -> int:
        return a + b

    def whoami(self) -> list[Any]:
        context = self.context
        return [context.user_identifier, context.headers.get("x-color"), dict(context.query), context.connection_id]

    async def say(self, *texts: str) -> None:
        await self.clients.all.send("said", *texts)

    def refuse(self) -> None:
        raise HubException("Not today.")

    async def wait(self) -> None:
        await self.context.aborted.wait()

    def leave(self) -> None:
        self.context.abort()


def chat(**options: Any) -> tuple[FastAPI, SignalR]:
    Chat.left = []
    signalr = SignalR(**options)
    signalr.hub("/chat")(Chat)
    signalr.hub("/private", authorize=True)(type("Private", (Hub,), {}))
    app = FastAPI()
    app.mount("/signalr", signalr)
    return app, signalr


@pytest.fixture
def app() -> FastAPI:
    return chat()[0]


def by_token(scope: Scope) -> str | None:
    """Authentication enough for these tests: a bearer token or `access_token` is the user's name."""
    query = scope["query_string"].decode().partition("access_token=")[2]
    return query or dict(scope["headers"]).get(b"authorization", b"").decode().removeprefix("Bearer ") or None


async def test_two_clients_talk(app: FastAPI) -> None:
    async with TestClient(app, "/signalr/chat") as ann, TestClient(app, "/signalr/chat") as bob:
        assert await ann.invoke("add", 1, 2) == 3
        await ann.send("say", "hello", "all")
        assert [await each.next("said") for each in (ann, bob)] == [["hello", "all"]] * 2


async def test_a_result_is_turned_into_a_type(app: FastAPI) -> None:
    async with TestClient(app, "/signalr/chat") as client:
        assert await client.invoke("add", 1, 2, returns=float) == 3.0
        with pytest.raises(ValueError, match="Expected `str`, got `int`"):
            await client.invoke("add", 1, 2, returns=str)


@pytest.mark.parametrize("skip_negotiation", [False, True])
async def test_the_hub_sees_who_connects(app: FastAPI, skip_negotiation: bool) -> None:
    client = TestClient(
        app,
        "/signalr/chat",
        user="ann",
        headers={"X-Color": "red"},
        query={"room": "1 & 2"},
        skip_negotiation=skip_negotiation,
    )
    async with client:
        user, color, query, connection_id = await client.invoke("whoami")
        assert (user, color, query) == ("ann", "red", {"room": "1 & 2"})
        assert client.connection_id == (None if skip_negotiation else connection_id)


async def test_an_access_token_is_sent_as_the_official_clients_do() -> None:
    app, _ = chat(user=by_token)
    async with TestClient(app, "/signalr/chat", access_token="ann") as client:
        assert (await client.invoke("whoami"))[0] == "ann"


@pytest.mark.parametrize("skip_negotiation", [False, True])
async def test_a_refusal_has_the_status(app: FastAPI, skip_negotiation: bool) -> None:
    for path, status in (("/signalr/private", 401), ("/signalr/nothing", 404)):
        with pytest.raises(RefusedError) as refused:
            async with TestClient(app, path, skip_negotiation=skip_negotiation):
                pass
        assert refused.value.status == status


async def test_a_websocket_that_is_closed_at_once_counts_as_403() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close", "code": 1008})

    with pytest.raises(RefusedError) as refused:
        async with TestClient(app, "/", skip_negotiation=True):
            pass
    assert refused.value.status == 403


async def test_an_unknown_protocol_fails_in_the_handshake(app: FastAPI) -> None:
    class Morse:
        name = "morse"
        binary = False

    with pytest.raises(HandshakeError, match="The protocol 'morse' is not supported"):
        async with TestClient(app, "/signalr/chat", protocol=Morse()):  # type: ignore[arg-type]
            pass


def test_a_protocol_that_there_is_not_is_refused_at_once(app: FastAPI) -> None:
    with pytest.raises(ValueError, match="There is no protocol 'morse'; one's own is passed as an object"):
        TestClient(app, "/signalr/chat", protocol="morse")  # type: ignore[arg-type]


async def test_an_error_of_the_negotiation_is_raised() -> None:
    app, _ = chat(minimum_negotiate_version=2)
    with pytest.raises(NegotiateError, match="The client requested version '1', but"):
        async with TestClient(app, "/signalr/chat"):
            pass


async def test_a_client_that_is_sent_elsewhere_says_where() -> None:
    signalr = SignalR()
    signalr.hub("/chat", redirect=lambda context: Redirect("https://other.example.com/chat", "token"))(Chat)
    with pytest.raises(RedirectedError, match="The client is sent to https://other") as redirected:
        async with TestClient(signalr, "/chat"):
            pass
    assert (redirected.value.url, redirected.value.access_token) == ("https://other.example.com/chat", "token")


async def test_a_hub_without_websockets_cannot_be_reached() -> None:
    signalr = SignalR()
    signalr.hub("/chat", transports=["LongPolling"])(Chat)
    with pytest.raises(NegotiateError, match="/chat offers no WebSockets, which is how this client connects"):
        async with TestClient(signalr, "/chat"):
            pass


async def test_a_failed_call_raises_what_the_client_is_told(app: FastAPI) -> None:
    async with TestClient(app, "/signalr/chat") as client:
        with pytest.raises(HubException) as error:
            await client.invoke("refuse")
        assert (
            str(error.value) == "An unexpected error occurred invoking 'refuse' on the server. HubException: Not today."
        )


# Waiting.


async def test_no_wait_is_for_ever(app: FastAPI) -> None:
    async with TestClient(app, "/signalr/chat") as client:
        client.timeout = 0.01
        with pytest.raises(
            TimeoutError, match=r"^The server has not called 'SAID' within 0.01 s; it has called nothing.$"
        ):
            await client.next("SAID")
        client.timeout = 5
        await client.invoke("say", "hello")
        assert await client.next("SAID") == ["hello"]
        client.timeout = 0.01
        with pytest.raises(TimeoutError, match=r"it has called said \(1 in all\).$"):
            await client.next("news")
        with pytest.raises(TimeoutError, match=r"^invoke\('wait'\) was not answered within 0.01 s.$"):
            await client.invoke("wait")
        with pytest.raises(TimeoutError, match=r"^The connection was not closed within 0.01 s.$"):
            await client.closed()
        client.timeout = 5


async def test_a_server_that_says_nothing_is_named() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.Event().wait()

    with pytest.raises(TimeoutError, match=r"^The negotiation was not answered within 0.01 s.$"):
        async with TestClient(app, "/chat", timeout=0.01):
            pass
    with pytest.raises(TimeoutError, match=r"^The application was not done with the connection 0.01 s after its end.$"):
        async with TestClient(app, "/chat", timeout=0.01, skip_negotiation=True):
            pass


# Handlers.


async def test_handlers_take_the_calls_of_their_method(app: FastAPI) -> None:
    said: list[str] = []
    client = TestClient(app, "/signalr/chat")
    client.on("Said", said.append)
    async with client:
        await client.invoke("say", "one")
        assert said == ["one"]

        @client.on("said")
        async def later(text: str) -> None:
            await asyncio.sleep(0)
            said.append(text.upper())

        await client.invoke("say", "two")
        await client.invoke("add", 1, 2)
        assert said == ["one", "TWO"]


async def test_what_a_handler_raises_is_raised_in_the_test(app: FastAPI) -> None:
    with pytest.raises(AssertionError, match="wrong text"):
        async with TestClient(app, "/signalr/chat") as client:

            @client.on("said")
            def check(text: str) -> None:
                raise AssertionError("wrong text")

            await client.send("say", "hello")
            await client.invoke("add", 1, 2)


# The end.


async def test_the_server_is_done_with_a_client_that_has_closed(app: FastAPI) -> None:
    async with TestClient(app, "/signalr/chat") as client:
        assert not client.is_closed
    assert client.is_closed
    assert Chat.left == [None]


async def test_a_client_can_vanish_and_can_say_why_it_goes(app: FastAPI) -> None:
    async with TestClient(app, "/signalr/chat") as client:
        await client.drop()
    assert Chat.left == [None]
    async with TestClient(app, "/signalr/chat") as client:
        await client.close("The battery is empty.")
    assert [str(error) for error in Chat.left] == ["None", "The battery is empty."]


async def test_the_server_s_own_end_is_seen() -> None:
    app, signalr = chat()
    async with TestClient(app, "/signalr/chat") as client:
        await client.send("leave")
        assert (await client.closed()).allow_reconnect is False
        for call in (client.invoke("add", 1, 2), client.send("add", 1, 2), client.next("said")):
            with pytest.raises(ClosedError, match="The connection is closed"):
                await call
    async with TestClient(app, "/signalr/chat") as client:
        stopping = asyncio.create_task(signalr.stop())
        assert (await client.closed()).allow_reconnect is True
        await stopping


async def test_a_failing_test_is_told_of_its_own_failure_only(app: FastAPI) -> None:
    with pytest.raises(ZeroDivisionError):
        async with TestClient(app, "/signalr/chat") as client:
            await client.send("wait")
            raise ZeroDivisionError


async def test_what_the_application_lets_out_is_raised() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("a bug")

    for skip_negotiation in (False, True):
        with pytest.raises(LookupError, match="a bug"):
            async with TestClient(broken, "/chat", skip_negotiation=skip_negotiation):
                pass


@pytest.mark.parametrize("received", [0, 1, 2])
async def test_what_the_application_lets_out_while_a_client_connects_is_raised(received: int) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        for number in range(received):
            await receive()
            if number == 0:
                await send({"type": "websocket.accept"})
        raise LookupError("a bug")

    with pytest.raises(LookupError, match=r"^a bug$"):
        async with TestClient(broken, "/chat", skip_negotiation=True):
            pass


async def test_what_the_application_has_let_out_is_raised_by_the_first_that_is_sent_after_it() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        raise LookupError("a bug")

    async with TestConnection(broken, "/echo", skip_negotiation=True) as client:
        for _ in range(10):
            await asyncio.sleep(0)
        assert client.is_closed
        with pytest.raises(LookupError, match=r"^a bug$"):
            await client.send("hello")
        with pytest.raises(ClosedError):
            await client.send("hello")


async def test_a_method_with_a_handler_is_not_waited_for(app: FastAPI) -> None:
    async with TestClient(app, "/signalr/chat") as client:
        await client.invoke("say", "before")
        client.on("Said", lambda text: None)
        assert await client.next("said") == ["before"]
        await client.invoke("say", "after")
        with pytest.raises(RuntimeError) as raised:
            await client.next("said")
    assert str(raised.value) == (
        "Calls of 'said' go to the handler that on('said') has set, so next('said') would wait for ever. Look at what "
        "the handler is given, or set none."
    )


@pytest.mark.parametrize(
    ("path", "kind", "text"),
    [
        (Chat, TypeError, f"The path of a hub in the application is text such as '/signalr/chat', not {Chat!r}."),
        (None, TypeError, "The path of a hub in the application is text such as '/signalr/chat', not None."),
        (
            "/chat?room=1&x=",
            ValueError,
            "A path has no query string; instead of '/chat?room=1&x=' give '/chat', query={'room': '1', 'x': ''}.",
        ),
        *(
            (path, ValueError, f"A path begins with a slash and has no host, such as '/signalr/chat', not {path!r}.")
            for path in ("", "chat", "http://testserver/chat")
        ),
    ],
)
@pytest.mark.parametrize("client", [TestClient, TestConnection])
def test_what_is_no_path_is_refused_at_once(app: FastAPI, client: Any, path: Any, kind: Any, text: str) -> None:
    with pytest.raises(kind, match=f"^{re.escape(text)}$"):
        client(app, path)


async def test_a_client_connects_once_and_has_to_be_connected(app: FastAPI) -> None:
    client = TestClient(app, "/signalr/chat")
    with pytest.raises(RuntimeError, match="The client is not connected; use it within `async with`"):
        await client.invoke("add", 1, 2)
    async with client:
        pass
    with pytest.raises(RuntimeError, match="connects once"):
        async with client:
            pass


async def test_a_stream_without_an_end_goes_as_far_as_the_server_takes_it() -> None:
    signalr = SignalR(stream_buffer_capacity=3, keep_alive_interval=0.1)  # by whose ping it notices the end
    sent = 0

    @signalr.hub("/numbers")
    class Numbers(Hub):
        async def first(self, numbers: AsyncIterator[int]) -> int:
            return await anext(numbers)

        async def none(self, numbers: AsyncIterator[int]) -> None:
            await self.context.aborted.wait()

    async def endless() -> AsyncIterator[int]:
        nonlocal sent
        while True:
            sent += 1
            yield sent

    async with TestClient(signalr, "/numbers") as client:
        assert await client.invoke("first", endless()) == 1
        await asyncio.sleep(0)
        sent = 0
        await client.send("none", endless())
        before = -1
        while before < sent:  # until it waits
            before = sent
            for _ in range(10):
                await asyncio.sleep(0)
        assert sent < 50
        await client.drop()


async def test_a_hub_that_refuses_a_connection_says_why() -> None:
    signalr = SignalR(detailed_errors=True)

    @signalr.hub("/closed")
    class Closed(Hub):
        async def on_connected(self) -> None:
            raise HubException("Come back tomorrow.")

    async with TestClient(signalr, "/closed") as client:
        close = await client.closed()
        assert close.error == "Connection closed with an error. HubException: Come back tomorrow."
        with pytest.raises(ClosedError, match=r"Come back tomorrow\."):
            await client.invoke("anything")


async def test_a_server_that_breaks_the_protocol_is_found_out() -> None:
    def serving(*frames: dict[str, str | bytes]) -> Any:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            await receive()
            for frame in frames:
                await send({"type": "websocket.send", **frame})
            await receive()

        return app

    for frames, error in (
        ([{"bytes": b"{}\x1e"}], "a binary frame for json"),
        ([{"text": "{}"}], "within the answer to the handshake"),
        ([{"text": "{}\x1e"}, {"text": '{"type":6}'}], "ends within a message"),
        ([{"text": '{}\x1e{"type":"1"}\x1e'}], "Expected 'type'"),
    ):
        with pytest.raises((AssertionError, ValueError), match=error):
            async with TestClient(serving(*frames), "/", skip_negotiation=True) as client:
                await client.next("anything")


# Persistent connections.


async def test_a_persistent_connection_takes_and_sends_text_and_bytes() -> None:
    signalr = SignalR()
    ends: list[Exception | None] = []

    @signalr.connection("/echo")
    class Echo(PersistentConnection):
        async def on_received(self, data: str | bytes) -> None:
            if data == "leave":
                self.context.abort()
            await self.connection.send(data)

        async def on_disconnected(self, error: Exception | None) -> None:
            ends.append(error)

    async with TestConnection(signalr, "/echo", user="ann") as client:
        for data in ("text", b"bytes", ""):
            await client.send(data)
            assert await client.receive() == data
        client.timeout = 0.01
        with pytest.raises(TimeoutError, match=r"^The server has sent nothing more within 0.01 s.$"):
            await client.receive()
        client.timeout = 5
        await signalr.connection_context(Echo).connections.client(str(client.connection_id)).send("news")
        assert await client.receive() == "news"
    async with TestConnection(signalr, "/echo", skip_negotiation=True) as client:
        assert client.connection_id is None
        await client.send("leave")
        assert await client.closed() == 1000
        with pytest.raises(ClosedError):
            await client.send("text")
    async with TestConnection(signalr, "/echo") as client:
        await client.close(1006)
    assert ends == [None, None, None]
    with pytest.raises(ZeroDivisionError):
        async with TestConnection(signalr, "/echo"):
            raise ZeroDivisionError


# The lifespan.


async def test_an_application_runs_with_its_lifespan_and_state() -> None:
    log: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, str]]:
        log.append("started")
        yield {"motto": "hello"}
        log.append("stopped")

    def motto(request: Request) -> PlainTextResponse:
        log.append(request.state.motto)
        return PlainTextResponse("")

    signalr = SignalR(user=lambda scope: scope["state"]["motto"])
    signalr.hub("/chat")(Chat)
    routes = [Mount("/signalr", signalr), Route("/motto", motto)]
    async with (
        running(Starlette(routes=routes, lifespan=lifespan)) as app,
        TestClient(app, "/signalr/chat") as client,
    ):
        assert (await client.invoke("whoami"))[0] == "hello"
        assert log == ["started"]
    assert log == ["started", "stopped"]


async def test_an_application_that_cannot_start_says_why() -> None:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        raise OSError("no database")
        yield

    with pytest.raises((RuntimeError, OSError), match="no database"):
        async with running(Starlette(lifespan=lifespan)):
            pass
