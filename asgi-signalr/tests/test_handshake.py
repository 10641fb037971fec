"""The handshake, from request to answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asgi_signalr import Hub, SignalR


class Chat(Hub):
    async def on_connected(self) -> None:
        await self.clients.caller.send("welcome")

    def add(self, a: int, b: int) -> int:
        return a + b


@pytest.fixture
def app() -> SignalR:
    app = SignalR(detailed_errors=False)
    app.hub("/chat")(Chat)
    return app


REFUSED = "An unexpected error occurred during connection handshake."


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ('{"protocol":"xml","version":1}', "The protocol 'xml' is not supported."),
        ('{"protocol":"json","version":3}', "The server does not support version 3 of the 'json' protocol."),
        ('{"version":1}', REFUSED),
        ('{"protocol":"json"}', REFUSED),
        ('{"protocol":"json","version":"1"}', REFUSED),
        ("[]", REFUSED),
        ("nonsense", REFUSED),
        ("x" * 40_000, "Handshake was canceled."),
    ],
)
async def test_a_refused_handshake_says_why_and_closes(
    app: SignalR, open_to: Callable[..., Any], request_: str, error: str
) -> None:
    peer = await open_to(app).accepted()
    peer.send(request_ if len(request_) > 32768 else request_ + "\x1e")
    assert await peer.frame() == '{"error":"' + error + '"}\x1e'
    assert await peer.closed() == 1000
    await peer.ended()
    assert peer.has_nothing_more


@pytest.mark.parametrize("is_too_long", [False, True])
async def test_a_request_is_as_long_as_a_message_may_be_at_most(open_to: Callable[..., Any], is_too_long: bool) -> None:
    app = SignalR(max_message_size=100)
    app.hub("/chat")(Chat)
    peer = await open_to(app).accepted()
    request = '{"protocol":"json","version":1}'.ljust(100 if is_too_long else 99) + "\x1e"
    peer.send(request + '{"type":6}\x1e' * 20)  # what follows does not count
    if is_too_long:
        assert await peer.frame() == '{"error":"Handshake was canceled."}\x1e'
        assert await peer.closed() == 1000
    else:
        assert await peer.frame() == "{}\x1e"


async def test_details_are_told_if_errors_are_detailed(open_to: Callable[..., Any]) -> None:
    app = SignalR(detailed_errors=True)
    app.hub("/chat")(Chat)
    peer = await open_to(app).accepted()
    peer.send("{}\x1e")
    expected = f"{REFUSED} InvalidDataException: Missing required property 'protocol'. Message content: {{}}"
    assert await peer.frame() == '{"error":"' + expected + '"}\x1e'


async def test_no_handshake_in_time_is_cancelled(open_to: Callable[..., Any]) -> None:
    app = SignalR(handshake_timeout=0.02)
    app.hub("/chat")(Chat)
    peer = await open_to(app).accepted()
    assert await peer.frame() == '{"error":"Handshake was canceled."}\x1e'
    assert await peer.closed() == 1000


@pytest.mark.parametrize("version", [0, 1, 2])
async def test_versions_up_to_two_are_spoken(app: SignalR, open_to: Callable[..., Any], version: int) -> None:
    peer = await open_to(app).accepted()
    peer.send(f'{{"version":{version},"protocol":"json","extra":[]}}\x1e')
    assert await peer.frame() == "{}\x1e"
    assert await peer.frame() == '{"type":1,"target":"welcome","arguments":[]}\x1e'


async def test_messages_may_follow_in_the_same_frame_and_frames_may_split_anything(
    app: SignalR, open_to: Callable[..., Any]
) -> None:
    peer = await open_to(app).accepted()
    wire = '{"protocol":"json","version":1}\x1e{"type":1,"target":"ADD","arguments":[1,2],"invocationId":"a"}\x1e{"ty'
    for character in wire:
        peer.send(character)
    assert await peer.frame() == "{}\x1e"
    frames = ""
    while '"result"' not in frames:
        frames += await peer.frame()
    assert frames == '{"type":1,"target":"welcome","arguments":[]}\x1e{"type":3,"invocationId":"a","result":3}\x1e'


async def test_the_request_may_come_in_a_binary_frame_the_answer_is_text(
    app: SignalR, open_to: Callable[..., Any]
) -> None:
    peer = await open_to(app).accepted()
    peer.send_bytes(b'{"protocol":"json","version":1}\x1e')
    assert await peer.frame() == "{}\x1e"


async def test_before_the_handshake_no_hub_has_run_and_no_broadcast_arrives(
    app: SignalR, open_to: Callable[..., Any], connect: Callable[..., Awaitable[Any]]
) -> None:
    early = await open_to(app).accepted()
    await app.hub_context(Chat).clients.all.send("news")
    await asyncio.sleep(0)
    assert early.has_nothing_more
    early.send('{"protocol":"json","version":1}\x1e')
    assert await early.frame() == "{}\x1e"
    assert await early.frame() == '{"type":1,"target":"welcome","arguments":[]}\x1e'
