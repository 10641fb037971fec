"""Connections that lose their WebSocket and go on with the next one: nothing is lost, nothing comes twice."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asgi_signalr import Hub, SignalR
from asgi_signalr.testing import TestClient

Request = Callable[..., Awaitable[Any]]
Open = Callable[..., Any]

HANDSHAKE = '{"protocol":"json","version":2}\x1e'
PATIENCE = 10.0


class Chat(Hub):
    calls: list[Any]

    async def on_connected(self) -> None:
        self.calls.append("connected")

    async def on_disconnected(self, error: Exception | None) -> None:
        self.calls.append(("disconnected", error))

    def note(self, text: str) -> str:
        self.calls.append(text)
        return text

    async def say(self, text: str) -> None:
        await self.clients.all.send("said", text)

    def leave(self) -> None:
        self.context.abort()


@pytest.fixture
def calls() -> list[Any]:
    Chat.calls = []
    return Chat.calls


def chat(**options: Any) -> SignalR:
    app = SignalR(allow_stateful_reconnects=True, **options)
    app.hub("/chat")(Chat)
    return app


async def negotiated(request_to: Request, app: SignalR) -> str:
    answer = await request_to(app, "POST", "/chat/negotiate?negotiateVersion=1&useStatefulReconnect=true")
    assert answer.json["useStatefulReconnect"] is True
    return str(answer.json["connectionToken"])


async def opened(request_to: Request, open_to: Open, app: SignalR, handshake: str = HANDSHAKE) -> tuple[Any, str]:
    url = f"/chat?id={await negotiated(request_to, app)}"
    peer = await open_to(app, url).accepted()
    peer.send(handshake)
    assert await peer.frame() == "{}\x1e"
    return peer, url


async def messages(peer: Any, count: int) -> list[Any]:
    """Wait for so many messages, however they are framed."""
    found: list[Any] = []
    while len(found) < count:
        found += [json.loads(record) for record in (await peer.frame()).split("\x1e") if record]
    assert len(found) == count, found
    return found


async def disconnected(calls: list[Any]) -> None:
    """Wait until the hub knows: the conversation ends apart from the WebSocket's request."""
    async with asyncio.timeout(PATIENCE):
        while len(calls) < 2:  # noqa: ASYNC110  (the hub's own doing)
            await asyncio.sleep(0.002)


def invocation(text: str, **more: Any) -> str:
    return json.dumps({"type": 1, "target": "note", "arguments": [text], **more}) + "\x1e"


def sequence(number: int) -> str:
    return json.dumps({"type": 9, "sequenceId": number}) + "\x1e"


def said(text: str) -> dict[str, Any]:
    return {"type": 1, "target": "said", "arguments": [text]}


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ({"allow_stateful_reconnects": True}, "?negotiateVersion=1"),
        ({"allow_stateful_reconnects": True}, "?negotiateVersion=1&useStatefulReconnect=false"),
        ({}, "?negotiateVersion=1&useStatefulReconnect=true"),
        (
            {"allow_stateful_reconnects": True, "transports": ("LongPolling",)},
            "?negotiateVersion=1&useStatefulReconnect=true",
        ),
    ],
)
async def test_it_is_negotiated_only_if_both_sides_want_it(
    request_to: Request, options: dict[str, Any], query: str
) -> None:
    app = SignalR(**options)
    app.hub("/chat")(Chat)
    assert "useStatefulReconnect" not in (await request_to(app, "POST", f"/chat/negotiate{query}")).json


@pytest.mark.parametrize("code", [1005, 1006])  # uvicorn says the first when there was no close frame at all
async def test_what_was_sent_meanwhile_arrives_on_the_next_websocket(
    request_to: Request, open_to: Open, calls: list[Any], code: int
) -> None:
    app = chat()
    peer, url = await opened(request_to, open_to, app)
    context = app.hub_context(Chat)
    await context.clients.all.send("said", "before")
    assert await messages(peer, 1) == [said("before")]
    await peer.drop(code)
    await context.clients.all.send("said", "meanwhile")
    await context.clients.all.send("said", "later")
    again = await open_to(app, url).accepted()
    assert await messages(again, 4) == [{"type": 9, "sequenceId": 1}, said("before"), said("meanwhile"), said("later")]
    again.send(sequence(1) + invocation("after", invocationId="1"))
    assert await messages(again, 1) == [{"type": 3, "invocationId": "1", "result": "after"}]
    assert calls == ["connected", "after"]


async def test_what_another_server_has_sent_is_counted_as_well(
    request_to: Request, open_to: Open, calls: list[Any]
) -> None:
    here, there = [chat(backplane="memory://stateful") for _ in range(2)]
    for server in (here, there):
        await server.start()
    peer, url = await opened(request_to, open_to, here)
    await there.hub_context(Chat).clients.all.send("said", "before")
    assert await messages(peer, 1) == [said("before")]
    peer.send('{"type":8,"sequenceId":1}\x1e')
    assert json.loads(await peer.call("note", "x"))["result"] == "x"
    await peer.drop()
    await there.hub_context(Chat).clients.all.send("said", "meanwhile")
    again = await open_to(here, url).accepted()
    assert await messages(again, 3) == [
        {"type": 9, "sequenceId": 2},
        {"type": 3, "invocationId": "1", "result": "x"},
        said("meanwhile"),
    ]
    await again.drop(1000)
    for server in (here, there):
        await server.stop()


async def test_what_the_client_has_acknowledged_is_not_sent_again(
    request_to: Request, open_to: Open, calls: list[Any]
) -> None:
    app = chat()
    peer, url = await opened(request_to, open_to, app)
    for text in ("one", "two"):
        await app.hub_context(Chat).clients.all.send("said", text)
    await messages(peer, 2)
    peer.send('{"type":8,"sequenceId":1}\x1e')
    assert json.loads(await peer.call("note", "x"))["result"] == "x"
    await peer.drop()
    again = await open_to(app, url).accepted()
    assert await messages(again, 3) == [
        {"type": 9, "sequenceId": 2},
        said("two"),
        {"type": 3, "invocationId": "1", "result": "x"},
    ]


async def test_what_the_client_sends_again_is_done_once(request_to: Request, open_to: Open, calls: list[Any]) -> None:
    app = chat()
    peer, url = await opened(request_to, open_to, app)
    peer.send(invocation("one") + invocation("two", invocationId="2"))
    assert (await messages(peer, 1))[0]["result"] == "two"
    await peer.drop()
    again = await open_to(app, url).accepted()
    again.send(invocation("too early"))
    again.send(sequence(2) + invocation("two", invocationId="2") + invocation("three", invocationId="3"))
    assert [each.get("result") for each in await messages(again, 3)] == [None, "two", "three"]
    assert calls == ["connected", "one", "two", "three"]


async def test_half_a_message_of_the_lost_websocket_is_forgotten(
    request_to: Request, open_to: Open, calls: list[Any]
) -> None:
    app = chat()
    peer, url = await opened(request_to, open_to, app)
    peer.send(invocation("one", invocationId="1"))
    await messages(peer, 1)
    peer.send(invocation("two")[:20])
    await peer.drop()
    again = await open_to(app, url).accepted()
    again.send(sequence(2) + invocation("two", invocationId="2"))
    assert [each.get("result") for each in await messages(again, 3)] == [None, "one", "two"]


async def test_the_server_acknowledges_what_has_arrived(request_to: Request, open_to: Open, calls: list[Any]) -> None:
    app = chat(keep_alive_interval=0.04)  # the timer looks at its connections four times as often
    peer, _ = await opened(request_to, open_to, app)
    peer.send(invocation("one") + '{"type":6}\x1e' + invocation("two"))
    found = {"type": 6}
    while found["type"] == 6:
        [found] = await messages(peer, 1)
    assert found == {"type": 8, "sequenceId": 2}


async def test_another_websocket_cuts_the_one_that_seemed_alive(
    request_to: Request, open_to: Open, calls: list[Any]
) -> None:
    app = chat()
    peer, url = await opened(request_to, open_to, app)
    again = await open_to(app, url).accepted()
    assert await messages(again, 1) == [{"type": 9, "sequenceId": 1}]
    assert await peer.closed() == 1000
    await peer.ended()
    await app.hub_context(Chat).clients.all.send("said", "hello")
    assert await messages(again, 1) == [said("hello")]
    assert calls == ["connected"]


async def test_a_client_that_never_comes_back_is_forgotten(
    request_to: Request, open_to: Open, calls: list[Any]
) -> None:
    app = chat(disconnect_timeout=15)
    peer, url = await opened(request_to, open_to, app)
    await peer.drop()
    (connection,) = app._servers.to_serve().connections._connections
    now = asyncio.get_running_loop().time()
    connection.tick(now + 14)
    assert connection.ending is None
    connection.tick(now + 16)
    await disconnected(calls)
    assert calls == ["connected", ("disconnected", None)]
    assert (await open_to(app, url).refused()).status == 404


@pytest.mark.parametrize("code", [1000, 1001, 1012])
async def test_a_websocket_that_is_closed_in_good_order_is_the_end(
    request_to: Request, open_to: Open, calls: list[Any], code: int
) -> None:
    app = chat()
    peer, url = await opened(request_to, open_to, app)
    await peer.drop(code)
    await disconnected(calls)
    assert (await open_to(app, url).refused()).status == 404


async def test_a_close_message_is_the_end(request_to: Request, open_to: Open, calls: list[Any]) -> None:
    app = chat()
    peer, url = await opened(request_to, open_to, app)
    peer.send('{"type":7}\x1e')
    assert await messages(peer, 1) == [{"type": 7}]
    assert await peer.closed() == 1000
    assert (await open_to(app, url).refused()).status == 404
    assert calls == ["connected", ("disconnected", None)]


async def test_a_client_that_the_hub_sends_away_does_not_come_back(
    request_to: Request, open_to: Open, calls: list[Any]
) -> None:
    app = chat()
    peer, url = await opened(request_to, open_to, app)
    peer.invoke("leave", id=None)
    assert await messages(peer, 1) == [{"type": 7}]
    assert await peer.closed() == 1000
    assert (await open_to(app, url).refused()).status == 404


async def test_the_hub_can_send_a_client_away_that_is_not_there(
    request_to: Request, open_to: Open, calls: list[Any]
) -> None:
    app = chat()
    peer, url = await opened(request_to, open_to, app)
    [connection] = app._servers.to_serve().local_hub("Chat").members.connections.values()
    await peer.drop()
    connection.abort()
    await disconnected(calls)
    assert (await open_to(app, url).refused()).status == 404


async def test_the_first_version_of_the_protocol_switches_it_off(
    request_to: Request, open_to: Open, calls: list[Any]
) -> None:
    app = chat()
    peer, url = await opened(request_to, open_to, app, handshake='{"protocol":"json","version":1}\x1e')
    await peer.drop()
    await disconnected(calls)
    assert (await open_to(app, url).refused()).status == 404


async def test_before_the_handshake_no_other_websocket_takes_its_place(
    request_to: Request, open_to: Open, calls: list[Any]
) -> None:
    app = chat()
    url = f"/chat?id={await negotiated(request_to, app)}"
    peer = await open_to(app, url).accepted()
    assert (await open_to(app, url).refused()).status == 409
    peer.send(HANDSHAKE)
    assert await peer.frame() == "{}\x1e"


async def test_the_first_version_of_the_protocol_lets_no_other_websocket_take_its_place(
    request_to: Request, open_to: Open, calls: list[Any]
) -> None:
    app = chat()
    peer, url = await opened(request_to, open_to, app, '{"protocol":"json","version":1}\x1e')
    assert (await open_to(app, url).refused()).status == 409
    assert await peer.call("note", "still here") == '{"type":3,"invocationId":"1","result":"still here"}'


async def test_a_connection_that_has_ended_takes_no_other_websocket_while_the_hub_says_good_bye(
    request_to: Request, open_to: Open
) -> None:
    says_good_bye, may_end = asyncio.Event(), asyncio.Event()

    class Slow(Chat):
        async def on_disconnected(self, error: Exception | None) -> None:
            says_good_bye.set()
            await may_end.wait()

    Slow.calls = []
    app = SignalR(allow_stateful_reconnects=True)
    app.hub("/chat")(Slow)
    peer, url = await opened(request_to, open_to, app)
    peer.send('{"type":7}\x1e')
    async with asyncio.timeout(PATIENCE):
        await says_good_bye.wait()
    refused = await open_to(app, url).refused()
    assert (refused.status, refused.text) == (404, "No Connection with that ID")
    may_end.set()


async def test_a_client_that_left_messages_out_is_closed(request_to: Request, open_to: Open, calls: list[Any]) -> None:
    app = chat(detailed_errors=True)
    peer, url = await opened(request_to, open_to, app)
    await peer.drop()
    again = await open_to(app, url).accepted()
    again.send(sequence(3))
    error = (
        "Connection closed with an error. InvalidDataException: "
        "Sequence ID greater than amount of messages we've received."
    )
    assert (await messages(again, 2))[1] == {"type": 7, "error": error, "allowReconnect": True}


async def test_a_client_that_acknowledges_nothing_is_given_up_in_the_end(
    request_to: Request, open_to: Open, calls: list[Any]
) -> None:
    app = chat(max_queued_bytes=200)
    peer, url = await opened(request_to, open_to, app)
    await peer.drop()
    for _ in range(10):
        await app.hub_context(Chat).clients.all.send("said", "x" * 20)
    await disconnected(calls)
    assert calls[1][0] == "disconnected"
    assert "does not acknowledge" in str(calls[1][1])
    assert (await open_to(app, url).refused()).status == 404


class Flood(Hub):
    async def flood(self, count: int) -> str:
        for number in range(count):
            await self.clients.caller.send("n", number, "x" * 200)
        return "all sent"

    async def quick(self, number: int) -> int:
        return number

    def big(self, size: int) -> str:
        return "x" * size

    async def big_later(self, size: int) -> str:
        return "x" * size


@pytest.mark.parametrize("waiting", [16, 17, 40])
async def test_acknowledgements_are_read_whatever_calls_wait_before_them(waiting: int) -> None:
    app = SignalR(allow_stateful_reconnects=True, stateful_reconnect_buffer_size=10_000)
    app.hub("/flood")(Flood)
    async with TestClient(app, "/flood", stateful_reconnect=True) as client:
        flood = asyncio.create_task(client.invoke("flood", 1000))
        await asyncio.sleep(0)
        assert await asyncio.gather(*(client.invoke("quick", number) for number in range(waiting))) == [*range(waiting)]
        assert await flood == "all sent"


@pytest.mark.parametrize("target", ["big", "bigLater"])
async def test_a_full_buffer_holds_results_back_until_the_client_acknowledges(
    request_to: Request, open_to: Open, target: str
) -> None:
    app = SignalR(allow_stateful_reconnects=True, stateful_reconnect_buffer_size=1000)
    app.hub("/chat")(Flood)
    peer, _ = await opened(request_to, open_to, app)
    for number in "123":
        peer.invoke(target, 600, id=number)
    peer.invoke("nope", id="4")
    assert [each["invocationId"] for each in await messages(peer, 2)] == ["1", "2"]
    for _ in range(20):
        await asyncio.sleep(0)
    assert peer.has_nothing_more
    peer.send('{"type":8,"sequenceId":2}\x1e')
    assert [each["invocationId"] for each in await messages(peer, 2)] == ["3", "4"]


async def test_what_was_held_back_is_acknowledged_when_it_has_been_acted_on(request_to: Request, open_to: Open) -> None:
    app = SignalR(allow_stateful_reconnects=True, stateful_reconnect_buffer_size=1000, keep_alive_interval=0.4)
    app.hub("/chat")(Flood)
    peer, _ = await opened(request_to, open_to, app)
    for number in "123456":
        peer.invoke("big", 600, id=number)
    seen = await messages(peer, 3)
    assert [each.get("invocationId") for each in seen[:2]] == ["1", "2"]
    assert seen[2] == {"type": 8, "sequenceId": 2}


async def test_what_was_held_back_is_not_acted_on_twice_after_a_reconnect(
    request_to: Request, open_to: Open, calls: list[Any]
) -> None:
    app = chat(stateful_reconnect_buffer_size=100)
    peer, url = await opened(request_to, open_to, app)
    peer.send(invocation("a" * 200, invocationId="1") + invocation("b", invocationId="2"))
    peer.send(invocation("c", invocationId="3"))
    assert [each["invocationId"] for each in await messages(peer, 1)] == ["1"]
    await peer.drop()
    again = await open_to(app, url).accepted()
    again.send(sequence(1) + invocation("a" * 200, invocationId="1") + invocation("b", invocationId="2"))
    again.send(invocation("c", invocationId="3") + '{"type":8,"sequenceId":1}\x1e')
    assert [each.get("invocationId") for each in await messages(again, 4)] == [None, "1", "2", "3"]
    assert calls == ["connected", "a" * 200, "b", "c"]
