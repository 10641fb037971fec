"""What the checks of this exercise look at: a small group plays on both instances, whose pages are watched.

Ada plays in the browser, on one instance after the other; Ben, and three more who find out which options are right,
send the same requests. A Statistics page of Ada's is open on each instance; of a third one, on the second instance,
the hub's messages are held back. A third instance is the witness, which nobody has a page of: Ada is connected to its
hub, and Ben plays there once. In the end the check itself is one more server on the backplane: it reads what the others
have put there, and puts something there.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import stand_in
from quiz_group import Clicker, Group, Visitor
from quiz_hub import Caller
from quiz_pages import Player, PlayPage, StatisticsPage
from quiz_scene import Held, Moment, NewContext, NewWire, Scene

from labkit.checking import WAIT, Databases, RunningInstance, until

TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'signalr' ORDER BY table_name"

OTHERS = """
SELECT count(*) AS others FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""

ROWS = """
SELECT payload_id, encode(payload, 'hex') AS payload, sender, extract(epoch FROM inserted_on) AS at
FROM signalr.messages_0 ORDER BY payload_id
"""

REPEAT = """
WITH counter AS (UPDATE signalr.messages_0_id SET payload_id = payload_id + 1 RETURNING payload_id)
INSERT INTO signalr.messages_0 (payload_id, payload, inserted_on, sender)
SELECT counter.payload_id, decode('{payload}', 'hex'), clock_timestamp(), gen_random_uuid() FROM counter;
NOTIFY signalr_0;
"""
"""Puts a message of one more server into the stream."""


@dataclass(frozen=True)
class Row:
    """A row of the backplane's stream; `content` is what it calls on the pages, None if it is no such message."""

    number: int
    payload: str
    sender: str
    at: float
    content: tuple[str, str] | None


@dataclass
class Relay:
    """The whole scene."""

    group: Group
    pages: tuple[StatisticsPage, StatisticsPage]
    moments: list[Moment]
    greeting_on_second: str
    held: Held | None
    witness: Caller
    """Who is connected to the third instance."""

    def answered_on(self, instance: int) -> list[Moment]:
        """The answers that were given one at a time on this instance."""
        return [each for each in self.moments if len(each.answers) == 1 and each.answer.instance == instance]

    def page_of(self, instance: int) -> StatisticsPage:
        """The page that is open on this instance."""
        return self.pages[instance - 1]


@dataclass
class Backplane:
    """What there is in which database: the tables in schema `signalr`, and the rows of messages_0.

    Where another service stands in for PostgreSQL, `tables` names the stream, if there is one.
    """

    database: str | None
    tables: list[str]
    rows: list[Row]
    deaf: list[StatisticsPage]
    """The pages that one more server's message did not reach."""


@pytest.fixture(scope="session")
def relay(
    player: Player,
    databases: Databases,
    new_browser_context: NewContext,
    new_wire: NewWire,
    instances: tuple[RunningInstance, ...],
) -> Relay:
    """The group plays on both instances."""
    one, two, three = instances
    scene = Scene(player, new_browser_context, new_wire)
    group, cookie = scene.group, player.cookie()
    first, second = (scene.page(each, player.name, cookie) for each in (one, two))
    held = scene.page(two, player.name, cookie, has_own_clock=True)
    visitors = [Visitor(group, player.wire, one, player.name) for _ in range(4)]
    pool = ThreadPoolExecutor(len(visitors) + 1)
    registered = [pool.submit(each.register) for each in visitors]
    for page in (first, second, held):
        page.loaded()
    scene.settle(first, second, held)
    for each in registered:
        each.result()
    ben, *others = visitors
    listening = scene.listen(pool, f"{player.name} on instance 3", cookie, three, scene.hub_of(first))
    (witness,) = scene.callers.values()
    until(first.page, lambda: witness.is_connected or listening.done())
    release = scene.hold(held)
    both = (first, second)

    def is_over() -> bool:
        return not _is_used(databases)

    answered = scene.answer([Clicker(group, player, player.play, one).answer], both, is_over, [first])
    held.put_clock_forward(14)
    elsewhere = PlayPage(player.context.new_page(), player.wire, two)
    elsewhere.page.bring_to_front()  # a browser draws a page that nobody sees once a second only
    elsewhere.open()
    greeting = elsewhere.page.get_by_text("Hello ").first.inner_text()
    outcome = answered.answer.outcome if answered else ""
    opposite = "incorrect" if outcome == "correct" else "correct"
    _all_answer(scene, others, (one, two), both, first_option=1)
    scene.answer([lambda: ben.at(two).ask().answer(outcome=opposite)], both, is_over, [second])
    _all_answer(scene, others, (two, one), both)
    scene.answer([lambda: Clicker(group, player, elsewhere, two).answer(opposite)], both, is_over, [second])
    scene.answer([lambda: ben.at(one).ask().answer(outcome=outcome)], both, is_over, [first])
    scene.answer([lambda: ben.at(three).ask().answer(outcome=opposite)], both, is_over)
    released = release()
    scene.end()
    listening.result()
    return Relay(group, both, scene.moments, greeting, released, witness)


@pytest.fixture(scope="session")
def backplane(relay: Relay, databases: Databases) -> Backplane:
    """The backplane's tables and rows, after the answers; and what one more server's message does."""
    name, tables, rows = _of_service(databases) if databases.instead else _of_postgres(databases)
    last = next((each for each in reversed(rows) if each.content), None)
    if not tables:
        return Backplane(name, [], [], [])
    deaf = _repeat(relay, databases, name, last) if last else list(relay.pages)
    return Backplane(name, tables, rows, deaf)


def _of_postgres(databases: Databases) -> tuple[str | None, list[str], list[Row]]:
    """The database that has a stream, its tables, and the stream's rows; else what the code names."""
    for name in [databases.named] if databases.named else databases.existing:
        if "messages_0" in (tables := _tables(databases, name)):
            return name, tables, [_row(each) for each in _query(databases, name, ROWS)]
    return databases.named, [], []


def _of_service(databases: Databases) -> tuple[str | None, list[str], list[Row]]:
    """The same of what stands in for PostgreSQL, read as one more server does it; its stream is its only table."""
    kept = stand_in.kept(stand_in.url_of(databases))
    rows = [
        _row(
            {
                "payload_id": each.payload_id,
                "payload": each.payload.hex(),
                "sender": str(each.sender),
                "at": each.inserted_on.timestamp(),
            }
        )
        for each in kept or ()
    ]
    return databases.named, [] if kept is None else [stand_in.name_of(databases)], rows


def _repeat(relay: Relay, databases: Databases, name: str | None, last: Row) -> list[StatisticsPage]:
    """Put a message into the stream once more; the pages that it did not reach."""
    began = time.time()
    if databases.instead:
        stand_in.publish(stand_in.url_of(databases), bytes.fromhex(last.payload))
    else:
        _query(databases, str(name), REPEAT.format(payload=last.payload))

    def deaf() -> list[StatisticsPage]:
        return [page for page in relay.pages if last.content not in [news.content for news in page.news(began)]]

    until(relay.pages[0].page, lambda: not deaf(), WAIT)
    return deaf()


def _all_answer(
    scene: Scene,
    others: list[Visitor],
    instances: tuple[RunningInstance, RunningInstance],
    pages: tuple[StatisticsPage, StatisticsPage],
    first_option: int = 0,
) -> None:
    """Have the others find out which option is right, at the same moment, now on one instance and now on the other."""
    scene.together([each.at(instances[n % 2]).ask for n, each in enumerate(others)])
    works = [partial(each.answer, n) for n, each in enumerate(others, first_option)]
    scene.answer(works, pages, lambda: True, [])


def _is_used(databases: Databases) -> bool:
    """Whether the app has any connection to the database server: without one, nothing comes from there."""
    if databases.instead:
        return stand_in.kept(stand_in.url_of(databases)) is not None
    return int(_query(databases, "postgres", OTHERS)[0]["others"]) > 0


def _tables(databases: Databases, name: str) -> list[str]:
    return [row["table_name"] for row in _query(databases, name, TABLES)]


def _query(databases: Databases, name: str, sql: str) -> list[dict[str, str]]:
    return databases.server.query(name, sql) if databases.server else []


def _row(row: dict[str, Any]) -> Row:
    from asgi_signalr.scaleout.envelopes import Delivery, decode
    from quiz_hub import news_of

    payload = str(row["payload"])
    try:
        envelope = decode(bytes.fromhex(payload))
    except ValueError:
        envelope = None
    carried = envelope.payloads.get("json", b"") if isinstance(envelope, Delivery) else b""
    news = news_of(carried)
    return Row(int(row["payload_id"]), payload, row["sender"], float(row["at"]), news[0].content if news else None)
