"""Transports carry bytes between a connection and its client: the only modules that touch a socket, through ASGI."""

from collections.abc import Awaitable, Sequence
from typing import Protocol

from asgi_signalr.outbox import Payload


class Transport(Protocol):
    """One client's way in and out."""

    @property
    def name(self) -> str:
        """What the negotiation calls it."""

    @property
    def keeps_alive(self) -> bool:
        """Whether it needs no pings, because its client asks again and again anyway."""

    async def receive(self) -> bytes | None:
        """Wait for bytes from the client, in any portions; None once the client has gone."""

    def send(self, payloads: Sequence[Payload]) -> Awaitable[None]:
        """Send whole messages as one frame."""

    async def close(self) -> None:
        """End the transport, in good order if the client is still there."""
