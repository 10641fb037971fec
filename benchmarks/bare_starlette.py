"""The peer of `labkit guide`: one page of Starlette, with the same imports, those of a Typer command included.

uv run python benchmarks/bare_starlette.py PORT
"""

import typer
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


def main(port: int) -> None:
    uvicorn.run(Starlette(routes=[Route("/", page)]), host="127.0.0.1", port=port, log_config=None)


if __name__ == "__main__":
    typer.run(main)
