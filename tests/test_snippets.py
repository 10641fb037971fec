"""Snippets replace TODO lines, and nothing else in the file changes by a byte."""

from collections.abc import Callable
from pathlib import Path

import pytest

from labkit import changes, insertion, snippets, workspace
from labkit.errors import UsageError
from labkit.files import Within
from labkit.insertion import Insertion
from labkit.lab import Exercise, find_lab
from labkit.snippets import TodoLine


@pytest.fixture
def mine(brew: Exercise, tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    workspace.copy_app(brew.begin, folder)
    return folder


def insert(folder: Path, exercise: Exercise, *names: str, **values: str) -> insertion.InsertChange:
    numbered = {int(key.removeprefix("_")): value for key, value in values.items()}
    change = insertion.insert(folder, exercise, names, numbered)
    changes.write(folder, change)
    return change


@pytest.mark.parametrize(
    "line",
    [
        "# TODO tea-pot: put it on",
        "// TODO tea-pot: put it on",
        "-- TODO tea-pot: put it on",
        "{# TODO tea-pot: put it on #}",
        "<!-- TODO tea-pot: put it on -->",
        "/* TODO tea-pot: put it on */",
        "#TODO tea-pot:put it on",
        "# TODO tea-pot: put it on  \r",
    ],
)
def test_a_comment_in_any_language_is_a_todo_line(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.txt").write_bytes(f"one\n \t{line}\n".encode())
    assert snippets.todo_lines(tmp_path) == [TodoLine("tea-pot", "a.txt", 2, " \t", "put it on")]


@pytest.mark.parametrize("line", ["x = 1  # TODO tea-pot: no", "# TODO: no", "# TODO tea pot: no", "TODO tea-pot: no"])
def test_other_comments_are_no_todo_lines(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.txt").write_text(line)
    assert snippets.todo_lines(tmp_path) == []


def test_comments_that_miss_being_todo_lines_by_their_name_are_found(tmp_path: Path) -> None:
    lines = [
        "# TODO Tea-Pot: x",
        "/* TODO tea-pöt: x */",
        "# TODO tea-pot: x",
        "# TODO later: tea",
        "# TODO a b: x",
        "x",
    ]
    (tmp_path / "a.txt").write_text("\n".join(lines), encoding="utf-8")
    assert snippets.misnamed(tmp_path) == [("a.txt", 1, "Tea-Pot"), ("a.txt", 2, "tea-pöt")]


def test_a_snippet_replaces_a_comment_of_a_style_sheet(
    tea_folder: Path, write_files: Callable[[Path, dict[str, str]], Path]
) -> None:
    write_files(
        tea_folder,
        {
            "exercises/a1-brew/begin/a.css": "p {\n  /* TODO colour: choose one */\n}\n",
            "snippets/a1-brew/colour.css": "color: ${1:green};\n",
        },
    )
    exercise = find_lab(tea_folder).exercises[0]
    insert(exercise.begin, exercise, "colour")
    assert (exercise.begin / "a.css").read_text() == "p {\n  color: green;\n}\n"


def test_binary_files_and_tools_folders_are_skipped(
    tmp_path: Path, write_files: Callable[[Path, dict[str, str]], Path]
) -> None:
    todo = "# TODO pot: x\n"
    write_files(tmp_path, {".venv/a.py": todo, "b/__pycache__/a.py": todo, ".labkit/a.py": todo, "c/d.py": todo})
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\0\n# TODO pot: x\n")
    (tmp_path / "latin.txt").write_bytes(b"\xe9\n# TODO pot: x\n")
    assert [todo.path for todo in snippets.todo_lines(tmp_path)] == ["c/d.py"]


def test_inserting_all_snippets_turns_begin_into_end(brew: Exercise, mine: Path) -> None:
    change = insert(mine, brew, *brew.snippets)
    assert workspace.compare(mine, brew.end) == []
    assert change.insertions == (
        Insertion("pour", "app.py", 3, 3, already=False),
        Insertion("cup-label", "pages/cup.html", 2, 1, already=False),
    )


def test_a_second_insert_changes_nothing(brew: Exercise, mine: Path) -> None:
    insert(mine, brew, "pour", _1="black")
    again = insertion.insert(mine, brew, ["pour"])
    assert again.files == ()
    assert again.insertions == (Insertion("pour", "app.py", 3, 3, already=True),)


def test_an_insertion_is_found_where_it_is_after_all_others(brew: Exercise, mine: Path) -> None:
    app = mine / "app.py"
    app.write_text("# TODO cup-label: moved here by the trainee\n" + app.read_text())
    (mine / "pages" / "cup.html").unlink()
    change = insert(mine, brew, "pour", "cup-label")
    assert [each.line for each in change.insertions] == [4, 1]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a\r\n\t# TODO pour: x\r\nb", b'a\r\n\tcup = "green"\r\n\r\n\tprint(cup)\r\nb'),
        (b"a\r\n  # TODO pour: x", b'a\r\n  cup = "green"\r\n\r\n  print(cup)'),
        (b"# TODO pour: x", b'cup = "green"\n\nprint(cup)'),
        (b"\xef\xbb\xbf# TODO pour: x\r\n", b'\xef\xbb\xbfcup = "green"\r\n\r\nprint(cup)\r\n'),
        (
            b"a \x0c\xe2\x80\xa8 \r x\n# TODO pour: x\n\n\n",
            b'a \x0c\xe2\x80\xa8 \r x\ncup = "green"\n\nprint(cup)\n\n\n',
        ),
    ],
    ids=["crlf-tab", "crlf-last-line", "no-final-newline", "byte-order-mark", "odd-separators"],
)
def test_the_rest_of_the_file_is_kept_byte_for_byte(brew: Exercise, mine: Path, before: bytes, after: bytes) -> None:
    (mine / "app.py").write_bytes(before)
    insert(mine, brew, "pour")
    assert (mine / "app.py").read_bytes() == after
    assert insertion.insert(mine, brew, ["pour"]).files == ()


def test_a_todo_line_that_is_there_twice_is_an_error(brew: Exercise, mine: Path) -> None:
    (mine / "more.py").write_text("# TODO pour: x\n")
    with pytest.raises(UsageError, match=r"there 2 times: app\.py:3 and more\.py:1"):
        insertion.insert(mine, brew, ["pour"])


def test_a_missing_todo_line_shows_the_code_and_where_it_belongs(brew: Exercise, mine: Path) -> None:
    (mine / "app.py").write_text("def tea():\n    kettle = 1\n")
    with pytest.raises(UsageError) as caught:
        insertion.insert(mine, brew, ["pour"])
    assert "It belongs into app.py, after the line\n\n    kettle = 1\n" in caught.value.message
    assert '    cup = "green"\n\n    print(cup)\n' in caught.value.message
    assert caught.value.next is not None
    assert "labkit reset a1 app.py" in caught.value.next


def test_a_todo_line_left_behind_beside_pasted_code_is_taken_away(brew: Exercise, mine: Path) -> None:
    begin = (mine / "app.py").read_text()
    (mine / "app.py").write_text(begin.replace("    return", '    cup = "mint"\n\n    print(cup)\n    return'))
    change = insert(mine, brew, "pour")
    assert (mine / "app.py").read_text() == (
        'def tea():\n    kettle = 1\n    cup = "mint"\n\n    print(cup)\n    return kettle\n'
    )
    assert change.insertions == (Insertion("pour", "app.py", 3, 3, already=True),)


def test_of_several_snippets_all_or_none_are_inserted(brew: Exercise, mine: Path) -> None:
    (mine / "pages" / "cup.html").write_text("gone\n")
    before = (mine / "app.py").read_bytes()
    with pytest.raises(UsageError, match="cup-label"):
        insert(mine, brew, "pour", "cup-label")
    assert (mine / "app.py").read_bytes() == before


def test_a_value_takes_the_place_of_the_default(brew: Exercise, mine: Path) -> None:
    insert(mine, brew, "pour", _1="black tea")
    assert '    cup = "black tea"\n' in (mine / "app.py").read_text()
    assert snippets.value(brew, "pour", mine) == "black tea"


def test_a_hand_typed_value_is_read_by_the_shape_of_the_line(brew: Exercise, mine: Path) -> None:
    assert snippets.value(brew, "pour", mine) is None
    (mine / "app.py").write_text('  cup = "oolong"  # my favourite\r\n')
    assert snippets.value(brew, "pour", mine) == "oolong"
    assert snippets.value(brew, "cup-label", mine) is None


@pytest.mark.parametrize("value", ["", " ", "two\nlines", 'quo"te', "quo'te", "{x}", "back\\slash"])
def test_a_value_that_would_break_the_code_is_refused(brew: Exercise, mine: Path, value: str) -> None:
    with pytest.raises(UsageError, match="cannot be filled in"):
        insert(mine, brew, "pour", _1=value)


def test_a_value_that_nothing_takes_is_refused(brew: Exercise, mine: Path) -> None:
    with pytest.raises(UsageError, match=r"no placeholder \$\{2:…\} in pour"):
        insert(mine, brew, "pour", _2="x")


def test_placeholders_left_as_they_are_are_found(mine: Path) -> None:
    (mine / "app.py").write_text('ok\nurl = "${1:name}/<YOUR-DATABASE>"\n`${value}`\n')
    assert snippets.unfilled(mine) == [("app.py", 2, "${1:name}"), ("app.py", 2, "<YOUR-DATABASE>")]


def test_an_editor_gets_the_same_placeholders_and_escaped_dollars() -> None:
    assert snippets.editor_body("a = `${b}` $c \\d\ne = ${1:f}\n") == ["a = `\\${b}` \\$c \\\\d", "e = ${1:f}"]


def test_a_failure_half_way_brings_the_written_files_back(
    brew: Exercise, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = insertion.insert(mine, brew, ["pour", "cup-label"])
    real = Within.write

    def fail_on_the_page(within: Within, path: str, content: bytes | None) -> None:
        if path == "pages/cup.html" and content == change.files[1].after:
            raise OSError(28, "No space left on device")
        real(within, path, content)

    monkeypatch.setattr(Within, "write", fail_on_the_page)
    with pytest.raises(OSError, match="No space left"):
        changes.write(mine, change)
    assert workspace.compare(mine, brew.begin) == []


def test_a_diff_says_when_a_file_does_not_end_with_a_newline() -> None:
    assert changes.diff(b"a", b"a\nb\n", "x", "y") == (
        "--- x\n+++ y\n@@ -1 +1,2 @@\n-a\n\\ No newline at end of file\n+a\n+b\n"
    )


def test_a_diff_does_not_show_every_line_because_of_line_endings() -> None:
    assert changes.diff(b"a\r\nb\r\n", b"a\nb\n", "x", "y") == "Files x and y differ in their line endings only\n"
    assert changes.diff(b"a\r\nb\r\n", b"a\nc\n", "x", "y") == "--- x\n+++ y\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
