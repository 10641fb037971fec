"""The memory of a stateful connection, so that nothing is lost or doubled when its WebSocket is replaced.

Both sides count the messages of types 1 to 5, each direction for itself, from 1. What was sent is kept until the
other side acknowledges it; after a reconnect each side says, in a `Sequence` message, with which number it goes on,
and sends everything from there again. What had arrived already is dropped.

As `HubProtocol.md` says under "Stateful reconnect", with one exception: the number in the `Sequence` message is that
of the first message sent again, or of the next new one. That is what the official clients send and expect.
"""

import asyncio
from collections import deque

from asgi_signalr.errors import InvalidDataError
from asgi_signalr.messages import (
    Ack,
    CancelInvocation,
    Completion,
    Invocation,
    Message,
    Sequence,
    StreamInvocation,
    StreamItem,
)
from asgi_signalr.transports.payload import Payload

COUNTED = (Invocation, StreamItem, Completion, StreamInvocation, CancelInvocation)
"""The messages that are numbered; pings, closes and the two below are not."""


class MessageBuffer:
    """The messages on their way to one client, and how far those from it have come."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._unacknowledged: deque[Payload] = deque()
        self._first = 1  # the number of the first of them
        self._size = 0
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._received = 0  # the highest number that has arrived
        self._next = 1  # the number of the next message to arrive: lower while some are sent again
        self._acknowledged = 0
        self._awaits_sequence = False
        self.held = 0
        """How many of the messages that have arrived still wait to be acted on; they are not acknowledged yet."""

    # To the client.

    @property
    def size(self) -> int:
        """How many bytes wait for their acknowledgement."""
        return self._size

    def keep(self, payload: Payload) -> None:
        """Number one message, and keep it until it is acknowledged."""
        self._unacknowledged.append(payload)
        self._size += len(payload.data)
        if self._size > self._limit:
            self._has_room.clear()

    @property
    def has_room(self) -> bool:
        """Whether no more is kept than the limit."""
        return self._has_room.is_set()

    async def room(self) -> None:
        """Wait while more is kept than the limit."""
        await self._has_room.wait()

    def resume(self) -> tuple[Sequence, list[Payload]]:
        """Begin anew on another WebSocket: returns the messages to be sent first. The client does the same."""
        self._awaits_sequence = True
        return Sequence(self._first), list(self._unacknowledged)

    def release(self) -> None:
        """Keep nobody waiting: the connection has ended."""
        self._has_room.set()

    # From the client.

    def accepts(self, message: Message) -> bool:
        """Say whether a message is to be acted on: it is new, and none of those that this buffer is told.

        Raises:
            InvalidDataError: the client goes on with messages after some that never arrived.

        """
        match message:
            case Sequence(sequence_id):
                if self._awaits_sequence:
                    self._go_on_from(sequence_id)
                return False
            case Ack(sequence_id):
                self._forget(sequence_id)
                return False
        if self._awaits_sequence:
            return False  # it was sent before the client knew of the new WebSocket, and comes again
        if not isinstance(message, COUNTED):
            return True
        number = self._next
        self._next += 1
        if number <= self._received:
            return False
        self._received = number
        return True

    def acknowledgement(self) -> Ack | None:
        """Tell how far the client's messages have come; None if it knows, or is about to send some again."""
        done = self._received - self.held
        if self._awaits_sequence or self._acknowledged == done:
            return None
        self._acknowledged = done
        return Ack(done)

    def _go_on_from(self, sequence_id: int) -> None:
        if sequence_id > self._received + 1:
            raise InvalidDataError("Sequence ID greater than amount of messages we've received.")
        self._next = sequence_id
        self._awaits_sequence = False

    def _forget(self, sequence_id: int) -> None:
        while self._unacknowledged and self._first <= sequence_id:
            self._size -= len(self._unacknowledged.popleft().data)
            self._first += 1
        if self._size <= self._limit:
            self._has_room.set()
