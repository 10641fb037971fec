"""A trainee's mistakes, and word for word the cause and the next step that verify tells: one file in golden/ for each.

The whole lab is played for each of them; what needs no browser is in `test_causes` and `test_signalr_causes`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.author.mutants import Edit, Solution
from labkit.files import read_text
from labkit.lab import find_lab
from labkit.verify.report import Report, Verdict
from labkit.verify.run import verify
from labkit.verify.subject import Subject
from labkit.verify.warm import Warm

GOLDEN = Path(__file__).parent / "golden"
EX1, EX2 = find_lab().exercise("ex1"), find_lab().exercise("ex2")
SCRIPT, PAGE, BASE = (
    "geekquiz/static/statistics.js",
    "geekquiz/templates/statistics.html",
    "geekquiz/templates/base.html",
)
SERVICE, TRIVIA, STARTUP = "geekquiz/statistics.py", "geekquiz/trivia.py", "geekquiz/startup.py"
HUB, PROJECT = "geekquiz/hubs/statistics.py", "pyproject.toml"
CLIENT, OWN = '<script src="/signalr/signalr.js"></script>\n', '<script src="/static/statistics.js"></script>\n'
CALL = "    await StatisticsService(session).notify_updates()\n"
BACKPLANE = 'use_backplane(f"{settings.database_server}/signalr")'
METHOD, CODE = (EX1.snippets[name].text for name in ("notify-updates-method", "signalr-client-code"))
IN_CLASS = "".join(f"    {line}\n" for line in METHOD.splitlines())


def mistake(*edits: Edit, without: tuple[str, ...] = (), ex2: bool = False) -> Solution:
    """The end with one mistake in it; `without` are snippets whose TODO lines are still there."""
    return Solution(EX2 if ex2 else EX1, "", "", right=False, edits=edits, without=without)


MISTAKES = {
    "answer-that-never-comes": mistake(Edit(TRIVIA, CALL, "    import asyncio\n    await asyncio.Event().wait()\n")),
    "await-forgotten-before-generate": mistake(Edit(SERVICE, "await self.generate()", "self.generate()")),
    "await-forgotten-before-send": mistake(Edit(SERVICE, "await hub.clients", "hub.clients")),
    "await-forgotten-before-the-service": mistake(Edit(TRIVIA, "await StatisticsService", "StatisticsService")),
    "backplane-with-a-letter-missing": mistake(Edit(STARTUP, "use_backplane", "use_backplan"), ex2=True),
    "backplane-without-a-slash": mistake(Edit(STARTUP, BACKPLANE, BACKPLANE.replace("/", "")), ex2=True),
    "backplane-without-the-f": mistake(Edit(STARTUP, BACKPLANE, BACKPLANE.replace('f"', '"')), ex2=True),
    "base-template-deleted": mistake(Edit(BASE, delete=True)),
    "block-removed": mistake(Edit(BASE, "  {% block scripts %}{% endblock %}\n", "")),
    "call-after-the-return": mistake(
        Edit(TRIVIA, CALL, ""), Edit(TRIVIA, "    return option.is_correct\n", f"    return option.is_correct\n{CALL}")
    ),
    "call-before-the-commit": mistake(
        Edit(TRIVIA, f"    await session.commit()\n{CALL}", f"{CALL}    await session.commit()\n")
    ),
    "code-below-its-todo-line": mistake(
        Edit(SCRIPT, "// TODO signalr-client-code", f"{CODE}// TODO signalr-client-code"),
        Edit(SCRIPT, '"updateStatistics"', '"updateStats"'),
        without=("signalr-client-code",),
    ),
    "code-in-the-page": mistake(Edit(PAGE, OWN, f"{OWN}<script>\n{CODE}</script>\n"), without=("signalr-client-code",)),
    "code-pasted-twice": mistake(Edit(SCRIPT, CODE, f"{CODE}\n{CODE}")),
    "colon-missing": mistake(Edit(SERVICE, "notify_updates(self) -> None:", "notify_updates(self) -> None")),
    "end-of-a-block-mistyped": mistake(Edit(BASE, "scripts %}{% endblock %}", "scripts %}{% endblok %}")),
    "everybody-may-connect": mistake(Edit(HUB, ", authorize=True", "")),
    "fifth-space": mistake(Edit(SERVICE, "        statistics = await", "         statistics = await")),
    "handler-that-throws": mistake(
        Edit(SCRIPT, "  showStatistics(statistics);\n});", "  showStatistcs(statistics);\n});")
    ),
    "hub-deleted": mistake(Edit(HUB, delete=True)),
    "hub-elsewhere-in-the-page": mistake(Edit(SCRIPT, "/signalr/statistics", "/signalr/statistic")),
    "hub-elsewhere-on-the-server": mistake(Edit(HUB, '"/statistics"', '"/statistcs"')),
    "import-forgotten": mistake(Edit(TRIVIA, "from .statistics import StatisticsService\n", "")),
    "import-forgotten-at-the-start": mistake(Edit(STARTUP, "from .hubs.statistics import signalr\n", "")),
    "main-deleted": mistake(Edit("geekquiz/main.py", delete=True)),
    "method-in-another-file": mistake(
        Edit(HUB, 'connected to this hub."""\n', f'connected to this hub."""\n\n{IN_CLASS}'),
        without=("notify-updates-method",),
    ),
    "method-mistyped": mistake(Edit(TRIVIA, "notify_updates()", "notify_update()")),
    "method-outside-the-class": mistake(Edit(SERVICE, f"\n{IN_CLASS}", f"\n\n{METHOD}")),
    "name-in-another-case": mistake(Edit(SCRIPT, "new signalR.", "new SignalR.")),
    "other-database": mistake(Edit(STARTUP, '/signalr")', '/signaIr2")'), ex2=True),
    "other-name-in-the-page": mistake(Edit(SCRIPT, 'on("updateStatistics"', 'on("updateStatistic"')),
    "other-name-on-the-server": mistake(Edit(SERVICE, '"updateStatistics"', '"updateStats"')),
    "package-mistyped": mistake(Edit(PROJECT, "asgi-signalr", "asgi-signlr")),
    "package-not-added": mistake(without=("signalr-package",)),
    "placeholder-left": mistake(Edit(STARTUP, '/signalr")', '/<YOUR-DATABASE>")'), ex2=True),
    "project-deleted": mistake(Edit(PROJECT, delete=True)),
    "project-saved-as-utf-16": mistake(Edit(PROJECT, encoding="utf-16")),
    "project-without-a-quote": mistake(Edit(PROJECT, '"asgi-signalr==0.1.0",\n', '"asgi-signalr==0.1.0,\n')),
    "quotes-of-a-text-editor": mistake(Edit(STARTUP, 'app.mount("/signalr"', "app.mount(“/signalr”")),
    "quotes-of-a-text-editor-in-the-page": mistake(Edit(SCRIPT, '"updateStatistics"', "“updateStatistics”")),
    "quotes-of-a-text-editor-in-the-project": mistake(Edit(PROJECT, '"asgi-signalr==0.1.0"', "“asgi-signalr==0.1.0”")),
    "return-without-a-handler": mistake(
        Edit(
            SCRIPT, "onreconnected(() => location.reload())", 'onreconnected(() => connection.off("updateStatistics"))'
        )
    ),
    "script-deleted": mistake(Edit(SCRIPT, delete=True)),
    "script-emptied": mistake(Edit(SCRIPT, write="")),
    "script-in-the-wrong-order": mistake(Edit(PAGE, CLIENT, ""), Edit(PAGE, OWN, OWN + CLIENT)),
    "script-no-longer-loaded": mistake(Edit(PAGE, OWN, "")),
    "script-mistyped": mistake(Edit(PAGE, "/signalr/signalr.js", "/signalr/signalR.js")),
    "send-forgotten": mistake(
        Edit(SERVICE, '        await hub.clients.all.send("updateStatistics", statistics)\n', "")
    ),
    "service-saved-in-an-old-encoding": mistake(
        Edit(SERVICE, '"""Send the new', '"""Send, à chacun, the new'), Edit(SERVICE, encoding="cp1252")
    ),
    "template-deleted": mistake(Edit(PAGE, delete=True)),
}


@pytest.fixture(scope="module")
def warm() -> Iterator[Warm]:
    """A browser for all of them."""
    with Warm() as made:
        yield made


def told(report: Report) -> str:
    """What verify says about a solution that is wrong, each of it once."""
    failed = [result for _, result in report.results if result.verdict is Verdict.NOT_DONE]
    said = "\n".join(dict.fromkeys(f"cause  {each.cause}\nnext   {each.next}\n" for each in failed))
    return re.sub(r"\(instance \d\)", "(instance N)", said)  # which of them ends first differs


def test_every_golden_file_has_its_mistake() -> None:
    assert sorted(path.stem for path in GOLDEN.iterdir()) == sorted(MISTAKES)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_a_mistake_is_told_word_for_word(tmp_path: Path, name: str, warm: Warm) -> None:
    solution = MISTAKES[name]
    solution.make(tmp_path / "app")
    report = verify(Subject(solution.exercise, tmp_path / "app", "end", None), nothing=True, warm=warm)
    assert told(report) == read_text(GOLDEN / f"{name}.txt")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hub-elsewhere-in-the-page", "script-in-the-wrong-order"])
def test_a_page_that_does_not_connect_fails_the_task_that_is_about_it(tmp_path: Path, name: str, warm: Warm) -> None:
    MISTAKES[name].make(tmp_path / "app")
    report = verify(Subject(EX1, tmp_path / "app", "end", None), [EX1.task("2")], nothing=True, warm=warm)
    assert not report.passed
    assert told(report) == read_text(GOLDEN / f"{name}.txt")


def test_no_sentence_ends_twice() -> None:
    for path in GOLDEN.iterdir():
        assert re.findall(r"(?<!\.)[.?!]\.(?=\s)", read_text(path)) == [], path.name
