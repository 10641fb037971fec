"""Task 3: the real thing, on the trainee's own page."""

import pytest
from scenes import Live

from labkit.checking import WAIT, NotDone

pytestmark = [
    pytest.mark.task(3),
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


def test_the_counters_follow(live: Live) -> None:
    """Answer a question, and an open Statistics page shows the new counters by itself."""
    expected = live.before.after(live.outcome).counters
    if live.after.counters != expected or live.after.counters == live.before.counters:
        raise NotDone(
            expected=f"{expected} within {WAIT:g} s" if live.outcome else f"a change within {WAIT:g} s",
            seen=f"still {live.after.counters}",
            where=f"{live.watched.where}, the counters",
            cause=live.watched.trouble,
        )


def test_the_charts_follow(live: Live) -> None:
    """The charts of an open Statistics page follow as well."""
    expected = live.before.after(live.outcome).charts
    if live.after.charts != expected or live.after.charts == live.before.charts:
        raise NotDone(
            expected=f"{expected} within {WAIT:g} s" if live.outcome else f"other charts within {WAIT:g} s",
            seen=f"still {live.after.charts}",
            where=f"{live.watched.where}, #answers-chart and #average-chart",
            cause=live.watched.trouble,
        )


def test_the_news_comes_through_the_hub(live: Live) -> None:
    """The page hears of the answer through its own connection to the hub: no reload, no asking again and again."""
    live.held.judge()
    if live.watched.loads > 1:
        raise NotDone(
            expected="the page stays as it is",
            seen=f"it was loaded {live.watched.loads} times",
            where=live.watched.where,
            cause="the page reloads itself",
        )
