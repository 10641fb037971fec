"""What the quiz remembers: users, questions with their options, and answers."""

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    """The tables of the quiz."""


class User(Base):
    """Somebody who has registered; `key` is the name as it is compared, so that Ada and ada are the same."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40))
    key: Mapped[str] = mapped_column(String(120), unique=True)
    password_hash: Mapped[str] = mapped_column(String(200))
    session_number: Mapped[int] = mapped_column(default=0)  # sessions of a lower number have ended

    is_authenticated = True

    @property
    def identity(self) -> str:
        """Who this is, for the hub."""
        return self.name


class Question(Base):
    """A question with four options."""

    __tablename__ = "questions"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    options: Mapped[list["Option"]] = relationship(order_by="Option.id")


class Option(Base):
    """One of a question's options; one of them is correct."""

    __tablename__ = "options"

    id: Mapped[int] = mapped_column(primary_key=True)
    question_id: Mapped[int] = mapped_column(ForeignKey(Question.id), index=True)
    title: Mapped[str] = mapped_column(String(100))
    is_correct: Mapped[bool]


class Asked(Base):
    """A question that a user was asked and has not answered yet; asked twice, it may be answered twice."""

    __tablename__ = "asked"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id), index=True)
    question_id: Mapped[int] = mapped_column(ForeignKey(Question.id))


class Answer(Base):
    """The option that a user has chosen; the later the answer, the higher its id."""

    __tablename__ = "answers"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id), index=True)
    option_id: Mapped[int] = mapped_column(ForeignKey(Option.id))
