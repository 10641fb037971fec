"""The commands that examine a lab, and make in it whatever follows from the rest."""

import json
import re
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


def test_end_is_made_anew_and_what_was_there_comes_back(
    tea_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tea_folder)
    snippet, end = tea_folder / "snippets" / "a1-brew" / "cup-label.html", tea_folder / "exercises" / "a1-brew" / "end"
    snippet.write_text("<h2>Cup</h2>\n")
    (end / "mine.txt").write_text("mine\n")
    before = {path: path.read_bytes() for path in end.rglob("*") if path.is_file()}
    assert run(["author", "end", "a1", "--dry-run"]) == 0
    assert capsys.readouterr().out == (
        "--- a/exercises/a1-brew/end/mine.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-mine\n"
        "--- a/exercises/a1-brew/end/pages/cup.html\n+++ b/exercises/a1-brew/end/pages/cup.html\n@@ -1,2 +1,2 @@\n"
        " <p>{{ cup }}</p>\n-<h1>Cup</h1>\n+<h2>Cup</h2>\n"
    )
    assert run(["author", "end", "a1"]) == 0
    assert capsys.readouterr().out == (
        "exercises/a1-brew/end/mine.txt  +0 -1  removed\n"
        "exercises/a1-brew/end/pages/cup.html  +1 -1\n"
        "! a1-brew: README.md does not show the snippets as they are inserted: labkit author steps a1.\n"
        "next: labkit verify a1 --solution end   or   labkit author end --undo   (takes it back)\n"
    )
    assert (end / "pages" / "cup.html").read_text() == "<p>{{ cup }}</p>\n<h2>Cup</h2>\n"
    assert run(["author", "end", "--undo"]) == 0
    assert {path: path.read_bytes() for path in end.rglob("*") if path.is_file()} == before


def test_an_end_that_is_made_stays(tea_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["author", "end", "--lab", str(tea_folder), "--format", "json"]) == 0
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


def test_the_chapter_gets_the_code_of_its_snippets(
    tea_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tea_folder)
    chapter = tea_folder / "exercises" / "a1-brew" / "README.md"
    before = chapter.read_text(encoding="utf-8")
    without = re.sub(r"\n   ```diff app.py\n.*?```\n", "", before, count=1, flags=re.DOTALL)
    chapter.write_text(without.replace("<h1>Cup", "<h2>Cup"), encoding="utf-8")
    edited = chapter.read_bytes()
    assert run(["author", "steps", "--dry-run"]) == 0
    assert '+   +    cup = "green"\n' in capsys.readouterr().out
    assert chapter.read_bytes() == edited
    assert run(["author", "steps"]) == 0
    assert capsys.readouterr().out == (
        "exercises/a1-brew/README.md  +11 -1\n"
        "next: labkit verify a1 --solution end   or   labkit author steps --undo   (takes it back)\n"
    )
    assert chapter.read_text(encoding="utf-8") == before
    assert run(["author", "steps"]) == 0
    assert capsys.readouterr().out.startswith(
        "Nothing to change: the chapters show the snippets as they are inserted.\n"
    )
    assert run(["author", "steps", "--undo"]) == 0
    assert chapter.read_bytes() == edited
