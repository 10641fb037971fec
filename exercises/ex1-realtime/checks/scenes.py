"""What the checks of this exercise look at: a small group plays, and everything that this changes is watched at once.

Ada plays in the browser; Ben, and three more who find out which options are right, send the same requests. Ada's
Statistics pages are open before the first answer: one is left alone, of the other one the hub's messages are held
back. Ben's is opened after the first answer, and loses its network for a while.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
import quiz_hub
from playwright.sync_api import BrowserContext
from quiz_group import Answer, Clicker, Group, Visitor, together
from quiz_hub import HUB, Attempt, Caller, News
from quiz_pages import NOTHING, Figures, Player, ScriptedPage, StatisticsPage

from labkit.checking import PATIENCE, WAIT, RunningInstance, until
from labkit.wire import Wire

BRIEFLY = 0.5
"""How many seconds are waited for what cannot make an exercise pass any more."""

OFFLINE = 10
"""How many seconds a page is without its network, by its own clock."""

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
class Seen:
    """What one page showed before and after answers, and what the hub told it meanwhile."""

    page: StatisticsPage
    before: Figures
    after: Figures
    expected: Figures
    news: list[News]
    late: float | None = None
    """How many seconds after the response the right counters came; None if that is not known."""


@dataclass
class Moment:
    """One answer, or several at the same moment, and what every open page made of it."""

    answers: list[Answer]
    seen: list[Seen] = field(default_factory=list)

    @property
    def answer(self) -> Answer:
        """The last answer."""
        return self.answers[-1]


@dataclass
class Held:
    """The page whose hub's messages were held back: what it showed before, until they were released, and after."""

    page: StatisticsPage
    before: Figures
    meanwhile: Figures
    expected_meanwhile: Figures
    after: Figures
    expected: Figures
    was_told: bool
    totals: list[float]
    asked: list[str]


@dataclass
class Return:
    """A page that was offline: what it showed at the latest 5 s after the first answer that followed."""

    page: StatisticsPage
    after: Figures
    expected: Figures


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
    overtaken: list[tuple[float, float]]
    """The totals that were shown, and then lower ones, while several answered at the same moment."""

    @property
    def is_reachable(self) -> bool:
        """Whether a signed-in user could connect to the hub."""
        return self.watched.connected or any(each.is_connected for each in self.callers.values())

    @property
    def hub_status(self) -> int | None:
        """What the hub answered to a signed-in user who does not come from the page."""
        return next((each.status for each in self.callers.values()), 200)

    def told(self, moment: Moment) -> dict[str, list[News]]:
        """Who was told what after these answers, by the names of the listeners."""
        began = min(each.began for each in moment.answers)
        following = [each.answers[0].began for each in self.moments if each.answers[0].began > began]
        ends = min(following, default=time.time())
        found = {each.page.where: each.news for each in moment.seen if each.page.connected}
        for name, caller in self.callers.items():
            if caller.is_connected:
                found[name] = [news for news in caller.news if began <= news.at <= ends]
        return found


@pytest.fixture(scope="session")
def player(
    new_browser_context: Callable[..., BrowserContext],
    new_wire: Callable[[], Wire],
    instances: tuple[RunningInstance, ...],
) -> Player:
    """A new user on the Play page of the first instance."""
    wire = new_wire()
    return Player(new_browser_context(proxy=wire.proxy), wire, instances[0])


@pytest.fixture(scope="session")
def live(
    player: Player,
    new_browser_context: Callable[..., BrowserContext],
    new_wire: Callable[[], Wire],
    instances: tuple[RunningInstance, ...],
) -> Live:
    """The group plays."""
    return _Scene(player, new_browser_context, new_wire, instances[0]).play()


class _Scene:
    """Everybody who takes part, while they do."""

    def __init__(
        self,
        player: Player,
        new_browser_context: Callable[..., BrowserContext],
        new_wire: Callable[[], Wire],
        instance: RunningInstance,
    ) -> None:
        self._new_browser_context, self._new_wire, self._instance = new_browser_context, new_wire, instance
        self._player = player
        self._group = Group()
        self._ada = Clicker(self._group, player, player.play, instance)
        self._moments: list[Moment] = []
        self._patience = WAIT
        self._callers: dict[str, Caller] = {}
        self._over = False

    def play(self) -> Live:
        """Play the whole scene."""
        player, group = self._player, self._group
        watched = self._page(player.name, player.cookie())
        held = self._page(player.name, player.cookie(), has_own_clock=True)
        visitors = [Visitor(group, player.wire, self._instance, player.name) for _ in range(4)]
        pool = ThreadPoolExecutor(12)
        registered = [pool.submit(each.register) for each in visitors]
        for each in (watched, held):
            each.loaded()
        self._settle(watched, held)
        for each in registered:
            each.result()
        ben, *others = visitors
        path, query = self._hub_of(watched)
        listening = self._listen(pool, path, query, ben) if not watched.connected else []
        attempts = self._strangers(pool, path, query)
        held.wire.hold(quiz_hub.is_of_hub)
        before, asked = held.figures(), len(held.wire.exchanges)

        first = self._answer([lambda: self._ada.answer()], [watched])
        drawn = [watched.drawn()]
        late = self._page(ben.name, ben.cookie, has_own_clock=True)
        held.put_clock_forward(14)
        late.loaded()
        if watched.connected:
            self._settle(late)
        outcome = first.answer.outcome
        opposite = "incorrect" if outcome == "correct" else "correct"
        self._together([each.ask for each in others])
        self._answer([lambda n=n, each=each: each.answer(n) for n, each in enumerate(others, 1)], [watched, late])
        self._answer([lambda: ben.ask().answer(outcome=opposite)], [watched, late])
        self._together([each.ask for each in others])
        self._answer([lambda n=n, each=each: each.answer(n) for n, each in enumerate(others)], [watched, late])
        is_away = late.connected and self._take_offline(late)
        meanwhile, was_expected = held.figures(), group.figures()
        if not group.is_stuck:
            player.play.next()
        self._answer([lambda: self._ada.answer(opposite)], [watched])
        if is_away:
            late.wire.mend()
        self._answer([lambda: ben.ask().answer(outcome=outcome)], [watched])
        drawn.append(self._redrawn(watched, drawn[0]))
        back = self._await_return(late) if is_away else None
        released = self._release(held, before, meanwhile, was_expected, asked)
        overtaken = self._overtaken(watched, released, others)
        scripted = None if self._is_right(watched) else self._play_the_hub(watched, others)
        if not is_away or (back and not back.after.shows(back.expected)):
            late.open()
        late.loaded()
        until(late.page, lambda: late.figures().shows(group.figures()), self._patience)
        self._over = True
        strangers = attempts.result() if attempts else []
        for each in listening:
            each.result()
        return Live(
            group=group,
            player=player,
            path=path,
            watched=watched,
            moments=self._moments,
            fresh=late,
            fresh_figures=late.figures(),
            fresh_drawn=late.drawn(),
            drawn=drawn,
            held=released,
            back=back,
            callers=self._callers,
            scripted=scripted,
            strangers=strangers,
            overtaken=overtaken,
        )

    def _page(self, user: str, cookie: str, has_own_clock: bool = False) -> StatisticsPage:
        """Open a Statistics page, with a browser and a wire of its own."""
        wire = self._new_wire()
        pairs = [each.partition("=") for each in cookie.split("; ") if each]
        cookies = [{"name": name, "value": value, "url": self._instance.url} for name, _, value in pairs]
        context = self._new_browser_context(proxy=wire.proxy)
        context.add_cookies(cookies)  # type: ignore[arg-type]
        return StatisticsPage(context, wire, self._instance, user, has_own_clock).open()

    def _settle(self, *pages: StatisticsPage) -> None:
        """Wait until these pages are connected, or were refused, or have not even begun when it was time to."""

        def is_settled(each: StatisticsPage) -> bool:
            return each.connected or bool(quiz_hub.refusals(each.wire))

        last = pages[-1]
        until(last.page, lambda: all(map(is_settled, pages)) or not quiz_hub.begun(last.wire), PATIENCE)
        if not quiz_hub.begun(last.wire):
            last.put_clock_forward(5)
            until(last.page, lambda: quiz_hub.begun(last.wire), BRIEFLY)
        if quiz_hub.begun(last.wire):
            until(last.page, lambda: all(map(is_settled, pages)), WAIT)

    def _hub_of(self, page: StatisticsPage) -> tuple[str, str]:
        """The path and the query of the hub that the page is connected to, else the manual's."""
        found = next((each for each in page.hub_connections if each.is_open), None)
        return (found.path, found.query) if found else (HUB, "")

    def _listen(self, pool: ThreadPoolExecutor, path: str, query: str, ben: Visitor) -> list[Future[bool]]:
        """Two users connect to the hub without a page, because the page does not."""
        running = []
        for name, cookie in ((self._player.name, self._player.cookie()), (ben.name, ben.cookie)):
            caller = Caller(self._instance, {**self._headers(), "Cookie": cookie}, path, query)
            self._callers[f"{name}, connected to the hub"] = caller
            running.append(pool.submit(self._stay, caller))
        until(
            self._player.play.page,
            lambda: all(each.is_connected for each in self._callers.values()) or any(each.done() for each in running),
        )
        return running

    def _stay(self, caller: Caller) -> bool:
        token = caller.negotiate()
        return bool(token) and caller.connect(token, 60, lambda: self._over)

    def _strangers(self, pool: ThreadPoolExecutor, path: str, query: str) -> Future[list[Attempt]]:
        return pool.submit(
            quiz_hub.try_as_strangers, self._instance, self._headers(), self._player.cookie(), path, query
        )

    def _headers(self) -> dict[str, str]:
        """What the browser says about itself to a hub."""
        like = next(each for each in self._player.wire.exchanges if each.path == "/api/trivia")
        kept = ("user-agent", "accept-language", "accept-encoding")
        return {name: value for name, value in like.headers if name.lower() in kept} | {"Origin": self._instance.url}

    def _together(self, works: list[Callable[[], object]]) -> None:
        if not self._group.is_stuck:
            together(works)

    def _answer(self, works: list[Callable[[], Answer]], pages: list[StatisticsPage]) -> Moment:
        """Have some people answer at the same moment, and see what comes of it on these pages."""
        if self._group.is_stuck:
            return self._moments[-1]
        before = [each.figures() for each in pages]
        began = time.time()
        moment = Moment([works[0]()] if len(works) == 1 else together(works))
        self._moments.append(moment)
        expected = self._group.figures()
        open_pages = [each for each in pages if each.connected]

        def has_come() -> bool:
            return all(each.news(began) and each.figures().shows(expected) for each in open_pages)

        if open_pages and not self._group.is_stuck and not until(open_pages[0].page, has_come, self._patience):
            self._patience = BRIEFLY
        elif self._callers and not until(self._player.play.page, lambda: self._callers_know(began), self._patience):
            self._patience = BRIEFLY
        ended = max(each.ended for each in moment.answers)
        for page, figures in zip(pages, before, strict=True):
            shown = [at for at, *counters in page.shown() if tuple(counters) == (expected.correct, expected.incorrect)]
            late = shown[0] - ended if shown and page is pages[0] else None
            moment.seen.append(Seen(page, figures, page.figures(), expected, page.news(began), late))
        return moment

    def _callers_know(self, since: float) -> bool:
        connected = [each for each in self._callers.values() if each.is_connected]
        return all(any(news.at >= since for news in each.news) for each in connected)

    def _is_right(self, page: StatisticsPage) -> bool:
        return bool(self._moments) and all(
            seen.after.shows(seen.expected) for moment in self._moments for seen in moment.seen if seen.page is page
        )

    def _redrawn(self, page: StatisticsPage, before: tuple[str, str]) -> tuple[str, str]:
        """What the charts look like once both look otherwise than before."""
        if self._is_right(page):
            until(page.page, lambda: all(a != b for a, b in zip(page.drawn(), before, strict=True)))
        return page.drawn()

    def _take_offline(self, page: StatisticsPage) -> bool:
        """Cut the page's network, and let its clock go on to the end of that time."""
        if self._patience != WAIT:
            return False
        page.pause_clock()
        page.wire.cut()
        for _ in range(OFFLINE):
            page.let_pass(1)
        return True

    def _await_return(self, page: StatisticsPage) -> Return:
        """Wait until the page has caught up, for 5 s of its own clock."""
        expected = self._group.figures()
        for _ in range(int(WAIT)):
            if until(page.page, lambda: page.figures().shows(expected), 0.1):
                break
            page.let_pass(1)
        page.page.clock.resume()
        until(page.page, lambda: page.figures().shows(expected), self._patience)
        return Return(page, page.figures(), expected)

    def _release(
        self, held: StatisticsPage, before: Figures, meanwhile: Figures, was_expected: Figures, asked: int
    ) -> Held | None:
        """Let the page have what was held back: the newest first, as simultaneous messages may come."""
        if not self._moments:
            return None
        expected = self._group.figures()
        meanwhile = held.figures() if held.figures() != before else meanwhile
        began = self._moments[0].answers[0].began
        was_told = bool(held.news(began))
        unasked = [
            f"{each.method} {each.path}"
            for each in held.wire.exchanges[asked:]
            if not quiz_hub.is_of_hub(each) and not each.path.endswith("/negotiate")
        ]
        held.wire.release(quiz_hub.newest_first)
        if was_told:
            until(held.page, lambda: held.figures().shows(expected), self._patience)
        totals = [correct + incorrect for _, correct, incorrect in held.shown()]
        return Held(held, before, meanwhile, was_expected, held.figures(), expected, was_told, totals, unasked)

    def _overtaken(
        self, watched: StatisticsPage, held: Held | None, others: list[Visitor]
    ) -> list[tuple[float, float]]:
        """Whether a page shows older figures after newer ones.

        A page that does so when messages come in another order does no harm while they never do: so more answers are
        given at the same moment, until they do.
        """
        if falls := _falls(watched):
            return falls
        if held is None or not (_sinks(held.totals) or not held.after.shows(held.expected)):
            return []
        if self._group.is_stuck or not self._is_right(watched):
            return []
        for _ in range(20):
            together([each.ask for each in others])
            self._answer([lambda n=n, each=each: each.answer(n) for n, each in enumerate(others)], [watched])
            moment = self._moments.pop()
            if falls := _falls(watched):
                return falls
            seen = moment.seen[0]
            if not seen.after.shows(seen.expected):
                total = seen.after.correct + seen.after.incorrect
                return [(seen.expected.correct + seen.expected.incorrect, total)]
        return []

    def _play_the_hub(self, watched: StatisticsPage, others: list[Visitor]) -> Scripted:
        """Have a page whose hub is played here, because the real one and the real page do not do together.

        It is told what the real hub tells, if that is known, else what the manual has it tell. A page that takes the
        figures from the message shows those; one that asks the server for them shows the real ones.
        """
        player = self._player
        wire = self._new_wire()
        context = self._new_browser_context(
            proxy=wire.proxy, storage_state=player.context.storage_state(indexed_db=False)
        )
        page = ScriptedPage(context, wire, self._instance, player.name)
        page.open().loaded()
        if not until(page.page, lambda: page.connected, BRIEFLY):
            page.put_clock_forward(5)
            until(page.page, lambda: page.connected, BRIEFLY)
        before, began = page.figures(), time.time()
        told: list[News] = []
        if not self._group.is_stuck and self._told_before(watched):
            together([others[0].ask])
            moment = Moment([others[0].answer(0)])

            def heard() -> list[News]:
                callers = [each.news for each in self._callers.values()]
                found = [[news for news in each if news.at >= began] for each in [*callers, watched.news(began)]]
                return max(found, key=len)

            until(page.page, lambda: bool(heard()), WAIT)
            told = heard() if moment.answer.is_accepted else []
        real = self._group.figures()
        is_real = bool(told)
        told = told or [News(began, "updateStatistics", (STATISTICS,))]
        expected = (real,) if is_real else (PLAYED, real)
        for each in told:
            page.tell(each)
        if page.connected:
            until(page.page, lambda: any(page.figures().shows(each) for each in expected), WAIT / 2)
        return Scripted(page, told, before, page.figures(), expected, is_real)

    def _told_before(self, watched: StatisticsPage) -> bool:
        since = self._moments[0].answers[0].began if self._moments else 0.0
        return bool(watched.news(since)) or any(each.news for each in self._callers.values())


def _falls(page: StatisticsPage) -> list[tuple[float, float]]:
    """Where the totals that a page has shown sink."""
    return _sinks([correct + incorrect for _, correct, incorrect in page.shown()])


def _sinks(totals: list[float]) -> list[tuple[float, float]]:
    return [(a, b) for a, b in zip(totals, totals[1:], strict=False) if b < a]


__all__ = ["NOTHING", "Live", "Moment", "Scripted", "Seen", "live", "player"]
