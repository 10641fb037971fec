"""What a person at a terminal of 80x24 sees of `labkit verify --watch`, and what it leaves behind."""

import contextlib
import os
import select
import struct
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from labkit import workspace
from labkit.lab import Exercise, Lab
from labkit.processes import TOKEN

if sys.platform == "win32":
    pytest.skip("there are no such terminals", allow_module_level=True)

import fcntl
import pty
import termios

import pyte

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("signals_as_in_a_terminal")]
WAIT = 90
WAITING = "Waiting for your next save, which verifies again; Ctrl-C ends it."


class Watching:
    """A `labkit verify --watch` at a terminal of its own, whose programs carry a mark."""

    def __init__(self, folder: Path, temporary: Path) -> None:
        self.folder = folder
        self.temporary = temporary
        self._mark = uuid.uuid4().hex
        self._screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self._screen)
        # Of its environment apps are given little else than this, with more behind it.
        environment = {**os.environ, TOKEN: self._mark, "TMPDIR": str(temporary), "TERM": "xterm"}
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            environment.pop(name, None)
        pid, self._terminal = pty.fork()
        if pid == 0:
            os.chdir(folder)
            os.execve(sys.executable, [sys.executable, "-m", "labkit", "verify", "--watch"], environment)
        self._process = psutil.Process(pid)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

    def _read(self) -> bool:
        """Show what it says next; whether there may be more."""
        if not select.select([self._terminal], [], [], WAIT)[0]:
            pytest.fail(f"it says nothing more: {self.shown()}")
        try:
            said = os.read(self._terminal, 65536)
        except OSError:  # Linux's word for the end of a terminal
            return False
        self._stream.feed(said)
        return bool(said)

    def shown(self) -> list[str]:
        """The lines that are not empty."""
        return [line.rstrip() for line in self._screen.display if line.strip()]

    def text(self) -> str:
        """What is shown, without any space: the terminal breaks lines between words and within long paths."""
        return "".join("".join(self._screen.display).split())

    def until(self, *texts: str) -> list[str]:
        """Wait until the last lines of the screen contain these texts; the lines since the screen was last cleared."""
        until = time.monotonic() + WAIT
        while not all(any(text in line for line in self.shown()) for text in texts):
            assert time.monotonic() < until and self._read(), f"{texts} did not come: {self.shown()}"
        return self.shown()

    def verdicts(self) -> list[str]:
        """Wait until it waits for a save; the lines up to there. The screen is empty after it."""
        lines = self.until(WAITING)
        self._screen.reset()
        return lines

    def press(self, key: str) -> None:
        os.write(self._terminal, key.encode())

    def exit_code(self) -> int:
        while self._read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self._process.pid, 0)[1])

    def left(self) -> list[str]:
        """The programs of it that run, and its temporary files."""
        return [*(path.name for path in self.temporary.iterdir()), *self._programs()]

    def until_it_runs(self, program: str) -> None:
        """Wait until a program with this in its command line runs: else nothing could be left of it."""
        until = time.monotonic() + WAIT
        while not any(program in each for each in self._programs()):
            assert time.monotonic() < until, f"{program} does not run: {self._programs()}"
            time.sleep(0.05)

    def end(self) -> None:
        for process in self._marked():
            process.kill()
        os.close(self._terminal)

    def _programs(self) -> list[str]:
        """The command lines of its programs."""
        found = []
        for process in self._marked():
            with contextlib.suppress(psutil.Error):
                found.append(" ".join(process.cmdline()))
        return found

    def _marked(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            try:
                marks = process.environ().get(TOKEN, "").split(":")
                if self._mark in marks and process.status() != "zombie":
                    yield process
            except psutil.Error:
                continue


@pytest.fixture
def watching(bakery: Lab, shop: Exercise, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watching]:
    """Watching a workspace as it was made."""
    monkeypatch.setenv("LABKIT_LAB", str(bakery.folder))
    # Not in the test's folder: the path of the browser's socket in it may have about 100 characters.
    with tempfile.TemporaryDirectory(prefix="watch-") as temporary:
        running = Watching(workspace.create(bakery, shop, tmp_path / "mine").folder, Path(temporary))
        yield running
        running.end()


def test_every_save_is_verified_until_ctrl_c_which_leaves_nothing(watching: Watching, shop: Exercise) -> None:
    lines = watching.verdicts()
    assert any(line.startswith("1 of 3 checks passed") for line in lines), "\n".join(lines)
    app = watching.folder / "shop.py"
    begun = app.read_text(encoding="utf-8")

    app.write_text((shop.end / "shop.py").read_text(encoding="utf-8"), encoding="utf-8")
    lines = watching.verdicts()
    assert lines[0].endswith("saved: shop.py")
    assert "not verified again: b1.1" in lines
    assert any(line.startswith("2 of 2 checks passed") for line in lines), lines

    # As an editor saves: it empties the file, and then writes it in pieces.
    with app.open("w", encoding="utf-8") as file:
        for at in range(0, len(begun), 200):
            file.write(begun[at : at + 200])
            file.flush()
            time.sleep(0.01)
    lines = watching.verdicts()
    assert any(line.startswith("0 of 2 checks passed") for line in lines), lines
    assert not any("syntax error" in line for line in lines), lines

    watching.until_it_runs("shop.py")
    watching.press("\x03")
    assert (watching.exit_code(), watching.shown()[-1], watching.left()) == (
        0,
        "Stopped watching: nothing of it runs any more.",
        [],
    )


def test_ctrl_c_before_the_first_verdict_is_an_interruption(watching: Watching) -> None:
    watching.until("Starting the app")
    watching.press("\x03")
    assert (watching.exit_code(), watching.shown()[-1], watching.left()) == (130, "Interrupted.", [])


def test_a_workspace_that_is_gone_ends_it(watching: Watching) -> None:
    watching.verdicts()
    watching.until_it_runs("shop.py")
    watching.folder.rename(watching.folder.with_name("gone"))
    assert watching.exit_code() == 2
    assert "".join(f"{watching.folder} is gone.".split()) in watching.text()
    assert watching.left() == []
