"""`asgi-signalr decode`: recorded frames in words."""

import base64
import json
import subprocess
import sys
from typing import Any

import pytest
from asgi_signalr.decode import describe
from asgi_signalr.messages import Completion, Invocation, Message, Ping, StreamInvocation
from asgi_signalr.protocols.json import JsonHubProtocol
from asgi_signalr.protocols.messagepack import MessagePackHubProtocol

MESSAGES: list[tuple[Message, str]] = [
    (Invocation("send", ["a", 1, {"b": None}]), 'Invocation send("a", 1, {"b":null})'),
    (Invocation("send", [], "7"), "Invocation #7 send()"),
    (StreamInvocation("count", [3], "8"), "StreamInvocation #8 count(3)"),
    (Completion("7", 4), 'Completion invocation_id="7" result=4'),
    (Completion("7", error="no"), 'Completion invocation_id="7" error="no"'),
    (Ping(), "Ping"),
]


@pytest.mark.parametrize(("message", "said"), MESSAGES)
def test_a_message_is_said_alike_in_both_protocols(message: Message, said: str) -> None:
    assert list(describe(JsonHubProtocol().write(message).decode())) == [said]
    assert list(describe(MessagePackHubProtocol().write(message))) == [said]


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        ('{"protocol":"json","version":1}\x1e', ["Handshake json 1"]),
        (b'{"protocol":"messagepack","version":1}\x1e', ["Handshake messagepack 1"]),
        ('{}\x1e{"type":6}\x1e', ["Handshake accepted", "Ping"]),
        ('{"error":"no such protocol"}\x1e', ["Handshake refused: no such protocol"]),
        ("hello", []),
        ('{"a": 1}', []),
        ("", []),
        (b"\xff\xff\xff\xff\xff\xff", []),
    ],
)
def test_a_handshake_is_known_and_other_traffic_is_none_of_its(frame: str | bytes, said: list[str]) -> None:
    assert list(describe(frame)) == said


def test_the_command_answers_every_line() -> None:
    frames: list[Any] = [{"text": '{"type":6}\x1e'}, {"binary": base64.b64encode(b"\x02\x91\x06").decode()}, [], {}]
    given = "".join(f"{json.dumps(each)}\n" for each in frames) + "no JSON\n"
    done = subprocess.run(
        [sys.executable, "-m", "asgi_signalr", "decode"], input=given, capture_output=True, encoding="utf-8", check=True
    )
    assert [json.loads(line) for line in done.stdout.splitlines()] == [["Ping"], ["Ping"], [], [], []]
