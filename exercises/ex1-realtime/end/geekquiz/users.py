"""Who the current user is, and how passwords are kept."""

import asyncio
import unicodedata
from collections import Counter
from contextlib import suppress
from time import time
from typing import Annotated

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from fastapi import Depends, HTTPException, Request
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.authentication import AuthCredentials, AuthenticationBackend
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from .database import sessions
from .models import User

tries: Counter[tuple[str, int]] = Counter()

# OWASP's recommendation for argon2id: 19 MiB, two passes, one thread.
passwords = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


class SessionBackend(AuthenticationBackend):
    """Finds the user whom the session names; pages, API and hubs see the user as `request.user`, `scope["user"]`."""

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, User] | None:
        """The user of this request, or nobody."""
        if "user" not in conn.session:
            return None
        async with sessions() as session:
            user = await find_user(session, conn.session["user"])
        is_valid = user and user.session_number == conn.session.get("number")
        return (AuthCredentials(["authenticated"]), user) if is_valid else None


class EndWithSession:
    """Ends a connection that stays open, such as a hub's, soon after its user has logged off, on any instance."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or one WebSocket, and look every two seconds whether its session is still valid."""
        serving = asyncio.ensure_future(self.app(scope, receive, send))
        with suppress(asyncio.CancelledError):
            while not (await asyncio.wait([serving], timeout=2))[0]:
                if scope["user"].is_authenticated and not await SessionBackend().authenticate(HTTPConnection(scope)):
                    serving.cancel()
            await serving


def current_user(request: Request) -> User:
    """The user of this request; without one, pages send to Log in and the API answers 401."""
    if not request.user.is_authenticated:
        raise HTTPException(401, "Log in first.")
    return request.user


CurrentUser = Annotated[User, Depends(current_user)]


async def find_user(session: AsyncSession, name: str) -> User | None:
    """The user of this name, whatever its case."""
    return await session.scalar(select(User).where(User.key == name_key(name)))


def name_key(name: str) -> str:
    """A name as it is compared."""
    return unicodedata.normalize("NFKC", " ".join(name.split())).casefold()


async def hash_password(password: str) -> str:
    """The hash that is kept instead of the password; meant to be slow, so it has a thread of its own."""
    return await asyncio.to_thread(passwords.hash, password)


async def verify_password(password_hash: str, password: str) -> bool:
    """Whether this is the user's password."""
    try:
        return await asyncio.to_thread(passwords.verify, password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


def may_try(name: str) -> bool:
    """Whether this name may try a password once more: on one instance twenty times in a quarter of an hour."""
    if len(tries) > 10_000:
        tries.clear()
    tries[name_key(name), int(time()) // 900] += 1
    return tries[name_key(name), int(time()) // 900] <= 20
