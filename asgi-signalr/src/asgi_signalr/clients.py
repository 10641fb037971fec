"""Whom a message goes to: `clients.all`, a group, a user, the caller, the others."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from asgi_signalr.messages import Invocation
from asgi_signalr.scaleout import Audience

if TYPE_CHECKING:
    from asgi_signalr.lifetime import HubLifetime

FindLifetime = Callable[[], "HubLifetime"]


class ClientProxy:
    """Some clients of a hub; `send` calls a method of each."""

    __slots__ = ("_audience", "_excluded", "_find", "_names")

    def __init__(
        self, find: FindLifetime, audience: Audience, names: Iterable[str] = (), excluded: Iterable[str] = ()
    ) -> None:
        self._find = find
        self._audience = audience
        self._names = tuple(names)
        self._excluded = tuple(excluded)

    async def send(self, method: str, *arguments: Any) -> None:
        """Call a method of these clients, without waiting for what they make of it.

        Returns when the message is accepted. Clients that have gone are passed over in silence.

        Raises:
            TypeError, ValueError: an argument cannot be encoded.
            BackplaneError: the backplane takes no more messages for now.

        """
        await self._find().send(self._audience, self._names, self._excluded, Invocation(method, list(arguments)))


class HubClients:
    """The clients of a hub, as anybody may address them."""

    def __init__(self, find: FindLifetime) -> None:
        self._find = find

    @property
    def all(self) -> ClientProxy:
        """Every connection of the hub, on every server."""
        return ClientProxy(self._find, "all")

    def all_except(self, connection_ids: Iterable[str]) -> ClientProxy:
        """Every connection but these."""
        return ClientProxy(self._find, "all", excluded=connection_ids)

    def client(self, connection_id: str) -> ClientProxy:
        """One connection."""
        return ClientProxy(self._find, "connection", (connection_id,))

    def clients(self, connection_ids: Iterable[str]) -> ClientProxy:
        """Several connections."""
        return ClientProxy(self._find, "connection", connection_ids)

    def group(self, name: str) -> ClientProxy:
        """The members of a group."""
        return ClientProxy(self._find, "group", (name,))

    def groups(self, names: Iterable[str]) -> ClientProxy:
        """The members of several groups; who is in two of them gets the message once."""
        return ClientProxy(self._find, "group", names)

    def group_except(self, name: str, connection_ids: Iterable[str]) -> ClientProxy:
        """The members of a group but these connections."""
        return ClientProxy(self._find, "group", (name,), connection_ids)

    def user(self, user_identifier: str) -> ClientProxy:
        """All connections of a user."""
        return ClientProxy(self._find, "user", (user_identifier,))

    def users(self, user_identifiers: Iterable[str]) -> ClientProxy:
        """All connections of several users."""
        return ClientProxy(self._find, "user", user_identifiers)


class HubCallerClients(HubClients):
    """The clients of a hub, as seen from the connection that calls it."""

    def __init__(self, find: FindLifetime, connection_id: str) -> None:
        super().__init__(find)
        self._connection_id = connection_id

    @property
    def caller(self) -> ClientProxy:
        """The connection that calls."""
        return self.client(self._connection_id)

    @property
    def others(self) -> ClientProxy:
        """Every connection but the caller's."""
        return self.all_except((self._connection_id,))

    def others_in_group(self, name: str) -> ClientProxy:
        """The members of a group but the caller."""
        return self.group_except(name, (self._connection_id,))


class GroupManager:
    """Puts connections into groups. A group exists while it has members; membership ends with the connection."""

    def __init__(self, find: FindLifetime) -> None:
        self._find = find

    async def add(self, connection_id: str, group: str) -> None:
        """Add a connection to a group, on whatever server it is.

        Raises:
            TimeoutError: no server has said in time that it has done so.
            BackplaneError: the backplane takes no more messages for now.

        """
        await self._find().change_group("add", connection_id, group)

    async def remove(self, connection_id: str, group: str) -> None:
        """Remove a connection from a group, on whatever server it is.

        Raises:
            TimeoutError: no server has said in time that it has done so.
            BackplaneError: the backplane takes no more messages for now.

        """
        await self._find().change_group("remove", connection_id, group)


class HubContext:
    """A hub from the outside: for the application's other parts to send to its clients."""

    def __init__(self, find: FindLifetime) -> None:
        self.clients = HubClients(find)
        self.groups = GroupManager(find)
