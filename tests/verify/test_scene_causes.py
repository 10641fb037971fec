"""Which half the quiz's scene finds at fault: the server with its message, or the page with its script."""

import sys
from types import SimpleNamespace

import pytest

from labkit.lab import find_lab

sys.path.append(str(find_lab().exercises[0].folder.parent))

from quiz_hub import News  # beside the exercises, where the checks find it
from quiz_pages import Figures
from quiz_scene import Seen

BEFORE, RIGHT = Figures.of(0, 1, 1), Figures.of(1, 3, 4)


def message(correct: float, incorrect: float, bars: tuple[float, ...], names: bool = True) -> News:
    averages = dict(zip(("correctAnswersAverage", "incorrectAnswersAverage", "totalAnswersAverage"), bars, strict=True))
    said = {"correctAnswers": correct, "incorrectAnswers": incorrect, "totalAnswers": correct + incorrect, **averages}
    return News(0, "updateStatistics", (said if names else list(said.values()),))


def cause(after: Figures, *news: News, charts: bool = False) -> tuple[str, str | None]:
    """The cause's beginning, and the side, of a page that shows these figures after these messages."""
    page = SimpleNamespace(
        trouble=None,
        connected=True,
        has_left=False,
        has_own_clock=True,
        hides=lambda charts: False,
        follows=lambda news, figures: True,
    )
    seen = Seen(page, BEFORE, after, RIGHT, list(news))  # type: ignore[arg-type]
    return (seen.cause(charts) or "").partition(":")[0], seen.side(charts)


@pytest.mark.parametrize(
    ("after", "news", "charts", "said", "side"),
    [
        pytest.param(
            Figures.of(1, 4, 4),
            [message(1, 3, RIGHT.bars)],
            False,
            "the page does not write the counters as the message has them",
            "page",
            id="a page that writes what the message has as something else",
        ),
        pytest.param(
            Figures.of(2, 3, 4),
            [message(2, 3, RIGHT.bars)],
            False,
            "the hub's message has other figures",
            "server",
            id="a message with another counter",
        ),
        pytest.param(
            Figures(1, 3, (1, 3), BEFORE.bars),
            [News(0, "updateStatistics", ({"correctAnswers": 1, "incorrectAnswers": 3, "parts": [0.25, 0.75, 1]},))],
            True,
            "the hub's message has other figures",
            "server",
            id="a message without the averages, whose numbers are those by chance",
        ),
        pytest.param(
            Figures(1, 3, (1, 3), (0.75, 0.25, 1)),
            [message(1, 3, (0.75, 0.25, 1))],
            True,
            "the hub's message has other figures",
            "server",
            id="a message whose averages are exchanged",
        ),
        pytest.param(
            Figures(1, 3, (1, 3), (0.75, 0.25, 1)),
            [message(1, 3, RIGHT.bars)],
            True,
            "the page does not update the charts as the message has them",
            "page",
            id="a page that exchanges the averages",
        ),
        pytest.param(
            Figures.of(1, 2, 3),
            [message(1, 3, RIGHT.bars), message(1, 2, (1 / 3, 2 / 3, 1))],
            False,
            "the page does not write the counters as the message has them",
            "page",
            id="a page that lets an older message take the place of a newer one",
        ),
        pytest.param(
            Figures.of(2, 3, 4),
            [message(2, 3, RIGHT.bars, names=False)],
            False,
            "the hub's message has other figures",
            "server",
            id="a message with other names, which the page follows",
        ),
    ],
)
def test_whoever_has_the_wrong_figures_is_at_fault(
    after: Figures, news: list[News], charts: bool, said: str, side: str
) -> None:
    assert cause(after, *news, charts=charts) == (said, side)
