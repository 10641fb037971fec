"""The figures of a server for OpenTelemetry: its connections, refusals, and losses.

Where opentelemetry-api is installed (`asgi-signalr[opentelemetry]`), servers measure; the application's own meter
provider decides where the figures go. Where it is not, nothing is imported and nothing counted.

| metric | kind | unit | attributes |
|---|---|---|---|
| `signalr.server.active_connections` | up-down counter | `{connection}` | `signalr.transport` |
| `signalr.server.connection.duration` | histogram | `s` | `signalr.transport`, `signalr.connection.status` |
| `asgi_signalr.server.refused_connections` | counter | `{connection}` | `asgi_signalr.reason` |
| `asgi_signalr.server.slow_clients` | counter | `{connection}` | `asgi_signalr.hub` |
| `asgi_signalr.server.dropped_messages` | counter | `{message}` | `asgi_signalr.hub` |
| `asgi_signalr.backplane.gaps` | counter | `{gap}` | |
| `asgi_signalr.backplane.queued` | observable up-down counter | `{message}` | |
| `asgi_signalr.backplane.lag` | observable up-down counter | `{message}` | |
| `asgi_signalr.hub.invocation.duration` | histogram | `s` | `asgi_signalr.hub`, `asgi_signalr.method`, `error.type` |

The first two are OpenTelemetry's conventions for SignalR. The last one is measured by a filter, which costs
each call a little: `SignalR(filters=[InvocationMetrics()])`.
"""

import time
from typing import TYPE_CHECKING, Any

from asgi_signalr.connections.metrics import find_meter
from asgi_signalr.filters import HubFilter, InvocationContext, Invoke

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram


_CALL_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)


class InvocationMetrics(HubFilter):
    """Measures how long the calls of hub methods take; those that answer with a stream until it begins."""

    def __init__(self) -> None:
        self._histogram: Histogram | None = None
        if (meter := find_meter()) is not None:
            self._histogram = meter.create_histogram(
                "asgi_signalr.hub.invocation.duration",
                "s",
                "The duration of the calls of hub methods.",
                explicit_bucket_boundaries_advisory=_CALL_BUCKETS,
            )

    async def invoke(self, context: InvocationContext, next: Invoke) -> Any:
        """Measure a call."""
        if self._histogram is None:
            return await next(context)
        attributes = {"asgi_signalr.hub": context.context.hub, "asgi_signalr.method": context.method_name}
        began = time.perf_counter()
        try:
            return await next(context)
        except BaseException as error:
            attributes["error.type"] = type(error).__qualname__
            raise
        finally:
            self._histogram.record(time.perf_counter() - began, attributes)
