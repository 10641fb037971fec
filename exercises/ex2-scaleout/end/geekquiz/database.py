"""Where the quiz keeps its data, and how instances share it."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from . import settings
from .models import Base, Option, Question
from .questions import QUESTIONS

engine = create_async_engine(settings.database_url, max_overflow=60)  # who waits to write leaves room for readers
sessions = async_sessionmaker(engine, expire_on_commit=False)

# Instances that start at the same moment take turns: the first makes the tables, the others find them.
TAKE_TURNS = {"sqlite": "BEGIN IMMEDIATE", "postgresql": "SELECT pg_advisory_xact_lock(4747)"}


async def open_session() -> AsyncIterator[AsyncSession]:
    """A session for one request."""
    async with sessions() as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(open_session)]


async def prepare() -> None:
    """Create the tables and the questions, unless they are there."""
    async with engine.begin() as connection:
        if engine.dialect.name in TAKE_TURNS:
            await connection.exec_driver_sql(TAKE_TURNS[engine.dialect.name])
        await connection.run_sync(Base.metadata.create_all)
        async with AsyncSession(connection) as session:
            if await session.scalar(select(Question.id).limit(1)) is None:
                session.add_all(to_question(*question) for question in QUESTIONS)
                await session.flush()


def to_question(title: str, options: list[str], right: str) -> Question:
    """A question as the database keeps it."""
    return Question(title=title, options=[Option(title=option, is_correct=option == right) for option in options])


if engine.dialect.name == "sqlite":

    @event.listens_for(engine.sync_engine, "connect")
    def share_file(connection: Any, _record: Any) -> None:
        """Let instances read while one writes, and let writers wait for each other."""
        for setting in ("busy_timeout = 10000", "journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {setting}").close()
