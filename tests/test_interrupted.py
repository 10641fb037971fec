"""However a command is cut short, by Ctrl-C or by its output, it says so in one way."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import labkit.__main__
from labkit import cli


def interrupted(*_: object, **__: object) -> int:
    raise KeyboardInterrupt


def test_ctrl_c_while_the_command_is_loaded_needs_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["labkit", "list"])
    monkeypatch.setattr(cli, "run", interrupted)
    with pytest.raises(SystemExit) as caught:
        labkit.__main__.main()
    assert (caught.value.code, capsys.readouterr().err) == (130, "Interrupted.\n")


def test_ctrl_c_in_a_command_is_one_json_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("labkit.cli.workspace.find_lab", interrupted)
    assert cli.run(["list", "--format", "json"]) == 130
    assert json.loads(capsys.readouterr().out)["error"] == {"message": "Interrupted.", "next": None, "code": 130}


@pytest.mark.skipif(sys.platform == "win32", reason="has neither /dev/full nor its pipes")
@pytest.mark.parametrize("arguments", [["--version"], ["list"], ["list", "--format", "json"]])
def test_a_reader_that_has_gone_is_no_error(arguments: list[str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "labkit", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == ("", 0)


@pytest.mark.skipif(sys.platform == "win32", reason="has no such pipes")
def test_a_verdict_that_nobody_hears_is_not_a_good_one(tea_folder: Path) -> None:
    command = [sys.executable, "-m", "labkit", "verify", "a1", "--solution", "end", "--lab", str(tea_folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        process.stdout.close()
        assert process.wait() == 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no /dev/full")
@pytest.mark.parametrize("arguments", [["--version"], ["list"], ["list", "--format", "json"]])
def test_output_that_cannot_be_written_is_the_machines_fault(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "labkit", *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, "No space left on device" in done.stderr, "Traceback" in done.stderr) == (3, True, False)


@pytest.mark.skipif(sys.platform == "win32", reason="sends the signals of POSIX")
@pytest.mark.usefixtures("signals_as_in_a_terminal")
@pytest.mark.parametrize(
    "asking", ["SIGINT", *(pytest.param(each, marks=pytest.mark.slow) for each in ("SIGTERM", "SIGHUP", "SIGKILL"))]
)
def test_setup_cut_short_leaves_nothing_of_the_browser_that_it_tries(
    tea_folder: Path, tmp_path: Path, asking: str
) -> None:
    temporary = tmp_path / "t"
    temporary.mkdir()
    with subprocess.Popen(
        [sys.executable, "-m", "labkit", "setup", "--yes", "--lab", str(tea_folder)],
        env=os.environ | {"TMPDIR": str(temporary)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        wait_until(lambda: any(temporary.glob("labkit-*/playwright_chromiumdev_profile-*")))
        process.send_signal(getattr(signal, asking))
        assert process.wait(60) == (-9 if asking == "SIGKILL" else 130)
    wait_until(lambda: not any(temporary.iterdir()))


def wait_until(true: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        time.sleep(0.01)
