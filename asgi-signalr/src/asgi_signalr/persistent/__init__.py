"""Persistent connections: an endpoint of one's own protocol, text or bytes both ways, over every transport.

They stand on the same connections, groups and backplane as hubs, without handshake, methods and pings.

For example:

    @signalr.connection("/echo")
    class Echo(PersistentConnection):
        async def on_received(self, data: str | bytes) -> None:
            await self.connection.send(data)
            await self.connections.group("listeners").send(data)

A message is what a WebSocket carries as one. Server-Sent Events carry text only, a message as one event; what the
client posts at once is one message. Long polling keeps no bounds: a poll answers with all that was waiting.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from asgi_signalr.clients import Audiences, FindLocalHub, GroupManager
from asgi_signalr.context import HubCallerContext
from asgi_signalr.names import CONNECTION, text_name
from asgi_signalr.scaleout.envelopes import Audience

if TYPE_CHECKING:
    from asgi_signalr.persistent.connection import RawConnection


class PersistentConnection:
    """The base of all persistent connections: one object for each client, for as long as it is connected.

    What is overridden may be `async def` or `def`.
    """

    context: HubCallerContext
    """The connection and its user."""
    connection: "ConnectionSender"
    """This client, to send to."""
    connections: "Connections"
    """The clients of this endpoint, to send to."""
    groups: GroupManager
    """The groups of this endpoint."""

    async def on_connected(self) -> None:
        """Override to act when a connection begins. An exception ends it."""

    async def on_received(self, data: str | bytes) -> None:
        """Override to act on what the client sends: text as `str`, anything else as `bytes`.

        The next message waits until this returns. An exception ends the connection.
        """

    async def on_disconnected(self, error: Exception | None) -> None:
        """Override to act when a connection has ended: by an error, or with None as it should."""


class ConnectionProxy:
    """Some clients of an endpoint."""

    __slots__ = ("_audience", "_excluded", "_find", "_names")

    def __init__(
        self, find: FindLocalHub, audience: Audience, names: Iterable[str] = (), excluded: Iterable[str] = ()
    ) -> None:
        self._find = find
        self._audience = audience
        self._names = tuple(names)
        self._excluded = tuple(excluded)

    async def send(self, data: str | bytes) -> None:
        """Send text or bytes to these clients, wherever they are.

        Returns when it is accepted. Clients that have gone are passed over in silence; bytes pass over those that
        listen to Server-Sent Events, which a warning in the log says.

        Raises:
            BackplaneError: the backplane takes no more messages for now.

        """
        await self._find().send_encoded(self._audience, self._names, self._excluded, encode(data))


class Connections(Audiences[ConnectionProxy]):
    """The clients of an endpoint, as anybody may address them."""

    _proxy = ConnectionProxy

    def client(self, connection_id: str) -> ConnectionProxy:
        """One connection."""
        return ConnectionProxy(self._find, "connection", (text_name(CONNECTION, connection_id),))


class ConnectionContext:
    """An endpoint from the outside: for the application's other parts to send to its clients."""

    def __init__(self, find: FindLocalHub) -> None:
        self.connections = Connections(find)
        self.groups = GroupManager(find)


class ConnectionSender:
    """The way to one client of this server."""

    __slots__ = ("_connection",)

    def __init__(self, connection: "RawConnection") -> None:
        self._connection = connection

    async def send(self, data: str | bytes) -> None:
        """Send text or bytes. Returns when it is accepted; waits while the client is slow.

        Raises:
            TypeError: these are bytes, and the client listens to Server-Sent Events.

        """
        payload = self._connection.encoding.payload(encode(data))
        if payload is None:
            raise TypeError("The client listens to Server-Sent Events, which carry text only.")
        self._connection.log(">", summary(data))
        self._connection.write(payload)
        await self._connection.room()


def encode(data: str | bytes) -> dict[str, bytes]:
    """Write data as a delivery carries it: text or bytes, which WebSockets tell apart.

    Raises:
        TypeError: it is neither.

    """
    if isinstance(data, str):
        return {"text": data.encode()}
    if isinstance(data, bytes | bytearray | memoryview):
        return {"binary": bytes(data)}
    raise TypeError(f"Text or bytes can be sent, not {data!r}; encode it first, such as by json.dumps.")


def summary(data: str | bytes) -> str:
    """Describe a message for the transcript: its kind and length, never its contents."""
    return f"{'text' if isinstance(data, str) else 'bytes'} [{len(data)}]"
