"""The peer of `labkit guide`: one page of Starlette, with the libraries that the guide imports as well.

uv run python benchmarks/bare_starlette.py PORT
"""

import sys

import asgi_signalr
import markdown_it
import pygments.formatters
import pygments.lexers
import rich.console
import rich.markup
import typer
import uvicorn
import watchfiles
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

USED = (asgi_signalr, markdown_it, pygments.formatters, pygments.lexers, rich.console, rich.markup, typer, watchfiles)


async def page(request: Request) -> HTMLResponse:
    return HTMLResponse("<!doctype html><title>A page</title><p>It is here.")


if __name__ == "__main__":
    assert all((*USED, StaticFiles))
    uvicorn.run(Starlette(routes=[Route("/", page)]), host="127.0.0.1", port=int(sys.argv[1]), log_config=None)
