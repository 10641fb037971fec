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

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from asgi_signalr.clients import Audiences, FindLifetime, GroupManager
from asgi_signalr.connection import Connection, Ended, Ending, logger
from asgi_signalr.context import Authorize, HubCallerContext
from asgi_signalr.dependencies import sources_of
from asgi_signalr.errors import InvalidDataError, is_refusal
from asgi_signalr.invoker import settle
from asgi_signalr.messages import Close
from asgi_signalr.names import CONNECTION, one
from asgi_signalr.options import Options
from asgi_signalr.outbox import Flusher, Payload, Write
from asgi_signalr.protocols import check_size
from asgi_signalr.registration import check_event, check_members
from asgi_signalr.scaleout import Audience
from asgi_signalr.transports import TRANSPORTS, Transport
from asgi_signalr.transports.server_sent_events import ServerSentEventsTransport
from asgi_signalr.transports.websockets import WebSocketTransport

if TYPE_CHECKING:
    from asgi_signalr.lifetime import HubLifetime

# How a WebSocket is closed (RFC 6455, section 7.4.1, and IANA's registry): here nothing else says why.
NORMAL, TOO_BIG, FAILED, RESTARTING = 1000, 1009, 1011, 1012

# Stands for a comment among the events.
KEEP_ALIVE = Payload(b"")


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
        self, find: FindLifetime, audience: Audience, names: Iterable[str] = (), excluded: Iterable[str] = ()
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
        return ConnectionProxy(self._find, "connection", (one(CONNECTION, connection_id),))


class ConnectionContext:
    """An endpoint from the outside: for the application's other parts to send to its clients."""

    def __init__(self, find: FindLifetime) -> None:
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
        payload = self._connection.payload(encode(data))
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


class RawConnection(Connection):
    """A client of such an endpoint."""

    takes_whole_messages = True

    def __init__(
        self,
        context: HubCallerContext,
        transport: Transport,
        lifetime: "HubLifetime",
        options: Options,
        flusher: Flusher,
    ) -> None:
        super().__init__(context, transport, lifetime, options, flusher)
        if isinstance(transport, WebSocketTransport):
            transport.tells_text = True
        self._is_binary = "Binary" in TRANSPORTS[transport.name]
        self.encoding = "anything" if self._is_binary else "text"
        self._last_written = asyncio.get_running_loop().time()

    async def receive_message(self) -> str | bytes | None:
        """Wait for a message; None once the client has gone.

        Raises:
            Ended: the server has ended the connection.
            InvalidDataError: the message is too long.

        """
        message = await self.interruptible(self.transport.receive())
        if message is not None:
            size = len(message.encode() if isinstance(message, str) else message)
            check_size(size, self.options.max_message_size)
        return message

    def payload(self, encodings: Mapping[str, bytes]) -> Payload | None:
        """Take text, or bytes if the transport carries them."""
        if (text := encodings.get("text")) is not None:
            return Payload(text)
        data = encodings.get("binary")
        return Payload(data, binary=True) if data is not None and self._is_binary else None

    def sender(self) -> Write:
        """Send each message apart: they have no other bounds than those of the transport."""
        return self._send_apart

    def _send_apart(self, payloads: Sequence[Payload]) -> Awaitable[None] | None:
        for number, payload in enumerate(payloads, 1):
            sending = self._send_one(payload)
            if sending is not None:
                return self._send_later(sending, payloads[number:])
        return None

    async def _send_later(self, sending: Awaitable[None], payloads: Sequence[Payload]) -> None:
        await sending
        for payload in payloads:
            after = self._send_one(payload)
            if after is not None:
                await after

    def _send_one(self, payload: Payload) -> Awaitable[None] | None:
        if payload is KEEP_ALIVE and isinstance(self.transport, ServerSentEventsTransport):
            return self.transport.comment()
        return self.transport.send((payload,))

    def tick(self, now: float) -> None:
        """Look at the clock: keep a silent stream of events open. WebSockets have pings of their own for that."""
        super().tick(now)
        if self.outbox.used:
            self.outbox.used = False
            self._last_written = now
        elif (
            isinstance(self.transport, ServerSentEventsTransport)
            and now - self._last_written >= self.options.keep_alive_interval
        ):
            self._last_written = now
            self.write(KEEP_ALIVE)

    def farewell(self, ending: Ending) -> Payload | None:
        """Say nothing: only the WebSocket's code tells the client why."""
        return None

    def close_code(self, ending: Ending) -> int:
        """Choose the code with which a WebSocket is closed."""
        if isinstance(ending.error, InvalidDataError):
            return TOO_BIG
        if ending.error is not None:
            return FAILED
        return RESTARTING if ending.close is not None and ending.close.allow_reconnect else NORMAL


class ConnectionDispatcher:
    """Serves the connections of one such class. Holds no state of theirs, so it serves any event loop.

    Raises:
        TypeError: it cannot be called as it will be.

    """

    def __init__(self, endpoint: type[PersistentConnection], authorize: Authorize) -> None:
        check_members(endpoint, PersistentConnection, PersistentConnection.__annotations__)
        check_event(endpoint, "on_connected")
        check_event(endpoint, "on_received", "data")
        check_event(endpoint, "on_disconnected", "error")
        if sources := sources_of(endpoint):
            raise TypeError(
                f"The constructor of {endpoint.__name__} takes {', '.join(sources)}; "
                "persistent connections are given nothing there: use on_connected and self.context."
            )
        self.endpoint = endpoint
        self.name = endpoint.__name__
        self.authorize = authorize

    def open(
        self,
        context: HubCallerContext,
        transport: Transport,
        lifetime: "HubLifetime",
        options: Options,
        flusher: Flusher,
    ) -> RawConnection:
        """Make a connection of this endpoint."""
        return RawConnection(context, transport, lifetime, options, flusher)

    async def run(self, connection: RawConnection) -> None:
        """Converse with a client until it has gone or the connection is ended."""
        connection.log("=", f"opened by {connection.transport.name} for connection {self.name}")
        connected: PersistentConnection | None = None
        error: Exception | None = None
        try:
            one = self._make(connection)
            connection.lifetime.add(connection)
            await settle(one.on_connected())
            connected = one
            error = await self._listen(connection, one)
        except Exception as failure:  # noqa: BLE001  (the application's code may raise anything)
            if connected is None and is_refusal(failure):
                logger.info("%s.on_connected refuses connection %s.", self.name, connection.id)
            else:
                logger.exception("%s failed; the connection is closed.", self.name)
            connection.end(Ending(failure, Close()))
            error = failure
        finally:
            await connection.say_goodbye()
            connection.context.aborted.set()
            try:
                if connected is not None:
                    await settle(connected.on_disconnected(error))
            except Exception:  # noqa: BLE001  (the application's code may raise anything)
                logger.exception("%s.on_disconnected failed.", self.name)
            finally:
                connection.lifetime.remove(connection)
                connection.log("=", "closed")

    def _make(self, connection: RawConnection) -> PersistentConnection:
        one = self.endpoint()
        one.context = connection.context
        one.connection = ConnectionSender(connection)
        one.connections = Connections(lambda: connection.lifetime)
        one.groups = GroupManager(lambda: connection.lifetime)
        return one

    async def _listen(self, connection: RawConnection, one: PersistentConnection) -> Exception | None:
        """Take the client's messages until the end; returns the error that was the reason, if one was."""
        try:
            while connection.ending is None:
                message = await connection.receive_message()
                if message is None:
                    connection.log("=", "the client has gone")
                    return None
                connection.log("<", summary(message))
                await settle(one.on_received(message))
        except InvalidDataError as error:
            connection.log("=", f"ends: {error}")
            connection.end(Ending(error, Close()))
        except Ended:
            pass
        return connection.ending.error if connection.ending is not None else None
