"""Task 1: the quiz, before and after."""

from statistics import median

import pytest
from live_scene import Live
from quiz_pages import Player

from labkit.checking import WAIT, NotDone

pytestmark = [pytest.mark.task(1), pytest.mark.budget(120)]

OPTIONS = 4
"""How many options each question has."""


def test_a_new_user_gets_the_first_question(player: Player) -> None:
    """Whoever registers is logged in, and gets the first question."""
    assert player.greeting() == f"Hello {player.name}!"


def test_an_answer_is_judged(player: Player, live: Live) -> None:
    """A click on an option turns the card over, and it says whether the answer was right."""
    if player.play.trouble:
        raise player.play.trouble
    for each in live.group.answers:
        if not each.is_accepted:
            raise NotDone(
                expected="every answer is taken, and judged",
                seen=f"the status {each.status}" if each.status else "no response",
                where=f"POST /api/trivia, {each.spoken}",
            )
    took = median(each.ended - each.began for each in live.group.answers) if live.group.answers else 0.0
    if took > live.allowed:
        raise NotDone(
            expected=f"an answer is judged within {WAIT:g} s",
            seen=f"most of them took {took:.1f} s or longer",
            where="POST /api/trivia",
            cause="the app takes too long to answer",
            side="server",
        )
    for question, judged in live.group.rights.items():
        if len(judged) == OPTIONS and sum(judged.values()) != 1:
            raise NotDone(
                expected="one of the four options is right",
                seen=f"{sum(judged.values())} of them, of “{question}”",
                where="POST /api/trivia",
                cause="the quiz does not judge an answer by the option that is right",
            )


def test_statistics_count_the_answer(live: Live) -> None:
    """The Statistics page, opened after some answers, counts them in both counters and both charts."""
    expected = live.group.figures()
    if not live.fresh_figures.shows(expected):
        raise NotDone(
            expected=f"{expected.counters}; {expected.charts}",
            seen=f"{live.fresh_figures.counters}; {live.fresh_figures.charts}",
            where=live.fresh.where,
            cause="the answers are not stored, or not counted as the page shows them",
        )
    if not all(live.fresh_drawn):
        raise NotDone("both charts are drawn", "a chart without a picture", live.fresh.where)
