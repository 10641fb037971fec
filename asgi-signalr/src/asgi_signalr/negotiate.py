"""The negotiation: a client asks how it may connect, and gets an id and the transports there are."""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
    """What the client's requests there are to bring instead of its own token."""

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
        NegotiateError: it is no number, or too old.

    """
    asked = query.get("negotiateversion", "0")
    if not re.fullmatch(r"[+-]?0*[0-9]{1,10}", asked, re.ASCII) or not -(2**31) <= int(asked) < 2**31:
        raise NegotiateError(f"The client requested an invalid protocol version '{asked}'")
    version = int(asked)
    if version < minimum:
        raise NegotiateError(f"The client requested version '{version}', but the server does not support this version.")
    return min(version, NEWEST)


def new_identity(version: int) -> Identity:
    """Make the names of a new connection. The old version knows only one name for both."""
    connection_id = secrets.token_urlsafe(16)
    return Identity(connection_id, secrets.token_urlsafe(16) if version > 0 else connection_id)


def asks_for_stateful_reconnect(query: Mapping[str, str]) -> bool:
    """Say whether the client can bring another WebSocket when one is lost."""
    asked = query.get("usestatefulreconnect", "")
    return asked.strip().lower() == "true"


def answer(version: int, identity: Identity, transports: Sequence[str], *, stateful: bool) -> dict[str, Any]:
    """Spell out the answer to a client."""
    wire: dict[str, Any] = {"negotiateVersion": version, "connectionId": identity.connection_id}
    if version > 0:
        wire["connectionToken"] = identity.token
    if stateful:  # who has not asked for it must not see it: the JavaScript client takes even a false for an offer
        wire["useStatefulReconnect"] = True
    wire["availableTransports"] = [{"transport": each, "transferFormats": TRANSPORTS[each]} for each in transports]
    return wire
