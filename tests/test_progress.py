"""Progress tells the truth: a step is done when its deed is done, and next follows the order of the steps."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from labkit import insertion, invocation, known, progress, status, tree, verdicts, workspace
from labkit.cli import following, run
from labkit.lab import Exercise, Lab, find_lab
from labkit.verify.report import Check, Report, Result, TaskReport, Verdict
from labkit.workspace import Workspace

NOW = datetime(2026, 11, 30, 12, 0)


@pytest.fixture
def mine(tea: Lab, brew: Exercise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace of the tea lab, which we are in."""
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path / "kept"))
    made = workspace.create(tea, brew, tmp_path / "mine")
    monkeypatch.chdir(made.folder)
    return made


def insert(mine: Workspace, brew: Exercise, *names: str) -> None:
    mine.apply(insertion.insert(mine.folder, brew, names))


def passed(brew: Exercise, *tasks: str) -> Report:
    check = (Check("a1.1/pot", "The pot is there.", "a1.1", 1), Result(Verdict.PASSED))
    return Report("a1", "workspace", 1, tuple(TaskReport(t.id, t.title, (check,)) for t in brew.tasks if t.id in tasks))


def verify(mine: Workspace, brew: Exercise, *tasks: str) -> None:
    verdicts.remember(mine.folder, passed(brew, *tasks), tree.digest(mine.folder), NOW)


def test_next_follows_the_steps(brew: Exercise, mine: Workspace) -> None:
    commands = [progress.look(brew, mine).command]
    progress.note(brew, mine, "run", NOW)
    commands.append(progress.look(brew, mine).command)
    insert(mine, brew, "pour")
    commands.append(progress.look(brew, mine).command)
    insert(mine, brew, "cup-label")
    commands.append(progress.look(brew, mine).command)
    verify(mine, brew, "a1.1", "a1.2")
    commands.append(progress.look(brew, mine).command)
    assert commands == [
        "labkit run a1",
        "labkit snippet insert pour",
        "labkit snippet insert cup-label",
        "labkit verify a1",
        None,
    ]


def test_a_look_that_was_left_out_is_not_done_and_not_asked_for_again(brew: Exercise, mine: Workspace) -> None:
    insert(mine, brew, "pour")
    found = progress.look(brew, mine)
    assert [(each.step.id, each.done, each.passed_over) for each in found.steps] == [
        ("a1.1.1", False, True),
        ("a1.2.1", True, False),
        ("a1.2.2", False, False),
    ]
    assert found.command == "labkit snippet insert cup-label"


def test_a_task_is_remembered_as_verified_and_whether_files_changed_since(brew: Exercise, mine: Workspace) -> None:
    insert(mine, brew, "pour", "cup-label")
    verify(mine, brew, "a1.1", "a1.2")
    assert progress.look(brew, mine).is_finished
    (mine.folder / "app.py").write_text((mine.folder / "app.py").read_text() + "# more\n")
    found = progress.look(brew, mine)
    assert [each.verified and (each.verified.passed, each.verified.changed_since) for each in found.tasks] == [
        (True, True),
        (True, True),
    ]
    assert (found.is_verified, found.is_finished, found.command) == (True, False, "labkit verify a1")


def test_code_that_is_taken_back_is_to_do_again(brew: Exercise, mine: Workspace) -> None:
    insert(mine, brew, "pour")
    mine.journal.undo()
    progress.note(brew, mine, "run", NOW)
    assert progress.look(brew, mine).command == "labkit snippet insert pour"


def test_a_run_counts_for_its_own_step_only(mine: Workspace) -> None:
    lab = find_lab(Path(__file__).parent.parent)
    exercise = lab.exercises[0]
    made = workspace.create(lab, exercise, mine.folder.parent / "quiz")
    for _ in range(3):
        progress.note(exercise, made, "run", NOW)
    runs = [each for each in progress.look(exercise, made).steps if progress.deed_of(each.step.command) == "run"]
    assert [each.done for each in runs] == [True, False]


def test_the_second_exercise_begins_with_running_both_instances(mine: Workspace) -> None:
    lab = find_lab(Path(__file__).parent.parent)
    exercise = lab.exercises[1]
    made = workspace.create(lab, exercise, mine.folder.parent / "scale")
    commands = []
    for deed in ("run", "db start", "db create"):
        commands.append(progress.look(exercise, made).command)
        if deed == "db create":
            made.note_database("signalr", NOW)
        else:
            progress.note(exercise, made, deed, NOW)
    assert commands == ["labkit run ex2", "labkit db start", "labkit db create signalr"]
    assert (progress.look(exercise, made).command or "").startswith("labkit db shell")


def test_a_damaged_memory_is_made_anew(brew: Exercise, mine: Workspace) -> None:
    (mine.folder / ".labkit" / "progress.json").write_text("{")
    progress.note(brew, mine, "run", NOW)
    assert progress.look(brew, mine).command == "labkit snippet insert pour"


def test_status_is_a_line_that_tells_of_changed_files(brew: Exercise, mine: Workspace) -> None:
    following.look(brew, mine)
    assert status.line(str(mine.folder / "pages")) == "a1 task 1, step 1 of 1: labkit run a1"
    (mine.folder / "app.py").write_text("changed\n")
    assert status.line(str(mine.folder)) == "a1 task 1, step 1 of 1: labkit run a1 *"
    assert status.line(str(mine.folder.parent)) is None


def test_status_gives_a_terminal_no_orders(mine: Workspace) -> None:
    (mine.folder / ".labkit" / "status").write_bytes(b"a1\x1b[2J task\x80 1\n")
    assert status.line(str(mine.folder)) == "a1[2J task 1 *"


def test_the_end_of_the_lab_is_said(brew: Exercise, mine: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    insert(mine, brew, "pour", "cup-label")
    verify(mine, brew, "a1.1", "a1.2")
    assert run(["next"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Exercise 1 is done: Brew a pot of tea.\n")
    assert "That was the last exercise of “Tea”" in out


def test_hints_come_in_three_presses(mine: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for _ in range(4):
        assert run(["hint", "pour", "--format", "json"]) == 0
        told.append(json.loads(capsys.readouterr().out)["hints"])
    question, direction, code = told[2]
    assert told == [[question], [question, direction], [question, direction, code], [question, direction, code]]
    assert code == 'cup = "green"\n\nprint(cup)\n'
    assert code not in direction


def test_solve_adds_what_is_missing_and_leaves_the_rest(
    mine: Workspace, brew: Exercise, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = '    cup = "mint"\n    # my own way\n    print(cup)\n    # TODO pour: pour it into the cup\n'
    app = mine.folder / "app.py"
    app.write_text(app.read_text().replace("    # TODO pour: pour it into the cup\n", typed))
    before = app.read_text()
    assert run(["solve", "--to", "a1.2"]) == 0
    assert app.read_text() == before.replace("    # TODO pour: pour it into the cup\n", "")
    assert (mine.folder / "pages" / "cup.html").read_bytes() == (brew.end / "pages" / "cup.html").read_bytes()
    assert progress.look(brew, mine).command == "labkit verify a1"
    assert run(["undo"]) == 0
    assert app.read_text() == before


def test_a_workspace_is_known_in_any_folder(
    mine: Workspace, tea: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert [each.folder for each in known.workspaces(tea.folder)] == [mine.folder]
    for command in (["verify"], ["next"], ["snippet", "insert", "pour"]):
        assert run([*command, "--lab", str(tea.folder)]) == 2
        assert capsys.readouterr().err.endswith("next: cd ../mine\n")
    assert run(["list", "--lab", str(tea.folder)]) == 0
    assert capsys.readouterr().out.endswith("next: cd ../mine\nthen: labkit run a1\n")


def test_the_help_with_a_command_says_more_at_each_press(mine: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    exercise = find_lab(Path(__file__).parent.parent).exercises[0]
    step = exercise.tasks[0].steps[1]
    question, direction, code = progress.hints(exercise, step)
    assert question.startswith("Run the application.\n\nYou should see its address:")
    assert (direction, code) == ("It is typed in a terminal, in the folder of your workspace.", "labkit run ex1")


def test_a_hint_says_nothing_twice_and_announces_nothing_that_is_not_there() -> None:
    from labkit.cli.progress import _alone

    assert _alone("Run it.\n\nYou should see its address:\n\nLeave it as it is.", "Run it.") == "Leave it as it is."
    assert _alone("Check it.\n\nIt looks. In the end:", "Check it.") == "It looks."
    assert _alone("Run it.", "Run it.") == ""
    assert _alone("What is it?", "Run it.") == "What is it?"


@pytest.mark.parametrize("called", ["uv", "path"])
def test_what_comes_next_is_printed_as_labkit_was_called(
    called: str, mine: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(__file__).parent.parent
    if called == "uv":
        monkeypatch.setattr(invocation, "_called_by_uv", lambda: True)
        form = f"uv run --project {root} labkit"
    else:
        monkeypatch.setattr("sys.argv", ["/somewhere else/labkit"])
        form = "'/somewhere else/labkit'"
    run(["next"])
    assert f"next: {form} run a1\n" in capsys.readouterr().out
