"""What an author gets wrong in a lab is named with its file and line, and with what to write there."""

import json
from pathlib import Path

import pytest

from labkit import content, diagnosis, insertion, recognition, scaffold, snippets, workspace
from labkit.diagnosis import AppDidNotStart
from labkit.errors import UsageError
from labkit.lab import Lab, find_lab
from labkit.recognition import Likeness
from labkit.verify.causes import Facts, of_start

APP = "exercises/a1-brew/begin/app.py"


def written(lab: Path, path: str, old: str, new: str) -> Lab:
    """The lab after this change of a file."""
    file = lab / path
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    return find_lab(lab)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("# TODO Pour: pour it", "it says “Pour”, the snippet's file is named pour"),
        ("# TODO p_our: pour it", "it says “p_our”, the snippet's file is named pour"),
        ("# TODO: pour", "a colon is missing after pour"),
        ("# TODO pour it into the cup", "a colon is missing after pour"),
        ("# todo pour: pour it", "it has to be a comment alone on its line"),
        ("kettle = 2  # TODO pour: pour it", "it has to be a comment alone on its line"),
        ("' TODO pour: pour it", "it has to be a comment alone on its line"),
    ],
)
def test_a_line_that_is_nearly_a_todo_line_is_named_with_its_fault(tea_folder: Path, line: str, why: str) -> None:
    (exercise,) = written(tea_folder, APP, "# TODO pour: pour it into the cup", line).exercises

    with pytest.raises(UsageError) as caught:
        insertion.insert(exercise.begin, exercise, ["pour"])

    assert caught.value.message == f"{APP}:3 is no TODO line for pour: {why}. The lab is at fault."
    assert caught.value.next == (
        "Its author writes there, as a comment on a line of its own: TODO pour: what there is to do"
    )
    found = content.problems(find_lab(tea_folder))
    assert f"a1-brew: no TODO line in begin names the snippet pour: begin/app.py:3 is none, {why}." in found


def test_a_snippet_without_a_todo_line_is_named_by_its_file(tea_folder: Path) -> None:
    (tea_folder / "snippets" / "a1-brew" / "stir.py").write_text("spoon = 1\n", encoding="utf-8")
    (exercise,) = find_lab(tea_folder).exercises

    with pytest.raises(UsageError) as caught:
        content.remade(find_lab(tea_folder), [exercise])

    assert caught.value.message == (
        "No file of exercises/a1-brew/begin has a TODO line for snippets/a1-brew/stir.py: the lab is at fault."
    )
    assert caught.value.next == (
        "Its author writes where the code belongs, as a comment: TODO stir: what there is to do; "
        "or removes snippets/a1-brew/stir.py"
    )


def test_a_comment_of_jsx_is_a_todo_line(tmp_path: Path) -> None:
    (tmp_path / "cup.jsx").write_text("<p>\n  {/* TODO cup-label: say whose cup it is */}\n</p>\n", encoding="utf-8")

    (todo,) = snippets.todo_lines(tmp_path)

    assert (todo.name, todo.line, todo.indent, todo.text) == ("cup-label", 2, "  ", "say whose cup it is")


def test_a_name_to_choose_in_two_snippets_is_found(tea_folder: Path) -> None:
    lab = written(tea_folder, "snippets/a1-brew/cup-label.html", "<h1>Cup</h1>", "<h1>Cup</h1>\n<p>${1:green}</p>")
    wanted = (
        "a1-brew: the snippets pour and cup-label (cup-label.html:2) both let “green” be chosen: "
        "whoever fills in another name for ${1:…} in one of them breaks the app."
    )

    assert wanted in content.problems(lab)


@pytest.mark.slow
def test_a_workspace_whose_lab_is_gone_says_where_it_was(tea: Lab, tmp_path: Path) -> None:
    work = workspace.create(tea, tea.exercises[0], tmp_path / "work").folder
    (tmp_path / "tea").rename(tmp_path / "moved")
    other = scaffold.new_lab("coffee", tmp_path / "coffee")

    with pytest.raises(UsageError) as caught:
        workspace.find(other, work)

    assert caught.value.message == (
        f"{work} is a workspace of a1-brew, which the lab “Coffee” does not have. "
        f"It was made from the lab in {tmp_path.resolve() / 'tea'}, which is not there any more."
    )
    assert json.loads((work / ".labkit" / "workspace.json").read_text(encoding="utf-8"))["exercise"] == "a1-brew"


def test_the_same_exercise_is_not_made_twice(tmp_path: Path) -> None:
    lab = scaffold.new_lab("todo", tmp_path / "todo")
    scaffold.new_exercise(lab, "sharing lists")
    before = (lab.folder / "lab.toml").read_bytes()

    with pytest.raises(UsageError) as caught:
        scaffold.new_exercise(find_lab(lab.folder), "Sharing lists")

    assert caught.value.message == "ex2-sharing-lists is there already. Nothing was changed."
    assert caught.value.next == ("Choose another name, or a number of its own: labkit new exercise ex3-sharing-lists")
    assert (lab.folder / "lab.toml").read_bytes() == before


def test_a_mark_that_is_stale_and_a_missing_docstring_are_named_with_what_to_write(tea_folder: Path) -> None:
    checks = tea_folder / "exercises" / "a1-brew" / "checks" / "test_brew.py"
    checks.write_text(
        "import pytest\n\n\n@pytest.mark.task(1)\ndef test_pot() -> None:\n    pass\n\n\n"
        '@pytest.mark.task(2)\n@pytest.mark.snippets("por", "sugar")\ndef test_cup() -> None:\n    """It is full."""\n',
        encoding="utf-8",
    )
    (exercise,) = find_lab(tea_folder).exercises

    assert content.check_problems(exercise) == [
        "checks/test_brew.py:5: the check test_pot has no docstring for the trainee to read: "
        "write under its def what is true once the task is done.",
        "checks/test_brew.py:11: the check test_cup names the unknown snippet por: write pour.",
        "checks/test_brew.py:11: the check test_cup names the unknown snippet sugar: remove it, or add its file.",
    ]


def test_a_command_that_names_a_file_in_vain_has_its_line(tea_folder: Path) -> None:
    lab = written(tea_folder, "exercises/a1-brew/exercise.toml", '"app.py"', '"ap.py"')

    assert "a1-brew: exercise.toml:2: the app's command names ap.py, and there is no begin/ap.py." in content.problems(
        lab
    )


def test_verify_says_that_the_lab_is_at_fault_for_such_a_command(tea_folder: Path) -> None:
    (exercise,) = written(tea_folder, "exercises/a1-brew/exercise.toml", '"app.py"', '"ap.py"').exercises
    lines = [f"python: can't open file '{exercise.begin}/ap.py': [Errno 2] No such file or directory"]
    error = diagnosis.ended("The app", 2, lines, exercise.begin, exercise.begin / "instance-1.log")
    assert isinstance(error, AppDidNotStart)
    description = exercise.folder / "exercise.toml"

    found = of_start(Facts(exercise.begin, exercise.begin), error)

    assert found.cause == (
        "The app does not start: its command names ap.py, which is not there. The lab is at fault: "
        f'{description}:2 names it, and begin/ has it not.\n    2 | command = ["{{python}}", "ap.py", "{{port}}"]'
    )
    assert found.next == f"Its author corrects `command` in {description}, line 2, or adds begin/ap.py."


def test_a_file_of_begin_that_the_trainee_has_lost_is_to_be_brought_back(tea: Lab, tmp_path: Path) -> None:
    (exercise,) = tea.exercises
    mine = workspace.create(tea, exercise, tmp_path / "mine").folder
    (mine / "app.py").unlink()
    lines = [f"python: can't open file '{mine}/app.py': [Errno 2] No such file or directory"]
    error = diagnosis.ended("The app", 2, lines, mine, mine / "instance-1.log")
    assert isinstance(error, AppDidNotStart)

    assert of_start(Facts(mine, exercise.begin), error).next == "labkit reset app.py"


def test_a_question_that_nobody_can_answer_while_the_app_starts_is_told_with_its_line(tea: Lab, tmp_path: Path) -> None:
    (exercise,) = tea.exercises
    mine = workspace.create(tea, exercise, tmp_path / "mine").folder
    (mine / "app.py").write_text('# never input() here\ncup = input("Which cup? ")\n')
    error = diagnosis.ended("The app", 1, ["Which cup? Aborted!"], mine, mine / "instance-1.log")
    assert isinstance(error, AppDidNotStart)

    found = of_start(Facts(mine, exercise.begin), error)

    assert (found.cause, found.next) == (
        "app.py:2: this asks a question while the app starts, and nobody is there to answer it\n"
        '    2 | cup = input("Which cup? ")',
        "Delete app.py:2, save the file and repeat the command.",
    )


def test_npms_folder_in_begin_is_named(tea_folder: Path) -> None:
    package = tea_folder / "exercises" / "a1-brew" / "begin" / "node_modules" / "tea"
    package.mkdir(parents=True)
    (package / "index.js").write_text("", encoding="utf-8")

    found = content.problems(find_lab(tea_folder))

    assert found == [
        "a1-brew: begin/node_modules: a folder of this name is copied nowhere, not to end, to a workspace, or by "
        "verify; what the app needs of it belongs into a folder of another name."
    ]


def test_a_todo_line_of_another_version_of_the_lab_is_named(tea: Lab, tea_folder: Path, tmp_path: Path) -> None:
    mine = workspace.create(tea, tea.exercises[0], tmp_path / "mine").folder
    for file in (tea_folder / "exercises" / "a1-brew" / "README.md", tea_folder / APP):
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace("insert pour", "insert fill").replace("TODO pour", "TODO fill"), encoding="utf-8")
    (tea_folder / "snippets" / "a1-brew" / "pour.py").rename(tea_folder / "snippets" / "a1-brew" / "fill.py")
    (exercise,) = find_lab(tea_folder).exercises

    with pytest.raises(UsageError) as caught:
        insertion.insert(mine, exercise, ["fill"])

    assert caught.value.message == (
        "There is no TODO line for fill, but app.py:3 has one for pour, which this version of the lab does not know: "
        "the workspace was made from another one."
    )
    assert caught.value.next == "labkit update   (brings the workspace to this version, and keeps your work)"
    assert recognition.look(exercise, mine)["fill"].likeness is Likeness.ABSENT
