"""What the scenes of both exercises have in common: pages that are watched while a small group plays."""

import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import quiz_hub
from playwright.sync_api import BrowserContext, ViewportSize
from quiz_group import Answer, Group, together
from quiz_hub import HUB, Caller, News
from quiz_pages import Figures, Player, StatisticsPage

from labkit.checking import PATIENCE, WAIT, NotDone, RunningInstance, Side, until
from labkit.wire import Exchange, Message, Wire

BRIEFLY = 0.5
"""How many seconds are waited for what cannot make an exercise pass any more."""

LEFT = "the page was connected to the hub, and its connection has ended: a script of the page stops it"

OTHERWISE = "the hub's message has other figures"

WINDOW: ViewportSize = {"width": 700, "height": 700}
"""How large the windows are, in pixels: no larger than what is looked at needs, for drawing takes time."""

NewContext = Callable[..., BrowserContext]
NewWire = Callable[[], Wire]


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

    ended: float = 0.0
    """When the response came, in seconds since 1970."""

    reloads: int = 0
    """How often the page had been loaded anew by then."""

    @property
    def counters(self) -> str:
        """What the counters showed, in words that differ from what was expected."""
        return f"still {self.after.counters}" if self.after == self.before else self.after.counters

    @property
    def charts(self) -> str:
        """What the charts showed, in words that differ from what was expected."""
        return f"still {self.after.charts}" if self.after == self.before else self.after.charts

    def cause(self, with_charts: bool = False) -> str | None:
        """Which half is at fault as far as the wire tells: the server with its message, or the page with its script."""
        if self.page.trouble:
            return self.page.trouble
        if self.reloads > 0:
            return "the page reloads itself, and shows no message meanwhile"
        if not self.page.connected:
            return "the page is not connected to the hub"
        if not self.news:
            return LEFT if self.page.has_left else self.delay() or "the hub sends no message to this page"
        wanted = (self.expected.correct, self.expected.incorrect, *(self.expected.bars if with_charts else ()))
        shown = (self.after.correct, self.after.incorrect, *self.after.bars)
        told = (self.expected.correct, self.expected.incorrect, *self.expected.bars)
        # Under the manual's names it is sure what a message says; of other messages it has to be concluded.
        said = [each.says(self.expected.named(with_charts)) for each in self.news]
        is_otherwise = not any(said)
        if None in said:
            is_otherwise = (
                quiz_hub.lacks(self.news, self.expected.named(with_charts))
                or self._is_followed(shown, told)
                or not any(each.may_have(wanted) for each in self.news)
            )
        if is_otherwise:
            return f"{OTHERWISE}: {self.news[-1].spoken}"
        what = "charts" if with_charts else "counters"
        if self.page.hides(with_charts):
            return f"the {what} are on the page, and nobody can see them: a script, or a style, hides them"
        if not with_charts and (delay := self.delay()):
            return delay
        deed, spoken = f"does not {'update' if with_charts else 'write'} the {what}", self.news[-1].spoken
        if (self.after.charts != self.before.charts) if with_charts else (self.after.counters != self.before.counters):
            return f"the page {deed} as the message has them: {spoken}"
        return f"the page {deed} when the message comes: {spoken}"

    def _is_followed(self, shown: Sequence[float], told: Sequence[float]) -> bool:
        """Whether the page shows what the message says, and that is something else than it should say."""
        last = self.news[-1]
        return self.after != self.before and (
            (last.may_have(shown) and not last.may_have(told))
            or (self.after.counters != self.expected.counters and self.page.follows(last, self.after))
        )

    def side(self, with_charts: bool = False) -> Side | None:
        """Which side is at fault, as far as the wire tells: the page if it was told the right figures."""
        if not self.page.connected or not self.news:
            return None
        return "server" if (self.cause(with_charts) or "").startswith(OTHERWISE) else "page"

    def delay(self) -> str | None:
        """What has come at last, later than anybody waits."""
        told = next(iter(self.page.news(self.ended)), None) if not self.news else self.news[0]
        if told and told.at - self.ended > WAIT:
            after = f"{told.at - self.ended:.1f} s after it"
            return f"the hub's next message came {after}: the server sends the message late, or skips this answer"
        noted = self.page.shown() if not self.page.has_own_clock else []
        right = (self.expected.correct, self.expected.incorrect)
        came = next((at for at, *counters in noted if tuple(counters) == right and at > self.ended), None)
        if not told or came is None or came - self.ended <= WAIT:
            return None
        newer = [each.at for each in self.page.news(told.at + BRIEFLY)]
        # One change may come with a message by chance; those of a page that waits go on when no more messages come.
        if all(any(abs(at - one) < BRIEFLY for one in newer) for at, *_ in noted if at >= came):
            return "the page shows the figures of the message before the one that comes"
        return f"the page waits before it shows what it is told: it did after {came - self.ended:.1f} s"


@dataclass
class Moment:
    """One answer, or several at the same moment, and what every open page made of it."""

    answers: list[Answer]
    seen: list[Seen] = field(default_factory=list)

    @property
    def answer(self) -> Answer:
        """The last answer."""
        return self.answers[-1]

    @property
    def began(self) -> float:
        """When the first of them was given."""
        return min(each.began for each in self.answers)

    def of(self, page: StatisticsPage) -> Seen | None:
        """What this page made of it."""
        return next((each for each in self.seen if each.page is page), None)


@dataclass
class Held:
    """A page whose hub's messages were held back: what it showed before, until they were released, and after."""

    page: StatisticsPage
    before: Figures
    meanwhile: Figures
    after: Figures
    expected: Figures
    was_told: bool
    asked: list[str]
    """What it has asked for while they were held back, other than a hub."""

    def judge(self) -> None:
        """Make sure that the page changed because of the messages: after them, and not before.

        Raises NotDone that says what it did instead.
        """
        if self.meanwhile != self.before:
            raise NotDone(
                expected="nothing changes on the page while the hub's message is held back",
                seen=f"it showed {self.meanwhile.counters} all the same"
                + (f", after {self.asked[0]}" if self.asked else ""),
                where=self.page.where,
                cause="the page reloads, or asks the server again and again, instead of listening to the hub",
                is_sure=True,
            )
        if not self.was_told:
            raise NotDone(
                expected="the news comes over the page's own connection to the hub",
                seen="no message came over it" if self.page.connected else "the page has no connection to a hub",
                where=self.page.where,
                cause=self.page.trouble or "the hub sends no message to this page, or the page listens to none",
            )
        if self.after == self.before:
            raise NotDone(
                expected="the page changes once the hub's message arrives",
                seen=f"still {self.after.counters}",
                where=self.page.where,
                cause=self.page.trouble or "the page does not write the counters when the message comes",
            )


class Scene:
    """Everybody who takes part, while they do."""

    def __init__(self, player: Player, new_browser_context: NewContext, new_wire: NewWire) -> None:
        self.player = player
        self.group = Group()
        self.moments: list[Moment] = []
        self.callers: dict[str, Caller] = {}
        """Those who are connected to the hub without a page, by what they are called."""
        self._over = False
        self._gave_up = False
        self._trips: list[float] = []
        self._new_browser_context, self._new_wire = new_browser_context, new_wire

    @property
    def allowed(self) -> float:
        """How many seconds anything may take.

        On a machine that is busy with something else, all takes longer: seeing how long the browser takes to say
        what a page shows, one allows for that.
        """
        return WAIT + 10 * (median(self._trips) if self._trips else 0)

    @property
    def patience(self) -> float:
        """How many seconds are waited for what should come; less, once something has not come."""
        return BRIEFLY if self._gave_up else self.allowed

    @property
    def gave_up(self) -> bool:
        """Whether something that should have come has not come."""
        return self._gave_up

    def give_up(self) -> None:
        """Wait for nothing that is as late any more."""
        self._gave_up = True

    def figures(self, page: StatisticsPage) -> Figures:
        """What the page shows now."""
        began = time.monotonic()
        try:
            return page.figures()
        finally:
            self._trips.append(time.monotonic() - began)

    def come_to(self, page: StatisticsPage, expected: Figures) -> Figures:
        """What the page shows once it shows the expected figures, else what it shows when it was waited for."""
        found: list[Figures] = []

        def is_there() -> bool:
            found.append(self.figures(page))
            return found[-1].shows(expected)

        until(page.page, is_there, self.patience)
        return found[-1]

    def page(self, instance: RunningInstance, user: str, cookie: str, has_own_clock: bool = False) -> StatisticsPage:
        """Open a user's Statistics page, with a browser and a wire of its own.

        The user of one with a clock of its own has asked the system for less motion: drawing what moves takes half of
        the time of a run, and one page that moves is enough.
        """
        wire = self._new_wire()
        context = self.new_context(wire, reduced_motion="reduce" if has_own_clock else "no-preference")
        pairs = [each.partition("=") for each in cookie.split("; ") if each]
        context.add_cookies([{"name": name, "value": value, "url": instance.url} for name, _, value in pairs])
        return StatisticsPage(context, wire, instance, user, has_own_clock).open()

    def new_wire(self) -> Wire:
        """A wire more."""
        return self._new_wire()

    def new_context(self, wire: Wire, **options: Any) -> BrowserContext:
        """A browser context on this wire."""
        return self._new_browser_context(proxy=wire.proxy, viewport=WINDOW, **options)

    def hub_of(self, page: StatisticsPage) -> tuple[str, str]:
        """The path and the query of the hub that the page is connected to, else the manual's."""
        found = next((each for each in page.hub_connections if each.is_open), None)
        return (found.path, found.query) if found else (HUB, "")

    def headers(self) -> dict[str, str]:
        """What the browser says about itself to a hub of its own instance."""
        like = next(each for each in self.player.wire.exchanges if each.path == "/api/trivia")
        kept = ("user-agent", "accept-language", "accept-encoding")
        return {name: value for name, value in like.headers if name.lower() in kept}

    def listen(
        self, pool: ThreadPoolExecutor, name: str, cookie: str, instance: RunningInstance, hub: tuple[str, str]
    ) -> Future[bool]:
        """Have a user connect to a hub without a page, and listen until it is over."""
        headers = {**self.headers(), "Origin": instance.url, "Cookie": cookie}
        caller = self.callers[f"{name}, connected to the hub"] = Caller(instance, headers, *hub)

        def stay() -> bool:
            token = caller.negotiate()
            return bool(token) and caller.connect(token, 60, lambda: self._over)

        return pool.submit(stay)

    def end(self) -> None:
        """Let those who listen go."""
        self._over = True

    def settle(self, *pages: StatisticsPage) -> None:
        """Wait until these pages are connected, or were refused, or have not even begun when it was time to.

        The last one has a clock of its own, which shows whether a page would begin later.
        """

        def is_settled(each: StatisticsPage) -> bool:
            return each.connected or bool(quiz_hub.refusals(each.wire))

        last = pages[-1]
        if not quiz_hub.begun(last.wire):
            last.put_clock_forward(5)
            until(last.page, lambda: quiz_hub.begun(last.wire), BRIEFLY)
        if quiz_hub.begun(last.wire):
            until(last.page, lambda: all(map(is_settled, pages)), PATIENCE)

    def together(self, works: Sequence[Callable[[], object]]) -> None:
        """Do all of this at the same moment, unless an answer was not taken before."""
        if not self.group.is_stuck:
            together(works)

    def answer(
        self,
        works: Sequence[Callable[[], Answer]],
        pages: Sequence[StatisticsPage],
        is_over: Callable[[], bool] = lambda: False,
        expects: Sequence[StatisticsPage] | None = None,
    ) -> Moment | None:
        """Have some people answer at the same moment, and see what comes of it on these pages.

        It is waited for those that are `expects`-ed to follow, or all that are connected; `is_over` tells that
        nothing more can come to the others. None: an answer was not taken, and nobody goes on.
        """
        if self.group.is_stuck:
            return None
        before = [self.figures(each) for each in pages]
        began = time.time()
        moment = Moment([works[0]()] if len(works) == 1 else together(works))
        self.moments.append(moment)
        expected = self.group.figures()
        allowed = self.patience if not self._gave_up else WAIT
        waited_for = [each for each in (pages if expects is None else expects) if each.connected]
        others = [each for each in pages if each.connected and each not in waited_for]

        def has_come(watched: Sequence[StatisticsPage]) -> bool:
            return all(each.news(began) and self.figures(each).shows(expected) for each in watched)

        came = False
        if not self.group.is_stuck and waited_for:
            came = until(waited_for[0].page, lambda: has_come(waited_for), self.patience)
            if not came or not self._wait_for_others(lambda: has_come(others), others, is_over):
                self.give_up()
            elif len(works) > 1:
                # What comes a little later is not to be taken for what the next answer brings.
                each_brings = len(self.moments[0].seen[0].news) if self.moments[0].seen else 1
                due = each_brings * len(works)
                until(waited_for[0].page, lambda: all(len(each.news(began)) >= due for each in waited_for), BRIEFLY)
        ended = max(each.ended for each in moment.answers)
        for page, figures in zip(pages, before, strict=True):
            shown = [at for at, *counters in page.shown() if tuple(counters) == (expected.correct, expected.incorrect)]
            late = shown[0] - ended - (allowed - WAIT) if shown and not page.has_own_clock else None
            after = page.figures()
            if came and page in waited_for and not after.shows(expected):
                # It was right a moment ago: what counts up to the new figures has begun with the old ones.
                after = self.come_to(page, expected)
            seen = Seen(page, figures, after, expected, page.news(began), late, ended, page.reloads)
            if seen.news and seen.after.shows(expected):
                page.learn(seen.news[-1], seen.after)
            moment.seen.append(seen)
        return moment

    def _wait_for_others(
        self, has_come: Callable[[], bool], others: Sequence[StatisticsPage], is_over: Callable[[], bool]
    ) -> bool:
        if not others or has_come():
            return True
        return until(others[0].page, has_come, BRIEFLY if is_over() else self.patience)

    def is_right(self, page: StatisticsPage) -> bool:
        """Whether this page has followed every answer so far."""
        seen = [found for each in self.moments if (found := each.of(page))]
        return bool(seen) and all(each.after.shows(each.expected) for each in seen)

    def hold(self, page: StatisticsPage) -> Callable[[], Held | None]:
        """Hold back whatever the hub tells this page; the result releases it, and tells what the page made of it."""
        page.wire.hold(quiz_hub.is_of_hub, quiz_hub.ping_instead)
        before, asked = page.figures(), len(page.wire.exchanges)

        def release() -> Held | None:
            if not self.moments:
                return None
            expected, meanwhile = self.group.figures(), page.figures()
            unasked = [
                f"{each.method} {each.path}"
                for each in page.wire.exchanges[asked:]
                if not quiz_hub.is_of_hub(each) and not each.path.endswith("/negotiate")
            ]
            was_told = bool(page.news(self.moments[0].began))
            # The newest first, as the messages of simultaneous answers may come.
            page.wire.release(quiz_hub.newest_first)
            if was_told:
                until(page.page, lambda: self.figures(page).shows(expected), self.patience)
            return Held(page, before, meanwhile, page.figures(), expected, was_told, unasked)

        return release


REFUSE_COMMITS = """
CREATE TABLE nowhere (id INTEGER PRIMARY KEY);
CREATE TABLE refused (id INTEGER REFERENCES nowhere (id) DEFERRABLE INITIALLY DEFERRED);
CREATE TRIGGER refuse AFTER INSERT ON answers BEGIN INSERT INTO refused VALUES (NEW.id); END;
"""
"""From then on an answer can be inserted and read, and its transaction cannot be committed."""


def refuse_commits(data: Path | None) -> bool:
    """Let no more answer be committed; false if nothing can be done about it.

    Between a message that is sent too early and its commit there may be less than a millisecond, in which no reader of
    the database can be sure to look. A commit that never comes is after every message.
    """
    file = next(iter(data.glob("*.db")), None) if data else None
    if file is None:
        return False
    try:
        with closing(sqlite3.connect(file)) as database:
            database.executescript(REFUSE_COMMITS)
    except sqlite3.Error:
        return False
    return True


class Ledger:
    """How many answers a reader of the database sees at each moment when a page is told something."""

    def __init__(self, data: Path | None, wire: Wire) -> None:
        self.entries: list[tuple[float, int]] = []
        """Seconds since 1970, and the answers in the database."""
        self._database: sqlite3.Connection | None = None
        file = next(iter(data.glob("*.db")), None) if data else None
        if file:
            # Kept open, to read at once: the commit may follow within a millisecond.
            with suppress(sqlite3.Error):
                self._database = sqlite3.connect(f"file:{file}?mode=ro", uri=True, check_same_thread=False)
                self._database.execute("SELECT count(*) FROM answers").fetchone()
            wire.on_message = self._note

    def between(self, begin: float, end: float) -> int | None:
        """How many answers there were when the last message of that time came; None if that is not known."""
        return max((count for at, count in self.entries if begin <= at < end), default=None)

    def _note(self, exchange: Exchange, message: Message) -> None:
        if self._database and quiz_hub.has_news(message):
            with suppress(sqlite3.Error):
                self.entries.append((message.at, self._database.execute("SELECT count(*) FROM answers").fetchone()[0]))


@pytest.fixture(scope="session")
def player(new_browser_context: NewContext, new_wire: NewWire, instances: tuple[RunningInstance, ...]) -> Player:
    """A new user on the Play page of the first instance."""
    wire = new_wire()
    context = new_browser_context(proxy=wire.proxy, viewport=WINDOW, reduced_motion="reduce")
    return Player(context, wire, instances[0])
