"""The quiz as its visitors see it: the pages, for the checks of both exercises.

What a trainee may write in another way is not looked at: not the names of methods, nor how a page draws what it has
heard.
"""

import difflib
import json
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

import quiz_hub
from playwright.sync_api import BrowserContext, Error, JSHandle, Page, Request, Response, WebSocketRoute
from quiz_hub import END, HubConnection, News

from labkit.checking import PATIENCE, NotDone, RunningInstance, until
from labkit.wire import Exchange, Wire

PASSWORD = "a long pass phrase"  # noqa: S105  (of users that live as long as a run)

NAMES = ("Ada", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gro", "Hal", "Ida", "Jon", "Kim", "Lea", "Max", "Nia", "Ole")
"""Names as people have them; each gets a number, for names are taken once."""

TOO_OFTEN = 2
"""After how many times that a page is loaded anew it is not waited for any more."""

UNKNOWN = "whoever has logged in has to log in again here: this instance does not know the log-in"

_FIGURES = """(isHiddenToo) => {
  const isShown = (element) => element
    && (isHiddenToo || element.checkVisibility({ opacityProperty: true, visibilityProperty: true }));
  const isSeen = (element) => isShown(element) && (isHiddenToo
    || (element.getBoundingClientRect().width > 0 && element.getBoundingClientRect().height > 0));
  const number = (id) => {
    const element = document.querySelector(`[data-testid="${id}"]`);
    return Number(((isSeen(element) ? element.textContent : "").match(/-?\\d+(\\.\\d+)?/) || [0])[0]);
  };
  const chart = (id) => {
    const canvas = document.getElementById(id);
    const found = isShown(canvas) && window.Chart && Chart.getChart(canvas);
    if (!found) return [];
    const plain = (value, meta) =>
      value && typeof value === "object" ? value[meta.vScale ? meta.vScale.axis : "y"] : value;
    return found.data.datasets.flatMap((set, index) => {
      if (!found.isDatasetVisible(index)) return [];
      const meta = found.getDatasetMeta(index);
      return meta.data.map((_, each) => Number(plain(meta.controller.getParsed(each), meta)));
    }).filter(Number.isFinite);
  };
  return [number("correct-answers"), number("incorrect-answers"), chart("answers-chart"), chart("average-chart")];
}"""

_HIDDEN = """(selectors) => selectors.some((each) => {
  const element = document.querySelector(each);
  return element && !element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
})"""

_HESITATION = """() => {
  const [page] = performance.getEntriesByType("navigation");
  const asked = performance.getEntriesByType("resource");
  const first = asked.find((each) => new URL(each.name).pathname.endsWith("/negotiate"));
  return page && first ? Math.max(first.startTime - page.loadEventStart, 0) / 1000 : 0;
}"""

_DRAWN = """() => ["answers-chart", "average-chart"].map((id) => {
  const canvas = document.getElementById(id);
  if (!canvas || !canvas.width || !canvas.height) return "";
  let sum = 0;
  for (const letter of canvas.toDataURL()) sum = (sum * 31 + letter.charCodeAt(0)) | 0;
  return String(sum);
})"""

_WATCH = """() => {
  const seen = [];
  const note = () => {
    const [correct, incorrect] = (FIGURES)();
    const last = seen.at(-1);
    if (!last || last[1] !== correct || last[2] !== incorrect) seen.push([Date.now(), correct, incorrect]);
  };
  new MutationObserver(note).observe(document, {
    subtree: true, childList: true, characterData: true, attributes: true,
  });
  note();
  return seen;
}""".replace("FIGURES", _FIGURES)

_IN_THE_BACKGROUND = "Document.prototype.hasFocus = () => false;"
"""Has a page be beside the window that its user works in; to a browser without windows each page has the focus."""

_OUTCOME = """() => {
  const answer = document.querySelector('[data-testid="answer"]');
  const alert = document.querySelector('[role="alert"]');
  const isSeen = answer && answer.checkVisibility() && !answer.closest("[inert]");
  return [isSeen ? answer.textContent.trim() : "", alert ? alert.textContent.trim() : ""];
}"""

_BY_WEBSOCKET = """(() => {
  const prepare = () => {
    const builder = window.signalR?.HubConnectionBuilder?.prototype;
    if (!builder || builder.byWebSocket) return;
    const { withUrl } = builder;
    builder.byWebSocket = true;
    builder.withUrl = function (url, options) {
      const others = typeof options === "object" ? options : {};
      return withUrl.call(this, url, { ...others, transport: signalR.HttpTransportType.WebSockets });
    };
    const { on } = signalR.HubConnection.prototype;
    signalR.HubConnection.prototype.on = function (name, handler) {
      (window.hubHandlers ??= []).push(name);
      return on.call(this, name, handler);
    };
  };
  prepare();
  document.addEventListener("load", prepare, true);  // of each script, before the next one runs
})();"""
"""Has a page connect by WebSocket, whichever transport it chooses, and notes which methods it has handlers for."""


@dataclass(frozen=True)
class Figures:
    """What a Statistics page shows: the counters, the slices of the pie chart, and the bars of the bar chart."""

    correct: float
    incorrect: float
    pie: tuple[float, ...]
    bars: tuple[float, ...]

    @classmethod
    def of(cls, correct: int, incorrect: int, users: int) -> "Figures":
        """What a page should show after the answers of some users."""
        total, users = correct + incorrect, max(users, 1)
        return cls(correct, incorrect, (correct, incorrect), (correct / users, incorrect / users, total / users))

    @property
    def counters(self) -> str:
        """Both counters, in words."""
        return f"{self.correct:g} correct, {self.incorrect:g} incorrect"

    @property
    def charts(self) -> str:
        """Both charts, in words."""
        return f"pie {_numbers(self.pie)}, bars {_numbers(self.bars)}"

    def named(self, with_charts: bool) -> dict[str, float]:
        """The counters, or with charts all figures, under the names that the manual has them sent by."""
        counters = {"correctAnswers": self.correct, "incorrectAnswers": self.incorrect}
        names = ("correctAnswersAverage", "incorrectAnswersAverage", "totalAnswersAverage")
        return {**counters, **dict(zip(names, self.bars, strict=False))} if with_charts else counters

    def shows(self, expected: "Figures") -> bool:
        """Whether these are the expected figures, as far as a rounded number can tell."""
        return self.has_counters_of(expected) and self.has_charts_of(expected)

    def has_counters_of(self, expected: "Figures") -> bool:
        """Whether the counters are as expected."""
        return (self.correct, self.incorrect) == (expected.correct, expected.incorrect)

    def has_charts_of(self, expected: "Figures") -> bool:
        """Whether the charts are as expected."""
        return all(
            len(mine) == len(others) and all(abs(a - b) < 0.051 for a, b in zip(mine, others, strict=True))
            for mine, others in ((self.pie, expected.pie), (self.bars, expected.bars))
        )


NOTHING = Figures(0, 0, (0, 0), (0, 0, 0))


class StatisticsPage:
    """An open Statistics page; it has a browser context, and a wire, of its own."""

    def __init__(
        self, context: BrowserContext, wire: Wire, instance: RunningInstance, user: str, has_own_clock: bool = False
    ) -> None:
        self.wire = wire
        self.user = user
        self.has_own_clock = has_own_clock
        self.page = context.new_page()
        self.url = f"{instance.url}/statistics"
        self.where = f"{user}'s Statistics page, instance {instance.number}, {self.url}"
        self.reloads = 0
        """How often the page has been loaded anew without being told to."""
        self.trouble: str | None = None
        """The first thing that a script, or its connection, asked for and did not get."""
        self.sources: tuple[set[str], set[str]] | None = None
        """Where in a message its counters may come from, correct and incorrect, as far as it has shown so far."""
        self._seen: JSHandle | None = None
        if has_own_clock:
            self.page.clock.install()
            self.page.add_init_script(_IN_THE_BACKGROUND)
        self._is_loaded = False
        self.page.on("load", lambda _: self._on_load())
        self.page.on("response", self._on_response)
        self._asking = 0
        self.page.on("request", self._on_request)
        self.page.on("requestfinished", lambda _: self._count(-1))
        self.page.on("requestfailed", lambda _: self._count(-1))

    def open(self) -> "StatisticsPage":
        """Open the page; it goes on loading meanwhile."""
        self.reloads -= 1
        self._is_loaded = False
        self.page.goto(self.url, wait_until="commit")
        return self

    def loaded(self) -> "StatisticsPage":
        """Wait until the page, with its scripts, has been loaded; from now on what it shows is noted.

        A page that is loaded anew before it gets there is not waited for: it may never get there.
        """
        if not until(self.page, lambda: self._is_loaded or self.reloads >= TOO_OFTEN, PATIENCE):
            self.page.wait_for_load_state("load", timeout=1000)
        try:
            self._seen = self.page.evaluate_handle(_WATCH)
        except Error:  # the page is being loaded anew
            self._seen = None
        return self

    def figures(self) -> Figures:
        """What the page shows now."""
        try:
            correct, incorrect, pie, bars = self.page.evaluate(_FIGURES)
        except Error:  # the page is just being loaded anew
            return NOTHING
        return Figures(correct, incorrect, tuple(pie), tuple(bars))

    def learn(self, news: News, figures: Figures) -> None:
        """Learn where in a message the figures come from that the page shows after it."""
        found = [
            {at for at, number in news.numbers.items() if number == each}
            for each in (figures.correct, figures.incorrect)
        ]
        before = self.sources or (found[0], found[1])
        self.sources = (before[0] & found[0], before[1] & found[1])

    def follows(self, news: News, figures: Figures) -> bool:
        """Whether these figures come from the message, from where they came before."""
        shown = (figures.correct, figures.incorrect)
        return self.sources is not None and all(
            any(news.numbers.get(at) == each for at in places) for places, each in zip(self.sources, shown, strict=True)
        )

    def hides(self, charts: bool) -> bool:
        """Whether a counter, or a chart, has something to show, and nobody can see it.

        A page without answers may well hide its zeros.
        """
        counters = [f'[data-testid="{name}-answers"]' for name in ("correct", "incorrect")]
        try:
            is_hidden = self.page.evaluate(_HIDDEN, ["#answers-chart", "#average-chart"] if charts else counters)
            correct, incorrect, pie, bars = self.page.evaluate(_FIGURES, True)
        except Error:
            return False
        return bool(is_hidden) and any((*pie, *bars) if charts else (correct, incorrect))

    def drawn(self) -> tuple[str, str]:
        """What the charts look like: two texts that differ if the pixels do."""
        try:
            pie, bars = self.page.evaluate(_DRAWN)
        except Error:
            return "", ""
        return pie, bars

    def shown(self) -> list[tuple[float, float, float]]:
        """What the counters have shown since the page was loaded: seconds since 1970, correct, incorrect."""
        try:
            seen = self._seen.json_value() if self._seen else []
        except Error:  # the page was loaded anew
            return []
        return [(at / 1000, correct, incorrect) for at, correct, incorrect in seen]

    def put_clock_forward(self, seconds: float) -> None:
        """Let whatever the page does every few seconds happen now."""
        self.page.clock.fast_forward(int(seconds * 1000))

    def pause_clock(self) -> None:
        """Go some seconds ahead, and from there let time pass by `let_pass` only."""
        self.page.clock.pause_at(self.page.evaluate("() => Date.now()") / 1000 + 5)

    def let_pass(self, seconds: float) -> None:
        """Let time pass, and what the page asks for then be answered, or fail."""
        self.page.clock.run_for(int(seconds * 1000))
        self.page.wait_for_timeout(10)  # real time: until it is known that the page asks
        until(self.page, lambda: self._asking <= 0, 1)

    @property
    def hub_connections(self) -> list[HubConnection]:
        """Its connections to hubs, in their order."""
        return quiz_hub.connections(self.wire)

    @property
    def connected(self) -> bool:
        """Whether the page has, or had, a connection to a hub."""
        return any(each.is_open for each in self.hub_connections)

    @property
    def has_left(self) -> bool:
        """Whether every connection that it had to a hub has ended, though its network was there."""
        had = [each for each in self.hub_connections if each.is_open]
        return bool(had) and all(each.ended for each in had)

    def news(self, since: float = 0.0) -> list[News]:
        """What the hub told this page, over any of its connections."""
        return [news for each in self.hub_connections for news in each.news if news.at >= since]

    def hesitation(self) -> float:
        """How many seconds after it was loaded the page has begun to connect to a hub, by its own clock; 0 if before.

        However busy the machine is, what a script does as it runs comes before the page counts as loaded.
        """
        try:
            return float(self.page.evaluate(_HESITATION))
        except Error:
            return 0.0

    def has_client(self) -> bool:
        """Whether the page's scripts find the SignalR client."""
        try:
            return bool(self.page.evaluate("() => typeof signalR === 'object' && 'HubConnectionBuilder' in signalR"))
        except Error:
            return False

    def _on_load(self) -> None:
        self._is_loaded = True

    def _on_request(self, request: Request) -> None:
        self._count(1)
        # A document that is asked for, however far it gets; what a script writes as the address asks for none.
        is_document = request.is_navigation_request() and request.redirected_from is None
        self.reloads += is_document and request.frame == self.page.main_frame

    def _count(self, more: int) -> None:
        self._asking += more

    def _on_response(self, response: Response) -> None:
        if response.status < 400 or response.request.resource_type not in ("script", "fetch", "xhr"):
            return
        path = urlsplit(response.url).path
        self.trouble = self.trouble or f"the page asks {path} and gets {response.status}"


class ScriptedPage(StatisticsPage):
    """A Statistics page with the official client whose hub is played by the check, so that no server is needed."""

    def __init__(self, context: BrowserContext, wire: Wire, instance: RunningInstance, user: str) -> None:
        super().__init__(context, wire, instance, user, has_own_clock=True)
        self._sockets: list[tuple[WebSocketRoute, bool]] = []
        client = resources.files("asgi_signalr") / "client" / "signalr.js"
        self.page.add_init_script(client.read_text(encoding="utf-8") + "\n" + _BY_WEBSOCKET)
        transports = [{"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}]
        negotiated = {"negotiateVersion": 1, "connectionId": "id", "connectionToken": "token"}
        answer = json.dumps({**negotiated, "availableTransports": transports})
        self.page.route(
            lambda url: "/negotiate" in url, lambda route: route.fulfill(content_type="application/json", body=answer)
        )
        self.page.route_web_socket(lambda url: True, self._serve)

    @property
    def connected(self) -> bool:
        """Whether the page has connected to the hub that is played here."""
        return bool(self._sockets)

    def handlers(self) -> list[str]:
        """The names under which the page listens to the hub."""
        try:
            return list(self.page.evaluate("() => window.hubHandlers ?? []"))
        except Error:
            return []

    def tell(self, news: News) -> None:
        """Call the method on the page, as the hub would."""
        import msgspec

        for socket, is_binary in self._sockets:
            if is_binary:
                record = msgspec.msgpack.encode([1, {}, None, news.target, list(news.arguments), []])
                length = len(record)
                size = bytearray()
                while length > 127:
                    size.append(length & 127 | 128)
                    length >>= 7
                socket.send(bytes(size) + bytes([length]) + record)
            else:
                socket.send(json.dumps({"type": 1, "target": news.target, "arguments": news.arguments}) + END)

    def _serve(self, socket: WebSocketRoute) -> None:
        is_open = False

        def from_page(payload: str | bytes) -> None:
            nonlocal is_open
            if not is_open:
                is_open = True
                self._sockets.append((socket, "messagepack" in str(payload)))
                socket.send("{}" + END)

        socket.on_message(from_page)


class PlayPage:
    """The page that asks the questions."""

    def __init__(self, page: Page, wire: Wire, instance: RunningInstance) -> None:
        self.page = page
        self.url = instance.url
        self.where = f"the Play page, instance {instance.number}, {instance.url}/"
        self.trouble: NotDone | None = None
        self._wire = wire

    def open(self) -> "PlayPage":
        """Open the page and wait for its question."""
        self.page.goto(f"{self.url}/", wait_until="commit")
        return self.ready()

    def ready(self) -> "PlayPage":
        """Wait for the question and its four options."""
        options = self.page.get_by_test_id("option")
        if not until(self.page, lambda: options.count() == 4 and options.first.is_enabled(), PATIENCE):
            heading = self.page.get_by_role("heading").first
            is_asked_to_log_in = "/account/" in urlsplit(self.page.url).path
            raise NotDone(
                expected="a question with four options",
                seen=f"“{heading.inner_text()}”" if heading.count() else "an empty page",
                where=f"{self.where} ({self.page.url})",
                cause=UNKNOWN if is_asked_to_log_in else None,
            )
        return self

    def question(self) -> str:
        """The question that is asked."""
        return self.page.get_by_test_id("question").inner_text()

    def options(self) -> list[str]:
        """The options, as they are written on the buttons."""
        return self.page.get_by_test_id("option").all_inner_texts()

    def answer(self, option: int = 0) -> tuple[str, Exchange | None]:
        """Click an option; tell what the card says then (correct, incorrect, or nothing), and what was posted."""
        asked = len(self._wire.exchanges)
        said: list[str] = self.page.evaluate(_OUTCOME)
        if said[0]:
            self.trouble = NotDone("no verdict before the answer", f"“{said[0]}” beside the question", self.where)
        self.page.get_by_test_id("option").nth(option).click()

        def has_said() -> bool:
            said[:] = self.page.evaluate(_OUTCOME)
            return any(said)

        until(self.page, has_said, PATIENCE)
        outcome, alert = said
        posts = [each for each in self._wire.exchanges[asked:] if each.method == "POST"]
        # A server closes idle connections: a request that meets that gets no answer, and the browser sends it again.
        posted = next((each for each in posts if each.status is not None), posts[0] if posts else None)
        told = {b"true": "correct", b"false": "incorrect"}.get(posted.answer if posted else b"")
        if outcome not in ("correct", "incorrect"):
            self.trouble = self.trouble or NotDone(
                expected="the card turns over and says correct or incorrect",
                seen=f"“{outcome or alert}”" if outcome or alert else "nothing after the click",
                where=self.where,
            )
        elif told and told != outcome:
            self.trouble = self.trouble or NotDone(
                expected=f"the card says {told}, as the server does", seen=f"“{outcome}”", where=self.where
            )
        return outcome, posted

    def next(self) -> "PlayPage":
        """Go on to the next question; after trouble, by opening the page again."""
        if self.trouble:
            return self.open()
        self.page.get_by_role("button", name="Next question").click()
        return self.ready()


class Player:
    """A user who has registered by the pages, and plays."""

    def __init__(self, context: BrowserContext, wire: Wire, instance: RunningInstance) -> None:
        self.context = context
        self.wire = wire
        self.name = new_name()
        page = context.new_page()
        page.goto(f"{instance.url}/account/register")
        page.get_by_label("User name").fill(self.name)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_label("Confirm password").fill(PASSWORD)
        page.get_by_role("button", name="Register").click(no_wait_after=True)
        self.play = PlayPage(page, wire, instance).ready()

    def greeting(self) -> str:
        """Who the page says is logged in."""
        return self.play.page.get_by_text(f"Hello {self.name}!").inner_text()

    def cookie(self) -> str:
        """The cookie that the log-in has given, as a request has it."""
        return next(each.header("cookie") for each in reversed(self.wire.exchanges) if each.header("cookie"))


def new_name() -> str:
    """A name that nobody has yet, of the kind that people choose."""
    return f"{secrets.choice(NAMES)}{secrets.randbelow(10**6)}"


def declared_packages(app: Any) -> dict[str, list[Any]]:
    """The requirements of an app's pyproject.toml that apply here, by the normalized names of their packages."""
    import tomllib

    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    try:
        table = tomllib.loads((app / "pyproject.toml").read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise NotDone(
            "a pyproject.toml that can be read", str(error), "pyproject.toml", f"pyproject.toml is faulty: {error}"
        ) from error
    found: dict[str, list[Any]] = {}
    for line in table.get("project", {}).get("dependencies", []):
        try:
            requirement = Requirement(line)
        except (InvalidRequirement, TypeError) as error:
            raise NotDone(
                "dependencies as `name[extra]==version`", str(line), "pyproject.toml", str(error).split("\n")[0]
            ) from error
        found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def judge_package(app: Any, name: str, extra: str | None = None) -> None:
    """Make sure that an app depends on a package, in a version that this lab has, with an extra if one is named.

    Raises NotDone that says what it depends on instead.
    """
    from importlib.metadata import version

    from packaging.utils import canonicalize_name

    packages = declared_packages(app)
    wanted = f"{name}[{extra}]" if extra else name
    declared = packages.get(name, [])
    seen = ", ".join(map(str, declared)) or ", ".join(packages) or "no dependencies"
    if extra and declared and not any(canonicalize_name(extra) in map(canonicalize_name, r.extras) for r in declared):
        seen = f"{seen}, without [{extra}]"
    elif declared and (unmet := [each for each in declared if not each.specifier.contains(version(name), True)]):
        raise NotDone(
            expected=f"{wanted} in a version that is there: {version(name)}",
            seen=str(unmet[0]),
            where=_where_declared(app, unmet[0]),
            cause=f"there is no {name} of that version: the lab has {version(name)}",
        )
    elif declared and not any(each.marker is None or each.marker.evaluate() for each in declared):
        raise NotDone(
            expected=f"{wanted} among the dependencies, here as well",
            seen=str(declared[0]),
            where=_where_declared(app, declared[0]),
            cause=f"the marker after the semicolon is not true here: {declared[0].marker}",
        )
    elif declared:
        applying = [each for each in declared if each.marker is None or each.marker.evaluate()]
        if not extra or any(canonicalize_name(extra) in map(canonicalize_name, each.extras) for each in applying):
            return
    near = next(iter(difflib.get_close_matches(name, packages, n=1)), None)
    there = next((each for each in declared if each.extras), declared[0] if declared else None)
    if there and extra and canonicalize_name(extra) in map(canonicalize_name, there.extras):
        cause = f"the marker after the semicolon is not true here: {there.marker}"
    elif there:
        cause = f"{there} is there without [{extra}]"
    elif near:
        cause = f"{near} is not {name}"
    else:
        cause = f"no entry of dependencies, in the table [project], is {wanted}"
    where = _where_declared(app, there or next(iter(packages.get(near or "", [])), None))
    line = f'"{wanted}=={version(name)}"'
    advice = f"Write {line} in {where}" if there or near else f"Write {line} among the dependencies in {where}"
    raise NotDone(
        expected=f"{wanted} among the dependencies",
        seen=seen,
        where=where,
        cause=f"{where}: {cause}",
        next=f"{advice}, then verify again.",
    )


def _where_declared(app: Any, requirement: Any) -> str:
    """The place of a requirement in an app's pyproject.toml; the file alone if that is not known."""
    from packaging.requirements import InvalidRequirement, Requirement

    lines = (app / "pyproject.toml").read_text(encoding="utf-8-sig").splitlines()
    for number, line in enumerate(lines, start=1):
        for text in re.findall(r"\"([^\"]+)\"|'([^']+)'", line):
            with suppress(InvalidRequirement):
                if requirement is not None and Requirement("".join(text)) == requirement:
                    return f"pyproject.toml:{number}"
    return "pyproject.toml"


def _numbers(numbers: tuple[float, ...]) -> str:
    return "[" + ", ".join(f"{round(number, 2):g}" for number in numbers) + "]"
