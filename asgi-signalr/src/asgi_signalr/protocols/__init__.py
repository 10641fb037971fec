"""Hub protocols turn bytes into messages and back. They hold no state, await nothing and touch no socket."""

from collections.abc import Iterator
from typing import Any, Protocol

from asgi_signalr.messages import Message


class HubProtocol(Protocol):
    """One encoding of the hub messages."""

    @property
    def name(self) -> str:
        """What a client asks for in the handshake."""

    @property
    def version(self) -> int:
        """The highest version that the server speaks."""

    @property
    def binary(self) -> bool:
        """Whether the bytes need a binary frame; text travels in text frames only."""

    def parse(self, buffer: bytearray, max_message_size: int) -> Iterator[Message]:
        """Take every whole message out of the buffer, and leave what is still incomplete.

        The messages are read one by one: those before a bad one are still given.

        Raises:
            InvalidDataError: the bytes are no messages, or one is longer than `max_message_size`.

        """

    def write(self, message: Message) -> bytes:
        """Encode one message, its framing included.

        Raises:
            TypeError, ValueError: an argument or a result cannot be encoded.

        """

    def convert(self, value: Any, to: Any) -> Any:
        """Turn a received value into the type that a hub method declares.

        Raises:
            msgspec.ValidationError: the value does not fit the type.

        """
