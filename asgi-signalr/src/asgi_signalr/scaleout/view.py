"""Envelopes as people read them: JSON-ready, or in one line."""

from typing import Any

import msgspec

from asgi_signalr.messages import Invocation, Message
from asgi_signalr.protocols.json import parse_record
from asgi_signalr.scaleout.envelopes import (
    Acknowledgement,
    ClientInquiry,
    ClientInvocation,
    ClientResult,
    Delivery,
    GroupCommand,
    PresenceUpdate,
    RollCall,
    ServerGone,
    ServerState,
    decode,
)


def to_dict(payload: bytes) -> dict[str, Any]:
    """Decode a payload for reading: JSON-ready, the message's target and arguments spelt out.

    Raises:
        ValueError: it is no envelope, or of a kind that this version does not know.

    """
    envelope = decode(payload)
    match envelope:
        case Delivery(hub, audience, names, excluded, payloads, target):
            return {
                "kind": "delivery",
                "hub": hub,
                "to": audience,
                "names": list(names),
                "excluded": list(excluded),
                **_contents(payloads, target),
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
        case Acknowledgement(hub, command_id, server, refusal):
            return {"kind": "ack", "hub": hub, "command": command_id, "server": server, "refusal": refusal}
        case ClientInvocation(hub, connection_id, invocation_id, server, payloads):
            return {
                "kind": "invoke",
                "hub": hub,
                "connection": connection_id,
                "invocation": invocation_id,
                "server": server,
                **_contents(payloads),
            }
        case ClientInquiry(hub, connection_id, invocation_id, server, gives_up):
            return {
                "kind": "inquire",
                "hub": hub,
                "connection": connection_id,
                "invocation": invocation_id,
                "server": server,
                "gives_up": gives_up,
            }
        case ClientResult(hub, invocation_id, server, protocol, completion):
            return {
                "kind": "result",
                "hub": hub,
                "invocation": invocation_id,
                "server": server,
                "bytes": None if completion is None else {protocol: len(completion)},
            }
        case PresenceUpdate(hub, server, number, what, changes):
            return {
                "kind": "presence",
                "hub": hub,
                "server": server,
                "number": number,
                "what": what,
                "joined": [[change.group, change.connection_id] for change in changes if change.joined],
                "left": [[change.group, change.connection_id] for change in changes if not change.joined],
            }
        case RollCall(hub, server, of):
            return {"kind": "roll-call", "hub": hub, "server": server, "of": of}
        case ServerState(hub, server, state):
            return {"kind": "server", "hub": hub, "server": server, "state": state}
        case ServerGone(hub, server, by):
            return {"kind": "gone", "hub": hub, "server": server, "by": by}


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
        case "invoke":
            return (
                f"{view['hub']} asks connection {view['connection']}: {_call(view)} (invocation {view['invocation']})"
            )
        case "inquire":
            waits = "waits no more" if view["gives_up"] else "still waits"
            return f"{view['hub']} {waits} for connection {view['connection']} (invocation {view['invocation']})"
        case "result":
            answer = "has no answer, its connection has ended" if view["bytes"] is None else "is answered"
            return f"{view['hub']}: invocation {view['invocation']} {answer}"
        case "presence":
            return f"{view['hub']}: {_presence(view)}"
        case "roll-call":
            return f"{view['hub']}: server {view['server']} asks {view['of'] or 'everybody'} who is present"
        case "server":
            said = {"asks": "starts, and asks who is there", "lives": "is there", "leaves": "stops"}[view["state"]]
            return f"server {view['server']} {said}"
        case "gone":
            return f"{view['hub']}: server {view['server']} has gone, says {view['by']}"
        case _:
            answer = f"refused: {view['refusal']}" if view["refusal"] else "acknowledged"
            return f"{view['hub']}: command {view['command']} is {answer}"


def _presence(view: dict[str, Any]) -> str:
    joined, left = len(view["joined"]), len(view["left"])
    if view["what"] != "changes":
        return f"on server {view['server']} are {joined} members (presence {view['number']})"
    if not joined and not left:
        return f"server {view['server']} lives (presence {view['number']})"
    return f"on server {view['server']} {joined} joined, {left} left (presence {view['number']})"


def _call(view: dict[str, Any]) -> str:
    if view["arguments"] is None:
        return f"{view['target'] or 'a message'} of {sum(view['bytes'].values())} bytes"
    arguments = ", ".join(msgspec.json.encode(each).decode() for each in view["arguments"])
    return f"{view['target']}({arguments})"


def _contents(payloads: dict[str, bytes], target: str | None = None) -> dict[str, Any]:
    message = _message(payloads)
    return {
        "target": message.target if message else target,
        "arguments": message.arguments if message else None,
        "bytes": {protocol: len(data) for protocol, data in payloads.items()},
    }


def _message(payloads: dict[str, bytes]) -> Invocation | None:
    """Decode the message for reading, if there is an encoding that needs no knowledge of its types."""
    if "json" not in payloads:
        return None
    message: Message | None = parse_record(payloads["json"][:-1])
    return message if isinstance(message, Invocation) else None
