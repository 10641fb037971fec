"""The messages between a hub and its clients, whatever the protocol on the wire.

A connection's conversation is made of these and nothing else; the `protocols` turn them into bytes and back. Their
types' numbers and their properties' names are those of HubProtocol.md.
"""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType


class Unreadable(list[Any]):
    """What stands in a received message where there are values that cannot be read: their call fails, and no other.

    Args:
        error: says what is wrong with them.
        count: how many there are.

    """

    def __init__(self, error: ValueError, count: int = 0) -> None:
        super().__init__([None] * count)
        self.error = error


class CutOff(list[Any]):
    """The arguments of a call whose message cannot be read behind them: if they fit, the connection ends.

    Args:
        arguments: they themselves.
        error: says what is wrong behind them.

    """

    def __init__(self, arguments: list[Any], error: ValueError) -> None:
        super().__init__(arguments)
        self.error = error


InvocationId = Annotated[str, Meta(min_length=1)]
SequenceId = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


class Message(msgspec.Struct, frozen=True, tag_field="type", rename="camel", omit_defaults=True):
    """The base of all messages."""


class Invocation(Message, frozen=True, tag=1):
    """1: call a method of the other side. Without an id nobody waits, and nothing is ever answered."""

    target: str
    arguments: list[Any]
    invocation_id: InvocationId | None = None
    stream_ids: tuple[str, ...] = ()


class StreamItem(Message, frozen=True, tag=2):
    """2: one item of a stream."""

    invocation_id: InvocationId
    item: Any


class Completion(Message, frozen=True, tag=3):
    """3: the end of an invocation or a stream: a result, an error, or neither.

    A method that returns nothing has the result `None`; a stream's completion has no result at all (`UNSET`).
    """

    invocation_id: InvocationId
    result: Any | UnsetType = UNSET
    error: str | None = None


class StreamInvocation(Message, frozen=True, tag=4):
    """4: call a method that answers with a stream."""

    target: str
    arguments: list[Any]
    invocation_id: InvocationId
    stream_ids: tuple[str, ...] = ()


class CancelInvocation(Message, frozen=True, tag=5):
    """5: the client wants no more of a stream."""

    invocation_id: InvocationId


class Ping(Message, frozen=True, tag=6):
    """6: still there."""


class Close(Message, frozen=True, tag=7):
    """7: the connection ends after this; `allow_reconnect` says that the client may come back."""

    error: str | None = None
    allow_reconnect: bool = False


class Ack(Message, frozen=True, tag=8):
    """8: everything up to this message of a stateful connection has been received."""

    sequence_id: SequenceId


class Sequence(Message, frozen=True, tag=9):
    """9: the first message that a stateful connection sends again."""

    sequence_id: SequenceId


class Unknown(Message, frozen=True, tag=0):
    """A received message of a type that this version does not know. Nothing is done about it."""


UNKNOWN = Unknown()

AnyMessage = Invocation | StreamItem | Completion | StreamInvocation | CancelInvocation | Ping | Close | Ack | Sequence
"""Every message that is sent."""
