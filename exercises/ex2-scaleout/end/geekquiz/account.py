"""The pages Log in and Register, and Log off."""

import unicodedata
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from .database import SessionDep
from .models import User
from .rendering import templates
from .users import find_user, hash_password, may_try, name_key, verify_password

router = APIRouter(prefix="/account")

ALPHABETS = {"CYRILLIC", "GREEK", "LATIN"}
COMMON = ("password", "password1", "passw0rd", "qwertyuiop", "iloveyou", "geekquiz", "letmein1")

TextField = Annotated[str, Form()]


@router.get("/login")
async def login_page(request: Request) -> Response:
    """The Log in page."""
    return templates.TemplateResponse(request, "login.html")


@router.post("/login")
async def login(request: Request, session: SessionDep, name: TextField = "", password: TextField = "") -> Response:
    """Log in; a wrong name and a wrong password look the same and take the same time."""
    if not may_try(name):
        error = "Too many tries for this name. Wait a quarter of an hour."
        return templates.TemplateResponse(request, "login.html", {"name": name, "error": error}, 429)
    user = await find_user(session, name)
    if user and await verify_password(user.password_hash, password):
        return enter(request, user)
    if not user:
        await hash_password(password)  # as much work as verifying one
    error = "User name or password is wrong."
    return templates.TemplateResponse(request, "login.html", {"name": name, "error": error}, 400)


@router.get("/register")
async def register_page(request: Request) -> Response:
    """The Register page."""
    return templates.TemplateResponse(request, "register.html")


@router.post("/register")
async def register(
    request: Request,
    session: SessionDep,
    name: TextField = "",
    password: TextField = "",
    confirm: TextField = "",
) -> Response:
    """Add a user, and log in as this user."""
    name = " ".join(name.split())
    error = find_fault(name, password, confirm)
    if not error:
        user = User(name=name, key=name_key(name), password_hash=await hash_password(password))
        session.add(user)
        try:
            await session.commit()
            return enter(request, user)
        except IntegrityError:
            error = f"The user name {name} is taken."
    return templates.TemplateResponse(request, "register.html", {"name": name, "error": error}, 400)


@router.post("/logoff")
async def log_off(request: Request, session: SessionDep) -> Response:
    """Forget who the user is, in every browser and in every open connection."""
    if request.user.is_authenticated:
        this_user = update(User).where(User.id == request.user.id)
        await session.execute(this_user.values(session_number=User.session_number + 1))
        await session.commit()
    request.session.clear()
    return RedirectResponse("/account/login", 303)


def enter(request: Request, user: User) -> Response:
    """Begin the session of this user, on the Play page."""
    request.session.clear()
    request.session.update(user=user.name, number=user.session_number)
    return RedirectResponse("/", 303)


def find_fault(name: str, password: str, confirm: str) -> str | None:
    """What is wrong with a registration, in a sentence for the user."""
    if not 2 <= len(name) <= 40 or not name.isprintable():
        return "A user name has 2 to 40 printable characters."
    if len({unicodedata.name(each, "").split()[0] for each in name if each.isalpha()} & ALPHABETS) > 1:
        return "A user name has letters of one alphabet, for others look like them."
    if not 8 <= len(password) <= 200:
        return "A password has at least 8 characters."
    if len(set(password)) < 5 or password.isdecimal() or name_key(password) in (name_key(name), *COMMON):
        return "This password is easy to guess."
    if password != confirm:
        return "The two passwords differ."
    return None
