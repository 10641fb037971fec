"""The API of the Play page: the next question, and whether an answer is right."""

from typing import Annotated

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, Field
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from .database import SessionDep
from .models import Answer, Asked, Option, Question, User

# tells the open Statistics pages
from .statistics import StatisticsService
from .users import CurrentUser

router = APIRouter(prefix="/api/trivia")

Id = Annotated[int, Field(strict=True, gt=0, lt=2**31)]


class OptionOut(BaseModel):
    """An option as the browser gets it: not whether it is the correct one."""

    id: int
    title: str


class QuestionOut(BaseModel):
    """A question as the browser gets it."""

    id: int
    title: str
    options: list[OptionOut]


class AnswerIn(BaseModel):
    """What the browser posts."""

    question_id: Id = Field(alias="questionId")
    option_id: Id = Field(alias="optionId")


@router.get("", response_model=QuestionOut)
async def get_question(user: CurrentUser, session: SessionDep) -> Question:
    """The next question for this user."""
    async with session.begin():
        question = await next_question(session, user)
        session.add(Asked(user_id=user.id, question_id=question.id))
    return question


@router.post("")
async def post_answer(answer: AnswerIn, user: CurrentUser, session: SessionDep) -> bool:
    """Store the answer, and tell whether it is right."""
    option = await session.get(Option, answer.option_id)
    if option is None or option.question_id != answer.question_id:
        raise HTTPException(400, "This question has no such option.")
    asked = select(func.min(Asked.id)).where(Asked.user_id == user.id, Asked.question_id == answer.question_id)
    if not (await session.execute(delete(Asked).where(Asked.id == asked.scalar_subquery()))).rowcount:
        raise HTTPException(409, "This question was not asked, or has been answered.")
    session.add(Answer(user_id=user.id, option_id=option.id))
    await session.commit()
    await StatisticsService(session).notify_updates()
    return option.is_correct


async def next_question(session: AsyncSession, user: User) -> Question:
    """The question after the one that the user has answered most often, of several the latest; round and round."""
    last = await session.scalar(
        select(Option.question_id)
        .join(Answer, Answer.option_id == Option.id)
        .where(Answer.user_id == user.id)
        .group_by(Option.question_id)
        .order_by(func.count().desc(), func.max(Answer.id).desc())
        .limit(1)
    )
    questions = select(Question).options(selectinload(Question.options)).order_by(Question.id).limit(1)
    following = await session.scalar(questions.where(Question.id > (last or 0)))
    question = following or await session.scalar(questions)
    if question is None:
        raise HTTPException(500, "There are no questions.")
    return question
