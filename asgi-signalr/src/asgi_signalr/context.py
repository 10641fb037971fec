"""What a hub knows about the connection that it is called by."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

Scope = MutableMapping[str, Any]

# What the library itself reads from a query string. Both are as good as a password while the connection lasts.
SECRETS = ("id", "access_token")


class HubCallerContext:
    """The connection that calls a hub: its id, its user and what came with its request."""

    def __init__(
        self, connection_id: str, scope: Scope, user: object | None, user_identifier: str | None, hub: str
    ) -> None:
        self.connection_id = connection_id
        self.scope = scope
        self.user = user
        """The signed-in user as the application knows it; None for an anonymous connection."""
        self.user_identifier = user_identifier
        self.expires_at: float | None = None
        """When the user's authentication expires, in seconds since 1970; then the connection is closed."""
        self.hub = hub
        self.items: dict[Any, Any] = {}
        """Whatever the hub wants to keep with this connection."""
        self.on_abort: Callable[[], None] | None = None
        self._aborted: asyncio.Event | None = None

    @property
    def aborted(self) -> asyncio.Event:
        """Set when the connection has ended; for hub methods that take long."""
        if self._aborted is None:
            self._aborted = asyncio.Event()
        return self._aborted

    @property
    def query(self) -> Mapping[str, str]:
        """The query string's parameters, without the tokens."""
        return dict(parse_qsl(self.scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True))

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's headers, by their names in lower case."""
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self.scope.get("headers", ())}

    def abort(self) -> None:
        """End the connection; the client is told, and does not come back by itself."""
        if self.on_abort is not None:
            self.on_abort()


AuthorizeFunction = Callable[[HubCallerContext], bool | Awaitable[bool]]
Authorize = bool | AuthorizeFunction
"""True: a signed-in user is required. A function decides for each connection, and may be async."""


def take_secrets(scope: Scope) -> dict[str, str]:
    """Read the query string, and take the tokens out of it before anything that follows can log them.

    The server's own access log prints the scope as well, so it is the scope that is changed.

    Returns:
        the parameters, the tokens included, by their names in lower case: upper and lower case make no difference.

    """
    pairs = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    if any(name.lower() in SECRETS for name, _ in pairs):
        scope["query_string"] = urlencode([pair for pair in pairs if pair[0].lower() not in SECRETS]).encode("ascii")
    return {name.lower(): value for name, value in pairs}


async def is_authorized(authorize: Authorize, context: HubCallerContext) -> bool:
    """Ask a hub's or a method's rule about a connection."""
    if isinstance(authorize, bool):
        return context.user is not None or not authorize
    verdict = authorize(context)
    return verdict if isinstance(verdict, bool) else bool(await verdict)
