"""The members of one hub on this server: its connections, in which groups they are, and whose they are.

Plain bookkeeping: it awaits nothing and knows no other server.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Literal

from asgi_signalr.connections.connection import Connection
from asgi_signalr.errors import HubException
from asgi_signalr.scaleout.envelopes import Audience
from asgi_signalr.scaleout.presence_roster import Group

OnChange = Callable[[Literal["joined", "left"], Group, Connection], None]
"""Told of a connection that has joined or left a group; group None: that has begun or ended."""


class Members:
    """The connections of one hub, by id, by group and by user."""

    def __init__(self) -> None:
        self.connections: dict[str, Connection] = {}
        self._groups: dict[str, dict[str, Connection]] = {}
        self._users: dict[str, dict[str, Connection]] = {}
        self.on_change: OnChange | None = None

    def add(self, connection: Connection) -> None:
        """Register a connection: from now on it is delivered to."""
        self.connections[connection.id] = connection
        if (user := connection.context.user_identifier) is not None:
            self._users.setdefault(user, {})[connection.id] = connection
        self._changed("joined", None, connection)

    def remove(self, connection: Connection) -> None:
        """Forget a connection, in its groups and for its user, too."""
        was_here = self.connections.pop(connection.id, None) is not None
        for group in tuple(connection.groups):
            self.remove_from_group(connection, group)
        user = connection.context.user_identifier
        if user is not None and (of_user := self._users.get(user)) is not None:
            of_user.pop(connection.id, None)
            if not of_user:
                del self._users[user]
        if was_here:
            self._changed("left", None, connection)

    def add_to_group(self, connection: Connection, group: str) -> None:
        """Add a connection to a group, unless it is there already or has ended.

        Raises:
            HubException: it is in as many groups as it may be.

        """
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
        self._changed("joined", group, connection)

    def remove_from_group(self, connection: Connection, group: str) -> None:
        """Remove a connection from a group, if it is there."""
        if group not in connection.groups:
            return
        connection.groups.discard(group)
        members = self._groups[group]
        del members[connection.id]
        if not members:
            del self._groups[group]
        self._changed("left", group, connection)

    def of_group(self, group: Group) -> Collection[Connection]:
        """List the connections in a group; None: all of them."""
        return (self.connections if group is None else self._groups.get(group, {})).values()

    def of_audience(self, audience: Audience, names: Sequence[str]) -> Iterable[Connection]:
        """List the connections that a message is for, each of them once."""
        if audience == "all":
            return self.connections.values()
        if audience == "connection":
            return [self.connections[name] for name in names if name in self.connections]
        sets = self._groups if audience == "group" else self._users
        if len(names) == 1:
            return sets.get(names[0], {}).values()
        return {member.id: member for name in names for member in sets.get(name, {}).values()}.values()

    def groups(self) -> Collection[str]:
        """Name the groups that have members."""
        return self._groups.keys()

    def _changed(self, kind: Literal["joined", "left"], group: Group, connection: Connection) -> None:
        if self.on_change is not None:
            self.on_change(kind, group, connection)
