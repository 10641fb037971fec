"""What every request about a connection is told: who may, by which transport, and what two attackers get."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asgi_signalr import Hub, SignalR

Request = Callable[..., Awaitable[Any]]
Ask = Callable[..., Any]
Open = Callable[..., Any]

HANDSHAKE = '{"protocol":"json","version":1}\x1e'
EVENTS = {"Accept": "text/event-stream"}
WEB_SOCKETS, SERVER_SENT_EVENTS, LONG_POLLING = "WebSockets", "ServerSentEvents", "LongPolling"


class Chat(Hub):
    async def say(self, text: str) -> None:
        await self.clients.all.send("said", text)


def chat(*, authorize: Any = False, of_hub: Any = None, **options: Any) -> SignalR:
    app = SignalR(**options)
    app.hub("/chat", authorize=authorize, transports=of_hub)(Chat)
    return app


async def negotiated(request_to: Request, app: SignalR, **more: Any) -> tuple[str, str]:
    answer = (await request_to(app, "POST", "/chat/negotiate?negotiateVersion=1", **more)).json
    return answer["connectionToken"], answer["connectionId"]


async def opened(
    transport: str | None, app: SignalR, request_to: Request, ask: Ask, open_to: Open, **more: Any
) -> tuple[str, str]:
    """Negotiate, and open the connection by a transport."""
    token, connection_id = await negotiated(request_to, app, **more)
    if transport == WEB_SOCKETS:
        await open_to(app, f"/chat?id={token}", **more).accepted()
    elif transport == SERVER_SENT_EVENTS:
        await ask(app, "GET", f"/chat?id={token}", EVENTS, **more).begun()
    elif transport == LONG_POLLING:
        await ask(app, "GET", f"/chat?id={token}", **more).answer()
    return token, connection_id


@pytest.mark.parametrize(
    ("transport", "method", "headers", "status", "text"),
    [
        (None, "POST", {}, 200, ""),
        (None, "DELETE", {}, 400, "Cannot terminate this connection using the DELETE endpoint."),
        (WEB_SOCKETS, "POST", {}, 405, "POST requests are not allowed for WebSocket connections."),
        (WEB_SOCKETS, "DELETE", {}, 400, "Cannot terminate this connection using the DELETE endpoint."),
        (WEB_SOCKETS, "GET", {}, 400, "Cannot change transports mid-connection"),
        (WEB_SOCKETS, "GET", EVENTS, 400, "Cannot change transports mid-connection"),
        (WEB_SOCKETS, "websocket", {}, 409, ""),
        (WEB_SOCKETS, "PUT", {}, 405, "Method Not Allowed"),
        (SERVER_SENT_EVENTS, "POST", {}, 200, ""),
        (SERVER_SENT_EVENTS, "DELETE", {}, 400, "Cannot terminate this connection using the DELETE endpoint."),
        (SERVER_SENT_EVENTS, "GET", {}, 400, "Cannot change transports mid-connection"),
        (SERVER_SENT_EVENTS, "GET", EVENTS, 409, ""),
        (SERVER_SENT_EVENTS, "websocket", {}, 400, "Cannot change transports mid-connection"),
        (SERVER_SENT_EVENTS, "PATCH", {}, 405, "Method Not Allowed"),
        (LONG_POLLING, "POST", {}, 200, ""),
        (LONG_POLLING, "DELETE", {}, 202, ""),
        (LONG_POLLING, "GET", EVENTS, 400, "Cannot change transports mid-connection"),
        (LONG_POLLING, "websocket", {}, 400, "Cannot change transports mid-connection"),
        (LONG_POLLING, "HEAD", {}, 405, ""),
        (LONG_POLLING, "OPTIONS", {}, 405, "Method Not Allowed"),
    ],
)
async def test_what_each_transport_is_told(
    request_to: Request,
    ask: Ask,
    open_to: Open,
    transport: str | None,
    method: str,
    headers: dict[str, str],
    status: int,
    text: str,
) -> None:
    app = chat()
    token, _ = await opened(transport, app, request_to, ask, open_to)
    if method == "websocket":
        response = await open_to(app, f"/chat?id={token}", headers).refused()
    else:
        response = await request_to(app, method, f"/chat?id={token}", headers)
        assert response.headers["content-type"] == "text/plain"
    assert (response.status, response.text) == (status, text)


@pytest.mark.parametrize("more", [{}, {"allow_stateful_reconnects": True}])
async def test_a_websocket_answers_the_handshake_that_was_posted_before_it(
    request_to: Request, ask: Ask, open_to: Open, more: dict[str, Any]
) -> None:
    app = chat(**more)
    query = "?negotiateVersion=1" + ("&useStatefulReconnect=true" if more else "")
    token = (await request_to(app, "POST", f"/chat/negotiate{query}")).json["connectionToken"]
    posted = await ask(app, "POST", f"/chat?id={token}", {}, HANDSHAKE.encode()).answer()
    assert (posted.status, posted.text) == (200, "")
    peer = await open_to(app, f"/chat?id={token}").accepted()
    assert await peer.frame() == "{}\x1e"
    peer.send('{"type":1,"target":"say","arguments":["hi"],"invocationId":"1"}\x1e')
    assert await peer.frame() == (
        '{"type":1,"target":"said","arguments":["hi"]}\x1e{"type":3,"invocationId":"1","result":null}\x1e'
    )


@pytest.mark.parametrize("where", ["everywhere", "this hub"])
@pytest.mark.parametrize(
    ("offered", "method", "headers", "text"),
    [
        (LONG_POLLING, "websocket", {}, "WebSockets transport not supported by this end point type"),
        (WEB_SOCKETS, "GET", {}, "LongPolling transport not supported by this end point type"),
        (WEB_SOCKETS, "GET", EVENTS, "ServerSentEvents transport not supported by this end point type"),
    ],
)
async def test_a_transport_that_is_not_offered_is_not_there(
    request_to: Request, open_to: Open, where: str, offered: str, method: str, headers: dict[str, str], text: str
) -> None:
    app = chat(transports=[offered]) if where == "everywhere" else chat(of_hub=[offered])
    answer = (await request_to(app, "POST", "/chat/negotiate?negotiateVersion=1")).json
    assert [each["transport"] for each in answer["availableTransports"]] == [offered]
    url = f"/chat?id={answer['connectionToken']}"
    if method == "websocket":
        for each in (url, "/chat"):  # negotiated or not
            response = await open_to(app, each, headers).refused()
            assert (response.status, response.text) == (404, text)
    else:
        response = await request_to(app, method, url, headers)
        assert (response.status, response.text) == (404, text)


async def test_a_server_without_websockets_opens_nothing_else_instead(request_to: Request) -> None:
    app = chat()
    token, _ = await negotiated(request_to, app)
    upgrade = {"Connection": "Upgrade", "Upgrade": "WebSocket", "Sec-WebSocket-Version": "13"}
    response = await request_to(app, "GET", f"/chat?id={token}", upgrade)
    text = "WebSockets transport not supported by this end point type"
    assert (response.status, response.text) == (404, text)
    assert app.status()["connections"] == {}


async def test_the_transports_are_offered_in_the_order_of_the_server(request_to: Request) -> None:
    app = chat(transports=(LONG_POLLING, WEB_SOCKETS))
    answer = (await request_to(app, "POST", "/chat/negotiate?negotiateVersion=1")).json
    assert answer["availableTransports"] == [
        {"transport": "LongPolling", "transferFormats": ["Text", "Binary"]},
        {"transport": "WebSockets", "transferFormats": ["Text", "Binary"]},
    ]


@pytest.mark.parametrize(
    ("transports", "says"),
    [
        (
            ["WebTransport"],
            "There is no transport 'WebTransport'; there are WebSockets, ServerSentEvents, LongPolling.",
        ),
        ([], "Choose at least one of the transports WebSockets, ServerSentEvents, LongPolling."),
    ],
)
def test_a_choice_that_cannot_be_is_refused(transports: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        SignalR(transports=transports)
    with pytest.raises(ValueError, match=says):
        SignalR().hub("/chat", transports=transports)


async def test_only_who_asks_is_offered_a_stateful_reconnect(request_to: Request) -> None:
    url = "/chat/negotiate?negotiateVersion=1"

    async def offered(app: SignalR, query: str) -> Any:
        answer = (await request_to(app, "POST", url + query)).json
        negotiated = app._servers.to_serve().connections.negotiated(answer["connectionToken"], "Chat")
        assert negotiated is not None
        return answer.get("useStatefulReconnect"), negotiated.stateful

    able = chat(allow_stateful_reconnects=True)
    assert await offered(able, "&useStatefulReconnect=true") == (True, True)
    assert await offered(able, "&USESTATEFULRECONNECT=True") == (True, True)
    assert await offered(able, "") == (None, False)
    assert await offered(able, "&useStatefulReconnect=false") == (None, False)
    assert await offered(chat(), "&useStatefulReconnect=true") == (None, False)
    polling = chat(allow_stateful_reconnects=True, transports=[LONG_POLLING])
    assert await offered(polling, "&useStatefulReconnect=true") == (None, False)


async def test_of_two_streams_that_open_at_once_one_is_refused(request_to: Request, ask: Ask, open_to: Open) -> None:
    both_asked = asyncio.Event()
    asked = 0

    async def rule(context: Any) -> bool:
        nonlocal asked
        if context.scope.get("method") == "GET":
            asked += 1
            if asked == 2:
                both_asked.set()
            await both_asked.wait()
        return True

    app = chat(authorize=rule)
    token, _ = await negotiated(request_to, app)
    streams = [ask(app, "GET", f"/chat?id={token}", EVENTS) for _ in range(2)]
    assert sorted([(await each.begun()).status for each in streams]) == [200, 409]


# Attackers.


@pytest.mark.parametrize("transport", [None, WEB_SOCKETS, SERVER_SENT_EVENTS, LONG_POLLING])
async def test_the_public_id_is_worth_nothing(
    request_to: Request, ask: Ask, open_to: Open, transport: str | None
) -> None:
    app = chat()
    _, connection_id = await opened(transport, app, request_to, ask, open_to)
    url = f"/chat?id={connection_id}"
    attempts = [
        await request_to(app, "POST", url),
        await request_to(app, "GET", url),
        await request_to(app, "GET", url, EVENTS),
        await request_to(app, "DELETE", url),
        await open_to(app, url).refused(),
    ]
    assert [(each.status, each.text) for each in attempts] == [(404, "No Connection with that ID")] * 5


@pytest.mark.parametrize("token_or_id", [0, 1])
async def test_nothing_is_injected_into_a_websocket(
    request_to: Request, ask: Ask, open_to: Open, token_or_id: int
) -> None:
    app = chat()
    names = await negotiated(request_to, app)
    victim = await open_to(app, f"/chat?id={names[0]}").shake_hands()
    call = b'{"type":1,"target":"say","arguments":["injected"]}\x1e'
    response = await ask(app, "POST", f"/chat?id={names[token_or_id]}", body=call).answer()
    assert response.status == (405, 404)[token_or_id]
    victim.invoke("say", "mine")
    assert json.loads((await victim.frame()).split("\x1e")[0])["arguments"] == ["mine"]


@pytest.mark.parametrize("transport", [SERVER_SENT_EVENTS, LONG_POLLING])
async def test_pages_of_other_origins_reach_no_connection(
    request_to: Request, ask: Ask, open_to: Open, transport: str
) -> None:
    app = chat(allowed_origins=["https://app.example"])
    token, _ = await opened(transport, app, request_to, ask, open_to)
    evil, url = {"Origin": "https://evil.example"}, f"/chat?id={token}"
    preflight = {"Access-Control-Request-Method": "DELETE"}
    attempts = [
        await request_to(app, "POST", "/chat/negotiate", evil),
        await request_to(app, "POST", url, evil),
        await request_to(app, "GET", url, evil),
        await request_to(app, "GET", url, evil | EVENTS),
        await request_to(app, "DELETE", url, evil),
        await request_to(app, "OPTIONS", url, evil | preflight),
        await open_to(app, url, evil).refused(),
    ]
    assert [each.status for each in attempts] == [403] * 7
    assert not [each for each in attempts[:6] if "access-control-allow-origin" in each.headers]
    assert app._servers.to_serve().connections.negotiated(token, "Chat") is not None


# Cross-origin requests of those that may.


@pytest.mark.parametrize(
    ("method", "url", "headers", "status"),
    [
        ("OPTIONS", "/chat", {"Access-Control-Request-Method": "DELETE"}, 204),
        ("OPTIONS", "/chat/negotiate", {"Access-Control-Request-Method": "POST"}, 204),
        ("POST", "/chat/negotiate?negotiateVersion=1", {}, 200),
        ("GET", "/chat/negotiate", {}, 405),
        ("GET", "/chat?id={token}", {}, 200),
        ("POST", "/chat?id={token}", {}, 200),
        ("DELETE", "/chat?id={token}", {}, 202),
        ("GET", "/chat?id={token}", EVENTS, 400),
        ("POST", "/chat?id=unknown", {}, 404),
        ("GET", "/chat", {}, 400),
        ("PUT", "/chat", {}, 405),
    ],
)
async def test_every_answer_can_be_read_by_the_pages_that_may(
    request_to: Request, ask: Ask, open_to: Open, method: str, url: str, headers: dict[str, str], status: int
) -> None:
    app = chat(allowed_origins=["https://app.example"], poll_timeout=0.001)
    token, _ = await opened(LONG_POLLING, app, request_to, ask, open_to)
    response = await ask(app, method, url.format(token=token), {"Origin": "https://app.example"} | headers).answer()
    assert response.status == status
    assert (
        response.headers.items()
        >= {
            "access-control-allow-origin": "https://app.example",
            "access-control-allow-credentials": "true",
            "vary": "Origin",
        }.items()
    )


async def test_a_stream_of_events_can_be_read_by_the_pages_that_may(request_to: Request, ask: Ask) -> None:
    app = chat(allowed_origins=["https://app.example"])
    token, _ = await negotiated(request_to, app)
    stream = await ask(app, "GET", f"/chat?id={token}", EVENTS | {"Origin": "https://app.example"}).begun()
    assert (
        stream.headers.items()
        >= {
            "access-control-allow-origin": "https://app.example",
            "access-control-allow-credentials": "true",
            "vary": "Origin",
        }.items()
    )


async def test_answers_to_others_say_that_the_origin_makes_a_difference(request_to: Request) -> None:
    app = chat(allowed_origins=["https://app.example"])
    response = await request_to(app, "POST", "/chat/negotiate")
    assert response.headers["vary"] == "Origin"
    assert "access-control-allow-origin" not in response.headers


# Bodies that nobody needs are read before the answer: over HTTP/2 some servers take a late one amiss.


@pytest.mark.parametrize(
    ("url", "headers", "status"),
    [
        ("/chat/negotiate", {}, 200),
        ("/chat/negotiate", {"Origin": "https://evil.example"}, 403),
        ("/chat?id=unknown", {}, 404),
        ("/chat", {}, 400),
    ],
)
async def test_a_body_is_read_before_the_answer(ask: Ask, url: str, headers: dict[str, str], status: int) -> None:
    post = ask(chat(), "POST", url, headers, None)
    post.post(b"x" * 1000)
    for _ in range(5):
        await asyncio.sleep(0)
    assert post.is_waiting
    post.post(b"", more_body=False)
    assert (await post.answer()).status == status


async def test_a_body_without_end_is_not_waited_for(ask: Ask) -> None:
    post = ask(chat(), "POST", "/chat?id=unknown", {}, None)
    for _ in range(3):
        post.post(b"x" * 32_000)
    assert (await post.answer()).status == 404


# An application that stops.


async def test_who_comes_while_the_application_stops_is_sent_away(request_to: Request, ask: Ask, open_to: Open) -> None:
    app = chat()
    token, _ = await negotiated(request_to, app)
    polling, _ = await opened(LONG_POLLING, app, request_to, ask, open_to)
    await ask(app, "POST", f"/chat?id={polling}", body=b'{"protocol":"json","version":1}\x1e').answer()
    stopping = asyncio.create_task(app.stop())
    await asyncio.sleep(0)
    attempts = [
        await request_to(app, "POST", "/chat/negotiate"),
        await request_to(app, "GET", f"/chat?id={token}"),
        await request_to(app, "GET", f"/chat?id={token}", EVENTS),
        await open_to(app, f"/chat?id={token}").refused(),
        await open_to(app).refused(),
    ]
    assert [(each.status, each.text, each.headers["retry-after"]) for each in attempts] == [
        (503, "The server is about to stop.", "1")
    ] * 5
    await ask(app, "DELETE", f"/chat?id={polling}").answer()
    await stopping


# What has changed while the server was waiting for something.


class SlowRule:
    """Lets the negotiation in at once, and everybody after it when it is told to."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self._asked = 0

    async def __call__(self, context: Any) -> bool:
        self._asked += 1
        if self._asked > 1:
            await self.go_on.wait()
        return True

    async def asked(self, times: int) -> None:
        async with asyncio.timeout(10):
            while self._asked < times:  # noqa: ASYNC110  (nothing tells of it)
                await asyncio.sleep(0)


@pytest.mark.parametrize("second", ["poll", "stateful WebSocket"])
async def test_a_token_that_two_transports_open_at_once_is_the_first_ones(
    request_to: Request, ask: Ask, open_to: Open, second: str
) -> None:
    rule = SlowRule()
    app = chat(authorize=rule, allow_stateful_reconnects=True)
    stateful = "&useStatefulReconnect=true" if second != "poll" else ""
    answer = await request_to(app, "POST", f"/chat/negotiate?negotiateVersion=1{stateful}")
    url = f"/chat?id={answer.json['connectionToken']}"
    events = ask(app, "GET", url, EVENTS)
    other = ask(app, "GET", url) if second == "poll" else open_to(app, url)
    await rule.asked(3)
    rule.go_on.set()
    assert (await events.begun()).status == 200
    refused = await (other.answer() if second == "poll" else other.refused())
    assert (refused.status, refused.text) == (400, "Cannot change transports mid-connection")


async def test_a_token_that_was_forgotten_meanwhile_opens_nothing(request_to: Request, ask: Ask) -> None:
    rule = SlowRule()
    app = chat(authorize=rule, max_negotiated_connections=1)
    token, _ = await negotiated(request_to, app)
    poll = ask(app, "GET", f"/chat?id={token}")
    await rule.asked(2)
    rule.go_on.set()
    await negotiated(request_to, app)  # there is room for one
    refused = await poll.answer()
    assert (refused.status, refused.text) == (404, "No Connection with that ID")
    assert app.status()["connections"] == {}
