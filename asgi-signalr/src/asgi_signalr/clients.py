"""Whom a message goes to: `clients.all`, a group, a user, the caller, the others."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from asgi_signalr.connections import turns
from asgi_signalr.connections.stepping import within
from asgi_signalr.errors import ClientTimeoutError
from asgi_signalr.messages import Invocation
from asgi_signalr.names import CONNECTION, GROUP, METHOD, USER, text_name, text_names
from asgi_signalr.presence import Presence
from asgi_signalr.scaleout.envelopes import Audience

if TYPE_CHECKING:
    from asgi_signalr.scaleout.local_hub import LocalHub

FindLocalHub = Callable[[], "LocalHub"]

T = TypeVar("T")


class ClientProxy:
    """Some clients of a hub; `send` calls a method of each."""

    __slots__ = ("_audience", "_excluded", "_find", "_names")

    def __init__(
        self, find: FindLocalHub, audience: Audience, names: Iterable[str] = (), excluded: Iterable[str] = ()
    ) -> None:
        self._find = find
        self._audience = audience
        self._names = tuple(names)
        self._excluded = tuple(excluded)

    async def send(self, method: str, *arguments: Any) -> None:
        """Call a method of these clients, without waiting for them.

        Returns when the message is accepted. Clients that have gone are passed over in silence. Where there are
        several servers, what is for a single connection of this one goes to it directly, and may overtake what was
        sent to others before.

        Raises:
            TypeError, ValueError: an argument cannot be encoded.
            BackplaneError: the backplane takes no more messages for now.

        """
        invocation = Invocation(text_name(METHOD, method), list(arguments))
        await self._find().send(self._audience, self._names, self._excluded, invocation)


class SingleClientProxy(ClientProxy):
    """One connection of a hub; `invoke` calls its method and waits for the result."""

    __slots__ = ("_connection_id",)

    def __init__(self, find: FindLocalHub, connection_id: str) -> None:
        super().__init__(find, "connection", (connection_id,))
        self._connection_id = connection_id

    @overload
    async def invoke(
        self,
        method: str,
        *arguments: Any,
        returns: type[T],
        timeout: float | None = None,  # noqa: ASYNC109  (the error says who has not answered)
    ) -> T: ...

    @overload
    async def invoke(
        self,
        method: str,
        *arguments: Any,
        returns: Any = ...,
        timeout: float | None = None,  # noqa: ASYNC109  (the error says who has not answered)
    ) -> Any: ...

    async def invoke(
        self,
        method: str,
        *arguments: Any,
        returns: Any = Any,
        timeout: float | None = None,  # noqa: ASYNC109  (the error says who has not answered)
    ) -> Any:
        """Call a method of this client, on whatever server it is, and wait for its result.

        Args:
            method: the name of the client's handler.
            arguments: the handler's arguments.
            returns: the type that the result has to have; it is converted as the arguments of hub methods are.
            timeout: seconds after which the answer is waited for no longer; None: as long as the connection lasts.

        Raises:
            HubException: the client has answered with an error, such as "Client didn't provide a result.".
            InvalidDataError: the result does not fit `returns`.
            ConnectionError: no server has this connection, or it ended before the client answered.
            TimeoutError: the client has not answered in time; it is a HubException as well.
            RuntimeError: a client cannot be asked in its own `on_connected`.
            TypeError, ValueError: an argument cannot be encoded.
            BackplaneError: the backplane is away, or takes no more messages for now.

        """
        local_hub = self._find()
        text_name(METHOD, method)
        with turns.released(self._connection_id):
            return await within(
                local_hub.invoke(self._connection_id, method, list(arguments), returns),
                timeout,
                lambda: ClientTimeoutError(
                    f"Invocation canceled by the server. "
                    f"Connection '{self._connection_id}' has not answered {method!r} within {timeout:g} s."
                ),
            )


P = TypeVar("P")


class Audiences(Generic[P]):
    """Whoever is connected to an endpoint, as anybody may address them.

    Raises:
        TypeError: a name is no text; or one is given where several are taken, whose letters would be the names.

    """

    _proxy: Callable[[FindLocalHub, Audience, Iterable[str], Iterable[str]], P]

    def __init__(self, find: FindLocalHub) -> None:
        self._find = find

    def _to(self, audience: Audience, names: Iterable[str] = (), excluded: Iterable[str] = ()) -> P:
        return type(self)._proxy(self._find, audience, names, excluded)

    @property
    def all(self) -> P:
        """Every connection, on every server."""
        return self._to("all")

    def all_except(self, connection_ids: Iterable[str]) -> P:
        """Every connection but these."""
        return self._to("all", excluded=text_names("all_except", CONNECTION, connection_ids))

    def clients(self, connection_ids: Iterable[str]) -> P:
        """Several connections."""
        return self._to("connection", text_names("clients", CONNECTION, connection_ids))

    def group(self, name: str) -> P:
        """The members of a group."""
        return self._to("group", (text_name(GROUP, name),))

    def groups(self, names: Iterable[str]) -> P:
        """The members of several groups; who is in two of them gets the message once."""
        return self._to("group", text_names("groups", GROUP, names))

    def group_except(self, name: str, connection_ids: Iterable[str]) -> P:
        """The members of a group but these connections."""
        return self._to("group", (text_name(GROUP, name),), text_names("group_except", CONNECTION, connection_ids))

    def user(self, user_identifier: str) -> P:
        """All connections of a user."""
        return self._to("user", (text_name(USER, user_identifier),))

    def users(self, user_identifiers: Iterable[str]) -> P:
        """All connections of several users."""
        return self._to("user", text_names("users", USER, user_identifiers))


class HubClients(Audiences[ClientProxy]):
    """The clients of a hub, as anybody may address them."""

    _proxy = ClientProxy

    def client(self, connection_id: str) -> SingleClientProxy:
        """One connection."""
        return SingleClientProxy(self._find, text_name(CONNECTION, connection_id))


class HubCallerClients(HubClients):
    """The clients of a hub, as seen from the connection that calls it."""

    def __init__(self, find: FindLocalHub, connection_id: str) -> None:
        super().__init__(find)
        self._connection_id = connection_id

    @property
    def caller(self) -> SingleClientProxy:
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

    def __init__(self, find: FindLocalHub) -> None:
        self._find = find

    async def add(self, connection_id: str, group: str) -> None:
        """Add a connection to a group, on whatever server it is.

        Raises:
            TypeError: a name is no text.
            HubException: the connection is in as many groups as it may be (`max_groups_per_connection`).
            TimeoutError: no server has said in time that it has done so.
            BackplaneError: the backplane takes no more messages for now.

        """
        await self._find().change_group("add", text_name(CONNECTION, connection_id), text_name(GROUP, group))

    async def remove(self, connection_id: str, group: str) -> None:
        """Remove a connection from a group, on whatever server it is.

        Raises:
            TypeError: a name is no text.
            TimeoutError: no server has said in time that it has done so.
            BackplaneError: the backplane takes no more messages for now.

        """
        await self._find().change_group("remove", text_name(CONNECTION, connection_id), text_name(GROUP, group))


class HubContext:
    """A hub from the outside: for the application's other parts to send to its clients."""

    def __init__(self, find: FindLocalHub) -> None:
        self.clients = HubClients(find)
        self.groups = GroupManager(find)
        self.presence = Presence(find)
