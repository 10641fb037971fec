"""The commands for people who write labs."""

import json
from pathlib import Path

import pytest

from labkit.cli import run


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LABKIT_LAB", raising=False)
    monkeypatch.setenv("COLUMNS", "200")


def test_a_new_lab_is_listed_from_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["new", "lab", "Bird Watching"]) == 0
    assert capsys.readouterr().out.endswith("next: cd bird-watching\nthen: labkit list\n")
    monkeypatch.chdir(tmp_path / "bird-watching")
    assert run(["new", "exercise", "nests", "--title", "All about nests"]) == 0
    assert "next: labkit verify ex2 --solution end   or   labkit start ex2 DIR\n" in capsys.readouterr().out
    assert run(["list", "--format", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [exercise["title"] for exercise in shown["exercises"]] == ["First steps", "All about nests"]


def test_a_lab_that_one_is_not_in_is_never_changed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["new", "exercise", "nests"]) == 2
    assert capsys.readouterr().err.startswith("There is no lab here to change.\n")


def test_hints_name_another_lab_as_a_shell_takes_it(
    tmp_path: Path, tea_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tea_folder.rename(tmp_path / "green tea")
    assert run(["new", "exercise", "serve", "--lab", "green tea"]) == 0
    assert capsys.readouterr().out.endswith(
        'next: labkit verify a2 --solution end --lab "green tea"   or   labkit start a2 DIR --lab "green tea"\n'
    )


def test_another_lab_is_named_with_its_folder(tea_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["new", "exercise", "serve", "--lab", str(tea_folder), "--format", "json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    folder = tea_folder / "exercises" / "a2-serve"
    assert shown == {"schema": 1, "exercise": "a2", "name": "a2-serve", "folder": str(folder)}
