"""The envelopes that the servers of one application exchange through a backplane.

Each kind of envelope is a class below: a `Delivery` for clients, wherever they are; commands for the server that has
a connection; what it answers. They travel as MessagePack arrays that begin with their kind, so a server skips kinds
that it does not know, and ignores items that a newer one has appended: whoever changes an envelope only appends.

The message of a delivery is carried as bytes, encoded once for each hub protocol, for the receivers to write as
they are.
"""

from typing import Literal, Protocol

import msgspec

Audience = Literal["all", "group", "user", "connection"]


class Delivery(msgspec.Struct, array_like=True, frozen=True, tag="delivery"):
    """A message for clients of a hub: all of them, or those of the groups, users or connections named."""

    hub: str
    audience: Audience
    names: tuple[str, ...]
    excluded: tuple[str, ...]
    payloads: dict[str, bytes]
    target: str | None = None
    """The method that the message calls; slow clients may be spared all but the latest. None: it calls none."""


class GroupCommand(msgspec.Struct, array_like=True, frozen=True, tag="group"):
    """Add a connection to a group, or remove it: for the server that has this connection."""

    hub: str
    action: Literal["add", "remove"]
    group: str
    connection_id: str
    command_id: str
    server: str


class Acknowledgement(msgspec.Struct, array_like=True, frozen=True, tag="ack"):
    """The answer to a command, for the server that sent it."""

    hub: str
    command_id: str
    server: str
    refusal: str | None = None
    """Why the command was not obeyed; None: it was."""


class ClientInvocation(msgspec.Struct, array_like=True, frozen=True, tag="invoke"):
    """Call a method of one connection and send its result back: for the server that has this connection."""

    hub: str
    connection_id: str
    invocation_id: str
    server: str
    payloads: dict[str, bytes]


class ClientInquiry(msgspec.Struct, array_like=True, frozen=True, tag="inquire"):
    """Is that invocation still waiting for its client? The server that has the connection acknowledges that it is.

    Or else who has asked waits no longer, and the server that has the connection may forget it.
    """

    hub: str
    connection_id: str
    invocation_id: str
    server: str
    gives_up: bool = False


class ClientResult(msgspec.Struct, array_like=True, frozen=True, tag="result"):
    """A client's answer, as a completion in its protocol, for the server that asked.

    No completion: the connection has ended.
    """

    hub: str
    invocation_id: str
    server: str
    protocol: str
    completion: bytes | None


class PresenceChange(msgspec.Struct, array_like=True, frozen=True):
    """A connection has joined a group or left it; no group: it has begun or ended."""

    joined: bool
    group: str | None
    connection_id: str
    user_identifier: str | None


class PresenceUpdate(msgspec.Struct, array_like=True, frozen=True, tag="presence"):
    """The changes among the members on one server; or all of its members, as when the roll is called.

    The updates of a server are numbered. No changes say just that the server lives, with the number of the last update.
    """

    hub: str
    server: str
    number: int
    kind: Literal["changes", "all"]
    changes: tuple[PresenceChange, ...]


class RollCall(msgspec.Struct, array_like=True, frozen=True, tag="roll-call"):
    """A server asks every server, or one, to tell of all its members."""

    hub: str
    server: str
    of: str | None


class ServerGone(msgspec.Struct, array_like=True, frozen=True, tag="gone"):
    """A server has not been heard of for too long: its members have left. The first of these counts."""

    hub: str
    server: str
    by: str


class ServerState(msgspec.Struct, array_like=True, frozen=True, tag="server"):
    """A server says that it lives, asks who else does, or stops. By its mark, and of no hub: of the application."""

    hub: str
    server: str
    state: Literal["asks", "lives", "leaves"]


Envelope = (
    Delivery
    | GroupCommand
    | Acknowledgement
    | ClientInvocation
    | ClientInquiry
    | ClientResult
    | PresenceUpdate
    | RollCall
    | ServerGone
    | ServerState
)
"""Whatever servers tell each other. Each is of one hub, or of the whole application."""


class Publisher(Protocol):
    """A server's way to the others."""

    @property
    def id(self) -> str:
        """This server's own name among them."""

    @property
    def is_alone(self) -> bool:
        """Whether there can be no other server."""

    @property
    def trouble(self) -> str | None:
        """What is wrong with that way now, if anything is known to be."""

    async def publish(self, envelope: Envelope) -> None:
        """Hand an envelope to every server, this one included."""

    def publish_soon(self, envelope: Envelope) -> None:
        """Do the same without waiting; a failure is logged."""


_encode = msgspec.msgpack.Encoder().encode
_decoder: msgspec.msgpack.Decoder[Envelope] = msgspec.msgpack.Decoder(Envelope)


def encode(envelope: Envelope) -> bytes:
    """Encode an envelope for a backplane."""
    return _encode(envelope)


def decode(payload: bytes) -> Envelope:
    """Decode a backplane's payload.

    Raises:
        ValueError: it is no envelope, or of a kind that this version does not know.

    """
    return _decoder.decode(payload)
