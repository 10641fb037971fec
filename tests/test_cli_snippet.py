"""The snippet commands, as a trainee types them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labkit import workspace
from labkit.cli import run
from labkit.lab import Exercise

Labkit = Callable[..., tuple[int, str, str]]


@pytest.fixture
def labkit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Labkit:
    """Run one command line of `labkit snippet`; tells the exit code, stdout and stderr."""
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(["snippet", *arguments])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def mine(brew: Exercise, tea_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Inside a workspace, made without the cost of copier."""
    folder = tmp_path / "mine"
    workspace.copy_app(brew.begin, folder)
    described = {
        "schema": 1,
        "labkit": "0.1.0",
        "lab": str(tea_folder),
        "exercise": brew.name,
        "id": "i",
        "secret": "s",
    }
    (folder / ".labkit").mkdir()
    (folder / ".labkit" / "workspace.json").write_text(json.dumps(described))
    monkeypatch.delenv("LABKIT_LAB", raising=False)
    monkeypatch.chdir(folder)
    return folder


def document(labkit: Labkit, *arguments: str) -> dict[str, Any]:
    _, out, _ = labkit(*arguments, "--format", "json")
    shown: dict[str, Any] = json.loads(out)
    assert shown.pop("schema") == 1
    return shown


def test_insert_says_what_went_where(labkit: Labkit, mine: Path) -> None:
    assert labkit("insert", "pour") == (
        0,
        "Inserted pour into app.py, lines 3-5.\nlabkit undo takes it back.\n"
        "step 2 of 2: Label the cup\nnext: labkit snippet insert cup-label\n",
        "",
    )


def test_a_second_insert_changes_nothing_and_says_so(labkit: Labkit, mine: Path) -> None:
    labkit("insert", "cup-label")
    before = (mine / "pages" / "cup.html").read_bytes()
    assert labkit("insert", "cup-label") == (
        0,
        "cup-label is already inserted in pages/cup.html, line 2; nothing to do.\n"
        "step 1 of 2: Pour\nnext: labkit snippet insert pour\n",
        "",
    )
    assert (mine / "pages" / "cup.html").read_bytes() == before


@pytest.mark.parametrize("arguments", [["--all"], ["--task", "2"], ["TeaParty - A1 - CupLabel", "Pour"]])
def test_several_are_inserted_by_task_or_name_or_all(
    labkit: Labkit, mine: Path, brew: Exercise, arguments: list[str]
) -> None:
    shown = document(labkit, "insert", *arguments)
    assert sorted(shown["changed"]) == ["app.py", "pages/cup.html"]
    assert workspace.compare(mine, brew.end) == []


def test_a_dry_run_shows_the_diff_and_writes_nothing(labkit: Labkit, mine: Path, brew: Exercise) -> None:
    assert labkit("insert", "cup-label", "--dry-run") == (
        0,
        "--- a/pages/cup.html\n+++ b/pages/cup.html\n@@ -1,2 +1,2 @@\n <p>{{ cup }}</p>\n"
        "-<!-- TODO cup-label: say whose cup it is -->\n+<h1>Cup</h1>\n",
        "next: the same without --dry-run inserts it\n",
    )
    assert workspace.compare(mine, brew.begin) == []
    assert not (mine / ".labkit" / "journal").exists()


@pytest.mark.parametrize("given", ["mint", "1=mint"])
def test_a_placeholder_is_filled_in(labkit: Labkit, mine: Path, given: str) -> None:
    shown = document(labkit, "insert", "pour", "--set", given)
    assert shown["snippets"] == [{"name": "pour", "path": "app.py", "line": 3, "lines": 3, "already": False}]
    assert '    cup = "mint"\n' in (mine / "app.py").read_text()


def test_another_value_for_an_inserted_snippet_is_refused(labkit: Labkit, mine: Path) -> None:
    labkit("insert", "pour")
    assert labkit("insert", "pour", "--set", "green")[0] == 0
    code, out, err = labkit("insert", "pour", "--set", "mint")
    assert (code, out) == (2, "")
    assert err.splitlines()[0] == "pour is already inserted in app.py, line 3, with “green”."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Say which snippets: names, or --task T, or --all (one of the three)."),
        (["pour", "--all"], "Say which snippets: names, or --task T, or --all (one of the three)."),
        (["poor"], "Unknown snippet “poor” in a1. Did you mean pour?"),
        (["--task", "1"], "Task a1.1 has no snippets."),
        (["--task", "7"], "Unknown task “7”. There is: a1.1, a1.2."),
        (["pour", "--set", "2=x"], "There is no placeholder ${2:…} in pour."),
        (["pour", "--set", "a", "--set", "b"], "--set names placeholder 1 twice."),
    ],
)
def test_what_cannot_be_inserted_is_a_usage_error(
    labkit: Labkit, mine: Path, brew: Exercise, arguments: list[str], message: str
) -> None:
    code, out, err = labkit("insert", *arguments)
    assert (code, out, err.splitlines()[0]) == (2, "", message)
    assert "next: " in err
    assert workspace.compare(mine, brew.begin) == []


def test_outside_a_workspace_insert_says_how_to_get_one(
    labkit: Labkit, tea_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = labkit("insert", "pour", "--lab", str(tea_folder))
    assert code == 2
    assert err.endswith("next: labkit start a1 --lab tea\n")


def test_list_says_where_each_belongs_and_what_is_done(labkit: Labkit, mine: Path) -> None:
    labkit("insert", "pour")
    assert document(labkit, "list") == {
        "exercises": [
            {
                "exercise": "a1",
                "workspace": str(mine),
                "snippets": [
                    {"name": "pour", "path": "app.py", "line": 3, "todo": "pour it into the cup", "state": "inserted"},
                    {
                        "name": "cup-label",
                        "path": "pages/cup.html",
                        "line": 2,
                        "todo": "say whose cup it is",
                        "state": "todo",
                    },
                ],
            }
        ]
    }
    assert "  pour       app.py:3  inserted\n" in labkit("list")[1]


def test_show_prints_the_code_as_it_is_inserted(labkit: Labkit, mine: Path) -> None:
    assert labkit("show", "POUR")[1] == (
        "pour (a1) belongs into app.py, inside def tea(), in place of its TODO line (line 3):\n\n"
        'cup = "green"\n\nprint(cup)\n\n'
        "placeholder 1 is “green”; another value: --set 1=VALUE\n"
        "next: labkit snippet insert pour\n"
    )


def test_show_works_without_a_workspace(
    labkit: Labkit, tea_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (shown,) = document(labkit, "show", "pour", "--lab", str(tea_folder))["snippets"]
    assert shown["text"] == 'cup = "${1:green}"\n\nprint(cup)\n'
    assert labkit("show", "nothing", "--lab", str(tea_folder))[0] == 2
