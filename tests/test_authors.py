"""The author's reference names what labkit knows and nothing else, and its example works."""

import inspect
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import labkit
from labkit import checking, content, instances, scaffold, snippets
from labkit.cli import run
from labkit.errors import UsageError
from labkit.form import EXERCISE, HINT, LAB, MUTANTS, Form
from labkit.lab import App, find_lab
from labkit.services import tail
from labkit.verify import worker

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "docs" / "authors.md").read_text(encoding="utf-8")

Keys = dict[str, set[str]]


@pytest.fixture
def readme(tmp_path: Path) -> str:
    """The README of a new lab."""
    return (scaffold.new_lab("tea", tmp_path / "new").folder / "README.md").read_text(encoding="utf-8")


def keys_of(form: Form, name: str) -> Keys:
    """The keys that a file of this form may have, by table."""
    found: Keys = {name: {key.removesuffix("?") for key in form}}
    for key, kind in form.items():
        below = key.removesuffix("?") if name.endswith(".toml") else f"{name}.{key.removesuffix('?')}"
        for each in kind if isinstance(kind, list) else [kind]:
            if isinstance(each, Mapping):
                found |= keys_of(each, below)
    return found


KNOWN = keys_of(LAB, "lab.toml") | keys_of(EXERCISE, "exercise.toml")
HINTS = {"hints.toml": set(HINT)}
SOLUTIONS = keys_of(MUTANTS, "mutants/*.toml")
OWN = ("app.environment", "database.instead", "points")
EDITS = {name: keys for name, keys in SOLUTIONS.items() if name.endswith(".edits")}


def code(text: str, language: str) -> list[str]:
    """The blocks of code in a language."""
    found = re.findall(rf"^(?P<fence>`{{3,}}){language}\n(.*?)^(?P=fence)$", text, re.MULTILINE | re.DOTALL)
    return [block for _, block in found]


def section(title: str) -> str:
    """What the document says under a heading, up to the next one; before a heading is an empty line, in code none."""
    match = re.search(rf"\n\n##+ {re.escape(title)}\n(.*?)(?=\n\n##+ |\Z)", DOCUMENT, re.DOTALL)
    assert match, title
    return match[1]


def first_column(title: str) -> set[str]:
    """The code in the first column of a section's tables."""
    return set(re.findall(r"^\| `([^`]+)` \|", section(title), re.MULTILINE))


def given(table: dict[str, Any], name: str) -> Keys:
    """The keys that a TOML file has, by table."""
    found: Keys = {name: set(table)}
    for key, value in table.items():
        below = key if name.endswith(".toml") else f"{name}.{key}"
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict) and below not in OWN:  # whose keys are the author's own
                found |= given(each, below)
    return found


def test_every_key_of_the_toml_files_is_told_and_no_other() -> None:
    headings = {re.sub(r"[`\[\]]", "", each): each for each in re.findall(r"^### (`.+`)$", DOCUMENT, re.MULTILINE)}
    told = {name: first_column(heading) for name, heading in headings.items()}
    assert told | EDITS == KNOWN | HINTS | SOLUTIONS
    assert [first_column("An edit")] * len(EDITS) == [*EDITS.values()]


def test_every_key_is_in_the_readme_of_a_new_lab(readme: str) -> None:
    lab, exercise, hints = map(tomllib.loads, code(readme, "toml"))
    assert given(lab, "lab.toml") | given(exercise, "exercise.toml") == KNOWN
    assert [set(hint) for hint in hints.values()] == [HINTS["hints.toml"]]


def test_every_placeholder_is_told_and_no_other(tmp_path: Path, readme: str) -> None:
    app = App(command=("{nothing}",), ready="/", home="/", instances=1, environment={})
    with (
        pytest.raises(UsageError) as caught,
        instances.running(app, tmp_path, data=tmp_path, secret="s", id="i", count=1, database_server="postgresql://"),
    ):
        pass
    of_instances = set(re.findall(r"\{\w+\}", caught.value.next or ""))
    of_tail = set(re.findall(r'"(\{\w+\})":', inspect.getsource(tail.tail_command)))
    assert first_column("Placeholders") == of_instances | of_tail
    assert set(re.findall(r"\{\w+\}", code(readme, "toml")[1])) == of_instances | of_tail


def test_every_comment_that_is_told_makes_a_todo_line(tmp_path: Path) -> None:
    (block,) = code(section("TODO lines and snippets"), "text")
    (tmp_path / "page.txt").write_text(block, encoding="utf-8")
    todos = snippets.todo_lines(tmp_path)
    assert [(todo.line, todo.name, todo.text) for todo in todos] == [
        (line, "pour-tea", "pour it into the cup") for line in range(1, 11)
    ]


def test_every_mark_and_fixture_of_checks_is_told_and_no_other() -> None:
    marks = set(re.findall(r'"markers", "(\w+)\(', inspect.getsource(worker.Reporter.pytest_configure)))
    fixtures = {name for name, value in vars(checking).items() if isinstance(value, type(checking.stage))}
    told = first_column("Checks")
    assert {each for each in told if not each.startswith("@")} == fixtures
    assert set(re.findall(r"@pytest\.mark\.(\w+)\(", " ".join(told))) == marks


def test_every_environment_variable_is_told_and_no_other() -> None:
    modules = [path for path in Path(labkit.__file__).parent.rglob("*.py") if "_lab" not in path.parts]
    used = {name for path in modules for name in re.findall(r"\bLABKIT_[A-Z_]+\b", path.read_text(encoding="utf-8"))}
    assert first_column("Environment variables") == used


def test_the_example_makes_a_lab_that_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = section("A lab, from nothing to verified")
    todo, snippet = code(example, "html")[:2]
    lab = scaffold.new_lab("bird-watching", tmp_path / "birds").folder
    exercise = lab / "exercises" / "ex1-first-steps"
    page = exercise / "begin" / "page.html"
    page.write_text(page.read_text(encoding="utf-8").replace("  </body>", f"{todo}  </body>"), encoding="utf-8")
    (lab / "snippets" / "ex1-first-steps" / "name-bird.html").write_text(snippet, encoding="utf-8")
    monkeypatch.chdir(lab)
    assert run(["author", "end"]) == 0
    assert f"$ labkit author end\n{capsys.readouterr().out}" in code(example, "console")
    with (exercise / "README.md").open("a", encoding="utf-8") as file:
        file.write(f"\n{code(example, 'markdown')[0]}")
    (exercise / "checks" / "test_bird.py").write_text(code(example, "python")[0], encoding="utf-8")
    assert run(["author", "steps"]) == 0
    assert code(example, "markdown")[1] in (exercise / "README.md").read_text(encoding="utf-8")
    assert content.problems(find_lab(lab)) == []
