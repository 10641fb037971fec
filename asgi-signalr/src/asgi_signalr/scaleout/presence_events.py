"""The events of presence, and how an application's functions are told of them: one after the other."""

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

import msgspec

from asgi_signalr.scaleout.presence_roster import Group, Member

logger = logging.getLogger("asgi_signalr")


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
                    except Exception:
                        logger.exception("A presence function failed.")
        finally:
            self._telling = None
