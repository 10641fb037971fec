"""What is saved in a workspace, and the tasks that it can affect."""

import mmap
import os
from pathlib import Path

import pytest

from labkit import scaffold, snippets, tree, watching
from labkit.lab import Exercise, find_lab


@pytest.fixture
def exercise(tmp_path: Path) -> Exercise:
    """The exercise of a lab that was just made: its second task has code in app.py."""
    return find_lab(scaffold.new_lab("party", tmp_path / "party").folder).exercises[0]


@pytest.mark.parametrize(
    ("saved", "tasks"),
    [
        ({"app.py"}, ["ex1.2"]),
        ({"colours.css"}, ["ex1.1", "ex1.2"]),
        ({"app.py", "colours.css"}, ["ex1.1", "ex1.2"]),
    ],
)
def test_a_save_affects_the_tasks_from_the_first_on_whose_code_is_there(
    exercise: Exercise, saved: set[str], tasks: list[str]
) -> None:
    assert [task.id for task in watching.affected(exercise, saved)] == tasks


def test_what_is_saved_while_nobody_looks_comes_with_the_next_look_and_labkits_own_files_do_not(tmp_path: Path) -> None:
    (tmp_path / ".labkit").mkdir()
    batches = watching.saves_of_app(tmp_path)
    assert next(batches) == set()
    (tmp_path / ".labkit" / "verdicts.json").write_text("{}")
    (tmp_path / "page.html").write_text("<p>")
    assert next(batches) == {"page.html"}
    batches.close()


def test_what_editors_and_tools_leave_beside_a_file_is_no_save(tmp_path: Path) -> None:
    for folder in ("pages/.mypy_cache", "node_modules/chart", "manual", "wheels"):
        (tmp_path / folder).mkdir(parents=True)
    batches = watching.saves_of_app(tmp_path)
    assert next(batches) == set()
    (tmp_path / "4913").touch()  # vim tries whether it may write
    (tmp_path / "4913").unlink()
    for name in ("pages/.mypy_cache/app.json", "node_modules/chart/app.js", "manual/ex1.md", "app.db-wal", "app.py~"):
        (tmp_path / name).touch()
    (tmp_path / "pages" / "page.html").write_text("<p>")
    assert next(batches) == {"pages/page.html"}
    batches.close()


def test_files_that_go_with_their_folder_are_told(tmp_path: Path) -> None:
    (tmp_path / "app" / "pages").mkdir(parents=True)
    (tmp_path / "app" / "pages" / "page.html").touch()
    batches = watching.saves_of_app(tmp_path / "app")
    next(batches)
    (tmp_path / "app" / "pages").rename(tmp_path / "away")
    assert next(batches) == {"pages/page.html"}
    batches.close()


def test_a_folder_that_is_gone_ends_the_watching(tmp_path: Path) -> None:
    folder = tmp_path / "workspace"
    folder.mkdir()
    batches = watching.saves_of_app(folder)
    next(batches)
    folder.rmdir()
    assert list(batches) == []


def test_a_save_that_the_system_tells_nothing_of_is_found(tmp_path: Path) -> None:
    (tmp_path / ".labkit" / "data").mkdir(parents=True)
    page = tmp_path / "page.html"
    page.write_text("<p>")
    with page.open("r+b") as file, mmap.mmap(file.fileno(), 0) as shared:  # whose writes no system tells of
        os.utime(page, ns=(1, 1))
        batches = watching.saves_of_app(tmp_path)
        assert next(batches) == set()
        (tmp_path / ".labkit" / "data" / "app.db").touch()
        shared[:] = b"<b>"
        shared.flush()
        assert next(batches) == {"page.html"}
        batches.close()


def test_the_digest_of_settled_files_is_the_folders(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("<p>")
    assert watching.settled(tmp_path) == tree.digest(tmp_path)


def test_a_file_that_goes_while_the_folder_is_read_is_one_that_is_not_there(tmp_path: Path) -> None:
    for name in ("app.py", "app.py~"):
        (tmp_path / name).write_text("pass")
    texts = snippets.texts(tmp_path)
    assert next(texts) == ("app.py", "pass")
    (tmp_path / "app.py~").replace(tmp_path / "app.py")  # as an editor saves
    assert list(texts) == []
