"""Workspaces are made whole or not at all, are found, and every change to them can be taken back."""

import json
import os
import shutil
import stat
import sys
from pathlib import Path

import pytest

from labkit import __version__, insertion, places, progress, snippets, tree, workspace
from labkit.changes import Change, FileChange
from labkit.errors import MachineError, UsageError
from labkit.journal import EditedSinceError
from labkit.lab import Exercise, Lab
from labkit.workspace import Workspace


@pytest.fixture
def mine(brew: Exercise, tmp_path: Path) -> Workspace:
    """A workspace without the cost of making a real one."""
    folder = tmp_path / "mine"
    workspace.copy_app(brew.begin, folder)
    return describe(folder, {})


def describe(folder: Path, entries: dict[str, object]) -> Workspace:
    described = {"schema": 1, "labkit": __version__, "lab": None, "exercise": "a1-brew", "id": "i", "secret": "s"}
    path = folder / ".labkit" / "workspace.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(described | entries))
    return Workspace(folder, "a1-brew", "i", "s", __version__)


@pytest.mark.skipif(sys.platform == "win32", reason="making links needs a privilege")
def test_a_link_is_read_and_never_written_and_one_to_a_folder_is_left_out(mine: Workspace, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    before = (mine.folder / "app.py").read_bytes()
    (mine.folder / "app.py").rename(outside / "app.py")
    (mine.folder / "app.py").symlink_to(outside / "app.py")
    (mine.folder / "folder").symlink_to(outside)
    (mine.folder / "round").symlink_to(mine.folder)
    (mine.folder / "nowhere").symlink_to(tmp_path / "nowhere")
    assert list(tree.app_files(mine.folder)) == ["app.py", "pages/cup.html"]

    with pytest.raises(UsageError, match=r"app\.py is a link: labkit neither follows nor replaces it"):
        mine.apply(Change("x", (FileChange("app.py", before, b"new"),)))
    assert ((mine.folder / "app.py").is_symlink(), (outside / "app.py").read_bytes()) == (True, before)


def test_without_a_begin_there_is_no_workspace(tea: Lab, brew: Exercise, tmp_path: Path) -> None:
    shutil.rmtree(brew.begin)
    for attempt in (lambda: workspace.create(tea, brew, tmp_path / "new"), lambda: snippets.todo_lines(brew.begin)):
        with pytest.raises(UsageError) as caught:
            attempt()
        assert caught.value.message == f"There is no folder {brew.begin}."
    assert not (tmp_path / "new").exists()


def test_a_new_workspace_is_begin_with_what_labkit_keeps(tea: Lab, brew: Exercise, tmp_path: Path) -> None:
    (brew.begin / "pages" / "crlf.txt").write_bytes(b"{{ kept }}\r\n\xff\0")
    (brew.begin / ".env").write_text("A=1\n")
    (brew.begin / "__pycache__").mkdir()
    (brew.begin / "__pycache__" / "app.pyc").write_bytes(b"x")
    (brew.begin / "app.db").write_bytes(b"what somebody played here")
    made = workspace.create(tea, brew, tmp_path / "some where" / "mine")
    assert workspace.compare(made.folder, brew.begin) == []
    assert sorted(path.relative_to(made.folder).as_posix() for path in made.folder.rglob("*")) == [
        ".env",
        ".gitignore",
        ".idea",
        ".idea/runConfigurations",
        ".idea/runConfigurations/labkit_run_1.xml",
        ".idea/runConfigurations/labkit_run_2.xml",
        ".labkit",
        ".labkit/.gitignore",
        ".labkit/data",
        ".labkit/lock",
        ".labkit/workspace.json",
        ".vscode",
        ".vscode/a1-brew.code-snippets",
        ".vscode/extensions.json",
        ".vscode/launch.json",
        ".vscode/settings.json",
        ".vscode/tasks.json",
        "app.py",
        "lab-workspace.toml",
        "manual",
        "manual/README.md",
        "pages",
        "pages/crlf.txt",
        "pages/cup.html",
    ]
    described = json.loads((made.folder / ".labkit" / "workspace.json").read_text())
    assert described == {
        "schema": 1,
        "labkit": __version__,
        "lab": str(tea.folder),
        "title": "Tea",
        "version": __version__,
        "exercise": "a1-brew",
        "begin": tree.digest(brew.begin),
        "home": places.identity(),
        "id": made.id,
        "secret": made.secret,
    }
    assert (len(made.id), len(made.secret)) == (8, 64)
    if os.name == "posix":
        assert stat.S_IMODE((made.folder / ".labkit" / "workspace.json").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "some where").iterdir()] == ["mine"]


def test_an_empty_folder_is_filled(tea: Lab, brew: Exercise, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    number = folder.stat().st_ino
    made = workspace.create(tea, brew, folder)
    assert workspace.compare(made.folder, brew.begin) == []
    assert folder.stat().st_ino == number


def test_nothing_is_overwritten(tea: Lab, brew: Exercise, tmp_path: Path) -> None:
    folder = tmp_path / "full"
    folder.mkdir()
    (folder / "precious.txt").write_text("mine")
    with pytest.raises(UsageError, match="already and not empty") as caught:
        workspace.create(tea, brew, folder)
    assert caught.value.next is not None
    assert "full-2" in caught.value.next
    assert tree_of(tmp_path / "full") == {"precious.txt": b"mine"}
    with pytest.raises(UsageError, match="not a folder"):
        workspace.create(tea, brew, folder / "precious.txt")


def test_a_workspace_in_the_way_is_named_as_one(tea: Lab, brew: Exercise, mine: Workspace) -> None:
    with pytest.raises(UsageError) as caught:
        workspace.create(tea, brew, mine.folder)
    assert caught.value.next is not None
    assert caught.value.next.startswith("Go on with it: cd ")


def test_a_full_disk_leaves_nothing_behind(
    tea: Lab, brew: Exercise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(workspace, "_write_description", full)
    with pytest.raises(MachineError, match="No space left on device"):
        workspace.create(tea, brew, tmp_path / "new" / "deep" / "mine")
    assert not (tmp_path / "new").exists()


def test_control_c_leaves_nothing_behind(
    tea: Lab, brew: Exercise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(workspace, "_write_description", interrupted)
    (tmp_path / "new").mkdir()
    with pytest.raises(KeyboardInterrupt):
        workspace.create(tea, brew, tmp_path / "new" / "mine")
    assert list((tmp_path / "new").iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="chmod means nothing here")
def test_a_read_only_folder_is_an_error(tea: Lab, brew: Exercise, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(MachineError, match="Permission denied"):
        workspace.create(tea, brew, tmp_path / "closed" / "mine")


def test_a_parent_that_is_a_file_is_an_error(tea: Lab, brew: Exercise, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(MachineError, match="Cannot make"):
        workspace.create(tea, brew, tmp_path / "file" / "mine")


def test_a_workspace_is_found_at_or_above(tea: Lab, mine: Workspace) -> None:
    assert workspace.find(tea, mine.folder) == mine
    assert workspace.find(tea, mine.folder / "pages", tea.exercise("a1")) == mine


def test_a_workspace_is_found_in_a_child_folder(tea: Lab, brew: Exercise, mine: Workspace) -> None:
    assert workspace.find(tea, mine.folder.parent, brew) == mine
    assert workspace.find(tea, mine.folder.parent) == mine


def test_of_several_child_workspaces_one_must_be_chosen(
    tea: Lab, brew: Exercise, mine: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(mine.folder.parent)
    workspace.copy_app(mine.folder, mine.folder.parent / "my other")
    describe(mine.folder.parent / "my other", {})
    with pytest.raises(UsageError, match="Several workspaces here: mine and my other") as caught:
        workspace.find(tea, mine.folder.parent, brew)
    assert caught.value.next == "cd mine"


def test_without_a_workspace_the_error_says_how_to_get_one(
    tea: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        workspace.find(tea, tmp_path, tea.exercise("a1"))
    assert caught.value.message == f"No workspace of a1 in {tmp_path.resolve()}."
    assert caught.value.next == "labkit start a1 --lab tea"


def test_a_workspace_of_another_labs_exercise_of_that_id_is_the_one_meant(
    tea: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    describe(tmp_path / "my cocoa", {"exercise": "a1-stir"})
    with pytest.raises(UsageError) as caught:
        workspace.find(tea, tmp_path, tea.exercise("a1"))
    assert (caught.value.message, caught.value.next) == (
        f"No workspace of a1 in {tmp_path.resolve()}. Found: my cocoa (a1-stir).",
        'cd "my cocoa"',
    )


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"schema": 2, "labkit": "9.0"}, r"made by a newer labkit \(9\.0\)"),
        ({"schema": 0, "labkit": "0.0.1"}, r"too old for this one \(0\.0\.1"),
        ({"exercise": "b2-coffee"}, "which the lab “Tea” does not have"),
    ],
)
def test_a_workspace_of_another_labkit_or_lab_is_an_error(
    tea: Lab, mine: Workspace, entries: dict[str, object], message: str
) -> None:
    describe(mine.folder, entries)
    with pytest.raises(UsageError, match=message):
        workspace.find(tea, mine.folder)


def test_a_damaged_workspace_is_an_error(tea: Lab, mine: Workspace) -> None:
    (mine.folder / ".labkit" / "workspace.json").write_text("[")
    with pytest.raises(UsageError, match="is damaged"):
        workspace.find(tea, mine.folder)


@pytest.mark.parametrize("name", ["exercise", "id", "secret"])
def test_a_description_whose_entries_are_no_texts_is_damaged(tea: Lab, mine: Workspace, name: str) -> None:
    describe(mine.folder, {name: ["x"]})
    with pytest.raises(UsageError, match=f"is damaged: its “{name}” is missing, or is no text"):
        workspace.find(tea, mine.folder)


def test_differences_say_what_is_still_to_come(brew: Exercise, mine: Workspace) -> None:
    (mine.folder / "pages" / "cup.html").unlink()
    (mine.folder / "notes.txt").write_text("hm\n")
    found = workspace.compare(mine.folder, brew.end)
    assert [(each.path, each.kind, each.added, each.removed) for each in found] == [
        ("app.py", "changed", 3, 1),
        ("notes.txt", "extra", 0, 1),
        ("pages/cup.html", "missing", 2, 0),
    ]
    assert found[2].diff == "--- /dev/null\n+++ end/pages/cup.html\n@@ -0,0 +1,2 @@\n+<p>{{ cup }}</p>\n+<h1>Cup</h1>\n"


def test_progress_counts_the_snippets_of_each_task(brew: Exercise, mine: Workspace) -> None:
    mine.apply(insertion.insert(mine.folder, brew, ["pour"]))
    (mine.folder / "pages" / "cup.html").write_text("my own way\n")
    found = progress.look(brew, mine).tasks
    assert [(each.task.id, each.done, each.total, each.states) for each in found] == [
        ("a1.1", 0, 0, {}),
        ("a1.2", 2, 2, {"pour": "inserted", "cup-label": "own code"}),
    ]


def test_an_undo_brings_the_files_back_change_by_change(brew: Exercise, mine: Workspace) -> None:
    mine.apply(insertion.insert(mine.folder, brew, ["pour"]))
    between = tree_of(mine.folder)
    mine.apply(insertion.insert(mine.folder, brew, ["cup-label"]))
    first = mine.undo()
    assert (first.what, first.files, first.left) == ("insert cup-label", ("pages/cup.html",), 1)
    assert app_of(mine) == {path: between[path] for path in app_of(mine)}
    second = mine.undo()
    assert (second.what, second.left) == ("insert pour", 0)
    assert workspace.compare(mine.folder, brew.begin) == []
    with pytest.raises(UsageError, match="nothing to undo"):
        mine.undo()


def test_what_is_undone_is_kept(brew: Exercise, mine: Workspace) -> None:
    mine.apply(insertion.insert(mine.folder, brew, ["cup-label"]))
    undone = mine.undo()
    assert (undone.kept / "0.undone").read_bytes() == (brew.end / "pages" / "cup.html").read_bytes()


def test_an_undo_never_loses_what_was_edited_since(brew: Exercise, mine: Workspace) -> None:
    mine.apply(insertion.insert(mine.folder, brew, ["pour", "cup-label"]))
    page = mine.folder / "pages" / "cup.html"
    page.write_text(page.read_text() + "<p>my own</p>\n")
    edited = tree_of(mine.folder)
    with pytest.raises(EditedSinceError, match=r"You have edited pages/cup\.html"):
        mine.undo()
    assert tree_of(mine.folder) == edited
    undone = mine.undo(force=True)
    assert workspace.compare(mine.folder, brew.begin) == []
    assert (undone.kept / "1.undone").read_bytes() == edited["pages/cup.html"]


def test_an_undo_after_the_trainee_put_a_file_back_is_no_loss(brew: Exercise, mine: Workspace) -> None:
    mine.apply(insertion.insert(mine.folder, brew, ["cup-label"]))
    page = mine.folder / "pages" / "cup.html"
    page.write_bytes((brew.begin / "pages" / "cup.html").read_bytes())
    assert mine.undo().files == ()


def test_a_change_that_fails_leaves_no_record(mine: Workspace) -> None:
    bad = Change("write", (FileChange("notes.txt", None, b"n"), FileChange("app.py/x", None, b"x")))
    before = tree_of(mine.folder)
    with pytest.raises(MachineError):
        mine.apply(bad)
    assert {path: content for path, content in tree_of(mine.folder).items() if path != ".labkit/lock"} == before


def test_a_reset_brings_back_begin_and_leaves_other_files(brew: Exercise, mine: Workspace) -> None:
    mine.apply(insertion.insert(mine.folder, brew, ["pour"]))
    (mine.folder / "pages" / "cup.html").unlink()
    (mine.folder / "notes.txt").write_text("hm\n")
    mine.apply(workspace.reset(mine.folder, brew))
    assert [each.path for each in workspace.compare(mine.folder, brew.begin)] == ["notes.txt"]
    mine.undo()
    assert not (mine.folder / "pages" / "cup.html").exists()


def test_a_reset_of_an_unknown_file_names_the_nearest(brew: Exercise, mine: Workspace) -> None:
    with pytest.raises(UsageError, match=r"Did you mean pages/cup\.html\?"):
        workspace.reset(mine.folder, brew, ["pages/cop.html"])


def app_of(mine: Workspace) -> dict[str, bytes]:
    return {path: (mine.folder / path).read_bytes() for path in tree.app_files(mine.folder)}


def tree_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
