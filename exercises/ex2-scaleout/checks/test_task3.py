"""Task 3: the backplane carries the news from one instance to the other."""

import pytest
from quiz_pages import declared_packages
from scenes import Answered, Backplane, Relay

from labkit.checking import WAIT, NotDone, Stage

pytestmark = pytest.mark.task(3)

NAMES = ("messages_0", "messages_0_id", "schema")


@pytest.mark.snippets("backplane-package")
def test_the_package_is_declared(stage: Stage) -> None:
    """The quiz depends on asgi-signalr with its PostgreSQL backplane."""
    extras = declared_packages(stage.app).get("asgi-signalr")
    if "postgres" not in (extras or ()):
        raise NotDone(
            expected="asgi-signalr[postgres] among the dependencies",
            seen="asgi-signalr without [postgres]" if extras is not None else "no asgi-signalr",
            where="pyproject.toml",
        )


@pytest.mark.snippets("startup-configuration")
def test_the_second_instance_hears_the_first(relay: Relay) -> None:
    """An answer on instance 1 updates the open Statistics page of instance 2."""
    _judge(relay.first, 1, 2)


@pytest.mark.snippets("startup-configuration")
def test_the_first_instance_hears_the_second(relay: Relay) -> None:
    """An answer on instance 2 updates the open Statistics page of instance 1."""
    _judge(relay.second, 2, 1)


@pytest.mark.snippets("startup-configuration")
def test_the_news_comes_through_the_hub(relay: Relay) -> None:
    """The other instance's page hears of it through its own connection to the hub, not by asking again and again."""
    relay.held.judge()


@pytest.mark.snippets("startup-configuration")
def test_the_tables_are_there(backplane: Backplane) -> None:
    """The backplane has made its three tables in the database."""
    if not set(NAMES) <= set(backplane.tables):
        raise NotDone(
            expected=", ".join(f"signalr.{name}" for name in NAMES),
            seen=", ".join(f"signalr.{name}" for name in backplane.tables) or "no tables in schema signalr",
            where=f"the database {backplane.database}" if backplane.database else "the databases",
            cause="no instance has used a backplane in this database",
        )


@pytest.mark.snippets("startup-configuration")
def test_every_answer_is_a_message(backplane: Backplane) -> None:
    """Each answer has put a row into signalr.messages_0."""
    if backplane.messages < 2:
        raise NotDone(
            expected="at least 2 rows after two answers",
            seen=f"{backplane.messages} rows" if backplane.tables else "no such table",
            where="signalr.messages_0",
            cause="the messages do not go through the backplane",
        )


def _judge(answered: Answered, here: int, there: int) -> None:
    expected = answered.other_before.after(answered.outcome)
    if answered.other_after != expected or answered.other_after == answered.other_before:
        raise NotDone(
            expected=f"{expected.counters} on instance {there} within {WAIT:g} s after an answer on instance {here}",
            seen=f"still {answered.other_after.counters}",
            where=answered.other.where,
            cause=answered.other.trouble or f"the message of instance {here} does not reach instance {there}",
        )
