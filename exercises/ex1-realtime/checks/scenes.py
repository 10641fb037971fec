"""What the checks of this exercise look at: one user plays, and everything that this changes is watched at once."""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext
from quiz_pages import (
    BRIEFLY,
    HUB,
    Figures,
    HeldPage,
    Invocation,
    Listener,
    Player,
    ScriptedPage,
    StatisticsPage,
    negotiate,
    register_by_request,
    wait_for_connections,
)

from labkit.checking import PATIENCE, WAIT, RunningInstance, until

SCRIPTED = Figures(41, 17, (41, 17), (20.5, 8.5, 29))
"""Figures that no real quiz has within a run."""

STATISTICS = {
    "correctAnswers": 41,
    "incorrectAnswers": 17,
    "totalAnswers": 58,
    "correctAnswersAverage": 20.5,
    "incorrectAnswersAverage": 8.5,
    "totalAnswersAverage": 29,
}


@dataclass
class Explored:
    """The quiz without a hub: an answer, and the Statistics page that is opened after it."""

    outcome: str
    statistics: StatisticsPage
    figures: Figures


@dataclass
class Hub:
    """What the hub answers to a signed-in user and to a stranger (HTTP status)."""

    path: str
    status: int
    stranger_status: int


@dataclass
class Live:
    """One more answer, and what it did to everything that was open."""

    path: str
    outcome: str
    before: Figures
    watched: StatisticsPage
    after: Figures
    listener: Listener
    other: Listener
    scripted: ScriptedPage
    scripted_before: Figures
    scripted_expected: tuple[Figures, ...]
    scripted_after: Figures
    held: HeldPage


@pytest.fixture(scope="session")
def explored(player: Player, instances: tuple[RunningInstance, ...]) -> Explored:
    """The player answers once, then opens the Statistics page."""
    outcome = player.play.answer()
    statistics = StatisticsPage(player.context, instances[0]).open().loaded()
    until(statistics.page, lambda: bool(statistics.figures().bars), PATIENCE)
    return Explored(outcome, statistics, statistics.figures())


@pytest.fixture(scope="session")
def live(
    player: Player,
    explored: Explored,
    new_browser_context: Callable[..., BrowserContext],
    instances: tuple[RunningInstance, ...],
) -> Live:
    """Several pages and listeners are open while the player answers once more.

    The Statistics page that `explored` opened is left alone; another one has the hub's messages held back; a third one
    talks to a hub that is played here; two more connections, of two users, just listen.
    """
    instance, watched = instances[0], explored.statistics
    held = HeldPage(new_browser_context(storage_state=player.context.storage_state()), instance)
    scripted = ScriptedPage(player.context, instance)
    held.open()
    scripted.open()
    someone_else = new_browser_context()
    register_by_request(someone_else, instance)
    player.play.next()
    held.loaded()
    scripted.loaded()
    path = _hub_of(watched)
    listener, other = Listener(player.context, instance, path), Listener(someone_else, instance, path)
    page = watched.page
    wait_for_connections([watched, held, scripted, listener, other])
    before, scripted_before = watched.figures(), scripted.figures()
    held.note()

    outcome = player.play.answer()

    waiting: list[Callable[[], bool]] = [lambda: watched.figures() != before]
    waiting += [lambda each=each: bool(each.invocations) for each in (listener, other) if each.connected]
    waiting += [lambda: bool(held.held)] if held.connected else []
    until(page, lambda: all(came() for came in waiting), WAIT if watched.connecting else BRIEFLY)
    held.put_clock_forward()
    expected = _play_the_hub(scripted, listener, before, outcome)
    if scripted.connected:
        until(page, lambda: scripted.figures() in expected)
    held.release()
    return Live(
        path=path,
        outcome=outcome,
        before=before,
        watched=watched,
        after=watched.figures(),
        listener=listener,
        other=other,
        scripted=scripted,
        scripted_before=scripted_before,
        scripted_expected=expected,
        scripted_after=scripted.figures(),
        held=held,
    )


@pytest.fixture(scope="session")
def hub(
    live: Live,
    player: Player,
    new_browser_context: Callable[..., BrowserContext],
    instances: tuple[RunningInstance, ...],
) -> Hub:
    """The hub is asked for a connection, with and without a log-in."""
    stranger = new_browser_context()
    return Hub(
        live.path,
        negotiate(player.context, instances[0], live.path),
        negotiate(stranger, instances[0], live.path),
    )


def _hub_of(page: StatisticsPage) -> str:
    """The path of the hub that the page connects to, else the manual's."""
    return next((urlsplit(connection.url).path for connection in page.connections), HUB)


def _play_the_hub(scripted: ScriptedPage, listener: Listener, before: Figures, outcome: str) -> tuple[Figures, ...]:
    """Call on the scripted page what the real hub calls, and tell what the page may show then.

    A page that takes the figures from the message shows ours; one that asks the server for them shows the real ones.
    """
    real = listener.invocations[0] if listener.invocations else Invocation("updateStatistics", [STATISTICS])
    has_figures = [set(each) >= {"correctAnswers"} for each in real.arguments if isinstance(each, dict)]
    scripted.call(Invocation(real.target, [STATISTICS] if has_figures == [True] else real.arguments))
    return SCRIPTED, before.after(outcome)
