"""Hub protocols turn bytes into messages and back. They hold no state, await nothing and touch no socket."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from asgi_signalr.errors import MessageSizeError
from asgi_signalr.messages import Message


class HubProtocol(Protocol):
    """One encoding of the hub messages: JSON, MessagePack, or an own one that `SignalR(protocols=…)` is given.

    One object serves every connection, on any event loop, so it keeps nothing between calls. `parse` and `write` are
    each other's inverse for every message of `asgi_signalr.messages`, and frame the messages themselves: `parse` is
    given whatever arrived, a part of a message or many. What `write` returns is kept and written to many connections,
    and sent to other servers, so it is the same for all of them. `protocols.values.Values` is there to be used for the
    arguments and results: it knows how the payload types travel.

    A protocol may also have `parse_invocation(data, max_message_size)`, which is faster for data that is exactly one
    `Invocation`, as most of what arrives is: it returns that, or None for anything else, which `parse` is then given.
    And it may have `writer(to)`, which returns a faster `write` for results and stream items that are declared as that
    type; and `write_as_read(message)`, for what it has read itself and another server is to read, if `write` might
    change that.
    """

    @property
    def name(self) -> str:
        """The name that a client asks for in the handshake."""

    @property
    def version(self) -> int:
        """The highest version that the server speaks: 2 if it has the messages of the stateful reconnect."""

    @property
    def binary(self) -> bool:
        """Whether the bytes need a binary frame; text travels in text frames, and has to be UTF-8."""

    def parse(self, buffer: bytearray, max_message_size: int) -> Iterator[Message]:
        """Take every whole message out of the buffer, and leave what is still incomplete.

        The messages are read one by one: those before a bad one are still given, and what follows one that nobody
        asks for stays in the buffer. A message of a type that is not known is given as `Unknown`: between any two
        messages others have their turn, so a client that sends nothing else holds nobody up.

        Raises:
            InvalidDataError: the bytes are no messages, or one is longer than `max_message_size`; nothing else.

        """

    def write(self, message: Message) -> bytes:
        """Encode one message, its framing included.

        Raises:
            TypeError, ValueError: an argument or a result cannot be encoded.

        """

    def convert(self, value: Any, to: Any) -> Any:
        """Turn one received value into a declared type: a stream's item, a client's result.

        Raises:
            ValueError: the value does not fit the type.
            TypeError: the type cannot be received.

        """

    def converter(self, types: Sequence[Any]) -> Callable[[list[Any]], list[Any]]:
        """Prepare the conversion of received arguments into the types that a hub method declares.

        The function takes at most as many arguments as there are types, and returns as many. It raises ValueError if
        an argument does not fit its type. What is an int, a str, a bool or a float, as declared, stays as it is: then
        the function need not be called.

        Raises:
            TypeError: a type cannot be received.

        """


def check_size(size: int, max_message_size: int) -> None:
    """Refuse a message that is longer than messages may be, as soon as its size in bytes is known.

    Raises:
        MessageSizeError: it is.

    """
    if size > max_message_size:
        raise MessageSizeError(
            f"The maximum message size of {max_message_size}B was exceeded. "
            "The message size can be configured with SignalR(max_message_size=…)."
        )
