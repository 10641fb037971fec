"""Transports carry bytes between a connection and its client: the only modules that touch a socket, through ASGI."""

from collections.abc import Awaitable, Collection, Sequence
from typing import Protocol

from asgi_signalr.outbox import Payload

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


class Transport(Protocol):
    """One client's way in and out."""

    @property
    def name(self) -> str:
        """What the negotiation calls it."""

    @property
    def keeps_alive(self) -> bool:
        """Whether it needs no pings, because its client asks again and again anyway."""

    @property
    def has_gone(self) -> bool:
        """Whether it is known that the client has gone, even if nobody has received what it said before."""

    async def receive(self) -> str | bytes | None:
        """Wait for something from the client, in any portions; None once the client has gone."""

    def send(self, payloads: Sequence[Payload]) -> Awaitable[None] | None:
        """Send whole messages, as one frame where there are frames; None if they are on their way already."""

    async def close(self, code: int = 1000, /) -> None:
        """End the transport, in good order if the client is still there; a WebSocket with a code."""
