"""The report of a class: it bears hostile names, is sorted and filtered, asks nothing, and says what has changed."""

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from labkit import language
from labkit.browser import launch_options
from labkit.errors import UsageError
from labkit.grading import class_report, comparison, gradebook, roster
from labkit.grading.class_report import ClassReport
from labkit.grading.feedback import Feedback, reduced
from labkit.grading.grades import Grade, Outcome, exit_code
from labkit.grading.roster import Person
from labkit.lab import Lab, find_lab
from labkit.verify.report import Check, Report, Result, TaskReport, Verdict

HOSTILE = "<script>document.title = 'caught'</script>\x1b]0;caught\x07&\u202e{{ 7 * 7 }}"
AT = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)

PASSED = Result(Verdict.PASSED)
FAILED = Result(Verdict.NOT_DONE, "a cup", "no cup", "app.py:3", "the TODO line", "labkit snippet insert pour", "pour")


def grade(name: str, *results: Result, **more: Any) -> Grade:
    """A grade on the tea lab: a result for each of its two tasks."""
    tasks = tuple(
        TaskReport(
            f"a1.{n}", f"Task {n}", ((Check(f"a1.{n}/c", f"Check {n} {HOSTILE}", f"a1.{n}", 5, ("pour",)), each),)
        )
        for n, each in enumerate(results, 1)
    )
    report = Report("a1", "workspace", 1.5, tasks) if results else None
    known = {"outcome": Outcome.VERIFIED, "exercise": "a1", "report": report, "when": AT, "source": f"/class/{name}"}
    return Grade(**{"key": f"{name}-a1", "name": name, **known, **more})


GRADES = [
    grade("alice", PASSED, PASSED),
    grade("bob", PASSED, FAILED),
    grade("carol", fault=f"The archive is damaged: {HOSTILE}.", outcome=Outcome.UNREADABLE, exercise=None, key="carol"),
    grade("dora", PASSED, PASSED, deeds=("x is a link that leads out, to /etc.",), own_lines="1"),
    replace(grade("emil", PASSED, FAILED, own_lines="1"), name=f"emil {HOSTILE}"),
    grade("fay", fault="No browser.", outcome=Outcome.ENVIRONMENT),
]


@pytest.fixture
def lab(tea_folder: Path) -> Lab:
    """The tea lab, whose second task earns three points."""
    settings = tea_folder / "exercises" / "a1-brew" / "exercise.toml"
    settings.write_text("points = { 2 = 3 }\n" + settings.read_text("utf-8"), "utf-8")
    (tea_folder / "exercises" / "a1-brew" / "hints.toml").write_text(
        '[pour]\nquestion = "Where does the tea go?"\ndirection = "Into the cup."\n', "utf-8"
    )
    return find_lab(tea_folder)


@pytest.fixture
def told(lab: Lab) -> Callable[..., ClassReport]:
    """A report on the six of them."""

    def make(people: list[Person] | None = None, **more: Any) -> ClassReport:
        return ClassReport(lab, roster.rows(GRADES, people or []), AT, **more)

    return make


# Points and codes.


def test_points_are_those_of_the_tasks_that_passed_with_nothing_forbidden_done(lab: Lab) -> None:
    assert [each.points(lab.exercises[0]) for each in GRADES] == [4, 1, 0, 0, 1, 0]
    assert [each.passed for each in GRADES] == [True, False, False, False, False, False]


def test_points_of_a_task_that_is_not_there_are_a_problem_of_the_lab(tea_folder: Path) -> None:
    from labkit.content import problems

    settings = tea_folder / "exercises" / "a1-brew" / "exercise.toml"
    settings.write_text("points = { 7 = 3 }\n" + settings.read_text("utf-8"), "utf-8")
    assert problems(find_lab(tea_folder)) == ["a1-brew: exercise.toml gives points for task 7, which is not there."]


def test_the_exit_code_tells_whether_all_have_a_verdict() -> None:
    verdicts = GRADES[:5]
    assert exit_code(verdicts, strict=False) == 0
    assert exit_code(verdicts, strict=True) == 1
    assert exit_code(GRADES[:1], strict=True) == 0
    assert exit_code(GRADES, strict=True) == 3
    assert exit_code([*GRADES, grade("gus", outcome=Outcome.INTERNAL)], strict=False) == 4


# The list, the gradebook, and what is handed back.


@pytest.mark.parametrize(
    "text",
    [
        "name,e-mail,folder\nAlice Ames,a@x.org,alice\nZoë,z@x.org,zoe\n",
        "\ufeffE-Mail;Folder;Name\r\na@x.org;alice;Alice Ames\r\nz@x.org;zoe;Zoë\r\n",
    ],
)
def test_a_list_is_read_as_spreadsheets_save_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.csv").write_bytes(text.encode("utf-8"))
    assert roster.read(tmp_path / "list.csv") == [
        Person("Alice Ames", "a@x.org", "alice"),
        Person("Zoë", "z@x.org", "zoe"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("who,mail\nA,b\n", "list.csv:1 has no column “name”; it has: who, mail."),
        ("name,folder\n,alice\n", "list.csv:2 has no name."),
        ("name,folder\nA,x\nB,x\n", "A and B have the same folder."),
        ("", "list.csv:1 has no column “name”; it has: nothing."),
    ],
)
def test_what_is_wrong_in_a_list_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "list.csv").write_text(text, "utf-8")
    with pytest.raises(UsageError) as caught:
        roster.read(tmp_path / "list.csv")
    assert caught.value.message.endswith(said)


def test_the_gradebook_has_a_line_for_each_and_begins_no_formula(told: Callable[..., ClassReport], lab: Lab) -> None:
    people = [Person("=Alice", "a@x.org", "alice"), Person("Zoë", "z@x.org", "zoe")]
    text = gradebook.render(lab, told(people).rows).decode("utf-8-sig")
    lines = list(csv.reader(io.StringIO(text)))
    assert lines[0] == [
        *("name", "e-mail", "folder", "exercise", "points", "possible", "passed", "a1.1", "a1.2", "state", "remark")
    ]
    assert lines[1:5] == [
        ["'=Alice", "a@x.org", "alice", "a1", "4", "4", "yes", "1", "3", "verified", ""],
        ["Zoë", "z@x.org", "zoe", "", "", "", "", "", "", "nothing handed in", ""],
        ["bob", "", "bob", "a1", "1", "4", "no", "1", "0", "verified", ""],
        ["carol", "", "carol", "", "", "", "", "", "", "cannot be read", lines[4][-1]],
    ]
    assert lines[7][3:7] == ["a1", "", "4", ""]
    stopped = grade("gus", PASSED, PASSED, outcome=Outcome.STOPPED, deeds=("The app tried to take port 8123.",))
    line = gradebook.render(lab, roster.rows([stopped], [])).decode("utf-8-sig").splitlines()[1]
    assert line.split(",")[4:8] == ["0", "4", "no", "0"]


def test_what_is_handed_back_is_as_much_as_was_asked_for(lab: Lab) -> None:
    report = GRADES[1].report
    assert report is not None
    failed = {each: reduced(report, lab.exercises[0], each).tasks[1].checks[0][1] for each in Feedback}
    assert failed == {
        Feedback.FULL: FAILED,
        Feedback.HINTS: Result(Verdict.NOT_DONE, "a cup", "no cup", "app.py:3", None, "Where does the tea go?"),
        Feedback.VERDICT: Result(Verdict.NOT_DONE),
    }


# The report.


def test_a_report_is_a_folder_or_one_zip_of_the_same_files(told: Callable[..., ClassReport], tmp_path: Path) -> None:
    page = class_report.write(tmp_path / "report", told())
    assert page == tmp_path / "report" / "index.html"
    files = sorted(path.relative_to(tmp_path / "report").as_posix() for path in (tmp_path / "report").rglob("*.*"))
    trainees = ["alice-a1", "bob-a1", "carol", "dora-a1", "emil-a1", "fay-a1"]
    each = ("index.html", "junit.xml", "report.json")
    assert files == sorted(["gradebook.csv", *each, *(f"trainees/{name}/{file}" for name in trainees for file in each)])
    with zipfile.ZipFile(class_report.write(tmp_path / "report.zip", told())) as archive:
        assert sorted(name for name in archive.namelist() if not name.endswith("/")) == files
    suites = ElementTree.fromstring((tmp_path / "report" / "junit.xml").read_bytes())
    assert {name: suites.get(name) for name in ("tests", "failures", "errors")} == {
        "tests": "9",
        "failures": "4",
        "errors": "1",
    }
    document = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    assert [(one["key"], one["points"]) for one in document["submissions"]] == [
        *(("alice-a1", 4), ("bob-a1", 1), ("carol", 0), ("dora-a1", 0), ("emil-a1", 1), ("fay-a1", 0))
    ]
    assert document["identical"] == [["dora-a1", "emil-a1"]]


def test_a_trainees_page_names_no_folder_of_the_instructors_machine(
    told: Callable[..., ClassReport], tmp_path: Path
) -> None:
    class_report.write(tmp_path / "report", told())
    for path in (tmp_path / "report" / "trainees").rglob("*"):
        assert not path.is_file() or str(tmp_path) not in path.read_text("utf-8")


def test_a_folder_with_something_else_takes_no_report(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    (tmp_path / "work.zip").write_text("no zip")
    for place in (tmp_path, tmp_path / "thesis.tex", tmp_path / "work.zip"):
        with pytest.raises(UsageError):
            class_report.refuse(place)


def test_what_has_changed_comes_first(told: Callable[..., ClassReport], tmp_path: Path) -> None:
    class_report.write(tmp_path / "before", told())
    now = [
        grade("alice", FAILED, PASSED),
        grade("bob", PASSED, PASSED),
        GRADES[4],
        grade("gus", PASSED, FAILED),
    ]
    found = comparison.changes(now, comparison.read(tmp_path / "before"))
    assert [(each.key, each.words) for each in found] == [
        ("alice-a1", "a1.1 passes no more"),
        ("bob-a1", "a1.2 passes now"),
        ("gus-a1", "it is new"),
    ]
    with pytest.raises(UsageError, match="is no report of labkit grade"):
        comparison.read(tmp_path / "nothing")


def test_the_page_is_in_the_readers_language(
    told: Callable[..., ClassReport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(language.VARIABLE, "es")
    changes = [comparison.Change("bob-a1", ("a1.2",)), comparison.Change("gus-a1", is_new=True)]
    page = class_report.write(tmp_path / "report", told(changes=changes, earlier="mayo")).read_text("utf-8")
    body = page.partition("<body>")[2].partition("<script>")[0]
    words = " ".join(re.sub(r"<[^>]+>", " ", body).split())
    assert '<html lang="es">' in page
    for said in ("3 no hecho", "Lo que ha cambiado desde mayo", "a1.2 se supera ahora", "Lo que más falta", "Puntos"):
        assert said in words
    # What the script compares with stays as programs know it.
    assert re.search(r'<tr data-state="not done".*?</span> no hecho', body, re.DOTALL)


# In a browser.


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(**launch_options())
        yield launched
        launched.close()


def names(page: Page) -> list[str]:
    """The first words of the table's visible lines."""
    shown = page.locator("section:has(.task) tbody tr:visible th").all_inner_texts()
    return [text.split()[0] for text in shown]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_asks_nothing_and_is_readable(
    chromium: Browser, told: Callable[..., ClassReport], tmp_path: Path, width: int, scheme: Any
) -> None:
    path = class_report.write(
        tmp_path / "report", told(changes=[comparison.Change("bob-a1", ("a1.2",))], earlier="May")
    )
    context = chromium.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page, asked, said = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url.split(":")[0]))
    page.on("console", lambda message: said.append(message.text))
    page.goto(path.as_uri())
    assert (asked, said, page.title()) == (["file"], [], "Tea: 6 submissions")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []
    context.close()


@pytest.mark.slow
def test_the_table_is_sorted_filtered_and_leads_to_each(
    chromium: Browser, told: Callable[..., ClassReport], tmp_path: Path
) -> None:
    page = chromium.new_page()
    page.goto(class_report.write(tmp_path / "report", told()).as_uri())
    assert names(page) == ["alice", "bob", "dora", "emil", "fay"]
    points = page.get_by_role("columnheader", name="Points")
    points.get_by_role("button").click()
    assert (points.get_attribute("aria-sort"), names(page)) == ("ascending", ["fay", "dora", "bob", "emil", "alice"])
    points.get_by_role("button").click()
    assert (points.get_attribute("aria-sort"), names(page)) == ("descending", ["alice", "bob", "emil", "dora", "fay"])
    page.get_by_label("Name").fill("B")
    assert (names(page), page.get_by_role("status").inner_text()) == (["bob"], "1 / 6")
    page.get_by_label("Name").fill("")
    page.get_by_label("State").select_option("not done")
    assert names(page) == ["bob", "emil", "dora"]
    page.get_by_role("link", name="bob").first.click()
    assert page.title() == "1 of 2 passed: a1, Brew a pot of tea"
    page.close()
