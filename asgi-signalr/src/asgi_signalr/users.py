"""Who is connected: the user that the application's own authentication has put into the scope, and for how long."""

import inspect
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from asgi_signalr.context import Scope

FindUser = Callable[[Scope], object | Awaitable[object]]
"""The application's own way from a request's scope to its user: an object, a plain name, or None."""

FindExpiry = Callable[[Any], datetime | float | None]
"""The application's own way from a user to when its authentication expires: None, or a time as `expiry` takes it."""


async def find_user(scope: Scope, find: FindUser | None) -> object | None:
    """Find the user by the application's own function, or else where authentication leaves it in the scope.

    None if nobody is signed in.
    """
    user = scope.get("user")
    if find is not None:
        user = find(scope)
        if inspect.isawaitable(user):
            user = await user
    return user if user and getattr(user, "is_authenticated", True) else None


def bearer_token(scope: Scope) -> str | None:
    """Find the token that a client's `accessTokenFactory` gives, for a function that looks for the user by it.

    It is in the header `Authorization: Bearer …`; where browsers cannot send one, for WebSockets and events, it is in
    the query string, as `access_token`. The library takes it out of the query string as soon as the user is found.
    """
    for name, value in scope["headers"]:
        if name.lower() == b"authorization":
            scheme, _, token = value.decode("latin-1").strip().partition(" ")
            if scheme.lower() == "bearer":
                return token.strip() or None
    query = parse_qsl(scope.get("query_string", b"").decode("latin-1"))
    return next((value for name, value in query if name.lower() == "access_token"), None)


def identifier(user: object | None) -> str | None:
    """Name a user: all connections with the same name are this user's."""
    if user is None or isinstance(user, str):
        return user
    for attribute in ("identity", "username", "display_name", "pk"):
        try:
            value = getattr(user, attribute, None)
        except NotImplementedError:  # Starlette's base class declares attributes that it does not have
            continue
        if value is not None and value != "":
            return str(value)
    return None


def expiry(user: object | None, find: FindExpiry | None) -> float | None:
    """Find out when a user's authentication expires, in seconds since 1970; None: never.

    Without a function of the application's own it is the user's `expires_at`, if there is one: a `datetime` with its
    time zone, or seconds since 1970, like the claim `exp` of a JSON Web Token.

    Raises:
        TypeError: it is something else.

    """
    if user is None:
        return None
    when: object = find(user) if find is not None else getattr(user, "expires_at", None)
    if isinstance(when, datetime):
        if when.tzinfo is None:
            raise TypeError("The time at which a user's authentication expires has no time zone.")
        return when.timestamp()
    if when is None or (isinstance(when, int | float) and not isinstance(when, bool)):
        return when
    raise TypeError(f"A user's authentication expires at a datetime or at seconds since 1970, not at a {type(when)}.")
