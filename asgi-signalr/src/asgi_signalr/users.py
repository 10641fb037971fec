"""Who is connected: the user that the application's own authentication has put into the scope."""

import inspect
from collections.abc import Awaitable, Callable

from asgi_signalr.context import Scope

FindUser = Callable[[Scope], object | Awaitable[object]]
"""The application's own way from a request's scope to its user: an object, a plain name, or None."""


def user_in_scope(scope: Scope) -> object | None:
    """Find the user that Starlette's or Django's authentication has found; None if nobody is signed in."""
    user = scope.get("user")
    return user if user and getattr(user, "is_authenticated", True) else None


async def find_user(scope: Scope, find: FindUser | None) -> object | None:
    """Find the user by the application's own function, or else in the scope."""
    if find is None:
        return user_in_scope(scope)
    user = find(scope)
    if inspect.isawaitable(user):
        user = await user
    return user if user and getattr(user, "is_authenticated", True) else None


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
