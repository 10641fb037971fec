"""`labkit author stress`: it finds what is wrong now and then, and what stays behind."""

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from labkit.author.stress import State, Traces, _Verdicts
from labkit.lab import Exercise
from labkit.processes import TOKEN
from labkit.verify.report import Check, Report, Result, TaskReport, Verdict

STRESS = [sys.executable, "-m", "labkit", "author", "stress", "--format", "json"]


@pytest.fixture
def state(brew: Exercise) -> State:
    """The state after task 1 of two, whose task 2 lacks its snippets."""
    return State(brew, "begin", brew.begin, frozenset({"a1.1"}), frozenset())


def report(*results: tuple[str, Verdict]) -> Report:
    checks = {
        "pot": Check("a1.1/pot", "The pot is there.", "a1.1", 5),
        "cup": Check("a1.2/cup", "The cup is full.", "a1.2", 5, ("pour",)),
    }
    return Report(
        "a1", "end", 1, (TaskReport("a1", "", tuple((checks[name], Result(each)) for name, each in results)),)
    )


@pytest.mark.parametrize(
    ("results", "wrong"),
    [
        ([("pot", Verdict.PASSED), ("cup", Verdict.NOT_DONE)], []),
        ([("pot", Verdict.NOT_DONE)], ["a1.1/pot: not done, though its task is done"]),
        ([("cup", Verdict.PASSED)], ["a1.2/cup: passed, though pour is missing"]),
        (
            [("cup", Verdict.TIMED_OUT)],
            ["a1.2/cup: timed out, though nothing is wrong with the machine or the checks"],
        ),
        ([("cup", Verdict.NOT_DONE), ("cup", Verdict.SKIPPED)], ["a1.2/cup: skipped, and not done in an earlier run"]),
    ],
)
def test_a_verdict_is_held_against_the_state_and_against_earlier_runs(
    state: State, results: list[tuple[str, Verdict]], wrong: list[str]
) -> None:
    verdicts = _Verdicts()
    assert [each for one in results for each in verdicts.wrong(state, report(one))] == wrong


def test_a_process_its_port_and_a_file_that_stay_are_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labkit.author.stress.PATIENCE", 0.1)
    listening = (
        "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"
    )
    with Traces.kept() as traces:
        assert traces.left() == ()
        with subprocess.Popen(
            [sys.executable, "-u", "-c", listening], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            port = process.stdout.readline().strip()
            Path(psutil.Process(process.pid).environ()["TMPDIR"], "labkit-left").mkdir()
            left = traces.left()
            assert [each.partition(" ")[0] for each in left] == ["folder", "process"]
            assert (left[0], left[1].endswith(f"(port {port})")) == ("folder labkit-left", True)
            assert traces.left() == ()
            process.communicate("")


def test_afterwards_the_environment_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import tempfile

    monkeypatch.setenv("TMPDIR", "/somewhere")
    monkeypatch.delenv(TOKEN, raising=False)
    before = dict(os.environ), tempfile.tempdir
    with Traces.kept():
        assert os.environ["TMPDIR"] != "/somewhere"
    assert (dict(os.environ), tempfile.tempdir) == before


@pytest.mark.slow
def test_an_exercise_without_fault_holds(tea_folder: Path, tmp_path: Path) -> None:
    checks = tea_folder / "exercises" / "a1-brew" / "checks" / "test_brew.py"
    checks.write_text(
        "import pytest\n\n\n@pytest.mark.task(2)\n@pytest.mark.snippets('pour')\ndef test_cup(page) -> None:\n"
        '    """The cup is full."""\n    page.goto("/")\n    assert page.inner_text("p") == "green"\n'
    )
    for folder, tea in (("begin", "no tea"), ("end", "green")):
        (tea_folder / "exercises" / "a1-brew" / folder / "app.py").write_text(APP.replace("TEA", tea))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "labkit",
            "author",
            "stress",
            "--runs",
            "1",
            "--lab",
            str(tea_folder),
            "--format",
            "json",
        ],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
    )
    document = json.loads(done.stdout)
    assert (done.returncode, document["holds"]) == (0, True), done.stderr
    assert [(run["state"], run["wrong"], run["left"]) for run in document["runs"]] == [
        ("begin", [], []),
        ("end", [], []),
    ]


@pytest.mark.by_hand
@pytest.mark.timeout(900)
def test_ten_runs_of_each_exercise_hold_while_every_core_is_busy(tmp_path: Path) -> None:
    done = subprocess.run(
        [*STRESS, "--runs", "5", "--load"],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
    )
    assert (done.returncode, json.loads(done.stdout)["holds"]) == (0, True), done.stderr


APP = """\
import http.server, sys

class Pot(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<p>TEA</p>")

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Pot).serve_forever()
"""
