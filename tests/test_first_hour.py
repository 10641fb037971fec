"""The traps of a trainee's first hour, one by one: what somebody met who followed the manual, and what is there now."""

import json
import re
import shutil
from pathlib import Path

import pytest

from labkit import console, desktop, manual, snippets, workspace
from labkit.chapter import Step
from labkit.cli import machine, run, show, verdict
from labkit.errors import ExitCode
from labkit.lab import Exercise, find_lab
from labkit.verify.report import Check, Report, Result, TaskReport, Verdict
from labkit.workspace import Workspace

ROOT = Path(__file__).parent.parent
LAB = find_lab(ROOT)
EX1, EX2 = LAB.exercises
WELCOME = (ROOT / "docs" / "lab.md").read_text(encoding="utf-8")
each_exercise = pytest.mark.parametrize("exercise", LAB.exercises, ids=lambda exercise: exercise.id)


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of exercise 1 as it begins: made once, and copied for each test."""
    return workspace.create(LAB, EX1, tmp_path_factory.mktemp("new") / EX1.name).folder


@pytest.fixture
def mine(new: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A new workspace of exercise 1, in which the terminal stands."""
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path / "kept"))
    monkeypatch.setenv("LABKIT_LAB", str(ROOT))
    folder = tmp_path / "work" / EX1.name
    shutil.copytree(new, folder, ignore=shutil.ignore_patterns("wheels", "pictures"))
    monkeypatch.chdir(folder)
    return workspace.read(folder)


@pytest.fixture
def at_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The output is a terminal of 80 columns."""
    monkeypatch.setattr(console._Console, "is_terminal", property(lambda self: True))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    for each in (console.out, console.err):
        monkeypatch.setattr(each, "_width", 80)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run(list(arguments))
    return code, *capsys.readouterr()


# Setting up, and further terminals


@pytest.mark.parametrize(("here", "coming"), [("mine", "labkit next"), ("elsewhere", "labkit start ex1")])
def test_setup_goes_on_where_one_stands(
    here: str, coming: str, mine: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if here == "elsewhere":
        monkeypatch.chdir(mine.folder.parent)
    assert machine._report(LAB, [], console.Format.TEXT, coded=True) == 0
    assert capsys.readouterr().out.endswith(f"next: {coming}\n")


def test_the_manual_says_what_a_new_terminal_needs() -> None:
    assert "In **every new terminal** you activate it again" in WELCOME
    second = [block for block in EX2.chapter.blocks if block.info[:2] == ("console", "2")]
    assert len(second) == 2
    for block in second:
        before = "\n".join(EX2.chapter.source.splitlines()[: block.first - 1])
        assert re.search(r"activat|the second terminal", before[-300:])


# What is printed, at 80 columns and 24 lines


@pytest.mark.usefixtures("at_terminal")
def test_a_terminal_breaks_no_word(
    mine: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each word that is shown at 80 columns is one that is shown where there is room for any line."""
    for command in (
        "list",
        "next",
        "snippet list",
        "snippet show notify-updates-method",
        "hint --level 2",
        "diff --stat",
        "undo",
        "verify --task 9",
        "snippet insert statistics-hub-clas",
        "reset nothing.py",
        "solve",
        "chapter 9",
        "start ex2",
    ):
        shown = {}
        for width in (1000, 80):
            shutil.rmtree(mine.folder.parent / EX2.name, ignore_errors=True)  # which `start` has made
            for each in (console.out, console.err):
                monkeypatch.setattr(each, "_width", width)
            shown[width] = "\n".join(map(str, said(capsys, *command.split())))
        whole = set(shown[1000].split())
        longer = [each for each in whole if len(each) > 80]  # a path of the test's, that no line could take
        broken = {each for each in shown[80].split() if not any(each in word for word in longer)} - whole
        assert broken == set(), command
        assert max(map(len, shown[80].splitlines())) <= 80, command


@pytest.mark.usefixtures("at_terminal", "mine")
def test_two_texts_side_by_side_stand_in_columns(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = said(capsys, "diff", "--side-by-side")
    lines = [line.rstrip() for line in out.splitlines()]
    assert max(map(len, lines)) <= 80
    at = lines.index("geekquiz/hubs/statistics.py")
    assert [" ".join(line.split()) for line in lines[at + 1 : at + 5]] == [
        "yours end",
        '1 """The hub of the Statistics 1 """The hub of the Statistics',
        'page.""" page."""',
        "2 2",
    ]
    assert lines[at + 5].startswith("   3 -# TODO")
    assert " 3 +from asgi_signalr import Hub," in lines[at + 5]


def test_in_a_pipe_there_are_no_columns(mine: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "diff", "--side-by-side") == said(capsys, "diff")


@pytest.mark.usefixtures("at_terminal")
def test_a_question_ends_its_lines_at_words() -> None:
    text = show.wrapped("Bring back as it was at the beginning, in this folder: " + "geekquiz/statistics.py, " * 5, 8)
    assert max(map(len, text.splitlines())) <= 72
    assert set(text.split()) <= {
        *["Bring", "back", "as", "it", "was", "at", "the", "beginning,", "in", "this", "folder:"],
        "geekquiz/statistics.py,",
    }


@pytest.mark.usefixtures("at_terminal", "mine")
def test_a_verdict_on_untouched_work_fits_one_screen_and_names_no_internal_ids(
    capsys: pytest.CaptureFixture[str],
) -> None:
    checks = [
        (
            Check(
                f"ex1.2/check-{n}", "A check with a title that is rather long, as some are, and is cut.", "ex1.2", 30
            ),
            n,
        )
        for n in range(12)
    ]
    result = Result(
        Verdict.NOT_DONE,
        expected="a page that connects to the hub",
        seen="a page that connects to nothing, and says so",
        where="http://127.0.0.1:40959/statistics",
        cause="the TODO line signalr-client-code is still at geekquiz/static/statistics.js:65",
        next="labkit snippet insert signalr-package",
        evidence=(str(Path.cwd() / ".labkit" / "evidence" / "1" / "live" / "page.png"),),
    )
    tasks = [TaskReport(task.id, task.title, tuple((check, result) for check, _ in checks)) for task in EX1.tasks]
    verdict.show(Report("ex1", "workspace", 20, tuple(tasks)))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert [line for line in lines if "check-" in line] == []
    assert lines[-1] == "next: labkit snippet insert signalr-package"
    assert max(map(len, lines)) <= 80


@pytest.mark.usefixtures("mine")
def test_after_an_insert_the_one_next_step_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = said(capsys, "snippet", "insert", "signalr-package")
    assert out.splitlines()[-2:] == [
        "step 2 of 11: Add the hub, a class named StatisticsHub, in geekquiz/hubs/statistics.py.",
        "next: labkit snippet insert statistics-hub-class",
    ]


@pytest.mark.usefixtures("at_terminal")
def test_labkit_alone_shows_what_a_trainee_needs_on_one_screen(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys)
    lines = out.splitlines()
    assert (code, lines[0], len(lines) <= 23) == (0, "Usage: labkit COMMAND [ARGS]...", True)
    assert max(map(len, lines)) <= 80
    shown = [line.split()[0] for line in lines if line.startswith("  ")]
    assert " ".join(shown) == "setup list start next chapter guide snippet run verify hint diff undo reset"


def test_labkit_alone_and_its_groups_show_their_help_and_no_circle(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ([], ["snippet"], ["db"]):
        _, out, err = said(capsys, *command)
        assert "Usage: labkit" in out + err
        assert "next:" not in out + err


# Steps


def steps() -> list[Step]:
    return [step for exercise in LAB.exercises for task in exercise.tasks for step in task.steps]


@pytest.mark.parametrize("step", [step for step in steps() if step.snippet], ids=lambda step: step.id)
def test_the_code_of_a_step_stands_in_its_surroundings(step: Step) -> None:
    (block,) = (block for block in step.blocks if block.language == "diff")
    marks = {line[:1] for line in block.code.splitlines()}
    assert {"+", "-", " "} <= marks
    assert "TODO" in next(line for line in block.code.splitlines() if line.startswith("-"))


def test_who_types_is_told_how_far_in(mine: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    todo = snippets.home(EX1, "notify-updates-method")
    assert todo is not None
    _, out, _ = said(capsys, "snippet", "show", "notify-updates-method")
    assert " ".join(out.split()).startswith(
        f"notify-updates-method (ex1) belongs into {todo.path}, inside class StatisticsService, "
        f"in place of its TODO line (line {todo.line}): "
    )


def test_steps_that_only_look_have_something_to_see() -> None:
    texts = {step.id: step.source for step in steps()}
    assert "**No results yet.**" in texts["ex1.1.5"]
    assert "**No results yet.**" in texts["ex1.1.7"]


def test_the_package_that_is_listed_twice_is_explained() -> None:
    (step,) = (step for step in steps() if step.snippet == "backplane-package")
    assert "`asgi-signalr` is listed twice now, and that is no mistake." in " ".join(step.source.split())


# The workspace


@each_exercise
def test_the_workspaces_own_readme_is_about_the_workspace(exercise: Exercise) -> None:
    text = (exercise.begin / "README.md").read_text(encoding="utf-8")
    assert [word for word in ("--project", "checkout", "clone") if word in text] == []


@each_exercise
def test_the_chapter_and_the_editors_snippets_are_in_the_workspace_and_told(exercise: Exercise, tmp_path: Path) -> None:
    made = workspace.create(LAB, exercise, tmp_path / exercise.name).folder
    assert (made / "manual" / "README.md").read_text(encoding="utf-8").startswith(f"# Exercise {exercise.id[-1]}: ")
    assert (made / ".vscode" / f"{exercise.name}.code-snippets").is_file()
    assert "Your workspace brings the snippets for Visual Studio Code" in WELCOME
    assert "in the folder `manual`" in WELCOME


# Wrong ways


@pytest.mark.parametrize(
    ("typed", "coming"),
    [
        (
            "\n    async def notify_updates(self) -> None:\n        hub = signalr.hub_context(StatisticsHub)\n",
            "next: labkit snippet show notify-updates-method   (then complete it at geekquiz/statistics.py:39)\n",
        ),
        (
            "\n\nasync def notify_updates(self) -> None:\n    hub = signalr.hub_context(StatisticsHub)\n"
            "    figures = await self.generate()\n"
            '    await hub.clients.all.send("updateStatistics", figures)\n',
            "next: Move the code of notify-updates-method from geekquiz/statistics.py:40 to geekquiz/statistics.py, "
            "line 37.\n",
        ),
    ],
    ids=["half done", "outside of its class"],
)
def test_next_about_code_that_is_begun_is_no_command_that_refuses_it(
    typed: str, coming: str, mine: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    earlier = EX1.tasks[1].steps[:5]
    assert run(["snippet", "insert", *(step.snippet or "" for step in earlier)]) == 0
    service = mine.folder / "geekquiz" / "statistics.py"
    service.write_text(service.read_text(encoding="utf-8") + typed, encoding="utf-8")
    capsys.readouterr()
    for command in ("list", "next"):
        _, out, _ = said(capsys, command)
        assert coming in out
    assert f"{coming}" in said(capsys, "hint", "--level", "3")[1]


def test_a_hint_shows_code_as_far_in_as_it_is_typed(mine: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = said(capsys, "hint", "notify-updates-method", "--level", "3")
    assert "It belongs into geekquiz/statistics.py, inside class StatisticsService, where the line" in out
    assert "\n    async def notify_updates(self) -> None:\n        " in out


def test_every_press_of_a_hint_tells_something(mine: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    """Also of a step that has nothing but its one sentence."""
    for step in (step for step in steps() if step.id.startswith(f"{EX1.id}.")):
        told = [said(capsys, "hint", step.id)[1] for _ in range(2)]
        for text in told:
            paragraphs = text.split("\n\n")
            assert len(paragraphs) > 2, text
            assert len(set(paragraphs)) == len(paragraphs), text


def test_solve_tells_of_a_todo_line_that_it_takes_away(mine: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    hub = mine.folder / "geekquiz" / "hubs" / "statistics.py"
    begun = hub.read_text(encoding="utf-8")
    hub.write_text(f"{begun}\n{EX1.snippets['statistics-hub-class'].text}", encoding="utf-8")
    _, out, _ = said(capsys, "solve", "--to", "2")
    assert "statistics-hub-class is there already; took its TODO line away.\n" in out
    assert "TODO" not in hub.read_text(encoding="utf-8")


def test_a_todo_line_that_stays_behind_its_code_is_no_fault(
    mine: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    """As an editor's snippet leaves it: nothing is written twice, and the line goes."""
    script = mine.folder / "geekquiz" / "static" / "statistics.js"
    before = script.read_text(encoding="utf-8")
    code = EX1.snippets["signalr-client-code"].text
    script.write_text(f"{before}{code}", encoding="utf-8")
    listed = json.loads(said(capsys, "snippet", "list", "--format", "json")[1])["exercises"][0]["snippets"]
    assert {row["name"]: row["state"] for row in listed}["signalr-client-code"] in ("inserted", "own code")
    code_, out, _ = said(capsys, "snippet", "insert", "signalr-client-code")
    assert (code_, "took its TODO line away" in out) == (0, True)
    text = script.read_text(encoding="utf-8")
    assert (text.count("new signalR.HubConnectionBuilder"), text.count("TODO")) == (1, 0)


def test_code_that_was_typed_in_another_form_is_known_by_every_command(
    mine: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    hub = mine.folder / "geekquiz" / "hubs" / "statistics.py"
    lines = hub.read_text(encoding="utf-8").split("\n")
    typed = EX1.snippets["statistics-hub-class"].text.replace("\n\n\n", "\n\n")
    hub.write_text("\n".join(line for line in lines if "TODO" not in line) + typed, encoding="utf-8")
    assert said(capsys, "snippet", "insert", "--all")[0] == 0
    assert hub.read_text(encoding="utf-8").count("class StatisticsHub") == 1
    listed = json.loads(said(capsys, "list", "--format", "json")[1])
    states = {step["snippet"]: step["done"] for task in listed["exercises"][0]["tasks"] for step in task["steps"]}
    assert [name for name, done in states.items() if name and not done] == []


def test_of_two_workspaces_the_last_used_is_offered(
    mine: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    again = Path(shutil.copytree(mine.folder, mine.folder.parent / "ex1-again"))
    said(capsys, "next")
    monkeypatch.chdir(again.parent)
    _, _, err = said(capsys, "verify")
    assert "Several workspaces here: ex1-again and ex1-realtime." in err
    assert err.endswith("next: cd ex1-realtime\n")


@pytest.mark.parametrize(
    ("command", "message", "coming"),
    [
        ("verify --solution end", "Say whose solution: ex1", "labkit verify ex1 --solution end"),
        (
            "snippet insert map-signalr --set <YOUR-DATABASE>",
            "“<YOUR-DATABASE>” cannot be filled in: no value may be empty, or have one of < >",
            "Choose a plain name of your own",
        ),
        ("verify ex2", "No workspace of ex2", "labkit start ex2"),
    ],
)
def test_no_advice_leads_in_a_circle(
    command: str,
    message: str,
    coming: str,
    mine: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "--solution" in command:
        monkeypatch.chdir(ROOT / "exercises")
    code, _, err = said(capsys, *command.split())
    assert code == ExitCode.USAGE
    assert message in err
    assert f"next: {coming}" in err


@pytest.mark.usefixtures("mine")
def test_a_browser_is_not_shown_where_there_is_no_display(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(desktop, "has_display", lambda: False)
    code, _, err = said(capsys, "verify", "--headed")
    assert (code, err.count("\n")) == (ExitCode.MACHINE, 2)
    assert "next: Leave --headed out" in err


@pytest.mark.usefixtures("mine")
def test_the_manuals_full_names_work(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("RealTimeSignalR - Ex1 - MapSignalR", "realtimesignalr ex1 mapsignalr"):
        assert json.loads(said(capsys, "snippet", "show", name, "--format", "json")[1])["snippets"][0]["name"] == (
            "map-signalr"
        )


@pytest.mark.parametrize(
    "command",
    [
        "verify --watch",
        "hint --level",
        "next",
        "guide",
        "diff --open",
        "diff --side-by-side",
        "run --reload",
        "run --log",
        "solve --to",
        "verify --report",
        "db drop",
        "snippet show",
        "setup --pycharm",
        "chapter",
    ],
)
def test_the_help_that_other_kits_give_is_there(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = command.split()
    options = [word for word in words if word.startswith("--")]
    code, out, _ = said(capsys, *(word for word in words if word not in options), "--help")
    assert code == 0
    assert [option for option in options if option not in out] == []


# The original, item by item


ITEMS = {
    "what SignalR is": ("lab", "**SignalR** is a library for such pages."),
    "transports, and the fallback": ("lab", "Where there is none, because of an old proxy"),
    "WebSockets": ("transports", "| **WebSockets** | a message over the socket | a message over the same socket |"),
    "how a transport is chosen": ("transports", "## How one is chosen"),
    "hubs and persistent connections": ("lab", "the *persistent connection*"),
    "architecture": ("lab", "concepts/architecture.svg"),
    "objectives": ("lab", "## Objectives"),
    "prerequisites": ("lab", "## Prerequisites"),
    "setup": ("lab", "## Setup"),
    "using the code snippets": ("lab", "## Using the code snippets"),
    "begin and end": ("lab", "(*begin*)"),
    "exercises": ("lab", "## Exercises"),
    "objectives of exercise 1": ("ex1", "In this exercise you learn how to"),
    "server push and broadcast": ("ex1", "That is *server push*"),
    "the package": ("ex1", "Declare the package `asgi-signalr`"),
    "the script files that come with it": ("ex1", "the very file that is known as `@microsoft/signalr`"),
    "the hub class": ("ex1", "Add the hub, a class named `StatisticsHub`"),
    "mapping": ("ex1", "Map the hubs at the end of `configure`"),
    "the arbitrary name": ("ex1", "`updateStatistics` is a name that you choose"),
    "the script's version": ("ex1", "The version of a client script usually has to match"),
    "the client's code, explained": ("ex1", "The code builds a connection to the hub, registers a handler"),
    "logging in again": ("ex1", "If you are not logged in any more"),
    "summary of exercise 1": ("ex1", "## Summary"),
    "where to go next": ("ex1", "Where to go next:"),
    "scaling up and out": ("ex2", "*Scaling out* gives it more servers"),
    "backplanes compared": ("ex2", "What can serve as a backplane?"),
    "which backplane when": ("backplanes", "| take it when |"),
    "the link to it": ("ex2", "[Choosing a backplane](../../docs/concepts/backplanes.md) says which to take when."),
    "the message bus": ("ex2", "*message bus* with two operations"),
    "the local cache": ("ex2", "each instance delivers messages to its clients from a local cache"),
    "the article on scale-out": (
        "ex2",
        "[Scale-out and the local cache](../../docs/concepts/scale-out.md#what-a-backplane-costs) has more.",
    ),
    "bottleneck: broadcasts by the server": ("scale-out", "**Broadcasts by the server**"),
    "bottleneck: clients that speak to clients": ("scale-out", "**Clients that speak to clients**"),
    "bottleneck: high frequencies": ("scale-out", "**High frequencies**"),
    "the bottleneck": ("ex2", "A backplane can become the bottleneck."),
    "one machine is enough": ("ex2", "Both instances run on your machine"),
    "the backplane's diagram": ("ex2", "concepts/backplane.svg"),
    "two instances": ("ex2", "Run the two instances."),
    "the database's name": ("ex2", "Any name will do."),
    "whether the server can push": ("ex2", "see whether its server is able to push"),
    "the statement in configure": ("ex2", "Use the backplane in `configure`"),
    "the other way round": ("ex2", "Change sides"),
    "the tables": ("ex2", "labkit db tables signalr"),
    "the messages": ("ex2", "labkit db tail signalr"),
    "the shared cache": ("ex2", "*shared cache* of messages"),
    "summary of exercise 2": ("ex2", "## Summary"),
    "the hub's messages, with a link": ("ex1", "(../../docs/concepts/protocol.md) shows the message."),
    "the whole time": ("lab", "*About 60 minutes*"),
    "the time of exercise 1": ("ex1", "*About 30 minutes*"),
    "the time of exercise 2": ("ex2", "*About 30 minutes*"),
    "the editor's snippets": ("lab", "press <kbd>Ctrl+Space</kbd>, and choose the snippet from the list"),
    "F5": ("lab", "runs it under the debugger with <kbd>F5</kbd>"),
    "PyCharm": ("lab", "`labkit setup --pycharm` asks, and installs them as live templates"),
}
"""What the lab that this one follows has, and the words by which it is found here: page, and text."""


@pytest.mark.parametrize("item", ITEMS)
def test_every_item_of_the_original_has_its_counterpart(item: str) -> None:
    page, words = ITEMS[item]
    path = manual.pages(LAB).get(page) or LAB.exercise(page).chapter.path
    assert words in " ".join(path.read_text(encoding="utf-8").split())


def test_each_of_the_originals_pictures_has_one_here_or_a_reason_for_none() -> None:
    rows = re.findall(
        r"^\| (\d[\d, ]*) \| ([^|]+) \| ([^|]+) \|$", (ROOT / "docs/pictures.md").read_text(), re.MULTILINE
    )
    told = [int(number) for numbers, _, _ in rows for number in numbers.split(",")]
    assert sorted(told) == list(range(1, 30))
    pictures = {path.name for path in ROOT.glob("exercises/*/pictures/*")} | {
        path.name for path in ROOT.glob("docs/concepts/*.svg")
    }
    for _, _, here in rows:
        named = re.findall(r"`([\w-]+\.(?:webp|svg))`", here)
        assert named or here.startswith("none: ")
        assert set(named) <= pictures


@each_exercise
def test_every_command_that_prints_has_its_output_in_the_chapter(exercise: Exercise) -> None:
    blocks = exercise.chapter.blocks
    silent = {
        command
        for block, following in zip(blocks, [*blocks[1:], None], strict=True)
        for command in block.commands[-1:]
        if following is None or following.info != ("text", "output")
    }
    assert {command for command in silent if not command.startswith(("labkit db shell", "labkit run ex2"))} == set()
