"""Task 3: the real thing, on the trainee's own page."""

import pytest
from live_scene import Live

from labkit.checking import WAIT, NotDone

pytestmark = [
    pytest.mark.task(3),
    pytest.mark.budget(120),
    pytest.mark.snippets(
        "statistics-hub-class",
        "map-signalr-imports",
        "map-signalr",
        "using-directives",
        "notify-updates-method",
        "trivia-imports",
        "notify-updates-call",
        "signalr-script-references",
        "signalr-client-code",
    ),
]

UNCONNECTED = "the page has no connection to the hub"


def test_the_counters_follow(live: Live) -> None:
    """Answer a question, and an open Statistics page shows the new counters by itself."""
    for moment in live.moments:
        for seen in moment.seen:
            if not seen.after.has_counters_of(seen.expected):
                raise NotDone(
                    expected=f"{seen.expected.counters} within {WAIT:g} s of {moment.answer.spoken}",
                    seen=seen.counters,
                    where=f"{seen.page.where}, the counters",
                    cause=seen.cause(),
                    side=seen.side(),
                )
            if seen.late is not None and seen.late > WAIT:
                raise NotDone(
                    expected=f"{seen.expected.counters} within {WAIT:g} s of {moment.answer.spoken}",
                    seen=f"they came after {seen.late:.1f} s",
                    where=f"{seen.page.where}, the counters",
                    cause=seen.delay()
                    or "the server sends the message late, or the page waits before it shows what it is told",
                )


def test_the_charts_follow(live: Live) -> None:
    """The charts of an open Statistics page follow as well."""
    for moment in live.moments:
        for seen in moment.seen:
            if not seen.after.has_charts_of(seen.expected):
                raise NotDone(
                    expected=f"{seen.expected.charts} within {WAIT:g} s of {moment.answer.spoken}",
                    seen=seen.charts,
                    where=f"{seen.page.where}, #answers-chart and #average-chart",
                    cause=seen.cause(with_charts=True),
                    side=seen.side(with_charts=True),
                )
    for name, before, after in zip(("#answers-chart", "#average-chart"), live.drawn[0], live.drawn[-1], strict=True):
        if before == after:
            raise NotDone(
                expected="the chart is drawn anew when its numbers change",
                seen="the same picture as before",
                where=f"{live.watched.where}, {name}",
                cause="the chart has the new numbers, but is not updated",
            )


def test_the_news_comes_through_the_hub(live: Live) -> None:
    """The page hears of the answer through its own connection to the hub: no reload, no asking again and again."""
    if live.watched.reloads > 0:
        raise NotDone(
            expected="the page stays as it is",
            seen="it was loaded again"
            if live.watched.reloads == 1
            else f"it was loaded again {live.watched.reloads} times",
            where=live.watched.where,
            cause="the page reloads itself",
            is_sure=True,
        )
    if live.held is not None:
        live.held.judge()


def test_newer_figures_stay(live: Live) -> None:
    """When several answer at the same moment, older figures that arrive after newer ones do not take their place."""
    if live.overtaken:
        newer, older = live.overtaken
        raise NotDone(
            expected=f"the figures of {newer:g} answers stay until there are more",
            seen=f"the figures of {older:g} answers, whose message came later",
            where=live.held.page.where if live.held else live.watched.where,
            cause="messages overtake one another, and the page does not pass over those that are older",
        )
    if not live.watched.connected:
        raise NotDone(
            expected="new figures when several answer at the same moment",
            seen="none: the page is not connected to the hub",
            where=live.watched.where,
            cause=live.watched.trouble or UNCONNECTED,
        )


def test_a_page_that_was_offline_catches_up(live: Live) -> None:
    """A page that was without its network for 10 s is right again with the first answer after that."""
    if live.back is None:
        seen = [each for moment in live.moments for each in moment.seen]
        astray = next((each for each in seen if not each.after.shows(each.expected)), None)
        raise NotDone(
            expected="the page is connected, loses its network, and comes back",
            seen="it did not follow the answers before"
            if live.fresh.connected
            else "it does not follow the hub at all",
            where=live.fresh.where,
            cause=live.fresh.trouble
            or (astray.cause(with_charts=True) if astray and live.fresh.connected else UNCONNECTED),
        )
    if not live.back.is_right:
        raise NotDone(
            expected=f"{live.back.expected.counters}, {live.back.expected.charts} within {WAIT:g} s",
            seen=f"{live.back.after.counters}, {live.back.after.charts}",
            where=f"{live.back.page.where}, after 10 s offline",
            cause=live.back.cause,
            side="page" if live.is_told else None,
        )
