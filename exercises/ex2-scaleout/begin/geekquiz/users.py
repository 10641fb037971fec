"""Who the current user is, and how passwords are kept."""

import asyncio
import unicodedata
from collections import Counter
from time import time
from typing import Annotated

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from fastapi import Depends, HTTPException, Request
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.authentication import AuthCredentials, AuthenticationBackend
from starlette.requests import HTTPConnection

from .database import sessions
from .models import User

# OWASP's recommendation for argon2id: 19 MiB, two passes, one thread.
passwords = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
tries: Counter[tuple[int, int]] = Counter()  # by name and quarter of an hour


class SessionBackend(AuthenticationBackend):
    """Finds the user whom the session names; pages, API and hubs see the user as `request.user`, `scope["user"]`."""

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, User] | None:
        """The user of this request, or nobody."""
        if "user" not in conn.session:
            return None
        async with sessions() as session:
            user = await find_user(session, conn.session["user"])
        if user and user.session_number == conn.session.get("number"):
            user.is_still_authenticated = lambda: self.authenticate(conn)  # hubs ask, while a connection is open
            return AuthCredentials(["authenticated"]), user
        return None


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
    now = hash(name_key(name)), int(time()) // 900
    if len(tries) > 10_000:
        tries.clear()
    tries[now] += 1
    return tries[now] <= 20
