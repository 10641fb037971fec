"""Transports carry bytes between a connection and its client: the only modules that touch a socket, through ASGI."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol

from asgi_signalr.transports.inbox import Inbox
from asgi_signalr.transports.payload import Payload

TRANSPORTS = {
    "WebSockets": ("Text", "Binary"),
    "ServerSentEvents": ("Text",),
    "LongPolling": ("Text", "Binary"),
}
"""The transports by the names that the negotiation gives them, and what each can carry."""


def checked(names: Collection[str]) -> tuple[str, ...]:
    """Check a choice of transports; clients try them in this order.

    Raises:
        ValueError: there is no transport of a name, or none is chosen at all.

    """
    chosen = (names,) if isinstance(names, str) else tuple(dict.fromkeys(names))
    if unknown := [name for name in chosen if name not in TRANSPORTS]:
        raise ValueError(f"There is no transport {unknown[0]!r}; there are {', '.join(TRANSPORTS)}.")
    if not chosen:
        raise ValueError(f"Choose at least one of the transports {', '.join(TRANSPORTS)}.")
    return chosen


Write = Callable[[Sequence[Payload]], Awaitable[None] | None]
"""Sends whole messages, as one frame where there are frames. None: they are on their way already."""


class DirectWriter(Protocol):
    """A WebSocket that frames can be written to as they are, past ASGI."""

    blocked: bool
    """Whether nothing may be written now."""
    write: Callable[[bytes], None]
    """Writes whole frames, unless `blocked`."""


class Transport(Protocol):
    """One client's way in and out."""

    @property
    def name(self) -> str:
        """The name that the negotiation gives it."""

    @property
    def keeps_alive(self) -> bool:
        """Whether it needs no pings, because its client asks again and again anyway."""

    @property
    def keep_alive_frame(self) -> Payload | None:
        """Sent to a client that has heard nothing for long, where nothing else keeps the transport open; else None."""

    @property
    def has_gone(self) -> bool:
        """Whether it is known that the client has gone, even if nobody has received what it said before."""

    @property
    def direct(self) -> DirectWriter | None:
        """The way past ASGI, where the server has one. Frames may be written there instead of being sent."""

    @property
    def inbox(self) -> Inbox | None:
        """Where the client's POSTs are put; None for a transport whose client does not post."""

    async def receive(self) -> str | bytes | None:
        """Wait for something from the client, in any portions; None once the client has gone."""

    def send(self, payloads: Sequence[Payload]) -> Awaitable[None] | None:
        """Send whole messages, as one frame where there are frames; None if they are on their way already."""

    async def close(self, code: int = 1000, /) -> None:
        """End the transport, in good order if the client is still there; a WebSocket with a code."""
