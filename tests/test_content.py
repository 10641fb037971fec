"""The content of every lab is whole; and what is not is found."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from labkit import content, scaffold
from labkit.changes import Change, FileChange
from labkit.errors import UsageError
from labkit.lab import Lab, carried_lab, find_lab

ROOT = Path(__file__).parent.parent


def test_the_content_of_this_lab_is_whole() -> None:
    found = content.problems(find_lab(ROOT))
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def test_an_exercise_that_follows_another_continues_it() -> None:
    exercises = find_lab(ROOT).exercises
    assert [each.continues for each in exercises] == [None, *(each.name for each in exercises[:-1])]


def test_a_new_lab_and_its_exercises_are_whole(tmp_path: Path) -> None:
    lab = scaffold.new_lab("bird-watching", tmp_path / "birds", 'Birds “and” "more" <3 $5')
    scaffold.new_exercise(lab, "nests")
    assert content.problems(find_lab(lab.folder)) == []


def test_the_small_lab_is_whole(tea: Lab) -> None:
    assert content.problems(tea) == []


@pytest.mark.parametrize(
    ("path", "change", "problem"),
    [
        ("begin/app.py", ("kettle = 1", "kettle = 2"), "app.py differs between begin with all snippets and end."),
        ("begin/app.py", ("TODO pour", "TODO poor"), "begin/app.py:3: the TODO line poor has no snippet."),
        (
            "begin/app.py",
            ("TODO pour", "TODO Pour"),
            "begin/app.py:3: “Pour” cannot be a TODO line's name: it has a-z, 0-9, and between them . _ -.",
        ),
        ("begin/app.py", ("TODO pour", "TODO poor"), "no TODO line in begin names the snippet pour."),
        (
            "begin/app.py",
            (": pour it into the cup", ":"),
            "begin/app.py:3: the TODO line pour does not say what to do.",
        ),
        (
            "begin/more.py",
            ("", "# TODO pour: x\n"),
            "the TODO line pour is there 2 times: begin/app.py:3 and begin/more.py:1.",
        ),
        (
            "begin/app.py",
            ("def tea", 'cup = "x"\n\nprint(cup)\ndef tea'),
            "begin has the code of the snippet pour already.",
        ),
        ("begin/note.txt", ("", "<YOUR-TEA>"), "begin/note.txt:1 has a placeholder <YOUR-TEA> that nobody fills in."),
        ("begin/a.jinja", ("", "x"), "begin/a.jinja: copying would fill in its name or its content."),
        ("begin/uv.toml", ("", "x"), "begin/uv.toml: `labkit start` puts its own there."),
        ("end/app.py", ("    kettle", "    # TODO more: x\n    kettle"), "end/app.py:2 still has the TODO line more."),
        ("end/extra.txt", ("", "x"), "extra.txt is in end, but not in begin with all snippets."),
        ("README.md", ("insert pour", "insert spill"), "a step names the snippet spill, which has no file."),
        (
            "README.md",
            ("labkit snippet insert pour", "labkit run"),
            "the snippet pour is inserted by 0 steps of README.md, not by one.",
        ),
        (
            "README.md",
            ("$ labkit run a1", "$ labkit run a1\n   Running"),
            "README.md:9: in a console each line begins with `$ `; “Running” does not.",
        ),
        (
            "README.md",
            ("   $ labkit run a1", "   $ labkit snippet insert pour\n   $ labkit snippet insert cup-label"),
            "README.md:7: step 1 of task 1 inserts several snippets: pour, cup-label.",
        ),
        ("README.md", ("2. Label", "3. Label"), "README.md:31: step 2 of task 2 has the number 3."),
        (
            "README.md",
            ("1. Look at the pot", "1. # Look"),
            "README.md:7: step 1 of task 1 does not begin with a sentence.",
        ),
        ("README.md", ("## Task 2", "## Task 3"), "README.md:13: task 2 has the number 3."),
        ("README.md", ("1. Look", "Look"), "README.md:5: task 1 has no steps, that is, no numbered list."),
        (
            "README.md",
            ('+    cup = "green"', '+    cup = "black"'),
            "README.md does not show the snippets as they are inserted: labkit author steps a1.",
        ),
        (
            "hints.toml",
            ("", '[spill]\nquestion = "?"\ndirection = "!"\n'),
            "hints.toml: no step is carried out by “spill”.",
        ),
        ("exercise.toml", ("[app]", 'continues = "b"\n[app]'), "it continues b, which lab.toml does not name."),
        ("checks/test_brew.py", ("task(1)", "task(3)"), "task 1, “Boil”, has no check."),
        (
            "checks/test_brew.py",
            ("import pytest", "import ?"),
            "the checks cannot be read: invalid syntax (test_brew.py, line 1).",
        ),
        (
            "checks/test_brew.py",
            ("task(1)", "task(3)"),
            "checks/test_brew.py:5: the check test_pot is marked with task 3, which does not exist.",
        ),
        (
            "checks/test_more.py",
            ("", "import pytest\n\n\n@pytest.mark.task(2)\ndef test_cup() -> None:\n    pass\n"),
            "task 2 has 2 checks test_cup: checks/test_brew.py:10 and checks/test_more.py:5.",
        ),
        (
            "checks/test_brew.py",
            ('    """The pot is there."""', "    pass"),
            "checks/test_brew.py:5: the check test_pot has no docstring for the trainee to read: "
            "write under its def what is true once the task is done.",
        ),
        (
            "checks/test_brew.py",
            ("@pytest.mark.task(2)", '@pytest.mark.task(2)\n@pytest.mark.snippets("spill")'),
            "checks/test_brew.py:11: the check test_cup names the unknown snippet spill: remove it, or add its file.",
        ),
    ],
)
def test_what_is_wrong_is_found(tea_folder: Path, path: str, change: tuple[str, str], problem: str) -> None:
    file = tea_folder / "exercises" / "a1-brew" / path
    before = file.read_text() if file.exists() else ""
    assert change[0] in before
    file.write_text(before.replace(*change) if change[0] else change[1])
    assert f"a1-brew: {problem}" in content.problems(find_lab(tea_folder))


@pytest.mark.parametrize(
    "path",
    [
        "exercises/a1-brew/begin/app.py",
        "snippets/a1-brew/pour.py",
        "exercises/a1-brew/README.md",
        "exercises/a1-brew/checks/test_brew.py",
    ],
)
def test_a_file_that_is_not_in_utf_8_is_found(tea_folder: Path, path: str) -> None:
    file = tea_folder / path
    file.write_bytes(file.read_bytes() + "# Kännchen\n".encode("latin-1"))
    line = file.read_bytes().count(b"\n")
    assert content.problems(find_lab(tea_folder)) == [f"a1-brew: {file}:{line} is not in UTF-8."]
    file.write_text("# TODO pour: x", encoding="utf-16")
    assert content.problems(find_lab(tea_folder)) == [f"a1-brew: {file}:1 is not in UTF-8."]


def continued(tea_folder: Path) -> tuple[Path, Path]:
    """Add an exercise that continues the lab's only one, with its TOML and a chapter alone: the folders of both."""
    lab = tea_folder / "lab.toml"
    lab.write_text(lab.read_text().replace('"a1-brew"', '"a1-brew", "a2-more"'))
    former, more = (tea_folder / "exercises" / name for name in ("a1-brew", "a2-more"))
    more.mkdir()
    (more / "exercise.toml").write_text('continues = "a1-brew"\n' + (former / "exercise.toml").read_text())
    (more / "README.md").write_text("# More tea\n")
    return former, more


def test_begin_of_a_continued_exercise_is_the_former_end_but_for_todo_lines(
    tea_folder: Path, write_files: Callable[[Path, dict[str, str]], Path]
) -> None:
    former, more = continued(tea_folder)
    write_files(
        more,
        {
            "begin/app.py": "# TODO pot: wash it\n" + (former / "end" / "app.py").read_text(),
            "begin/pages/cup.html": (former / "end" / "pages" / "cup.html").read_text(),
            "end/app.py": "",
            "checks/test_more.py": "",
        },
    )
    about = "begin without its TODO lines"
    assert not [problem for problem in content.problems(find_lab(tea_folder)) if about in problem]
    (more / "begin" / "app.py").write_text("# TODO pot: wash it\n")
    assert f"a2-more: app.py differs between {about} and the end of a1-brew." in content.problems(find_lab(tea_folder))


def test_end_is_made_from_begin_and_snippets(tea: Lab) -> None:
    (exercise,) = tea.exercises
    whole = (exercise.end / "app.py").read_bytes()
    (exercise.end / "app.py").write_text("old")
    (exercise.end / "stale.py").write_text("old")
    (exercise.end / "tea.db").write_text("the app's data is no file of the app")
    assert content.remade(tea, [exercise]) == Change(
        "make the end of a1",
        (
            FileChange("exercises/a1-brew/end/app.py", b"old", whole),
            FileChange("exercises/a1-brew/end/stale.py", b"old", None),
        ),
    )


def test_a_stale_end_comes_with_the_command_that_makes_it(tea_folder: Path) -> None:
    (tea_folder / "exercises" / "a1-brew" / "end" / "extra.txt").write_text("x")
    assert content.problems(find_lab(tea_folder))[:2] == [
        "a1-brew: extra.txt is in end, but not in begin with all snippets.",
        "a1-brew: end is made, not written: labkit author end a1.",
    ]


def test_an_exercise_that_continues_another_follows_its_new_end_but_in_the_files_with_todo_lines(
    tea_folder: Path, write_files: Callable[[Path, dict[str, str]], Path]
) -> None:
    former, more = continued(tea_folder)
    write_files(
        more,
        {
            "begin/app.py": "# TODO pot: wash it\n",
            "begin/gone.py": "",
        },
    )
    write_files(tea_folder, {"snippets/a2-more/pot.py": "pot = 1\n"})
    (former / "begin" / "new.txt").write_text("new")
    page = (former / "end" / "pages" / "cup.html").read_bytes()
    tea = find_lab(tea_folder)
    assert content.remade(tea, tea.exercises).files == (
        FileChange("exercises/a1-brew/end/new.txt", None, b"new"),
        FileChange("exercises/a2-more/begin/gone.py", b"", None),
        FileChange("exercises/a2-more/begin/new.txt", None, b"new"),
        FileChange("exercises/a2-more/begin/pages/cup.html", None, page),
        FileChange("exercises/a2-more/end/app.py", None, b"pot = 1\n"),
        FileChange("exercises/a2-more/end/new.txt", None, b"new"),
        FileChange("exercises/a2-more/end/pages/cup.html", None, page),
    )


@pytest.mark.parametrize("missing", ["begin", "end"])
def test_a_folder_that_is_missing_is_not_taken_for_an_empty_one(tea_folder: Path, missing: str) -> None:
    lab = tea_folder / "lab.toml"
    lab.write_text(lab.read_text().replace('"a1-brew"', '"a1-brew", "a2-more"'))
    former, more = tea_folder / "exercises" / "a1-brew", tea_folder / "exercises" / "a2-more"
    shutil.copytree(former, more)
    (more / "exercise.toml").write_text('continues = "a1-brew"\n' + (former / "exercise.toml").read_text())
    shutil.rmtree({"begin": more / "begin", "end": former / "end"}[missing])
    tea = find_lab(tea_folder)
    with pytest.raises(UsageError, match=f"{missing} is missing. Nothing was changed."):
        content.remade(tea, [tea.exercises[1]])


def test_the_carried_lab_is_this_one() -> None:
    assert find_lab(carried_lab()).title == find_lab(ROOT).title
