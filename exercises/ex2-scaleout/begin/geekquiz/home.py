"""The pages Play and Statistics."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

from .database import SessionDep
from .rendering import templates
from .statistics import StatisticsService
from .users import CurrentUser

router = APIRouter()


@router.get("/")
async def play(request: Request, _user: CurrentUser) -> Response:
    """The page that asks the questions."""
    return templates.TemplateResponse(request, "play.html")


@router.get("/statistics")
async def show_statistics(request: Request, _user: CurrentUser, session: SessionDep) -> Response:
    """The page with the figures of this moment."""
    statistics = await StatisticsService(session).generate()
    return templates.TemplateResponse(request, "statistics.html", {"statistics": statistics})


@router.get("/healthz")
async def healthz() -> PlainTextResponse:
    """Whether the application answers; needs no log-in."""
    return PlainTextResponse("ok")
