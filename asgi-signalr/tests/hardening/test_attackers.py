"""What one client knows or guesses of another gains it nothing, and what it sends costs others nothing."""

import asyncio
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from asgi_signalr import SignalR

from .harness import (
    HOST,
    SEPARATOR,
    DirectSocket,
    Http,
    Loop,
    Socket,
    handshake,
    packed,
    read_json,
    remains,
    run,
    text_of,
    varint,
)
from .rooms import REMEMBERED, SECRETS, SLOW, make_app
from .wire import Events, Gone, Polls, WebSocket, request, serving


async def _connect(app: SignalR, url: str = "/room", user: str | None = None, kind: type[Socket] = Socket) -> Socket:
    socket = await kind(app, url, user).accepted()
    socket.send(handshake())
    await socket.hear(lambda: socket.frames or None)
    return socket


async def _negotiate(
    app: SignalR, user: str | None = None, query: str = "?negotiateVersion=1", path: str = "/room"
) -> dict[str, str]:
    asked = Http(app, "POST", f"{path}/negotiate{query}", user)
    assert await asked.answered() == 200
    return dict(json.loads(asked.body))


def _said(socket: Socket) -> list[dict[str, Any]]:
    return [message for frame in socket.frames for message in read_json(frame)]


def _happened(socket: Socket) -> list[Any] | None:
    return socket.events or None


def _framed(socket: Socket, count: int) -> bool | None:
    return len(socket.frames) >= count or None


async def _hear(socket: Socket, **like: Any) -> dict[str, Any]:
    def find() -> dict[str, Any] | None:
        return next((each for each in _said(socket) if like.items() <= each.items()), None)

    return await socket.hear(find)


def _call(target: str, *arguments: Any, id: str | None = "1", **more: Any) -> str:
    message = {"type": 1, "target": target, "arguments": arguments, **more}
    return text_of(message if id is None else {**message, "invocationId": id})


# What is another's.


def test_only_the_client_that_was_asked_can_answer() -> None:
    async def attack() -> None:
        app = make_app()
        victim, attacker = await _connect(app), await _connect(app)
        victim.send(_call("ask", "age"))
        asked = await _hear(victim, type=1, target="age")
        for guess in [asked["invocationId"], *(f"s{number}" for number in range(50)), *map(str, range(50))]:
            attacker.send(text_of({"type": 3, "invocationId": guess, "result": 666}))
        attacker.send(_call("echo", "done", id="2"))
        await _hear(attacker, result="done")
        victim.send(text_of({"type": 3, "invocationId": asked["invocationId"], "result": 42}))
        assert (await _hear(victim, type=3))["result"] == 42
        victim.leave()
        attacker.leave()
        await asyncio.sleep(60)

    run(attack())


def test_streams_belong_to_their_connection() -> None:
    async def attack() -> None:
        app = make_app()
        victim, attacker = await _connect(app), await _connect(app)
        victim.send(_call("total", streamIds=["7"]))
        victim.send(text_of({"type": 4, "target": "forever", "arguments": [], "invocationId": "8"}))
        await _hear(victim, type=2, item=0)
        for message in (
            {"type": 2, "invocationId": "7", "item": 1000},
            {"type": 3, "invocationId": "7", "error": "the end"},
            {"type": 3, "invocationId": "7"},
            {"type": 5, "invocationId": "8"},
            {"type": 5, "invocationId": "1"},
        ):
            attacker.send(text_of(message))
        attacker.send(_call("echo", "done", id="2"))
        await _hear(attacker, result="done")
        victim.send(text_of({"type": 2, "invocationId": "7", "item": 5}, {"type": 3, "invocationId": "7"}))
        assert (await _hear(victim, type=3, invocationId="1"))["result"] == 5
        await _hear(victim, type=2, item=3)
        assert [each["invocationId"] for each in _said(attacker) if "invocationId" in each] == ["2"]
        victim.leave()
        attacker.leave()
        await asyncio.sleep(60)

    run(attack())


@pytest.mark.parametrize("transport", ["LongPolling", "ServerSentEvents", "WebSockets"])
def test_a_connection_is_reached_by_its_token_and_its_user_only(transport: str) -> None:
    async def attack() -> None:
        app = make_app()
        names = await _negotiate(app, "alice")
        token, connection_id = names["connectionToken"], names["connectionId"]
        url = f"/room?id={token}"
        accept = {"accept": "text/event-stream"} if transport == "ServerSentEvents" else {}
        victim: Any
        if transport == "WebSockets":
            victim = await _connect(app, url, "alice")
        else:
            victim = Http(app, "GET", url, "alice", accept)
            await asyncio.sleep(1)
            assert await Http(app, "POST", url, "alice", body=handshake().encode()).answered() == 200
        guesses = [
            connection_id,
            token[:-1],
            token + "A",
            token.swapcase(),
            f"{token}%00",
            f"%20{token}",
            f"{token}&id={connection_id}",
            "%0d%0aSet-Cookie:%20a=b",
            "__proto__",
            "None",
            "",
        ]
        evil = _call("whisper").encode()
        for guess in guesses:
            for method in ("GET", "POST", "DELETE"):
                asked = Http(app, method, f"/room?id={guess}", "alice", accept, body=evil)
                assert await asked.answered() in (400, 404), (method, guess)
        for thief in (None, "bob"):
            for method in ("GET", "POST", "DELETE"):
                asked = Http(app, method, url, thief, accept, body=evil)
                assert await asked.answered() == (403 if thief else 401), (method, thief)
            socket = Socket(app, url, thief)
            await socket.hear(partial(_happened, socket))
            assert socket.events[0]["type"] == "websocket.http.response.start"
        for method in ("GET", "POST", "DELETE"):
            asked = Http(app, method, url, "alice", {**accept, "origin": "https://evil.test"}, body=evil)
            assert await asked.answered() == 403
        if transport == "WebSockets":
            assert await Http(app, "POST", url, "alice", body=evil).answered() == 405
            assert len([each for each in _said(victim) if each.get("target") == "whispered"]) == 1
        victim.leave()
        await asyncio.sleep(300)
        assert remains(app._servers.to_serve()) == {}

    run(attack())


def test_nothing_of_a_class_can_be_called_but_its_own_methods() -> None:
    async def attack() -> None:
        app = make_app()
        socket = await _connect(app)
        names = ["__init__", "__class__", "on_connected", "on_disconnected", "context", "clients", "groups", "presence"]
        names += [
            "__proto__",
            "constructor",
            "toString",
            "_secret",
            "Room.echo",
            "echo ",
            "echo\0",
            "",
            "clients.all.send",
        ]
        for number, name in enumerate(names, 1):
            socket.send(_call(name, id=str(number)))
            answer = await _hear(socket, type=3, invocationId=str(number))
            assert answer["error"].startswith(f"Failed to invoke '{name}' due to an error on the server.")
            assert answer["error"].endswith(" HubException: Method does not exist.")
        odd = {"__proto__": {"admin": True}, "constructor": 1, "type": 7, "error": "x", "invocationId": "no"}
        socket.send(_call("echo", odd, id="odd"))
        assert (await _hear(socket, type=3, invocationId="odd"))["result"] == odd
        socket.leave()
        await asyncio.sleep(60)

    run(attack())


@pytest.mark.parametrize("allowed", [(), "*"])
def test_no_header_can_be_smuggled_into_an_answer(allowed: Any) -> None:
    async def attack() -> None:
        app = make_app(allowed_origins=allowed)
        for origin in (
            "http://a%0d%0aSet-Cookie:%20a=b",
            "http://\xff\x80",
            "null",
            " ",
        ):
            for query in ("negotiateVersion=%0d%0aSet-Cookie:%20a=b", "id=%0d%0aSet-Cookie:%20a=b", "%0d%0a=%0d%0a"):
                for method in ("POST", "GET", "OPTIONS"):
                    for path in ("/room", "/room/negotiate", "/%0d%0aX"):
                        asked = Http(app, method, f"{path}?{query}", None, {"origin": origin})
                        await asked.answered()
                        assert not any(b"set-cookie" in name for name, _ in asked.events[0]["headers"])

    run(attack())


# What costs others.


def test_a_frame_full_of_messages_leaves_others_their_turn() -> None:
    async def attack() -> None:
        app = make_app()
        for kind in (Socket, DirectSocket):
            attacker, witness = await _connect(app, kind=kind), await _connect(app)
            attacker.send(_call("echo", "x") * 20_000)
            witness.send(_call("echo", "mine"))
            await _hear(witness, type=3)
            answered = sum(frame.count(SEPARATOR) for frame in attacker.frames if isinstance(frame, str))
            assert answered < 2000
            attacker.leave()
            witness.leave()
        await asyncio.sleep(60)

    run(attack())


NOTHING: dict[str, list[Any]] = {
    "unknown": [99],
    "pings": [6],
    "cancellations": [5, {}, "nothing"],
    "items": [2, {}, "nothing", 1],
    "completions": [3, {}, "nothing", 2],
}


@pytest.mark.parametrize("kind", [Socket, DirectSocket])
@pytest.mark.parametrize("name", NOTHING)
@pytest.mark.parametrize("protocol", ["json", "messagepack"])
def test_what_yields_nothing_leaves_others_their_turn(protocol: str, name: str, kind: type[Socket]) -> None:
    number, *rest = NOTHING[name]
    message = {"type": number, **dict(zip(("", "invocationId", "item"), rest, strict=False))}
    worthless: Any = text_of(message) if protocol == "json" else packed(NOTHING[name])
    last: Any = _call("echo", "last") if protocol == "json" else packed([1, {}, "1", "echo", ["last"], []])

    async def attack() -> None:
        app = make_app()
        for frames in (worthless * 15_000 + last,), (*[worthless * 16] * 800, last):
            attacker, witness = await kind(app, "/room").accepted(), await _connect(app)
            attacker.send(handshake(protocol))
            await attacker.hear(partial(_framed, attacker, 1))
            for frame in frames:
                attacker.send(frame)
            witness.send(_call("echo", "mine"))
            await _hear(witness, type=3)
            assert len(attacker.frames) == 1
            await attacker.hear(partial(_framed, attacker, 2))
            attacker.leave()
            witness.leave()
        await asyncio.sleep(60)

    run(attack())


def test_a_stream_that_never_waits_is_as_fast_as_its_reader_and_ends_with_it() -> None:
    async def attack() -> None:
        app = make_app(max_queued_bytes=1 << 20)
        attacker, witness = await _connect(app), await _connect(app)
        attacker.stall()
        attacker.send(text_of({"type": 4, "target": "at_once", "arguments": [10**9], "invocationId": "1"}))
        await asyncio.sleep(0.5)
        served: set[Any] = {*app._servers.to_serve().connections._connections}
        (connection,) = (each for each in served if each.calls.downloads)
        assert connection.outbox._size < 128 * 1024
        witness.send(_call("echo", "mine"))
        await _hear(witness, type=3)
        attacker.leave()
        witness.leave()
        await asyncio.sleep(60)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(attack())


def test_who_sends_to_one_that_has_gone_leaves_others_their_turn() -> None:
    async def attack() -> None:
        app = make_app()
        attacker, witness = await _connect(app), await _connect(app)
        attacker.send(_call("send_on_and_on", 10_000))
        attacker.leave()
        await asyncio.wait({attacker.task})
        witness.send(_call("echo", "mine"))
        await _hear(witness, type=3)
        assert len(asyncio.all_tasks()) == 3  # the method still sends
        witness.leave()
        await asyncio.sleep(60)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(attack())


@pytest.mark.parametrize("transport", ["ServerSentEvents", "LongPolling"])
def test_who_goes_behind_a_queue_of_its_own_calls_is_noticed(transport: str) -> None:
    async def attack() -> None:
        app = make_app()
        url = f"/room?id={(await _negotiate(app))['connectionToken']}"
        stream = Http(app, "GET", url, None, {"accept": "text/event-stream"} if transport == "ServerSentEvents" else {})
        await asyncio.sleep(1)
        for body in (handshake(), _call("wait") * 40):
            assert await Http(app, "POST", url, body=body.encode()).answered() == 200
        stream.leave()
        await asyncio.sleep(60)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert remains(app._servers.to_serve()) == {}

    run(attack())


def test_what_was_posted_before_a_client_went_is_still_done() -> None:
    async def attack() -> None:
        app = make_app()
        url = f"/members?id={(await _negotiate(app, 'alice', path='/members'))['connectionToken']}"
        stream = Http(app, "GET", url, "alice", {"accept": "text/event-stream"})
        await asyncio.sleep(1)
        SLOW["alice"] = 10
        for body in (handshake(), _call("remember", "this")):
            assert await Http(app, "POST", url, "alice", body=body.encode()).answered() == 200
        stream.leave()
        await asyncio.sleep(60)
        del SLOW["alice"]
        assert REMEMBERED == ["this"]
        assert remains(app._servers.to_serve()) == {}

    run(attack())


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("kind", [Socket, DirectSocket])
def test_who_takes_no_good_bye_is_closed_all_the_same(kind: type[Socket], version: int) -> None:
    async def attack() -> None:
        app = make_app(allow_stateful_reconnects=True)
        names = await _negotiate(app, query="?negotiateVersion=1&useStatefulReconnect=true")
        socket = await kind(app, f"/room?id={names['connectionToken']}").accepted()
        socket.send(handshake(version=version))
        await socket.hear(lambda: socket.frames or None)
        socket.stall()
        socket.send("no message" + SEPARATOR)
        await asyncio.sleep(60)
        assert remains(app._servers.to_serve()) == {}
        assert socket.task.done()

    run(attack())


def test_a_polling_client_that_has_too_much_to_read_is_told_of_the_end() -> None:
    async def attack() -> None:
        app = make_app()
        url = f"/room?id={(await _negotiate(app))['connectionToken']}"
        assert await Http(app, "GET", url).answered() == 200
        for body in (handshake(), _call("flood", id=None) * 9 + "no message" + SEPARATOR):
            assert await Http(app, "POST", url, body=body.encode()).answered() == 200
        await asyncio.sleep(10)  # nobody has polled meanwhile
        statuses = [await Http(app, "GET", url).answered() for _ in range(3)]
        assert statuses == [200, 204, 404]

    run(attack())


def test_endless_bodies_end() -> None:
    async def attack() -> None:
        app = make_app()
        url = f"/room?id={(await _negotiate(app))['connectionToken']}"
        assert await Http(app, "GET", url).answered() == 200
        assert await Http(app, "POST", url, body=handshake().encode()).answered() == 200
        endless = Http(app, "POST", url, body=None)
        for _ in range(300):
            endless.post(b"x" * 1000, more=True)
        assert await endless.answered() == 200  # the poll says that it is over
        assert endless.told.qsize() > 50  # the rest was not even read
        early = Http(app, "POST", f"/room?id={(await _negotiate(app))['connectionToken']}", body=None)
        early.post(b"x", more=True)
        assert await early.answered() == 408
        await asyncio.sleep(60)
        assert remains(app._servers.to_serve()) == {}

    run(attack())


@pytest.mark.parametrize("length", [2**31 - 1, 2**20, 2**35 - 1, 2**63])
def test_lengths_that_are_announced_take_no_memory(length: int) -> None:
    async def attack() -> None:
        app = make_app()
        socket = await Socket(app, "/room").accepted()
        socket.send(handshake("messagepack"))
        socket.send(varint(length) + b"\x91\x06")
        await asyncio.wait({socket.task})
        assert socket.events[-1] == {"type": "websocket.close", "code": 1000}

    run(attack())


def test_arrays_and_maps_that_are_announced_take_no_memory() -> None:
    async def attack() -> None:
        app = make_app()
        for body in (
            b"\xdd\xff\xff\xff\xff",
            b"\xdf\xff\xff\xff\xff",
            b"\xc6\xff\xff\xff\xff",
            b"\xdb\xff\xff\xff\xff",
        ):
            socket = await Socket(app, "/room").accepted()
            socket.send(handshake("messagepack"))
            socket.send(packed([1, {}, "1", "echo", [1], []]))
            socket.send(varint(len(body)) + body)
            await asyncio.wait({socket.task})
            assert socket.events[-1] == {"type": "websocket.close", "code": 1000}

    run(attack())


def test_what_fills_the_memory_is_bounded_and_given_back() -> None:
    async def attack() -> None:
        app = make_app(max_negotiated_connections=50)
        socket = await _connect(app)
        for number in range(2000):
            socket.send(_call("join", f"{number}" + "g" * 1000, id=None))
        for number in range(1200):
            socket.send(text_of({"type": 4, "target": "forever", "arguments": [], "invocationId": f"s{number}"}))
        refused = await socket.hear(lambda: [each for each in _said(socket) if "error" in each] or None)
        assert refused[0]["error"].endswith("HubException: A client may have 1000 streams open at once.")
        asked = [Http(app, "POST", "/room/negotiate?negotiateVersion=1") for _ in range(200)]
        assert {await each.answered() for each in asked} == {200}
        assert len(app._servers.to_serve().connections.unopened) == 50
        long_ = Socket(app, "/room")
        await long_.accepted()
        long_.send(handshake() + _call("echo", id="i" * 3000))
        await asyncio.wait({long_.task})
        socket.leave()
        await asyncio.sleep(120)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert remains(app._servers.to_serve()) == {}
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Loop)
        assert loop.timers == []

    run(attack())


@pytest.mark.slow
def test_forgetting_many_negotiations_holds_nobody_up() -> None:
    async def attack() -> None:
        app = make_app()
        began = time.perf_counter()
        for _ in range(10_000):
            await Http(app, "POST", "/room/negotiate?negotiateVersion=1").answered()
        negotiated = time.perf_counter()
        await asyncio.sleep(60)
        assert remains(app._servers.to_serve()) == {}
        assert time.perf_counter() - negotiated < negotiated - began

    run(attack())


def test_no_input_takes_more_than_its_length() -> None:
    async def attack() -> None:
        app = make_app(allowed_origins=["https://a.test"])
        size = 60_000
        awkward = [
            "&" * size,
            "=" * size,
            "%" * size,
            "%41" * (size // 3),
            "a=&" * (size // 3),
            "negotiateVersion=" + "1" * size,
        ]
        origins = [
            "h" * size,
            "http://" + "." * size,
            "http://" + "@" * size,
            "http://[" + ":" * size,
            " " * size + "x",
        ]
        began = time.perf_counter()
        for query in awkward:
            await Http(app, "POST", f"/room/negotiate?{query}").answered()
        for origin in origins:
            await Http(app, "POST", "/room/negotiate", None, {"origin": origin, "host": origin}).answered()
        socket = await _connect(app)
        for text in ("\n" * 4000, "\\" * 4000, '"' * 4000, "[" * 4000, '{"a":' * 800, "1" * 4000, "-" * 4000):
            socket.send(text)
        await asyncio.wait({socket.task})
        assert time.perf_counter() - began < 3

    run(attack())


# What is written down.


async def test_no_log_gives_a_secret_away(tmp_path: Path) -> None:
    with serving("auto", tmp_path, debug=True) as server:
        clients: list[Any] = [kind(server.port, user="alice") for kind in (WebSocket, Events, Polls)]
        urls = []
        for client in clients:
            await client.open()
            await client.call("whisper")
            assert await client.call("mine") == SECRETS["alice"]
            urls.append(client.url)
        for url in urls:
            token = url.partition("id=")[2].partition("&")[0]
            for method, path, *lines in (
                ("GET", f"/room?id={token}&access_token=bob-s-token"),
                ("PUT", f"/room?id={token}"),
                ("GET", f"/none?id={token}&access_token=bob-s-token"),
                ("GET", f"/signalr.js?%69d={token}"),
                ("POST", f"/members?id={token}", "Origin: https://evil.test"),
                ("POST", f"/members/negotiate?id={token}&access_token=%62ob-s-token", "Origin: https://evil.test"),
                ("OPTIONS", f"/room?id={token}", "Access-Control-Request-Method: POST", "Origin: https://evil.test"),
            ):
                await request(server.port, method, path, b"", *lines)
            for path in (f"/room?id={token}", f"/none?id={token}", f"/members?id={token}x"):
                with pytest.raises(Gone):
                    await WebSocket(server.port, user="bob-s-token").upgrade(path)
        for client in clients:
            await client.close()
        log = server.log.read_text()
    assert "opened by LongPolling" in log and "GET /none" in log  # there is something to be found in it
    secrets = [url.partition("id=")[2].partition("&")[0] for url in urls]
    assert [each for each in [*secrets, *SECRETS.values(), "bob-s-token", HOST + "/secret"] if each in log] == []
