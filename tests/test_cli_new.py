"""The commands for people who write labs."""

import json
from pathlib import Path

import pytest

from labkit import content
from labkit.cli import run
from labkit.lab import find_lab


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LABKIT_LAB", raising=False)
    monkeypatch.setenv("COLUMNS", "200")


def test_a_new_lab_is_listed_from_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["new", "lab", "Bird Watching"]) == 0
    assert capsys.readouterr().out.endswith("next: cd bird-watching\nthen: labkit list\n")
    monkeypatch.chdir(tmp_path / "bird-watching")
    assert run(["new", "exercise", "nests", "--title", "All about nests"]) == 0
    assert "next: labkit verify ex2 --solution end   or   labkit start ex2 DIR\n" in capsys.readouterr().out
    assert run(["list", "--format", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [exercise["title"] for exercise in shown["exercises"]] == ["First steps", "All about nests"]


def test_a_lab_that_one_is_not_in_is_never_changed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["new", "exercise", "nests"]) == 2
    assert capsys.readouterr().err.startswith("There is no lab here to change.\n")


def test_hints_name_another_lab_as_a_shell_takes_it(
    tmp_path: Path, tea_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tea_folder.rename(tmp_path / "green tea")
    assert run(["new", "exercise", "serve", "--lab", "green tea"]) == 0
    assert capsys.readouterr().out.endswith(
        'next: labkit verify a2 --solution end --lab "green tea"   or   labkit start a2 DIR --lab "green tea"\n'
    )


def test_another_lab_is_named_with_its_folder(tea_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["new", "exercise", "serve", "--lab", str(tea_folder), "--format", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    folder = tea_folder / "exercises" / "a2-serve"
    assert shown == {"schema": 1, "exercise": "a2", "name": "a2-serve", "folder": str(folder)}


def test_end_is_made_anew_and_what_was_there_comes_back(
    tea_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tea_folder)
    snippet, end = tea_folder / "snippets" / "a1-brew" / "cup-label.html", tea_folder / "exercises" / "a1-brew" / "end"
    snippet.write_text("<h2>Cup</h2>\n")
    (end / "mine.txt").write_text("mine\n")
    before = {path: path.read_bytes() for path in end.rglob("*") if path.is_file()}
    assert run(["new", "end", "a1", "--dry-run"]) == 0
    assert capsys.readouterr().out == (
        "--- a/exercises/a1-brew/end/mine.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-mine\n"
        "--- a/exercises/a1-brew/end/pages/cup.html\n+++ b/exercises/a1-brew/end/pages/cup.html\n@@ -1,2 +1,2 @@\n"
        " <p>{{ cup }}</p>\n-<h1>Cup</h1>\n+<h2>Cup</h2>\n"
    )
    assert run(["new", "end", "a1"]) == 0
    assert capsys.readouterr().out == (
        "exercises/a1-brew/end/mine.txt  +0 -1  removed\n"
        "exercises/a1-brew/end/pages/cup.html  +1 -1\n"
        "! a1-brew: README.md does not print the snippet pour as it is inserted.\n"
        "! a1-brew: README.md does not print the snippet cup-label as it is inserted.\n"
        "! a1-brew: README.md does not say `labkit snippet insert cup-label`.\n"
        "next: labkit verify a1 --solution end   or   labkit new end --undo   (takes it back)\n"
    )
    assert (end / "pages" / "cup.html").read_text() == "<p>{{ cup }}</p>\n<h2>Cup</h2>\n"
    assert run(["new", "end", "--undo"]) == 0
    assert {path: path.read_bytes() for path in end.rglob("*") if path.is_file()} == before


def test_an_end_that_is_made_stays(tea_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["new", "end", "--lab", str(tea_folder), "--format", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == {
        "schema": 1,
        "exercises": ["a1"],
        "dry_run": False,
        "changed": [],
        "diff": "",
        "problems": content.problems(find_lab(tea_folder)),
    }
    assert not (tea_folder / ".labkit").exists()
