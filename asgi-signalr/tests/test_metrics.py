"""What OpenTelemetry is told: by the names of its conventions for SignalR, and of the library's own."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, ClassVar

import opentelemetry.metrics
import pytest
from asgi_signalr import Hub, SignalR
from asgi_signalr.backplanes.memory import MemoryBackplane
from asgi_signalr.metrics import InvocationMetrics
from asgi_signalr.testing import RefusedError, TestClient
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader

WEB_SOCKETS = {"signalr.transport": "web_sockets"}

Read = Callable[[str], list[tuple[dict[str, Any], float]]]


class Chat(Hub):
    def add(self, a: int, b: int) -> int:
        return a + b

    async def fail(self) -> None:
        raise ValueError("no")


def chat(**options: Any) -> SignalR:
    app = SignalR(**options)
    app.hub("/chat")(Chat)
    return app


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemoryMetricReader]:
    """Collects what is measured in this test."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    monkeypatch.setattr(opentelemetry.metrics, "get_meter", provider.get_meter)
    yield reader
    provider.shutdown()


@pytest.fixture
def read(reader: InMemoryMetricReader) -> Read:
    """Reads a metric: its attributes and values; the number of values for a histogram."""

    def read_(name: str) -> list[tuple[dict[str, Any], float]]:
        data: Any = reader.get_metrics_data()
        return [
            (dict(point.attributes), point.count if isinstance(point, HistogramDataPoint) else point.value)
            for resource in (data.resource_metrics if data else ())  # none, if nothing was measured
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    return read_


async def test_connections_are_counted_while_they_last_and_timed_when_they_end(read: Read) -> None:
    app = chat()
    async with TestClient(app, "/chat"):
        async with TestClient(app, "/chat"):
            assert read("signalr.server.active_connections") == [(WEB_SOCKETS, 2)]
        assert read("signalr.server.active_connections") == [(WEB_SOCKETS, 1)]
    assert read("signalr.server.active_connections") == [(WEB_SOCKETS, 0)]
    closed = WEB_SOCKETS | {"signalr.connection.status": "normal_closure"}
    assert read("signalr.server.connection.duration") == [(closed, 2)]


async def test_what_is_measured_is_what_the_conventions_say(reader: InMemoryMetricReader) -> None:
    async with TestClient(chat(), "/chat"):
        pass
    data = reader.get_metrics_data()
    assert data is not None
    (resource,) = data.resource_metrics
    (scope,) = resource.scope_metrics
    assert scope.scope.name == "asgi_signalr"
    active, duration = sorted(scope.metrics, key=lambda metric: metric.name)
    assert (active.name, active.unit) == ("signalr.server.active_connections", "{connection}")
    assert (duration.name, duration.unit) == ("signalr.server.connection.duration", "s")
    (point,) = duration.data.data_points
    assert isinstance(point, HistogramDataPoint)
    assert point.explicit_bounds == (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
    assert 0 < point.sum < 10


async def test_a_connection_that_ends_with_the_application_says_so(read: Read) -> None:
    app = chat()
    async with TestClient(app, "/chat") as client:
        await app.stop()
        await client.closed()
    closed = WEB_SOCKETS | {"signalr.connection.status": "app_shutdown"}
    assert read("signalr.server.connection.duration") == [(closed, 1)]


async def test_a_client_that_is_silent_for_too_long_timed_out(
    read: Read, connect: Callable[..., Awaitable[Any]]
) -> None:
    peer = await connect(chat(client_timeout_interval=0.02))
    peer.send('{"type":6}\x1e')
    await peer.ended()
    closed = WEB_SOCKETS | {"signalr.connection.status": "timeout"}
    assert read("signalr.server.connection.duration") == [(closed, 1)]


async def test_a_poll_that_does_not_come_timed_out(read: Read, request_to: Callable[..., Awaitable[Any]]) -> None:
    app = chat(disconnect_timeout=0.02)
    token = (await request_to(app, "POST", "/chat/negotiate?negotiateVersion=1")).json["connectionToken"]
    assert (await request_to(app, "GET", f"/chat?id={token}")).status == 200
    polling = {"signalr.transport": "long_polling"}
    assert read("signalr.server.active_connections") == [(polling, 1)]
    async with asyncio.timeout(10):
        while not (ended := read("signalr.server.connection.duration")):  # noqa: ASYNC110  (OpenTelemetry's reader tells nobody)
            await asyncio.sleep(0.005)
    assert ended == [(polling | {"signalr.connection.status": "timeout"}, 1)]


async def test_who_never_shakes_hands_timed_out(read: Read, open_to: Callable[..., Any]) -> None:
    peer = await open_to(chat(handshake_timeout=0.02), "/chat").accepted()
    await peer.ended()
    closed = WEB_SOCKETS | {"signalr.connection.status": "timeout"}
    assert read("signalr.server.connection.duration") == [(closed, 1)]


async def test_who_never_brings_another_websocket_timed_out(
    read: Read, request_to: Callable[..., Awaitable[Any]], open_to: Callable[..., Any]
) -> None:
    app = chat(allow_stateful_reconnects=True, disconnect_timeout=0.02)
    answer = await request_to(app, "POST", "/chat/negotiate?negotiateVersion=1&useStatefulReconnect=true")
    peer = await open_to(app, f"/chat?id={answer.json['connectionToken']}").accepted()
    peer.send('{"protocol":"json","version":2}\x1e')
    assert await peer.frame() == "{}\x1e"
    await peer.drop()
    async with asyncio.timeout(10):
        while not (ended := read("signalr.server.connection.duration")):  # noqa: ASYNC110  (OpenTelemetry's reader tells nobody)
            await asyncio.sleep(0.005)
    assert ended == [(WEB_SOCKETS | {"signalr.connection.status": "timeout"}, 1)]


async def test_refused_connections_are_counted_by_their_reasons(read: Read) -> None:
    app = chat(max_connections_per_user=1)
    async with TestClient(app, "/chat", user="ada"):
        with pytest.raises(RefusedError):
            await TestClient(app, "/chat", user="ada").__aenter__()
    assert read("asgi_signalr.server.refused_connections") == [({"asgi_signalr.reason": "user"}, 1)]


async def test_slow_clients_that_are_given_up_are_counted(read: Read, connect: Callable[..., Awaitable[Any]]) -> None:
    app = chat(max_queued_bytes=1000, close_timeout=0.02)
    slow = await connect(app)
    slow.does_not_read()
    for _ in range(3):
        await app.hub_context(Chat).clients.all.send("heard", "x" * 600)
        await asyncio.sleep(0)
    await slow.ended()
    assert read("asgi_signalr.server.slow_clients") == [({"asgi_signalr.hub": "Chat"}, 1)]


async def test_messages_that_slow_clients_are_spared_are_counted(
    read: Read, connect: Callable[..., Awaitable[Any]]
) -> None:
    app = chat(max_queued_bytes=1000, slow_client_policy="latest")
    slow = await connect(app)
    slow.does_not_read()
    for _ in range(4):
        await app.hub_context(Chat).clients.all.send("heard", "x" * 600)
        await asyncio.sleep(0)
    assert read("asgi_signalr.server.dropped_messages") == [({"asgi_signalr.hub": "Chat"}, 2)]


async def test_gaps_of_the_backplane_are_counted(read: Read) -> None:
    app = chat()
    async with TestClient(app, "/chat"):
        app._servers._gap("away for a while")
    assert read("asgi_signalr.backplane.gaps") == [({}, 1)]


class TellingBackplane(MemoryBackplane):
    health: ClassVar = {"queued": 3, "lag": 2}


async def test_how_far_the_backplane_is_behind_is_asked_for_while_the_server_is_there(read: Read) -> None:
    app = chat(backplane=TellingBackplane())
    async with app.lifespan():
        assert read("asgi_signalr.backplane.queued") == [({}, 3)]
        assert read("asgi_signalr.backplane.lag") == [({}, 2)]
    assert read("asgi_signalr.backplane.queued") == read("asgi_signalr.backplane.lag") == []


async def test_a_filter_measures_calls(read: Read) -> None:
    async with TestClient(chat(filters=[InvocationMetrics()]), "/chat") as client:
        for _ in range(2):
            assert await client.invoke("ADD", 1, 2) == 3
        with pytest.raises(Exception, match="An unexpected error"):
            await client.invoke("fail")
    of_hub = {"asgi_signalr.hub": "Chat"}
    assert read("asgi_signalr.hub.invocation.duration") == [
        (of_hub | {"asgi_signalr.method": "add"}, 2),
        (of_hub | {"asgi_signalr.method": "fail", "error.type": "ValueError"}, 1),
    ]


def test_without_opentelemetry_everything_works_and_nothing_is_imported() -> None:
    script = """
import asyncio, sys
sys.modules["opentelemetry"] = None  # as if it were not installed
from asgi_signalr import Hub, SignalR
from asgi_signalr.metrics import InvocationMetrics
from asgi_signalr.testing import TestClient

class Chat(Hub):
    def add(self, a: int, b: int) -> int:
        return a + b

async def main():
    app = SignalR(filters=[InvocationMetrics()])
    app.hub("/chat")(Chat)
    async with TestClient(app, "/chat") as client:
        print(await client.invoke("add", 1, 2), [name for name in sys.modules if name.startswith("opentelemetry.")])

asyncio.run(main())
"""
    out = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, encoding="utf-8").stdout
    assert out == "3 []\n"
