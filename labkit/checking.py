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
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from labkit.browser import user_agent
from labkit.recording import Recorder
from labkit.verify.causes.finding import Side as Side
from labkit.verify.stage import Databases as Databases
from labkit.verify.stage import RunningInstance as RunningInstance
from labkit.verify.stage import Stage as Stage
from labkit.verify.stage import StandIn as StandIn
from labkit.wire import Wire

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

    from labkit.verify.causes import Facts, Finding
    from labkit.verify.report import Check

WAIT = 5.0
"""How many seconds an expected change may take before it counts as not done."""

PATIENCE = 15.0
"""How many seconds a page may take to load, or to have what is to be clicked."""

BUDGET = 60.0
"""How many seconds a whole check may take, unless `@pytest.mark.budget` says otherwise."""


class NotDone(Exception):  # noqa: N818  (a verdict, not an error)
    """The trainee's app does not do yet what the check expects; each part is a sentence or a few words.

    A cause that the check only supposes gives way to one that labkit finds, with its line; one that `is_sure` does not.
    It is looked for on one `side` only, if the check has seen which one is at fault.
    """

    def __init__(
        self,
        expected: str,
        seen: str,
        where: str | None = None,
        cause: str | None = None,
        next: str | None = None,
        is_sure: bool = False,
        side: Side | None = None,
    ) -> None:
        super().__init__(f"expected {expected}, seen {seen}")
        self.expected = expected
        self.seen = seen
        self.where = where
        self.cause = cause
        self.next = next
        self.is_sure = is_sure
        self.side = side


class Hooks:
    """The hooks of pytest that a plugin of a lab's checks may have besides."""

    @pytest.hookspec
    def pytest_labkit_context(self, context: "BrowserContext") -> None:
        """A browser context was made; nothing has used it yet."""

    @pytest.hookspec(firstresult=True)
    def pytest_labkit_cause(self, facts: "Facts", check: "Check") -> "Finding | None":
        """The cause of a check's failure, if it is one of those that only this lab knows of."""


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks."""
    pluginmanager.add_hookspecs(Hooks)


STAGE: pytest.StashKey[Callable[[], Stage]] = pytest.StashKey()
"""How the checking process gets its stage: waits until the app runs."""

LAUNCH: pytest.StashKey[dict[str, Any]] = pytest.StashKey()
"""How the browser is launched."""

RECORDER: pytest.StashKey[Recorder] = pytest.StashKey()


def hopeless() -> NotDone | None:
    """Why nothing that a check waits for can come any more; the checking process puts its own in place of this."""
    return None


_LOOK = 0.5
"""After how many seconds `until` looks again whether there is any hope."""


def until(page: "Page", holds: Callable[[], bool], seconds: float = WAIT) -> bool:
    """Let the browser work until `holds()`, for some seconds at most; tells whether it came to hold.

    Raises NotDone if it cannot come to hold any more, because the app has ended or hangs.
    """
    begun = asked = time.monotonic()
    pause = 10.0
    while not holds():
        now = time.monotonic()
        if now > begun + seconds or page.is_closed():
            return False
        if now > asked + _LOOK:
            asked = now
            if trouble := hopeless():
                raise trouble
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
        context = browser.new_context(**{"user_agent": user_agent(browser.version), **options})
        context.set_default_timeout(PATIENCE * 1000)
        recorder.record(context)
        pytestconfig.hook.pytest_labkit_context(context=context)
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
