"""The end of a server, and standstills of the whole process."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asgi_signalr import Hub, SignalR
from asgi_signalr.connections import shutdown

Connect = Callable[..., Awaitable[Any]]


class Bank(Hub):
    log: list[str]
    go: asyncio.Event

    async def transfer(self) -> None:
        self.log.append("debited")
        try:
            await self.go.wait()
            self.log.append("credited")
        finally:
            await asyncio.sleep(0)
            self.log.append("finally")

    async def on_disconnected(self, error: Exception | None) -> None:
        self.log.append("disconnected")


def bank(**options: Any) -> SignalR:
    Bank.log, Bank.go = [], asyncio.Event()
    signalr = SignalR(**options)
    signalr.hub("/bank")(Bank)
    return signalr


async def log_reads(*lines: str) -> None:
    async with asyncio.timeout(5):
        while Bank.log != list(lines):  # noqa: ASYNC110  (the hub's own doing)
            await asyncio.sleep(0.002)


async def test_a_call_that_runs_at_the_servers_end_finishes(connect: Connect) -> None:
    app = bank()
    peer = await connect(app, "/bank")
    peer.invoke("transfer")
    await log_reads("debited")
    stopping = asyncio.create_task(app.stop())
    await log_reads("debited", "disconnected")
    assert not stopping.done()
    Bank.go.set()
    await stopping
    assert Bank.log == ["debited", "disconnected", "credited", "finally"]


async def test_a_call_that_does_not_finish_in_time_is_cancelled_and_tidies_up(
    connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    app = bank(stop_timeout=0.05)
    peer = await connect(app, "/bank")
    peer.invoke("transfer")
    await log_reads("debited")
    await app.stop()
    assert Bank.log == ["debited", "disconnected", "finally"]
    stops = "The server stops; calls that have not ended in time are cancelled (stop_timeout)."
    assert [(each.levelname, each.message) for each in caplog.records] == [("WARNING", stops)]


async def test_a_call_whose_client_has_gone_before_finishes_as_well(connect: Connect) -> None:
    app = bank()
    peer = await connect(app, "/bank")
    peer.invoke("transfer")
    await log_reads("debited")
    await peer.drop()
    stopping = asyncio.create_task(app.stop())
    await asyncio.sleep(0)
    Bank.go.set()
    await stopping
    assert Bank.log == ["debited", "disconnected", "credited", "finally"]


async def test_without_a_lifespan_the_request_lasts_until_the_call_is_done(connect: Connect, monkeypatch: Any) -> None:
    app = bank()
    peer = await connect(app, "/bank")
    peer.invoke("transfer")
    await log_reads("debited")
    monkeypatch.setattr(shutdown, "is_asked_for", lambda: True)  # as uvicorn is, whose own signals end the process
    leaving = asyncio.create_task(peer.drop(1012))
    await log_reads("debited", "disconnected")
    assert not leaving.done()
    Bank.go.set()
    await leaving
    assert Bank.log == ["debited", "disconnected", "credited", "finally"]


async def test_without_a_lifespan_the_last_poll_lasts_until_the_hub_is_done(
    ask: Any, request_to: Any, monkeypatch: Any
) -> None:
    app = bank(keep_alive_interval=0.1)  # looks often
    answer = await request_to(app, "POST", "/bank/negotiate?negotiateVersion=1")
    url = f"/bank?id={answer.json['connectionToken']}"
    await request_to(app, "GET", url)
    await ask(app, "POST", url, body=b'{"protocol":"json","version":1}\x1e').ended()
    await request_to(app, "GET", url)
    await ask(app, "POST", url, body=b'{"type":1,"target":"transfer","arguments":[]}\x1e').ended()
    await log_reads("debited")
    poll = ask(app, "GET", url)
    monkeypatch.setattr(shutdown, "is_asked_for", lambda: True)
    await log_reads("debited", "disconnected")
    assert not poll.task.done()
    Bank.go.set()
    await poll.ended()
    assert Bank.log == ["debited", "disconnected", "credited", "finally"]


async def test_nobody_is_given_up_for_a_time_in_which_the_server_stood_still(connect: Connect, request_to: Any) -> None:
    app = bank(client_timeout_interval=1, keep_alive_interval=0.4, disconnect_timeout=1)
    peers = [await connect(app, "/bank") for _ in range(3)]
    await request_to(app, "POST", "/bank/negotiate?negotiateVersion=1")
    for peer in peers:
        peer.send(PING)
    await asyncio.sleep(0.15)  # the timer, which looks every 0.1 s, has seen them
    time.sleep(1.5)  # noqa: ASYNC251  (a method that blocks)
    await asyncio.sleep(0.15)
    for peer in peers:
        peer.send(PING)
        peer.invoke("nothing")
        assert "nothing" in await until_not_ping(peer)
    assert app.status()["negotiated"] == 1


async def test_who_is_silent_besides_is_given_up(connect: Connect) -> None:
    app = bank(client_timeout_interval=0.4, keep_alive_interval=0.2)
    peer = await connect(app, "/bank")
    peer.send(PING)
    await asyncio.sleep(0.1)
    time.sleep(0.5)  # noqa: ASYNC251  (a method that blocks)
    assert '"type":7' in await until_not_ping(peer)


PING = '{"type":6}\x1e'


async def until_not_ping(peer: Any) -> str:
    while (frame := await peer.frame()) == PING:
        pass
    return str(frame)
