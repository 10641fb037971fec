"""Handing in: the zip has the trainee's work, all of it and nothing else, and goes on elsewhere."""

import json
import os
import sys
import zipfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from labkit import __version__, packing, tree, verdicts, workspace
from labkit.lab import Exercise, Lab
from labkit.verify.report import Check, Report, Result, TaskReport, Verdict
from labkit.workspace import Workspace

Labkit = Callable[..., tuple[int, str, str]]

NOON = datetime(2026, 11, 30, 12, 0)


def report(*passed: bool) -> Report:
    """A run in which the first task's check has passed or not, and so on."""
    tasks = []
    for number, each in enumerate(passed, start=1):
        check = Check(f"a1.{number}/pot", "The pot is there.", f"a1.{number}", 60)
        result = Result(Verdict.PASSED if each else Verdict.NOT_DONE)
        tasks.append(TaskReport(f"a1.{number}", "Boil", ((check, result),)))
    return Report("a1", "workspace", 1.0, tuple(tasks))


def members(file: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_zip_has_the_work_and_what_it_needs_elsewhere(labkit: Labkit, mine: Workspace, brew: Exercise) -> None:
    for path in (".env", "notes.txt", ".venv/bin/python", "__pycache__/app.pyc", "quiz.db", ".git/HEAD", "my.pem"):
        (mine.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (mine.folder / path).write_text("x")
    (mine.data / "tea.db").write_text("x")
    with (mine.folder / "video.mp4").open("wb") as file:
        file.truncate(packing.LARGE + 1_000_000)
    verdicts.remember(mine.folder, report(True, False), tree.digest(mine.folder), NOON)
    (mine.folder / "app.py").write_text("mine\n")
    code, out, err = labkit("pack", "--name", "Ada  Lovelace")
    target = mine.folder.parent / "a1-brew-ada-lovelace.zip"
    assert (code, err, out.splitlines()[1:]) == (
        0,
        "",
        [
            "Whose: Ada Lovelace",
            "left out: .env (may hold a secret)",
            "left out: my.pem (may hold a secret)",
            "left out: video.mp4 (21 MB)",
            "a1.1  1 of 1 checks passed; files have changed since",
            "a1.2  0 of 1 checks passed; files have changed since",
            "next: labkit verify   (then pack again: the verdicts go with your work)",
        ],
    )
    found = members(target)
    top = "a1-brew-ada-lovelace/"
    assert sorted(found) == sorted(
        f"{top}{path}"
        for path in ("app.py", "pages/cup.html", "notes.txt", "lab-workspace.toml", ".gitignore", "lab-verdicts.json")
    )
    assert found[f"{top}app.py"] == b"mine\n"
    about: dict[str, Any] = json.loads(found[f"{top}lab-verdicts.json"])
    assert datetime.fromisoformat(about.pop("packed")).tzinfo is not None
    assert about == {
        "schema": 1,
        "workspace": mine.id,
        "name": "Ada Lovelace",
        "lab": "Tea",
        "version": __version__,
        "exercise": "a1",
        "labkit": __version__,
        "tasks": [
            {
                "id": f"a1.{number}",
                "title": "Boil",
                "passed": number == 1,
                "when": NOON.astimezone().isoformat(),
                "checks": [{"id": f"a1.{number}/pot", "title": "The pot is there.", "verdict": said}],
                "changed_since": True,
            }
            for number, said in ((1, "passed"), (2, "not done"))
        ],
    }
    assert mine.secret.encode() not in b"".join(found.values())


def test_unpacked_elsewhere_the_work_goes_on(
    labkit: Labkit, mine: Workspace, tea: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mine.folder / "app.py").write_text("mine\n")
    assert json.loads(labkit("pack", "--name", "Ada", "--format", "json")[1])["name"] == "Ada"
    elsewhere = tmp_path / "another machine"
    with zipfile.ZipFile(tmp_path / "a1-brew-ada.zip") as archive:
        archive.extractall(elsewhere)
    monkeypatch.chdir(elsewhere / "a1-brew-ada")
    there = workspace.find(tea, Path.cwd())
    assert (there.record, (there.folder / "app.py").read_text()) == (mine.record, "mine\n")
    assert there.record.trainee == "Ada"
    # Whoever compares it finds the trainee's own files and no others, and what is packed again there is the same work.
    assert tree.digest(there.folder) == tree.digest(mine.folder)
    assert labkit("pack", str(tmp_path))[0] == 0
    assert members(tmp_path / "a1-brew-ada.zip")["a1-brew-ada/app.py"] == b"mine\n"


def test_without_a_terminal_nobody_is_asked_for_a_name(labkit: Labkit, mine: Workspace) -> None:
    code, out, _ = labkit("pack")
    assert (code, out.splitlines()[1]) == (0, "Whose: nobody said. To add it: labkit pack --name NAME")
    assert (mine.folder.parent / f"a1-brew-{mine.id}.zip").is_file()


def test_no_work_takes_the_place_of_anothers(
    labkit: Labkit, mine: Workspace, tea: Lab, brew: Exercise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = workspace.create(tea, brew, tmp_path / "other")
    class_ = tmp_path / "class"
    class_.mkdir()
    for each in (mine, other):
        monkeypatch.chdir(each.folder)
        assert [labkit("pack", str(class_))[0] for _ in range(2)] == [0, 0]
    assert {each.name for each in class_.iterdir()} == {f"a1-brew-{each.id}.zip" for each in (mine, other)}
    # Nor where two have the same name.
    assert labkit("pack", str(class_), "--name", "Ann")[0] == 0
    monkeypatch.chdir(mine.folder)
    before = (class_ / "a1-brew-ann.zip").read_bytes()
    code, _, err = labkit("pack", str(class_), "--name", "Ann")
    assert (code, "is there already, packed from another workspace: it is not replaced." in " ".join(err.split())) == (
        2,
        True,
    )
    assert (class_ / "a1-brew-ann.zip").read_bytes() == before


@pytest.mark.skipif(sys.platform == "win32", reason="making links needs a privilege")
def test_links_are_named_and_not_followed(labkit: Labkit, mine: Workspace, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("a treasure")
    (mine.folder / "link.txt").symlink_to(tmp_path / "precious")
    os.mkfifo(mine.folder / "fifo")
    shown = json.loads(labkit("pack", "--format", "json")[1])
    assert shown["left_out"] == [{"path": "link.txt", "reason": "a link"}]
    assert b"treasure" not in b"".join(members(Path(shown["file"])).values())


@pytest.mark.parametrize(
    ("file", "message"),
    [("mine/in.zip", "would lie in your workspace"), ("precious.zip", "is there already, and is no packed work.")],
)
def test_nothing_else_is_overwritten(labkit: Labkit, mine: Workspace, tmp_path: Path, file: str, message: str) -> None:
    (tmp_path / "precious.zip").write_text("mine")
    code, _, err = labkit("pack", str(tmp_path / file))
    assert code == 2
    assert message in " ".join(err.split())
    assert (tmp_path / "precious.zip").read_text() == "mine"
    assert not (mine.folder / "in.zip").exists()


def test_a_later_run_replaces_the_verdicts_on_its_tasks_only(mine: Workspace) -> None:
    verdicts.remember(mine.folder, report(True, False), "1", NOON)
    both = report(True, True)
    verdicts.remember(mine.folder, Report("a1", "workspace", 1.0, both.tasks[1:]), "2", NOON)
    found = verdicts.read(mine.folder)
    assert {id_: (task["passed"], task["digest"]) for id_, task in found.items()} == {
        "a1.1": (True, "1"),
        "a1.2": (True, "2"),
    }


@pytest.mark.parametrize("text", ["[", "[]", '{"tasks": 5}', '{"tasks": {"a1.1": 5}}'])
def test_damaged_verdicts_are_none(mine: Workspace, text: str) -> None:
    (mine.folder / ".labkit" / "verdicts.json").write_text(text)
    assert verdicts.read(mine.folder) == {}
