"""Who is in which group: plain bookkeeping, by group and by user."""

from collections.abc import Iterator, Mapping

import msgspec

Group = str | None
"""A group's name; None: not a group, but all connections of the hub."""


class Member(msgspec.Struct, frozen=True):
    """A connection that is in a group, and whose it is. It can be sent to clients as it is."""

    connection_id: str
    user_identifier: str | None
    """None for an anonymous connection."""


class Roster:
    """The members of groups, and how many connections each user has in them."""

    def __init__(self) -> None:
        self._groups: dict[Group, dict[str, Member]] = {}
        self._users: dict[tuple[Group, str], int] = {}

    def members(self, group: Group) -> Mapping[str, Member]:
        """List a group's members by their connections' ids."""
        return self._groups.get(group, {})

    def groups(self) -> Iterator[Group]:
        """Name the groups that have members."""
        return iter(self._groups)

    def has_user(self, group: Group, user: str | None) -> bool:
        """Say whether a user has a connection in a group; nobody knows it of anonymous ones."""
        return user is not None and (group, user) in self._users

    def add(self, group: Group, member: Member) -> bool:
        """Add a member; whether it is a new one."""
        members = self._groups.setdefault(group, {})
        if member.connection_id in members:
            return False
        members[member.connection_id] = member
        if (user := member.user_identifier) is not None:
            self._users[group, user] = self._users.get((group, user), 0) + 1
        return True

    def remove(self, group: Group, connection_id: str) -> Member | None:
        """Remove a member; None if it was none."""
        members = self._groups.get(group, {})
        member = members.pop(connection_id, None)
        if member is None:
            return None
        if not members:
            del self._groups[group]
        if (user := member.user_identifier) is not None:
            left = self._users.pop((group, user)) - 1
            if left:
                self._users[group, user] = left
        return member
