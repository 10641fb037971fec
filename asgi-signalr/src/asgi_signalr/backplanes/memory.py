"""The backplane of one process: servers with the same `memory://` URL on one event loop hear each other.

`memory://` alone is a backplane of its own, which nothing else joins: one server, the default. With a name,
`memory://tests`, every server that opens that name on the same event loop joins the same stream; that is how two
servers are tested without a database.
"""

import asyncio
from collections import deque
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from asgi_signalr.backplanes import BackplaneError, Deliver, OnGap


class _Topic:
    """One ordered stream of payloads: publishing appends, and whoever is delivering goes on until nothing is left."""

    def __init__(self) -> None:
        self.receivers: list[Deliver] = []
        self._waiting: deque[bytes] = deque()
        self._delivering = False

    def publish(self, payload: bytes) -> None:
        self._waiting.append(payload)
        if self._delivering:  # a receiver published: its payload comes after this one, for every receiver
            return
        self._delivering = True
        try:
            while self._waiting:
                payload = self._waiting.popleft()
                for deliver in tuple(self.receivers):
                    deliver(payload)
        finally:
            self._delivering = False


_named: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Topic]] = WeakKeyDictionary()


class MemoryBackplane:
    """A stream in this process. Delivers before `publish` returns; loses nothing, so it never tells of a gap."""

    def __init__(self, url: str = "memory://", *, on_gap: OnGap | None = None) -> None:
        parts = urlsplit(url)
        self._name = parts.netloc + parts.path
        self._topic: _Topic | None = None
        self._deliver: Deliver | None = None

    async def start(self, deliver: Deliver) -> None:
        """Join the stream."""
        if self._name:
            topics = _named.setdefault(asyncio.get_running_loop(), {})
            self._topic = topics.setdefault(self._name, _Topic())
        else:
            self._topic = _Topic()
        self._deliver = deliver
        self._topic.receivers.append(deliver)

    async def publish(self, payload: bytes) -> None:
        """Hand the payload to every server of the stream, in order."""
        if self._topic is None:
            raise BackplaneError("The backplane is not started.")
        self._topic.publish(payload)

    async def stop(self) -> None:
        """Leave the stream."""
        if self._topic is not None and self._deliver is not None:
            self._topic.receivers.remove(self._deliver)
        self._topic = self._deliver = None
