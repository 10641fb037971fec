"""The negotiation: a client asks how it may connect, and gets an id and the transports there are."""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from asgi_signalr.connections.manager import Negotiated
from asgi_signalr.context import HubCallerContext
from asgi_signalr.endpoints.admission import Admission, Request
from asgi_signalr.errors import HubException
from asgi_signalr.http import Refusal, Response, address_of
from asgi_signalr.options import Options
from asgi_signalr.scaleout.server import Server
from asgi_signalr.transports import TRANSPORTS

NEWEST = 1


class NegotiateError(Exception):
    """The negotiation fails; the message is what the client is told, with status 200."""


@dataclass(frozen=True)
class Identity:
    """The names of a new connection: the id is public, the token is secret. Both can stand in a URL as they are."""

    connection_id: str
    token: str


@dataclass(frozen=True)
class Redirect:
    """Where a client is to negotiate instead; official clients follow, with the token if there is one."""

    url: str
    """The hub's address there, without `/negotiate`."""
    access_token: str | None = None
    """The token that the client shows there instead of its own."""

    def answer(self, version: int) -> dict[str, Any]:
        """Spell out the answer to a client."""
        wire: dict[str, Any] = {"negotiateVersion": version, "url": self.url, "availableTransports": []}
        if self.access_token is not None:
            wire["accessToken"] = self.access_token
        return wire

    def __repr__(self) -> str:
        return f"Redirect(url={self.url!r})"  # the token is to be in no log


def requested_version(query: Mapping[str, str], minimum: int) -> int:
    """Read which version the client speaks; the answer is in this one, or in the newest there is.

    Args:
        query: as `take_secrets` reads it.
        minimum: the oldest version that is answered.

    Raises:
        NegotiateError: it is no number, as with several, or too old.

    """
    asked = query.get("negotiateversion", "0").strip()
    if not re.fullmatch(r"[+-]?0*[0-9]{1,10}", asked, re.ASCII) or not -(2**31) <= int(asked) < 2**31:
        raise NegotiateError("The client requested a non-integer protocol version.")
    version = int(asked)
    if version < minimum:
        raise NegotiateError(f"The client requested version '{version}', but the server does not support this version.")
    return min(version, NEWEST)


def new_identity(mark: str) -> Identity:
    """Make the names of a new connection of the server with a mark."""
    return Identity(mark + secrets.token_urlsafe(16)[len(mark) :], secrets.token_urlsafe(16))


def asks_for_stateful_reconnect(query: Mapping[str, str]) -> bool:
    """Say whether the client can bring another WebSocket when one is lost."""
    asked = query.get("usestatefulreconnect", "")
    return asked.strip().lower() == "true"


def _wire(version: int, identity: Identity, transports: Sequence[str], *, stateful: bool) -> dict[str, Any]:
    """Spell out the answer to a client."""
    wire: dict[str, Any] = {"negotiateVersion": version, "connectionId": identity.connection_id}
    if version > 0:
        wire["connectionToken"] = identity.token
    if stateful:  # who has not asked for it must not see it: the JavaScript client takes even a false for an offer
        wire["useStatefulReconnect"] = True
    wire["availableTransports"] = [{"transport": each, "transferFormats": TRANSPORTS[each]} for each in transports]
    return wire


FindRedirect = Callable[[HubCallerContext], Redirect | Awaitable[Redirect | None] | None]
"""Says for a client that negotiates where it is to go instead; None: it is right here."""


class Negotiation:
    """Negotiates with the clients of one endpoint.

    Args:
        name: of the endpoint.
        admission: says who may.
        transports: those that are offered, in the order in which clients try them.
        options: the application's.
        find_server: finds the server of the event loop that it is called on.
        redirect: sends clients elsewhere.

    """

    def __init__(
        self,
        name: str,
        admission: Admission,
        transports: tuple[str, ...],
        options: Options,
        find_server: Callable[[], Server],
        redirect: FindRedirect | None,
    ) -> None:
        self._name = name
        self._admission = admission
        self._transports = transports
        self._options = options
        self._find_server = find_server
        self._redirect = redirect

    async def answer(self, request: Request) -> Response:
        """Answer one request.

        Raises:
            Refusal: it may not connect, or there is no place for one more.

        """
        server = self._find_server()
        identity = new_identity(server.roll.mark)
        context = self._admission.context(identity.connection_id, request)
        await self._admission.check_user(context)
        if request.scope["method"] != "POST":
            raise Refusal(405, "Method Not Allowed", Allow="POST")
        try:
            version = requested_version(request.query, self._options.minimum_negotiate_version)
        except NegotiateError as error:
            return _json({"error": str(error)})
        if version == 0:  # which knows only one name for both
            identity = Identity(identity.connection_id, identity.connection_id)
        try:
            redirect = await self._admission.in_time(self._find_redirect(context))
        except HubException as error:
            return _json({"error": str(error)})
        if redirect is not None:
            return _json(redirect.answer(version))
        transports = self._transports
        if server.speaks_websockets is False:
            transports = tuple(each for each in transports if each != "WebSockets")
        stateful = (
            self._options.allow_stateful_reconnects
            and "WebSockets" in transports
            and asks_for_stateful_reconnect(request.query)
        )
        now = asyncio.get_running_loop().time()
        entry = Negotiated(identity.connection_id, self._name, request.user_identifier, now, stateful)
        server.connections.negotiate(identity.token, entry, address_of(request.scope))
        return _json(_wire(version, identity, transports, stateful=stateful))

    async def _find_redirect(self, context: HubCallerContext) -> Redirect | None:
        redirect = self._redirect(context) if self._redirect is not None else None
        if isinstance(redirect, Awaitable):
            redirect = await redirect
        if not isinstance(redirect, Redirect | None):
            raise TypeError(f"redirect has returned {redirect!r}; return Redirect(url), or None.")
        return redirect


def _json(value: object) -> Response:
    return Response(200, msgspec.json.encode(value), {"Content-Type": "application/json"})
