"""Conversations with a hub: invocations and their answers, events, the end."""

import asyncio
import functools
import json
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import pytest
from asgi_signalr import Hub, HubCallerContext, HubException, SignalR, hub_method
from asgi_signalr.hubs import dispatch
from asgi_signalr.hubs.calls import LOOK_AHEAD
from asgi_signalr.transports import pace

NO_METHOD = "Failed to invoke '{}' due to an error on the server. HubException: Method does not exist."
Connect = Callable[..., Awaitable[Any]]


@dataclass
class Point:
    x: int
    y: int = 0


class Base(Hub):
    def inherited(self) -> str:
        return "from the base"


class Chat(Base):
    constant = 1

    def add(self, a: int, b: int) -> int:
        return a + b

    async def add_later(self, a: int, b: int = 10) -> int:
        await asyncio.sleep(0)
        return a + b

    async def nothing(self) -> None:
        """Returns nothing."""

    def point(self, point: Point) -> Point:
        return Point(point.y, point.x)

    def all_of(self, *numbers: int) -> int:
        return sum(numbers)

    def untyped(self, anything):  # type: ignore[no-untyped-def]
        return anything

    @hub_method("sendMessage")
    def send_message(self) -> str:
        return "renamed"

    @hub_method(authorize=lambda context: context.user_identifier == "ada")
    def for_ada(self) -> str:
        return "hello Ada"

    async def fail(self) -> None:
        raise ValueError("a secret")

    async def tell(self) -> None:
        raise HubException("for everybody's ears")

    def unsendable(self) -> object:
        return object()

    def leave(self) -> None:
        self.context.abort()

    def _private(self) -> None: ...

    @staticmethod
    def static() -> None: ...

    @classmethod
    def of_class(cls) -> None: ...

    @property
    def attribute(self) -> int:
        return 1


@pytest.fixture
def app() -> SignalR:
    app = SignalR()
    app.hub("/chat")(Chat)
    return app


@pytest.mark.parametrize(
    ("target", "arguments", "answer"),
    [
        ("add", [1, 2], '"result":3'),
        ("ADD", [1, 2], '"result":3'),
        ("add_later", [1, 2], '"result":3'),
        ("add_later", [1], '"result":11'),
        ("nothing", [], '"result":null'),
        ("point", [{"x": 1, "y": 2}], '"result":{"x":2,"y":1}'),
        ("point", [{"x": 1}], '"result":{"x":0,"y":1}'),
        ("all_of", [1, 2, 3], '"result":6'),
        ("untyped", [{"a": [1.5, None]}], '"result":{"a":[1.5,null]}'),
        ("inherited", [], '"result":"from the base"'),
        ("sendMessage", [], '"result":"renamed"'),
        *[
            (target, [], f'"error":"{NO_METHOD.format(target)}"')
            for target in (
                *("nope", "send_messages", "_private", "static", "of_class", "attribute", "constant", "__init__"),
                *("on_connected", "on_disconnected", "context", "clients", "groups"),
            )
        ],
        *[
            (target, arguments, f'"error":"Failed to invoke \'{target}\' due to an error on the server."')
            for target, arguments in (
                *(("add", [1]), ("add", [1, 2, 3]), ("add", [1, "2"]), ("add", [1, None])),
                *(("point", ["x"]), ("point", [{"y": 1}]), ("all_of", [1, "x"]), ("add_later", [])),
            )
        ],
        ("for_ada", [], '"error":"Failed to invoke \'for_ada\' because user is unauthorized"'),
        ("fail", [], '"error":"An unexpected error occurred invoking \'fail\' on the server."'),
        ("unsendable", [], '"error":"An unexpected error occurred invoking \'unsendable\' on the server."'),
        (
            "tell",
            [],
            '"error":"An unexpected error occurred invoking \'tell\' on the server. '
            "HubException: for everybody's ears\"",
        ),
    ],
)
async def test_an_invocation_is_answered(
    app: SignalR, connect: Connect, target: str, arguments: list[Any], answer: str
) -> None:
    peer = await connect(app)
    assert await peer.call(target, *arguments) == '{"type":3,"invocationId":"1",' + answer + "}"


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("fail", "An unexpected error occurred invoking 'fail' on the server. ValueError: a secret"),
        (
            "add",
            "Failed to invoke 'add' due to an error on the server. "
            "InvalidDataException: Invocation provides 0 argument(s) but target expects 2.",
        ),
    ],
)
async def test_details_are_told_if_errors_are_detailed(connect: Connect, target: str, error: str) -> None:
    app = SignalR(detailed_errors=True)
    app.hub("/chat")(Chat)
    peer = await connect(app)
    assert await peer.call(target) == '{"type":3,"invocationId":"1","error":"' + error + '"}'


async def test_an_authorized_user_may_call_what_others_may_not(app: SignalR, connect: Connect) -> None:
    peer = await connect(app, user="ada")
    assert await peer.call("for_ada") == '{"type":3,"invocationId":"1","result":"hello Ada"}'


async def test_an_invocation_without_an_id_is_never_answered(app: SignalR, connect: Connect) -> None:
    peer = await connect(app)
    for target in ("add", "nothing", "fail", "nope", "for_ada"):
        peer.invoke(target, id=None)
        peer.invoke(target, id="")
    assert await peer.call("add", 1, 2) == '{"type":3,"invocationId":"1","result":3}'
    assert peer.has_nothing_more


@pytest.mark.parametrize(
    ("wire", "error"),
    [
        (
            '{"type":4,"target":"add","arguments":[1,2],"invocationId":"1"}',
            "The client attempted to invoke the non-streaming 'add' method with a streaming invocation.",
        ),
        ('{"type":4,"target":"nope","arguments":[],"invocationId":"1"}', NO_METHOD.format("nope")),
        (
            '{"type":1,"target":"add","arguments":[1,2],"invocationId":"1","streamIds":["2"]}',
            "An unexpected error occurred invoking 'add' on the server. "
            "HubException: Client sent 1 stream(s), Hub method expects 0.",
        ),
    ],
)
async def test_streams_that_no_method_has_are_answered_with_an_error(
    app: SignalR, connect: Connect, wire: str, error: str
) -> None:
    peer = await connect(app)
    peer.send(wire + "\x1e")
    assert await peer.frame() == '{"type":3,"invocationId":"1","error":"' + error + '"}\x1e'


async def test_messages_that_nobody_waits_for_are_passed_over(app: SignalR, connect: Connect) -> None:
    peer = await connect(app)
    for wire in (
        '{"type":2,"invocationId":"9","item":1}',
        '{"type":3,"invocationId":"9","result":1}',
        '{"type":5,"invocationId":"9"}',
        '{"type":6}',
        '{"type":8,"sequenceId":1}',
        '{"type":9,"sequenceId":1}',
        '{"type":42}',
    ):
        peer.send(wire + "\x1e")
    assert await peer.call("add", 1, 2) == '{"type":3,"invocationId":"1","result":3}'
    assert peer.has_nothing_more


async def test_invocations_of_a_connection_run_one_after_another_in_order(connect: Connect) -> None:
    app, log, begun, go = SignalR(), [], asyncio.Event(), asyncio.Event()

    @app.hub("/chat")
    class Slow(Hub):
        async def first(self) -> None:
            log.append("first begins")
            begun.set()
            await go.wait()
            log.append("first ends")

        def second(self) -> None:
            log.append("second")

    peer, other = await connect(app), await connect(app)
    peer.invoke("first", id="1")
    peer.invoke("second", id="2")
    await begun.wait()
    assert await other.call("second") == '{"type":3,"invocationId":"1","result":null}'
    assert log == ["first begins", "second"]
    go.set()
    answers = ""
    while '"2"' not in answers:
        answers += await peer.frame()
    assert answers == ('{"type":3,"invocationId":"1","result":null}\x1e{"type":3,"invocationId":"2","result":null}\x1e')
    assert log == ["first begins", "second", "first ends", "second"]


async def test_a_method_learns_that_its_client_has_gone(connect: Connect) -> None:
    app, noticed = SignalR(), asyncio.Event()

    @app.hub("/chat")
    class Patient(Hub):
        async def wait(self) -> None:
            await self.context.aborted.wait()
            noticed.set()

    peer = await connect(app)
    peer.invoke("wait")
    await peer.drop()
    async with asyncio.timeout(5):
        await noticed.wait()


# Turns.


class Turns:
    """A hub whose calls begin and end when the test says so."""

    def __init__(self, **options: Any) -> None:
        self.log: list[str] = []
        self.changed = asyncio.Event()
        self.go = {name: asyncio.Event() for name in "abcdef"}
        self.app = SignalR(**options)
        turns = self

        @self.app.hub("/chat")
        class Waiting(Hub):
            async def wait(self, name: str) -> str:
                turns.say(f"{name} begins")
                await turns.go[name].wait()
                turns.say(f"{name} ends")
                return name

            def quick(self, name: str) -> str:
                turns.say(name)
                return name

            async def patient(self) -> None:
                await self.context.aborted.wait()
                turns.say("aborted")

            async def ask(self) -> str:
                answer = await self.clients.caller.invoke("name", returns=str)
                turns.say(f"answer {answer}")
                await turns.go["a"].wait()
                return answer

            async def on_disconnected(self, error: Exception | None) -> None:
                turns.say("disconnected")

    def say(self, what: str) -> None:
        self.log.append(what)
        self.changed.set()

    async def reads(self, *what: str) -> None:
        async with asyncio.timeout(5):
            while self.log != list(what):
                self.changed.clear()
                await self.changed.wait()


def call(target: str, *arguments: str, id: str | None = None) -> str:
    more = {} if id is None else {"invocationId": id}
    return json.dumps({"type": 1, "target": target, "arguments": arguments} | more) + "\x1e"


async def test_so_many_calls_run_at_once_as_are_allowed(connect: Connect) -> None:
    turns = Turns(max_parallel_invocations=2)
    peer = await connect(turns.app)
    peer.send(call("wait", "a") + call("wait", "b") + call("wait", "c", id="3") + call("quick", "d"))
    await turns.reads("a begins", "b begins")
    turns.go["b"].set()
    await turns.reads("a begins", "b begins", "b ends", "c begins")
    turns.go["c"].set()
    assert await peer.frame() == '{"type":3,"invocationId":"3","result":"c"}\x1e'
    await turns.reads("a begins", "b begins", "b ends", "c begins", "c ends", "d")
    peer.send(call("quick", "e"))
    await turns.reads("a begins", "b begins", "b ends", "c begins", "c ends", "d", "e")


async def test_an_unknown_method_is_answered_in_its_turn(connect: Connect) -> None:
    turns = Turns()
    peer = await connect(turns.app)
    peer.send(call("wait", "a", id="1") + call("quick", "b", id="2") + call("nope", id="3"))
    turns.go["a"].set()
    received = ""
    while '"3"' not in received:
        received += await peer.frame()
    assert received == (
        '{"type":3,"invocationId":"1","result":"a"}\x1e'
        '{"type":3,"invocationId":"2","result":"b"}\x1e'
        f'{{"type":3,"invocationId":"3","error":"{NO_METHOD.format("nope")}"}}\x1e'
    )


@pytest.mark.parametrize("last", ['{"type":7}\x1e', None])
async def test_what_was_called_before_the_end_is_still_done_in_order(connect: Connect, last: str | None) -> None:
    turns = Turns()
    peer = await connect(turns.app)
    peer.send(call("wait", "a") + call("quick", "b") + call("wait", "c") + call("quick", "d"))
    await turns.reads("a begins")
    leaving = asyncio.create_task(peer.drop() if last is None else peer.ended())
    if last is not None:
        peer.send(last)
    turns.go["a"].set()
    await turns.reads("a begins", "a ends", "b", "c begins")
    turns.go["c"].set()
    await leaving
    assert turns.log[:6] == ["a begins", "a ends", "b", "c begins", "c ends", "d"]
    assert turns.log[6:] == ["disconnected"]


async def test_the_end_is_noticed_behind_calls_that_wait_for_one_that_never_ends(connect: Connect) -> None:
    turns = Turns(close_timeout=0.05)
    peer = await connect(turns.app)
    peer.send(call("wait", "a") + call("quick", "b"))
    await turns.reads("a begins")
    await peer.drop()
    assert turns.log == ["a begins", "disconnected"]


async def test_methods_hear_of_the_end_before_on_disconnected(connect: Connect) -> None:
    turns = Turns()
    peer = await connect(turns.app)
    peer.send(call("patient"))
    await peer.drop()
    assert turns.log == ["aborted", "disconnected"]


async def test_a_method_learns_that_its_client_has_gone_though_others_wait_for_it(connect: Connect) -> None:
    turns = Turns()
    peer = await connect(turns.app)
    peer.send(call("patient") + call("quick", "b"))
    await peer.drop()
    assert turns.log == ["aborted", "b", "disconnected"]


async def test_the_server_may_end_a_connection_whose_calls_wait(connect: Connect) -> None:
    turns = Turns()
    peer = await connect(turns.app)
    peer.send(call("wait", "a") + call("quick", "b"))
    await turns.reads("a begins")
    stopping = asyncio.create_task(turns.app.stop())
    await turns.reads("a begins", "disconnected")
    turns.go["a"].set()
    await stopping
    assert turns.log == ["a begins", "disconnected", "a ends"]


@pytest.mark.parametrize("turn", [pace.TURN, 0.0])
async def test_a_client_that_calls_on_and_on_is_not_read_from_for_a_while_and_its_calls_begin_in_order(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, turn: float
) -> None:
    monkeypatch.setattr(pace, "TURN", turn)  # without any, others have their turn after each call
    turns = Turns()
    peer = await connect(turns.app)
    for number in range(100):
        peer.send(call("wait", "a") if number == 0 else call("quick", str(number)))
    await turns.reads("a begins")
    for _ in range(500):  # turns of the loop in which it could be read
        await asyncio.sleep(0)
    assert peer.unread == 100 - 1 - (LOOK_AHEAD + 1)
    turns.go["a"].set()
    await turns.reads("a begins", "a ends", *map(str, range(1, 100)))


async def test_a_call_that_waits_for_its_client_lets_the_next_begin_and_then_counts_again(connect: Connect) -> None:
    turns = Turns()
    peer = await connect(turns.app)
    peer.send(call("ask", id="1") + call("wait", "b", id="2") + call("wait", "c", id="3"))
    asked = json.loads((await peer.frame()).removesuffix("\x1e"))
    assert (asked["target"], asked["arguments"]) == ("name", [])
    await turns.reads("b begins")
    answer = {"type": 3, "invocationId": asked["invocationId"], "result": "Ada"}
    peer.send(json.dumps(answer) + "\x1e")
    await turns.reads("b begins", "answer Ada")
    turns.go["b"].set()
    assert await peer.frame() == '{"type":3,"invocationId":"2","result":"b"}\x1e'
    assert turns.log == ["b begins", "answer Ada", "b ends"]
    turns.go["a"].set()
    assert await peer.frame() == '{"type":3,"invocationId":"1","result":"Ada"}\x1e'
    await turns.reads("b begins", "answer Ada", "b ends", "c begins")


async def test_a_client_that_never_answers_cannot_call_for_ever(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "MOST_LENT", 3)
    turns = Turns(detailed_errors=True)
    peer = await connect(turns.app)
    for _ in range(4):
        peer.send(call("ask"))
        assert '"target":"name"' in await peer.frame()
    peer.send(call("ask"))
    text = "Connection closed with an error. InvalidDataException: "
    text += "The client owes the answers that 3 of its calls wait for."
    assert await peer.frame() == '{"type":7,"error":"' + text + '","allowReconnect":true}\x1e'


async def test_a_call_knows_nothing_of_the_context_of_the_one_before_it(connect: Connect) -> None:
    app, go = SignalR(), asyncio.Event()
    seen: list[Any] = []
    who: ContextVar[str] = ContextVar("who", default="nobody")

    @app.hub("/chat")
    class Contexts(Hub):
        async def set(self) -> None:
            who.set("somebody")
            await go.wait()

        async def get(self) -> str:
            return who.get()

        def get_at_once(self) -> str:
            return who.get()

    peer = await connect(app)
    peer.send(call("set") + call("get", id="1") + call("get_at_once", id="2"))
    go.set()
    while len(seen) < 2:
        seen += (await peer.frame()).removesuffix("\x1e").split("\x1e")
    assert seen == [f'{{"type":3,"invocationId":"{number}","result":"nobody"}}' for number in (1, 2)]


async def test_a_method_that_cancels_itself_lets_the_next_begin(connect: Connect) -> None:
    app = SignalR()

    @app.hub("/chat")
    class Suicidal(Hub):
        async def stop(self) -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)

        async def go_on(self) -> str:
            return "went on"

    peer = await connect(app)
    peer.send(call("stop") + call("go_on", id="1"))
    assert await peer.frame() == '{"type":3,"invocationId":"1","result":"went on"}\x1e'


async def test_a_method_may_pass_on_what_another_function_is_to_do(connect: Connect) -> None:
    app = SignalR()

    @app.hub("/chat")
    class Passing(Hub):
        def say(self, text: str) -> Awaitable[None]:
            return self.clients.all.send("said", text)

        def fail(self) -> Awaitable[None]:
            async def later() -> None:
                await asyncio.sleep(0)
                raise HubException("oops")

            return later()

    peer = await connect(app)
    peer.invoke("say", "hello")
    received = await peer.frame()
    if "result" not in received:
        received += await peer.frame()
    assert received == (
        '{"type":1,"target":"said","arguments":["hello"]}\x1e{"type":3,"invocationId":"1","result":null}\x1e'
    )
    error = "An unexpected error occurred invoking 'fail' on the server. HubException: oops"
    assert await peer.call("fail") == '{"type":3,"invocationId":"1","error":"' + error + '"}'


@pytest.mark.parametrize("is_async", [True, False])
@pytest.mark.parametrize(("user", "answer"), [("ada", '"result":"yes"'), (None, None)])
async def test_a_rule_about_a_method_may_be_asynchronous(
    connect: Connect, is_async: bool, user: str | None, answer: str | None
) -> None:
    app = SignalR()

    async def rule(context: HubCallerContext) -> bool:
        await asyncio.sleep(0)
        return context.user is not None

    @app.hub("/chat")
    class Ruled(Hub):
        @hub_method(authorize=rule if is_async else True)
        def may(self) -> str:
            return "yes"

        @hub_method(authorize=rule if is_async else True)
        async def may_later(self) -> str:
            return "yes"

    peer = await connect(app, user=user)
    for target in ("may", "may_later"):
        said = answer or f'"error":"Failed to invoke \'{target}\' because user is unauthorized"'
        assert await peer.call(target) == '{"type":3,"invocationId":"1",' + said + "}"


# Events.


def recording(app: SignalR) -> list[Any]:
    log: list[Any] = []

    @app.hub("/chat")
    class Recording(Hub):
        async def on_connected(self) -> None:
            await self.groups.add(self.context.connection_id, "room")
            log.append("connected")

        async def on_disconnected(self, error: Exception | None) -> None:
            log.append((type(error).__name__, str(error)) if error else None)

        def leave(self) -> None:
            self.context.abort()

    return log


@pytest.mark.parametrize(
    ("last", "close", "error"),
    [
        ('{"type":7}', '{"type":7}', None),
        ('{"type":7,"error":"tired"}', '{"type":7}', ("HubException", "tired")),
        ('{"type":1,"target":"leave","arguments":[]}', '{"type":7}', None),
        (
            "{nonsense",
            '{"type":7,"error":"Connection closed with an error.","allowReconnect":true}',
            ("InvalidDataError", "Error reading JSON. JSON is malformed: object keys must be strings (byte 1)"),
        ),
        (
            '{"type":1}',
            '{"type":7,"error":"Connection closed with an error.","allowReconnect":true}',
            ("InvalidDataError", "Missing required property 'target'."),
        ),
    ],
)
async def test_a_connection_ends_with_a_close_message(
    connect: Connect, last: str, close: str, error: tuple[str, str] | None
) -> None:
    app = SignalR()
    log = recording(app)
    peer = await connect(app)
    peer.send(last + "\x1e")
    assert await peer.frame() == close + "\x1e"
    assert await peer.closed() == 1000
    await peer.ended()
    assert log == ["connected", error]


async def test_a_message_that_is_too_long_ends_the_connection(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    app = SignalR(max_message_size=100, detailed_errors=True)
    log = recording(app)
    peer = await connect(app)
    peer.send('{"type":6,"x":"' + "x" * 100)
    said = (
        "The maximum message size of 100B was exceeded. "
        "The message size can be configured with SignalR(max_message_size=…)."
    )
    text = f"Connection closed with an error. InvalidDataException: {said}"
    assert await peer.frame() == '{"type":7,"error":"' + text + '","allowReconnect":true}\x1e'
    await peer.ended()
    assert log == ["connected", ("MessageSizeError", said)]
    another = await connect(app)
    another.send("x" * 200)
    await another.ended()  # and fills no log: of the next one there is no warning
    warned = [each.message for each in caplog.records if each.levelno == logging.WARNING]
    assert warned == [f"A client of Recording was closed: {said}"]


@pytest.mark.parametrize(
    ("rest", "error"),
    [("", None), ('{"type', ("InvalidDataError", "Connection terminated while reading a message."))],
)
async def test_a_client_that_goes_without_a_word_is_noticed(
    connect: Connect, rest: str, error: tuple[str, str] | None
) -> None:
    app = SignalR()
    log = recording(app)
    peer = await connect(app)
    if rest:
        peer.send(rest)
    await peer.drop()
    assert log == ["connected", error]
    assert peer.has_nothing_more


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("secret"), "Connection closed with an error."),
        (HubException("full"), "Connection closed with an error. HubException: full"),
    ],
)
async def test_an_error_in_on_connected_refuses_the_connection(connect: Connect, error: Exception, text: str) -> None:
    app, log = SignalR(), []

    @app.hub("/chat")
    class Closed(Hub):
        async def on_connected(self) -> None:
            raise error

        async def on_disconnected(self, error: Exception | None) -> None:
            log.append(error)

    peer = await connect(app)
    assert await peer.frame() == '{"type":7,"error":"' + text + '"}\x1e'
    assert await peer.closed() == 1000
    await peer.ended()
    assert log == []


async def test_a_hub_may_end_a_connection_as_soon_as_it_begins(connect: Connect) -> None:
    app = SignalR()

    @app.hub("/chat")
    class Closed(Hub):
        async def on_connected(self) -> None:
            self.context.abort()

    peer = await connect(app)
    assert await peer.frame() == '{"type":7}\x1e'
    assert await peer.closed() == 1000


async def test_a_method_that_waits_for_something_cancelled_is_answered(connect: Connect) -> None:
    app = SignalR()

    @app.hub("/chat")
    class Unlucky(Hub):
        async def wait(self) -> None:
            task = asyncio.create_task(asyncio.Event().wait())
            task.cancel()
            await task

    peer = await connect(app)
    error = "An unexpected error occurred invoking 'wait' on the server."
    assert await peer.call("wait") == '{"type":3,"invocationId":"1","error":"' + error + '"}'


async def test_the_connection_is_torn_down_in_order(connect: Connect, open_to: Callable[..., Any]) -> None:
    app, log = SignalR(), []

    @app.hub("/chat")
    class Orderly(Hub):
        async def on_connected(self) -> None:
            await self.groups.add(self.context.connection_id, "room")

        async def on_disconnected(self, error: Exception | None) -> None:
            log.append(f"aborted: {self.context.aborted.is_set()}")
            await self.clients.group("room").send("gone", self.context.connection_id == "x")
            await self.clients.caller.send("too late")

    peer, other = await connect(app), await connect(app)
    peer.send('{"type":7}\x1e')
    assert await peer.frame() == '{"type":7}\x1e'
    await peer.closed()
    assert await other.frame() == '{"type":1,"target":"gone","arguments":[false]}\x1e'
    await peer.ended()
    assert peer.has_nothing_more
    assert log == ["aborted: True"]


@pytest.mark.parametrize("close", ['{"type":7}\x1e', None])
async def test_a_connection_ends_without_an_error_even_if_calls_have_failed(
    connect: Connect, close: str | None
) -> None:
    app, log = SignalR(), []

    @app.hub("/chat")
    class Failing(Chat):
        async def numbers(self) -> AsyncIterator[int]:
            yield 1
            raise ValueError("a secret")

        async def count(self, numbers: AsyncIterator[int]) -> int:
            return len([each async for each in numbers])

        async def on_disconnected(self, error: Exception | None) -> None:
            log.append(error)

    peer = await connect(app)
    for method in ("fail", "tell", "unsendable", "nowhere"):
        assert '"error"' in await peer.call(method)
    peer.send('{"type":4,"target":"numbers","arguments":[],"invocationId":"2"}\x1e')
    while '"error"' not in await peer.frame():
        pass
    peer.send('{"type":1,"target":"count","arguments":[],"invocationId":"3","streamIds":["a"]}\x1e')
    peer.send('{"type":2,"invocationId":"a","item":"no number"}\x1e')
    assert '"error"' in await peer.frame()
    if close is None:
        await peer.drop()
    else:
        peer.send(close)
    await peer.ended()
    assert log == [None]


async def test_an_error_in_on_disconnected_harms_nobody(connect: Connect) -> None:
    app = SignalR()

    @app.hub("/chat")
    class Clumsy(Hub):
        async def on_disconnected(self, error: Exception | None) -> None:
            raise ValueError("oops")

    peer = await connect(app)
    await peer.drop()
    await app.hub_context(Clumsy).clients.all.send("anybody")


# Time.


async def test_a_silent_server_pings(connect: Connect) -> None:
    app = SignalR(keep_alive_interval=0.04)
    app.hub("/chat")(Chat)
    peer = await connect(app)
    assert await peer.frame() == '{"type":6}\x1e'
    assert await peer.frame() == '{"type":6}\x1e'


@pytest.mark.parametrize("sends", ["broadcasts", "answers"])
async def test_a_server_that_keeps_sending_does_not_ping(connect: Connect, sends: str) -> None:
    app, times = SignalR(keep_alive_interval=0.4), 15
    app.hub("/chat")(Chat)
    peer = await connect(app)
    frames = []
    for _ in range(times):
        await asyncio.sleep(0.04)
        if sends == "answers":
            frames.append(await peer.call("add", 1, 2))
        else:
            await app.hub_context(Chat).clients.all.send("said")
            frames.append(await peer.frame())
    answer = '{"type":3,"invocationId":"1","result":3}'
    said = '{"type":1,"target":"said","arguments":[]}\x1e'
    assert frames == [answer if sends == "answers" else said] * times
    assert await peer.frame() == '{"type":6}\x1e'


async def test_a_client_that_has_pinged_and_falls_silent_is_taken_for_dead(connect: Connect) -> None:
    app = SignalR(client_timeout_interval=0.04)
    log = recording(app)
    silent, peer = await connect(app), await connect(app)
    peer.send('{"type":6}\x1e')
    assert await peer.frame() == '{"type":7,"error":"Connection closed with an error.","allowReconnect":true}\x1e'
    await peer.ended()
    assert log == [
        *("connected", "connected"),
        ("TimeoutError", "Client hasn't sent a message/ping within the configured ClientTimeoutInterval."),
    ]
    assert not silent.task.done()  # it never pinged, so its time-out is not armed


async def test_the_pings_of_a_client_that_waits_for_long_methods_are_heard(connect: Connect) -> None:
    app, ticks = SignalR(client_timeout_interval=0.2, keep_alive_interval=0.1), 5

    @app.hub("/chat")
    class Long(Hub):
        async def think(self) -> str:
            await go.wait()
            return "done"

    go = asyncio.Event()
    peer = await connect(app)
    peer.send('{"type":6}\x1e')
    peer.invoke("think")
    peer.invoke("think", id=None)
    for _ in range(ticks):
        assert await peer.frame() == '{"type":6}\x1e'
        peer.send('{"type":6}\x1e')
    go.set()
    assert '"result":"done"' in await peer.frame()


@pytest.mark.parametrize("full", ["calls", "upload"])
async def test_a_client_is_not_missed_while_it_is_not_read_from(connect: Connect, full: str) -> None:
    app, ticks = SignalR(client_timeout_interval=0.1, keep_alive_interval=0.05, stream_buffer_capacity=1), 6

    @app.hub("/chat")
    class Slow(Hub):
        async def think(self) -> None:
            await go.wait()

        async def count(self, numbers: AsyncIterator[int]) -> None:
            await go.wait()
            async for _ in numbers:
                pass

    go = asyncio.Event()
    peer = await connect(app)
    peer.send('{"type":6}\x1e')
    if full == "calls":
        peer.send('{"type":1,"target":"think","arguments":[]}\x1e' * (LOOK_AHEAD + 2))
    else:
        peer.send('{"type":1,"target":"count","arguments":[],"streamIds":["a"]}\x1e')
        peer.send('{"type":2,"invocationId":"a","item":1}\x1e' * 3)
    for _ in range(ticks):
        assert await peer.frame() == '{"type":6}\x1e'
    go.set()
    while (frame := await peer.frame()) == '{"type":6}\x1e':
        pass  # it is read from again, and is silent
    assert frame == '{"type":7,"error":"Connection closed with an error.","allowReconnect":true}\x1e'


async def test_stop_asks_clients_to_come_back_later(connect: Connect) -> None:
    app = SignalR()
    log = recording(app)
    peer = await connect(app)
    await app.stop()
    assert await peer.frame() == '{"type":7,"allowReconnect":true}\x1e'
    assert await peer.closed() == 1000
    assert log == ["connected", None]


# What can be a hub.


def test_two_methods_with_one_name_for_clients_are_refused() -> None:
    class Double(Hub):
        def say(self) -> None: ...

        @hub_method("SAY")
        def also(self) -> None: ...

    with pytest.raises(TypeError, match=r"^Double has two methods that clients call 'SAY'"):
        SignalR().hub("/chat")(Double)


def test_what_clients_cannot_call_is_refused_at_once() -> None:
    class Object(Hub):
        def say(self, thing: asyncio.Event) -> None: ...

    class Keyword(Hub):
        def say(self, *, text: str) -> None: ...

    class Unresolved(Hub):
        def say(self, text: "Missing") -> None: ...  # type: ignore[name-defined]  # noqa: F821  (that it is missing is what is tested)

    for hub, said in (
        (Object, "Object.say cannot be called by clients. A value of type Event cannot be received from a client."),
        (Keyword, "Keyword.say requires text by keyword; clients pass arguments by position."),
        (Unresolved, "Unresolved.say has an annotation that cannot be resolved: name 'Missing' is not defined."),
    ):
        with pytest.raises(TypeError) as caught:
            SignalR().hub("/chat")(hub)
        assert str(caught.value) == said


def refusal_of(hub: Any) -> str:
    """Serve a hub that cannot be served; returns what is said about it."""
    with pytest.raises(TypeError) as caught:
        SignalR().hub("/chat")(hub)
    return str(caught.value)


def test_a_method_needs_a_self() -> None:
    class Text(Hub):
        async def say(text: str) -> None: ...  # type: ignore[misc]  # noqa: N805  (that self is missing is what is tested)

    class Untyped(Hub):
        async def say(text): ...  # type: ignore[no-untyped-def]  # noqa: N805  (that self is missing is what is tested)

    class Nothing(Hub):
        async def say() -> None: ...  # type: ignore[misc]

    class Hidden(Hub):
        say = lambda *arguments: None  # noqa: E731  (a lambda is what is tested)

    assert {each.__name__: refusal_of(each) for each in (Text, Untyped, Nothing, Hidden)} == {
        "Text": "Text.say does not take self; write def say(self, …).",
        "Untyped": "Untyped.say does not take self; write def say(self, …).",
        "Nothing": "Nothing.say does not take self; write def say(self, …).",
        "Hidden": "Hidden.say hides its parameters behind *arguments; decorate with functools.wraps.",
    }


async def test_what_a_decorator_makes_of_a_method_may_call_its_self_otherwise(connect: Connect) -> None:
    def twice(method: Any) -> Any:
        def both(hub: Hub, text: str) -> list[str]:
            return [method(hub, text), method(hub, text)]

        return both

    class Twice(Hub):
        @twice
        def say(self, text: str) -> str:
            return text

    app = SignalR()
    app.hub("/chat")(Twice)
    assert await (await connect(app)).call("say", "a") == '{"type":3,"invocationId":"1","result":["a","a"]}'


@pytest.mark.parametrize("name", ["clients", "context", "groups", "presence"])
def test_a_hub_cannot_hide_what_it_has_from_the_library(name: str) -> None:
    async def method(self: Hub) -> None: ...

    hiding = type("Hiding", (Hub,), {name: method})
    text = f"Hiding.{name} hides what every Hub has as self.{name}; give it another name."
    assert refusal_of(hiding) == text
    assert refusal_of(type("Hiding", (type("Mixin", (), {name: method}), Hub), {})) == text


def test_a_hub_that_could_not_be_told_of_its_connections_is_refused() -> None:
    class Short(Hub):
        async def on_disconnected(self) -> None: ...  # type: ignore[override]

    class Long(Hub):
        async def on_connected(self, name: str) -> None: ...  # type: ignore[override]

    class Generator(Hub):
        async def on_connected(self) -> AsyncIterator[int]:  # type: ignore[override]
            yield 1

    class Static(Hub):
        @staticmethod
        async def on_connected() -> None: ...

    connected = ".on_connected cannot be called as it will be; write async def on_connected(self): …"
    assert {each.__name__: refusal_of(each) for each in (Short, Long, Generator, Static)} == {
        "Short": "Short.on_disconnected cannot be called as it will be; "
        "write async def on_disconnected(self, error): …",
        **{name: name + connected for name in ("Long", "Generator", "Static")},
    }


async def test_events_may_be_plain_functions(connect: Connect) -> None:
    app = SignalR()
    log: list[Any] = []

    @app.hub("/chat")
    class Plain(Hub):
        def on_connected(self) -> None:  # type: ignore[override]
            log.append("connected")

        def on_disconnected(self, *about: Exception | None) -> Awaitable[None]:  # type: ignore[override]
            log.append(about)
            return self.clients.others.send("gone")

    peer, other = await connect(app), await connect(app)
    await peer.drop()
    assert log == ["connected", "connected", (None,)]
    assert await other.frame() == '{"type":1,"target":"gone","arguments":[]}\x1e'


async def test_a_constructor_cannot_reach_the_connection(connect: Connect) -> None:
    app, said = SignalR(detailed_errors=True), []

    @app.hub("/chat")
    class Early(Hub):
        def __init__(self) -> None:
            for name in ("context", "clients"):
                try:
                    getattr(self, name)
                except RuntimeError as error:
                    said.append(str(error))

    await connect(app)
    text = (
        " is not available in a constructor, nor in a hub that you make yourself. A constructor may take a parameter "
        "of the type HubCallerContext; signalr.hub_context(Early) reaches the clients from anywhere."
    )
    assert said == ["self.context" + text, "self.clients" + text]
    assert type(Early.context).__name__ == "OnDemand"


async def test_a_hub_may_have_a_connection_of_its_own(connect: Connect) -> None:
    app = SignalR()

    @app.hub("/chat")
    class Stored(Hub):
        def __init__(self) -> None:
            self._connection = "to the database"

        def ask(self) -> list[object]:
            return [self._connection, self.context.hub]

    assert await (await connect(app)).call("ask") == (
        '{"type":3,"invocationId":"1","result":["to the database","Stored"]}'
    )


# Marks.


async def said_of(app: SignalR, connect: Connect, *targets: str) -> list[str]:
    """Call methods as somebody who is not signed in; returns results and errors."""
    peer = await connect(app)
    answers = [json.loads(await peer.call(target)) for target in targets]
    return [each.get("result") or each["error"] for each in answers]


def forbidden(target: str) -> str:
    return f"Failed to invoke '{target}' because user is unauthorized"


def decorated(method: Any) -> Any:
    @functools.wraps(method)
    async def call(self: Hub) -> Any:
        return await method(self)

    return call


async def test_marks_of_a_method_add_up(connect: Connect) -> None:
    app = SignalR()

    @app.hub("/chat")
    class Marked(Hub):
        @hub_method("deleteAll")
        @hub_method(authorize=True)
        async def delete(self) -> str:
            return "deleted"

        @hub_method(authorize=True)
        @decorated
        @hub_method("wipeAll")
        async def wipe(self) -> str:
            return "wiped"

        @hub_method
        async def bare(self) -> str:
            return "bare"

        @hub_method()
        @hub_method("named", authorize=False)
        @hub_method("named")
        async def again(self) -> str:
            return "again"

    assert await said_of(app, connect, "deleteAll", "wipeAll", "bare", "named") == [
        forbidden("deleteAll"),
        forbidden("wipeAll"),
        "bare",
        "again",
    ]


class Purging(Hub):
    @hub_method("purgeAll", authorize=True)
    async def purge(self) -> str:
        return "purged"


async def test_an_override_has_the_name_and_the_rule_of_what_it_overrides(connect: Connect) -> None:
    class Overridden(Purging):
        async def purge(self) -> str:
            return "overridden"

    class Mixin:
        async def purge(self) -> str:
            return "mixed in"

    class Mixed(Mixin, Purging):
        pass

    class Renamed(Overridden):
        @hub_method("empty")
        async def purge(self) -> str:
            return "renamed"

    class Opened(Overridden):
        @hub_method(authorize=False)
        async def purge(self) -> str:
            return "open to all"

    app = SignalR()
    said = {}
    for hub in (Purging, Overridden, Mixed, Renamed, Opened):
        app = SignalR()
        app.hub("/chat")(hub)
        said[hub.__name__] = await said_of(app, connect, "purgeAll", "purge", "empty")
    nobody, refused = [NO_METHOD.format(each) for each in ("purge", "empty")], forbidden("purgeAll")
    assert said == {
        "Purging": [refused, *nobody],
        "Overridden": [refused, *nobody],
        "Mixed": [refused, *nobody],
        "Renamed": [NO_METHOD.format("purgeAll"), nobody[0], forbidden("empty")],
        "Opened": ["open to all", *nobody],
    }


def test_marks_that_contradict_each_other_are_refused() -> None:
    def rule(context: HubCallerContext) -> bool:
        return True

    def say(self: Hub) -> None: ...

    here = "test_marks_that_contradict_each_other_are_refused.<locals>.say is marked with two"
    for first, second, text in (
        (hub_method("a"), hub_method("b"), f"{here} names, 'b' and 'a'; leave one out."),
        (
            hub_method(authorize=True),
            hub_method(authorize=rule),
            f"{here} rules, {rule!r} and True; write one function that asks both.",
        ),
    ):
        say.__dict__.clear()
        with pytest.raises(TypeError) as caught:
            second(first(say))
        assert str(caught.value) == text


def test_only_methods_that_clients_can_call_are_marked() -> None:
    class Static(Hub):
        @staticmethod
        @hub_method(authorize=True)
        async def say() -> None: ...

    class Private(Hub):
        @hub_method("say")
        async def _say(self) -> None: ...

    text = " is marked with @hub_method, but clients can call public methods only."
    assert [refusal_of(Static), refusal_of(Private)] == ["Static.say" + text, "Private._say" + text]
    wrongs: list[Any] = [staticmethod(print), classmethod(print), property(print)]
    for wrong in wrongs:
        with pytest.raises(TypeError, match=r"^@hub_method\(\) marks methods that take self, not <"):
            hub_method("say")(wrong)
    with pytest.raises(TypeError, match=r"^@hub_method\(\) marks methods that take self, not <"):
        hub_method(classmethod(print))  # type: ignore[call-overload]
    with pytest.raises(TypeError, match=r"^The name that clients call a method by is text, not 5\.$"):
        hub_method(5)  # type: ignore[call-overload]


# Serving.


def test_a_decorator_says_what_it_has_to_be_given() -> None:
    app = SignalR()
    for wrong, said in (
        (lambda: app.hub(Chat), f"A path is wanted, not {Chat!r}: write @signalr.hub('/chat')."),  # type: ignore[arg-type]
        (lambda: app.hub(5), "A path is wanted, not 5: write @signalr.hub('/chat')."),  # type: ignore[arg-type]
        (lambda: app.connection(5), "A path is wanted, not 5: write @signalr.connection('/chat')."),  # type: ignore[arg-type]
        (
            lambda: app.hub("/chat", redirect="https://other"),  # type: ignore[arg-type]
            "redirect is a function that returns Redirect(url) or None, not 'https://other'.",
        ),
        *(
            (
                lambda call=call: call("Chat"),
                f"The class itself is wanted, not 'Chat': write signalr.{call.__name__}({name}).",
            )
            for call, name in ((app.hub_context, "Chat"), (app.on_presence, "Chat"), (app.connection_context, "Echo"))
        ),
    ):
        with pytest.raises(TypeError) as caught:
            wrong()
        assert str(caught.value) == said


@pytest.mark.parametrize("path", ["/chat/{room}", "/chat/<room>", "/chat?room=1", "/chat#room"])
def test_a_path_has_no_parameters(path: str) -> None:
    with pytest.raises(ValueError, match=r"parameters") as caught:
        SignalR().hub(path)
    assert str(caught.value) == (
        f"The path {path!r} has parameters. A client may give such a thing as an argument of a method, or in its query "
        "string: self.context.query."
    )


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("/chat/negotiate", "The negotiation of Chat is already served at /chat/negotiate."),
        ("/deep", "Base is already served at /deep/negotiate."),
        ("/signalr.js", "The official client is already served at /signalr.js."),
        ("/status/", "The status is already served at /status."),
    ],
)
def test_a_hub_takes_no_address_that_something_else_has(path: str, complaint: str) -> None:
    app = SignalR(status_path="/status")
    app.hub("/chat")(Chat)
    app.hub("/deep/negotiate")(Base)
    with pytest.raises(ValueError, match=f"^{re.escape(complaint)}$"):
        app.hub(path)


def test_paths_and_names_of_hubs_are_unique() -> None:
    app = SignalR()
    app.hub("/chat")(Chat)
    with pytest.raises(ValueError, match=r"^Chat is already served at /chat\.$"):
        app.hub("chat/")(Base)
    with pytest.raises(ValueError, match="two hub classes named Chat"):
        app.hub("/other")(type("Chat", (Hub,), {}))
    with pytest.raises(LookupError, match=r"^Base is not served here"):
        app.hub_context(Base)


async def test_the_log_reads_like_a_transcript_without_contents(
    app: SignalR, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "asgi_signalr")
    peer = await connect(app)
    await peer.call("untyped", "private")
    peer.send('{"type":7}\x1e')
    await peer.ended()
    lines = [record.getMessage() for record in caplog.records if record.name == "asgi_signalr"]
    connection = lines[1].split()[0]
    assert [line.removeprefix(connection + " ") for line in lines[1:]] == [
        "= opened by WebSockets for hub Chat",
        "= shook hands: json",
        "< Invocation untyped 1",
        "> Completion 1 [49 bytes]",
        "< Close",
        "> Close",
        "= closed",
    ]
