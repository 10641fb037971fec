"""Plain HTTP requests: the negotiation, what it refuses, and what else there is to fetch."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asgi_signalr import Hub, HubCallerContext, SignalR, bearer_token
from asgi_signalr.client import script

Request = Callable[..., Awaitable[Any]]
Open = Callable[..., Any]
TRANSPORTS = [
    {"transport": "WebSockets", "transferFormats": ["Text", "Binary"]},
    {"transport": "ServerSentEvents", "transferFormats": ["Text"]},
    {"transport": "LongPolling", "transferFormats": ["Text", "Binary"]},
]


class Chat(Hub):
    def who(self) -> str | None:
        return self.context.user_identifier


def chat(*, authorize: Any = False, **options: Any) -> SignalR:
    app = SignalR(**options)
    app.hub("/chat", authorize=authorize)(Chat)
    return app


async def negotiated(request_to: Request, app: SignalR, **more: Any) -> str:
    return str((await request_to(app, "POST", "/chat/negotiate?negotiateVersion=1", **more)).json["connectionToken"])


async def test_version_1_gives_a_public_id_and_a_secret_token(request_to: Request) -> None:
    response = await request_to(chat(), "POST", "/chat/negotiate?negotiateVersion=1")
    answer = response.json
    connection_id, token = answer["connectionId"], answer["connectionToken"]
    assert (response.status, response.headers["content-type"]) == (200, "application/json")
    assert response.headers["content-length"] == str(len(response.text))
    assert connection_id != token
    for name in (connection_id, token):
        assert re.fullmatch(r"[A-Za-z0-9_-]{22}", name)
    assert answer == {
        "negotiateVersion": 1,
        "connectionId": connection_id,
        "connectionToken": token,
        "availableTransports": TRANSPORTS,
    }


async def test_version_0_gives_one_id_that_is_also_the_token(request_to: Request, open_to: Open) -> None:
    app = chat()
    answer = (await request_to(app, "POST", "/chat/negotiate")).json
    assert answer == {
        "negotiateVersion": 0,
        "connectionId": answer["connectionId"],
        "availableTransports": TRANSPORTS,
    }
    await open_to(app, f"/chat?id={answer['connectionId']}").shake_hands()


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("negotiateVersion=2", 1),
        ("negotiateVersion=2000000000", 1),
        ("negotiateVersion=%2B2147483647", 1),
        ("negotiateVersion=000000000001", 1),
        ("NEGOTIATEVERSION=1", 1),
        ("negotiateVersion=0", 0),
        ("negotiateVersion=x", "The client requested a non-integer protocol version."),
        ("negotiateVersion=", "The client requested a non-integer protocol version."),
        ("negotiateVersion=-1", "The client requested version '-1', but the server does not support this version."),
        *(
            (f"negotiateVersion={number}", "The client requested a non-integer protocol version.")
            for number in ("2147483648", "-2147483649", "9" * 5000)
        ),
    ],
)
async def test_versions_that_cannot_be_are_an_error_with_status_200(
    request_to: Request, query: str, answer: int | str
) -> None:
    response = await request_to(chat(), "POST", f"/chat/negotiate?{query}")
    assert response.status == 200
    if isinstance(answer, int):
        assert response.json["negotiateVersion"] == answer
    else:
        assert response.json == {"error": answer}


async def test_a_minimum_version_refuses_older_clients(request_to: Request) -> None:
    response = await request_to(chat(minimum_negotiate_version=1), "POST", "/chat/negotiate")
    assert response.json == {"error": "The client requested version '0', but the server does not support this version."}


async def test_a_stateful_reconnect_is_not_promised(request_to: Request) -> None:
    url = "/chat/negotiate?negotiateVersion=1&useStatefulReconnect=true"
    assert "useStatefulReconnect" not in (await request_to(chat(), "POST", url)).json


@pytest.mark.parametrize(
    ("method", "url", "status", "text"),
    [
        ("GET", "/chat/negotiate", 405, "Method Not Allowed"),
        ("PUT", "/chat/negotiate", 405, "Method Not Allowed"),
        ("DELETE", "/chat/negotiate", 405, "Method Not Allowed"),
        ("POST", "/nothing/negotiate", 404, "Not Found"),
        ("GET", "/", 404, "Not Found"),
        ("PUT", "/chat", 405, "Method Not Allowed"),
        ("GET", "/chat", 400, "Connection ID required"),
        ("POST", "/chat", 400, "Connection ID required"),
        ("DELETE", "/chat", 400, "Connection ID required"),
        ("GET", "/chat?id=unknown", 404, "No Connection with that ID"),
        ("POST", "/chat?id=unknown", 404, "No Connection with that ID"),
        ("DELETE", "/chat?id=unknown", 404, "No Connection with that ID"),
    ],
)
async def test_requests_for_nothing_are_refused(
    request_to: Request, method: str, url: str, status: int, text: str
) -> None:
    response = await request_to(chat(), method, url)
    assert (response.status, response.text) == (status, text)
    assert response.headers["content-type"] == "text/plain"


@pytest.mark.parametrize(
    ("method", "headers", "status", "text"),
    [
        ("POST", {}, 405, "POST requests are not allowed for WebSocket connections."),
        ("DELETE", {}, 400, "Cannot terminate this connection using the DELETE endpoint."),
        ("GET", {}, 400, "Cannot change transports mid-connection"),
        ("GET", {"Accept": "text/event-stream"}, 400, "Cannot change transports mid-connection"),
    ],
)
async def test_an_open_websocket_takes_nothing_by_http(
    request_to: Request, open_to: Open, method: str, headers: dict[str, str], status: int, text: str
) -> None:
    app = chat()
    token = await negotiated(request_to, app)
    peer = await open_to(app, f"/chat?id={token}").shake_hands()
    response = await request_to(app, method, f"/chat?id={token}", headers)
    assert (response.status, response.text) == (status, text)
    assert await peer.call("who") == '{"type":3,"invocationId":"1","result":null}'


@pytest.mark.parametrize("accept", ["text/event-stream", "Text/Event-Stream", "text/html, text/event-stream;q=0.5"])
async def test_a_get_that_accepts_events_is_for_them(request_to: Request, accept: str) -> None:
    app = SignalR()
    app.hub("/chat", transports=["LongPolling"])(Hub)
    token = await negotiated(request_to, app)
    response = await request_to(app, "GET", f"/chat?id={token}", {"Accept": accept})
    assert (response.status, response.text) == (404, "ServerSentEvents transport not supported by this end point type")
    response = await request_to(app, "GET", "/chat", {"Accept": accept})
    assert (response.status, response.text) == (400, "Connection ID required")


# Opening what was negotiated.


async def test_a_token_opens_one_websocket_once(request_to: Request, open_to: Open) -> None:
    app = chat()
    token = await negotiated(request_to, app)
    peer = await open_to(app, f"/chat?id={token}").shake_hands()
    assert (await open_to(app, f"/chat?id={token}").refused()).status == 409
    await peer.drop()
    response = await open_to(app, f"/chat?id={token}").refused()
    assert (response.status, response.text) == (404, "No Connection with that ID")


async def test_the_public_id_opens_nothing(request_to: Request, open_to: Open) -> None:
    app = chat()
    answer = (await request_to(app, "POST", "/chat/negotiate?negotiateVersion=1")).json
    assert (await open_to(app, f"/chat?id={answer['connectionId']}").refused()).status == 404


async def test_a_token_is_for_its_own_hub_only(request_to: Request, open_to: Open) -> None:
    app = chat()

    @app.hub("/other")
    class Other(Hub): ...

    token = await negotiated(request_to, app)
    assert (await open_to(app, f"/other?id={token}").refused()).status == 404


async def test_without_a_token_a_new_connection_is_made(open_to: Open) -> None:
    assert await open_to(chat(), "/chat?room=1").shake_hands()


async def test_a_connection_that_nobody_opens_is_forgotten(request_to: Request, open_to: Open) -> None:
    app = chat(disconnect_timeout=0.02)
    token = await negotiated(request_to, app)
    server = app._servers.to_serve()
    async with asyncio.timeout(5):
        while server.connections.negotiated(token, "Chat") is not None:  # noqa: ASYNC110  (only the timer knows)
            await asyncio.sleep(0)
    assert (await open_to(app, f"/chat?id={token}").refused()).status == 404


async def test_a_server_without_http_answers_closes_instead(open_to: Open) -> None:
    peer = open_to(chat(), "/chat?id=unknown", extensions=None)
    assert await peer.closed() == 1008


async def test_tokens_are_in_no_log_and_not_in_the_scope(
    request_to: Request, open_to: Open, caplog: pytest.LogCaptureFixture
) -> None:
    app = SignalR()
    seen: list[Any] = []

    @app.hub("/chat")
    class Curious(Hub):
        async def on_connected(self) -> None:
            seen.append((dict(self.context.query), self.context.scope["query_string"], self.context.headers["x-a"]))

    caplog.set_level(logging.DEBUG, "asgi_signalr")
    token = await negotiated(request_to, app)
    url = f"/chat?id={token}&room=a%20b&access_token=hush"
    await open_to(app, url, {"X-A": "1"}).shake_hands()
    await open_to(app, "/chat?id=unknown&access_token=hush").refused()
    assert seen == [({"room": "a b"}, b"room=a+b", "1")]
    assert "shook hands" in caplog.text
    for secret in (token, "hush"):
        assert secret not in caplog.text


async def test_tokens_are_found_and_kept_secret_in_any_spelling(request_to: Request, open_to: Open) -> None:
    scopes: list[Any] = []
    app = chat(user=bearer_token)
    token = await negotiated(request_to, app, headers={"Authorization": "Bearer ann"})

    async def server(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await app(scope, receive, send)

    peer = await open_to(server, f"/chat?ID={token}&%41ccess_Token=ann&Room=1").shake_hands()
    peer.send('{"type":1,"target":"who","arguments":[],"invocationId":"1"}\x1e')
    assert await peer.frame() == '{"type":3,"invocationId":"1","result":"ann"}\x1e'
    assert (await open_to(server, "/chat?iD=unknown&ACCESS_TOKEN=ann").refused()).status == 404
    assert [scope["query_string"] for scope in scopes] == [b"Room=1", b""]


# Who may.


class Person:
    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


class Unfinished:
    is_authenticated = True
    username = "ada"

    @property
    def identity(self) -> str:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("user", "name"),
    [
        ("ada", '"ada"'),
        (Person(is_authenticated=True, identity="ada"), '"ada"'),
        (Person(is_authenticated=True, username="ada"), '"ada"'),
        (Person(pk=7), '"7"'),
        (Unfinished(), '"ada"'),
        (Person(is_authenticated=False, username="ada"), "null"),
        (None, "null"),
        ("", "null"),
    ],
)
async def test_the_user_is_the_one_that_authentication_has_found(open_to: Open, user: Any, name: str) -> None:
    peer = await open_to(chat(), user=user).shake_hands()
    assert await peer.call("who") == '{"type":3,"invocationId":"1","result":' + name + "}"


async def test_an_application_may_find_the_user_itself(open_to: Open) -> None:
    async def find(scope: Any) -> str | None:
        return "ada" if b"access_token=good" in scope["query_string"] else None

    app = chat(authorize=True, user=find)
    peer = await open_to(app, "/chat?access_token=good").shake_hands()
    assert await peer.call("who") == '{"type":3,"invocationId":"1","result":"ada"}'
    assert (await open_to(app, "/chat?access_token=bad").refused()).status == 401


async def ada_only(context: HubCallerContext) -> bool:
    return context.user_identifier == "ada"


@pytest.mark.parametrize(
    ("authorize", "user", "status"),
    [
        (False, None, 200),
        (True, None, 401),
        (True, "ada", 200),
        (ada_only, None, 401),
        (ada_only, "bob", 403),
        (ada_only, "ada", 200),
        (lambda context: context.user_identifier == "ada", "bob", 403),
    ],
)
async def test_who_may_not_connect_is_refused_on_both_ways(
    request_to: Request, open_to: Open, authorize: Any, user: str | None, status: int
) -> None:
    app = chat(authorize=authorize)
    response = await request_to(app, "POST", "/chat/negotiate?negotiateVersion=1", user=user)
    assert response.status == status
    if status == 200:
        await open_to(app, user=user).shake_hands()
    else:
        refused = await open_to(app, user=user).refused()
        text = {401: "Unauthorized", 403: "Forbidden"}[status]
        assert (response.text, refused.status, refused.text) == (text, status, text)


async def test_a_token_is_for_the_user_who_negotiated_it(request_to: Request, open_to: Open) -> None:
    app = chat()
    token = await negotiated(request_to, app, user="ada")
    assert (await open_to(app, f"/chat?id={token}", user="eve").refused()).status == 403
    await open_to(app, f"/chat?id={token}", user="ada").shake_hands()


@pytest.mark.parametrize(
    ("origin", "host", "allowed", "status"),
    [
        ("http://test", "test", (), 200),
        ("https://test", "test", (), 200),
        ("http://test:80", "test", (), 200),
        ("https://test", "test:443", (), 200),
        ("http://127.0.0.1:8000", "127.0.0.1:8000", (), 200),
        ("http://[::1]:8000", "[::1]:8000", (), 200),
        ("http://test:8001", "test:8000", (), 403),
        ("http://evil.example", "test", (), 403),
        ("http://test.evil.example", "test", (), 403),
        ("null", "test", (), 403),
        ("", "test", (), 403),
        ("http://test:x", "test", (), 403),
        ("https://app.example", "test", ("https://app.example/",), 200),
        ("https://APP.example", "test", "https://app.example", 200),
        ("http://app.example", "test", ("https://app.example",), 403),
        ("http://evil.example", "test", ("*",), 200),
    ],
)
async def test_pages_of_other_origins_are_refused_on_both_ways(
    request_to: Request, open_to: Open, origin: str, host: str, allowed: Any, status: int
) -> None:
    app, headers = chat(allowed_origins=allowed), {"Origin": origin, "Host": host}
    assert (await request_to(app, "POST", "/chat/negotiate?negotiateVersion=1", headers)).status == status
    if status == 200:
        await open_to(app, headers=headers).shake_hands()
    else:
        assert (await open_to(app, headers=headers).refused()).status == status


async def test_an_allowed_origin_may_read_the_answers(request_to: Request) -> None:
    app = chat(allowed_origins=["https://app.example"])
    headers = {"Origin": "https://app.example"}
    cors = {
        "access-control-allow-origin": "https://app.example",
        "access-control-allow-credentials": "true",
        "vary": "Origin",
    }
    names = "authorization,content-type,x-of-the-page-itself,x-requested-with,x-signalr-user-agent"
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": names}
    asked = await request_to(app, "OPTIONS", "/chat/negotiate", headers | preflight)
    answered = await request_to(app, "POST", "/chat/negotiate?negotiateVersion=1", headers)
    assert (asked.status, answered.status) == (204, 200)
    for response in (asked, answered):
        assert response.headers.items() >= cors.items()
    assert asked.headers["access-control-allow-methods"] == "GET, POST, DELETE"
    assert asked.headers["access-control-allow-headers"] == names


# The client's script.


@pytest.mark.parametrize("name", ["signalr.js", "signalr.min.js"])
async def test_the_official_client_is_served_and_kept_by_browsers(request_to: Request, name: str) -> None:
    app = chat()
    first = await request_to(app, "GET", f"/{name}")
    assert first.status == 200
    assert first.text.encode() == script(name).body
    assert "signalR" in first.text
    assert first.headers["content-type"] == "text/javascript; charset=utf-8"
    assert first.headers["cache-control"] == "public, no-cache"
    again = await request_to(app, "GET", f"/{name}", {"If-None-Match": first.headers["etag"]})
    assert (again.status, again.text, again.headers["etag"]) == (304, "", first.headers["etag"])
    head = await request_to(app, "HEAD", f"/{name}")
    assert (head.status, head.text, head.headers["content-length"]) == (200, "", first.headers["content-length"])
    assert (await request_to(app, "POST", f"/{name}")).status == 405


@pytest.mark.parametrize(
    ("path", "root_path"), [("/signalr/chat", "/signalr"), ("/a/signalr/chat/", "/a/signalr"), ("/chat", "/proxied")]
)
async def test_hubs_are_found_below_a_root_path(request_to: Request, path: str, root_path: str) -> None:
    response = await request_to(chat(), "POST", path.rstrip("/") + "/negotiate", root_path=root_path)
    assert response.status == 200
