"""How a client takes what is delivered to many: in which of the encodings that a delivery carries."""

from collections.abc import Mapping

from asgi_signalr.transports.payload import Payload


class Encoding:
    """What the clients of one kind take: of a hub, those that speak one protocol. They share one object.

    Args:
        name: for the log.
        takes: the encodings of a delivery that they take, the first one first, and whether each is binary.

    """

    __slots__ = ("_takes", "name")

    def __init__(self, name: str, takes: Mapping[str, bool]) -> None:
        self.name = name
        self._takes = tuple(takes.items())

    def payload(self, encodings: Mapping[str, bytes]) -> Payload | None:
        """Choose from a delivery, or encode for it; None if what these clients take is not there."""
        for name, binary in self._takes:
            if (data := encodings.get(name)) is not None:
                return Payload(data, binary)
        return None


NO_ENCODING = Encoding("nothing", {})
"""Of a client that has not yet said what it takes."""
