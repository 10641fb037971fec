"""How the servers of an application agree on who is present.

Every server publishes what happens to its own connections, numbered, and keeps a copy of what the others publish; the
backplane has one order for all of it. A server that starts, or has missed something, calls the roll, and the others
answer with all their members. A server that has not been heard of for the length of the lease is declared dead in
that same order: so the others agree on when its members have left, and on who tells the application.
"""

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from asgi_signalr.backplanes import BackplaneError
from asgi_signalr.connections.connection import Connection
from asgi_signalr.scaleout.envelopes import PresenceChange, PresenceUpdate, Publisher, RollCall, ServerGone
from asgi_signalr.scaleout.members import Members
from asgi_signalr.scaleout.presence_events import PresenceEvent, PresenceEvents, PresenceFunction
from asgi_signalr.scaleout.presence_roster import Group, Member, Roster

logger = logging.getLogger("asgi_signalr")

BEATS_PER_LEASE = 3
# The part of a lease for which a server that starts waits until the others have answered; then it judges who is whose
# only connection.
ROLL_CALL_PER_LEASE = 1 / 15


class _Server:
    """The members that a server has published, up to a number."""

    def __init__(self) -> None:
        self.number = 0
        self.heard = 0.0
        self.memberships: dict[tuple[Group, str], Member] = {}


class PresenceTracker:
    """Keeps the presence of one hub on one server.

    Args:
        hub: its name.
        members: its connections here.
        publisher: the way to the other servers.
        functions: told of every event, once in the whole application.
        lease: seconds after which a server that is not heard of counts as dead.

    """

    def __init__(
        self, hub: str, members: Members, publisher: Publisher, functions: Sequence[PresenceFunction], lease: float
    ) -> None:
        self._hub = hub
        self._members = members
        self._publisher = publisher
        self._lease = lease
        self._events = PresenceEvents(functions)
        self._loop = asyncio.get_running_loop()
        self._beat_timer: asyncio.TimerHandle | None = None
        self._roll_timer: asyncio.TimerHandle | None = None
        # As the stream has it: the members here, which are known sooner, and those of the others.
        self._own = Roster()
        self._others = Roster()
        self._servers: dict[str, _Server] = {}
        # To be published.
        self._changes: list[PresenceChange] = []
        self._next: Literal["changes", "all"] = "all"
        self._number = 0
        self._sending: asyncio.Task[None] | None = None
        self._arrived = asyncio.Event()

    # What the application asks.

    def members(self, group: Group) -> Iterator[Member]:
        """List a group's members."""
        for connection in self._members.of_group(group):
            yield _member(connection)
        yield from self._others.members(group).values()

    def count(self, group: Group) -> int:
        """Count a group's members."""
        return len(self._members.of_group(group)) + len(self._others.members(group))

    def groups(self) -> frozenset[str]:
        """Name the groups that have members."""
        elsewhere = (group for group in self._others.groups() if group is not None)
        return frozenset(self._members.groups()).union(elsewhere)

    # What happens here.

    def changed(self, kind: Literal["joined", "left"], group: Group, connection: Connection) -> None:
        """Note that a connection of this server has joined or left a group."""
        change = PresenceChange(kind == "joined", group, connection.id, connection.context.user_identifier)
        if self._publisher.is_alone:
            self._apply(self._publisher.id, change, tell=True)
            return
        self._changes.append(change)
        self._send_soon()

    def begin(self) -> None:
        """Join the other servers: call the roll, and begin to beat."""
        if self._publisher.is_alone or self._beat_timer is not None:
            return
        self._publisher.publish_soon(RollCall(self._hub, self._publisher.id, None))
        # Until the others have answered nothing is published: whose only connection one is would be guesswork.
        self._roll_timer = self._loop.call_later(self._lease * ROLL_CALL_PER_LEASE, self._end_roll_call)
        self._beat_timer = self._loop.call_later(self._interval, self._beat)

    def resync(self) -> None:
        """Messages may have been lost, of this server and of the others: tell everything, and ask for everything."""
        if not self._publisher.is_alone:
            self._tell_all()
            self._publisher.publish_soon(RollCall(self._hub, self._publisher.id, None))

    async def end(self, patience: float) -> None:
        """Tell the others that everybody here has left, and the application; takes `patience` seconds at most."""
        self._end_roll_call()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                if self._sending is not None:
                    await asyncio.wait({self._sending})
                while not self._has_arrived() and self._next == "changes":
                    self._arrived.clear()
                    await self._arrived.wait()
                await self._events.told()
        if self._beat_timer is not None:
            self._beat_timer.cancel()
            self._beat_timer = None

    # Sending.

    def _tell_all(self) -> None:
        self._next = "all"
        self._send_soon()

    def _send_soon(self) -> None:
        if self._sending is None and self._roll_timer is None:
            self._sending = self._loop.create_task(self._send())

    async def _send(self) -> None:
        try:
            while self._is_to_send():
                await self._publisher.publish(self._next_update())
        except BackplaneError as error:
            self._next = "all"  # with the next beat
            logger.warning("The presence of %s was not sent to the other servers: %s", self._hub, error)
        finally:
            self._sending = None

    def _is_to_send(self) -> bool:
        return bool(self._changes) or self._next != "changes"

    def _next_update(self) -> PresenceUpdate:
        kind, self._next = self._next, "changes"
        changes = tuple(self._changes if kind == "changes" else self._all())
        self._changes.clear()
        self._number += 1
        return PresenceUpdate(self._hub, self._publisher.id, self._number, kind, changes)

    def _all(self) -> Iterator[PresenceChange]:
        for connection in self._members.connections.values():
            for group in (None, *connection.groups):
                yield PresenceChange(True, group, connection.id, connection.context.user_identifier)

    # Receiving.

    def handle(self, update: PresenceUpdate) -> None:
        """Learn of the members of a server, this one included."""
        server = self._servers.setdefault(update.server, _Server())
        now = self._loop.time()
        if self._is_own(update) and now - server.heard > 2 * self._interval:
            # It was cut off, and so may they have been: they get the time to return.
            for other in self._servers.values():
                other.heard = now
        server.heard = now
        expected = server.number + bool(update.changes)  # one without changes is a beat
        if update.kind == "changes" and update.number > expected:
            self._miss(update.server)
        elif update.number > server.number:
            server.number = update.number
            for change in update.changes if update.kind == "changes" else self._differences(server, update.changes):
                self._apply(update.server, change, tell=self._is_own(update))
            if self._is_own(update):
                self._arrived.set()

    def answer(self, call: RollCall) -> None:
        """Answer a roll call, if it is for this server."""
        if call.of in (None, self._publisher.id) and call.server != self._publisher.id and self._number:
            self._tell_all()

    def end_server(self, gone: ServerGone) -> None:
        """A server was declared dead: its members leave. If it is this one, the others are told that it lives."""
        server = self._servers.get(gone.server)
        if server is None:
            return  # another server has said so before
        if gone.server == self._publisher.id:
            self._own = Roster()
            self._tell_all()
        else:
            for change in self._differences(server, ()):
                self._apply(gone.server, change, tell=gone.by == self._publisher.id)
        del self._servers[gone.server]

    def _is_own(self, update: PresenceUpdate) -> bool:
        return update.server == self._publisher.id

    def _has_arrived(self) -> bool:
        own = self._servers.get(self._publisher.id)
        return (own.number if own is not None else 0) == self._number

    def _miss(self, server: str) -> None:
        """Changes of a server were lost."""
        if server == self._publisher.id:
            self._tell_all()
        elif self._roll_timer is None:
            self._publisher.publish_soon(RollCall(self._hub, self._publisher.id, server))

    @staticmethod
    def _differences(server: _Server, changes: Iterable[PresenceChange]) -> list[PresenceChange]:
        """Say what has changed, where a server tells of all its members."""
        told = {(change.group, change.connection_id): change for change in changes}
        left = [
            PresenceChange(False, group, connection_id, member.user_identifier)
            for (group, connection_id), member in reversed(server.memberships.items())
            if (group, connection_id) not in told
        ]
        return left + [change for key, change in told.items() if key not in server.memberships]

    def _apply(self, server_id: str, change: PresenceChange, *, tell: bool) -> None:
        memberships = self._servers.setdefault(server_id, _Server()).memberships
        key, member = (change.group, change.connection_id), Member(change.connection_id, change.user_identifier)
        if change.joined == (key in memberships):
            return
        roster = self._own if server_id == self._publisher.id else self._others
        if change.joined:
            is_only = not self._has_user(change.group, change.user_identifier)
            memberships[key] = member
            roster.add(change.group, member)
        else:
            del memberships[key]
            roster.remove(change.group, change.connection_id)
            is_only = not self._has_user(change.group, change.user_identifier)
        if tell:
            self._events.tell(PresenceEvent("joined" if change.joined else "left", change.group, member, is_only))

    def _has_user(self, group: Group, user: str | None) -> bool:
        return self._own.has_user(group, user) or self._others.has_user(group, user)

    # Time.

    @property
    def _interval(self) -> float:
        return self._lease / BEATS_PER_LEASE

    def _end_roll_call(self) -> None:
        if self._roll_timer is not None:
            self._roll_timer.cancel()
            self._roll_timer = None
        if self._changes:
            self._send_soon()

    def _beat(self) -> None:
        """Tell the others that this server lives, and see whether they do."""
        self._beat_timer = self._loop.call_later(self._interval, self._beat)
        if self._is_to_send():
            self._send_soon()
        else:
            self._publisher.publish_soon(PresenceUpdate(self._hub, self._publisher.id, self._number, "changes", ()))
        now = self._loop.time()
        own = self._servers.get(self._publisher.id)
        # Who does not hear itself is cut off, or was asleep, and cannot tell who has died.
        is_deaf = own is None or now - own.heard > 2 * self._interval
        for name, server in tuple(self._servers.items()):
            if is_deaf:
                server.heard = max(server.heard, now - self._interval)
            elif now - server.heard > self._lease:
                if server.memberships:
                    self._publisher.publish_soon(ServerGone(self._hub, name, self._publisher.id))
                else:
                    del self._servers[name]


def _member(connection: Connection) -> Member:
    return Member(connection.id, connection.context.user_identifier)
