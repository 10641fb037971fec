"""The trainee's commands, as a trainee types them: list, start, diff, reset, undo."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from labkit import __version__, cli, machine, usage
from labkit.cli import demo, run
from labkit.lab import Lab

Labkit = Callable[..., tuple[int, str, str]]


@pytest.fixture
def labkit(
    tea_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Labkit:
    """Run one command line; tells the exit code, stdout and stderr."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setenv("LABKIT_LAB", str(tea_folder))
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path / "kept"))
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(list(arguments))
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def started(labkit: Labkit, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Inside a fresh workspace."""
    assert labkit("start", "a1")[0] == 0
    folder = Path.cwd() / "a1-brew"
    monkeypatch.chdir(folder)
    return folder


def document(labkit: Labkit, *arguments: str) -> dict[str, Any]:
    code, out, _ = labkit(*arguments, "--format", "json")
    shown: dict[str, Any] = json.loads(out)
    assert (code, shown.pop("schema")) == (shown.get("error", {}).get("code", 0), 1)
    return shown


def test_list_shows_the_exercises_and_how_to_start(labkit: Labkit) -> None:
    assert labkit("list") == (
        0,
        "Tea\n\na1  Brew a pot of tea  5 min\n  1. Boil\n  2. Pour it  2 snippets\n\nnext: labkit start a1\n",
        "",
    )


def test_start_says_where_the_workspace_is_and_what_to_type(labkit: Labkit) -> None:
    code, out, _ = labkit("start", "a1")
    assert code == 0
    assert f"Brew a pot of tea is ready in {Path.cwd() / 'a1-brew'} (2 files)." in out
    assert "next: cd a1-brew\n" in out


def test_start_in_a_folder_of_ones_choice(labkit: Labkit) -> None:
    assert document(labkit, "start", "a1-b", "my tea") == {
        "exercise": "a1",
        "name": "a1-brew",
        "workspace": str(Path.cwd() / "my tea"),
        "next": 'cd "my tea"',
    }


def test_commands_about_another_lab_lead_into_it(
    labkit: Labkit, tea_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LABKIT_LAB")
    lab = tea_folder.rename(tmp_path / "green tea")
    option = f'--lab "{Path("..", "green tea")}"'
    assert document(labkit, "list", "--lab", str(lab))["next"] == f"labkit start a1 {option}"
    assert labkit("start", "--lab", str(lab))[2].endswith(f"\nnext: labkit start a1 {option}\n")
    assert labkit("verify", "a1", "--lab", str(lab))[2].endswith(f"\nnext: labkit start a1 {option}\n")
    monkeypatch.setattr(machine, "checks", lambda lab, folder: [])
    assert labkit("doctor", "--lab", str(lab))[1].endswith(f"\nnext: labkit start a1 {option}\n")
    labkit("start", "a1", "my tea", "--lab", str(lab))
    assert labkit("start", "a1", "my tea", "--lab", str(lab))[2].endswith(
        f'\nnext: Go on with it: cd "my tea". Or start afresh: labkit start a1 "my tea-2" {option}\n'
    )
    assert document(labkit, "list", "--lab", str(lab))["next"] == 'cd "my tea"'
    monkeypatch.chdir("my tea")
    assert document(labkit, "list", "--lab", str(lab))["next"] == "labkit run a1"


def test_the_demo_of_another_lab_leads_into_it(
    tea: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    demo._summarise(tea, [], tmp_path, tmp_path / "screenshots", 1)
    assert capsys.readouterr().out.endswith("\nnext: labkit start a1 --lab tea (to do it yourself)\n")


def test_start_overwrites_nothing(labkit: Labkit) -> None:
    labkit("start", "a1")
    code, out, err = labkit("start", "a1")
    assert (code, out) == (2, "")
    assert "is there already and not empty. Nothing was changed." in err
    assert "next: Go on with it: cd a1-brew. Or start afresh: labkit start a1 a1-brew-2\n" in err


def test_start_without_an_exercise_names_them(labkit: Labkit) -> None:
    code, _, err = labkit("start")
    assert (code, err) == (
        2,
        "Say which exercise to start: a1 (Brew a pot of tea).\nnext: labkit start a1\n",
    )


def test_start_of_an_unknown_exercise_names_the_known(labkit: Labkit) -> None:
    shown = document(labkit, "start", "a2")
    assert shown["error"]["message"] == "Unknown exercise “a2”. Did you mean a1?"


def test_start_inside_a_workspace_makes_the_new_one_beside_it(labkit: Labkit, started: Path) -> None:
    assert labkit("start", "a1")[0] == 2
    code, _, err = labkit("start", "a1", "within")
    assert code == 2
    assert "would lie inside the workspace" in err
    assert document(labkit, "start", "a1", "../other")["next"] == "cd ../other"


def test_list_inside_a_workspace_shows_every_step_and_what_is_done(labkit: Labkit, started: Path) -> None:
    labkit("snippet", "insert", "pour")
    assert labkit("list")[1] == (
        "Tea\n\na1  Brew a pot of tea  5 min  in this folder\n"
        "  1. Boil\n          1. Look at the pot\n             labkit run a1\n"
        "  2. Pour it  1/2 snippets\n     [x]  1. Pour\n     [ ]  2. Label the cup\n"
        "             labkit snippet insert cup-label\n"
        "\nnext: labkit snippet insert cup-label\n"
    )


def test_list_counts_the_snippets_of_a_workspace_below(labkit: Labkit) -> None:
    labkit("start", "a1")
    shown = document(labkit, "list")
    assert shown["next"] == "cd a1-brew"
    (exercise,) = shown["exercises"]
    assert exercise["workspace"] == str(Path.cwd() / "a1-brew")
    assert [task["snippets"] for task in exercise["tasks"]] == [{"done": 0, "total": 0}, {"done": 0, "total": 2}]
    assert exercise["tasks"][1]["steps"][0] == {
        "text": "Pour",
        "snippet": "pour",
        "command": None,
        "state": "todo",
        "done": False,
    }


def test_list_leads_to_verify_when_all_is_inserted(labkit: Labkit, started: Path) -> None:
    labkit("snippet", "insert", "--all")
    assert document(labkit, "list")["next"] == "labkit verify a1"


def test_diff_shows_what_is_still_to_come(labkit: Labkit, started: Path) -> None:
    labkit("snippet", "insert", "pour")
    code, out, _ = labkit("diff")
    assert (code, out) == (
        0,
        "--- yours/pages/cup.html\n+++ end/pages/cup.html\n@@ -1,2 +1,2 @@\n <p>{{ cup }}</p>\n"
        "-<!-- TODO cup-label: say whose cup it is -->\n+<h1>Cup</h1>\n",
    )
    assert labkit("diff", "--stat")[1] == (
        "pages/cup.html  +1 -1\n1 file differs from a1's end: + is only there, - only in your workspace.\n"
        "next: labkit diff a1 pages/cup.html\n"
    )
    assert labkit("diff", "a1", "pages/cup.html") == labkit("diff", "pages/cup.html") == (0, out, "")
    assert labkit("diff", "app.py") == (0, "app.py is equal to a1's end, byte for byte.\nnext: labkit verify a1\n", "")
    code, _, err = labkit("diff", "pages/cap.html")
    assert (code, err.splitlines()) == (
        2,
        ["Unknown file “pages/cap.html”. Did you mean pages/cup.html?", "next: labkit diff a1 --stat"],
    )


def test_diff_says_when_the_workspace_is_equal(labkit: Labkit, started: Path) -> None:
    labkit("snippet", "insert", "--all")
    assert labkit("diff", "a1")[1] == ("Your workspace is equal to a1's end, byte for byte.\nnext: labkit verify a1\n")
    assert document(labkit, "diff") == {
        "exercise": "a1",
        "workspace": str(started),
        "solution": "end",
        "equal": True,
        "files": [],
    }


def test_diff_without_a_workspace_says_how_to_get_one(labkit: Labkit) -> None:
    code, out, err = labkit("diff")
    assert (code, out) == (2, "")
    assert err == f"No workspace in {Path.cwd()}.\nnext: labkit start a1\n"


def test_reset_without_a_terminal_wants_yes(labkit: Labkit, started: Path) -> None:
    labkit("snippet", "insert", "pour")
    code, _, err = labkit("reset")
    assert code == 2
    assert "Bring back as it was at the beginning, in this folder: app.py?" in err
    assert "next: Add --yes to say yes.\n" in err


def test_reset_of_one_file_keeps_the_others(labkit: Labkit, started: Path) -> None:
    labkit("snippet", "insert", "--all")
    (started / "notes.txt").write_text("mine")
    assert document(labkit, "reset", "pages/cup.html", "--yes")["reset"] == ["pages/cup.html"]
    assert [file["path"] for file in document(labkit, "diff")["files"]] == ["notes.txt", "pages/cup.html"]


def test_reset_finds_a_file_from_a_folder_below(labkit: Labkit, started: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (started / "pages" / "cup.html").write_text("mine")
    monkeypatch.chdir(started / "pages")
    assert document(labkit, "reset", "cup.html", "--yes")["reset"] == ["pages/cup.html"]


def test_reset_leaves_the_apps_data_alone_unless_asked(labkit: Labkit, started: Path) -> None:
    data = started / ".labkit" / "data" / "tea.db"
    data.write_text("tea")
    assert labkit("reset", "--yes")[1] == "Nothing to reset: the app's files are as the exercise began.\n"
    assert data.read_text() == "tea"
    kept = document(labkit, "reset", "--data", "--yes")["data"]
    assert (Path(kept) / "tea.db").read_text() == "tea"
    assert list(data.parent.iterdir()) == []
    data.write_text("coffee")
    assert labkit("undo")[1].startswith("Undone: reset a1\n  the app's data is as it was before\n")
    assert (data.read_text(), (started / ".labkit" / "undone" / "data-2" / "tea.db").read_text()) == ("tea", "coffee")


def test_data_that_a_running_app_writes_to_is_left_where_it_is(labkit: Labkit, started: Path) -> None:
    data = started / ".labkit" / "data" / "tea.db"
    data.write_text("tea")
    with usage.noted(started):
        code, _, err = labkit("reset", "--data", "--yes")
        assert (code, err) == (
            2,
            f"The app of this workspace runs (process {os.getpid()}), and writes to its data.\n"
            "next: Stop it first, with Ctrl-C or q in its terminal, or in the guide, then repeat the command.\n",
        )
        assert data.read_text() == "tea"
    (started / ".labkit" / "running" / "4194305").write_text("1.0")  # whoever left it was killed
    assert labkit("reset", "--data", "--yes")[0] == 0
    assert (data.exists(), list((started / ".labkit" / "running").iterdir())) == (False, [])
    with usage.noted(started):
        assert labkit("undo")[0] == 2
    assert labkit("undo")[0] == 0
    assert data.read_text() == "tea"


def test_a_look_at_somebody_elses_folders_changes_nothing_in_them(labkit: Labkit, started: Path) -> None:
    shutil.rmtree(started / ".labkit")
    os.chdir(started.parent)
    for command in (("list",), ("snippet", "list")):
        assert labkit(*command)[0] == 0
        assert not (started / ".labkit").exists()


def test_reset_of_an_unknown_file_names_the_nearest(labkit: Labkit, started: Path) -> None:
    code, _, err = labkit("reset", "a1", "ap.py", "--yes")
    assert (code, err.splitlines()[0]) == (2, "Unknown file “ap.py”. Did you mean app.py?")


def test_a_reset_and_an_insert_are_undone_one_by_one(labkit: Labkit, started: Path) -> None:
    labkit("snippet", "insert", "pour")
    labkit("reset", "--yes")
    assert labkit("undo")[1] == (
        "Undone: reset a1\n  app.py is as it was before\n"
        "What was undone is kept in .labkit/undone/0002-1.\n"
        "next: labkit undo   (takes back the change before that; 1 left)\n"
    )
    shown = document(labkit, "undo")
    assert (shown["undone"], shown["files"], shown["left"]) == ("insert pour", ["app.py"], 0)
    code, _, err = labkit("undo")
    assert code == 2
    assert err.startswith("There is nothing to undo")


def test_undo_refuses_to_lose_an_edit_unless_forced(labkit: Labkit, started: Path) -> None:
    labkit("snippet", "insert", "pour")
    app = started / "app.py"
    app.write_text(app.read_text() + "# mine\n")
    code, _, err = labkit("undo")
    assert code == 2
    assert err.startswith("You have edited app.py since labkit's last change (insert pour)")
    kept = Path(document(labkit, "undo", "--force")["kept"])
    assert (kept / "0.undone").read_text().endswith("# mine\n")


def test_a_workspace_of_another_labkit_is_noted(labkit: Labkit, started: Path) -> None:
    path = started / "lab-workspace.toml"
    path.write_text(path.read_text().replace(f'labkit = "{__version__}"', 'labkit = "0.0.1"'))
    code, _, err = labkit("diff", "--stat")
    assert code == 0
    assert "a1-brew was made by labkit 0.0.1" in err


def commands(group: Any, *path: str) -> Iterator[str]:
    """Every command as it is typed, those that lead to others included."""
    for name, command in group.commands.items():
        yield " ".join((*path, name))
        if hasattr(command, "commands"):
            yield from commands(command, *path, name)


def test_each_command_has_a_help_that_teaches(labkit: Labkit) -> None:
    every = list(commands(typer.main.get_command(cli.app)))
    assert {"start", "snippet insert", "db shell", "author end"} <= set(every)
    for command in every:
        code, out, _ = labkit(*command.split(), "--help")
        assert (code, f"Usage: labkit {command} " in out) == (0, True), command
        assert [mark for mark in ("[/", "[bold", "**", "``") if mark in out] == [], command  # it is rendered
