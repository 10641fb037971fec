"""The envelopes in which servers talk, and how they read for people."""

import msgspec
import pytest
from asgi_signalr.scaleout.envelopes import (
    Acknowledgement,
    ClientInquiry,
    ClientInvocation,
    ClientResult,
    Delivery,
    Envelope,
    GroupCommand,
    PresenceChange,
    PresenceUpdate,
    RollCall,
    ServerGone,
    ServerState,
    decode,
    encode,
)
from asgi_signalr.scaleout.view import describe, to_dict

MESSAGE = b'{"type":1,"target":"said","arguments":["hi",{"n":1}]}\x1e'
CAME = PresenceChange(True, "red", "c1", "ada")
WENT = PresenceChange(False, None, "c2", None)


@pytest.mark.parametrize(
    ("envelope", "wire", "line", "view"),
    [
        (
            Delivery("Chat", "all", (), ("x",), {"json": MESSAGE}, "said"),
            ["delivery", "Chat", "all", [], ["x"], {"json": MESSAGE}, "said"],
            'Chat to all except x: said("hi", {"n":1})',
            {
                "kind": "delivery",
                "hub": "Chat",
                "to": "all",
                "names": [],
                "excluded": ["x"],
                "target": "said",
                "arguments": ["hi", {"n": 1}],
                "bytes": {"json": 54},
            },
        ),
        (
            Delivery("Chat", "group", ("a", "b"), (), {"other": b"123"}),
            ["delivery", "Chat", "group", ["a", "b"], [], {"other": b"123"}, None],
            "Chat to group a, b: a message of 3 bytes",
            {
                "kind": "delivery",
                "hub": "Chat",
                "to": "group",
                "names": ["a", "b"],
                "excluded": [],
                "target": None,
                "arguments": None,
                "bytes": {"other": 3},
            },
        ),
        (
            Delivery("Chat", "all", (), (), {"other": b"123"}, "said"),
            ["delivery", "Chat", "all", [], [], {"other": b"123"}, "said"],
            "Chat to all: said of 3 bytes",
            {
                "kind": "delivery",
                "hub": "Chat",
                "to": "all",
                "names": [],
                "excluded": [],
                "target": "said",
                "arguments": None,
                "bytes": {"other": 3},
            },
        ),
        (
            GroupCommand("Chat", "add", "red", "c1", "7", "s1"),
            ["group", "Chat", "add", "red", "c1", "7", "s1"],
            "Chat: add c1 to group red (command 7)",
            {
                "kind": "group",
                "hub": "Chat",
                "action": "add",
                "group": "red",
                "connection": "c1",
                "command": "7",
                "server": "s1",
            },
        ),
        (
            ServerState("shop:", "s1", "asks"),
            ["server", "shop:", "s1", "asks"],
            "server s1 starts, and asks who is there",
            {"kind": "server", "hub": "shop:", "server": "s1", "state": "asks"},
        ),
        (
            ServerState("", "s1", "lives"),
            ["server", "", "s1", "lives"],
            "server s1 is there",
            {"kind": "server", "hub": "", "server": "s1", "state": "lives"},
        ),
        (
            ServerState("", "s1", "leaves"),
            ["server", "", "s1", "leaves"],
            "server s1 stops",
            {"kind": "server", "hub": "", "server": "s1", "state": "leaves"},
        ),
        (
            Acknowledgement("Chat", "7", "s1"),
            ["ack", "Chat", "7", "s1", None],
            "Chat: command 7 is acknowledged",
            {"kind": "ack", "hub": "Chat", "command": "7", "server": "s1", "refusal": None},
        ),
        (
            Acknowledgement("Chat", "7", "s1", "Too many."),
            ["ack", "Chat", "7", "s1", "Too many."],
            "Chat: command 7 is refused: Too many.",
            {"kind": "ack", "hub": "Chat", "command": "7", "server": "s1", "refusal": "Too many."},
        ),
        (
            ClientInvocation("Chat", "c1", "s1-a", "a", {"json": MESSAGE}),
            ["invoke", "Chat", "c1", "s1-a", "a", {"json": MESSAGE}],
            'Chat asks connection c1: said("hi", {"n":1}) (invocation s1-a)',
            {
                "kind": "invoke",
                "hub": "Chat",
                "connection": "c1",
                "invocation": "s1-a",
                "server": "a",
                "target": "said",
                "arguments": ["hi", {"n": 1}],
                "bytes": {"json": 54},
            },
        ),
        (
            ClientInquiry("Chat", "c1", "s1-a", "a"),
            ["inquire", "Chat", "c1", "s1-a", "a", False],
            "Chat still waits for connection c1 (invocation s1-a)",
            {
                "kind": "inquire",
                "hub": "Chat",
                "connection": "c1",
                "invocation": "s1-a",
                "server": "a",
                "gives_up": False,
            },
        ),
        (
            ClientInquiry("Chat", "c1", "s1-a", "a", gives_up=True),
            ["inquire", "Chat", "c1", "s1-a", "a", True],
            "Chat waits no more for connection c1 (invocation s1-a)",
            {
                "kind": "inquire",
                "hub": "Chat",
                "connection": "c1",
                "invocation": "s1-a",
                "server": "a",
                "gives_up": True,
            },
        ),
        (
            ClientResult("Chat", "s1-a", "a", "json", b"123"),
            ["result", "Chat", "s1-a", "a", "json", b"123"],
            "Chat: invocation s1-a is answered",
            {"kind": "result", "hub": "Chat", "invocation": "s1-a", "server": "a", "bytes": {"json": 3}},
        ),
        (
            ClientResult("Chat", "s1-a", "a", "json", None),
            ["result", "Chat", "s1-a", "a", "json", None],
            "Chat: invocation s1-a has no answer, its connection has ended",
            {"kind": "result", "hub": "Chat", "invocation": "s1-a", "server": "a", "bytes": None},
        ),
        (
            PresenceUpdate("Chat", "a", 3, "changes", (CAME, WENT)),
            ["presence", "Chat", "a", 3, "changes", [[True, "red", "c1", "ada"], [False, None, "c2", None]]],
            "Chat: on server a 1 joined, 1 left (presence 3)",
            {
                "kind": "presence",
                "hub": "Chat",
                "server": "a",
                "number": 3,
                "what": "changes",
                "joined": [["red", "c1"]],
                "left": [[None, "c2"]],
            },
        ),
        (
            PresenceUpdate("Chat", "a", 3, "all", (CAME,)),
            ["presence", "Chat", "a", 3, "all", [[True, "red", "c1", "ada"]]],
            "Chat: on server a are 1 members (presence 3)",
            {
                "kind": "presence",
                "hub": "Chat",
                "server": "a",
                "number": 3,
                "what": "all",
                "joined": [["red", "c1"]],
                "left": [],
            },
        ),
        (
            PresenceUpdate("Chat", "a", 3, "changes", ()),
            ["presence", "Chat", "a", 3, "changes", []],
            "Chat: server a lives (presence 3)",
            {
                "kind": "presence",
                "hub": "Chat",
                "server": "a",
                "number": 3,
                "what": "changes",
                "joined": [],
                "left": [],
            },
        ),
        (
            RollCall("Chat", "a", None),
            ["roll-call", "Chat", "a", None],
            "Chat: server a asks everybody who is present",
            {"kind": "roll-call", "hub": "Chat", "server": "a", "of": None},
        ),
        (
            ServerGone("Chat", "a", "b"),
            ["gone", "Chat", "a", "b"],
            "Chat: server a has gone, says b",
            {"kind": "gone", "hub": "Chat", "server": "a", "by": "b"},
        ),
    ],
)
def test_an_envelope_is_an_array_that_begins_with_its_kind(
    envelope: Envelope, wire: list[object], line: str, view: dict[str, object]
) -> None:
    payload = encode(envelope)
    assert msgspec.msgpack.decode(payload) == wire
    assert decode(payload) == envelope
    assert describe(payload) == line
    assert to_dict(payload) == view


def test_items_that_a_newer_server_appends_are_ignored() -> None:
    payload = msgspec.msgpack.encode(["ack", "Chat", "7", "s1", None, "new"])
    assert decode(payload) == Acknowledgement("Chat", "7", "s1")


def test_items_that_an_older_server_does_not_have_are_optional() -> None:
    payload = msgspec.msgpack.encode(["delivery", "Chat", "all", [], [], {"json": MESSAGE}])
    assert decode(payload) == Delivery("Chat", "all", (), (), {"json": MESSAGE})
    payload = msgspec.msgpack.encode(["ack", "Chat", "7", "s1"])
    assert decode(payload) == Acknowledgement("Chat", "7", "s1")


@pytest.mark.parametrize("payload", [b"", b"nonsense", msgspec.msgpack.encode(["new", 1])])
def test_what_is_no_envelope_is_described_and_not_raised(payload: bytes) -> None:
    assert describe(payload).startswith(f"{len(payload)} bytes that are no envelope: ")
    with pytest.raises(ValueError):
        decode(payload)
