"""The quiz as its visitors see it: the pages and the hub's messages, for the checks of both exercises.

What a trainee may write in another way is not looked at: not the names of methods, nor how a page draws what it has
heard.
"""

import json
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import BrowserContext, Error, Page, Request, Response, WebSocket, WebSocketRoute

from labkit.checking import PATIENCE, NotDone, RunningInstance, until

HUB = "/signalr/statistics"
"""Where the manual has the hub mapped."""

PASSWORD = "a long pass phrase"  # noqa: S105  (of users that live as long as a run)

CONNECTING = 3.0
"""How many seconds a page that has been loaded has to begin to connect to the hub."""

BRIEFLY = 2.0
"""How many seconds are waited for what cannot make an exercise pass any more."""

END = "\x1e"
"""What ends each of a hub's messages."""

_FIGURES = """() => {
  const text = (id) => {
    const element = document.querySelector(`[data-testid="${id}"]`);
    return element && element.checkVisibility() ? element.textContent : "";
  };
  const number = (id) => Number((text(id).match(/-?\\d+/) || [0])[0]);
  const chart = (id) => {
    const found = window.Chart && Chart.getChart(id);
    return found ? found.data.datasets.flatMap((set) => set.data).map(Number) : [];
  };
  return [number("correct-answers"), number("incorrect-answers"), chart("answers-chart"), chart("average-chart")];
}"""

_OUTCOME = """() => {
  const answer = document.querySelector('[data-testid="answer"]');
  const alert = document.querySelector('[role="alert"]');
  return [answer ? answer.textContent.trim() : "", alert ? alert.textContent.trim() : ""];
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
  };
  prepare();
  document.addEventListener("load", prepare, true);  // of each script, before the next one runs
})();"""
"""Has a page connect by WebSocket, whichever transport it chooses: the others can be neither held back nor played."""


@dataclass(frozen=True)
class Figures:
    """What a Statistics page shows: the counters, the slices of the pie chart, and the bars of the bar chart."""

    correct: int
    incorrect: int
    pie: tuple[float, ...]
    bars: tuple[float, ...]

    @property
    def counters(self) -> str:
        """Both counters, in words."""
        return f"{self.correct} correct, {self.incorrect} incorrect"

    @property
    def charts(self) -> str:
        """Both charts, in words."""
        return f"pie {_numbers(self.pie)}, bars {_numbers(self.bars)}"

    def after(self, *outcomes: str) -> "Figures":
        """What one user's page should show after more answers of the same user."""
        correct = self.correct + sum(outcome == "correct" for outcome in outcomes)
        incorrect = self.incorrect + sum(outcome == "incorrect" for outcome in outcomes)
        return Figures(correct, incorrect, (correct, incorrect), (correct, incorrect, correct + incorrect))


NOTHING = Figures(0, 0, (0, 0), (0, 0, 0))


@dataclass(frozen=True)
class Invocation:
    """A hub's call of a method in the browser; of MessagePack only that there was one is known."""

    target: str
    arguments: list[Any]


@dataclass
class Connection:
    """A connection to a hub: what came over it, if it is a WebSocket."""

    url: str
    is_open: bool = False
    invocations: list[Invocation] = field(default_factory=list)

    def receive(self, payload: str | bytes) -> None:
        """Take in one frame from the server."""
        for message in messages(payload):
            if not self.is_open:
                self.is_open = message == {}
            elif message.get("type") == 1:
                self.invocations.append(Invocation(message.get("target", ""), message.get("arguments", [])))


def messages(payload: str | bytes) -> list[dict[str, Any]]:
    """The messages in a frame. A binary one other than a ping counts as an invocation of unknown content."""
    if isinstance(payload, bytes):
        if payload == b"{}" + END.encode():
            return [{}]
        return [] if payload == b"\x02\x91\x06" else [{"type": 1}]
    found = []
    for record in filter(None, payload.split(END)):
        try:
            message = json.loads(record)
        except ValueError:
            continue
        if isinstance(message, dict):
            found.append(message)
    return found


class StatisticsPage:
    """An open Statistics page; left alone, or between a hub that is played by the check and the real one."""

    def __init__(self, context: BrowserContext, instance: RunningInstance) -> None:
        self.page = context.new_page()
        self.url = f"{instance.url}/statistics"
        self.where = f"instance {instance.number}, {self.url}"
        self.loads = 0
        self.requests: list[str] = []
        self.connections: list[Connection] = []
        self.refused = False
        self.trouble: str | None = None
        """The first thing that a script, or its connection, asked for and did not get."""
        self.page.on("framenavigated", lambda frame: self._on_load() if frame == self.page.main_frame else None)
        self.page.on("request", self._on_request)
        self.page.on("response", self._on_response)
        self.page.on("websocket", self._on_websocket)

    def open(self) -> "StatisticsPage":
        """Open the page; it goes on loading meanwhile."""
        self.page.goto(self.url, wait_until="commit")
        return self

    def figures(self) -> Figures:
        """What the page shows now."""
        try:
            correct, incorrect, pie, bars = self.page.evaluate(_FIGURES)
        except Error:  # the page is just being loaded anew
            return NOTHING
        return Figures(int(correct), int(incorrect), tuple(pie), tuple(bars))

    def loaded(self) -> "StatisticsPage":
        """Wait until the page, with its scripts, has been loaded."""
        self.page.wait_for_load_state("load")
        return self

    @property
    def connected(self) -> bool:
        """Whether the page has a connection to a hub."""
        return any(connection.is_open for connection in self.connections)

    @property
    def connecting(self) -> bool:
        """Whether the page has begun to connect to a hub."""
        return bool(self.connections) or any("/negotiate" in request for request in self.requests)

    @property
    def invocations(self) -> list[Invocation]:
        """What the hub called on this page, over any of its connections."""
        return [each for connection in self.connections for each in connection.invocations]

    def has_client(self) -> bool:
        """Whether the page's scripts find the SignalR client."""
        try:
            return bool(self.page.evaluate("() => typeof signalR === 'object' && 'HubConnectionBuilder' in signalR"))
        except Error:
            return False

    def _on_load(self) -> None:
        self.loads += 1

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith("data:"):
            self.requests.append(f"{request.method} {request.url}")

    def _on_response(self, response: Response) -> None:
        if response.ok and response.request.method == "POST" and "id" in parse_qs(urlsplit(response.url).query):
            # Without a WebSocket a page posts what it sends, beginning with the handshake.
            self.connections.append(Connection(response.url, is_open=True))
        if response.status < 400 or response.request.resource_type not in ("script", "fetch", "xhr"):
            return
        path = urlsplit(response.url).path
        self.refused |= path.endswith("/negotiate")
        self.trouble = self.trouble or f"the page asks {path} and gets {response.status}"

    def _on_websocket(self, socket: WebSocket) -> None:
        connection = Connection(socket.url)
        self.connections.append(connection)
        socket.on("framereceived", lambda payload: connection.receive(payload))


class HeldPage(StatisticsPage):
    """A Statistics page whose hub's messages are held back until `release`. Its clock can be put forward.

    The clock is that of the whole context, which therefore belongs to this page alone.
    """

    def __init__(self, context: BrowserContext, instance: RunningInstance) -> None:
        super().__init__(context, instance)
        self.held: list[tuple[WebSocketRoute, str | bytes]] = []
        self.before = self.meanwhile = self.after = NOTHING
        self._asked_before = 0
        self._released = False
        self.page.clock.install()
        self.page.add_init_script(_BY_WEBSOCKET)
        self.page.route_web_socket(lambda url: True, self._between)

    def note(self) -> None:
        """Note what the page shows before something happens."""
        self.before = self.figures()
        self._asked_before = len(self.requests)

    def put_clock_forward(self) -> None:
        """Let whatever the page does every few seconds happen now; shorter than what a connection bears."""
        self.page.clock.fast_forward(14_000)

    def release(self) -> None:
        """Note what the page shows, let it have the messages, and note what it shows then."""
        if self._asked():  # the answer may be on its way still
            until(self.page, lambda: self.figures() != self.before, BRIEFLY)
        self.meanwhile = self.figures()
        self._released = True
        for page, payload in self.held:
            page.send(payload)
        if self.held:
            until(self.page, lambda: self.figures() != self.before)
        self.after = self.figures()

    def judge(self) -> None:
        """Make sure that the page changed because of the messages: after them, and not before.

        Raises NotDone that says what it did instead.
        """
        if self.meanwhile != self.before:
            asked = self._asked()
            raise NotDone(
                expected="nothing changes on the page while the hub's message is held back",
                seen=f"it showed {self.meanwhile.counters} all the same" + (f", after {asked[0]}" if asked else ""),
                where=self.where,
                cause="the page reloads, or asks the server again and again, instead of listening to the hub",
            )
        if not self.held:
            raise NotDone(
                expected="the news comes over the page's own connection to the hub",
                seen="no message came over it" if self.connected else "the page has no connection to a hub",
                where=self.where,
                cause=self.trouble,
            )
        if self.after == self.before:
            raise NotDone(
                expected="the page changes once the hub's message arrives",
                seen=f"still {self.after.counters}",
                where=self.where,
            )

    def _asked(self) -> list[str]:
        """What the page has asked for since `note`, other than a connection."""
        return [request for request in self.requests[self._asked_before :] if "/negotiate" not in request]

    def _between(self, page: WebSocketRoute) -> None:
        server = page.connect_to_server()

        def from_server(payload: str | bytes) -> None:
            if not self._released and any(message.get("type") == 1 for message in messages(payload)):
                self.held.append((page, payload))
            else:
                page.send(payload)

        server.on_message(from_server)


class ScriptedPage(StatisticsPage):
    """A Statistics page with the official client whose hub is played by the check, so that no server is needed."""

    def __init__(self, context: BrowserContext, instance: RunningInstance) -> None:
        super().__init__(context, instance)
        self._sockets: list[WebSocketRoute] = []
        client = resources.files("asgi_signalr") / "client" / "signalr.js"
        self.page.add_init_script(client.read_text(encoding="utf-8") + "\n" + _BY_WEBSOCKET)
        transports = [{"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}]
        negotiated = {"negotiateVersion": 1, "connectionId": "id", "connectionToken": "token"}
        answer = json.dumps({**negotiated, "availableTransports": transports})
        self.page.route(
            lambda url: "/negotiate" in url, lambda route: route.fulfill(content_type="application/json", body=answer)
        )
        self.page.route_web_socket(lambda url: True, self._serve)

    def call(self, invocation: Invocation) -> None:
        """Call the method on the page, as the hub would."""
        message = {"type": 1, "target": invocation.target, "arguments": invocation.arguments}
        for socket in self._sockets:
            socket.send(json.dumps(message) + END)

    def _serve(self, socket: WebSocketRoute) -> None:
        connection = Connection(socket.url)
        self.connections.append(connection)

        def from_page(payload: str | bytes) -> None:
            if not connection.is_open:
                connection.is_open = True
                self._sockets.append(socket)
                socket.send("{}" + END)

        socket.on_message(from_page)

    def _on_websocket(self, socket: WebSocket) -> None:
        """Nothing real is expected: `_serve` has them all."""


class Listener:
    """A connection to the hub without any page of the quiz."""

    def __init__(self, context: BrowserContext, instance: RunningInstance, path: str = HUB) -> None:
        self.page = context.new_page()
        address = instance.url.replace("http", "ws", 1) + path
        self._connection = Connection(address)
        self.connecting = True
        self.refused = False
        self.page.on("websocket", self._on_websocket)
        # A page of the same origin that has no script; one that is made up may not connect (local network access).
        self.page.goto(f"{instance.url}/healthz")
        self.page.evaluate(
            """([address, hello]) => {
              const socket = new WebSocket(address);
              socket.onopen = () => socket.send(hello);
            }""",
            [address, json.dumps({"protocol": "json", "version": 1}) + END],
        )

    @property
    def connected(self) -> bool:
        """Whether the hub has accepted the connection."""
        return self._connection.is_open

    @property
    def invocations(self) -> list[Invocation]:
        """What the hub called."""
        return self._connection.invocations

    def _on_websocket(self, socket: WebSocket) -> None:
        socket.on("framereceived", lambda payload: self._connection.receive(payload))
        socket.on("close", lambda _: self._on_close())
        socket.on("socketerror", lambda _: self._on_close())

    def _on_close(self) -> None:
        self.refused = True


def wait_for_connections(pages: Sequence[StatisticsPage | Listener]) -> None:
    """Wait until each of these is connected to its hub, was refused, or has not even begun to connect."""
    begun = time.monotonic()

    def is_settled(each: StatisticsPage | Listener) -> bool:
        late = time.monotonic() > begun + CONNECTING
        return each.connected or each.refused or (late and not each.connecting)

    until(pages[0].page, lambda: all(map(is_settled, pages)), PATIENCE)


class PlayPage:
    """The page that asks the questions."""

    def __init__(self, page: Page, instance: RunningInstance) -> None:
        self.page = page
        self.url = instance.url
        self.where = f"instance {instance.number}, {instance.url}/"
        self.trouble: NotDone | None = None

    def open(self) -> "PlayPage":
        """Open the page and wait for its question."""
        self.page.goto(f"{self.url}/", wait_until="commit")
        return self.ready()

    def ready(self) -> "PlayPage":
        """Wait for the question and its four options."""
        options = self.page.get_by_test_id("option")
        if not until(self.page, lambda: options.count() == 4 and options.first.is_enabled(), PATIENCE):
            heading = self.page.get_by_role("heading").first
            raise NotDone(
                expected="a question with four options",
                seen=f"“{heading.inner_text()}”" if heading.count() else "an empty page",
                where=f"{self.where} ({self.page.url})",
            )
        return self

    def answer(self) -> str:
        """Click the first option, and tell what the card says then: correct, incorrect, or nothing."""
        self._show()
        self.page.get_by_test_id("option").first.click()
        said: list[str] = ["", ""]

        def has_said() -> bool:
            said[:] = self.page.evaluate(_OUTCOME)
            return any(said)

        until(self.page, has_said)
        outcome, alert = said
        if outcome not in ("correct", "incorrect") and self.trouble is None:
            self.trouble = NotDone(
                expected="the card turns over and says correct or incorrect",
                seen=f"“{outcome or alert}”" if outcome or alert else "nothing after the click",
                where=self.where,
            )
        return outcome

    def next(self) -> "PlayPage":
        """Go on to the next question; after trouble, by opening the page again."""
        if self.trouble:
            return self.open()
        self._show()
        self.page.get_by_role("button", name="Next question").click()
        return self.ready()

    def _show(self) -> None:
        """Bring the page before the others: a browser draws one that nobody sees once a second only."""
        self.page.bring_to_front()


class Player:
    """A user who has registered by the pages, and plays."""

    def __init__(self, context: BrowserContext, instance: RunningInstance) -> None:
        self.context = context
        self.name = f"player-{secrets.token_hex(4)}"
        page = context.new_page()
        page.goto(f"{instance.url}/account/register")
        page.get_by_label("User name").fill(self.name)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_label("Confirm password").fill(PASSWORD)
        page.get_by_role("button", name="Register").click(no_wait_after=True)
        self.play = PlayPage(page, instance).ready()

    def greeting(self) -> str:
        """Who the page says is logged in."""
        return self.play.page.get_by_text(f"Hello {self.name}!").inner_text()


def register_by_request(context: BrowserContext, instance: RunningInstance) -> bool:
    """Register another user in this context, without the pages; tells whether it worked."""
    form = {"name": f"listener-{secrets.token_hex(4)}", "password": PASSWORD, "confirm": PASSWORD}
    return bool(context.request.post(f"{instance.url}/account/register", form=form, max_redirects=0).status == 303)


def negotiate(context: BrowserContext, instance: RunningInstance, path: str = HUB) -> int:
    """Ask the hub for a connection, and tell the status of its answer."""
    answer = context.request.post(f"{instance.url}{path}/negotiate?negotiateVersion=1", max_redirects=0)
    return int(answer.status)


def declared_packages(app: Any) -> dict[str, set[str]]:
    """The packages that an app's pyproject.toml depends on, with the extras asked for."""
    import re
    import tomllib

    try:
        table = tomllib.loads((app / "pyproject.toml").read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise NotDone("a pyproject.toml that can be read", str(error), where="pyproject.toml") from error
    found: dict[str, set[str]] = {}
    for line in table.get("project", {}).get("dependencies", []):
        match = re.match(r"\s*([A-Za-z0-9._-]+)\s*(?:\[([^\]]*)\])?", line)
        if match:
            name = re.sub(r"[-_.]+", "-", match[1]).lower()
            found.setdefault(name, set()).update(part.strip() for part in (match[2] or "").split(",") if part.strip())
    return found


@pytest.fixture(scope="session")
def player(new_browser_context: Callable[..., BrowserContext], instances: tuple[RunningInstance, ...]) -> Player:
    """A new user on the Play page of the first instance."""
    return Player(new_browser_context(), instances[0])


def _numbers(numbers: tuple[float, ...]) -> str:
    return "[" + ", ".join(f"{number:g}" for number in numbers) + "]"
