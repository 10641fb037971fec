"""Nothing of a trainee's is lost, and nothing outside the workspace is touched, whatever lies in it or ends labkit."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit import insertion, workspace
from labkit.changes import Change, FileChange
from labkit.errors import MachineError, UsageError
from labkit.files import Within, locked
from labkit.lab import Exercise, Lab
from labkit.verify.subject import Subject, evidence_folder
from labkit.workspace import Workspace

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="made of links, pipes, fork and kill")

Killed = Callable[[Callable[[], object], int], bool]
Labkit = Callable[..., tuple[int, str, str]]


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder that must be afterwards as it is now."""
    folder = tmp_path / "outside"
    (folder / "cup").mkdir(parents=True)
    (folder / "precious.txt").write_text("precious")
    (folder / "cup" / "cup.html").write_text("precious")
    before = contents(folder)
    yield folder
    assert contents(folder) == before


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder; links are not followed."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


@pytest.mark.parametrize("path", ["../outside/precious.txt", "/etc/passwd", "a/../../x", "", ".", "a\0b"])
def test_a_path_never_leads_out(tmp_path: Path, outside: Path, path: str) -> None:
    (tmp_path / "in").mkdir()
    within = Within(tmp_path / "in")
    with pytest.raises(UsageError):
        within.read(path)
    for content in (b"x", None):
        with pytest.raises(UsageError):
            within.write(path, content)


@pytest.mark.parametrize("name", ["journal", "undone", "data", "evidence", "half-made", ""])
@pytest.mark.parametrize(
    "command", [("snippet", "insert", "pour"), ("undo", "--force"), ("reset", "--yes"), ("reset", "--yes", "--data")]
)
def test_labkits_own_folders_are_never_links(
    labkit: Labkit, mine: Workspace, outside: Path, name: str, command: tuple[str, ...]
) -> None:
    assert labkit("snippet", "insert", "cup-label")[0] == 0
    own = mine.folder / ".labkit" / name
    if own.exists():
        shutil.copytree(own, outside / "copy", dirs_exist_ok=True)
        shutil.rmtree(own)
    own.symlink_to(outside / "copy")
    (outside / "copy").mkdir(exist_ok=True)
    before = contents(outside), contents(mine.folder)
    code, _, err = labkit(*command)
    assert (contents(outside), contents(mine.folder)) == before
    assert (code, f".labkit/{name}".rstrip("/") + " is a link: labkit neither" in " ".join(err.split())) == (2, True)
    shutil.rmtree(outside / "copy")


@pytest.mark.parametrize("name", ["evidence", ""])
def test_verify_removes_nothing_beyond_a_link(labkit: Labkit, mine: Workspace, outside: Path, name: str) -> None:
    own, there = mine.folder / ".labkit" / name, outside / "own"
    shutil.copytree(mine.folder / ".labkit", there)
    for number in range(9):
        run = there / "evidence" / f"2026010{number}-120000-000000-a1"
        run.mkdir(parents=True)
        (run / "console.log").write_text("precious")
    if own.exists():
        shutil.rmtree(own)
    own.symlink_to(there / name)
    before = contents(outside)
    code, _, err = labkit("verify")
    assert contents(outside) == before
    assert (code, f".labkit/{name}".rstrip("/") + " is a link: labkit neither" in " ".join(err.split())) == (2, True)
    shutil.rmtree(there)


def test_of_the_evidence_only_earlier_runs_are_removed(mine: Workspace, brew: Exercise, tmp_path: Path) -> None:
    root = mine.folder / ".labkit" / "evidence"
    names = ["2025-12-31", "my-notes", *(f"2026010{number}-120000-000000-a1" for number in range(9))]
    for name in names:
        (root / name).mkdir(parents=True)
    (root / "20260100-120000-000000-link").symlink_to(tmp_path, target_is_directory=True)
    evidence_folder(Subject(brew, mine.folder, "workspace", mine), datetime(2026, 2, 1, 12))
    left = {path.name for path in root.iterdir()}
    assert left == {"2025-12-31", "my-notes", "20260100-120000-000000-link", *names[-4:]}


@pytest.mark.parametrize("path", ["../outside/precious.txt", "/etc/hostname", "pages/../../outside/precious.txt"])
def test_a_record_that_names_a_file_outside_undoes_nothing(
    labkit: Labkit, mine: Workspace, outside: Path, path: str
) -> None:
    labkit("snippet", "insert", "pour")
    described = mine.folder / ".labkit" / "journal" / "0001" / "change.json"
    document = json.loads(described.read_text())
    document["files"].append({"path": path, "existed": False, "after": None})
    described.write_text(json.dumps(document))
    code, _, err = labkit("undo", "--force")
    assert (code, "lies outside" in err) == (2, True)


@pytest.mark.parametrize(
    "text",
    ["", "[", "[]", "{}", '{"files": 5}', '{"files": [{"path": 5, "existed": true, "after": null}]}', "\0", '"x"'],
)
def test_a_damaged_record_is_named_and_undoes_nothing(labkit: Labkit, mine: Workspace, text: str) -> None:
    labkit("snippet", "insert", "pour")
    (mine.folder / ".labkit" / "journal" / "0001" / "change.json").write_text(text)
    before = contents(mine.folder)
    code, _, err = labkit("undo", "--force")
    assert (code, err.startswith(".labkit/journal/0001 is damaged (")) == (2, True)
    assert contents(mine.folder) == before


def test_a_link_in_place_of_a_folder_is_named(labkit: Labkit, mine: Workspace, outside: Path) -> None:
    (mine.folder / "pages" / "cup.html").unlink()
    (mine.folder / "pages").rmdir()
    (mine.folder / "pages").symlink_to(outside / "cup")
    code, _, err = labkit("reset", "--yes")
    assert (code, err.splitlines()[0]) == (
        2,
        "pages is a link: labkit neither follows nor replaces it. Nothing was changed.",
    )


def test_a_pipe_in_place_of_a_file_is_named_and_nobody_waits_for_it(labkit: Labkit, mine: Workspace) -> None:
    (mine.folder / "app.py").unlink()
    os.mkfifo(mine.folder / "app.py")
    for command in (("reset", "--yes"), ("reset", "app.py", "--yes")):
        code, _, err = labkit(*command)
        assert (code, err.splitlines()[0]) == (
            2,
            "app.py is a folder, a pipe or a device where a file belongs. Nothing was changed.",
        )
    assert labkit("list")[0] == 0


def test_a_link_that_leads_to_itself_is_left_out(labkit: Labkit, mine: Workspace) -> None:
    (mine.folder / "loop").symlink_to("loop")
    assert [labkit("list")[0], labkit("diff", "--stat")[0], labkit("snippet", "insert", "pour")[0]] == [0, 0, 0]


def test_ten_inserts_at_once_are_ten_in_a_row(tea: Lab, brew: Exercise, tmp_path: Path) -> None:
    made = workspace.create(tea, brew, tmp_path / "ten")
    app = made.folder / "app.py"

    def insert(number: int) -> None:
        with made.changing():
            before = app.read_bytes()
            made.apply(Change(f"line {number}", (FileChange("app.py", before, before + f"# {number}\n".encode()),)))

    begun = app.read_bytes()
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(insert, range(10)))
    assert sorted(app.read_text().splitlines()[-10:]) == [f"# {number}" for number in range(10)]
    for _ in range(10):
        made.undo()
    assert app.read_bytes() == begun


def test_a_folder_that_goes_while_it_is_looked_into_has_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "half-made").mkdir()
    stat = os.stat

    def removed_after(name: Any, **options: Any) -> os.stat_result:
        found = stat(name, **options)
        if name == "half-made":
            (tmp_path / "half-made").rmdir()
        return found

    monkeypatch.setattr(os, "stat", removed_after)
    assert Within(tmp_path).names("half-made") == []


def test_a_file_that_changed_in_the_meantime_is_not_overwritten(mine: Workspace) -> None:
    change = Change("x", (FileChange("app.py", (mine.folder / "app.py").read_bytes(), b"theirs\n"),))
    (mine.folder / "app.py").write_text("mine\n")
    with pytest.raises(UsageError, match=r"app\.py has been changed in this moment"):
        mine.apply(change)
    assert (mine.folder / "app.py").read_text() == "mine\n"


def test_a_start_that_was_killed_is_swept_by_the_next_one(
    tea: Lab, brew: Exercise, tmp_path: Path, killed: Killed
) -> None:
    folder = tmp_path / "new [x]"
    killed(lambda: workspace.create(tea, brew, folder), 60)
    assert [path for path in tmp_path.iterdir() if path.name.endswith(".labkit-new")] != []
    workspace.create(tea, brew, folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new [x]", "tea"]


DATA = ".labkit/data/tea.db"
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("edit"), st.sampled_from(["app.py", "pages/cup.html", "notes.txt", DATA]), st.binary(max_size=9)
        ),
        st.tuples(st.just("insert"), st.sampled_from(["pour", "cup-label"]), st.just(b"")),
        st.tuples(st.just("reset"), st.just(""), st.just(b"")),
        st.tuples(st.just("reset --data"), st.just(""), st.just(b"")),
        st.tuples(st.just("undo"), st.just(""), st.just(b"")),
    ),
    max_size=8,
)


def play(tea: Lab, brew: Exercise, made: Workspace, step: tuple[str, str, bytes]) -> None:
    kind, name, content = step
    if kind == "edit":
        (made.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (made.folder / name).write_bytes(content)
    elif kind == "insert":
        with made.changing():
            made.apply(insertion.insert(made.folder, brew, [name]))
    elif kind == "reset":
        made.apply(workspace.reset(made.folder, brew))
    elif kind == "reset --data":
        made.put_data_away(workspace.reset(made.folder, brew))
    else:
        made.undo(force=True)


@pytest.mark.slow
@given(data=st.data(), steps=STEPS)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_byte_is_ever_lost(
    tea: Lab,
    brew: Exercise,
    killed: Killed,
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
    steps: list[Any],
) -> None:
    """Edits, inserts, resets and undos in any order, each cut short by kill -9 anywhere."""
    with tempfile.TemporaryDirectory(dir=tmp_path_factory.getbasetemp()) as temporary:
        folder = Path(temporary) / "mine"
        workspace.copy_app(brew.begin, folder)
        workspace.adopt(tea, brew, folder)
        made = workspace.read(folder, tea)
        owed: set[bytes] = set()
        for step in steps:
            before = set(app(made).values())
            if step[0] == "edit":
                play(tea, brew, made, step)
            else:
                killed(partial(play, tea, brew, made, step), data.draw(st.integers(0, 70), "calls"))
                owed |= before - set(app(made).values())
            there = set(contents(folder).values())
            assert owed <= there
        # Whatever was killed, the next command works, and sweeps what was left.
        made.apply(Change("x", (FileChange("last.txt", None, b"x"),)))
        assert [path for path in contents(folder) if path.endswith(".tmp")] == []


def app(made: Workspace) -> dict[str, bytes]:
    """The files of the app, and its data, as they are now."""
    files = contents(made.folder).items()
    return {path: each for path, each in files if not path.startswith(".labkit/") or path == DATA}


def test_a_lock_that_somebody_keeps_is_not_waited_for_without_end(tmp_path: Path) -> None:
    lock = tmp_path / "mine" / "lock"
    with locked(lock), ThreadPoolExecutor(1) as elsewhere, pytest.raises(MachineError) as caught:
        elsewhere.submit(lambda: locked(lock, patience=0.05).__enter__()).result()
    assert caught.value.message == f"Another labkit command has kept {lock.parent} to itself for 0.05 s."
    assert caught.value.next == "Wait until it has ended, or end it; then repeat the command."
    with locked(lock):
        pass
