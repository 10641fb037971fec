"""The lab's own checks: each part of the solution is missed when it is missing, in whatever way it was written."""

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from labkit import changes, insertion, workspace
from labkit.lab import Exercise, find_lab
from labkit.postgres import Server
from labkit.verify.report import Report, Result, Verdict
from labkit.verify.run import verify
from labkit.verify.subject import Subject

LAB = find_lab()
QUICK = {"statistics-hub-class", "notify-updates-call"}
"""The snippets whose absence every run of the suite tries; the others are `slow`."""

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make an app folder: begin with all snippets but some, then edited; edits are `(path, old, new)`."""

    def made(exercise: Exercise, *edits: tuple[str, str, str], without: str | None = None, name: str = "app") -> Path:
        folder = tmp_path / name
        workspace.copy_app(exercise.begin, folder)
        wanted = [snippet for snippet in exercise.snippets if snippet != without]
        changes.write(folder, insertion.insert(folder, exercise, wanted))
        for path, old, new in edits:
            text = (folder / path).read_text(encoding="utf-8")
            assert old in text, f"{path} has no {old}"
            (folder / path).write_text(text.replace(old, new), encoding="utf-8")
        return folder

    return made


def verified(exercise: Exercise, folder: Path) -> Report:
    return verify(Subject(exercise, folder, "end", None))


def failed(report: Report) -> dict[str, Result]:
    return {
        check.id: result for check, result in report.results if result.verdict not in (Verdict.PASSED, Verdict.SKIPPED)
    }


@pytest.mark.parametrize("exercise", LAB.exercises, ids=lambda exercise: exercise.id)
def test_the_solution_passes(exercise: Exercise) -> None:
    report = verified(exercise, exercise.end)
    assert failed(report) == {}
    assert (report.passed, report.exit_code) == (True, 0)


@pytest.mark.parametrize("exercise", LAB.exercises, ids=lambda exercise: exercise.id)
def test_at_the_beginning_each_check_of_a_task_with_code_fails_for_its_own_reason(exercise: Exercise) -> None:
    report = verify(Subject(exercise, exercise.begin, "begin", None))
    coded = {task.id for task in exercise.tasks if any(step.snippet for step in task.steps)}
    results = [(check.id, result) for check, result in report.results if check.task in coded]
    assert {id_: result.verdict for id_, result in results} == {id_: Verdict.NOT_DONE for id_, _ in results}
    assert len({(result.expected, result.seen) for _, result in results}) == len(results)
    assert all(result.snippet and result.cause and result.next and result.where for _, result in results)
    first = [result.verdict for check, result in report.results if check.task == exercise.tasks[0].id]
    assert set(first) == {Verdict.PASSED}


@pytest.mark.parametrize(
    ("exercise", "snippet"),
    [
        pytest.param(exercise, name, id=name, marks=[] if name in QUICK else [pytest.mark.slow])
        for exercise in LAB.exercises
        for name in exercise.snippets
    ],
)
def test_a_missing_snippet_is_not_done_and_named(make: Make, exercise: Exercise, snippet: str) -> None:
    report = verified(exercise, make(exercise, without=snippet))
    found = failed(report)
    assert report.exit_code == 1
    assert {result.verdict for result in found.values()} == {Verdict.NOT_DONE}
    assert {result.snippet for result in found.values()} == {snippet}, found


EX1, EX2 = LAB.exercises
SCRIPT = "geekquiz/static/statistics.js"
HANDLER = "  showStatistics(statistics);\n});"
SERVE_STATISTICS = (
    "geekquiz/home.py",
    '@router.get("/healthz")',
    '@router.get("/api/statistics")\n'
    "async def get_statistics(_user: CurrentUser, session: SessionDep) -> dict[str, float]:\n"
    '    """The figures of this moment."""\n'
    "    return await StatisticsService(session).generate()\n\n\n"
    '@router.get("/healthz")',
)
POLL = """
setInterval(async () => showStatistics(await (await fetch("/api/statistics")).json()), INTERVAL);
"""
FINAL_LINE = 'connection.start().then(() => showFreshness("Live", true), console.error);'


@pytest.mark.slow
def test_another_name_for_the_methods_is_as_good(make: Make) -> None:
    folder = make(
        EX1,
        (SCRIPT, '"updateStatistics"', '"newFigures"'),
        ("geekquiz/statistics.py", '"updateStatistics"', '"newFigures"'),
        ("geekquiz/statistics.py", "notify_updates", "tell_everybody"),
        ("geekquiz/trivia.py", "notify_updates", "tell_everybody"),
    )
    assert failed(verified(EX1, folder)) == {}


def test_a_page_that_asks_for_the_figures_when_the_hub_calls_is_as_good(make: Make) -> None:
    folder = make(
        EX1,
        SERVE_STATISTICS,
        (SCRIPT, '"updateStatistics", (statistics) => {', '"updateStatistics", async () => {'),
        (SCRIPT, HANDLER, '  showStatistics(await (await fetch("/api/statistics")).json());\n});'),
        ("geekquiz/statistics.py", 'send("updateStatistics", statistics)', 'send("updateStatistics")'),
    )
    assert failed(verified(EX1, folder)) == {}


@pytest.mark.slow
def test_a_page_that_skips_negotiation_is_as_good(make: Make) -> None:
    options = "{ skipNegotiation: true, transport: signalR.HttpTransportType.WebSockets }"
    folder = make(EX1, (SCRIPT, '.withUrl("/signalr/statistics")', f'.withUrl("/signalr/statistics", {options})'))
    assert failed(verified(EX1, folder)) == {}


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["ServerSentEvents", "LongPolling"])
def test_another_transport_is_as_good(make: Make, transport: str) -> None:
    choice = f'.withUrl("/signalr/figures", signalR.HttpTransportType.{transport})'
    folder = make(
        EX1,
        (SCRIPT, '.withUrl("/signalr/statistics")', choice),
        ("geekquiz/hubs/statistics.py", '"/statistics"', '"/figures"'),
    )
    assert failed(verified(EX1, folder)) == {}


@pytest.mark.slow
def test_another_address_of_the_hub_is_as_good(make: Make) -> None:
    folder = make(
        EX1,
        (SCRIPT, "/signalr/statistics", "/signalr/figures"),
        ("geekquiz/hubs/statistics.py", '"/statistics"', '"/figures"'),
    )
    assert failed(verified(EX1, folder)) == {}


@pytest.mark.slow
@pytest.mark.parametrize("interval", ["200", "5000"])
def test_a_page_that_polls_beside_its_hub_connection_fails(make: Make, interval: str) -> None:
    poll = POLL.replace("INTERVAL", interval)
    folder = make(EX1, SERVE_STATISTICS, (SCRIPT, HANDLER, "});" + poll))
    report = verified(EX1, folder)
    news = failed(report)["ex1.3/the-news-comes-through-the-hub"]
    assert news.expected == "nothing changes on the page while the hub's message is held back"
    assert "GET http" in (news.seen or "")
    assert report.exit_code == 1


@pytest.mark.slow
def test_a_page_that_reloads_itself_fails(make: Make) -> None:
    folder = make(EX1, (SCRIPT, FINAL_LINE, "setTimeout(() => location.reload(), 1000);"))
    assert "ex1.3/the-news-comes-through-the-hub" in failed(verified(EX1, folder))


@pytest.mark.slow
def test_a_hub_for_everybody_fails_only_where_a_stranger_asks(make: Make) -> None:
    folder = make(EX1, ("geekquiz/hubs/statistics.py", ", authorize=True", ""))
    found = failed(verified(EX1, folder))
    assert list(found) == ["ex1.2/the-hub-refuses-a-stranger"]
    assert found["ex1.2/the-hub-refuses-a-stranger"].cause == "the hub lets everybody in: authorize=True is missing"


@pytest.mark.slow
def test_charts_that_do_not_follow_fail_only_where_charts_are_checked(make: Make) -> None:
    counters = (
        'document.getElementById("correct").textContent = statistics.correctAnswers;\n'
        '  document.getElementById("incorrect").textContent = statistics.incorrectAnswers;\n});'
    )
    found = failed(verified(EX1, make(EX1, (SCRIPT, HANDLER, counters))))
    assert list(found) == ["ex1.2/a-message-redraws-the-charts", "ex1.3/the-charts-follow"]


MOUNT = ("geekquiz/startup.py", '    app.mount("/signalr", signalr)\n', "")
UNMOVED = (
    "ex1.3/the-counters-follow",
    "ex1.3/the-charts-follow",
    "ex1.3/the-news-comes-through-the-hub",
    "ex1.3/a-page-that-was-offline-catches-up",
)
FOLLOWING = (*UNMOVED, "ex1.3/newer-figures-stay")
UNMAPPED = (
    "nothing mounts the SignalR application, so no hub is mapped: geekquiz/startup.py has no "
    '`app.mount("/signalr", signalr)`'
)
NO_CLIENT = (
    "the page uses signalR, and loads no script that defines it: geekquiz/templates/statistics.html has no "
    '`<script src="/signalr/signalr.js"></script>`'
)
NO_ADDRESS = "the page connects to /signalr/statistic (geekquiz/static/statistics.js:"
NEVER_AWAITED = "geekquiz/trivia.py:59: coroutine 'StatisticsService.notify_updates' was never awaited"
TO_A_GROUP = "the message goes to clients.group, not to everybody who is connected"


@pytest.mark.parametrize(
    ("edit", "causes"),
    [
        pytest.param(
            MOUNT,
            {
                "ex1.2/the-hub-answers-a-signed-in-user": UNMAPPED,
                "ex1.2/the-hub-refuses-a-stranger": UNMAPPED,
                "ex1.2/an-answer-is-told": UNMAPPED,
                "ex1.2/everybody-is-told": UNMAPPED,
                "ex1.2/the-page-loads-the-client": UNMAPPED,
                **dict.fromkeys(FOLLOWING, UNMAPPED),
            },
            id="no mount",
        ),
        pytest.param(
            ("geekquiz/templates/statistics.html", '<script src="/signalr/signalr.js"></script>', ""),
            {
                "ex1.2/the-page-loads-the-client": NO_CLIENT,
                **dict.fromkeys(("ex1.2/the-page-connects", *FOLLOWING), NO_CLIENT),
            },
            id="no script",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            (SCRIPT, "/signalr/statistics", "/signalr/statistic"),
            dict.fromkeys(("ex1.2/the-page-connects", *FOLLOWING), NO_ADDRESS),
            id="another address",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("geekquiz/trivia.py", "await StatisticsService", "StatisticsService"),
            {
                "ex1.2/an-answer-is-told": NEVER_AWAITED,
                "ex1.2/everybody-is-told": NEVER_AWAITED,
                **dict.fromkeys(UNMOVED, NEVER_AWAITED),
            },
            id="no await",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("geekquiz/statistics.py", "clients.all", 'clients.group("nobody")'),
            {
                "ex1.2/an-answer-is-told": TO_A_GROUP,
                "ex1.2/everybody-is-told": TO_A_GROUP,
                **dict.fromkeys(UNMOVED, TO_A_GROUP),
            },
            id="sent to nobody",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_cause_is_the_one_that_there_is(make: Make, edit: tuple[str, str, str], causes: dict[str, str]) -> None:
    found = failed(verified(EX1, make(EX1, edit)))
    assert list(found) == list(causes)
    others = {id_: result.cause for id_, result in found.items() if causes[id_] not in (result.cause or "")}
    assert others == {}


@pytest.mark.parametrize("polls", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_without_its_backplane_the_end_fails_though_the_data_is_shared(make: Make, polls: bool) -> None:
    line = 'signalr.use_backplane(f"{settings.database_server}/signalr")'
    edits = [("geekquiz/startup.py", line, "pass")]
    if polls:
        edits += [SERVE_STATISTICS, (SCRIPT, FINAL_LINE, FINAL_LINE + POLL.replace("INTERVAL", "200"))]
    found = failed(verified(EX2, make(EX2, *edits)))
    heard = ["ex2.3/the-second-instance-hears-the-first", "ex2.3/the-first-instance-hears-the-second"]
    assert list(found) == [
        *([] if polls else heard),
        "ex2.3/the-news-comes-through-the-hub",
        "ex2.3/the-tables-are-there",
        "ex2.3/every-answer-is-a-message",
        "ex2.3/another-server-is-heard",
    ]


@pytest.mark.slow
def test_the_backplanes_database_is_looked_for_on_the_labs_server(
    postgres_server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LABKIT_DATABASE_SERVER", postgres_server.url)
    name = f"scale_{uuid.uuid4().hex[:8]}"
    mine = workspace.create(LAB, EX2, tmp_path / "mine")
    changes.write(mine.folder, insertion.insert(mine.folder, EX2, list(EX2.snippets), {1: name}))
    subject = Subject(EX2, mine.folder, "workspace", mine)

    near = name.replace("scale", "scael")
    postgres_server.create_database(near)
    before = failed(verify(subject))
    assert list(before) == ["ex2.2/the-database-exists"]
    advice = f"labkit db create {name}, or write {near} in geekquiz/startup.py"
    assert before["ex2.2/the-database-exists"].next == advice

    postgres_server.create_database(name)
    assert failed(verify(subject)) == {}
    assert postgres_server.query(name, "SELECT 1 FROM information_schema.tables WHERE table_schema = 'signalr'") == []
