"""The Tab key offers what can be typed: exercises, tasks, steps, snippets, files."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from labkit import cli, workspace
from labkit.cli import helping
from labkit.lab import find_lab

ROOT = Path(__file__).parent.parent


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside a workspace of the quiz."""
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path / "kept"))
    lab = find_lab(ROOT)
    monkeypatch.chdir(workspace.create(lab, lab.exercises[0], tmp_path / "mine").folder)


def test_each_command_stands_under_one_heading_with_what_it_does_in_one_line() -> None:
    arranged = [name for commands in helping.ARRANGED.values() for name in commands]
    assert sorted(arranged) == sorted(typer.main.get_command(cli.app).commands)  # type: ignore[attr-defined]
    assert max(len(short) for commands in helping.ARRANGED.values() for short in commands.values()) <= 66


@pytest.mark.usefixtures("inside")
@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("labkit start ", ["ex1", "ex2"]),
        ("labkit verify --task ", ["1", "2", "3"]),
        ("labkit verify ex2 --task ", ["1", "2", "3"]),
        ("labkit snippet insert no", ["notify-updates-method", "notify-updates-call"]),
        ("labkit hint 2.1", ["2.1", "2.10", "2.11"]),
        ("labkit reset geekquiz/st", ["geekquiz/startup.py", "geekquiz/statistics.py"]),
        ("labkit snippet insert -e nothing ", []),
    ],
)
def test_tab_offers_what_can_be_typed(
    typed: str, offered: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = typed.split(" ")
    monkeypatch.setenv("_LABKIT_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    with pytest.raises(SystemExit):
        cli.app([], prog_name="labkit")
    assert [line for line in capsys.readouterr().out.split() if "/static/" not in line] == offered


def test_a_screen_reader_gets_plain_lines(tmp_path: Path) -> None:
    """Without boxes and colours, although the output is a terminal."""
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    environment = os.environ | {"LABKIT_HOME": str(tmp_path), "TERM": "xterm-256color", "LABKIT_PLAIN": ""}
    process = subprocess.Popen(
        [sys.executable, "-m", "labkit", "--plain", "list", "--help"], stdout=theirs, env=environment
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            chunk = os.read(ours, 4096)
        except OSError:  # its end has closed it
            break
        if not chunk:
            break
        shown += chunk
    assert process.wait() == 0
    text = shown.decode()
    assert "Usage: labkit list" in text
    assert [mark for mark in "╭│\x1b" if mark in text] == []
