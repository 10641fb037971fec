"""One message in several protocols, each encoded no more than once and not before somebody needs it."""

from collections.abc import Iterator, Mapping

from asgi_signalr.messages import Message
from asgi_signalr.protocols import HubProtocol


class Encodings(Mapping[str, bytes]):
    """A message in each protocol of an application, by the protocols' names.

    Raises:
        TypeError, ValueError: on access, an argument cannot be encoded.

    """

    def __init__(self, protocols: Mapping[str, HubProtocol], message: Message) -> None:
        self._protocols = protocols
        self._message = message
        self._encoded: dict[str, bytes] = {}

    def __getitem__(self, name: str) -> bytes:
        """Encode the message in a protocol, unless that was done."""
        encoded = self._encoded.get(name)
        if encoded is None:
            encoded = self._encoded[name] = self._protocols[name].write(self._message)
        return encoded

    def __iter__(self) -> Iterator[str]:
        """Name the protocols."""
        return iter(self._protocols)

    def __len__(self) -> int:
        """Count the protocols."""
        return len(self._protocols)
