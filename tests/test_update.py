"""`labkit update` brings a workspace to a newer lab, and no byte of the trainee's is ever lost by it."""

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tomlkit  # noqa: F401  (here, so that no process to be killed has to import it)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit import insertion, merging, record, releases, tree, updating, workspace
from labkit.errors import UsageError
from labkit.lab import Exercise, Lab, find_lab
from labkit.workspace import Workspace

Killed = Callable[[Callable[[], object], int], bool]
Labkit = Callable[..., tuple[int, str, str]]

APP = "exercises/a1-brew/begin/app.py"


@pytest.fixture
def mine(tea: Lab, brew: Exercise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace of version 1.0.0, which the lab keeps, and the shell stands in it."""
    release(tea.folder, "1.0.0")
    made = workspace.create(find_lab(tea.folder), brew, tmp_path / "mine")
    monkeypatch.chdir(made.folder)
    return made


def release(lab: Path, version: str, **files: str | None) -> Lab:
    """Change begin (`a__b` names `a/b.html`, else `a.py`; None removes it), and release the lab in that version."""
    begin = lab / "exercises" / "a1-brew" / "begin"
    for name, text in files.items():
        path = begin / (f"{name.replace('__', '/')}.html" if "__" in name else f"{name}.py")
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
    table = (lab / "lab.toml").read_text().splitlines()
    lines = [line for line in table if not line.startswith("version")]
    (lab / "lab.toml").write_text("\n".join([f'version = "{version}"', *lines]) + "\n")
    found = find_lab(lab)
    releases.keep(found.exercises[0], version)
    return found


NEWER = "def tea():\n    kettle = 2\n    # TODO pour: pour it into the cup\n    return kettle\n"


def test_a_file_that_nobody_touched_becomes_the_labs(labkit: Labkit, mine: Workspace, tea: Lab) -> None:
    release(tea.folder, "1.1.0", app=NEWER, saucer="new\n", pages__cup=None)
    code, out, _ = labkit("update")
    assert (code, out.splitlines()) == (
        0,
        [
            "Updated mine from version 1.0.0 to 1.1.0.",
            "  app.py  is the lab's new one",
            "  pages/cup.html  is no more in the lab",
            "  saucer.py  is the lab's new one",
            "next: labkit verify   or   labkit undo   (takes it back)",
        ],
    )
    assert workspace.compare(mine.folder, tea.exercises[0].begin) == []
    assert (mine.record.version, mine.record.begin) == ("1.1.0", tree.digest(tea.exercises[0].begin))
    assert labkit("update")[1].splitlines()[0] == "mine is up to date: version 1.1.0."
    assert labkit("undo")[0] == 0
    assert (mine.record.version, (mine.folder / "pages" / "cup.html").is_file()) == ("1.0.0", True)


def test_the_changes_of_both_are_merged(labkit: Labkit, mine: Workspace, tea: Lab) -> None:
    labkit("snippet", "insert", "pour")
    app = mine.folder / "app.py"
    app.write_bytes(b"\xef\xbb\xbf" + (app.read_text() + "# mine\n").replace("\n", "\r\n").encode())
    release(tea.folder, "1.1.0", app="# tea, by the lab\n" + NEWER.replace("= 2", "= 1"))
    code, out, _ = labkit("update")
    assert (code, out.splitlines()[1]) == (0, "  app.py  has your changes and the lab's")
    assert app.read_bytes().decode() == (
        "\ufeff# tea, by the lab\r\ndef tea():\r\n    kettle = 1\r\n"
        '    cup = "green"\r\n\r\n    print(cup)\r\n    return kettle\r\n# mine\r\n'
    )


def test_where_both_changed_the_same_line_the_trainees_file_stays(labkit: Labkit, mine: Workspace, tea: Lab) -> None:
    app = mine.folder / "app.py"
    app.write_text(app.read_text().replace("kettle = 1", "kettle = 'mine'"))
    before = app.read_bytes()
    lab = release(tea.folder, "1.1.0", app=NEWER)
    code, out, _ = labkit("update")
    assert (code, out.splitlines()[1:]) == (
        1,
        [
            "  app.py  is yours as it was: you and the lab changed the same lines; the lab's is in app.py.lab-new",
            "next: labkit diff --solution begin   (compare, and take over by hand; labkit undo takes it back)",
        ],
    )
    assert app.read_bytes() == before
    assert (mine.folder / "app.py.lab-new").read_text() == NEWER
    assert "app.py.lab-new" not in list(tree.app_files(mine.folder))
    assert updating.update(lab, lab.exercises[0], mine).files == ()


def test_what_the_lab_has_no_more_stays_if_it_was_changed(labkit: Labkit, mine: Workspace, tea: Lab) -> None:
    (mine.folder / "pages" / "cup.html").write_text("mine")
    release(tea.folder, "1.1.0", pages__cup=None)
    code, out, _ = labkit("update")
    assert (code, out.splitlines()[1]) == (0, "  pages/cup.html  is no more in the lab; yours stays")
    assert (mine.folder / "pages" / "cup.html").read_text() == "mine"


def test_a_dry_run_changes_nothing(labkit: Labkit, mine: Workspace, tea: Lab) -> None:
    release(tea.folder, "1.1.0", app=NEWER)
    before = everything(mine.folder)
    shown = json.loads(labkit("update", "--dry-run", "--format", "json")[1])
    assert (shown["taken"], shown["dry_run"], everything(mine.folder) == before) == (["app.py"], True, True)


def test_without_the_begin_it_was_made_from_it_refuses(labkit: Labkit, mine: Workspace, tea: Lab) -> None:
    release(tea.folder, "1.1.0", app=NEWER)
    shutil.rmtree(tea.exercises[0].folder / "begins")
    before = everything(mine.folder)
    code, _, err = labkit("update")
    assert (code, err.splitlines()[-1]) == (
        2,
        "next: labkit start a1 ../mine-2   (beside it; then copy your own code)",
    )
    assert everything(mine.folder) == before


def test_a_released_begin_is_never_changed(brew: Exercise) -> None:
    assert releases.keep(brew, "1.0.0") is not None
    assert releases.keep(brew, "1.0.0") is None
    (brew.begin / "app.py").write_text("other\n")
    with pytest.raises(UsageError, match=r"version 1\.0\.0 was released already"):
        releases.keep(brew, "1.0.0")


@pytest.mark.parametrize(
    ("base", "mine", "theirs", "merged"),
    [
        ("a\nb\nc\nd\n", "A\nb\nc\nd\n", "a\nb\nc\nD\n", "A\nb\nc\nD\n"),
        ("a\nb\n", "A\nb\n", "A\nb\n", "A\nb\n"),
        ("a\nb\n", "A\nb\n", "B\nb\n", None),
        ("a\nb\n", "A\nb\n", "a\nB\n", None),  # they touch
        ("a\n", "a\nx\n", "a\ny\n", None),
        ("a\nb\nc\n", "a\nc\n", "a\nb\nc\nd\n", "a\nc\nd\n"),
        ("a\nb\nc", "a\r\nb\r\nc", "A\nb\nc", "A\r\nb\r\nc"),
    ],
)
def test_two_changes_of_a_text(base: str, mine: str, theirs: str, merged: str | None) -> None:
    assert merging.merge(base, mine, theirs) == merged


LINES = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=8).map("\n".join)


@given(LINES, LINES, LINES)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault
def test_a_merge_never_drops_what_only_one_side_has(base: str, mine: str, theirs: str) -> None:
    merged = merging.merge(base, mine, theirs)
    assert merging.merge(base, theirs, mine) == merged
    assert merging.merge(base, mine, base) == mine
    if merged is not None and mine != theirs:
        new = set(mine.split("\n")) | set(theirs.split("\n"))
        assert {line for line in new if line not in base.split("\n")} <= set(merged.split("\n"))


VERSIONS = (NEWER, "# second\n" + NEWER, "# third\n" + NEWER.replace("tea()", "coffee()"))

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("edit"), st.sampled_from(["app.py", "pages/cup.html", "notes.txt"]), st.binary(max_size=9)),
        st.tuples(st.just("append"), st.just("app.py"), st.binary(max_size=9)),
        st.tuples(st.just("insert"), st.sampled_from(["pour", "cup-label"]), st.just(b"")),
        st.tuples(st.just("release"), st.just(""), st.just(b"")),
        st.tuples(st.just("update"), st.just(""), st.just(b"")),
        st.tuples(st.just("reset"), st.just(""), st.just(b"")),
        st.tuples(st.just("undo"), st.just(""), st.just(b"")),
    ),
    max_size=10,
)


@pytest.mark.skipif(sys.platform == "win32", reason="made of fork and kill")
@given(data=st.data(), steps=STEPS)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@pytest.mark.slow
def test_no_byte_is_lost_over_three_versions(
    tea_folder: Path, killed: Killed, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, steps: list[Any]
) -> None:
    """Edits, inserts, updates, resets and undos in any order, labkit's own cut short by kill -9 anywhere."""
    with tempfile.TemporaryDirectory(dir=tmp_path_factory.getbasetemp()) as temporary:
        folder = Path(temporary) / "mine"
        shutil.copytree(tea_folder, Path(temporary) / "tea")
        lab, version = release(Path(temporary) / "tea", "1.0.0"), 0
        made = made_by_hand(lab, folder)
        owed: set[bytes] = set()
        for step in steps:
            if step[0] == "release" and version < len(VERSIONS):
                version += 1
                lab = release(lab.folder, f"1.{version}.0", app=VERSIONS[version - 1])
            elif step[0] in ("edit", "append"):
                path = folder / step[1]
                path.write_bytes((path.read_bytes() if step[0] == "append" and path.is_file() else b"") + step[2])
            else:
                before = set(app(folder).values())
                calls = data.draw(st.integers(0, 90), "calls until it is killed")
                killed(partial(play, lab, made, step), calls)
                owed |= before - set(app(folder).values())
            assert owed <= set(everything(folder).values())


def play(lab: Lab, made: Workspace, step: tuple[str, str, bytes]) -> None:
    brew = lab.exercises[0]
    with made.changing():
        if step[0] == "insert":
            made.apply(insertion.insert(made.folder, brew, [step[1]]))
        elif step[0] == "update":
            made.apply(updating.update(lab, brew, made))
        elif step[0] == "reset":
            made.apply(workspace.reset(made.folder, brew))
        elif step[0] == "undo":
            made.undo(force=True)


def made_by_hand(lab: Lab, folder: Path) -> Workspace:
    """A workspace without the cost of copier."""
    brew = lab.exercises[0]
    workspace.copy_app(brew.begin, folder)
    record.write(folder, record.Record(lab.title, lab.version, brew.name, tree.digest(brew.begin)))
    return workspace.read(folder, lab)


def app(folder: Path) -> dict[str, bytes]:
    return {path: each for path, each in everything(folder).items() if not path.startswith(".labkit/")}


def everything(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
