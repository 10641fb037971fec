"""Presence: who is in which group of a hub, on all servers together, and who joins and leaves.

It is kept for hubs that ask for it, `@signalr.hub("/chat", presence=True)`. A hub reads it as `self.presence`, the
rest of the application as `signalr.hub_context(Chat).presence`; `@signalr.on_presence(Chat)` has a function told of
every `PresenceEvent`.

For example:

    @signalr.hub("/chat", presence=True)
    class Chat(Hub):
        async def join(self, room: str) -> list[str]:
            await self.groups.add(self.context.connection_id, room)
            return sorted(self.presence.users(room))

    @signalr.on_presence(Chat)
    async def tell_the_room(event: PresenceEvent) -> None:
        if event.group is not None and event.is_users_only:
            room = signalr.hub_context(Chat).clients.group(event.group)
            await room.send(event.kind, event.member.user_identifier)

"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from asgi_signalr.names import GROUP, text_name
from asgi_signalr.scaleout.presence_events import PresenceEvent, PresenceFunction
from asgi_signalr.scaleout.presence_roster import Group, Member

if TYPE_CHECKING:
    from asgi_signalr.scaleout.local_hub import LocalHub
    from asgi_signalr.scaleout.presence_tracker import PresenceTracker

__all__ = ["Group", "Member", "Presence", "PresenceEvent", "PresenceFunction"]


class Presence:
    """Who is in a hub's groups, on all servers. Group None stands for everybody who is connected.

    What happens on this server is known at once, what happens on another one after a trip through the backplane, and
    what happened before this server started as soon as the others have answered, which takes a moment.

    Raises:
        RuntimeError: on use, presence is not kept for this hub.
        TypeError: a group's name is no text.

    """

    def __init__(self, find: Callable[[], "LocalHub"]) -> None:
        self._find = find

    def members(self, group: Group = None) -> tuple[Member, ...]:
        """List the connections in a group."""
        return tuple(self._tracker.members(_group(group)))

    def users(self, group: Group = None) -> frozenset[str]:
        """List the users that have connections in a group; anonymous connections are nobody's."""
        users = (member.user_identifier for member in self._tracker.members(_group(group)))
        return frozenset(user for user in users if user is not None)

    def count(self, group: Group = None) -> int:
        """Count the connections in a group without listing them; 0: a message to it reaches nobody."""
        return self._tracker.count(_group(group))

    def groups(self) -> frozenset[str]:
        """Name the groups that have members."""
        return self._tracker.groups()

    @property
    def _tracker(self) -> "PresenceTracker":
        local_hub = self._find()
        if local_hub.presence is None:
            raise RuntimeError(f"Presence is not kept for {local_hub.name}: serve it with presence=True.")
        return local_hub.presence


def _group(group: Group) -> Group:
    return None if group is None else text_name(GROUP, group)
