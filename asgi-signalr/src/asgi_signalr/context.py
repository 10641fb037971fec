"""The connection that a hub is called by, and who may call."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from asgi_signalr.http import Parameters, Scope, cookies_of, headers_of

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
        self.revalidate: Callable[[], object] | None = None
        """Asks whether the user is signed in still, if anybody knows; after a no the connection is closed."""
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
    def query(self) -> Parameters:
        """The query string's parameters, without the tokens; `query.get_all(name)` for one that comes several times."""
        return Parameters(parse_qsl(self.scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True))

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's headers, by their names in lower case; one that comes several times is joined."""
        return headers_of(self.scope)

    @property
    def cookies(self) -> Mapping[str, str]:
        """The request's cookies, by their names."""
        return cookies_of(self.scope)

    def abort(self) -> None:
        """End the connection; the client is told, and does not come back by itself."""
        if self.on_abort is not None:
            self.on_abort()


@dataclass(frozen=True)
class HubInvocation:
    """What a client calls, for a rule that decides by it."""

    method_name: str
    """The method's name for clients."""
    arguments: Sequence[Any]
    """The client's arguments, already of the declared types."""


AuthorizeFunction = (
    Callable[[HubCallerContext], bool | Awaitable[bool]]
    | Callable[[HubCallerContext, HubInvocation], bool | Awaitable[bool]]
)
Authorize = bool | AuthorizeFunction
"""True: a signed-in user is required. A function decides for each connection, and may be async.

The rule of a method may take a second parameter, the `HubInvocation`.
"""


def take_secrets(scope: Scope) -> dict[str, str]:
    """Read the query string, and take the tokens out of it before anything that follows can log them.

    The server's own access log prints the scope as well, so it is the scope that is changed.

    Returns:
        the parameters, the tokens included, by their names in lower case: upper and lower case make no difference.
        One that comes several times is joined by commas, as ASP.NET Core does, and so is no token of anybody's.

    """
    pairs = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    if any(name.lower() in SECRETS for name, _ in pairs):
        scope["query_string"] = urlencode([pair for pair in pairs if pair[0].lower() not in SECRETS]).encode("ascii")
    taken: dict[str, str] = {}
    for name, value in pairs:
        taken[name.lower()] = f"{taken[name.lower()]},{value}" if name.lower() in taken else value
    return taken


def checked_rule(authorize: Authorize) -> Authorize:
    """See that a rule can be asked.

    Raises:
        TypeError: it cannot. A class is no rule either: whatever it makes would be taken for a yes.

    """
    if isinstance(authorize, bool) or (callable(authorize) and not inspect.isclass(authorize)):
        return authorize
    raise TypeError(f"authorize is True, False or a function of the HubCallerContext, not {authorize!r}.")


def takes_invocation(authorize: Authorize) -> bool:
    """Say whether a method's rule wants to know what is called: it has a second parameter that has to be given."""
    if isinstance(authorize, bool):
        return False
    try:
        parameters = inspect.signature(authorize).parameters.values()
    except (TypeError, ValueError):  # it is built in
        return False
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return len([each for each in parameters if each.kind in by_position and each.default is each.empty]) > 1


async def is_authorized(
    authorize: Authorize, context: HubCallerContext, invocation: HubInvocation | None = None
) -> bool:
    """Ask a hub's or a method's rule about a connection; what it answers counts as true or false.

    Args:
        authorize: the rule.
        context: the connection.
        invocation: what it calls, for a rule that takes this.

    Raises:
        TypeError: it answers with something that is still to be called or iterated over, which says nothing.

    """
    if isinstance(authorize, bool):
        return context.user is not None or not authorize
    rule: Callable[..., object] = authorize
    verdict = rule(context) if invocation is None else rule(context, invocation)
    if isinstance(verdict, bool):
        return verdict
    while inspect.isawaitable(verdict):
        verdict = await verdict
    if callable(verdict) or inspect.isgenerator(verdict) or inspect.isasyncgen(verdict):
        raise TypeError(f"The rule {authorize!r} has returned {verdict!r}; it is to return True or False.")
    return bool(verdict)
