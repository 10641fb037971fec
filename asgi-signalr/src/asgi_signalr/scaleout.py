"""What the servers of one application tell each other through a backplane.

Three kinds of envelope: a `Delivery` for clients, wherever they are; a `GroupCommand` for a connection of another
server; the `Acknowledgement` that the command was carried out. They travel as MessagePack arrays that begin with
their kind, so a server skips kinds that it does not know, and ignores items that a newer one has appended.

The message of a delivery is carried as bytes, encoded once for each hub protocol, for the receivers to write as
they are.
"""

from typing import Any, Literal

import msgspec

from asgi_signalr.messages import Invocation, Message
from asgi_signalr.protocols.json import parse_record

Audience = Literal["all", "group", "user", "connection"]


class Delivery(msgspec.Struct, array_like=True, frozen=True, tag="delivery"):
    """A message for clients of a hub: all of them, or those of the groups, users or connections named."""

    hub: str
    audience: Audience
    names: tuple[str, ...]
    excluded: tuple[str, ...]
    payloads: dict[str, bytes]


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


Envelope = Delivery | GroupCommand | Acknowledgement

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


def to_dict(payload: bytes) -> dict[str, Any]:
    """Decode a payload for reading: JSON-ready, the message's target and arguments spelt out.

    Raises:
        ValueError: it is no envelope, or of a kind that this version does not know.

    """
    envelope = decode(payload)
    match envelope:
        case Delivery(hub, audience, names, excluded, payloads):
            message = _message(payloads)
            return {
                "kind": "delivery",
                "hub": hub,
                "to": audience,
                "names": list(names),
                "excluded": list(excluded),
                "target": message.target if message else None,
                "arguments": message.arguments if message else None,
                "bytes": {protocol: len(data) for protocol, data in payloads.items()},
            }
        case GroupCommand(hub, action, group, connection_id, command_id, server):
            return {
                "kind": "group",
                "hub": hub,
                "action": action,
                "group": group,
                "connection": connection_id,
                "command": command_id,
                "server": server,
            }
        case Acknowledgement(hub, command_id, server):
            return {"kind": "ack", "hub": hub, "command": command_id, "server": server}


def describe(payload: bytes) -> str:
    """Say in one line what a payload is; what cannot be decoded is described as well, never raised."""
    try:
        view = to_dict(payload)
    except ValueError as error:
        return f"{len(payload)} bytes that are no envelope: {error}"
    match view["kind"]:
        case "delivery":
            to = view["to"] if view["to"] == "all" else f"{view['to']} {', '.join(view['names'])}"
            but = f" except {', '.join(view['excluded'])}" if view["excluded"] else ""
            return f"{view['hub']} to {to}{but}: {_call(view)}"
        case "group":
            verb = "add {connection} to" if view["action"] == "add" else "remove {connection} from"
            return f"{view['hub']}: {verb.format(**view)} group {view['group']} (command {view['command']})"
        case _:
            return f"{view['hub']}: command {view['command']} is done"


def _call(view: dict[str, Any]) -> str:
    if view["target"] is None:
        return f"a message of {sum(view['bytes'].values())} bytes"
    arguments = ", ".join(msgspec.json.encode(each).decode() for each in view["arguments"])
    return f"{view['target']}({arguments})"


def _message(payloads: dict[str, bytes]) -> Invocation | None:
    """Decode the message for reading, if there is an encoding that needs no knowledge of its types."""
    if "json" not in payloads:
        return None
    message: Message | None = parse_record(payloads["json"][:-1])
    return message if isinstance(message, Invocation) else None
