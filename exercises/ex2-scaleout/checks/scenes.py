"""What the checks of this exercise look at: a user plays on both instances, and both Statistics pages are watched."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from playwright.sync_api import BrowserContext
from quiz_pages import BRIEFLY, Figures, HeldPage, Player, PlayPage, StatisticsPage, wait_for_connections

from labkit.checking import WAIT, Databases, RunningInstance, until

TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'signalr' ORDER BY table_name"


@dataclass
class Answered:
    """What an answer on one instance did to the Statistics pages of this one and of the other one."""

    outcome: str
    own: StatisticsPage
    own_before: Figures
    own_after: Figures
    other: StatisticsPage
    other_before: Figures
    other_after: Figures

    @property
    def arrived(self) -> bool:
        """Whether the other instance's page changed."""
        return self.other_after != self.other_before


@dataclass
class Relay:
    """An answer on each of the two instances; the second one was given on a page opened with the first one's log-in."""

    first: Answered
    second: Answered
    greeting_on_second: str
    held: HeldPage


@dataclass
class Backplane:
    """The tables that there are in schema `signalr`, in which database, and the rows of messages_0."""

    database: str | None
    tables: list[str]
    messages: int


@pytest.fixture(scope="session")
def relay(
    player: Player,
    new_browser_context: Callable[..., BrowserContext],
    instances: tuple[RunningInstance, ...],
) -> Relay:
    """The player answers on the first instance, then on the second; a Statistics page is open on each.

    Another one, on the second instance, has the hub's messages held back during the first answer.
    """
    one, two = instances[:2]
    pages = [StatisticsPage(player.context, each).open() for each in (one, two)]
    held = HeldPage(new_browser_context(storage_state=player.context.storage_state()), two)
    held.open()
    for each in (*pages, held):
        each.loaded()
    wait_for_connections([*pages, held])
    held.note()
    first = _answer(player.play, pages[0], pages[1], lambda: bool(held.held))
    held.put_clock_forward()
    elsewhere = PlayPage(player.context.new_page(), two).open()
    held.release()
    second = _answer(elsewhere, pages[1], pages[0], seconds=WAIT if first.arrived else BRIEFLY)
    greeting = elsewhere.page.get_by_text("Hello ").first.inner_text()
    return Relay(first, second, greeting, held)


@pytest.fixture(scope="session")
def backplane(relay: Relay, databases: Databases) -> Backplane:
    """The backplane's tables, after the answers."""
    for name in [databases.named] if databases.named else databases.existing:
        tables = [row["table_name"] for row in databases.server.query(name, TABLES)]
        if "messages_0" in tables:
            rows = databases.server.query(name, "SELECT count(*) AS messages FROM signalr.messages_0")
            return Backplane(name, tables, int(rows[0]["messages"]))
    return Backplane(databases.named, [], 0)


def _answer(
    play: PlayPage,
    own: StatisticsPage,
    other: StatisticsPage,
    and_also: Callable[[], bool] = lambda: True,
    seconds: float = WAIT,
) -> Answered:
    own_before, other_before = own.figures(), other.figures()
    outcome = play.answer()
    until(
        own.page,
        lambda: own.figures() != own_before and other.figures() != other_before and and_also(),
        seconds,
    )
    return Answered(outcome, own, own_before, own.figures(), other, other_before, other.figures())
