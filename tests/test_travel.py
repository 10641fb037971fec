"""A workspace travels: in git, in a zip, to another machine, account or folder."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from labkit import __version__, record, tree, workspace
from labkit.cli import run
from labkit.errors import UsageError
from labkit.lab import Exercise, Lab, find_lab
from labkit.record import CreatedDatabase, Record

Labkit = Callable[..., tuple[int, str, str]]

NOON = datetime(2026, 11, 30, 12, 0, 5, 999, UTC)

NAMES = ["plain", "with space", 'O\'Neil "Bob" [x] {y} $HOME', "C# & 100% ünïcode"]


@pytest.fixture
def labkit(
    tea_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Labkit:
    """Run one command line in this process; tells the exit code, stdout and stderr."""
    monkeypatch.setenv("LABKIT_LAB", str(tea_folder))
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path / "kept"))
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(list(arguments))
        return code, *capsys.readouterr()

    return call


def carried(folder: Path, to: Path) -> Path:
    """The folder as git carries it: without what its .gitignore names."""
    ignored = (folder / ".gitignore").read_text(encoding="utf-8").split("\n")
    patterns = [line.rstrip("/") for line in ignored if line and not line.startswith("#")]
    return shutil.copytree(folder, to, ignore=shutil.ignore_patterns(*patterns))


def test_the_record_says_what_the_workspace_was_made_from(tea: Lab, brew: Exercise, tmp_path: Path) -> None:
    made = workspace.create(tea, brew, tmp_path / "mine")
    assert tomllib.loads((made.folder / "lab-workspace.toml").read_text(encoding="utf-8")) == {
        "schema": 1,
        "lab": "Tea",
        "version": __version__,
        "exercise": "a1-brew",
        "begin": tree.digest(brew.begin),
        "labkit": __version__,
    }
    assert str(tmp_path) not in (made.folder / "lab-workspace.toml").read_text(encoding="utf-8")
    assert made.secret not in (made.folder / "lab-workspace.toml").read_text(encoding="utf-8")


def test_the_digest_of_begin_changes_with_any_path_and_any_byte(brew: Exercise) -> None:
    before = tree.digest(brew.begin)
    (brew.begin / "app.py").write_bytes((brew.begin / "app.py").read_bytes() + b"\n")
    changed = tree.digest(brew.begin)
    (brew.begin / "app.py").rename(brew.begin / "ap.py")
    assert len({before, changed, tree.digest(brew.begin)}) == 3


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.skipif(sys.platform == "win32", reason="quotes are no part of a file's name there")
def test_the_next_command_takes_a_folder_that_came_without_labkits_own(
    labkit: Labkit, tea: Lab, brew: Exercise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    made = workspace.create(tea, brew, tmp_path / "mine")
    came = carried(made.folder, tmp_path / "other machine" / name)
    assert not (came / ".labkit").exists()
    monkeypatch.chdir(came / "pages")
    code, out, err = labkit("snippet", "insert", "pour")
    assert (code, out.splitlines()[0]) == (0, "Inserted pour into app.py, lines 3-5.")
    said = f"note: {name} came without its .labkit: labkit made a new one, in which the app has no data."
    assert " ".join(err.split()) == " ".join(said.split())
    taken = workspace.find(tea, came)
    assert (taken.exercise_name, taken.adopted) == ("a1-brew", False)
    assert (taken.id != made.id, taken.secret != made.secret) == (True, True)
    modes = [stat.S_IMODE((came / each).stat().st_mode) for each in (".labkit", ".labkit/workspace.json")]
    assert modes == [0o700, 0o600]
    assert labkit("undo")[0] == 0
    assert workspace.compare(came, brew.begin) == []


def test_listing_what_lies_below_takes_nothing(labkit: Labkit, tea: Lab, brew: Exercise, tmp_path: Path) -> None:
    came = carried(workspace.create(tea, brew, tmp_path / "far" / "mine").folder, tmp_path / "mine")
    assert json.loads(labkit("list", "--format", "json")[1])["next"] == "cd mine"
    assert not (came / ".labkit" / "workspace.json").exists()


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="chmod means nothing here")
def test_a_folder_that_takes_no_file_is_still_a_workspace(tea: Lab, brew: Exercise, tmp_path: Path) -> None:
    came = carried(workspace.create(tea, brew, tmp_path / "mine").folder, tmp_path / "came")
    came.chmod(0o500)
    found = workspace.find(tea, came)
    assert (found.exercise_name, found.adopted, len(found.secret)) == ("a1-brew", True, 64)


def test_commands_at_the_same_time_take_a_folder_once(tea: Lab, brew: Exercise, tmp_path: Path) -> None:
    came = carried(workspace.create(tea, brew, tmp_path / "mine").folder, tmp_path / "came")
    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(lambda _: workspace.find(tea, came), range(10)))
    assert len({each.secret for each in found}) == 1
    assert {each.secret for each in found} == {workspace.find(tea, came).secret}


def test_a_clone_by_git_goes_on(labkit: Labkit, tea: Lab, brew: Exercise, tmp_path: Path) -> None:
    made = workspace.create(tea, brew, tmp_path / "mine")
    (made.folder / "__pycache__").mkdir()
    (made.folder / "__pycache__" / "app.cpython-313.pyc").write_bytes(b"x")
    (made.folder / "app.db").write_bytes(b"x")

    def git(*arguments: str, cwd: Path = made.folder) -> str:
        who = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
        return subprocess.run(["git", *who, *arguments], cwd=cwd, check=True, capture_output=True, text=True).stdout

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "begin")
    assert sorted(git("ls-files").split()) == [
        ".gitignore",
        ".idea/runConfigurations/labkit_run_1.xml",
        ".idea/runConfigurations/labkit_run_2.xml",
        ".vscode/a1-brew.code-snippets",
        ".vscode/extensions.json",
        ".vscode/launch.json",
        ".vscode/tasks.json",
        "app.py",
        "lab-workspace.toml",
        "manual/README.md",
        "pages/cup.html",
    ]
    git("clone", "-q", "-c", "core.autocrlf=true", str(made.folder), "cloned", cwd=tmp_path)
    taken = workspace.find(tea, tmp_path / "cloned")
    assert (taken.exercise_name, taken.record) == ("a1-brew", made.record)


def test_a_moved_workspace_keeps_what_labkit_changed(tea: Lab, brew: Exercise, tmp_path: Path) -> None:
    made = workspace.create(tea, brew, tmp_path / "mine")
    moved = made.folder.rename(tmp_path / "moved on")
    assert workspace.find(tea, moved) == workspace.Workspace(moved, "a1-brew", made.id, made.secret, __version__)


def test_adopt_takes_a_plain_folder_and_touches_no_file_of_the_app(
    labkit: Labkit, brew: Exercise, tmp_path: Path
) -> None:
    plain = tmp_path / "plain"
    workspace.copy_app(brew.end, plain)
    (plain / ".gitignore").write_text("mine\n")
    before = {path: path.read_bytes() for path in plain.rglob("*") if path.is_file()}
    code, _, err = labkit("adopt", "plain")
    assert (code, err.splitlines()) == (
        2,
        [
            f"{plain} does not say which exercise it is: it has no lab-workspace.toml.",
            "next: labkit adopt --exercise EX",
        ],
    )
    code, out, _ = labkit("adopt", "plain", "--exercise", "a1")
    assert (code, out.splitlines()) == (
        0,
        [
            f"{plain}, Brew a pot of tea, is a workspace here now; the app's data begins empty.",
            "next: cd plain",
        ],
    )
    assert {path: path.read_bytes() for path in before} == before
    assert record.read(plain) == Record("Tea", __version__, "a1-brew", None)
    assert labkit("adopt", "plain")[1].splitlines()[0].endswith("is a workspace already.")


def test_adopt_remembers_the_lab_that_was_named(
    labkit: Labkit, tea: Lab, brew: Exercise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    came = carried(workspace.create(tea, brew, tmp_path / "far" / "mine").folder, tmp_path / "came")
    monkeypatch.delenv("LABKIT_LAB")
    monkeypatch.chdir(came)
    refused = labkit("list")
    assert (refused[0], refused[2].splitlines()) == (
        2,
        [
            f"{came} is a workspace of a1-brew, which the lab “Real-time web applications with SignalR” does not have.",
            "next: Name the lab that it was made from with --lab DIR.",
        ],
    )
    assert not (came / ".labkit").exists()
    assert labkit("adopt", "--lab", str(tea.folder))[0] == 0
    assert labkit("list")[1].startswith("Tea\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("adopt", "nowhere"), "There is no folder "),
        (("adopt", "empty", "-e", "a1"), "has no file of a1-brew's app: it is not a trainee's work on it."),
        (("adopt", "empty", "-e", "b7"), "Unknown exercise “b7”."),
    ],
)
def test_what_cannot_be_adopted_is_said(
    labkit: Labkit, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    code, _, err = labkit(*arguments)
    assert code == 2
    assert message in err
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_created_database_is_in_the_record_once(tea: Lab, brew: Exercise, tmp_path: Path) -> None:
    made = workspace.create(tea, brew, tmp_path / "mine")
    path = made.folder / "lab-workspace.toml"
    path.write_text(f"{path.read_text()}\n# my own words\n")
    made.note_database("green", datetime(2026, 11, 29, tzinfo=UTC))
    made.note_database("black", NOON)
    made.note_database("green", NOON)
    noon = NOON.replace(microsecond=0)
    assert made.record.databases == (CreatedDatabase("black", noon), CreatedDatabase("green", noon))
    assert "# my own words" in path.read_text()
    came = carried(made.folder, tmp_path / "came")
    assert workspace.find(tea, came).record == made.record


def test_databases_noted_at_the_same_time_are_all_there(tea: Lab, brew: Exercise, tmp_path: Path) -> None:
    made = workspace.create(tea, brew, tmp_path / "mine")
    names = [f"tea{number}" for number in range(10)]
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda name: made.note_database(name, NOON), names))
    assert sorted(each.name for each in made.record.databases) == names


def test_a_lost_record_is_known_from_labkits_own(tea: Lab, brew: Exercise, tmp_path: Path) -> None:
    made = workspace.create(tea, brew, tmp_path / "mine")
    before = made.record
    (made.folder / "lab-workspace.toml").unlink()
    assert (workspace.find(tea, made.folder), made.record) == (made, before)
    workspace.adopt(tea, brew, made.folder)
    assert record.read(made.folder) == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schema = 1\nlab =", "is damaged: "),
        ('schema = 1\nlab = "Tea"\nversion = "1"\nlabkit = "1"\n', "is damaged: its “exercise” is missing."),
        ('schema = 1\nlab = "Tea"\nversion = "1"\nlabkit = "1"\nexercise = 5\n', "its “exercise” is no text."),
        ('lab = "T"\nversion = "1"\nlabkit = "1"\nexercise = "e"\ndatabase = 5\n', "“database” is no list of tables."),
        ("schema = 2\nlabkit = '9'\n", "was made by a newer labkit (9); this one is"),
        ("\0", "is damaged: "),
    ],
)
def test_a_record_that_cannot_be_read_is_named(tea: Lab, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "lab-workspace.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        workspace.find(tea, tmp_path)
    assert message in caught.value.message
    assert (tmp_path / "lab-workspace.toml").read_text() == text


def test_uv_finds_the_labs_packages_wherever_the_workspace_is(tmp_path: Path) -> None:
    lab = find_lab()
    made = workspace.create(lab, lab.exercises[0], tmp_path / "a b")
    settings = (made.folder / "uv.toml").read_text(encoding="utf-8")
    assert tomllib.loads(settings) == {"find-links": ["wheels"]}
    (wheel,) = (made.folder / "wheels").iterdir()
    moved = made.folder.rename(tmp_path / "O'Neil's")
    project = moved / "sub" / "folder"
    project.mkdir(parents=True)
    shown = subprocess.run(
        [os.environ.get("UV", "uv"), "pip", "compile", "--offline", "--no-header", "--no-deps", "-"],
        cwd=project,
        input="asgi-signalr",
        capture_output=True,
        text=True,
        check=True,
        env={name: value for name, value in os.environ.items() if name != "UV_FIND_LINKS"}
        | {"UV_NO_INDEX": "1", "UV_CACHE_DIR": str(tmp_path / "cache")},
    )
    assert wheel.name.startswith("asgi_signalr-")
    assert shown.stdout.split() == [f"asgi-signalr=={wheel.name.split('-')[1]}"]
