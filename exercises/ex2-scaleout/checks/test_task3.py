"""Task 3: the backplane carries the news from one instance to the other."""

import pytest
import stand_in
from quiz_pages import judge_package
from quiz_scene import Moment
from relay_scene import Backplane, Relay

from labkit.checking import WAIT, Databases, NotDone, Stage, StandIn

pytestmark = [pytest.mark.task(3), pytest.mark.budget(120)]

NAMES = ("messages_0", "messages_0_id", "schema")


@pytest.mark.snippets("backplane-package")
@pytest.mark.instead("The quiz depends on asgi-signalr with its backplane for {service}")
def test_the_package_is_declared(stage: Stage) -> None:
    """The quiz depends on asgi-signalr with its PostgreSQL backplane."""
    instead = stage.databases.instead if stage.databases else None
    judge_package(stage.app, "asgi-signalr", stand_in.extra_of(instead.requirement) if instead else "postgres")


@pytest.mark.snippets("startup-configuration")
def test_the_second_instance_hears_the_first(relay: Relay) -> None:
    """An answer on instance 1 updates the open Statistics page of instance 2."""
    _judge(relay, 1, 2)


@pytest.mark.snippets("startup-configuration")
def test_the_first_instance_hears_the_second(relay: Relay) -> None:
    """An answer on instance 2 updates the open Statistics page of instance 1."""
    _judge(relay, 2, 1)


@pytest.mark.snippets("startup-configuration")
def test_the_news_comes_through_the_hub(relay: Relay) -> None:
    """The other instance's page hears of it through its own connection to the hub, not by asking again and again."""
    if relay.held is None:
        return
    relay.held.judge()
    for moment in relay.answered_on(1):
        sent = [news for news in relay.held.page.news(moment.began) if news.at <= moment.began + WAIT + 1]
        if not sent:
            raise NotDone(
                expected=f"a message to instance 2's page after {moment.answer.spoken}",
                seen="no message within 5 s",
                where=relay.held.page.where,
                cause=relay.held.page.trouble or "the message of instance 1 does not reach instance 2",
            )


@pytest.mark.snippets("startup-configuration")
@pytest.mark.instead("The backplane has made its stream in {service}")
def test_the_tables_are_there(stage: Stage, databases: Databases, backplane: Backplane) -> None:
    """The backplane has made its three tables in the database."""
    if databases.instead:
        if not backplane.tables:
            raise _not_there(stage, databases.instead)
    elif not set(NAMES) <= set(backplane.tables):
        raise NotDone(
            expected=", ".join(f"signalr.{name}" for name in NAMES),
            seen=", ".join(f"signalr.{name}" for name in backplane.tables) or "no tables in schema signalr",
            where=f"the database {backplane.database}" if backplane.database else "the databases",
            cause="no instance has used a backplane in this database",
        )


@pytest.mark.snippets("startup-configuration")
@pytest.mark.instead("Each answer has gone through {service}, with a number, and the pages were told what is in it")
def test_every_answer_is_a_message(relay: Relay, databases: Databases, backplane: Backplane) -> None:
    """Each answer has put a row into signalr.messages_0, and the pages were told what is in it."""
    place = f"the stream {stand_in.name_of(databases)}" if databases.instead else "signalr.messages_0"
    for moment in relay.moments:
        if len(moment.answers) > 1:
            continue
        rows = {row.content: row.number for row in backplane.rows if row.at >= moment.began - 0.1 and row.content}
        for page in relay.pages:
            seen = moment.of(page)
            told = [news.content for news in seen.news] if seen else []
            if not rows or not any(each in rows for each in told):
                raise NotDone(
                    expected=f"a row with what the page was told after {moment.answer.spoken}",
                    seen=_seen(backplane, bool(rows), bool(told), "stream" if databases.instead else "table"),
                    where=f"{place}, and {page.where}",
                    cause="the messages do not go through the backplane",
                    side=None if told else "server",
                )


@pytest.mark.snippets("startup-configuration")
@pytest.mark.instead("What one more server puts into {service} reaches the open pages of both instances")
def test_another_server_is_heard(relay: Relay, databases: Databases, backplane: Backplane) -> None:
    """What one more server puts into the database reaches the open pages of both instances."""
    source = databases.instead.title if databases.instead else "the database"
    if not backplane.rows or backplane.deaf:
        raise NotDone(
            expected=f"a message from {source} on the pages of both instances",
            seen=f"nothing on {backplane.deaf[0].where}" if backplane.deaf else f"no message in {source} to repeat",
            where=f"{source} {backplane.database}" if backplane.database else "the databases",
            cause="an instance does not take its messages from the backplane",
        )
    for moment in relay.moments:
        if len(moment.answers) == 1:
            _judge_third(relay, moment)


def _not_there(stage: Stage, service: StandIn) -> NotDone:
    scheme, here = stand_in.fixed_scheme(stage.app), service.url.partition("://")[0]
    fits = scheme in (None, here)
    return NotDone(
        expected=f"a stream of the backplane in {service.title}",
        seen="none" if fits else f"none; the code names a backplane of {scheme}://",
        where=service.title,
        cause=f"no instance has used a backplane in {service.title}"
        if fits
        else f"{service.requirement} in pyproject.toml is for {service.title}, the code's {scheme}:// is not",
        next=None if fits else "Write settings.database_server in its place, or declare the extra that fits it.",
    )


def _judge_third(relay: Relay, moment: Moment) -> None:
    """Make sure that a third instance, which has no page, hears both others, and is heard by them."""
    here = moment.answer.instance
    if here == 3 and not moment.answer.is_accepted:
        raise NotDone(
            expected="a third instance takes an answer",
            seen=f"the status {moment.answer.status}" if moment.answer.status else "no response",
            where=f"POST /api/trivia, {moment.answer.spoken}",
        )
    for page in relay.pages:
        seen = moment.of(page)
        if here == 3 and seen and not seen.news:
            raise NotDone(
                expected=f"a message after {moment.answer.spoken}",
                seen="no message from the hub",
                where=page.where,
                cause="what a third instance tells does not reach the other two",
            )
    if not relay.witness.is_connected:  # as the hub of a transport that it does not know
        return
    told = {news.content for page in relay.pages if (seen := moment.of(page)) for news in seen.news}
    heard = {news.content for news in relay.witness.news_since(moment.began)}
    if not told & heard:
        raise NotDone(
            expected=f"a third instance hears of {moment.answer.spoken}",
            seen="it tells nothing to whoever is connected there",
            where=f"instance 3, {relay.witness.url}",
            cause="what an instance tells does not reach a third one",
        )


def _seen(backplane: Backplane, has_rows: bool, was_told: bool, kind: str) -> str:
    if not backplane.tables:
        return f"no such {kind}"
    if not has_rows:
        return f"no row since then, of {len(backplane.rows)} in all"
    return "a row, but the page was told something else" if was_told else "a row, but the page was told nothing"


def _judge(relay: Relay, here: int, there: int) -> None:
    page = relay.page_of(there)
    for moment in relay.answered_on(here):
        seen = moment.of(page)
        if seen is None:
            continue
        expected = f"{seen.expected.counters}, {seen.expected.charts} on instance {there}"
        if not seen.after.shows(seen.expected):
            raise NotDone(
                expected=f"{expected} within {WAIT:g} s of {moment.answer.spoken}",
                seen=f"{seen.counters}, {seen.after.charts}",
                where=page.where,
                cause=page.trouble
                or (seen.cause(with_charts=True) if seen.news else None)
                or f"the message of instance {here} does not reach instance {there}",
                side=seen.side(with_charts=True),
            )
        if seen.late is not None and seen.late > WAIT:
            raise NotDone(
                expected=f"{expected} within {WAIT:g} s of {moment.answer.spoken}",
                seen=f"they came after {seen.late:.1f} s",
                where=page.where,
                cause="the messages of the other instance come late",
            )
