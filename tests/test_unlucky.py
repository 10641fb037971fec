"""Machines and workspaces that are merely unlucky: an honest exit code, the cause by its name, and the next step."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from labkit import changes, instances, tree, workspace
from labkit.diagnosis import AppDidNotStart
from labkit.lab import App, Exercise
from labkit.workspace import Workspace

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="made of links, folders that go, and limits")

Labkit = Callable[..., tuple[int, str, str]]


def program(cwd: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run labkit as a program of its own."""
    return subprocess.run(
        [sys.executable, "-m", "labkit", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_a_folder_that_was_removed_is_named(labkit: Labkit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for command in ("list", "doctor"):
        assert labkit(command) == (3, "", "The folder that this terminal is in has been removed.\nnext: cd ~\n")


@pytest.mark.parametrize("name", ["rich", "typing_extensions", "random", "typer"])
def test_pythonpath_and_the_current_folder_shadow_nothing_of_labkits(tmp_path: Path, name: str) -> None:
    for folder in ("there", "here"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.py").write_text("raise ImportError('shadow')")
    result = program(tmp_path / "here", "snippet", "--help", PYTHONPATH=str(tmp_path / "there"))
    assert (result.returncode, "shadow" in result.stderr) == (0, False)


@pytest.mark.parametrize("beside", ["app.py~", "app.py.orig", "app.py.bak", ".app.py.swp", "app.py.rej"])
def test_what_editors_leave_beside_a_file_is_none_of_the_app(labkit: Labkit, mine: Workspace, beside: str) -> None:
    text = (mine.folder / "app.py").read_bytes()
    (mine.folder / beside).write_bytes(text)
    assert labkit("snippet", "insert", "pour")[0] == 0
    assert (mine.folder / beside).read_bytes() == text
    assert (mine.folder / "app.py").read_bytes() != text


def test_a_film_in_the_workspace_is_not_read(mine: Workspace, brew: Exercise) -> None:
    with (mine.folder / "video.mp4").open("wb") as film:
        film.truncate(3_000_000_000)
    assert "video.mp4" not in list(tree.app_files(mine.folder))
    assert [each.path for each in workspace.compare(mine.folder, brew.begin)] == []


def test_a_large_file_is_compared_but_not_held_in_memory(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"x" * tree.LARGE)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert changes.content(tmp_path / "a") == changes.content(tmp_path / "b")
    assert len(changes.content(tmp_path / "a") or b"") < 100
    (tmp_path / "b").write_bytes(b"x" * tree.LARGE + b"y")
    assert changes.content(tmp_path / "a") != changes.content(tmp_path / "b")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 20_000


def test_a_file_in_another_encoding_is_named_by_insert(labkit: Labkit, mine: Workspace) -> None:
    path = mine.folder / "app.py"
    content = path.read_text().encode("utf-16")
    path.write_bytes(content)
    code, _, err = labkit("snippet", "insert", "pour")
    assert (code, err.splitlines()[0]) == (
        2,
        "app.py is not saved as UTF-8: labkit cannot read it, and neither can Python. Nothing was changed.",
    )
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "code",
    [
        "import shutil, os; shutil.rmtree(os.getcwd()); raise SystemExit(1)",
        "print('Traceback (most recent call last):\\n  File \"a\\0b\", line 1, in x\\nValueError: y'); exit(1)",
        "import os; os.mkfifo('pipe.py'); os.symlink('loop', 'loop'); raise SystemExit(1)",
    ],
    ids=["removes its folder", "prints a NUL in a path", "makes pipes and loops"],
)
def test_a_start_that_cannot_be_explained_still_ends(tmp_path: Path, code: str) -> None:
    folder = tmp_path / "app"
    folder.mkdir()
    app = App(command=("{python}", "-c", code), environment={}, ready="/", home="/", instances=1)
    with (
        pytest.raises(AppDidNotStart),
        instances.running(app, folder, data=tmp_path / "data", secret="s", id="i", count=1),
    ):
        pass
