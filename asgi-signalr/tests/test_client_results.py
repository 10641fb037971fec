"""What a client's method answers: asked by the hub or from outside, on one server and across two."""

import asyncio
import itertools
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from asgi_signalr import Hub, HubException, SignalR
from asgi_signalr.errors import InvalidDataError
from asgi_signalr.testing import TestClient

Connect = Callable[..., Awaitable[Any]]

_names = itertools.count(1)


class Point(msgspec.Struct):
    x: int
    y: int


class Quiz(Hub):
    async def on_connected(self) -> None:
        if "ask" in self.context.query:
            await self.clients.caller.invoke("name")

    async def on_disconnected(self, error: Exception | None) -> None:
        if "ask-at-the-end" in self.context.query:
            await self.clients.client("somebody").invoke("name")

    def id(self) -> str:
        return self.context.connection_id

    async def ask(self, *arguments: Any) -> Any:
        return await self.clients.caller.invoke("name", *arguments)

    async def ask_another(self, connection_id: str) -> str:
        return "They said " + await self.clients.client(connection_id).invoke("name", returns=str)

    def pay(self, amount: Decimal) -> None:
        """With this, numbers are read exactly."""

    async def ask_all_at_once(self) -> list[Any]:
        caller = self.clients.caller
        return list(await asyncio.gather(caller.invoke("first"), caller.invoke("second")))


def quiz(**options: Any) -> SignalR:
    app = SignalR(**options)
    app.hub("/quiz")(Quiz)
    return app


@pytest.fixture
async def apps() -> AsyncIterator[Callable[[int], list[SignalR]]]:
    """Makes servers of one application, joined by a backplane in this process."""
    made: list[SignalR] = []

    def make(number: int, **options: Any) -> list[SignalR]:
        url = f"memory://results-{next(_names)}" if number > 1 else "memory://"
        made.extend(quiz(**{"backplane": url, "group_timeout": 0.05} | options) for _ in range(number))
        return made

    yield make
    for app in made:
        await app.stop()


async def id_of(peer: Any) -> str:
    return str(json.loads(await peer.call("id"))["result"])


async def asked(peer: Any) -> dict[str, Any]:
    """Wait for the server's question."""
    message: dict[str, Any] = json.loads((await peer.frame()).removesuffix("\x1e"))
    assert message["type"] == 1
    return message


def answer(peer: Any, question: dict[str, Any], **completion: Any) -> None:
    peer.send(json.dumps({"type": 3, "invocationId": question["invocationId"]} | completion) + "\x1e")


async def completion(peer: Any) -> str:
    return str(await peer.frame()).removesuffix("\x1e")


# In a hub.


async def test_a_hub_method_asks_its_caller(connect: Connect) -> None:
    peer = await connect(quiz(), "/quiz")
    peer.invoke("ask", 4, "x")
    question = await asked(peer)
    assert question == {"type": 1, "target": "name", "arguments": [4, "x"], "invocationId": "s1"}
    answer(peer, question, result={"name": "Ada"})
    assert await completion(peer) == '{"type":3,"invocationId":"1","result":{"name":"Ada"}}'


async def test_the_callers_next_invocation_does_not_wait_for_its_answer(connect: Connect) -> None:
    peer = await connect(quiz(), "/quiz")
    peer.invoke("ask")
    question = await asked(peer)
    peer.invoke("ask", id="2")
    second = await asked(peer)
    assert second["invocationId"] == "s2"
    answer(peer, second, result=2)
    assert await completion(peer) == '{"type":3,"invocationId":"2","result":2}'
    answer(peer, question, result=1)
    assert await completion(peer) == '{"type":3,"invocationId":"1","result":1}'


async def test_several_questions_wait_at_once_and_are_told_apart(connect: Connect) -> None:
    peer = await connect(quiz(), "/quiz")
    peer.invoke("ask_all_at_once")
    frames = (await peer.frame()).split("\x1e")
    first, second = (json.loads(frame) for frame in frames[:2])
    answer(peer, second, result="b")
    answer(peer, first, result="a")
    assert await completion(peer) == '{"type":3,"invocationId":"1","result":["a","b"]}'


async def test_a_hub_method_asks_another_client_and_only_that_one_can_answer(connect: Connect) -> None:
    app = quiz()
    caller, other = await connect(app, "/quiz"), await connect(app, "/quiz")
    caller.invoke("ask_another", await id_of(other))
    question = await asked(other)
    answer(caller, question, result="an impostor")
    assert await id_of(caller)  # what the impostor has sent is dealt with
    answer(other, question, result="Ada")
    assert await completion(caller) == '{"type":3,"invocationId":"1","result":"They said Ada"}'


@pytest.mark.parametrize("error", ["Error: from callback", "Client didn't provide a result."])
async def test_a_clients_error_is_told_to_the_hub_with_its_own_words(connect: Connect, error: str) -> None:
    peer = await connect(quiz(), "/quiz")
    peer.invoke("ask")
    answer(peer, await asked(peer), error=error)
    assert json.loads(await completion(peer)) == {
        "type": 3,
        "invocationId": "1",
        "error": f"An unexpected error occurred invoking 'ask' on the server. HubException: {error}",
    }


async def test_on_connected_cannot_ask(open_to: Any) -> None:
    peer = open_to(quiz(detailed_errors=True), "/quiz?ask")
    await peer.accepted()
    peer.send('{"protocol":"json","version":1}\x1e')
    assert await peer.frame() == "{}\x1e"
    assert json.loads((await peer.frame()).removesuffix("\x1e")) == {
        "type": 7,
        "error": "Connection closed with an error. RuntimeError: "
        "Client results inside on_connected are not allowed: "
        "a client's messages are read only when its own on_connected has ended.",
    }


async def test_who_has_gone_cannot_be_asked_in_on_disconnected(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    peer = await connect(quiz(), "/quiz?ask-at-the-end")
    await peer.drop()
    assert [re.sub("'.*'", "'…'", str(record.exc_info and record.exc_info[1])) for record in caplog.records] == [
        "Connection '…' does not exist."
    ]


async def test_other_clients_can_be_asked_when_a_connection_begins_and_when_it_ends() -> None:
    signalr = SignalR()
    heard: list[str] = []

    class Reception(Hub):
        async def on_connected(self) -> None:
            if other := self.context.query.get("other"):
                heard.append(await self.clients.client(other).invoke("who", "comes", returns=str))

        async def on_disconnected(self, error: Exception | None) -> None:
            if other := self.context.query.get("other"):
                heard.append(await self.clients.client(other).invoke("who", "goes", returns=str))

    signalr.hub("/reception")(Reception)
    async with TestClient(signalr, "/reception") as first:
        first.on("who", lambda what: f"somebody {what}")
        async with TestClient(signalr, "/reception", query={"other": str(first.connection_id)}):
            pass
    assert heard == ["somebody comes", "somebody goes"]


async def test_a_method_that_waits_hears_of_the_end_before_on_disconnected_does(connect: Connect) -> None:
    happened: list[str] = []

    class Waiting(Hub):
        async def ask(self) -> None:
            try:
                await self.clients.caller.invoke("name")
            except ConnectionError:
                happened.append("no answer")
                self.context.items["told"].set()

        async def on_connected(self) -> None:
            self.context.items["told"] = asyncio.Event()

        async def on_disconnected(self, error: Exception | None) -> None:
            await self.context.items["told"].wait()
            happened.append("disconnected")

    app = SignalR()
    app.hub("/quiz")(Waiting)
    peer = await connect(app, "/quiz")
    peer.invoke("ask")
    await asked(peer)
    await peer.drop()
    assert happened == ["no answer", "disconnected"]


# From outside.


@pytest.fixture(params=[1, 2], ids=["one server", "two servers"])
async def pair(request: pytest.FixtureRequest, apps: Any, connect: Connect) -> tuple[Any, Any, str]:
    """The clients as one server sees them, a peer that is connected to the other one, and its id."""
    here, there = (apps(request.param) * 2)[:2]
    await here.start()
    peer = await connect(there, "/quiz")
    return here.hub_context(Quiz).clients, peer, await id_of(peer)


async def test_a_client_is_asked_wherever_it_is(pair: tuple[Any, Any, str]) -> None:
    clients, peer, name = pair
    task = asyncio.create_task(clients.client(name).invoke("name", "please", [1]))
    question = await asked(peer)
    assert (question["target"], question["arguments"]) == ("name", ["please", [1]])
    answer(peer, question, result={"deep": [1, None]})
    assert await task == {"deep": [1, None]}


async def test_a_result_is_converted_to_what_is_asked_for(pair: tuple[Any, Any, str]) -> None:
    clients, peer, name = pair
    task = asyncio.create_task(clients.client(name).invoke("where", returns=Point))
    answer(peer, await asked(peer), result={"x": 1, "y": 2})
    assert await task == Point(1, 2)


async def test_a_result_of_another_type_is_an_error(pair: tuple[Any, Any, str]) -> None:
    clients, peer, name = pair
    task = asyncio.create_task(clients.client(name).invoke("age", returns=int))
    answer(peer, await asked(peer), result="old")
    with pytest.raises(InvalidDataError, match=r"^Error trying to deserialize result to int\. Expected `int`"):
        await task


@pytest.mark.parametrize("returns", [float, Any])
async def test_a_number_that_was_read_exactly_is_one_wherever_the_client_is(
    pair: tuple[Any, Any, str], returns: Any
) -> None:
    clients, peer, name = pair
    task = asyncio.create_task(clients.client(name).invoke("share", returns=returns))
    answer(peer, await asked(peer), result=1.1)
    assert await task == 1.1


@pytest.mark.parametrize("returns", [str, Any])
async def test_a_result_that_cannot_be_read_is_an_error(pair: tuple[Any, Any, str], returns: Any) -> None:
    clients, peer, name = pair
    task = asyncio.create_task(clients.client(name).invoke("name", returns=returns))
    answer(peer, await asked(peer), result="\ud83d")
    with pytest.raises(HubException, match=r"^Error trying to deserialize result"):
        await task


async def test_a_client_that_answers_nothing_has_answered_none(pair: tuple[Any, Any, str]) -> None:
    clients, peer, name = pair
    task = asyncio.create_task(clients.client(name).invoke("do"))
    answer(peer, await asked(peer))
    assert await task is None


async def test_a_clients_error_is_raised_where_it_was_asked(pair: tuple[Any, Any, str]) -> None:
    clients, peer, name = pair
    task = asyncio.create_task(clients.client(name).invoke("name"))
    answer(peer, await asked(peer), error="Error: I have none")
    with pytest.raises(HubException, match=r"^Error: I have none$"):
        await task


async def test_a_connection_that_does_not_exist_is_an_error(pair: tuple[Any, Any, str]) -> None:
    with pytest.raises(ConnectionError, match=r"^Connection '1234' does not exist\.$"):
        await pair[0].client("1234").invoke("name")


async def test_a_connection_that_ends_before_it_answers_is_an_error(pair: tuple[Any, Any, str]) -> None:
    clients, peer, name = pair
    task = asyncio.create_task(clients.client(name).invoke("name"))
    await asked(peer)
    await peer.drop()
    with pytest.raises(ConnectionError, match=rf"^Connection '{name}' disconnected\.$"):
        await task


async def test_a_client_that_takes_too_long_is_an_error_and_its_late_answer_nothing(pair: tuple[Any, Any, str]) -> None:
    clients, peer, name = pair
    with pytest.raises(TimeoutError) as caught:
        await clients.client(name).invoke("name", timeout=0.001)
    assert str(caught.value) == (
        f"Invocation canceled by the server. Connection '{name}' has not answered 'name' within 0.001 s."
    )
    answer(peer, await asked(peer), result="late")
    assert await id_of(peer) == name


async def test_a_client_may_take_longer_than_servers_take_to_acknowledge(pair: tuple[Any, Any, str]) -> None:
    clients, peer, name = pair
    task = asyncio.create_task(clients.client(name).invoke("name"))
    question = await asked(peer)
    await asyncio.wait({task}, timeout=0.2)
    assert not task.done()
    answer(peer, question, result="at last")
    assert await task == "at last"
    assert await id_of(peer) == name  # it was asked once


async def test_whoever_is_cancelled_waits_no_more(pair: tuple[Any, Any, str]) -> None:
    clients, peer, name = pair
    task = asyncio.create_task(clients.client(name).invoke("name"))
    question = await asked(peer)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    answer(peer, question, result="late")
    assert await id_of(peer) == name


async def test_an_argument_that_cannot_be_encoded_is_an_error(pair: tuple[Any, Any, str]) -> None:
    clients, peer, name = pair
    with pytest.raises(TypeError):
        await clients.client(name).invoke("name", object())
    assert await id_of(peer) == name


def test_only_one_connection_can_be_asked() -> None:
    clients = quiz().hub_context(Quiz).clients
    for proxy in (
        clients.all,
        clients.group("x"),
        clients.user("x"),
        clients.clients(["x"]),
        clients.all_except(["x"]),
    ):
        assert not hasattr(proxy, "invoke")


# Two servers.


async def test_questions_of_several_servers_have_different_ids(apps: Any, connect: Connect) -> None:
    one, other, third = apps(3)
    for app in (other, third):
        await app.start()
    peer = await connect(one, "/quiz")
    name = await id_of(peer)
    tasks = []
    questions = []
    for app in (one, other, third):
        tasks.append(asyncio.create_task(app.hub_context(Quiz).clients.client(name).invoke("name")))
        questions.append(await asked(peer))
    assert len({question["invocationId"] for question in questions}) == 3
    for number, question in enumerate(questions):
        answer(peer, question, result=number)
    assert await asyncio.gather(*tasks) == [0, 1, 2]


@pytest.fixture
def patient(apps: Any) -> Any:
    """Two servers that would wait longer than any test: what fails there has failed at once."""
    return apps(2, group_timeout=60, presence_lease=180)


def have_answered(app: SignalR) -> None:
    """Let the time pass that other servers have to say that they are there."""
    app._servers.to_serve().roll._called = float("-inf")


@pytest.mark.parametrize("name", ["1234", "AAAAAAAAAAAAAAAAAAAAAA"])
async def test_a_connection_that_no_server_has_is_known_at_once(patient: Any, name: str) -> None:
    here, there = patient
    for app in (here, there):
        await app.start()
    have_answered(here)
    with pytest.raises(ConnectionError, match=rf"^Connection '{name}' does not exist\.$"):
        await here.hub_context(Quiz).clients.client(name).invoke("name")


async def test_that_a_connection_has_gone_is_told_at_once_by_its_server(patient: Any, connect: Connect) -> None:
    here, there = patient
    await here.start()
    peer = await connect(there, "/quiz")
    name = await id_of(peer)
    await peer.drop()
    with pytest.raises(ConnectionError, match=rf"^Connection '{name}' does not exist\.$"):
        await here.hub_context(Quiz).clients.client(name).invoke("name")


async def test_the_connections_of_a_server_that_has_stopped_are_known_to_be_gone(
    patient: Any, connect: Connect
) -> None:
    here, there = patient
    await here.start()
    have_answered(here)
    peer = await connect(there, "/quiz")
    name = await id_of(peer)
    await there.stop()
    with pytest.raises(ConnectionError, match=rf"^Connection '{name}' does not exist\.$"):
        await here.hub_context(Quiz).clients.client(name).invoke("name")


async def test_a_server_that_dies_leaves_nobody_waiting(apps: Any, connect: Connect) -> None:
    here, there = apps(2)
    await here.start()
    peer = await connect(there, "/quiz")
    name = await id_of(peer)
    task = asyncio.create_task(here.hub_context(Quiz).clients.client(name).invoke("name"))
    await asked(peer)
    await there._servers.to_serve()._backplane.stop()  # it says and hears nothing any more
    with pytest.raises(ConnectionError, match=rf"^Connection '{name}' disconnected\.$"):
        await task


async def test_nothing_is_kept_of_questions_that_are_over(apps: Any, connect: Connect) -> None:
    here, there = apps(2)
    await here.start()
    peer = await connect(there, "/quiz")
    name = await id_of(peer)
    clients = here.hub_context(Quiz).clients
    task = asyncio.create_task(clients.client(name).invoke("name"))
    answer(peer, await asked(peer), result=1)
    await task
    with pytest.raises(TimeoutError):
        await clients.client(name).invoke("name", timeout=0.001)
    await asked(peer)
    with pytest.raises(TypeError):
        await clients.client(name).invoke("name", object())
    assert await id_of(peer) == name  # the other server has heard by now that nobody waits
    for app in (here, there):
        results = app._servers.to_serve().local_hub("Quiz")._results
        assert (results._asked, results._owed) == ({}, {})
