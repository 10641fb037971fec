"""The envelopes in which servers talk, and how they read for people."""

import msgspec
import pytest
from asgi_signalr import scaleout
from asgi_signalr.scaleout import Acknowledgement, Delivery, Envelope, GroupCommand

MESSAGE = b'{"type":1,"target":"said","arguments":["hi",{"n":1}]}\x1e'


@pytest.mark.parametrize(
    ("envelope", "wire", "line", "view"),
    [
        (
            Delivery("Chat", "all", (), ("x",), {"json": MESSAGE}),
            ["delivery", "Chat", "all", [], ["x"], {"json": MESSAGE}],
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
            ["delivery", "Chat", "group", ["a", "b"], [], {"other": b"123"}],
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
            Acknowledgement("Chat", "7", "s1"),
            ["ack", "Chat", "7", "s1"],
            "Chat: command 7 is done",
            {"kind": "ack", "hub": "Chat", "command": "7", "server": "s1"},
        ),
    ],
)
def test_an_envelope_is_an_array_that_begins_with_its_kind(
    envelope: Envelope, wire: list[object], line: str, view: dict[str, object]
) -> None:
    payload = scaleout.encode(envelope)
    assert msgspec.msgpack.decode(payload) == wire
    assert scaleout.decode(payload) == envelope
    assert scaleout.describe(payload) == line
    assert scaleout.to_dict(payload) == view


def test_items_that_a_newer_server_appends_are_ignored() -> None:
    payload = msgspec.msgpack.encode(["ack", "Chat", "7", "s1", "new"])
    assert scaleout.decode(payload) == Acknowledgement("Chat", "7", "s1")


@pytest.mark.parametrize("payload", [b"", b"nonsense", msgspec.msgpack.encode(["new", 1])])
def test_what_is_no_envelope_is_described_and_not_raised(payload: bytes) -> None:
    assert scaleout.describe(payload).startswith(f"{len(payload)} bytes that are no envelope: ")
    with pytest.raises(ValueError):
        scaleout.decode(payload)
