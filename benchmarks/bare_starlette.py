"""The peer of `labkit guide`: one page of Starlette, with the same imports.

uv run python benchmarks/bare_starlette.py PORT
"""

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

import labkit.cli
import labkit.cli.guide
import labkit.live.guide
import labkit.live.server  # noqa: F401  (what the guide imports takes its time here as well)


async def page(request: Request) -> HTMLResponse:
    return HTMLResponse("<!doctype html><title>A page</title><p>It is here.")


if __name__ == "__main__":
    uvicorn.run(Starlette(routes=[Route("/", page)]), host="127.0.0.1", port=int(sys.argv[1]), log_config=None)
