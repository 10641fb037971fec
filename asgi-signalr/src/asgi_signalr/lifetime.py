"""The connections of one hub on this server, their groups and users: who gets what."""

import asyncio
import logging
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol

from asgi_signalr import scaleout
from asgi_signalr.client_results import ClientResults
from asgi_signalr.connection import Connection, logger
from asgi_signalr.errors import HubException
from asgi_signalr.messages import Completion, Invocation
from asgi_signalr.metrics import Metrics
from asgi_signalr.outbox import Flusher, Payload
from asgi_signalr.presence_tracker import PresenceTracker
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.protocols.encodings import Encodings
from asgi_signalr.scaleout import (
    Acknowledgement,
    Audience,
    ClientInquiry,
    ClientInvocation,
    ClientResult,
    Delivery,
    Envelope,
    GroupCommand,
    PresenceUpdate,
    RollCall,
    ServerGone,
)


class Stream(scaleout.Stream, Protocol):
    """The way to the other servers, and what all hubs of a server share."""

    @property
    def flusher(self) -> Flusher:
        """Sends what the connections of this server have queued."""

    @property
    def metrics(self) -> Metrics:
        """Measures what happens on this server."""


class HubLifetime:
    """Knows a hub's connections on this server; reaches the others through the backplane."""

    presence: PresenceTracker | None = None
    """Who is in which group on all servers, if that is kept for this hub."""

    def __init__(self, hub: str, protocols: Mapping[str, HubProtocol], stream: Stream, group_timeout: float) -> None:
        self.hub = hub
        self._protocols = protocols
        self._stream = stream
        self._group_timeout = group_timeout
        self.connections: dict[str, Connection] = {}
        self._groups: dict[str, dict[str, Connection]] = {}
        self._users: dict[str, dict[str, Connection]] = {}
        self._commands: dict[str, asyncio.Future[str | None]] = {}
        self._results = ClientResults(hub, protocols, stream, group_timeout)

    def add(self, connection: Connection) -> None:
        """Register a connection: from now on it is delivered to."""
        self.connections[connection.id] = connection
        if (user := connection.context.user_identifier) is not None:
            self._users.setdefault(user, {})[connection.id] = connection
        if self.presence is not None:
            self.presence.changed("joined", None, connection)

    def remove(self, connection: Connection) -> None:
        """Forget a connection, in its groups and for its user, too."""
        was_here = self.connections.pop(connection.id, None) is not None
        self.end_calls(connection)
        for group in tuple(connection.groups):
            self._change_group("remove", connection, group)
        user = connection.context.user_identifier
        if user is not None and (of_user := self._users.get(user)) is not None:
            of_user.pop(connection.id, None)
            if not of_user:
                del self._users[user]
        if self.presence is not None and was_here:
            self.presence.changed("left", None, connection)

    def members_here(self, group: str | None) -> Collection[Connection]:
        """List the connections of this server that are in a group; None: all of them."""
        return (self.connections if group is None else self._groups.get(group, {})).values()

    def groups_here(self) -> Collection[str]:
        """Name the groups that have members on this server."""
        return self._groups.keys()

    # What comes from the backplane.

    def take(self, envelope: Envelope) -> None:
        """Take an envelope of this hub: what it asks for is done, if it concerns this server.

        Raises:
            ValueError: it was written by another version, and cannot be understood.

        """
        answer: Acknowledgement | None = None
        match envelope:
            case Delivery():
                self._deliver(envelope.audience, envelope.names, envelope.excluded, envelope.payloads, envelope.target)
            case GroupCommand():
                answer = self._change_group_for(envelope)
            case ClientInvocation(connection_id=name) if (connection := self.connections.get(name)) is not None:
                answer = self._results.obey(envelope, connection)
            case ClientInquiry():
                answer = self._results.assure(envelope)
            case ClientResult(server=server) if server == self._stream.id:
                self._results.take(envelope)
            case Acknowledgement(server=server) if server == self._stream.id:
                self._acknowledge(envelope)
            case PresenceUpdate() if self.presence is not None:
                self.presence.take(envelope)
            case RollCall() if self.presence is not None:
                self.presence.answer(envelope)
            case ServerGone() if self.presence is not None:
                self.presence.end_server(envelope)
        if answer is not None:
            self._stream.publish_soon(answer)

    # Sending.

    async def send(
        self, audience: Audience, names: Sequence[str], excluded: Sequence[str], invocation: Invocation
    ) -> None:
        """Send an invocation to clients, wherever they are.

        To connections of this server it goes directly. Everything else goes through the backplane, this server's
        own share as well, so that every server delivers in the same order.
        """
        await self.send_encoded(audience, names, excluded, Encodings(self._protocols, invocation), invocation.target)

    async def send_encoded(
        self,
        audience: Audience,
        names: Sequence[str],
        excluded: Sequence[str],
        encodings: Mapping[str, bytes],
        target: str | None = None,
    ) -> None:
        """Send what is encoded already, as each kind of connection takes it.

        If it calls a method, slow clients may be spared all but the latest such call to the same audience.
        """
        if audience == "connection":
            here = [self.connections[name] for name in names if name in self.connections]
            if here:
                self._deliver("connection", tuple(connection.id for connection in here), (), encodings, target)
            if len(names) == 1 and here:  # who is sent to along with others holds nobody up
                await here[0].room()
            if all(connection.ending is not None for connection in here):
                await asyncio.sleep(0)  # who goes on and on sending to one that has gone must not hold everybody up
            names = [name for name in names if name not in self.connections]
            if not names or self._stream.is_alone:
                await self._stream.flusher.caught_up()
                return
        if self._stream.is_alone:
            self._deliver(audience, names, excluded, encodings, target)
        else:
            await self._stream.publish(
                Delivery(self.hub, audience, tuple(names), tuple(excluded), dict(encodings), target)
            )
        await self._stream.flusher.caught_up()

    def _deliver(
        self,
        audience: Audience,
        names: Sequence[str],
        excluded: Sequence[str],
        encodings: Mapping[str, bytes],
        target: str | None,
    ) -> None:
        """Write a message to its audience on this server, encoded once for all who speak the same protocol."""
        key = None if target is None else f"{audience} {names} {target}"
        payloads: dict[str, Payload | None] = {}
        left_out = frozenset(excluded)
        is_logged = logger.isEnabledFor(logging.DEBUG)
        for connection in self._audience(audience, names):
            if left_out and connection.id in left_out:
                continue
            encoding = connection.encoding
            if encoding not in payloads:
                payload = payloads[encoding] = connection.payload(encodings)
                if payload is not None:
                    payload.key = key
                else:  # the sender is another version, which does not know this protocol
                    logger.warning("A delivery for %s cannot be written as %s.", self.hub, encoding)
            payload = payloads[encoding]
            if payload is not None:
                if is_logged:
                    connection.log_delivery(target, len(payload.data))
                connection.write(payload)

    def dropped(self, messages: int) -> None:
        """Note that a slow client was spared messages."""
        self._stream.metrics.dropped(self.hub, messages)

    def _audience(self, audience: Audience, names: Sequence[str]) -> Iterable[Connection]:
        if audience == "all":
            return self.connections.values()
        if audience == "connection":
            return [self.connections[name] for name in names if name in self.connections]
        sets = self._groups if audience == "group" else self._users
        if len(names) == 1:
            return sets.get(names[0], {}).values()
        return {each.id: each for name in names for each in sets.get(name, {}).values()}.values()

    # Client results.

    async def invoke(self, connection_id: str, target: str, arguments: list[Any], returns: Any) -> Any:
        """Call a client's method and wait for its result, as `SingleClientProxy.invoke` says."""
        connection = self.connections.get(connection_id)
        if connection is None:
            return await self._results.ask_elsewhere(connection_id, target, arguments, returns)
        return await self._results.ask(connection, target, arguments, returns)

    def end_calls(self, connection: Connection) -> None:
        """A client has gone: it owes answers no more, although its connection is still told of its end."""
        self._results.end(connection)

    def complete(self, connection: Connection, completion: Completion) -> bool:
        """Take a client's answer to an invocation; whether this connection owed it."""
        return self._results.complete(connection, completion)

    # Groups.

    async def change_group(self, action: Literal["add", "remove"], connection_id: str, group: str) -> None:
        """Add a connection to a group or remove it; one of another server by a command, which is waited for.

        Raises:
            HubException: the connection is in as many groups as it may be.
            TimeoutError: no server has acknowledged the command in time.

        """
        connection = self.connections.get(connection_id)
        if connection is not None:
            self._change_group(action, connection, group)
            return
        if self._stream.is_alone:
            return
        command = GroupCommand(self.hub, action, group, connection_id, secrets.token_hex(8), self._stream.id)
        done = self._commands[command.command_id] = asyncio.get_running_loop().create_future()
        try:
            await self._stream.publish(command)
            async with asyncio.timeout(self._group_timeout):
                if (refusal := await done) is not None:
                    raise HubException(refusal)
        except TimeoutError:
            raise TimeoutError(
                f"No server has acknowledged within {self._group_timeout:g} s that connection {connection_id} "
                f"was to {'join' if action == 'add' else 'leave'} a group; it may have gone."
            ) from None
        finally:
            del self._commands[command.command_id]

    def _change_group_for(self, command: GroupCommand) -> Acknowledgement | None:
        connection = self.connections.get(command.connection_id)
        if connection is None:
            return None
        refusal = None
        try:
            self._change_group(command.action, connection, command.group)
        except HubException as error:
            refusal = str(error)
        return Acknowledgement(self.hub, command.command_id, command.server, refusal)

    def _acknowledge(self, answer: Acknowledgement) -> None:
        done = self._commands.get(answer.command_id)
        if done is None:
            self._results.acknowledge(answer.command_id)
        elif not done.done():
            done.set_result(answer.refusal)

    def _change_group(self, action: Literal["add", "remove"], connection: Connection, group: str) -> None:
        if action == "add":
            if connection.ending is not None or group in connection.groups:
                return
            most = connection.options.max_groups_per_connection
            if len(connection.groups) >= most:
                raise HubException(
                    f"A connection may be in {most} groups at once. "
                    "That can be configured with SignalR(max_groups_per_connection=…)."
                )
            self._groups.setdefault(group, {})[connection.id] = connection
            connection.groups.add(group)
            if self.presence is not None:
                self.presence.changed("joined", group, connection)
        elif group in connection.groups:
            connection.groups.discard(group)
            members = self._groups[group]
            del members[connection.id]
            if not members:
                del self._groups[group]
            if self.presence is not None:
                self.presence.changed("left", group, connection)
