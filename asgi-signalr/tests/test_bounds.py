"""Bounds for what clients and the application's own functions could otherwise keep for ever."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asgi_signalr import Hub, HubFilter, LifetimeContext, PersistentConnection, SignalR
from asgi_signalr.filters import Connected
from asgi_signalr.hubs import failures

Connect = Callable[..., Awaitable[Any]]
Request = Callable[..., Awaitable[Any]]


class Chat(Hub):
    def fail(self) -> None:
        raise ValueError("on purpose")


def chat(**options: Any) -> SignalR:
    signalr = SignalR(**options)
    signalr.hub("/chat")(Chat)
    return signalr


async def never(_scope: Any) -> None:
    await asyncio.Event().wait()


async def test_a_user_function_that_hangs_is_given_up(
    request_to: Request, open_to: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = chat(user=never, hook_timeout=0.01)
    answer = await request_to(app, "POST", "/chat/negotiate")
    assert (answer.status, answer.text) == (503, "The server cannot decide in time.")
    assert (await open_to(app, "/chat").refused()).status == 503
    assert [record.getMessage() for record in caplog.records] == [
        "A function that says who may connect has not ended within 0.01 s (hook_timeout)."
    ]


class Hanging(Hub):
    async def on_connected(self) -> None:
        if "begin" in self.context.query:
            await asyncio.Event().wait()

    async def on_disconnected(self, error: Exception | None) -> None:
        await asyncio.Event().wait()


class HangingFilter(HubFilter):
    async def on_connected(self, context: LifetimeContext, next: Connected) -> None:
        await asyncio.Event().wait()


class HangingConnection(PersistentConnection):
    async def on_connected(self) -> None:
        await asyncio.Event().wait()


def hanging(kind: str) -> SignalR:
    signalr = SignalR(hook_timeout=0.01, filters=[HangingFilter()] if kind == "filter" else [])
    if kind == "connection":
        signalr.connection("/chat")(HangingConnection)
    else:
        signalr.hub("/chat")(Hanging if kind == "hub" else Chat)
    return signalr


@pytest.mark.parametrize("kind", ["hub", "filter", "connection"])
async def test_a_connection_that_cannot_begin_is_given_up(
    open_to: Any, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    peer = await open_to(hanging(kind), "/chat?begin").accepted()
    if kind != "connection":
        peer.send('{"protocol":"json","version":1}\x1e')
        assert await peer.frame() == "{}\x1e"
        assert await peer.frame() == '{"type":7,"error":"Connection closed with an error."}\x1e'
    assert await peer.closed() in (1000, 1011)
    (record,) = caplog.records
    assert record.exc_info is not None
    assert str(record.exc_info[1]).endswith("on_connected has not ended within 0.01 s (hook_timeout).")


async def test_a_connection_that_cannot_end_is_let_go(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    app = hanging("hub")
    peer = await connect(app)
    await peer.drop()
    assert app.status()["connections"] == {}
    (record,) = caplog.records
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "Hanging.on_disconnected has not ended within 0.01 s (hook_timeout)."


async def test_a_body_that_does_not_come_is_given_up(ask: Any) -> None:
    app = chat(body_timeout=0.01)
    token = (await ask(app, "POST", "/chat/negotiate?negotiateVersion=1").answer()).json["connectionToken"]
    assert (await ask(app, "GET", f"/chat?id={token}").answer()).status == 200
    assert (await ask(app, "POST", f"/chat?id={token}", body=None).answer()).status == 408


async def test_connections_without_a_user_have_a_limit_of_their_own(
    connect: Connect, open_to: Any, request_to: Request
) -> None:
    app = chat(max_anonymous_connections=1)
    await connect(app)
    answer = await open_to(app, "/chat").refused()
    assert (answer.status, answer.body.decode()) == (
        429,
        "There are 1 connections without a user, as many as are allowed.",
    )
    await connect(app, user="ann")
    assert app.status()["refused"] == {"anonymous": 1}


async def test_tracebacks_do_not_fill_the_log(
    connect: Connect, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failures, "_MOST_TRACEBACKS", 2)
    peer = await connect(chat())
    for _ in range(5):
        await peer.call("FAIL")
    assert [(each.getMessage(), bool(each.exc_info)) for each in caplog.records] == [("Chat.fail failed.", True)] * 2
    monkeypatch.setattr(failures, "_MINUTE", 0.0)
    await peer.call("fail")
    errors = [each.getMessage() for each in caplog.records if each.levelno == logging.ERROR]
    assert errors[2:] == ["3 more calls of Chat have failed within a minute.", "Chat.fail failed."]
