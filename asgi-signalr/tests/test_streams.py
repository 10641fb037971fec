"""Streams in both directions, message by message (HubProtocol.md, Streaming)."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from asgi_signalr import Depends, Hub, HubException, SignalR

Connect = Callable[..., Awaitable[Any]]

INVOKING = "An unexpected error occurred invoking '{}' on the server."
NO_STREAM = "The value returned by the streaming method 'none' is not a ChannelReader<> or IAsyncEnumerable<>."
NO_METHOD = "Failed to invoke '{}' due to an error on the server. HubException: Method does not exist."
STREAMING = "An error occurred on the server while streaming results."


@dataclass
class Point:
    x: int


class Log(list[Any]):
    """What hub methods say, to be waited for."""

    def __init__(self) -> None:
        self._more = asyncio.Event()

    def say(self, what: Any) -> None:
        self.append(what)
        self._more.set()

    async def reads(self, *what: Any) -> None:
        async with asyncio.timeout(10):
            while self != list(what):
                self._more.clear()
                await self._more.wait()


def stream(target: str, *arguments: Any, id: str = "1", streams: tuple[str, ...] = ()) -> str:
    more = {"streamIds": streams} if streams else {}
    return message(type=4, target=target, arguments=arguments, invocationId=id, **more)


def invoke(target: str, *arguments: Any, id: str | None = "1", streams: tuple[str, ...] = ()) -> str:
    more = {} if id is None else {"invocationId": id}
    return message(type=1, target=target, arguments=arguments, streamIds=streams, **more)


def item(id: str, value: Any) -> str:
    return message(type=2, invocationId=id, item=value)


def completion(id: str, **more: Any) -> str:
    return message(type=3, invocationId=id, **more)


def cancel(id: str) -> str:
    return message(type=5, invocationId=id)


def message(**properties: Any) -> str:
    return json.dumps(properties, separators=(",", ":"), ensure_ascii=False) + "\x1e"


async def messages(peer: Any, number: int) -> str:
    """Wait for so many messages, in however many frames."""
    received = ""
    while received.count("\x1e") < number:
        received += await peer.frame()
    return received


def hub_app(hub: type[Hub], **options: Any) -> SignalR:
    app = SignalR(**options)
    app.hub("/chat")(hub)
    return app


# Streams to the client.


class Down(Hub):
    async def count(self, to: int) -> AsyncIterator[int]:
        for number in range(to):
            await asyncio.sleep(0)
            yield number

    async def unannotated(self):  # type: ignore[no-untyped-def]
        yield "a"

    def returned(self, to: int) -> AsyncIterator[int]:
        return self.count(to)

    def iterable(self) -> AsyncIterable[int]:
        class Three:
            async def __aiter__(self) -> AsyncIterator[int]:
                for number in range(3):
                    yield number

        return Three()

    async def awaited(self, to: int) -> AsyncIterator[int]:
        await asyncio.sleep(0)
        return self.count(to)

    def passed_on(self, to: int) -> Awaitable[AsyncIterator[int]]:
        return self.awaited(to)

    def synchronous(self, to: int) -> Iterator[int]:
        yield from range(to)

    async def nulls(self) -> AsyncIterator[None]:
        yield None

    async def points(self) -> AsyncIterator[Point]:
        yield Point(1)

    async def none(self) -> AsyncIterator[int]:
        return None  # type: ignore[return-value]

    def early(self) -> AsyncIterator[int]:
        raise HubException("not today")

    async def before(self) -> AsyncIterator[int]:
        raise HubException("not today")
        yield 1

    async def later(self) -> AsyncIterator[int]:
        yield 1
        raise HubException("enough")

    async def secretly(self) -> AsyncIterator[int]:
        yield 1
        raise ValueError("secret")

    async def unsendable(self) -> AsyncIterator[object]:
        yield 1
        yield object()

    async def alone(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("target", "arguments", "items", "end"),
    [
        ("count", [3], [0, 1, 2], {}),
        ("COUNT", [1], [0], {}),
        ("count", [0], [], {}),
        ("unannotated", [], ["a"], {}),
        ("returned", [2], [0, 1], {}),
        ("iterable", [], [0, 1, 2], {}),
        ("awaited", [2], [0, 1], {}),
        ("passed_on", [2], [0, 1], {}),
        ("synchronous", [2], [0, 1], {}),
        ("nulls", [], [None], {}),
        ("points", [], [{"x": 1}], {}),
        ("none", [], [], {"error": NO_STREAM}),
        ("early", [], [], {"error": INVOKING.format("early") + " HubException: not today"}),
        ("before", [], [], {"error": STREAMING + " HubException: not today"}),
        ("later", [], [1], {"error": STREAMING + " HubException: enough"}),
        ("secretly", [], [1], {"error": STREAMING}),
        ("unsendable", [], [1], {"error": STREAMING}),
        ("count", ["x"], [], {"error": "Failed to invoke 'count' due to an error on the server."}),
        ("count", [], [], {"error": "Failed to invoke 'count' due to an error on the server."}),
        ("nope", [], [], {"error": NO_METHOD.format("nope")}),
        (
            *("alone", [], []),
            {"error": "The client attempted to invoke the non-streaming 'alone' method with a streaming invocation."},
        ),
    ],
)
async def test_a_stream_is_sent_item_by_item_and_then_completed(
    connect: Connect, target: str, arguments: list[Any], items: list[Any], end: dict[str, Any]
) -> None:
    peer = await connect(hub_app(Down))
    peer.send(stream(target, *arguments, id="s"))
    expected = "".join(item("s", each) for each in items) + completion("s", **end)
    assert await messages(peer, len(items) + 1) == expected


async def test_details_of_a_failed_stream_are_told_if_errors_are_detailed(connect: Connect) -> None:
    peer = await connect(hub_app(Down, detailed_errors=True))
    peer.send(stream("secretly"))
    assert await messages(peer, 2) == item("1", 1) + completion("1", error=STREAMING + " ValueError: secret")
    peer.send(stream("none"))
    assert await peer.frame() == completion("1", error=NO_STREAM)


async def test_a_stream_method_cannot_be_invoked_without_streaming(connect: Connect) -> None:
    peer = await connect(hub_app(Down))
    peer.send(invoke("count", 3, id=None) + invoke("count", 3))
    text = "The client attempted to invoke the streaming 'count' method with a non-streaming invocation."
    assert await peer.frame() == completion("1", error=text)
    assert peer.has_nothing_more


def endless(log: Log) -> type[Hub]:
    class Endless(Hub):
        async def ticks(self, pause: bool) -> AsyncIterator[int]:
            log.say("began")
            try:
                yield 1
                if pause:
                    await asyncio.Event().wait()
                while True:
                    await asyncio.sleep(0)
                    yield 2
            finally:
                await asyncio.sleep(0)
                log.say("closed")

        def flood(self) -> Iterator[str]:
            try:
                while True:
                    yield "x" * 100
            finally:
                log.say("closed")

        async def stubborn(self) -> AsyncIterator[int]:
            yield 1
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                log.say("refused")
            yield 2
            yield 3

        async def clumsy(self) -> AsyncIterator[int]:
            try:
                yield 1
                await asyncio.Event().wait()
            finally:
                raise ValueError("oops")

        def other(self) -> str:
            return "other"

    return Endless


@pytest.mark.parametrize("pause", [True, False])
async def test_a_cancelled_stream_is_closed_and_completed_without_an_error(connect: Connect, pause: bool) -> None:
    log = Log()
    peer = await connect(hub_app(endless(log)))
    peer.send(stream("ticks", pause))
    assert (await messages(peer, 1)).startswith(item("1", 1))
    peer.send(cancel("1"))
    received = ""
    while not received.endswith(completion("1")):
        received += await peer.frame()
    assert log == ["began", "closed"]
    assert received.replace(item("1", 2), "") == completion("1")


async def test_a_stream_may_be_cancelled_in_the_frame_that_begins_it(connect: Connect) -> None:
    log = Log()
    peer = await connect(hub_app(endless(log)))
    peer.send(stream("ticks", True) + cancel("1") + cancel("1"))
    received = ""
    while not received.endswith(completion("1")):
        received += await peer.frame()
    assert received.removeprefix(item("1", 1)) == completion("1")
    assert log in ([], ["began", "closed"])
    peer.send(cancel("1") + invoke("other"))
    assert await peer.frame() == completion("1", result="other")


async def test_a_stream_that_takes_no_cancellation_is_closed_at_its_next_item(connect: Connect) -> None:
    log = Log()
    peer = await connect(hub_app(endless(log)))
    peer.send(stream("stubborn"))
    assert await peer.frame() == item("1", 1)
    peer.send(cancel("1"))
    assert await messages(peer, 2) == item("1", 2) + completion("1")
    assert log == ["refused"]


async def test_an_error_in_the_cleaning_up_of_a_cancelled_stream_is_told(connect: Connect) -> None:
    peer = await connect(hub_app(endless(Log())))
    peer.send(stream("clumsy"))
    assert await peer.frame() == item("1", 1)
    peer.send(cancel("1"))
    assert await peer.frame() == completion("1", error=STREAMING)


async def test_streams_end_with_the_connection(connect: Connect) -> None:
    log = Log()
    peer = await connect(hub_app(endless(log)))
    peer.send(stream("ticks", True) + stream("ticks", False, id="2"))
    await messages(peer, 2)
    await peer.drop()
    await log.reads("began", "began", "closed", "closed")


async def test_nothing_interrupts_the_closing_of_what_a_stream_has_used(connect: Connect) -> None:
    log, go = Log(), asyncio.Event()

    async def resource() -> AsyncIterator[str]:
        yield "used"
        log.say("closing")
        await go.wait()
        log.say("closed")

    class Using(Hub):
        async def items(self, value: Annotated[str, Depends(resource)]) -> AsyncIterator[str]:
            yield value

    peer = await connect(hub_app(Using))
    peer.send(stream("items"))
    assert await peer.frame() == item("1", "used")
    await log.reads("closing")
    peer.send(cancel("1"))
    await peer.drop()
    go.set()
    await log.reads("closing", "closed")


async def test_a_stream_waits_for_a_slow_client_and_lets_others_go_on(connect: Connect) -> None:
    log = Log()
    app = hub_app(endless(log), max_queued_bytes=1 << 20)
    slow, other = await connect(app), await connect(app)
    slow.does_not_read()
    slow.send(stream("flood"))
    for _ in range(20):
        assert await other.call("other") == '{"type":3,"invocationId":"1","result":"other"}'
    assert log == []
    slow.stuck.set()
    await slow.frame()
    slow.send(cancel("1"))
    await log.reads("closed")


async def test_streams_and_calls_go_on_beside_each_other(connect: Connect) -> None:
    peer = await connect(hub_app(endless(Log())))
    peer.send(stream("ticks", True) + stream("ticks", True, id="2") + invoke("other", id="3"))
    received = await messages(peer, 3)
    assert sorted(received.split("\x1e")) == sorted(
        (item("1", 1) + item("2", 1) + completion("3", result="other")).split("\x1e")
    )


async def test_an_invocation_id_is_not_used_by_two_streams_at_once(connect: Connect) -> None:
    peer = await connect(hub_app(endless(Log())))
    peer.send(stream("ticks", True))
    assert await peer.frame() == item("1", 1)
    peer.send(stream("ticks", True))
    assert await peer.frame() == completion("1", error="Invocation ID '1' is already in use.")
    peer.send(cancel("1"))
    assert await peer.frame() == completion("1")
    peer.send(stream("ticks", True))
    assert await peer.frame() == item("1", 1)


async def test_streams_of_a_connection_are_limited(connect: Connect) -> None:
    log = Log()
    peer = await connect(hub_app(endless(log), max_streams_per_connection=2))
    peer.send(stream("ticks", True) + stream("ticks", True, id="2"))
    assert await messages(peer, 2) == item("1", 1) + item("2", 1)
    peer.send(stream("ticks", True, id="3"))
    text = INVOKING.format("ticks") + " HubException: A client may have 2 streams open at once."
    assert await peer.frame() == completion("3", error=text)


async def test_a_stream_needs_no_turn_but_begins_in_order(connect: Connect) -> None:
    log, go = Log(), asyncio.Event()

    class Ordered(Hub):
        async def wait(self, name: str) -> None:
            log.say(f"{name} begins")
            await go.wait()
            log.say(f"{name} ends")

        async def items(self) -> AsyncIterator[int]:
            log.say("stream")
            yield 1

    peer = await connect(hub_app(Ordered))
    peer.send(invoke("wait", "first", id="1") + stream("items", id="2"))
    assert await messages(peer, 2) == item("2", 1) + completion("2")
    peer.send(invoke("wait", "second", id="3") + stream("items", id="4") + stream("items", id="5") + cancel("4"))
    assert await peer.frame() == completion("4")
    assert log == ["first begins", "stream"]
    go.set()
    assert sorted((await messages(peer, 4)).split("\x1e")) == sorted(
        (completion("1", result=None) + completion("3", result=None) + item("5", 1) + completion("5")).split("\x1e")
    )
    assert log == ["first begins", "stream", "first ends", "second begins", "stream", "second ends"] or log == [
        *("first begins", "stream", "first ends", "second begins", "second ends", "stream")
    ]


async def test_whatever_is_asked_for_begins_before_the_next_and_sees_no_more_than_was_sent(connect: Connect) -> None:
    log = Log()

    class Ordered(Hub):
        async def total(self, numbers: AsyncIterator[int]) -> int:
            log.say("total")
            return sum([each async for each in numbers])

        async def passing_by(self, numbers: AsyncIterator[int]) -> None:
            log.say("passing by")

        async def items(self) -> AsyncIterator[int]:
            log.say("items")
            yield 1

        def plain(self) -> None:
            log.say("plain")

    peer = await connect(hub_app(Ordered, max_parallel_invocations=2))
    peer.send(
        invoke("total", id="1", streams=("a",))
        + invoke("plain", id="2")
        + item("a", 7)
        + completion("a")
        + stream("items", id="3")
        + invoke("plain", id="4")
        + invoke("passing_by", id="5", streams=("b",))
        + invoke("nothing", id="6")
        + invoke("plain", id="7")
    )
    assert await messages(peer, 8) == (
        completion("2", result=None)
        + completion("1", result=7)
        + item("3", 1)
        + completion("3")
        + completion("4", result=None)
        + completion("5", result=None)
        + completion("6", error=NO_METHOD.format("nothing"))
        + completion("7", result=None)
    )
    assert log == ["total", "plain", "items", "plain", "passing by", "plain"]


# Streams from the client.


def up(log: Log) -> type[Hub]:
    class Up(Hub):
        async def total(self, numbers: AsyncIterator[int]) -> int:
            return sum([number async for number in numbers])

        async def join(self, start: str, texts: AsyncIterable[str], separator: str, last: str = "!") -> str:
            return start + separator.join([text async for text in texts]) + last

        async def zip(self, ones: AsyncIterator[int], others: AsyncIterator[str]) -> list[Any]:
            return [[one async for one in ones], [other async for other in others]]

        async def anything(
            self,
            things: AsyncIterator,  # type: ignore[type-arg]
            more: Annotated[AsyncIterator[Any], "of anything"],
        ) -> list[Any]:
            return [thing async for thing in things] + [thing async for thing in more]

        async def points(self, *, points: AsyncIterator[Point]) -> list[int]:
            return [point.x async for point in points]

        async def read(self, numbers: AsyncIterator[int]) -> str:
            try:
                async for number in numbers:
                    log.say(number)
            except Exception as error:
                log.say(f"{type(error).__name__}: {error}")
                raise
            return "done"

        async def first(self, numbers: AsyncIterator[int]) -> int:
            return await anext(numbers)

        def ignored(self, numbers: AsyncIterator[int]) -> str:
            return "not read"

        async def doubled(self, numbers: AsyncIterator[int]) -> AsyncIterator[int]:
            async for number in numbers:
                yield 2 * number

        async def plain(self, number: int) -> int:
            return number

        async def alone(self) -> None:
            pass

    return Up


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.mark.parametrize(
    ("wire", "result"),
    [
        (invoke("total", streams=("a",)) + item("a", 1) + item("a", 2) + completion("a"), 3),
        (invoke("total", streams=("a",)) + completion("a"), 0),
        (invoke("join", "<", "-", streams=("a",)) + item("a", "x") + item("a", "y") + completion("a"), "<x-y!"),
        (invoke("join", "<", "-", ">", streams=("a",)) + item("a", "x") + completion("a"), "<x>"),
        (
            invoke("zip", streams=("a", "b"))
            + item("b", "x")
            + item("a", 1)
            + completion("b")
            + item("a", 2)
            + completion("a"),
            [[1, 2], ["x"]],
        ),
        (
            invoke("anything", streams=("a", "b"))
            + item("a", None)
            + completion("a")
            + item("b", [1])
            + completion("b"),
            [None, [1]],
        ),
        (invoke("points", streams=("a",)) + item("a", {"x": 1}) + completion("a"), [1]),
        (invoke("first", streams=("a",)) + item("a", 5) + item("a", 6), 5),
        (invoke("ignored", streams=("a",)) + item("a", 5), "not read"),
    ],
)
async def test_a_method_reads_the_streams_of_its_client(connect: Connect, log: Log, wire: str, result: Any) -> None:
    peer = await connect(hub_app(up(log)))
    peer.send(wire)
    assert await peer.frame() == completion("1", result=result)


async def test_a_method_may_read_and_answer_with_streams(connect: Connect, log: Log) -> None:
    peer = await connect(hub_app(up(log)))
    peer.send(stream("doubled", streams=("a",)))
    for number in (1, 2, 3):
        peer.send(item("a", number))
        assert await peer.frame() == item("1", 2 * number)
    peer.send(completion("a"))
    assert await peer.frame() == completion("1")


@pytest.mark.parametrize(
    ("wire", "said", "error"),
    [
        (completion("a", error="tired"), "HubException: tired", " HubException: tired"),
        (completion("a", result=1), None, None),
        (
            item("a", "x"),
            "HubException: Failed to bind Stream message.",
            " HubException: Failed to bind Stream message.",
        ),
    ],
)
async def test_a_method_learns_how_a_stream_ended(
    connect: Connect, log: Log, wire: str, said: str | None, error: str | None
) -> None:
    peer = await connect(hub_app(up(log)))
    peer.send(invoke("read", streams=("a",)) + item("a", 1) + wire + item("a", 2) + completion("a"))
    end = {"result": "done"} if error is None else {"error": INVOKING.format("read") + error}
    assert await peer.frame() == completion("1", **end)
    assert log == [1] + ([] if said is None else [said])


async def test_the_details_of_an_item_that_does_not_fit_are_told_if_errors_are_detailed(
    connect: Connect, log: Log
) -> None:
    peer = await connect(hub_app(up(log), detailed_errors=True))
    peer.send(invoke("read", streams=("a",)) + item("a", "x"))
    text = "Failed to bind Stream message. InvalidDataException: Expected `int`, got `str`"
    assert (await peer.frame()).startswith(
        completion("1", error=INVOKING.format("read") + " HubException: " + text).removesuffix('"}\x1e')
    )


async def test_a_lost_connection_ends_the_streams_of_its_client(
    connect: Connect, log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    peer = await connect(hub_app(up(log)))
    peer.send(invoke("read", streams=("a",)) + item("a", 1))
    await log.reads(1)
    await peer.drop()
    await log.reads(1, "ConnectionError: The underlying connection was closed.")
    assert caplog.records == []


async def test_what_is_sent_to_no_stream_is_passed_over(connect: Connect, log: Log) -> None:
    peer = await connect(hub_app(up(log)))
    peer.send(item("a", 1) + completion("a") + completion("a", error="x"))
    peer.send(invoke("first", streams=("a",)) + item("a", 5))
    assert await peer.frame() == completion("1", result=5)
    peer.send(item("a", 6) + completion("a"))
    peer.send(invoke("total", streams=("a",)) + item("a", 7) + completion("a"))
    assert await peer.frame() == completion("1", result=7)
    assert peer.has_nothing_more


@pytest.mark.parametrize(
    ("target", "streams", "error"),
    [
        ("alone", ("a",), "Client sent 1 stream(s), Hub method expects 0."),
        ("total", (), "Client sent 0 stream(s), Hub method expects 1."),
        ("total", ("a", "b"), "Client sent 2 stream(s), Hub method expects 1."),
        ("zip", ("a", "a"), "Stream ID 'a' is already in use."),
    ],
)
async def test_streams_that_a_method_does_not_expect_are_refused(
    connect: Connect, log: Log, target: str, streams: tuple[str, ...], error: str
) -> None:
    peer = await connect(hub_app(up(log)))
    peer.send(invoke(target, streams=streams))
    assert await peer.frame() == completion("1", error=INVOKING.format(target) + " HubException: " + error)
    peer.send(invoke("first", streams=("a",)) + item("a", 5))
    assert await peer.frame() == completion("1", result=5)


async def test_a_stream_id_is_not_used_twice_at_once(connect: Connect, log: Log) -> None:
    peer = await connect(hub_app(up(log)))
    peer.send(invoke("read", streams=("a",)) + item("a", 1))
    await log.reads(1)
    peer.send(invoke("total", id="2", streams=("a",)))
    text = INVOKING.format("total") + " HubException: Stream ID 'a' is already in use."
    assert await peer.frame() == completion("2", error=text)
    peer.send(item("a", 2) + completion("a"))
    assert await peer.frame() == completion("1", result="done")
    assert log == [1, 2]


async def test_streams_from_a_client_are_limited(connect: Connect, log: Log) -> None:
    peer = await connect(hub_app(up(log), max_streams_per_connection=2))
    peer.send(invoke("read", streams=("a",)) + invoke("zip", id="2", streams=("b", "c")))
    text = INVOKING.format("zip") + " HubException: A client may have 2 streams open at once."
    assert await peer.frame() == completion("2", error=text)


async def test_a_stream_counts_until_its_method_is_done_even_if_the_client_has_ended_it(connect: Connect) -> None:
    log, go = Log(), asyncio.Event()

    class Slow(Hub):
        async def read(self, numbers: AsyncIterator[int]) -> int:
            log.say("began")
            await go.wait()
            return sum([number async for number in numbers])

    peer = await connect(hub_app(Slow, max_streams_per_connection=2))
    for number in (1, 2, 3):
        peer.send(invoke("read", id=str(number), streams=(f"s{number}",)) + completion(f"s{number}"))
    text = INVOKING.format("read") + " HubException: A client may have 2 streams open at once."
    assert await peer.frame() == completion("3", error=text)
    assert log == ["began", "began"]
    go.set()
    assert await peer.frame() == completion("1", result=0) + completion("2", result=0)
    peer.send(invoke("read", id="4", streams=("s4",)) + completion("s4"))
    assert await peer.frame() == completion("4", result=0)


@pytest.mark.parametrize(
    ("wire", "said"),
    [
        (invoke("total", id="x" * 9), "An invocation id of more than 8 characters is not accepted."),
        (stream("total", id="x" * 9), "An invocation id of more than 8 characters is not accepted."),
        (invoke("total", streams=("a", "x" * 9)), "A stream id of more than 8 characters is not accepted."),
    ],
)
async def test_ids_are_limited(connect: Connect, log: Log, wire: str, said: str) -> None:
    peer = await connect(hub_app(up(log), max_id_length=8, detailed_errors=True))
    peer.send(wire)
    text = "Connection closed with an error. InvalidDataException: " + said
    assert await peer.frame() == message(type=7, error=text, allowReconnect=True)


async def test_a_client_is_not_read_from_while_a_stream_of_it_is_full(connect: Connect) -> None:
    log, go = Log(), asyncio.Event()

    class Slow(Hub):
        async def read(self, numbers: AsyncIterator[int]) -> list[int]:
            log.say("began")
            await go.wait()
            return [number async for number in numbers]

        def mark(self, name: str) -> None:
            log.say(name)

    peer = await connect(hub_app(Slow, stream_buffer_capacity=3))
    peer.send(invoke("read", streams=("a",)))
    await log.reads("began")
    peer.send("".join(item("a", number) for number in range(3)) + invoke("mark", "three", id=None))
    await log.reads("began", "three")
    peer.send(item("a", 3))
    peer.send(invoke("mark", "four", id=None) + completion("a"))
    assert await (await connect(hub_app(Down))).call("alone") == '{"type":3,"invocationId":"1","result":1}'
    assert log == ["began", "three"]
    go.set()
    assert await peer.frame() == completion("1", result=[0, 1, 2, 3])
    await log.reads("began", "three", "four")


async def test_a_full_stream_holds_up_nothing_once_its_method_is_done(connect: Connect) -> None:
    go = asyncio.Event()

    class Rude(Hub):
        async def look(self, numbers: AsyncIterator[int]) -> int:
            await go.wait()
            return await anext(numbers)

        def mark(self) -> str:
            go.set()
            return "read on"

    app = hub_app(Rude, stream_buffer_capacity=1)
    peer, other = await connect(app), await connect(app)
    peer.send(invoke("look", streams=("a",)) + item("a", 1) + item("a", 2) + item("a", 3))
    peer.send(item("a", 4) + invoke("mark", id="2"))
    await other.call("mark")
    assert await messages(peer, 2) == completion("1", result=1) + completion("2", result="read on")


async def test_a_stream_is_taken_in_while_its_call_waits_for_its_turn(connect: Connect, log: Log) -> None:
    go = asyncio.Event()

    class Busy(Hub):
        async def wait(self) -> None:
            await go.wait()

        async def total(self, numbers: AsyncIterator[int]) -> int:
            return sum([number async for number in numbers])

    peer = await connect(hub_app(Busy))
    peer.send(invoke("wait", id=None) + invoke("wait", id=None))
    peer.send(invoke("total", streams=("a",)) + item("a", 1) + item("a", 2) + completion("a"))
    go.set()
    assert await peer.frame() == completion("1", result=3)


# What can be a stream.


def test_parameters_that_cannot_be_given_are_refused_at_once() -> None:
    class Positional(Hub):
        async def read(self, numbers: AsyncIterator[int], /) -> None: ...

    class Rest(Hub):
        async def read(self, numbers: AsyncIterator[int], *more: int) -> None: ...

    class Unknown(Hub):
        async def read(self, events: AsyncIterator[asyncio.Event]) -> None: ...

    class UnknownRest(Hub):
        async def read(self, *events: asyncio.Event) -> None: ...

    unknown = "cannot be called by clients. A value of type Event cannot be received from a client."
    for hub, said in (
        (Unknown, f"Unknown.read {unknown}"),
        (UnknownRest, f"UnknownRest.read {unknown}"),
        (Positional, "Positional.read takes numbers by position only; it has to be given by name."),
        (Rest, "Rest.read has *more behind a stream or a dependency; put that behind it."),
    ):
        with pytest.raises(TypeError) as caught:
            SignalR().hub("/chat")(hub)
        assert str(caught.value) == said


async def test_further_arguments_go_beside_a_stream_that_follows_them(connect: Connect) -> None:
    class Rest(Hub):
        async def read(self, *more: int, numbers: AsyncIterator[int]) -> int:
            return sum(more) + sum([number async for number in numbers])

    peer = await connect(hub_app(Rest))
    peer.send(invoke("read", 1, 2, streams=("a",)) + item("a", 3) + completion("a"))
    assert await peer.frame() == completion("1", result=6)


async def test_a_stream_is_read_by_several_readers(connect: Connect) -> None:
    class Shared(Hub):
        async def read(self, numbers: AsyncIterator[int]) -> int:
            async def total() -> int:
                return sum([number async for number in numbers])

            return sum(await asyncio.gather(total(), total()))

        async def closing(self) -> AsyncIterator[int]:
            async with aclosing(self.inner()) as inner:
                async for number in inner:
                    yield number

        async def inner(self) -> AsyncGenerator[int, None]:
            yield 1

    peer = await connect(hub_app(Shared))
    peer.send(invoke("read", streams=("a",)) + "".join(item("a", 1) for _ in range(30)) + completion("a"))
    assert await peer.frame() == completion("1", result=30)
    peer.send(stream("closing"))
    assert await messages(peer, 2) == item("1", 1) + completion("1")
