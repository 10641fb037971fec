"""Task 1: the quiz, before and after."""

import pytest
from quiz_pages import NOTHING, Player
from scenes import Explored

from labkit.checking import NotDone

pytestmark = pytest.mark.task(1)


def test_a_new_user_gets_the_first_question(player: Player) -> None:
    """Whoever registers is logged in, and gets the first question."""
    assert player.greeting() == f"Hello {player.name}!"


def test_an_answer_is_judged(player: Player, explored: Explored) -> None:
    """A click on an option turns the card over, and it says whether the answer was right."""
    if player.play.trouble:
        raise player.play.trouble


def test_statistics_count_the_answer(explored: Explored) -> None:
    """The Statistics page, opened after an answer, counts it in both counters and both charts."""
    expected = (NOTHING.after("correct"), NOTHING.after("incorrect"))
    if explored.figures not in expected:
        raise NotDone(
            expected="one answer in the counters and in the charts",
            seen=f"{explored.figures.counters}; {explored.figures.charts}",
            where=explored.statistics.where,
        )
