"""Long polling, request by request: TransportProtocols.md, Long Polling."""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from asgi_signalr.http import Disconnected
from asgi_signalr.transports.long_polling import LongPollingTransport
from asgi_signalr.transports.payload import Payload
from starlette.middleware.base import BaseHTTPMiddleware

from .conftest import HANDSHAKE

Client = Callable[..., Any]

NO_CACHE = {
    "cache-control": "no-cache, no-store",
    "pragma": "no-cache",
    "expires": "Thu, 01 Jan 1970 00:00:00 GMT",
}
CALL = b'{"type":1,"invocationId":"%d","target":"%b","arguments":[%b]}\x1e'


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  (nothing tells when)
            await asyncio.sleep(0)


def answer_to(number: int, result: str) -> str:
    return f'{{"type":3,"invocationId":"{number}","result":{result}}}\x1e'


async def test_the_first_poll_is_answered_at_once_and_empty(client: Client) -> None:
    peer = await client().negotiate()
    response = await peer.poll().answer()
    assert (response.status, response.text) == (200, "")
    assert response.headers == {"content-type": "application/octet-stream", "content-length": "0"} | NO_CACHE


async def test_the_next_poll_waits_for_something_to_send(client: Client) -> None:
    peer = await client().poll_open()
    poll = peer.poll()
    await until(lambda: peer.manager.negotiated(peer.token, "Chat").connection.transport.is_polled)
    assert poll.is_waiting
    await peer.invoke("echo", "hello")
    response = await poll.answer()
    assert (response.status, response.text) == (200, answer_to(1, '"hello"'))
    assert response.headers.items() >= NO_CACHE.items()


async def test_the_handshake_may_be_posted_before_the_first_poll(client: Client) -> None:
    peer = await client().negotiate()
    await peer.post(HANDSHAKE[:10])
    await peer.post(HANDSHAKE[10:])
    assert await peer.polled() == ""
    assert await peer.polled() == "{}\x1e"
    await peer.invoke("echo", "hello")
    assert await peer.polled() == answer_to(1, '"hello"')


async def test_a_handshake_is_all_that_is_kept_before_the_first_poll(client: Client) -> None:
    peer = await client().negotiate()
    await peer.post(HANDSHAKE)
    response = await peer.ask("POST", b"x" * 4096).answer()
    assert (response.status, response.text) == (
        413,
        "Before its transport is open a client may post its handshake, and no more.",
    )
    assert peer.manager.negotiated(peer.token, "Chat").posted.size == len(HANDSHAKE)
    peer.manager.forget(peer.token)
    assert (await peer.ask("POST", HANDSHAKE).answer()).status == 404


async def test_a_poll_takes_all_that_is_there(client: Client) -> None:
    peer = await client().poll_open()
    for text in ("one", "two"):
        await peer.invoke("echo", text)
    await peer.post(b'{"type":6}\x1e')
    await until(lambda: len(peer.manager.negotiated(peer.token, "Chat").connection.transport._waiting) == 2)
    assert await peer.polled() == answer_to(1, '"one"') + answer_to(1, '"two"')


async def test_a_poll_that_finds_nothing_is_answered_empty_in_the_end(client: Client) -> None:
    peer = await client().poll_open()
    peer.change(poll_timeout=0.01)
    response = await peer.poll().answer()
    peer.change(poll_timeout=90)
    assert (response.status, response.text, response.headers["content-length"]) == (200, "", "0")
    assert response.headers["content-type"] == "text/plain"
    await peer.invoke("echo", "still there")
    assert await peer.polled() == answer_to(1, '"still there"')


async def test_a_new_poll_takes_the_place_of_the_one_before_and_nothing_is_lost(client: Client) -> None:
    peer = await client().poll_open()
    first = peer.poll()
    transport = peer.manager.negotiated(peer.token, "Chat").connection.transport
    await until(lambda: transport.is_polled)
    second = peer.poll()
    response = await first.answer()
    assert (response.status, response.text, response.headers["content-type"]) == (204, "", "text/plain")
    assert "content-length" not in response.headers
    assert second.is_waiting
    await peer.invoke("echo", "x")
    assert (await second.answer()).text == answer_to(1, '"x"')


async def test_a_poll_that_is_replaced_in_the_moment_it_is_served_leaves_everything_to_the_next(
    client: Client,
) -> None:
    peer = await client().poll_open()
    transport = peer.manager.negotiated(peer.token, "Chat").connection.transport
    first = peer.poll()
    await until(lambda: transport.is_polled)
    second = peer.poll()
    transport.send([type("Payload", (), {"data": b"kept"})])  # before either of the two can go on
    assert (await first.answer()).status == 204
    assert (await second.answer()).text == "kept"


async def test_a_poll_that_the_client_gives_up_takes_nothing_with_it(client: Client) -> None:
    peer = await client().poll_open()
    poll = peer.poll()
    transport = peer.manager.negotiated(peer.token, "Chat").connection.transport
    await until(lambda: transport.is_polled)
    poll.go()
    await poll.ended()
    await peer.invoke("echo", "kept")
    assert await peer.polled() == answer_to(1, '"kept"')


async def test_a_poll_that_is_given_up_does_not_upset_a_middleware(client: Client) -> None:
    peer = await client().poll_open()

    async def pass_on(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    transport = peer.manager.negotiated(peer.token, "Chat").connection.transport
    signalr, peer.app = peer.app, BaseHTTPMiddleware(peer.app, pass_on)
    poll = peer.poll()
    await until(lambda: transport.is_polled)
    poll.go()
    with suppress(OSError):  # which is what servers may say of an answer that comes too late
        await poll.ended()
    peer.app = signalr
    await peer.invoke("echo", "kept")
    assert await peer.polled() == answer_to(1, '"kept"')


async def test_the_end_comes_after_the_last_data(client: Client) -> None:
    peer = await client().poll_open()
    await peer.invoke("leave")
    assert await peer.ended() is None
    assert await peer.polled() == '{"type":7}\x1e'
    statuses = [(await peer.poll().answer()).status for _ in range(2)]
    assert statuses == [204, 404]


async def test_the_poll_that_waits_learns_of_the_end(client: Client) -> None:
    peer = await client().poll_open()
    poll = peer.poll()
    await peer.post(b'{"type":7}\x1e')  # a client that stops says so
    assert (await poll.answer()).text == '{"type":7}\x1e'
    assert (await peer.poll().answer()).status == 204


async def test_a_client_deletes_its_connection(client: Client) -> None:
    peer = await client().poll_open()
    poll = peer.poll()
    response = await peer.ask("DELETE").answer()
    assert (response.status, response.text, response.headers["content-type"]) == (202, "", "text/plain")
    assert (await poll.answer()).status == 204
    assert await peer.ended() is None
    assert (await peer.poll().answer()).status == 404


async def test_after_its_deletion_the_next_poll_learns_of_it(client: Client) -> None:
    peer = await client().poll_open()
    await peer.ask("DELETE").answer()
    for method in ("DELETE", "POST"):
        response = await peer.ask(method).answer()
        assert (response.status, response.text) == (404, "No Connection with that ID")
    assert (await peer.poll().answer()).status == 204
    assert (await peer.poll().answer()).status == 404


async def test_what_was_posted_before_the_deletion_still_happens(client: Client) -> None:
    peer = await client().poll_open()
    await peer.invoke("wait")
    await peer.invoke("note", "last words")
    await peer.ask("DELETE").answer()
    assert peer.hub.noted == []
    peer.hub.may_go_on.set()
    assert await peer.ended() is None
    assert peer.hub.noted == ["last words"]


async def test_who_does_not_poll_any_more_is_given_up(client: Client) -> None:
    peer = await client(disconnect_timeout=15).poll_open()
    peer.pass_time(10)
    assert peer.connection.ending is None
    peer.pass_time(6)
    assert await peer.ended() is None
    await until(lambda: peer.manager.negotiated(peer.token, "Chat") is None)
    assert (await peer.poll().answer()).status == 404


async def test_a_poll_that_waits_keeps_the_connection(client: Client) -> None:
    peer = await client(disconnect_timeout=15).poll_open()
    poll = peer.poll()
    await until(lambda: peer.connection.transport.is_polled)
    peer.pass_time(80)
    await peer.invoke("echo", "here")
    assert (await poll.answer()).text == answer_to(1, '"here"')


async def test_no_pings_are_sent_to_who_polls(client: Client) -> None:
    peer = await client(keep_alive_interval=15).poll_open()
    poll = peer.poll()
    await until(lambda: peer.connection.transport.is_polled)
    peer.connection.tick(asyncio.get_running_loop().time() + 16)
    assert poll.is_waiting
    await peer.invoke("echo", "nothing before")
    assert (await poll.answer()).text == answer_to(1, '"nothing before"')


async def test_the_first_poll_tells_what_the_connection_is(client: Client) -> None:
    peer = await client().negotiate()
    url = f"{peer.url}&room=7&_=1700000000000"
    scope: dict[str, Any] = (poll := peer.poll(url=url, headers={"X-A": "first"})).scope
    await poll.answer()
    scope.clear()  # a server may use it again
    await peer.post(b'{"protocol":"json","version":1}\x1e')
    await peer.poll(headers={"X-A": "second"}).answer()
    await peer.invoke("who")
    assert await peer.polled() == answer_to(1, '[null,null,{"room":"7","_":"1700000000000"},"first"]')


class Person:
    is_authenticated = True

    def __init__(self, age: int) -> None:
        self.identity = "ada"
        self.age = age


async def test_every_poll_brings_the_user_anew(client: Client) -> None:
    peer = client()
    peer.user = Person(36)
    await peer.negotiate()
    await peer.poll(headers={"X-A": ""}).answer()
    await peer.post(b'{"protocol":"json","version":1}\x1e')
    peer.user = Person(37)
    await peer.polled()
    await peer.invoke("who")
    assert await peer.polled() == answer_to(1, '["ada",37,{},""]')


async def test_a_client_that_takes_too_long_is_not_sent_more_than_fits(client: Client) -> None:
    peer = await client(max_queued_bytes=100_000, max_message_size=1_000_000).poll_open()
    for _ in range(4):
        await peer.invoke("echo", "x" * 50_000)
    error = await peer.ended()
    assert str(error) == "The client is slow: more than 100000 bytes wait for it."


async def test_who_is_still_reading_the_answer_to_a_poll_is_not_away(client: Client) -> None:
    peer = await client(disconnect_timeout=15, send_timeout=10).poll_open()
    poll = peer.poll()
    await until(lambda: poll.is_waiting)
    goes_on = poll.does_not_read()
    await peer.invoke("echo", "much")
    await until(lambda: not peer.connection.transport.is_polled)
    peer.pass_time(24)
    assert peer.connection.ending is None
    goes_on.set()
    assert (await poll.answer()).text == answer_to(1, '"much"')
    await peer.invoke("echo", "more")
    assert await peer.polled() == answer_to(1, '"more"')


async def test_who_reads_the_answer_to_a_poll_for_ever_is_given_up(client: Client) -> None:
    peer = await client(disconnect_timeout=15, send_timeout=10).poll_open()
    poll = peer.poll()
    await until(lambda: poll.is_waiting)
    poll.does_not_read()
    await peer.invoke("echo", "much")
    await until(lambda: not peer.connection.transport.is_polled)
    peer.pass_time(26)
    assert await peer.ended() is None


async def test_much_that_waits_for_a_poll_is_kept_as_long_as_the_connection(client: Client) -> None:
    peer = await client(send_timeout=10, max_message_size=1_000_000).poll_open()
    texts = [str(number) * 50_000 for number in range(3)]
    for text in texts:
        await peer.invoke("echo", text)
    peer.connection.tick(asyncio.get_running_loop().time() + 11)  # a client over WebSockets would be given up
    received = ""
    while received.count("\x1e") < len(texts):
        received += await peer.polled()
    assert received == "".join(answer_to(1, f'"{text}"') for text in texts)


async def test_much_is_taken_by_several_polls_in_order(client: Client) -> None:
    peer = await client(max_message_size=1_000_000).poll_open()
    texts = [str(number) * 30_000 for number in range(8)]
    await peer.post(b"".join(CALL % (number, b"echo", b'"%b"' % text.encode()) for number, text in enumerate(texts)))
    wanted = "".join(answer_to(number, f'"{text}"') for number, text in enumerate(texts))
    taken, polls = "", 0
    while len(taken) < len(wanted):
        part = await peer.polled()
        assert part.endswith("\x1e")  # whole messages only
        taken, polls = taken + part, polls + 1
    assert taken == wanted
    assert polls > 1


async def test_messagepack_goes_both_ways(client: Client) -> None:
    peer = await client().negotiate()
    await peer.poll().answer()
    await peer.post(b'{"protocol":"messagepack","version":1}\x1e')
    assert await peer.polled() == "{}\x1e"
    await peer.post(b"\x0f\x96\x01\x80\xa11\xa4echo\x91\xa2hi\x90")
    assert (await peer.poll().answer()).body == b"\x09\x95\x03\x80\xa11\x03\xa2hi"


async def test_the_application_that_stops_tells_who_polls(client: Client) -> None:
    peer = await client().poll_open()
    poll = peer.poll()
    transport = peer.manager.negotiated(peer.token, "Chat").connection.transport
    await until(lambda: transport.is_polled)
    await peer.app.stop()
    assert (await poll.answer()).text == '{"type":7,"allowReconnect":true}\x1e'
    assert await peer.ended() is None


@pytest.mark.parametrize("then", ["polls", "deletes"])
async def test_the_application_that_stops_waits_for_who_polls_next(client: Client, then: str) -> None:
    peer = await client(close_timeout=60).poll_open()
    stopping = asyncio.create_task(peer.app.stop())
    assert await peer.ended() is None
    assert not stopping.done()
    if then == "polls":
        assert await peer.polled() == '{"type":7,"allowReconnect":true}\x1e'
    else:
        await peer.ask("DELETE").answer()
    async with asyncio.timeout(10):
        await stopping


async def test_two_first_polls_open_one_connection(client: Client) -> None:
    peer = await client().negotiate()
    first, second = peer.poll(), peer.poll()
    assert (await first.answer()).text == ""
    await peer.post(b'{"protocol":"json","version":1}\x1e')
    assert (await second.answer()).text == "{}\x1e"


@pytest.mark.parametrize("headers", [{}, {"Accept": "*/*"}, {"Accept": "text/html"}])
async def test_a_get_for_anything_but_events_is_a_poll(client: Client, headers: dict[str, str]) -> None:
    peer = await client().negotiate()
    response = await peer.poll(headers=headers).answer()
    assert (response.status, response.headers["content-type"]) == (200, "application/octet-stream")


async def test_a_client_that_has_gone_takes_nothing_that_comes_in_the_same_moment() -> None:
    transport, gone = LongPollingTransport(), asyncio.Event()

    async def receive() -> dict[str, str]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def stays() -> dict[str, str]:
        await asyncio.Event().wait()
        return {}

    poll = asyncio.create_task(transport.poll(receive, 60))
    await until(lambda: transport.is_polled)
    gone.set()
    await asyncio.sleep(0)  # the poll is told of it, and has not gone on yet
    transport.send([Payload(b"kept")])
    with pytest.raises(Disconnected):
        await poll
    assert await transport.poll(stays, 60) == b"kept"


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_polls_do_everything_is_taken_once_and_in_order(seed: int) -> None:
    """Polls that come, are replaced, given up or time out in any order, while messages of any size are sent."""
    chance = random.Random(seed)
    transport = LongPollingTransport()
    taken: list[str] = []
    sent = 0
    polls: list[tuple[asyncio.Task[bytes | None], asyncio.Event]] = []

    def poll() -> None:
        gone = asyncio.Event()

        async def receive() -> dict[str, str]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def take() -> bytes | None:
            data = await transport.poll(receive, chance.choice([0, 60]))
            if data:
                taken.extend(data.decode().split())
            return data

        polls.append((asyncio.create_task(take()), gone))

    async def send() -> None:
        nonlocal sent
        data = b"".join(b"%d " % number for number in range(sent, sent + chance.choice([1, 3, 20_000])))
        sent += data.count(b" ")
        sending = transport.send([Payload(data)])
        if sending is not None:
            await sending

    sending: asyncio.Task[None] | None = None
    for _ in range(200):
        match chance.randrange(4):
            case 0 if sending is None or sending.done():  # the outbox sends one after the other
                sending = asyncio.create_task(send())
            case 1:
                poll()
            case 2 if polls:
                chance.choice(polls)[1].set()
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
    while sending is not None and not sending.done():
        poll()
        await asyncio.sleep(0)
    await transport.close()
    poll()
    await asyncio.gather(*(task for task, _ in polls), return_exceptions=True)
    while not transport.is_over:
        poll()
        await polls[-1][0]
    assert taken == [str(number) for number in range(sent)]
    assert sent > 20_000
    assert {type(task.exception()) for task, _ in polls} <= {type(None), Disconnected}
