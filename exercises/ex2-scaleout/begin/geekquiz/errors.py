"""What a user sees when something is wrong: a page, or JSON from the API."""

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from .rendering import templates


def answer_errors(app: FastAPI) -> None:
    """Have these functions answer the exceptions."""
    app.add_exception_handler(HTTPException, answer_error)
    app.add_exception_handler(RequestValidationError, answer_bad_input)
    app.add_exception_handler(Exception, answer_failure)


async def answer_error(request: Request, error: HTTPException) -> Response:
    """Send who is not logged in to the log-in page, and say everything else on a page of its own."""
    if request.url.path.startswith("/api/"):
        return JSONResponse({"detail": error.detail}, error.status_code, error.headers)
    if error.status_code == 401:
        return RedirectResponse("/account/login", 303)
    return templates.TemplateResponse(request, "error.html", {"detail": error.detail}, error.status_code, error.headers)


async def answer_bad_input(request: Request, error: RequestValidationError) -> Response:
    """Answer 400, which says that asking again will not help; what was sent is not repeated."""
    return await answer_error(request, HTTPException(400, "The request is not what was expected."))


async def answer_failure(request: Request, error: Exception) -> Response:
    """Say whether it is worth trying again; the server's log has the rest."""
    busy = HTTPException(503, "The database is busy. Try again in a moment.")
    failed = HTTPException(500, "Something went wrong in the quiz.")
    return await answer_error(request, busy if isinstance(error, OperationalError) else failed)
