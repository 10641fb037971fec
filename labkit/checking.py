"""What checks are written with: an ordinary pytest plugin, loaded by `labkit verify` beside pytest-playwright.

A check is a test in `exercises/*/checks/`. Its docstring is the line that the trainee reads, and it says what is true
once its task is done::

    @pytest.mark.task(2)
    @pytest.mark.snippets("notify-updates-call")
    def test_an_answer_is_told_to_every_page(answered):
        \"\"\"After an answer, every open page is told.\"\"\"
        if not answered.messages:
            raise NotDone(expected="a message after the answer", seen="none within 5 s")

Fixtures of session scope do things in the browser and record what they see; they never judge. If a fixture raises all
the same, the first check that needs it is told so and the others are skipped. Playwright's own `expect` and plain
`assert` are fine as well: their failures are *not done*, any other exception is the checker's fault.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labkit.postgres import Server
from labkit.wire import Wire

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, WebSocket

WAIT = 5.0
"""How many seconds an expected change may take before it counts as not done."""

PATIENCE = 15.0
"""How many seconds a page may take to load, or to have what is to be clicked."""

BUDGET = 60.0
"""How many seconds a whole check may take, unless `@pytest.mark.budget` says otherwise."""


class NotDone(Exception):  # noqa: N818  (a verdict, not an error)
    """The trainee's app does not do yet what the check expects; each part is a sentence or a few words."""

    def __init__(
        self,
        expected: str,
        seen: str,
        where: str | None = None,
        cause: str | None = None,
        next: str | None = None,  # noqa: A002  (the word of the reports)
    ) -> None:
        super().__init__(f"expected {expected}, seen {seen}")
        self.expected = expected
        self.seen = seen
        self.where = where
        self.cause = cause
        self.next = next


@dataclass(frozen=True)
class RunningInstance:
    """One running instance of the app under verification."""

    number: int
    url: str
    log: Path

    def lines(self) -> list[str]:
        """Its log so far."""
        return self.log.read_text(encoding="utf-8", errors="replace").splitlines() if self.log.exists() else []


@dataclass(frozen=True)
class Databases:
    """What is known of the lab's databases, none of which the checks change.

    `named` is the name that the trainee's code has, `existing` what the lab's server has, `listening` those of them
    where LISTEN works. `server` is verify's own, which has databases of all these names and which the instances use.
    """

    named: str | None
    existing: tuple[str, ...]
    listening: tuple[str, ...]
    server: Server


@dataclass(frozen=True)
class Stage:
    """Everything that a check may look at besides the browser; `app` is the copy of the app folder that runs."""

    app: Path
    instances: tuple[RunningInstance, ...]
    databases: Databases | None
    todo: Mapping[str, str] = field(default_factory=dict)
    """The TODO lines that are still there: name to `path:line`."""

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Stage":
        """Read what the command sent."""
        databases = document["databases"]
        return cls(
            app=Path(document["app"]),
            instances=tuple(
                RunningInstance(each["number"], each["url"], Path(each["log"])) for each in document["instances"]
            ),
            databases=Databases(
                databases["named"],
                tuple(databases["existing"]),
                tuple(databases["listening"]),
                Server(databases["server"]),
            )
            if databases
            else None,
            todo=document["todo"],
        )


STAGE: pytest.StashKey[Callable[[], Stage]] = pytest.StashKey()
"""How the checking process gets its stage: waits until the app runs."""

LAUNCH: pytest.StashKey[dict[str, Any]] = pytest.StashKey()
"""How the browser is launched."""

RECORDER: pytest.StashKey["Recorder"] = pytest.StashKey()


def until(page: "Page", holds: Callable[[], bool], seconds: float = WAIT) -> bool:
    """Let the browser work until `holds()`, for some seconds at most; tells whether it came to hold."""
    deadline, pause = time.monotonic() + seconds, 10.0
    while not holds():
        if time.monotonic() > deadline:
            return False
        page.wait_for_timeout(pause)  # Playwright delivers events only while one of its calls waits
        pause = min(pause * 1.2, 100)
    return True


@pytest.fixture(scope="session")
def browser_type_launch_args(pytestconfig: pytest.Config) -> dict[str, Any]:
    """What pytest-playwright launches the browser with."""
    return pytestconfig.stash[LAUNCH]


@pytest.fixture(scope="session", autouse=True)
def stage(browser: "Browser", pytestconfig: pytest.Config) -> Stage:
    """The running app. The browser is launched first, while the app still starts."""
    return pytestconfig.stash[STAGE]()


@pytest.fixture(scope="session")
def instances(stage: Stage) -> tuple[RunningInstance, ...]:
    """The running instances, in the order of their numbers."""
    return stage.instances


@pytest.fixture(scope="session")
def databases(stage: Stage) -> Databases:
    """The databases, in an exercise that has `[database]`."""
    if stage.databases is None:
        raise TypeError("exercise.toml has no [database]")
    return stage.databases


@pytest.fixture(scope="session")
def new_browser_context(browser: "Browser", pytestconfig: pytest.Config) -> "Iterator[Callable[..., BrowserContext]]":
    """Makes a browser context, a browser of its own so to speak, whose trace and messages are kept on a failure."""
    recorder = pytestconfig.stash[RECORDER]

    def make(**options: Any) -> "BrowserContext":
        context = browser.new_context(**options)
        context.set_default_timeout(PATIENCE * 1000)
        recorder.record(context)
        return context

    yield make
    recorder.close()


@pytest.fixture(scope="session")
def new_wire() -> "Iterator[Callable[[], Wire]]":
    """Makes a wire, a browser context's own way to the app: `new_browser_context(proxy=wire.proxy)`."""
    made: list[Wire] = []

    def make() -> Wire:
        made.append(Wire())
        return made[-1]

    yield make
    for wire in made:
        wire.close()


@pytest.fixture
def context(
    new_browser_context: "Callable[..., BrowserContext]",
    instances: tuple[RunningInstance, ...],
    pytestconfig: pytest.Config,
) -> "Iterator[BrowserContext]":
    """A browser context for one check; addresses are relative to the first instance."""
    made = new_browser_context(base_url=instances[0].url)
    yield made
    pytestconfig.stash[RECORDER].close(made)
    made.close()


@pytest.fixture
def page(context: "BrowserContext") -> "Page":
    """A page for one check."""
    return context.new_page()


class Recorder:
    """Keeps what the browser did: a trace, the console and the WebSockets' frames of each context.

    A context belongs to the fixture, or the check, that made it.
    """

    def __init__(self, folder: Path, pictures: Path | None = None) -> None:
        self._folder = folder
        self._pictures = pictures
        self._recordings: list[_Recording] = []
        self.makers: list[str] = []
        """The fixtures being set up, and before them the check."""

    def record(self, context: "BrowserContext") -> None:
        """Begin to record a new context."""
        maker = self.makers[-1] if self.makers else "browser"
        same = sum(each.maker == maker for each in self._recordings)
        folder = self._folder / (maker if not same else f"{maker}-{same + 1}")
        self._recordings.append(_Recording(maker, folder, context))

    def keep(self, makers: set[str]) -> list[str]:
        """Write the evidence of what these made, once, and tell the files; the traces follow at the end."""
        return [path for each in self._recordings if each.maker in makers for path in each.kept]

    def page_errors(self, makers: set[str]) -> list[str]:
        """The errors of pages' scripts."""
        return [error for each in self._recordings if each.maker in makers for error in each.errors]

    def close(self, context: "BrowserContext | None" = None) -> None:
        """End one recording, or all; the traces of what was kept are written."""
        for each in [each for each in self._recordings if context is None or each.context is context]:
            if self._pictures:
                each.photograph(self._pictures)
            each.close()
            self._recordings.remove(each)


class _Recording:
    """The recording of one context."""

    def __init__(self, maker: str, folder: Path, context: "BrowserContext") -> None:
        self.maker = maker
        self.errors: list[str] = []
        self.context = context
        self._folder = folder
        self._console: list[str] = []
        self._frames: list[str] = []
        context.tracing.start(snapshots=True, screenshots=False, sources=False)
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self._on_error(error.page.url if error.page else "", str(error.error)))
        context.on("page", lambda page: page.on("websocket", self._on_websocket))

    @cached_property
    def kept(self) -> list[str]:
        """Write it down, and tell the files."""
        self._folder.mkdir(parents=True, exist_ok=True)
        files = [self._folder / "trace.zip", self._folder / "console.log", self._folder / "websocket.log"]
        files += self.photograph(self._folder)
        self._write()
        return [str(path) for path in files]

    def photograph(self, folder: Path) -> list[Path]:
        """Take a screenshot of each page into that folder, and tell the files."""
        from playwright.sync_api import Error

        files = []
        for number, page in enumerate(self.context.pages, start=1):
            path = folder / f"{self._folder.name}-{number}.png"
            try:
                page.screenshot(path=path, timeout=5000)
                files.append(path)
            except Error as error:
                self._console.append(f"(no screenshot of {page.url}: {error.message})")
        return files

    def close(self) -> None:
        """Stop recording; the trace is written if the rest was."""
        kept = "kept" in self.__dict__
        self.context.tracing.stop(path=self._folder / "trace.zip" if kept else None)
        if kept:
            self._write()

    def _write(self) -> None:
        for name, lines in (("console.log", self._console), ("websocket.log", self._frames)):
            (self._folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")

    def _on_console(self, message: "ConsoleMessage") -> None:
        self._console.append(f"{message.page.url if message.page else ''} {message.type}: {message.text}")

    def _on_error(self, url: str, error: str) -> None:
        self.errors.append(error.split("\n")[0])
        self._console.append(f"{url} uncaught: {error}")

    def _on_websocket(self, socket: "WebSocket") -> None:
        started = time.monotonic()

        def note(what: str) -> Callable[[Any], None]:
            def line(payload: Any) -> None:
                text = f" {payload!r}" if isinstance(payload, str | bytes) else ""
                self._frames.append(f"{socket.url} {time.monotonic() - started:.3f} s {what}{text}")

            return line

        self._frames.append(f"{socket.url} opened")
        socket.on("framesent", note("sent"))
        socket.on("framereceived", note("received"))
        socket.on("close", note("closed"))
