"""Calls that are cancelled, that fail in unusual ways, and what they leave behind."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Annotated, Any

import pytest
from asgi_signalr import Depends, Hub, SignalR
from asgi_signalr.testing import TestClient

Connect = Callable[..., Awaitable[Any]]

language: ContextVar[str | None] = ContextVar("language", default=None)


class Log:
    """What the hub's methods say, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._changed = asyncio.Event()

    def say(self, line: str) -> None:
        self.lines.append(line)
        self._changed.set()

    async def reads(self, *lines: str) -> None:
        async with asyncio.timeout(5):
            while self.lines != list(lines):
                self._changed.clear()
                await self._changed.wait()


log = Log()


async def resource() -> AsyncIterator[str]:
    log.say("open")
    try:
        yield "resource"
    finally:
        await asyncio.sleep(0)
        log.say("closed")


class Work(Hub):
    async def endless(self) -> None:
        log.say("begins")
        try:
            await asyncio.Event().wait()
        finally:
            log.say("cleaned up")

    async def with_resource(self, _resource: Annotated[str, Depends(resource)]) -> None:
        await self.endless()

    async def stubborn(self) -> str:
        log.say("begins")
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "all the same"

    async def quick(self) -> str:
        log.say("quick")
        return "quick"

    def plain(self) -> str:
        return "plain"

    async def cancels_itself(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    async def raises(self, name: str) -> None:
        raise ERRORS[name]

    def raises_at_once(self, name: str) -> None:
        raise ERRORS[name]

    async def stream_raises(self, name: str) -> AsyncIterator[int]:
        yield 1
        raise ERRORS[name]

    def speak(self, name: str) -> None:
        language.set(name)

    def spoken(self) -> str | None:
        return language.get()

    async def spoken_later(self) -> str | None:
        return language.get()


ERRORS: dict[str, BaseException] = {
    "GeneratorExit": GeneratorExit(),
    "SystemExit": SystemExit(3),
    "CancelledError": asyncio.CancelledError(),
}


@pytest.fixture
def app() -> SignalR:
    log.__init__()  # type: ignore[misc]
    signalr = SignalR()
    signalr.hub("/work")(Work)
    return signalr


def call(target: str, id: str, *arguments: Any) -> str:
    return json.dumps({"type": 1, "invocationId": id, "target": target, "arguments": arguments}) + "\x1e"


def cancel(id: str) -> str:
    return json.dumps({"type": 5, "invocationId": id}) + "\x1e"


CANCELLED = '{"type":3,"invocationId":"1","error":"Invocation canceled by the client."}\x1e'


async def test_a_client_cancels_a_running_call(app: SignalR, connect: Connect) -> None:
    peer = await connect(app, "/work")
    peer.send(call("endless", "1"))
    await log.reads("begins")
    peer.send(cancel("1"))
    assert await peer.frame() == CANCELLED
    assert log.lines == ["begins", "cleaned up"]


async def test_a_call_is_cancelled_by_the_frame_that_makes_it(app: SignalR, connect: Connect) -> None:
    peer = await connect(app, "/work")
    peer.send(call("endless", "1") + cancel("1"))
    assert await peer.frame() == CANCELLED
    peer.send(call("plain", "2"))
    assert json.loads((await peer.frame())[:-1])["result"] == "plain"


async def test_a_call_that_waits_for_its_turn_is_not_begun_once_it_is_cancelled(app: SignalR, connect: Connect) -> None:
    peer = await connect(app, "/work")
    peer.send(call("endless", "0"))
    await log.reads("begins")
    peer.send(call("quick", "1") + cancel("1"))
    assert await peer.frame() == CANCELLED
    peer.send(cancel("0"))
    assert json.loads((await peer.frame())[:-1])["invocationId"] == "0"
    assert log.lines == ["begins", "cleaned up"]


async def test_what_a_cancelled_call_has_opened_is_closed_undisturbed(app: SignalR, connect: Connect) -> None:
    peer = await connect(app, "/work")
    peer.send(call("with_resource", "1"))
    await log.reads("open", "begins")
    peer.send(cancel("1") + cancel("1"))
    assert await peer.frame() == CANCELLED
    assert log.lines == ["open", "begins", "cleaned up", "closed"]


async def test_a_method_may_answer_although_it_is_cancelled(app: SignalR, connect: Connect) -> None:
    peer = await connect(app, "/work")
    peer.send(call("stubborn", "1"))
    await log.reads("begins")
    peer.send(cancel("1"))
    assert await peer.frame() == '{"type":3,"invocationId":"1","result":"all the same"}\x1e'


async def test_the_cancellation_of_an_unknown_call_is_passed_over(app: SignalR, connect: Connect) -> None:
    peer = await connect(app, "/work")
    peer.send(cancel("9") + call("plain", "1"))
    assert await peer.frame() == '{"type":3,"invocationId":"1","result":"plain"}\x1e'


@pytest.mark.parametrize("target", ["raises", "raises_at_once"])
@pytest.mark.parametrize("error", ERRORS)
async def test_a_call_is_answered_whatever_it_raises(app: SignalR, target: str, error: str, connect: Connect) -> None:
    peer = await connect(app, "/work")
    peer.send(call(target, "1", error))
    assert await peer.frame() == (
        '{"type":3,"invocationId":"1",'
        f'"error":"An unexpected error occurred invoking \'{target}\' on the server."}}\x1e'
    )
    peer.send(call("plain", "2"))
    assert await peer.frame() == '{"type":3,"invocationId":"2","result":"plain"}\x1e'


@pytest.mark.parametrize("error", ERRORS)
async def test_a_stream_is_ended_whatever_it_raises(app: SignalR, error: str, connect: Connect) -> None:
    peer = await connect(app, "/work")
    peer.send(call("stream_raises", "1", error).replace('"type": 1', '"type": 4'))
    received = ""
    while '"type":3' not in received:
        received += await peer.frame()
    assert received.endswith('"error":"An error occurred on the server while streaming results."}\x1e')


async def test_a_call_whose_task_somebody_else_cancels_is_answered(app: SignalR, connect: Connect) -> None:
    peer = await connect(app, "/work")
    peer.send(call("cancels_itself", "1") + call("quick", "2"))
    received = ""
    while '"2"' not in received:
        received += await peer.frame()
    assert received == (
        '{"type":3,"invocationId":"1",'
        '"error":"An unexpected error occurred invoking \'cancels_itself\' on the server."}\x1e'
        '{"type":3,"invocationId":"2","result":"quick"}\x1e'
    )


@pytest.mark.parametrize("target", ["spoken", "spoken_later"])
async def test_what_a_def_method_leaves_in_its_context_is_not_for_the_next_call(app: SignalR, target: str) -> None:
    async with TestClient(app, "/work") as client:
        await client.invoke("speak", "de")
        assert await client.invoke(target) is None
        await asyncio.gather(client.invoke("speak", "fr"), client.invoke("plain"))
        assert await client.invoke(target) is None
