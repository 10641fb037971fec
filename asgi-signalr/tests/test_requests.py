"""What a request brings, and which are let in: repeated headers, cookies and parameters, origins, rules, paths."""

import base64
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from asgi_signalr import Hub, HubCallerContext, HubException, HubInvocation, PersistentConnection, SignalR, hub_method
from asgi_signalr.testing import TestClient

Ask = Callable[..., Any]
Request = Callable[..., Awaitable[Any]]


class Chat(Hub):
    def seen(self) -> dict[str, Any]:
        context = self.context
        return {
            "tag": context.query.get("tag"),
            "tags": context.query.get_all("tag"),
            "nothing": context.query.get_all("nothing"),
            "cookies": dict(context.cookies),
            "cookie": context.headers.get("cookie"),
            "x": context.headers.get("x-many"),
        }


def chat(**options: Any) -> SignalR:
    signalr = SignalR(**options)
    signalr.hub("/chat")(Chat)
    return signalr


async def test_a_header_or_parameter_that_comes_several_times_is_seen_whole(open_to: Any) -> None:
    headers = [(b"host", b"test"), (b"cookie", b"session=abc; theme=dark"), (b"cookie", b"csrf=x")]
    headers += [(b"X-Many", b"1"), (b"X-Many", b"2")]
    peer = await open_to(chat(), "/chat?tag=a&tag=b").accepted()
    peer.scope["headers"] = headers
    peer.send('{"protocol":"json","version":1}\x1e')
    assert await peer.frame() == "{}\x1e"
    assert await peer.call("seen") == (
        '{"type":3,"invocationId":"1","result":{"tag":"b","tags":["a","b"],"nothing":[],'
        '"cookies":{"session":"abc","theme":"dark","csrf":"x"},"cookie":"session=abc; theme=dark; csrf=x","x":"1, 2"}}'
    )


@pytest.mark.parametrize("query", ["negotiateVersion=abc", "negotiateVersion=1&negotiateVersion=1"])
async def test_a_version_that_is_no_number_is_told_as_aspnet_core_does(request_to: Request, query: str) -> None:
    answer = await request_to(chat(), "POST", f"/chat/negotiate?{query}")
    assert (answer.status, answer.json) == (
        200,
        {"error": "The client requested a non-integer protocol version."},
    )


@pytest.mark.parametrize(
    ("path", "status"), [("/chat", 200), ("/chat/", 200), ("//chat", 404), ("/chat//", 404), ("/Chat", 404)]
)
async def test_a_hub_has_one_path_with_or_without_a_slash_at_its_end(
    request_to: Request, path: str, status: int
) -> None:
    answer = await request_to(chat(), "GET", f"{path}?id=x")
    assert (answer.status == 404 and answer.text == "Not Found") is (status == 404)


ORIGINS = ["https://*.example.com", "http://localhost:5173"]


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://shop.example.com", True),
        ("https://a.b.EXAMPLE.com", True),
        ("http://localhost:5173", True),
        ("https://example.com", False),
        ("https://evil.com/.example.com", False),
        ("https://user@.example.com", False),
        ("https://.example.com", False),
        ("https://evilexample.com", False),
        ("http://shop.example.com", False),
        ("https://shop.example.com:8443", False),
        ("http://test", True),  # its own
        ("https://test", True),
        ("http://user@test", False),
        ("ftp://test", False),
        ("http://test/path", False),
    ],
)
@pytest.mark.parametrize("way", ["patterns", "function"])
async def test_origins_are_patterns_or_a_functions_affair(
    request_to: Request, origin: str, allowed: bool, way: str
) -> None:
    patterns = SignalR(allowed_origins=ORIGINS).options.allowed_origins
    app = chat(allowed_origins=patterns if way == "patterns" else lambda each: _is_listed(each, ORIGINS))
    answer = await request_to(app, "POST", "/chat/negotiate", {"Origin": origin})
    assert answer.status == (200 if allowed else 403)


def _is_listed(origin: str, origins: Sequence[str]) -> bool:
    from asgi_signalr.origins import is_listed

    return is_listed(origin, origins)


@pytest.mark.parametrize("origin", ["https://*", "https://*.*.example.com", "*.example.com", "https://a.*.com"])
def test_a_pattern_stands_for_subdomains_only(origin: str) -> None:
    with pytest.raises(ValueError, match="is no origin"):
        SignalR(allowed_origins=[origin])


async def test_a_rule_may_ask_what_is_called() -> None:
    asked: list[HubInvocation] = []

    def own_room(context: HubCallerContext, call: HubInvocation) -> bool:
        asked.append(call)
        return bool(call.arguments[0] == context.user_identifier)

    signalr = SignalR()

    @signalr.hub("/rooms")
    class Rooms(Hub):
        @hub_method("enter", authorize=own_room)
        def go_in(self, room: str, number: int = 1) -> str:
            return f"{room} {number}"

    async with TestClient(signalr, "/rooms", user="ann") as ann:
        assert await ann.invoke("enter", "ann", 2) == "ann 2"
        with pytest.raises(HubException, match=r"^Failed to invoke 'enter' because user is unauthorized$"):
            await ann.invoke("enter", "ben")
        with pytest.raises(HubException, match="due to an error on the server"):
            await ann.invoke("enter", "ann", "no number")
    assert asked == [HubInvocation("enter", ("ann", 2)), HubInvocation("enter", ("ben",))]


async def test_a_subprotocol_is_chosen_by_the_application(open_to: Any) -> None:
    app = chat(select_subprotocol=lambda offered: "chat" if "chat" in offered else None)
    for offered, chosen in ((["a", "chat"], "chat"), (["a"], None), ([], None)):
        event = await open_to(app, "/chat", subprotocols=offered).event()
        assert (event["type"], event.get("subprotocol")) == ("websocket.accept", chosen)


UPGRADE = {
    "Connection": "keep-alive, Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": base64.b64encode(b"0" * 16).decode(),
}


async def test_websockets_are_not_offered_once_the_server_has_shown_that_it_has_none(request_to: Request) -> None:
    async def offered() -> list[str]:
        answer = await request_to(app, "POST", "/chat/negotiate?negotiateVersion=1")
        return [each["transport"] for each in answer.json["availableTransports"]]

    app = chat()
    assert (await request_to(app, "GET", "/chat", UPGRADE | {"Sec-WebSocket-Key": "x"})).status == 404
    assert await offered() == ["WebSockets", "ServerSentEvents", "LongPolling"]
    assert (await request_to(app, "GET", "/chat", UPGRADE)).status == 404
    assert await offered() == ["ServerSentEvents", "LongPolling"]


async def test_a_persistent_connection_may_have_a_limit_of_its_own(open_to: Any) -> None:
    signalr = SignalR(max_message_size=1024)

    @signalr.connection("/echo", max_message_size=4096)
    class Echo(PersistentConnection):
        async def on_received(self, data: str | bytes) -> None:
            await self.connection.send(data)

    peer = await open_to(signalr, "/echo").accepted()
    peer.send("x" * 4096)
    assert await peer.frame() == "x" * 4096
    peer.send("x" * 4097)
    assert await peer.closed() == 1009
    with pytest.raises(ValueError, match="max_message_size"):
        signalr.connection("/other", max_message_size=0)


# The end of a connection that is polled.


class Leaving(Hub):
    def leave(self) -> None:
        self.context.abort()


async def polled(ask: Ask, app: SignalR, path: str) -> str:
    answer = await ask(app, "POST", f"{path}/negotiate?negotiateVersion=1").answer()
    url = f"{path}?id={answer.json['connectionToken']}"
    assert (await ask(app, "GET", url).answer()).status == 200
    return url


@pytest.mark.parametrize("is_told", [False, True])
async def test_between_polls_a_client_need_not_know_that_the_server_has_closed(ask: Ask, is_told: bool) -> None:
    app = SignalR()
    app.hub("/leaving")(Leaving)
    url = await polled(ask, app, "/leaving")
    await ask(app, "POST", url, body=b'{"protocol":"json","version":1}\x1e').ended()
    assert (await ask(app, "GET", url).answer()).text == "{}\x1e"
    await ask(app, "POST", url, body=b'{"type":1,"target":"leave","arguments":[]}\x1e').ended()
    if is_told:
        assert (await ask(app, "GET", url).answer()).text == '{"type":7}\x1e'
    assert (await ask(app, "POST", url, body=b'{"type":6}\x1e').answer()).status == 200
    assert (await ask(app, "DELETE", url).answer()).status == 202
    assert (await ask(app, "DELETE", url).answer()).status == 404


async def test_a_post_that_is_too_long_is_taken_and_the_poll_says_why(ask: Ask) -> None:
    app = SignalR(detailed_errors=True)
    app.hub("/leaving")(Leaving)
    url = await polled(ask, app, "/leaving")
    await ask(app, "POST", url, body=b'{"protocol":"json","version":1}\x1e').ended()
    assert (await ask(app, "GET", url).answer()).text == "{}\x1e"
    assert (await ask(app, "POST", url, body=b"x" * 100_000).answer()).status == 200
    assert "The maximum message size of 32768B was exceeded." in (await ask(app, "GET", url).answer()).text


async def test_a_poll_that_waits_is_told_that_the_application_has_failed(ask: Ask) -> None:
    app = SignalR()

    @app.connection("/fail")
    class Fail(PersistentConnection):
        async def on_received(self, data: str | bytes) -> None:
            raise RuntimeError("on purpose")

    url = await polled(ask, app, "/fail")
    poll = ask(app, "GET", url)
    await ask(app, "POST", url, body=b"x").ended()
    assert (await poll.answer()).status == 500
