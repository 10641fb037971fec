"""The instruments of a server, where OpenTelemetry is installed; `asgi_signalr.metrics` lists them."""

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter, Observation


Status = Literal["normal_closure", "timeout", "app_shutdown"]
"""How a connection has ended."""


_TRANSPORTS = {
    "WebSockets": "web_sockets",
    "ServerSentEvents": "server_sent_events",
    "LongPolling": "long_polling",
}


Health = Callable[[], Mapping[str, Any]]
"""Tells how a backplane fares: how many messages are `queued`, and its `lag`, if it has them."""

_OF_BACKPLANE = {
    "queued": "Messages that wait to be sent to the backplane.",
    "lag": "Messages that the backplane has, and this server has not read yet.",
}

_CONNECTION_BUCKETS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)


class Metrics:
    """Measures nothing: what a server has where OpenTelemetry is not installed."""

    def opened(self, transport: str) -> None:
        """Count a connection that begins, by what the negotiation calls its transport."""

    def closed(self, transport: str, status: Status, seconds: float) -> None:
        """Count a connection that has ended, and how long it lasted."""

    def refused(self, reason: str) -> None:
        """Count a connection for which there was no place."""

    def slow_client(self, hub: str) -> None:
        """Count a connection that was ended because its client did not take what was sent."""

    def dropped(self, hub: str, messages: int) -> None:
        """Count messages that a slow client will never see."""

    def gap(self) -> None:
        """Count that messages of other servers may have been lost."""

    def watch(self, health: Health) -> None:
        """Ask a backplane how it fares, whenever somebody reads the figures."""


class OpenTelemetryMetrics(Metrics):
    """Measures with the instruments of a meter."""

    def __init__(self, meter: "Meter") -> None:
        self._meter = meter
        self._active = meter.create_up_down_counter(
            "signalr.server.active_connections",
            "{connection}",
            "Number of connections that are currently active on the server.",
        )
        self._duration = meter.create_histogram(
            "signalr.server.connection.duration",
            "s",
            "The duration of connections on the server.",
            explicit_bucket_boundaries_advisory=_CONNECTION_BUCKETS,
        )
        self._refused = meter.create_counter(
            "asgi_signalr.server.refused_connections", "{connection}", "Connections for which there was no place."
        )
        self._slow_clients = meter.create_counter(
            "asgi_signalr.server.slow_clients",
            "{connection}",
            "Connections that were ended because the client did not take what was sent to it.",
        )
        self._dropped = meter.create_counter(
            "asgi_signalr.server.dropped_messages", "{message}", "Messages that slow clients were spared."
        )
        self._gaps = meter.create_counter(
            "asgi_signalr.backplane.gaps", "{gap}", "Times when messages of other servers may have been lost."
        )

    def opened(self, transport: str) -> None:
        """Count a connection that begins."""
        self._active.add(1, {"signalr.transport": _TRANSPORTS[transport]})

    def closed(self, transport: str, status: Status, seconds: float) -> None:
        """Count a connection that has ended."""
        attributes = {"signalr.transport": _TRANSPORTS[transport]}
        self._active.add(-1, attributes)
        self._duration.record(seconds, attributes | {"signalr.connection.status": status})

    def refused(self, reason: str) -> None:
        """Count a connection that was refused."""
        self._refused.add(1, {"asgi_signalr.reason": reason})

    def slow_client(self, hub: str) -> None:
        """Count a slow client that was given up."""
        self._slow_clients.add(1, {"asgi_signalr.hub": hub})

    def dropped(self, hub: str, messages: int) -> None:
        """Count dropped messages."""
        self._dropped.add(messages, {"asgi_signalr.hub": hub})

    def gap(self) -> None:
        """Count a gap."""
        self._gaps.add(1)

    def watch(self, health: Health) -> None:
        """Observe what a backplane tells of itself."""
        for name, text in _OF_BACKPLANE.items():
            self._meter.create_observable_up_down_counter(
                f"asgi_signalr.backplane.{name}", [_observing(health, name)], "{message}", text
            )


def _observing(health: Health, name: str) -> "Callable[[CallbackOptions], Iterable[Observation]]":
    from opentelemetry.metrics import Observation

    def observe(_: "CallbackOptions") -> "Iterable[Observation]":
        found = health()
        return [Observation(found[name])] if name in found else []

    return observe


def find_metrics() -> Metrics:
    """Measure with the application's meter provider, if OpenTelemetry is installed."""
    meter = find_meter()
    return Metrics() if meter is None else OpenTelemetryMetrics(meter)


def find_meter() -> "Meter | None":
    """Find the application's meter, if OpenTelemetry is installed."""
    try:
        from opentelemetry.metrics import get_meter
    except ImportError:
        return None
    try:
        return get_meter("asgi_signalr", version("asgi-signalr"))
    except PackageNotFoundError:  # carried along in an application without what pip notes about it
        return get_meter("asgi_signalr")
