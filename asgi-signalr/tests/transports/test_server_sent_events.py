"""Server-Sent Events, byte by byte: TransportProtocols.md, Server-Sent Events."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from asgi_signalr.hubs.calls import LOOK_AHEAD
from asgi_signalr.transports.server_sent_events import format_event

from .conftest import EVENTS, HANDSHAKE

Client = Callable[..., Any]


def event(number: int, result: str) -> bytes:
    return f'data: {{"type":3,"invocationId":"{number}","result":{result}}}\x1e\r\n\r\n'.encode()


async def test_the_answer_begins_with_a_comment(client: Client) -> None:
    peer = await client().negotiate()
    stream = await peer.ask("GET", headers=EVENTS).begun()
    assert stream.status == 200
    assert stream.headers == {
        "content-type": "text/event-stream",
        "cache-control": "no-cache,no-store",
        "pragma": "no-cache",
        "content-encoding": "identity",
        "x-accel-buffering": "no",
    }
    assert await stream.portion() == b":\r\n"


async def test_the_handshake_may_be_posted_before_the_events_are_asked_for(client: Client) -> None:
    peer = await client().negotiate()
    await peer.post(HANDSHAKE)
    stream = await peer.ask("GET", headers=EVENTS).begun()
    assert [await stream.portion(), await stream.portion()] == [b":\r\n", b"data: {}\x1e\r\n\r\n"]


@pytest.mark.parametrize(
    ("data", "written"),
    [
        (b"one", b"data: one\r\n\r\n"),
        (b"one\ntwo", b"data: one\r\ndata: two\r\n\r\n"),
        (b"one\r\ntwo", b"data: one\r\ndata: two\r\n\r\n"),
        (b"one\rtwo", b"data: one\r\ndata: two\r\n\r\n"),
        (b"one\n", b"data: one\r\ndata: \r\n\r\n"),
        (b"\n\n", b"data: \r\ndata: \r\ndata: \r\n\r\n"),
        (b"", b"data: \r\n\r\n"),
        (" ä: €".encode(), "data:  ä: €\r\n\r\n".encode()),
    ],
)
def test_each_line_is_a_field(data: bytes, written: bytes) -> None:
    assert format_event(data) == written


async def test_what_is_posted_is_answered_as_an_event(client: Client) -> None:
    peer = client()
    stream = await peer.listen()
    await peer.invoke("echo", "line\nbreak")
    assert await stream.portion() == event(1, json.dumps("line\nbreak"))


async def test_the_messages_of_one_moment_are_one_event(client: Client) -> None:
    peer = client()
    stream = await peer.listen()
    call = b'{"type":1,"invocationId":"1","target":"echo","arguments":["%d"]}\x1e'
    await peer.post(call % 1 + call % 2)
    assert await stream.portion() == event(1, '"1"')[:-4] + event(1, '"2"')[6:]


async def test_a_body_may_come_in_portions_and_end_within_a_message(client: Client) -> None:
    peer = client()
    stream = await peer.listen()
    call = b'{"type":1,"invocationId":"1","target":"echo","arguments":["whole"]}\x1e'
    post = peer.ask("POST", body=None)
    post.post(call[:10])
    post.post(call[10:20])
    post.post(call[20:30], more_body=False)
    assert (await post.answer()).status == 200
    await peer.post(call[30:])
    assert await stream.portion() == event(1, '"whole"')


async def test_bodies_do_not_mix(client: Client) -> None:
    peer = client()
    stream = await peer.listen()
    call = b'{"type":1,"invocationId":"1","target":"echo","arguments":["%s"]}\x1e'
    first = peer.ask("POST", body=None)
    first.post((call % b"first")[:10])
    second = peer.ask("POST", body=call % b"second")
    await asyncio.sleep(0)
    assert second.is_waiting
    first.post((call % b"first")[10:], more_body=False)
    assert [(await each.answer()).status for each in (first, second)] == [200, 200]
    assert [await stream.portion() for _ in range(2)] == [event(1, '"first"'), event(1, '"second"')]


async def test_a_body_that_breaks_off_is_a_bad_request(client: Client) -> None:
    peer = client()
    await peer.listen()
    post = peer.ask("POST", body=None)
    post.post(b'{"type":6}')
    post._to_app.put_nowait({"type": "http.disconnect"})
    response = await post.answer()
    assert (response.status, response.text) == (400, "The body could not be read to its end.")


async def kept_busy(peer: Any) -> None:
    """Have the hub wait in one call, and as many behind it as the server looks ahead."""
    await peer.invoke("wait")
    for _ in range(LOOK_AHEAD + 1):
        await peer.invoke("note", "next")
    async with asyncio.timeout(10):
        await peer.hub.begun.wait()


async def test_a_post_waits_while_the_hub_takes_nothing(client: Client) -> None:
    peer = client(max_message_size=200_000)
    stream = await peer.listen()
    await kept_busy(peer)
    note = b'{"type":1,"target":"note","arguments":["%b"]}\x1e'
    big, small = peer.ask("POST", body=note % (b"x" * 70_000)), peer.ask("POST", body=note % b"last")
    for _ in range(20):
        await asyncio.sleep(0)
    assert big.is_waiting
    assert small.is_waiting
    peer.hub.may_go_on.set()
    assert [(await each.answer()).status for each in (big, small)] == [200, 200]
    stream.go()
    await peer.ended()
    assert peer.hub.noted == ["next"] * (LOOK_AHEAD + 1) + ["x" * 70_000, "last"]


async def test_a_post_that_waits_learns_of_the_end(client: Client) -> None:
    peer = client()
    stream = await peer.listen()
    await kept_busy(peer)
    posts = [peer.ask("POST", body=b"x" * 70_000), peer.ask("POST", body=b"y")]
    for _ in range(20):
        await asyncio.sleep(0)
    assert [each.is_waiting for each in posts] == [True, True]
    stream.go()
    for post in posts:
        response = await post.answer()
        assert (response.status, response.text) == (404, "No Connection with that ID")
    peer.hub.may_go_on.set()
    await peer.ended()


async def test_a_client_that_goes_is_noticed_at_once(client: Client) -> None:
    peer = client()
    stream = await peer.listen()
    stream.go()
    assert await peer.ended() is None
    await stream.ended()
    assert (await peer.ask("POST", body=HANDSHAKE).answer()).status == 404


async def test_a_client_that_goes_before_it_has_said_anything_is_noticed(client: Client) -> None:
    peer = await client().negotiate()
    stream = await peer.ask("GET", headers=EVENTS).begun()
    stream.go()
    await stream.ended()
    assert peer.manager.negotiated(peer.token, "Chat") is None


async def test_what_was_posted_before_the_client_went_still_happens(client: Client) -> None:
    peer = client()
    stream = await peer.listen()
    await peer.invoke("wait")
    await peer.invoke("note", "last words")
    stream.go()
    peer.hub.may_go_on.set()
    await peer.ended()
    assert peer.hub.noted == ["last words"]


async def test_the_end_comes_after_the_last_event(client: Client) -> None:
    peer = client()
    stream = await peer.listen()
    await peer.invoke("leave")
    assert await stream.portion() == b'data: {"type":7}\x1e\r\n\r\n'
    assert await stream.portion() is None
    await stream.ended()
    assert await peer.ended() is None
    assert (await peer.ask("GET", headers=EVENTS).answer()).status == 404


async def test_pings_keep_the_stream_alive(client: Client) -> None:
    peer = client(keep_alive_interval=0.02)
    stream = await peer.listen()
    assert await stream.portion() == b'data: {"type":6}\x1e\r\n\r\n'


async def test_a_client_that_does_not_read_is_given_up(client: Client) -> None:
    peer = client(send_timeout=0.02, close_timeout=0.02)
    stream = await peer.listen()
    stream.does_not_read()
    await peer.invoke("echo", "x")
    assert str(await peer.ended()) == "The client takes nothing of what is sent to it."


async def test_messagepack_does_not_fit_into_events(client: Client) -> None:
    peer = await client().negotiate()
    stream = await peer.ask("GET", headers=EVENTS).begun()
    assert await stream.portion() == b":\r\n"
    await peer.post(b'{"protocol":"messagepack","version":1}\x1e')
    text = (
        "Cannot use the 'messagepack' protocol on the current transport. "
        "The transport does not support 'Binary' transfer format."
    )
    assert await stream.portion() == b'data: {"error":"%b"}\x1e\r\n\r\n' % text.encode()
    assert await stream.portion() is None


async def test_the_application_that_stops_tells_who_listens(client: Client) -> None:
    peer = client()
    stream = await peer.listen()
    await peer.app.stop()
    assert await stream.portion() == b'data: {"type":7,"allowReconnect":true}\x1e\r\n\r\n'
    assert await stream.portion() is None
    assert await peer.ended() is None


async def test_a_long_message_is_refused_however_it_is_posted(client: Client) -> None:
    peer = client(max_message_size=1000, detailed_errors=True)
    stream = await peer.listen()
    post = peer.ask("POST", body=None)
    for _ in range(20):
        post.post(b"x" * 100)
    close = json.loads((await stream.portion())[6:-5])
    assert close["allowReconnect"] is True
    assert "The maximum message size of 1000B was exceeded." in close["error"]
    assert await stream.portion() is None
