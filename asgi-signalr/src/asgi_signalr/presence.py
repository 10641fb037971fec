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

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from asgi_signalr.connection import logger
from asgi_signalr.names import GROUP, one
from asgi_signalr.roster import Group, Member

if TYPE_CHECKING:
    from asgi_signalr.lifetime import HubLifetime
    from asgi_signalr.presence_tracker import PresenceTracker


class PresenceEvent(msgspec.Struct, frozen=True):
    """A connection has joined or left a group, by itself or because it begins or ends.

    Each is told once in the whole application: on the server that has the connection, or, when a server has died, on
    one of the others.
    """

    kind: Literal["joined", "left"]
    group: Group
    """The group's name; None: the connection itself has begun or ended."""
    member: Member
    is_users_only: bool
    """Whether the user has no other connection in the group: has come or gone, and not just opened or closed a tab.

    All servers judge it by the same order of events; one that has just missed something, by what it has heard.
    """


PresenceFunction = Callable[[PresenceEvent], Awaitable[None] | None]
"""Told of one event after the other, in order; may be async."""


class Presence:
    """Who is in a hub's groups, on all servers. Group None stands for everybody who is connected.

    What happens on this server is known at once, what happens on another one after a trip through the backplane, and
    what happened before this server started as soon as the others have answered, which takes a moment.

    Raises:
        RuntimeError: on use, presence is not kept for this hub.
        TypeError: a group's name is no text.

    """

    def __init__(self, find: Callable[[], "HubLifetime"]) -> None:
        self._find = find

    def members(self, group: Group = None) -> tuple[Member, ...]:
        """List the connections in a group."""
        return tuple(self._tracker.members(_group(group)))

    def users(self, group: Group = None) -> frozenset[str]:
        """List the users that have connections in a group; anonymous connections are nobody's."""
        users = (member.user_identifier for member in self._tracker.members(_group(group)))
        return frozenset(user for user in users if user is not None)

    def count(self, group: Group = None) -> int:
        """Count the connections in a group without listing them; 0: what is sent to it reaches nobody."""
        return self._tracker.count(_group(group))

    def groups(self) -> frozenset[str]:
        """Name the groups that have members."""
        return self._tracker.groups()

    @property
    def _tracker(self) -> "PresenceTracker":
        lifetime = self._find()
        if lifetime.presence is None:
            raise RuntimeError(f"Presence is not kept for {lifetime.hub}: serve it with presence=True.")
        return lifetime.presence


def _group(group: Group) -> Group:
    return None if group is None else one(GROUP, group)


class PresenceEvents:
    """Tells an application's functions of events, one after the other."""

    def __init__(self, functions: Sequence[PresenceFunction]) -> None:
        self._functions = functions
        self._waiting: deque[PresenceEvent] = deque()
        self._telling: asyncio.Task[None] | None = None

    def tell(self, event: PresenceEvent) -> None:
        """Have the functions told, after what they are still to be told."""
        if not self._functions:
            return
        self._waiting.append(event)
        if self._telling is None:
            self._telling = asyncio.get_running_loop().create_task(self._tell())

    async def told(self) -> None:
        """Wait until the functions have been told everything."""
        if self._telling is not None:
            await asyncio.wait({self._telling})

    async def _tell(self) -> None:
        try:
            while self._waiting:
                event = self._waiting.popleft()
                for function in self._functions:
                    try:
                        told = function(event)
                        if inspect.isawaitable(told):
                            await told
                    except Exception:  # noqa: BLE001  (the application's code may raise anything)
                        logger.exception("A presence function failed.")
        finally:
            self._telling = None
