"""The pages Log in and Register, and Log off."""

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.exc import IntegrityError

from .database import SessionDep
from .models import User
from .rendering import templates
from .users import find_user, hash_password, name_key, verify_password

router = APIRouter(prefix="/account")

TextField = Annotated[str, Form()]


@router.get("/login")
async def login_page(request: Request) -> Response:
    """The Log in page."""
    return templates.TemplateResponse(request, "login.html")


@router.post("/login")
async def login(request: Request, session: SessionDep, name: TextField = "", password: TextField = "") -> Response:
    """Log in; a wrong name and a wrong password look the same and take the same time."""
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
async def log_off(request: Request) -> Response:
    """Forget who the user is."""
    request.session.clear()
    return RedirectResponse("/account/login", 303)


def enter(request: Request, user: User) -> Response:
    """Begin the session of this user, on the Play page."""
    request.session.clear()
    request.session["user"] = user.name
    return RedirectResponse("/", 303)


def find_fault(name: str, password: str, confirm: str) -> str | None:
    """What is wrong with a registration, in a sentence for the user."""
    if not 2 <= len(name) <= 40 or not name.isprintable():
        return "A user name has 2 to 40 printable characters."
    if not 8 <= len(password) <= 200:
        return "A password has at least 8 characters."
    if password != confirm:
        return "The two passwords differ."
    return None
