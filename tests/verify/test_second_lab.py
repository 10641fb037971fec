"""A lab that shares no word with the one in this repository needs no change in labkit."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from labkit.lab import Lab

Labkit = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.slow
@pytest.mark.usefixtures("signals_as_in_a_terminal")
def test_a_person_plays_another_lab_from_start_to_verify(bakery: Lab, labkit: Labkit, tmp_path: Path) -> None:
    """start, verify, insert, verify and run, through --lab or from within the workspace."""
    made = labkit("start", "b1", "mine", "--lab", bakery.folder)
    assert (made.returncode, made.stderr) == (0, "Making your workspace …\n")

    begin = labkit("verify", "--lab", bakery.folder, "--format", "json", cwd=tmp_path / "mine")
    assert begin.returncode == 1
    assert [(task["id"], task["passed"]) for task in json.loads(begin.stdout)["tasks"]] == [
        ("b1.1", True),
        ("b1.2", False),
    ]

    assert labkit("snippet", "insert", "--all", cwd=tmp_path / "mine").returncode == 0
    end = labkit("verify", "b1", "--lab", bakery.folder)
    assert end.returncode == 0
    lines = end.stdout.splitlines()
    assert lines[0] == (
        f"Verifying b1, “Open a bakery”: the workspace in {tmp_path / 'mine'}, with the checks of {bakery.folder}"
    )
    assert re.sub(r"[\d.]+ s", "N s", "\n".join(lines[1:])) == (
        "\n"
        "b1.1  Look around\n"
        "  ✓ The shop has a door.\n"
        "\n"
        "b1.2  Sell bread\n"
        "  ✓ The shelf says how many loaves are left.\n"
        "  ✓ The till says what a loaf costs.\n"
        "\n"
        "3 of 3 checks passed, in N s.\n"
        "Exercise 1 is done: Open a bakery.\n"
        "That was the last exercise of “Bread”: well done, and thank you for your time.\n"
        "Your workspace stays yours: change the app, run it, and see what becomes of it."
    )
    assert end.stderr == (
        "Starting the app …\n"
        "✓ b1.1  The shop has a door.\n"
        "✓ b1.2  The shelf says how many loaves are left.\n"
        "✓ b1.2  The till says what a loaf costs.\n"
    )
    assert _page_of_run(tmp_path / "mine", bakery.folder) == "Loaves: 3"


@pytest.mark.skipif(sys.platform == "win32", reason="sends the signals of POSIX")
def _page_of_run(workspace: Path, lab: Path) -> str:
    process = subprocess.Popen(
        [sys.executable, "-m", "labkit", "run", "--lab", str(lab), "--no-open"],
        cwd=workspace,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        url = next(match[0] for line in process.stdout if (match := re.search(r"http://127\.0\.0\.1:\d+", line)))
        with urllib.request.urlopen(url) as answer:
            page = answer.read().decode()
        process.send_signal(signal.SIGINT)
        process.stdout.read()
        assert process.wait(20) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    found: list[str] = re.findall(r"Loaves: \d", page)
    return found[0]


def test_the_engine_names_no_exercise() -> None:
    """labkit/ holds no word of the lab in this repository."""
    import labkit

    words = re.compile(r"geek ?quiz|signalr|statistics|trivia", re.IGNORECASE)
    # labkit's own pages are pushed through the library, a package that it depends on; a module of Python has one word.
    own = re.compile(r"asgi[-_]signalr|import statistics|from statistics import|statistics\.median")
    found = [
        f"{path.name}:{number}: {line.strip()}"
        for path in sorted(Path(labkit.__file__).parent.rglob("*.py"))
        if not {"_lab", "live", "classroom"} & set(path.parts)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if words.search(own.sub("", line))
    ]
    assert found == []
