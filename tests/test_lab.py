"""A lab is found and read, and its parts are named as people name them."""

import json
import shutil
from pathlib import Path

import pytest

from labkit.errors import UsageError, unknown
from labkit.lab import Exercise, Hint, Lab, carried_lab, find_lab


@pytest.mark.parametrize("text", ["a1", "a1-brew", "A1", " a1-b", "a1-BREW"])
def test_an_exercise_is_named_by_id_name_or_beginning(tea: Lab, text: str) -> None:
    assert tea.exercise(text).name == "a1-brew"


@pytest.mark.parametrize("text", ["A1", "a1", "A1-Brew", "a1-brew", "a1-b"])
def test_an_exercise_in_a_folder_with_capitals_is_named_in_any_case(tea_folder: Path, text: str) -> None:
    for parent in ("exercises", "snippets"):
        (tea_folder / parent / "a1-brew").rename(tea_folder / parent / "A1-Brew")
    (tea_folder / "lab.toml").write_text('title = "Tea"\nexercises = ["A1-Brew"]\n')
    exercise = find_lab(tea_folder).exercise(text)
    assert (exercise.name, exercise.id, exercise.task("A1.2").id) == ("A1-Brew", "a1", "a1.2")


def test_an_unknown_exercise_is_an_error_with_the_known_ones(tea: Lab) -> None:
    with pytest.raises(UsageError) as caught:
        tea.exercise("coffee")
    assert caught.value.message == "Unknown exercise “coffee”. There is: a1."
    assert caught.value.next == "labkit list"


@pytest.mark.parametrize("text", ["2", "a1.2", "Pour", "pour it"])
def test_a_task_is_named_by_number_id_or_title(brew: Exercise, text: str) -> None:
    assert brew.task(text).title == "Pour it"


def test_an_unknown_task_is_an_error(brew: Exercise) -> None:
    with pytest.raises(UsageError, match="Unknown task “9”"):
        brew.task("9")


@pytest.mark.parametrize(
    "text", ["cup-label", "CupLabel", "cup_label.html", "TeaParty - A1 - CupLabel", "teaparty-a1 cup label"]
)
def test_a_snippet_is_named_in_any_case_and_punctuation(brew: Exercise, text: str) -> None:
    assert brew.snippet(text, "TeaParty").name == "cup-label"


def test_an_unknown_snippet_is_an_error_with_the_nearest_ones(brew: Exercise) -> None:
    with pytest.raises(UsageError) as caught:
        brew.snippet("cup-lable")
    assert caught.value.message == "Unknown snippet “cup-lable” in a1. Did you mean cup-label?"


def test_snippets_come_in_the_order_of_the_steps(brew: Exercise) -> None:
    (brew.snippets_folder / ".hidden").write_text("")
    (brew.snippets_folder / "another.py").write_text("x\n")
    assert list(brew.snippets) == ["pour", "cup-label", "another"]


def test_the_environment_names_a_lab(tea_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABKIT_LAB", str(tea_folder))
    assert find_lab().title == "Tea"


def test_a_workspace_remembers_its_lab(tea_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / "mine" / "pages"
    (deep.parent / ".labkit").mkdir(parents=True)
    deep.mkdir()
    (deep.parent / ".labkit" / "workspace.json").write_text(json.dumps({"lab": str(tea_folder)}))
    monkeypatch.delenv("LABKIT_LAB", raising=False)
    monkeypatch.chdir(deep)
    with pytest.raises(UsageError) as caught:
        find_lab()
    assert (caught.value.message, caught.value.next) == (
        f"The lab in {tea_folder} was never used on this machine. "
        "Its checks are programs: they may do all that you may.",
        f"If you trust it, name it once: --lab {tea_folder}",
    )
    assert [find_lab(tea_folder).title, find_lab().title] == ["Tea", "Tea"]


@pytest.mark.parametrize("lab", ["5", '""', '"a\\u0000b"', '"/nowhere"', "[]", "null"])
def test_a_workspace_that_names_no_lab_belongs_to_the_carried_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lab: str
) -> None:
    (tmp_path / ".labkit").mkdir()
    (tmp_path / ".labkit" / "workspace.json").write_text(f'{{"lab": {lab}}}')
    monkeypatch.delenv("LABKIT_LAB", raising=False)
    monkeypatch.chdir(tmp_path)
    assert find_lab().folder == carried_lab()


def test_a_submission_that_brings_a_lab_does_not_choose_its_checks(
    tea_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission = tmp_path / "submission"
    shutil.copytree(tea_folder, submission)
    (submission / "lab-workspace.toml").write_text("")
    monkeypatch.delenv("LABKIT_LAB", raising=False)
    monkeypatch.chdir(submission)
    with pytest.raises(UsageError, match="never used on this machine"):
        find_lab()


def test_without_any_hint_the_carried_lab_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LABKIT_LAB", raising=False)
    monkeypatch.chdir(tmp_path)
    assert (carried_lab() / "lab.toml").is_file()


def test_a_folder_without_a_lab_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"it has no lab\.toml"):
        find_lab(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = ", " is not valid TOML: Invalid value (at end of document)."),
        ('title = "x"', ": `exercises` is missing."),
        ('title = "x"\nexercises = "a1-brew"', ': `exercises` must be a list of texts, such as ["one", "two"].'),
        ('titel = "x"\nexercises = []', ": Unknown entry “titel”. Did you mean title?"),
    ],
)
def test_a_broken_lab_names_its_file_and_the_entry(tea_folder: Path, text: str, message: str) -> None:
    path = tea_folder / "lab.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        find_lab(tea_folder)
    assert caught.value.message == f"{path}{message}"


def test_a_lab_is_read_with_byte_order_marks(tea_folder: Path) -> None:
    for path in [path for path in tea_folder.rglob("*") if path.suffix == ".toml" or path.parent.name == "a1-brew"]:
        if path.is_file():
            path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    lab = find_lab(tea_folder)
    assert (lab.title, lab.exercises[0].title) == ("Tea", "Brew a pot of tea")
    assert lab.exercises[0].snippets["cup-label"].text == "<h1>Cup</h1>\n"


@pytest.mark.parametrize("path", ["lab.toml", "exercises/a1-brew/exercise.toml", "snippets/a1-brew/pour.py"])
def test_a_file_that_is_not_in_utf_8_is_named_with_the_line(tea_folder: Path, path: str) -> None:
    file = tea_folder / path
    file.write_bytes(b"#\n# K\xe4nnchen\n" + file.read_bytes())
    with pytest.raises(UsageError) as caught:
        [snippet.text for exercise in find_lab(tea_folder).exercises for snippet in exercise.snippets.values()]
    assert (caught.value.message, caught.value.next) == (f"{file}:2 is not in UTF-8.", "Save the file as UTF-8.")


def test_an_exercise_that_is_not_there_is_named(tea_folder: Path) -> None:
    (tea_folder / "lab.toml").write_text('title = "x"\nexercises = ["b"]')
    with pytest.raises(UsageError) as caught:
        find_lab(tea_folder)
    assert caught.value.message == f"{tea_folder / 'exercises' / 'b' / 'exercise.toml'} is missing."


COMMAND = 'a list of a program and its arguments, such as ["{python}", "app.py", "{port}"]'


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[app]", "[[app]]", "`app` must be a table."),
        ("[app]", "continues = 5\n[app]", "`continues` must be text in quotes."),
        (
            "[app]",
            'title = "Tea"\n[app]',
            "Unknown entry “title”. There is: continues, points, app, database, measure.",
        ),
        ('ready = "/"', "", "`app.ready` is missing."),
        ('ready = "/"', 'ready = "healthz"', "`app.ready` must be text that begins with a slash."),
        ('ready = "/"', 'ready = "/"\ninstances = "two"', "`app.instances` must be a whole number from 1."),
        ('ready = "/"', 'ready = "/"\ninstances = 0', "`app.instances` must be a whole number from 1."),
        ('ready = "/"', 'ready = "/"\ninstnaces = 3', "Unknown entry of `app` “instnaces”. Did you mean instances?"),
        ('ready = "/"', 'ready = "/"\nenvironment.X = 5', "`app.environment` must be a table of texts in quotes."),
        ('["{python}", "app.py", "{port}"]', '"{python} app.py {port}"', f"`app.command` must be {COMMAND}."),
        ('["{python}", "app.py", "{port}"]', "[]", f"`app.command` must be {COMMAND}."),
    ],
)
def test_a_mistyped_entry_of_an_exercise_is_named(tea_folder: Path, old: str, new: str, message: str) -> None:
    path = tea_folder / "exercises" / "a1-brew" / "exercise.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(UsageError) as caught:
        find_lab(tea_folder)
    assert caught.value.message == f"{path}: {message}"


def test_hints_are_read_by_what_carries_out_their_step(brew: Exercise) -> None:
    text = '[pour]\nquestion = "Where to?"\ndirection = "Into a cup."\n'
    (brew.folder / "hints.toml").write_text(text + text.replace("[pour]", '["labkit run a1"]'))
    (look,), (pour, label) = (task.steps for task in brew.tasks)
    hint = Hint("Where to?", "Into a cup.")
    assert [brew.hint(step) for step in (look, pour, label)] == [hint, hint, None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pour = 1", "`pour` must be a table."),
        ('[pour]\nquestion = "Where to?"', "`pour.direction` is missing."),
        ('[pour]\nquestion = 1\ndirection = "x"', "`pour.question` must be text in quotes."),
    ],
)
def test_a_broken_hint_is_named(brew: Exercise, text: str, message: str) -> None:
    path = brew.folder / "hints.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        _ = brew.hints
    assert caught.value.message == f"{path}: {message}"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("There is memory, postgres, postgresql..", "There is memory, postgres, postgresql."),
        ("Did you mean 'database_server'?. Look.", "Did you mean 'database_server'? Look."),
        ("There is no folder ../.. here ...", "There is no folder ../.. here ..."),
        ("cd ..", "cd .."),
    ],
)
def test_no_sentence_of_an_error_ends_twice(said: str, shown: str) -> None:
    assert UsageError(said).message == shown


def test_of_many_names_a_few_are_told() -> None:
    assert unknown("exercise", "ex3", ["ex1", "ex2"]).message == "Unknown exercise “ex3”. Did you mean ex1 or ex2?"
    many = unknown("file", "no.css", [f"page-{n}.html" for n in range(40)], "labkit diff --stat")
    assert (
        many.message == "Unknown file “no.css”. There are 40, the first of them page-0.html, page-1.html, page-2.html."
    )
