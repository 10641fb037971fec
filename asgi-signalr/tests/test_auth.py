"""Users: who may open, post to, poll and end a connection, for how long, and how many of them."""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from asgi_signalr import Hub, HubCallerContext, HubException, SignalR, hub_method
from asgi_signalr.endpoints.negotiate import Redirect
from asgi_signalr.users import bearer_token, expiry, identifier, revalidation
from fastapi import FastAPI
from starlette.authentication import SimpleUser
from starlette.middleware.gzip import GZipMiddleware

Request = Callable[..., Awaitable[Any]]
Ask = Callable[..., Any]
Open = Callable[..., Any]

EVENTS = {"Accept": "text/event-stream"}
HANDSHAKE = b'{"protocol":"json","version":1}\x1e'
TRANSPORTS = ["WebSockets", "ServerSentEvents", "LongPolling"]


class Chat(Hub):
    def who(self) -> str | None:
        return self.context.user_identifier


class User:
    is_authenticated = True

    def __init__(self, name: str, expires_at: Any = None) -> None:
        self.identity = name
        self.expires_at = expires_at


class Session(User):
    """Logs off after it was asked twice."""

    asked = 0

    async def is_still_authenticated(self) -> bool:
        self.asked += 1
        return self.asked <= 2


def chat(*, authorize: Any = False, redirect: Any = None, **options: Any) -> SignalR:
    app = SignalR(**options)
    app.hub("/chat", authorize=authorize, redirect=redirect)(Chat)
    return app


async def negotiated(request_to: Request, app: SignalR, **more: Any) -> str:
    response = await request_to(app, "POST", "/chat/negotiate?negotiateVersion=1", **more)
    return str(response.json["connectionToken"])


# The same user on every request.


@pytest.mark.parametrize("transport", ["ServerSentEvents", "LongPolling"])
@pytest.mark.parametrize(("user", "status"), [(None, 401), ("eve", 403), ("ada", None)])
async def test_each_request_of_a_connection_is_its_user_s(
    request_to: Request, ask: Ask, transport: str, user: str | None, status: int | None
) -> None:
    app = chat()
    token = await negotiated(request_to, app, user="ada")
    url, headers = f"/chat?id={token}", EVENTS if transport == "ServerSentEvents" else {}
    opening = ask(app, "GET", url, headers, user="ada")
    await opening.begun()
    answers = {"POST": 200, "DELETE": 202, "GET": 200} if transport == "LongPolling" else {"POST": 200, "DELETE": 400}
    for method, otherwise in answers.items():
        body = HANDSHAKE if method == "POST" else b""
        response = await ask(app, method, url, {}, body, user=user).answer()
        wanted = status or (204 if method == "GET" else otherwise)  # the poll comes after the deletion
        assert (method, response.status) == (method, wanted)
        if status == 401:
            assert response.text == "Unauthorized"  # what the official client then says


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(("user", "status"), [(None, 401), ("eve", 403)])
async def test_nobody_else_opens_what_a_user_has_negotiated(
    request_to: Request, open_to: Open, transport: str, user: str | None, status: int
) -> None:
    app = chat()
    url = f"/chat?id={await negotiated(request_to, app, user='ada')}"
    if transport == "WebSockets":
        response = await open_to(app, url, user=user).refused()
    else:
        headers = EVENTS if transport == "ServerSentEvents" else {}
        response = await request_to(app, "GET", url, headers, user=user)
    assert response.status == status


async def test_who_signs_in_meanwhile_is_somebody_else(request_to: Request) -> None:
    app = chat()
    token = await negotiated(request_to, app)
    assert (await request_to(app, "GET", f"/chat?id={token}", user="ada")).status == 403


async def test_the_rule_of_a_hub_is_asked_at_every_request(request_to: Request, ask: Ask, open_to: Open) -> None:
    is_allowed = True
    asked: list[str] = []

    async def rule(context: HubCallerContext) -> bool:
        asked.append(context.scope.get("method", "WebSocket"))
        return is_allowed

    app = chat(authorize=rule)
    polling, other = [await negotiated(request_to, app, user="ada") for _ in range(2)]
    await ask(app, "GET", f"/chat?id={polling}", user="ada").answer()
    is_allowed = False
    attempts = [
        await request_to(app, "POST", "/chat/negotiate", user="ada"),
        await request_to(app, "GET", f"/chat?id={polling}", user="ada"),
        await request_to(app, "POST", f"/chat?id={polling}", user="ada"),
        await request_to(app, "DELETE", f"/chat?id={polling}", user="ada"),
        await request_to(app, "GET", f"/chat?id={other}", EVENTS, user="ada"),
        await open_to(app, f"/chat?id={other}", user="ada").refused(),
    ]
    assert [each.status for each in attempts] == [403] * 6
    assert asked == ["POST", "POST", "GET", "POST", "GET", "POST", "DELETE", "GET", "WebSocket"]


# Who is who.


class Person:
    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


NAMELESS = (
    "A user of type {} has no identity, sub, pk, id or username that tells it from others. Name what does, and no user "
    "can choose: SignalR(user_identifier=lambda user: user.customer_number)."
)


@pytest.mark.parametrize(
    ("user", "name"),
    [
        (None, None),
        ("ada", "ada"),
        (SimpleUser("ada"), "ada"),
        (Person(id=7, email="ada@example.com"), "7"),
        (Person(id=UUID(int=7)), "00000000-0000-0000-0000-000000000007"),
        (Person(pk=7, id=8, username="ada", display_name="Ada"), "7"),
        (Person(id=0, username="ada"), "0"),
        (Person(id=None, username="ada"), "ada"),
        (Person(id=lambda: 7, username="ada"), "ada"),
        ({"sub": "7", "name": "Ada", "id": "8"}, "7"),
        ({"id": 7, "email": "ada@example.com"}, "7"),
    ],
)
def test_a_user_s_identifier_is_what_no_other_user_has(user: Any, name: str | None) -> None:
    assert identifier(user) == name


@pytest.mark.parametrize(
    "user", [Person(display_name="Ada", email="ada@example.com"), {"name": "Ada"}, Person(id=""), object(), 7]
)
def test_a_user_that_nothing_tells_from_others_is_an_error_that_says_what_to_do(user: Any) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(NAMELESS.format(type(user).__name__))}$"):
        identifier(user)


async def test_nobody_connects_as_a_user_that_nothing_tells_from_others(request_to: Request) -> None:
    app = chat(authorize=True)
    with pytest.raises(TypeError, match=f"^{re.escape(NAMELESS.format('Person'))}$"):
        await request_to(app, "POST", "/chat/negotiate", user=Person(email="ada@example.com"))
    assert app._servers.to_serve().connections.unopened == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [("ada@example.com", "ada@example.com"), (7, "7"), (UUID(int=7), "00000000-0000-0000-0000-000000000007")],
)
def test_an_application_names_its_users_itself(name: Any, text: str) -> None:
    assert identifier(Person(id=8, email=name), lambda user: user.email) == text
    assert identifier(None, lambda user: user.email) is None


@pytest.mark.parametrize("name", [None, "", 7.5, object])
def test_an_application_that_names_a_user_by_something_else_is_told(name: Any) -> None:
    text = f"SignalR(user_identifier=…) has to name a user by text or a number, not by {name!r}."
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        identifier("ada", lambda user: name)


@pytest.mark.parametrize("transport", ["ServerSentEvents", "LongPolling"])
async def test_the_application_s_name_for_a_user_counts_everywhere(
    request_to: Request, ask: Ask, open_to: Open, transport: str
) -> None:
    app = chat(user_identifier=lambda user: user.email, max_connections_per_user=1)
    ada, eve = Person(id=7, email="ada@example.com"), Person(id=7, email="eve@example.com")
    token = await negotiated(request_to, app, user=ada)
    url, headers = f"/chat?id={token}", EVENTS if transport == "ServerSentEvents" else {}
    opening = ask(app, "GET", url, headers, user=ada)
    await (opening.begun() if headers else opening.answer())
    assert (await request_to(app, "POST", url, user=eve)).status == 403
    assert (await request_to(app, "POST", url)).status == 401
    assert (await request_to(app, "POST", "/chat/negotiate", user=ada)).status == 429
    peer = await open_to(app, user=eve).shake_hands()
    assert await peer.call("who") == '{"type":3,"invocationId":"1","result":"eve@example.com"}'
    await app.hub_context(Chat).clients.user("eve@example.com").send("found")
    assert await peer.frame() == '{"type":1,"target":"found","arguments":[]}\x1e'


# Tokens.


@pytest.mark.parametrize(
    ("headers", "query", "token"),
    [
        ([(b"authorization", b"Bearer abc")], b"", "abc"),
        ([(b"authorization", b"bearer  abc ")], b"access_token=def", "abc"),
        ([(b"authorization", b"Bearer ")], b"", None),
        ([(b"authorization", b"Basic abc")], b"access_token=def", "def"),
        ([], b"id=1&access_token=a%2Bb", "a+b"),
        ([], b"Access_Token=abc", "abc"),
        ([], b"id=1", None),
    ],
)
def test_a_token_is_in_a_header_or_in_the_query(
    headers: list[tuple[bytes, bytes]], query: bytes, token: str | None
) -> None:
    assert bearer_token({"headers": headers, "query_string": query}) == token


async def test_tokens_stay_secret_when_the_application_fails_to_read_them(request_to: Request) -> None:
    def find(scope: Any) -> str:
        raise RuntimeError("The key server is away.")

    app = chat(user=find)
    more: dict[str, Any] = {}
    scope: dict[str, Any] = {}

    async def keep(of: Any, receive: Any, send: Any) -> None:
        scope.update(of)
        try:
            await app(of, receive, send)
        finally:
            more.update(of)

    with pytest.raises(RuntimeError, match=r"^The key server is away.$"):
        await request_to(keep, "POST", "/chat?id=secret&access_token=hush&room=1")
    assert scope["query_string"] == b"id=secret&access_token=hush&room=1"
    assert more["query_string"] == b"room=1"


async def test_tokens_are_out_of_the_scope_that_the_server_logs_where_the_application_is_mounted(
    request_to: Request, open_to: Open
) -> None:
    app = FastAPI()
    app.add_middleware(GZipMiddleware)
    app.mount("/signalr", chat())
    scopes: list[dict[str, Any]] = []

    async def server(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await app(scope, receive, send)

    query = "id=secret&access_token=hush&room=1"
    for method in ("GET", "POST", "DELETE"):
        await request_to(server, method, f"/signalr/chat?{query}")
    await request_to(server, "POST", f"/signalr/chat/negotiate?{query}")
    await request_to(server, "GET", f"/signalr/signalr.js?{query}")
    await open_to(server, f"/signalr/chat?{query}").refused()
    assert [each["query_string"] for each in scopes] == [b"room=1"] * 6


# For how long.


def test_when_an_authentication_expires() -> None:
    noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
    assert expiry(None, None) is None
    assert expiry("ada", None) is None
    assert expiry(User("ada"), None) is None
    assert expiry(User("ada", 1.5), None) == 1.5
    assert expiry(User("ada", noon), None) == noon.timestamp()
    assert expiry({"exp": 7}, lambda user: user["exp"]) == 7
    assert expiry(User("ada", 1), lambda user: None) is None
    for wrong in ("tomorrow", datetime(2030, 1, 1), True):
        with pytest.raises(TypeError):
            expiry(User("ada", wrong), None)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("way", ["expires", "logs off"])
async def test_a_connection_ends_with_its_user_s_authentication(
    request_to: Request, ask: Ask, open_to: Open, transport: str, way: str
) -> None:
    app = chat(handshake_timeout=0.1, revalidation_interval=0.1)  # which make the timer look often
    user = User("ada", datetime.now(UTC) + timedelta(seconds=0.15)) if way == "expires" else Session("ada")
    token = await negotiated(request_to, app, user=user)
    url, close = f"/chat?id={token}", '{"type":7,"allowReconnect":true}\x1e'
    if transport == "WebSockets":
        peer = await open_to(app, url, user=user).shake_hands()
        assert await peer.frame() == close
        assert await peer.closed() == 1000
    elif transport == "ServerSentEvents":
        stream = await ask(app, "GET", url, EVENTS, user=user).begun()
        await ask(app, "POST", url, body=HANDSHAKE, user=user).answer()
        assert await stream.portion() == b":\r\n"
        assert await stream.portion() == b"data: {}\x1e\r\n\r\n"
        assert await stream.portion() == f"data: {close}\r\n\r\n".encode()
        assert await stream.portion() is None
    else:
        await ask(app, "GET", url, user=user).answer()
        await ask(app, "POST", url, body=HANDSHAKE, user=user).answer()
        assert (await ask(app, "GET", url, user=user).answer()).text == "{}\x1e"
        assert (await ask(app, "GET", url, user=user).answer()).text == close


async def test_a_user_is_asked_about_by_the_application_s_own_function(open_to: Open) -> None:
    signed_in = {"ada"}
    app = chat(revalidate=lambda user: user in signed_in, revalidation_interval=0.05)
    ada, bob = [await open_to(app, user=name).shake_hands() for name in ("ada", "bob")]
    assert await bob.frame() == '{"type":7,"allowReconnect":true}\x1e'
    signed_in.clear()
    assert await ada.frame() == '{"type":7,"allowReconnect":true}\x1e'


async def test_who_cannot_be_asked_about_is_not_let_on(open_to: Open, caplog: pytest.LogCaptureFixture) -> None:
    def ask(_user: str) -> bool:
        raise OSError("The database is away.")

    peer = await open_to(chat(revalidate=ask, revalidation_interval=0.05), user="ada").shake_hands()
    assert await peer.frame() == '{"type":7,"allowReconnect":true}\x1e'
    assert "It could not be found out whether the user of a connection is signed in still." in caplog.text
    assert "The database is away." in caplog.text


async def test_an_answer_that_does_not_come_is_a_no(open_to: Open) -> None:
    async def ask(_user: str) -> bool:
        return await asyncio.Future[bool]()

    app = chat(revalidate=ask, revalidation_interval=0.05, disconnect_timeout=0.1)
    assert await (await open_to(app, user="ada").shake_hands()).frame() == '{"type":7,"allowReconnect":true}\x1e'


def test_a_user_s_question_is_a_method() -> None:
    user = User("ada")
    user.is_still_authenticated = True  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match="is to be a method, not True"):
        revalidation(user, None)


async def test_a_poll_with_a_newer_token_prolongs(request_to: Request, ask: Ask) -> None:
    app = chat(handshake_timeout=0.1, poll_timeout=0.3)
    now = time.time()
    token = await negotiated(request_to, app, user=User("ada", now + 0.15))
    url = f"/chat?id={token}"
    await ask(app, "GET", url, user=User("ada", now + 0.15)).answer()
    await ask(app, "POST", url, body=HANDSHAKE, user=User("ada", now + 60)).answer()
    assert (await ask(app, "GET", url, user=User("ada", now + 60)).answer()).text == "{}\x1e"
    assert (await ask(app, "GET", url, user=User("ada", now + 60)).answer()).text == ""  # beyond 0.15 s


async def test_who_has_expired_is_told_to_sign_in_again(request_to: Request, ask: Ask, open_to: Open) -> None:
    app = chat(expires=lambda user: user["exp"])
    good, expired = {"sub": "ada", "exp": time.time() + 60}, {"sub": "ada", "exp": time.time() - 1}
    token = await negotiated(request_to, app, user=good)
    await ask(app, "GET", f"/chat?id={token}", user=good).answer()
    attempts = [
        await request_to(app, "POST", "/chat/negotiate", user=expired),
        await request_to(app, "POST", f"/chat?id={token}", user=expired),
        await request_to(app, "GET", f"/chat?id={token}", user=expired),
        await open_to(app, user=expired).refused(),
    ]
    assert [(each.status, each.text) for each in attempts] == [(401, "Unauthorized")] * 4


# How many.


async def test_a_user_has_so_many_connections_at_once(request_to: Request, open_to: Open, ask: Ask) -> None:
    app = chat(max_connections_per_user=2)
    first = await open_to(app, user="ada").shake_hands()
    token = await negotiated(request_to, app, user="ada")
    await ask(app, "GET", f"/chat?id={token}", user="ada").answer()
    text = "This user has 2 connections already, as many as are allowed."
    refused = await request_to(app, "POST", "/chat/negotiate", user="ada")
    assert (refused.status, refused.text, refused.headers["retry-after"]) == (429, text, "1")
    refused = await open_to(app, user="ada").refused()
    assert (refused.status, refused.text) == (429, text)
    assert app._servers.to_serve().connections.refused == {"user": 2}
    await open_to(app, user="bob").shake_hands()
    for _ in range(3):
        await open_to(app).shake_hands()  # nobody's
    await first.drop()
    await open_to(app, user="ada").shake_hands()


async def test_an_address_has_so_many_connections_at_once(request_to: Request, open_to: Open) -> None:
    app = chat(max_connections_per_address=1)
    here, there = ("10.0.0.1", 1234), ("10.0.0.2", 1234)
    first = await open_to(app, client=here).shake_hands()
    refused = await request_to(app, "POST", "/chat/negotiate", client=here)
    text = "This address has 1 connections already, as many as are allowed."
    assert (refused.status, refused.text) == (429, text)
    await open_to(app, client=there).shake_hands()
    await first.drop()
    await open_to(app, client=here).shake_hands()


async def test_of_too_many_connections_that_wait_to_be_opened_the_oldest_is_forgotten(
    request_to: Request, ask: Ask
) -> None:
    app = chat(max_negotiated_connections=2)
    opened = await negotiated(request_to, app)
    await ask(app, "GET", f"/chat?id={opened}").answer()
    tokens = [await negotiated(request_to, app) for _ in range(4)]
    answers = [await request_to(app, "GET", f"/chat?id={token}") for token in tokens]
    assert [(each.status, each.text) for each in answers] == [(404, "No Connection with that ID")] * 2 + [(200, "")] * 2
    assert app._servers.to_serve().connections.refused == {"negotiated": 2}
    assert app._servers.to_serve().connections.unopened == {}


# Elsewhere.


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_client_is_sent_elsewhere(
    request_to: Request, caplog: pytest.LogCaptureFixture, is_async: bool
) -> None:
    def elsewhere(context: HubCallerContext) -> Redirect | None:
        if context.user_identifier is None:
            return None
        return Redirect("https://eu.example/chat?room=1", f"token of {context.user_identifier}")

    async def later(context: HubCallerContext) -> Redirect | None:
        return elsewhere(context)

    caplog.set_level(logging.DEBUG)
    app = chat(redirect=later if is_async else elsewhere)
    response = await request_to(app, "POST", "/chat/negotiate?negotiateVersion=1", user="ada")
    assert (response.status, response.json) == (
        200,
        {
            "negotiateVersion": 1,
            "url": "https://eu.example/chat?room=1",
            "accessToken": "token of ada",
            "availableTransports": [],
        },
    )
    assert "connectionToken" in (await request_to(app, "POST", "/chat/negotiate?negotiateVersion=1")).json
    assert "token of ada" not in caplog.text
    assert repr(Redirect("https://eu.example", "hush")) == "Redirect(url='https://eu.example')"


async def test_a_negotiation_may_fail_with_a_reason(request_to: Request) -> None:
    def closed(context: HubCallerContext) -> None:
        raise HubException("We are closed on Sundays.")

    response = await request_to(chat(redirect=closed), "POST", "/chat/negotiate?negotiateVersion=1")
    assert (response.status, response.json) == (200, {"error": "We are closed on Sundays."})


async def test_a_redirect_without_a_token(request_to: Request) -> None:
    app = chat(redirect=lambda context: Redirect("/other"))
    response = await request_to(app, "POST", "/chat/negotiate")
    assert response.json == {"negotiateVersion": 0, "url": "/other", "availableTransports": []}


# Several servers.


async def test_an_unknown_connection_is_explained_where_there_are_several_servers(
    request_to: Request, ask: Ask
) -> None:
    from asgi_signalr.backplanes.memory import MemoryBackplane

    app = chat(backplane=MemoryBackplane())
    response = await request_to(app, "POST", "/chat?id=unknown")
    first, rest = response.text.split("\n")
    assert (response.status, first) == (404, "No Connection with that ID")
    assert "sticky sessions" in rest


# Rules.


@pytest.mark.parametrize("wrong", ["admin", None, 1, User])
def test_what_is_no_rule_is_refused_at_once(wrong: Any) -> None:
    said = f"authorize is True, False or a function of the HubCallerContext, not {wrong!r}."
    app = SignalR()
    for decorate in (
        lambda: app.hub("/chat", authorize=wrong),
        lambda: app.connection("/chat", authorize=wrong),
        lambda: hub_method(authorize=wrong),
    ):
        with pytest.raises(TypeError) as caught:
            decorate()
        assert str(caught.value) == said


async def later(value: object) -> object:
    return value


@pytest.mark.parametrize(
    ("verdict", "status"),
    [(None, 403), ("", 403), (0, 403), ([], 403), ("yes", 200), (1, 200), (True, 200), (False, 403)],
)
@pytest.mark.parametrize("depth", [0, 1, 2])
async def test_what_a_rule_answers_counts_as_true_or_false(
    request_to: Request, verdict: object, status: int, depth: int
) -> None:
    def rule(context: HubCallerContext) -> Any:
        value = verdict
        for _ in range(depth):  # an `async def` rule may forget to await what another one says
            value = later(value)
        return value

    app = chat(authorize=rule)
    assert (await request_to(app, "POST", "/chat/negotiate", user="ada")).status == status


async def test_a_rule_may_answer_with_the_user(request_to: Request) -> None:
    app = chat(authorize=lambda context: context.user)
    statuses = [(await request_to(app, "POST", "/chat/negotiate", user=user)).status for user in (None, "ada")]
    assert statuses == [401, 200]


async def yielding() -> AsyncIterator[bool]:
    yield False


@pytest.mark.parametrize("verdict", [len, yielding(), (each for each in "")])
async def test_what_is_still_to_be_called_or_iterated_over_is_no_yes(request_to: Request, verdict: object) -> None:
    def rule(context: HubCallerContext) -> Any:
        return verdict

    with pytest.raises(TypeError) as caught:
        await request_to(chat(authorize=rule), "POST", "/chat/negotiate", user="ada")
    assert str(caught.value) == f"The rule {rule!r} has returned {verdict!r}; it is to return True or False."


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_redirect_that_is_none_is_named(request_to: Request, is_async: bool) -> None:
    def redirect(context: HubCallerContext) -> Any:
        return later("https://other") if is_async else "https://other"

    with pytest.raises(TypeError, match=r"^redirect has returned 'https://other'; return Redirect\(url\), or None\.$"):
        await request_to(chat(redirect=redirect), "POST", "/chat/negotiate")
