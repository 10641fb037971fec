"""What the checks of this exercise look at: a small group plays, and everything that this changes is watched at once.

Ada plays in the browser; Ben, and three more who find out which options are right, send the same requests. Ada's
Statistics pages are open before the first answer: one is left alone, of the other one the hub's messages are held
back. Ben's is opened after the first answer, and loses its network for a while.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import pytest
from quiz_group import Answer, Clicker, Group, Visitor
from quiz_hub import Attempt, Caller, News, try_as_strangers
from quiz_pages import Figures, Player, ScriptedPage, StatisticsPage
from quiz_scene import BRIEFLY, Held, Ledger, Moment, NewContext, NewWire, Scene, refuse_commits

from labkit.checking import WAIT, Stage, until

OFFLINE = 10
"""How many seconds a page is without its network, by its own clock."""

IN_TRANSIT = 0.2
"""How many seconds a message that was sent may take."""

PLAYED = Figures(41, 17, (41, 17), (20.5, 8.5, 29))
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
class Return:
    """A page that was offline: what it showed at the latest 5 s after the first answer that followed its return."""

    page: StatisticsPage
    after: Figures
    expected: Figures
    mended: float
    """When its network was there again, in seconds since 1970."""

    @property
    def is_right(self) -> bool:
        """Whether it showed what it should."""
        return self.after.shows(self.expected)

    @property
    def is_connected(self) -> bool:
        """Whether it has connected again."""
        return not self.page.has_left and any(each.is_open for each in self.page.hub_connections[1:])

    @property
    def cause(self) -> str:
        """What it did not do."""
        if not self.is_connected:
            return "the page does not connect again"
        told = self.page.news(self.mended)
        if not told:
            return "the page has connected again, and is told nothing"
        return f"the page has connected again, and does not show what it is told: {told[-1].spoken}"


@dataclass
class Scripted:
    """A page whose hub was played by the check."""

    page: ScriptedPage
    told: list[News]
    before: Figures
    after: Figures
    expected: tuple[Figures, ...]
    is_real: bool
    """Whether the messages were those of the real hub."""


@dataclass
class Live:
    """The whole scene."""

    group: Group
    player: Player
    path: str
    watched: StatisticsPage
    ledger: Ledger
    moments: list[Moment]
    fresh: StatisticsPage
    fresh_figures: Figures
    fresh_drawn: tuple[str, str]
    drawn: list[tuple[str, str]]
    held: Held | None
    back: Return | None
    callers: dict[str, Caller]
    scripted: Scripted | None
    strangers: list[Attempt]
    told_unstored: bool
    """Whether a page was told of an answer that could not be committed."""

    allowed: float
    """How many seconds an answer may take on this machine."""

    overtaken: tuple[float, float] | None
    """Of a page that was told the newest first: how many answers it should show in the end, and how many it did."""

    @property
    def is_reachable(self) -> bool:
        """Whether a signed-in user could connect to the hub."""
        return self.watched.connected or any(each.is_connected for each in self.callers.values())

    @property
    def is_told(self) -> bool:
        """Whether the page that is left alone was told of every answer, and has shown it."""
        seen = [found for each in self.moments if (found := each.of(self.watched))]
        return bool(seen) and all(each.news and each.after.shows(each.expected) for each in seen)

    @property
    def hub_status(self) -> int | None:
        """What the hub answered to a signed-in user who does not come from the page."""
        return next((each.status for each in self.callers.values()), 200)

    def end_of(self, moment: Moment) -> float:
        """When the next answer began."""
        return min((each.began for each in self.moments if each.began > moment.began), default=time.time())

    def told(self, moment: Moment) -> dict[str, list[News]]:
        """Who was told what after these answers, by the names of the listeners."""
        began, ends = moment.began, self.end_of(moment)
        found = {each.page.where: each.news for each in moment.seen if each.page.connected}
        for name, caller in self.callers.items():
            if caller.is_connected:
                found[name] = [news for news in caller.news if began <= news.at <= ends]
        return found


@pytest.fixture(scope="session")
def live(player: Player, new_browser_context: NewContext, new_wire: NewWire, stage: Stage) -> Live:
    """The group plays."""
    return _Scene(player, new_browser_context, new_wire, stage).play()


class _Scene(Scene):
    """The scene of exercise 1."""

    def __init__(self, player: Player, new_browser_context: NewContext, new_wire: NewWire, stage: Stage) -> None:
        super().__init__(player, new_browser_context, new_wire)
        self._instance = stage.instances[0]
        self._data = stage.data

    def play(self) -> Live:
        """Play the whole scene."""
        player, group = self.player, self.group
        ada = Clicker(group, player, player.play, self._instance)
        watched = self.page(self._instance, player.name, player.cookie())
        ledger = Ledger(self._data, watched.wire)
        held = self.page(self._instance, player.name, player.cookie(), has_own_clock=True)
        visitors = [Visitor(group, player.wire, self._instance, player.name) for _ in range(4)]
        pool = ThreadPoolExecutor(12)
        registered = [pool.submit(each.register) for each in visitors]
        for page in (watched, held):
            page.loaded()
        self.settle(watched, held)
        for each in registered:
            each.result()
        ben, *others = visitors
        path, query = self.hub_of(watched)
        listening = self._listen(pool, (path, query), ben) if not watched.connected else []
        headers = {**self.headers(), "Origin": self._instance.url}
        attempts = pool.submit(try_as_strangers, self._instance, headers, player.cookie(), path, query)
        release = self.hold(held)

        first = self._answer([ada.answer], [watched])
        outcome = first.answer.outcome if first else ""
        opposite = "incorrect" if outcome == "correct" else "correct"
        drawn = [watched.drawn()]
        late = self.page(self._instance, ben.name, ben.cookie, has_own_clock=True)
        held.put_clock_forward(14)
        late.loaded()
        if watched.connected:
            self.settle(late)
        self.together([each.ask for each in others])
        self._answer([partial(each.answer, n) for n, each in enumerate(others, 1)], [watched, late])
        self._answer([lambda: ben.ask().answer(outcome=opposite)], [watched, late])
        self.together([each.ask for each in others])
        self._answer([partial(each.answer, n) for n, each in enumerate(others)], [watched, late])
        is_away = late.connected and self._take_offline(late)
        if not group.is_stuck:
            player.play.next()
        self._answer([lambda: ada.answer(opposite)], [watched])
        mended = time.time()
        if is_away:
            late.wire.mend()
        self._answer([lambda: ben.ask().answer(outcome=outcome)], [watched])
        drawn.append(self._redrawn(watched, drawn[0]))
        back = self._await_return(late, mended) if is_away else None
        if back and back.is_connected and not back.is_right:
            # That answer may have come before the page did. A page need not ask for what it has missed.
            self._answer([lambda: ben.ask().answer(outcome=opposite)], [watched])
            back = self._await_return(late, mended)
        released = release()
        scripted = None if self.is_right(watched) else self._play_the_hub(watched, others)
        if not is_away or (back and not back.is_right):
            late.open()
        late.loaded()
        fresh = self.come_to(late, group.figures())
        self.end()
        for heard in listening:
            heard.result()
        return Live(
            group=group,
            player=player,
            path=path,
            watched=watched,
            ledger=ledger,
            moments=self.moments,
            fresh=late,
            fresh_figures=fresh,
            fresh_drawn=late.drawn(),
            drawn=drawn,
            held=released,
            back=back,
            callers=self.callers,
            scripted=scripted,
            strangers=attempts.result(),
            told_unstored=self._is_told_unstored(watched, others[0]),
            allowed=self.allowed,
            overtaken=self._overtaken(watched, released),
        )

    def _answer(self, works: Sequence[Callable[[], Answer]], pages: Sequence[StatisticsPage]) -> Moment | None:
        """Have some people answer at the same moment; listeners without a page are waited for, too."""
        moment = self.answer(works, pages)
        if moment and self.callers and not self.group.is_stuck:
            began, page = moment.began, self.player.play.page
            connected = [each for each in self.callers.values() if each.is_connected]
            if not until(page, lambda: all(each.news_since(began) for each in connected), self.patience):
                self.give_up()
        return moment

    def _listen(self, pool: ThreadPoolExecutor, hub: tuple[str, str], ben: Visitor) -> list[Future[bool]]:
        """Two users connect to the hub without a page, because the page does not."""
        users = ((self.player.name, self.player.cookie()), (ben.name, ben.cookie))
        running = [self.listen(pool, name, cookie, self._instance, hub) for name, cookie in users]
        until(
            self.player.play.page,
            lambda: all(each.is_connected for each in self.callers.values()) or any(each.done() for each in running),
        )
        return running

    def _redrawn(self, page: StatisticsPage, before: tuple[str, str]) -> tuple[str, str]:
        """What the charts look like once both look otherwise than before."""
        if self.is_right(page):
            until(page.page, lambda: all(a != b for a, b in zip(page.drawn(), before, strict=True)))
        return page.drawn()

    def _take_offline(self, page: StatisticsPage) -> bool:
        """Cut the page's network, and let its clock go on to the end of that time."""
        if self.gave_up:
            return False
        page.pause_clock()
        page.wire.cut()
        for _ in range(OFFLINE):
            page.let_pass(1)
        return True

    def _await_return(self, page: StatisticsPage, mended: float) -> Return:
        """Wait until the page has caught up, for 5 s of its own clock."""
        expected = self.group.figures()
        for _ in range(int(WAIT)):
            if until(page.page, lambda: page.figures().shows(expected), 0.1):
                break
            page.let_pass(1)
        page.page.clock.resume()
        return Return(page, self.come_to(page, expected), expected, mended)

    def _is_told_unstored(self, watched: StatisticsPage, visitor: Visitor) -> bool:
        """Whether the page is told of an answer whose commit fails, which is the last one that the quiz gets.

        Nothing follows from it if the page was told wrongly before.
        """
        if self.gave_up or self.group.is_stuck or not self.is_right(watched) or not refuse_commits(self._data):
            return False
        with self._instance.provoked():
            failed = visitor.ask().attempt()
            visitor.ask()  # by its answer all that belongs to the one before has been sent, and logged
        return failed.status != 200 and until(watched.page, lambda: bool(watched.news(failed.began)), IN_TRANSIT)

    def _overtaken(self, watched: StatisticsPage, held: Held | None) -> tuple[float, float] | None:
        """Whether a page that is told the newest first shows older figures in the end.

        A real hub's messages overtake one another too seldom to wait for it. Nothing follows from a page that does not
        even follow messages in their order.
        """
        if held is None or not held.was_told or not self.is_right(watched):
            return None
        # As late as this, because right figures may still give way to those of the messages that follow.
        newest, last = (each.correct + each.incorrect for each in (held.expected, held.page.figures()))
        return (newest, last) if last < newest else None

    def _play_the_hub(self, watched: StatisticsPage, others: list[Visitor]) -> Scripted:
        """Have a page whose hub is played here, because the real one and the real page do not do together.

        It is told what the real hub tells, if that is known, else what the manual has it tell. A page that takes the
        figures from the message shows those; one that asks the server for them shows the real ones.
        """
        player = self.player
        wire = self.new_wire()
        context = self.new_context(wire)
        context.add_cookies(player.context.cookies())  # type: ignore[arg-type]
        page = ScriptedPage(context, wire, self._instance, player.name)
        page.open().loaded()
        if not until(page.page, lambda: page.connected, BRIEFLY):
            page.put_clock_forward(5)
            until(page.page, lambda: page.connected, BRIEFLY)
        before, began = page.figures(), time.time()
        told: list[News] = []
        if not self.group.is_stuck:
            self.together([others[0].ask])
            moment = Moment([others[0].answer(0)])
            if moment.answer.is_accepted and self._told_before(watched):
                until(page.page, lambda: bool(self._heard(watched, began)), WAIT)
                told = self._heard(watched, began)
        real = self.group.figures()
        is_real = bool(told)
        told = told or [News(began, "updateStatistics", (STATISTICS,))]
        expected = (real,) if is_real else (PLAYED, real)
        for each in told:
            page.tell(each)
        if page.connected:
            until(page.page, lambda: any(page.figures().shows(each) for each in expected), WAIT / 2)
        return Scripted(page, told, before, page.figures(), expected, is_real)

    def _heard(self, watched: StatisticsPage, since: float) -> list[News]:
        """What one of those who are connected was told since then: the one who was told most."""
        return max([*(each.news_since(since) for each in self.callers.values()), watched.news(since)], key=len)

    def _told_before(self, watched: StatisticsPage) -> bool:
        since = self.moments[0].answers[0].began if self.moments else 0.0
        return bool(watched.news(since)) or any(each.news for each in self.callers.values())
