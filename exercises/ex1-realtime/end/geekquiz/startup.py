"""How the application is put together."""

from fastapi import FastAPI
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.staticfiles import StaticFiles

from . import account, home, settings, trivia
from .errors import answer_errors

# the SignalR application, with the hubs that it serves
from .hubs.statistics import signalr
from .rendering import FOLDER
from .security import RefuseOtherSites, SecurityHeaders
from .users import SessionBackend


def configure(app: FastAPI) -> None:
    """Add what every request passes, then the pages and the API."""
    # The one added last is the first that a request meets.
    app.add_middleware(AuthenticationMiddleware, backend=SessionBackend())
    app.add_middleware(SessionMiddleware, secret_key=settings.secret, session_cookie=settings.cookie, same_site="lax")
    app.add_middleware(RefuseOtherSites)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=settings.hosts, www_redirect=False)
    app.add_middleware(SecurityHeaders)
    answer_errors(app)

    app.include_router(home.router)
    app.include_router(account.router)
    app.include_router(trivia.router)
    app.mount("/static", StaticFiles(directory=FOLDER / "static"))
    app.mount("/signalr", signalr)
