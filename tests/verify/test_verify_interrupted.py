"""However verify is ended, nothing of it goes on running."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from labkit.lab import Exercise, Lab

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="sends the signals of POSIX"),
    pytest.mark.usefixtures("signals_as_in_a_terminal"),
]

HANGING = """\
import pytest


@pytest.mark.task(1)
@pytest.mark.budget(60)
def test_wait(page):
    page.goto("/")
    page.wait_for_function("() => false", timeout=0)
"""
Start = Callable[[], subprocess.Popen[str]]


class Verify:
    """A running `labkit verify`, whose programs are known by the temporary folder that they have in common."""

    def __init__(self, lab: Path, folder: Path) -> None:
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "labkit", "verify", "b1", "--solution", "end", "--lab", str(lab)],
            cwd=folder,
            env={**os.environ, "TMPDIR": str(self.temporary)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            start_new_session=True,
        )

    def wait_for(self, text: str) -> None:
        assert self.process.stdout is not None
        assert any(text in line for line in self.process.stdout), f"it never said {text}"

    def running(self) -> list[str]:
        found = []
        for process in psutil.process_iter():
            try:
                if self._is_own(process) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(process.cmdline())[:100])
            except psutil.Error:
                continue
        return found

    def _is_own(self, process: psutil.Process) -> bool:
        return str(process.environ().get("TMPDIR", "")).startswith(str(self.temporary))

    def end(self) -> None:
        for process in psutil.process_iter():
            try:
                if self._is_own(process):
                    process.kill()
            except psutil.Error:
                continue
        self.process.communicate()


@pytest.fixture
def verify(bakery: Lab, shop: Exercise, tmp_path: Path) -> Iterator[Verify]:
    """A run whose second check never ends."""
    (shop.checks / "test_wait.py").write_text(HANGING, encoding="utf-8")
    running = Verify(bakery.folder, tmp_path)
    yield running
    running.end()


@pytest.mark.parametrize(
    "moment",
    [
        "Verifying",
        *(pytest.param(each, marks=pytest.mark.slow) for each in ("Starting the app", "The shop has a door")),
    ],
)
def test_ctrl_c_at_any_moment_ends_everything_with_130(verify: Verify, moment: str) -> None:
    verify.wait_for(moment)
    verify.process.send_signal(signal.SIGINT)
    assert verify.process.wait(20) == 130
    assert verify.running() == []


@pytest.mark.parametrize(
    "asking",
    [["SIGTERM"], *(pytest.param(each, marks=pytest.mark.slow) for each in (["SIGHUP"], ["SIGHUP", "SIGTERM"]))],
    ids=" ".join,
)
def test_whoever_asks_it_to_end_gets_the_way_of_ctrl_c_and_nothing_stays(verify: Verify, asking: list[str]) -> None:
    verify.wait_for("The shop has a door")
    assert [path.name[:7] for path in verify.temporary.iterdir()] == ["labkit-"]
    for each in asking:
        verify.process.send_signal(getattr(signal, each))
        time.sleep(0.02)
    said = verify.process.communicate(timeout=20)[0]
    assert (verify.process.returncode, said.splitlines()[-1], list(verify.temporary.iterdir())) == (
        130,
        "Interrupted.",
        [],
    )
    assert verify.running() == []


@pytest.mark.slow
def test_nothing_survives_a_kill_of_labkit(verify: Verify) -> None:
    verify.wait_for("The shop has a door")
    assert len(verify.running()) > 4
    verify.process.kill()
    until = time.monotonic() + 15
    while (left := verify.running()) and time.monotonic() < until:
        time.sleep(0.05)
    assert left == []
