"""One hub on this server: its members here, and the way to those of the other servers."""

import asyncio
import logging
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from asgi_signalr.connections.connection import Connection
from asgi_signalr.connections.metrics import Metrics
from asgi_signalr.connections.outbox import Flusher
from asgi_signalr.connections.runner import Runner
from asgi_signalr.errors import HubException
from asgi_signalr.messages import Completion, Invocation
from asgi_signalr.options import Options
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.protocols.encodings import Encodings
from asgi_signalr.scaleout.client_results import ClientResults
from asgi_signalr.scaleout.envelopes import (
    Acknowledgement,
    Audience,
    ClientInquiry,
    ClientInvocation,
    ClientResult,
    Delivery,
    Envelope,
    GroupCommand,
    PresenceUpdate,
    Publisher,
    RollCall,
    ServerGone,
)
from asgi_signalr.scaleout.members import Members
from asgi_signalr.scaleout.presence_events import PresenceFunction
from asgi_signalr.scaleout.presence_tracker import PresenceTracker
from asgi_signalr.scaleout.roll import Roll

logger = logging.getLogger("asgi_signalr")

# From this number of receivers on, a broadcast is written to one after the other instead of being queued in each.
MANY = 4


class Host(Publisher, Protocol):
    """The server that a local hub is on: its way to the others, and what all its hubs share."""

    @property
    def options(self) -> Options:
        """The application's."""

    @property
    def is_stopping(self) -> bool:
        """Whether it is about to end."""

    @property
    def flusher(self) -> Flusher:
        """Sends what the connections of this server have queued."""

    @property
    def roll(self) -> Roll:
        """Which servers there are."""

    @property
    def metrics(self) -> Metrics:
        """Measures what happens on this server."""


class Unfinished(Protocol):
    """Calls whose connection has ended."""

    async def finish(self, seconds: float) -> None:
        """Wait until they are done; those that are not in time are cancelled."""


class LocalHub:
    """A hub, or a persistent connection, on this server.

    Args:
        name: its name in this application.
        host: the server that it is on.
        protocols: those that its clients may speak, by their names.
        presence: told of who joins and leaves; None: presence is not kept for this hub.
        address: the name by which all servers know it; None: the same.

    """

    def __init__(
        self,
        name: str,
        host: Host,
        protocols: Mapping[str, HubProtocol],
        presence: Sequence[PresenceFunction] | None = None,
        address: str | None = None,
    ) -> None:
        self.name = name
        self.address = address or name
        self.options = host.options
        self.flusher = host.flusher
        self.members = Members()
        self.runner = Runner()
        # A stateful connection keeps what it was sent, in the order in which that was said.
        self._may_sweep = not host.options.allow_stateful_reconnects
        self.presence: PresenceTracker | None = None
        """Who is in which group on all servers, if that is kept for this hub."""
        self._host = host
        self._protocols = protocols
        self.calls_left: set[Unfinished] = set()
        """Calls that go on without their connection: somebody has to hold on to their tasks."""
        self._commands: dict[str, asyncio.Future[str | None]] = {}
        # Who has a connection says so at once; who is silent so long has not got it, or is no more.
        patience = min(host.options.group_timeout, host.options.presence_lease / 3)
        self._results = ClientResults(self.address, protocols, host, host.roll, patience)
        if presence is not None:
            self.presence = PresenceTracker(self.address, self.members, host, presence, host.options.presence_lease)
            self.members.on_change = self.presence.changed

    @property
    def is_stopping(self) -> bool:
        """Whether this server is about to end."""
        return self._host.is_stopping

    def add(self, connection: Connection) -> None:
        """Register a connection: from now on it is delivered to."""
        self.members.add(connection)

    def remove(self, connection: Connection) -> None:
        """Forget a connection."""
        self.end_calls(connection)
        self.members.remove(connection)

    # What comes from the backplane.

    def handle(self, envelope: Envelope) -> None:
        """Do what an envelope of this hub asks for, if it concerns this server.

        Raises:
            ValueError: it was written by another version, and cannot be understood.

        """
        answer: Acknowledgement | None = None
        match envelope:
            case Delivery():
                self._write_to_members(
                    envelope.audience, envelope.names, envelope.excluded, envelope.payloads, envelope.target
                )
            case GroupCommand():
                answer = self._change_group_for(envelope)
            case ClientInvocation(connection_id=name):
                if (connection := self.members.connections.get(name)) is not None:
                    answer = self._results.obey(envelope, connection)
                else:
                    self._results.deny(envelope)
            case ClientInquiry():
                answer = self._results.assure(envelope)
            case ClientResult(server=server) if server == self._host.id:
                self._results.handle(envelope)
            case Acknowledgement(server=server) if server == self._host.id:
                self._acknowledge(envelope)
            case PresenceUpdate() if self.presence is not None:
                self.presence.handle(envelope)
            case RollCall() if self.presence is not None:
                self.presence.answer(envelope)
            case ServerGone() if self.presence is not None:
                self.presence.end_server(envelope)
        if answer is not None:
            self._host.publish_soon(answer)

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
        """Send a message that is encoded already, as each kind of connection takes it.

        If it calls a method, slow clients may be spared all but the latest such call to the same audience.
        """
        if audience == "connection":
            connections = self.members.connections
            here = [connections[name] for name in names if name in connections]
            if here:
                self._write_to_members("connection", [connection.id for connection in here], (), encodings, target)
            if len(names) == 1 and here:  # who is sent to along with others holds nobody up
                await here[0].room()
            if all(connection.ending is not None for connection in here):
                await asyncio.sleep(0)  # who goes on and on sending to one that has gone must not hold everybody up
            names = [name for name in names if name not in connections]
            if not names or self._host.is_alone:
                await self.flusher.caught_up()
                return
        if self._host.is_alone:
            self._write_to_members(audience, names, excluded, encodings, target)
        else:
            await self._host.publish(
                Delivery(self.address, audience, tuple(names), tuple(excluded), dict(encodings), target)
            )
        await self.flusher.caught_up()

    def _write_to_members(
        self,
        audience: Audience,
        names: Sequence[str],
        excluded: Sequence[str],
        encodings: Mapping[str, bytes],
        target: str | None,
    ) -> None:
        """Write a message to its audience on this server, encoded once for all who speak the same protocol."""
        left_out = frozenset(excluded)
        receivers = [
            connection
            for connection in self.members.of_audience(audience, names)
            if connection.ending is None and (not left_out or connection.id not in left_out)
        ]
        encodings_used = {receiver.encoding for receiver in receivers}
        key = None if target is None else f"{audience} {tuple(names)} {target}"
        payloads = {}
        for encoding in encodings_used:
            if (payload := encoding.payload(encodings)) is not None:
                payload.key = key
                payloads[encoding] = payload
            else:  # the sender is another version, which does not know this protocol
                logger.warning("A delivery for %s cannot be written as %s.", self.name, encoding.name)
                receivers = [receiver for receiver in receivers if receiver.encoding is not encoding]
        if logger.isEnabledFor(logging.DEBUG):
            for receiver in receivers:
                receiver.log_delivery(target, len(payloads[receiver.encoding].data))
        if len(receivers) >= MANY and self._may_sweep and self.flusher.is_idle:
            self.flusher.broadcast(receivers, payloads)
        else:
            for receiver in receivers:
                receiver.write(payloads[receiver.encoding])

    def dropped(self, messages: int) -> None:
        """Note that a slow client was spared messages."""
        self._host.metrics.dropped(self.name, messages)

    # Client results.

    async def invoke(self, connection_id: str, target: str, arguments: list[Any], returns: Any) -> Any:
        """Call a client's method and wait for its result, as `SingleClientProxy.invoke` says."""
        connection = self.members.connections.get(connection_id)
        if connection is None:
            return await self._results.ask_elsewhere(connection_id, target, arguments, returns)
        return await self._results.ask(connection, target, arguments, returns)

    def end_calls(self, connection: Connection) -> None:
        """Note that a client has gone: it owes no answers any more, even before its hub is told."""
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
        connection = self.members.connections.get(connection_id)
        if connection is not None:
            self._change_group(action, connection, group)
            return
        if self._host.is_alone:
            return
        command = GroupCommand(self.address, action, group, connection_id, secrets.token_hex(8), self._host.id)
        done = self._commands[command.command_id] = asyncio.get_running_loop().create_future()
        patience = self.options.group_timeout
        try:
            await self._host.publish(command)
            async with asyncio.timeout(patience):
                if (refusal := await done) is not None:
                    raise HubException(refusal)
        except TimeoutError:
            trouble = self._host.trouble
            why = f"it will once the backplane is well again: {trouble}" if trouble else "it may have gone."
            raise TimeoutError(
                f"No server has acknowledged within {patience:g} s that connection {connection_id} "
                f"was to {'join' if action == 'add' else 'leave'} a group; {why}"
            ) from None
        finally:
            del self._commands[command.command_id]

    def _change_group_for(self, command: GroupCommand) -> Acknowledgement | None:
        connection = self.members.connections.get(command.connection_id)
        if connection is None:
            return None
        refusal = None
        try:
            self._change_group(command.action, connection, command.group)
        except HubException as error:
            refusal = str(error)
        return Acknowledgement(self.address, command.command_id, command.server, refusal)

    def _acknowledge(self, answer: Acknowledgement) -> None:
        done = self._commands.get(answer.command_id)
        if done is None:
            self._results.acknowledge(answer.command_id)
        elif not done.done():
            done.set_result(answer.refusal)

    def _change_group(self, action: Literal["add", "remove"], connection: Connection, group: str) -> None:
        if action == "add":
            self.members.add_to_group(connection, group)
        else:
            self.members.remove_from_group(connection, group)
