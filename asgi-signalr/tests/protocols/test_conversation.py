"""A hub's conversation in MessagePack, frame by frame."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from asgi_signalr import Hub, SignalR
from asgi_signalr.messages import Close, Completion, Invocation, Message
from asgi_signalr.protocols.messagepack import MessagePackHubProtocol

messagepack = MessagePackHubProtocol()
HANDSHAKE = '{"protocol":"messagepack","version":1}\x1e'


@dataclass
class Picture:
    name: str
    pixels: bytes


class Gallery(Hub):
    async def show(self, picture: Picture) -> int:
        await self.clients.all.send("shown", picture)
        return len(picture.pixels)


@pytest.fixture
def app() -> SignalR:
    app = SignalR(detailed_errors=True)
    app.hub("/gallery")(Gallery)
    return app


async def binary(peer: Any) -> bytes:
    """Wait for the next frame, which has to be binary."""
    event = await peer.event()
    assert event["type"] == "websocket.send", event
    assert event.get("text") is None
    return bytes(event["bytes"])


async def opened(open_to: Callable[..., Any], app: SignalR) -> Any:
    """Open a connection whose handshake is done: asked for in text, answered as the protocol's frames go."""
    peer = await open_to(app, "/gallery").accepted()
    peer.send(HANDSHAKE)
    assert await binary(peer) == b"{}\x1e"
    return peer


def call(picture: Any) -> bytes:
    return messagepack.write(Invocation("SHOW", [picture], "1"))


async def messages(peer: Any, count: int) -> list[Message]:
    buffer = bytearray()
    found: list[Message] = []
    while len(found) < count:
        buffer += await binary(peer)
        found += messagepack.parse(buffer, 2**20)
    return found


async def test_clients_of_both_protocols_hear_the_same(
    app: SignalR, open_to: Callable[..., Any], connect: Callable[..., Awaitable[Any]]
) -> None:
    text = await open_to(app, "/gallery").accepted()
    text.send('{"protocol":"json","version":1}\x1e')
    assert await text.frame() == "{}\x1e"
    peer = await opened(open_to, app)
    wire = call({"name": "dot", "pixels": b"\x00\xff"})
    peer.send_bytes(wire[:9])
    peer.send_bytes(wire[9:])
    shown = {"name": "dot", "pixels": b"\x00\xff"}
    assert await messages(peer, 2) == [Invocation("shown", [shown]), Completion("1", 2)]
    assert await text.frame() == '{"type":1,"target":"shown","arguments":[{"name":"dot","pixels":"AP8="}]}\x1e'


async def test_an_argument_of_the_wrong_type_is_the_calls_failure_only(
    app: SignalR, open_to: Callable[..., Any]
) -> None:
    peer = await opened(open_to, app)
    peer.send_bytes(call({"name": "dot", "pixels": "AP8="}) + call({"name": "dot", "pixels": b""}))
    failed, *rest = await messages(peer, 3)
    assert failed == Completion(
        "1",
        error="Failed to invoke 'show' due to an error on the server. "
        "InvalidDataException: Error binding arguments. "
        "Make sure that the types of the provided values match the types of the hub method being invoked. "
        "Expected `bytes`, got `str` - at `$[0].pixels`",
    )
    assert rest == [Invocation("shown", [{"name": "dot", "pixels": b""}]), Completion("1", 0)]


@pytest.mark.parametrize(
    ("wire", "said"),
    [
        (
            b"\x01\x06",
            "MessagePackSerializationException: Unexpected msgpack code 6 (positive fixint) encountered.",
        ),
        (b"\x03\x92\x01\x80", "InvalidDataException: Reading 'invocationId' as String failed."),
        (b"\xff\xff\xff\xff\x08", "FormatException: Messages over 2GB in size are not supported."),
        (
            messagepack.write(Invocation("show", [{"name": "dot", "pixels": b""}]))[:-1] + b"\xc0",
            "InvalidDataException: Reading array length for 'streamIds' failed.",
        ),
        (
            b"\x81\x80\x02",
            "InvalidDataException: The maximum message size of 32768B was exceeded. "
            "The message size can be configured with SignalR(max_message_size=…).",
        ),
    ],
)
async def test_a_protocol_error_ends_the_connection(
    app: SignalR, open_to: Callable[..., Any], wire: bytes, said: str
) -> None:
    peer = await opened(open_to, app)
    peer.send_bytes(wire)
    expected = Close(f"Connection closed with an error. {said}", allow_reconnect=True)
    assert await messages(peer, 1) == [expected]
    assert await peer.closed() == 1000


async def test_a_result_that_cannot_be_sent_is_an_error_for_the_caller(open_to: Callable[..., Any]) -> None:
    class Odd(Hub):
        def odd(self) -> object:
            return object()

    app = SignalR(detailed_errors=True)
    app.hub("/gallery")(Odd)
    peer = await opened(open_to, app)
    peer.send_bytes(messagepack.write(Invocation("odd", [], "1")))
    (completion,) = await messages(peer, 1)
    assert completion == Completion(
        "1",
        error="An unexpected error occurred invoking 'odd' on the server. "
        "TypeError: A value of type object cannot be sent to a client.",
    )
