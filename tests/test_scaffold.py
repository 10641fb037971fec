"""New labs and exercises are made whole or not at all, without a question."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from labkit import insertion, scaffold, workspace
from labkit.errors import UsageError
from labkit.lab import Lab, find_lab
from labkit.verify import run, subject


def tree_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_new_lab_has_one_exercise(tmp_path: Path) -> None:
    lab = scaffold.new_lab("Bird Watching", tmp_path / "birds")
    assert (lab.title, lab.snippet_prefix) == ("Bird Watching", "BirdWatching")
    assert [(each.name, each.title) for each in lab.exercises] == [("ex1-first-steps", "First steps")]
    assert [path.name for path in tmp_path.iterdir()] == ["birds"]


def test_a_new_exercise_gets_the_next_number(tmp_path: Path) -> None:
    lab = scaffold.new_lab("birds", tmp_path / "birds")
    made = scaffold.new_exercise(lab, "Live charts!", "All about charts")
    assert (made.name, made.title) == ("ex2-live-charts", "All about charts")
    assert [each.name for each in find_lab(lab.folder).exercises] == ["ex1-first-steps", "ex2-live-charts"]


def test_a_new_exercise_follows_the_ids_of_the_lab(tea: Lab) -> None:
    assert scaffold.new_exercise(tea, "serve").name == "a2-serve"
    assert scaffold.new_exercise(find_lab(tea.folder), "b7-drink").name == "b7-drink"


def test_the_made_app_runs_and_counts_at_its_end(tmp_path: Path) -> None:
    exercise = scaffold.new_lab("birds", tmp_path / "birds").exercises[0]
    app = subprocess.Popen(
        [sys.executable, "-c", COUNT_VISITS], cwd=exercise.end, stdout=subprocess.PIPE, encoding="utf-8"
    )
    shown, _ = app.communicate(timeout=20)
    assert '<p data-testid="visits">Visits: 2</p>' in shown
    assert app.returncode == 0


COUNT_VISITS = """
import threading, urllib.request
from http.server import ThreadingHTTPServer
from app import Pages
server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
assert urllib.request.urlopen(f"{url}/healthz").status == 200
urllib.request.urlopen(f"{url}/").read()
print(urllib.request.urlopen(f"{url}/").read().decode())
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("exercises = []", 'exercises = ["new"]'),
        ('exercises = ["a"]', 'exercises = ["a", "new"]'),
        ('exercises = ["a",]  # all', 'exercises = ["a", "new"]  # all'),
        ('exercises = [\n  "a",\n  "b"\n]', 'exercises = [\n  "a",\n  "b",\n  "new"\n]'),
        ('exercises = [\r\n  "a",\r\n]\r', 'exercises = [\r\n  "a",\r\n  "new",\r\n]\r'),
        ('exercises = [\n  "a" # the start\n]', 'exercises = [\n  "a", # the start\n  "new"\n]'),
        ('exercises = [\n  "a", # the [first] one\n]', 'exercises = [\n  "a", # the [first] one\n  "new",\n]'),
        ('"exercises" = [ "a]" ]', '"exercises" = [ "a]", "new" ]'),
    ],
)
def test_the_list_of_exercises_is_added_to_in_its_own_form(before: str, after: str) -> None:
    assert scaffold._listed(f'title = "x"\n{before}\nmore = 1\n', "new") == f'title = "x"\n{after}\nmore = 1\n'
    assert tomllib.loads(f"{after}\n")["exercises"][-1] == "new"


def test_a_lab_toml_with_a_byte_order_mark_is_added_to(tea: Lab) -> None:
    path = tea.folder / "lab.toml"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    scaffold.new_exercise(find_lab(tea.folder), "serve")
    assert [each.name for each in find_lab(tea.folder).exercises] == ["a1-brew", "a2-serve"]


@pytest.mark.parametrize(
    ("typed", "name", "title"),
    [
        ("Vögel & Wälder", "a2-vogel-walder", "Vögel & Wälder"),
        ("Größe", "a2-grosse", "Größe"),
        ("live-charts", "a2-live-charts", "Live charts"),
        ("a7-live_charts", "a7-live-charts", "Live charts"),
        ("A7 All about TLS", "a7-all-about-tls", "All about TLS"),
        ("a7", "a7", "A7"),
        ("Why a2 is hot", "a2-why-a2-is-hot", "Why a2 is hot"),
    ],
)
def test_a_name_is_folded_and_the_title_is_as_typed(tea: Lab, typed: str, name: str, title: str) -> None:
    made = scaffold.new_exercise(tea, typed)
    assert (made.name, made.title) == (name, title)


@pytest.mark.parametrize("name", ["", "---", "1st", "!", "../"])
def test_a_name_that_cannot_be_a_folder_is_refused(tea: Lab, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a name"):
        scaffold.new_exercise(tea, name)


@pytest.mark.parametrize("title", [" ", "two\nlines", "{{ 1 + 1 }}"])
def test_a_title_that_would_be_run_or_broken_is_refused(tea: Lab, title: str) -> None:
    with pytest.raises(UsageError, match="cannot be a title"):
        scaffold.new_exercise(tea, "serve", title)


def test_a_taken_id_is_refused_with_a_free_one(tea: Lab) -> None:
    with pytest.raises(UsageError) as caught:
        scaffold.new_exercise(tea, "a1-again")
    assert caught.value.message == "The id a1 is taken by a1-brew."
    assert caught.value.next == "labkit new exercise a2-again"


def test_a_failure_leaves_the_lab_as_it_was(tea: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree_of(tea.folder)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("labkit.content.remade", interrupted)
    with pytest.raises(KeyboardInterrupt):
        scaffold.new_exercise(tea, "serve")
    assert tree_of(tea.folder) == before


def test_a_new_lab_overwrites_nothing(tea: Lab) -> None:
    before = tree_of(tea.folder)
    with pytest.raises(UsageError, match="already and not empty"):
        scaffold.new_lab("tea", tea.folder)
    assert tree_of(tea.folder) == before


@pytest.mark.slow
def test_the_test_of_a_new_lab_shows_every_problem_on_a_line_of_its_own(tmp_path: Path) -> None:
    lab = scaffold.new_lab("birds", tmp_path / "birds")
    (lab.exercises[0].begin / "more.txt").write_text("<YOUR-BIRD>", encoding="utf-8")
    chapter = lab.exercises[0].folder / "README.md"
    chapter.write_text(chapter.read_text(encoding="utf-8").replace("Task 2", "Task 3"), encoding="utf-8")
    # Without its list of failures at the end, which repeats the lines where CI is set.
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rN", "tests"]
    tested = subprocess.run(command, cwd=lab.folder, capture_output=True, encoding="utf-8", timeout=60)
    assert tested.returncode == 1
    assert [line for line in tested.stdout.splitlines() if line.startswith("ex1-first-steps: ")] == [
        "ex1-first-steps: begin/more.txt:1 has a placeholder <YOUR-BIRD> that nobody fills in.",
        "ex1-first-steps: more.txt is in begin with all snippets, but not in end.",
        "ex1-first-steps: end is made, not written: labkit author end ex1.",
        "ex1-first-steps: README.md:22: task 2 has the number 3.",
    ]


@pytest.mark.slow
def test_a_new_lab_is_played_and_verified_in_a_browser(tmp_path: Path) -> None:
    lab = scaffold.new_lab("birds", tmp_path / "birds")
    exercise = lab.exercises[0]
    mine = workspace.create(lab, exercise, tmp_path / "mine")

    def verdicts() -> list[tuple[str, str, str | None]]:
        report = run.verify(subject.find(lab, mine.folder, None, None))
        return [(check.task, result.verdict.value, result.snippet) for check, result in report.results]

    assert verdicts() == [
        ("ex1.1", "passed", None),
        ("ex1.2", "not done", "show-visits"),
        ("ex1.2", "not done", "count-visits"),
    ]
    mine.apply(insertion.insert(mine.folder, exercise, list(exercise.snippets)))
    assert verdicts() == [("ex1.1", "passed", None), ("ex1.2", "passed", None), ("ex1.2", "passed", None)]
