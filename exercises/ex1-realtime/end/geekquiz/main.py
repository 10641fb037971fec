"""The application that the server runs: `uvicorn geekquiz.main:app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from . import database
from .startup import configure


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Have the tables and the questions ready before the first request."""
    await database.prepare()
    yield
    await database.engine.dispose()


# FastAPI's own documentation pages load their scripts from other sites, which the quiz does without.
app = FastAPI(title="Geek Quiz", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
configure(app)
