"""Who is connected: the user that the application's own authentication has put into the scope, and for how long."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qsl
from uuid import UUID

from asgi_signalr.http import Scope

FindUser = Callable[[Scope], object | Awaitable[object]]
"""The application's own way from a request's scope to its user: an object, a plain name, or None."""

FindIdentifier = Callable[[Any], str | int | UUID]
"""The application's own way from a user to its identifier: a name that no other user has, or can choose to have."""

FindExpiry = Callable[[Any], datetime | float | None]
"""The application's own way from a user to when its authentication expires: None, or a time as `expiry` takes it."""

Revalidate = Callable[[Any], object | Awaitable[object]]
"""The application's own way to ask whether a user is signed in still: what it returns counts as true or false."""


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


def identifier(user: object | None, find: FindIdentifier | None = None) -> str | None:
    """Name a user: all connections with the same name are this user's. None if nobody is signed in.

    Without a function of the application's own it is what the user has of `identity`, `sub`, `pk`, `id` and
    `username`: the first of them, whether the user is an object or a dictionary, such as a token's claims. Text is its
    own name.

    Raises:
        TypeError: the user has none of them, or the function gives something else than a name or a number.

    """
    if user is None:
        return None
    if find is not None:
        name: object = find(user)
        if not isinstance(name, str | int | UUID) or name == "":
            raise TypeError(f"SignalR(user_identifier=…) has to name a user by text or a number, not by {name!r}.")
        return str(name)
    if isinstance(user, str):
        return user
    for attribute in _IDENTIFIERS:
        try:
            value = user.get(attribute) if isinstance(user, Mapping) else getattr(user, attribute, None)
        except NotImplementedError:  # Starlette's base class declares attributes that it does not have
            continue
        if value is not None and value != "" and not callable(value):
            return str(value)
    *names, last = _IDENTIFIERS
    raise TypeError(
        f"A user of type {type(user).__name__} has no {', '.join(names)} or {last} that tells it from others. Name "
        "what does, and no user can choose: SignalR(user_identifier=lambda user: user.customer_number)."
    )


# What is given to a user once and for all comes first. A name that users choose for themselves is not among them.
_IDENTIFIERS = ("identity", "sub", "pk", "id", "username")


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


def revalidation(user: object | None, ask: Revalidate | None) -> Callable[[], object] | None:
    """Find out how to ask whether a user is signed in still, while a connection is open; None: it is not asked.

    Without a function of the application's own it is the user's method `is_still_authenticated`, if there is one.

    Raises:
        TypeError: it cannot be called.

    """
    if user is None:
        return None
    if ask is not None:
        return partial(ask, user)
    method: object = getattr(user, "is_still_authenticated", None)
    if method is None or callable(method):
        return method
    raise TypeError(f"A user's is_still_authenticated is to be a method, not {method!r}.")
