"""Which protocols a server speaks, an application's own ones among them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgi_signalr import Hub, SignalR
from asgi_signalr.messages import Completion, Invocation, Message
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.protocols.built_in import BUILT_IN, chosen
from asgi_signalr.protocols.messagepack import MessagePackHubProtocol


class HexHubProtocol:
    """The messages of MessagePack as lines of hexadecimal text."""

    name = "hex"
    version = 1
    binary = False
    _inner = MessagePackHubProtocol()
    convert = staticmethod(_inner.convert)
    converter = staticmethod(_inner.converter)

    def parse(self, buffer: bytearray, max_message_size: int) -> Iterator[Message]:
        while (end := buffer.find(b"\n")) >= 0:
            line = bytearray.fromhex(buffer[:end].decode())
            del buffer[: end + 1]
            yield from self._inner.parse(line, max_message_size)

    def write(self, message: Message) -> bytes:
        return self._inner.write(message).hex().encode() + b"\n"


HEX: HubProtocol = HexHubProtocol()


def test_built_in_protocols_are_chosen_by_name_and_own_ones_as_they_are() -> None:
    assert list(chosen(("json", "messagepack")).items()) == list(BUILT_IN.items())
    assert chosen("messagepack") == {"messagepack": BUILT_IN["messagepack"]}
    assert chosen([HEX, "json"]) == {"hex": HEX, "json": BUILT_IN["json"]}


@pytest.mark.parametrize(
    ("protocols", "error", "said"),
    [
        ((), ValueError, "Choose at least one protocol."),
        (("json", "xml"), ValueError, "There is no protocol 'xml'; there are json, messagepack, and one's own."),
        (("json", "json"), ValueError, "There are two protocols named 'json'."),
        ((HEX, HexHubProtocol()), ValueError, "There are two protocols named 'hex'."),
        ((5,), TypeError, "5 is no hub protocol: it has no name."),
    ],
)
def test_a_choice_that_cannot_be_is_refused(protocols: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error) as caught:
        chosen(protocols)
    assert str(caught.value) == said


class Sums(Hub):
    def add(self, a: int, b: int) -> int:
        return a + b


async def test_an_own_protocol_is_spoken_like_the_built_in_ones(open_to: Callable[..., Any]) -> None:
    app = SignalR(protocols=["json", HEX])
    app.hub("/sums")(Sums)
    peer = await open_to(app, "/sums").accepted()
    peer.send('{"protocol":"hex","version":1}\x1e' + HEX.write(Invocation("add", [1, 2], "1")).decode())
    assert await peer.frame() == "{}\x1e"
    assert await peer.frame() == HEX.write(Completion("1", 3)).decode()


async def test_a_protocol_that_is_not_chosen_is_not_spoken(open_to: Callable[..., Any]) -> None:
    app = SignalR(protocols=["messagepack"])
    app.hub("/sums")(Sums)
    peer = await open_to(app, "/sums").accepted()
    peer.send('{"protocol":"json","version":1}\x1e')
    assert await peer.frame() == '{"error":"The protocol \'json\' is not supported."}\x1e'
    assert await peer.closed() == 1000
