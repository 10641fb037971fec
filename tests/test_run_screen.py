"""What a person at a terminal of 80x24 sees of `labkit run`."""

import os
import re
import select
import struct
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labkit import workspace
from labkit.lab import find_lab

if sys.platform == "win32":
    pytest.skip("there are no such terminals", allow_module_level=True)

import fcntl
import pty
import termios

import pyte

APP = """\
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Tea(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/broken":
            print(undefined)
        if self.path == "/said":
            print("the app's own word", flush=True)
        self.send_response(200)
        self.end_headers()

# TODO pour: pour it
HTTPServer(("127.0.0.1", int(sys.argv[1])), Tea).serve_forever()
"""
WAIT = 90


class Terminal:
    """A labkit at a terminal of 80x24, and what its screen shows."""

    def __init__(self, folder: Path, environment: dict[str, str], *arguments: str) -> None:
        self._screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self._screen)
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execve(sys.executable, [sys.executable, "-m", "labkit", *arguments], environment)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

    @property
    def lines(self) -> list[str]:
        """The lines that are not empty."""
        return [line.rstrip() for line in self._screen.display if line.strip()]

    def until(self, text: str) -> list[str]:
        """Wait until the screen shows the text, and tell its lines."""
        end = time.monotonic() + WAIT
        while text not in "\n".join(self.lines):
            assert time.monotonic() < end, f"{text!r} did not come: {self.lines}"
            if select.select([self._fd], [], [], 0.2)[0]:
                self._stream.feed(os.read(self._fd, 65536))
        return self.lines

    def press(self, key: str) -> None:
        os.write(self._fd, key.encode())


@pytest.fixture
def run(
    request: pytest.FixtureRequest,
    tea_folder: Path,
    tmp_path: Path,
    write_files: Callable[[Path, dict[str, str]], Path],
) -> Iterator[tuple[Terminal, Path, str]]:
    """`labkit run` on its own terminal, the app's folder and its address; the options are the parameter, if any."""
    write_files(tea_folder, {"exercises/a1-brew/begin/app.py": APP})
    lab = find_lab(tea_folder)
    folder = tmp_path / "mine"
    environment = {**os.environ, "LABKIT_HOME": str(tmp_path / "kept"), "LABKIT_LAB": str(tea_folder), "TERM": "xterm"}
    for name in ("COLUMNS", "LINES", "DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "NO_COLOR", "WSL_DISTRO_NAME"):
        environment.pop(name, None)
    made = workspace.create(lab, lab.exercises[0], folder)
    terminal = Terminal(made.folder, environment, "run", *getattr(request, "param", ()))
    try:
        terminal.until("http://")
        address = re.search(r"http://\S+", "\n".join(terminal.until("r restarts · q stops")))
        assert address
        yield terminal, made.folder, address[0]
    finally:
        terminal.press("q")
        terminal.until("Stopped: nothing of it runs any more.")
        os.waitpid(terminal.pid, 0)


def test_the_address_stays_in_sight_whatever_is_requested(run: tuple[Terminal, Path, str]) -> None:
    terminal, _, address = run
    for _ in range(40):
        urllib.request.urlopen(address).read()
    urllib.request.urlopen(f"{address}said").read()
    lines = terminal.until("the app's own word")
    assert lines[-5:] == [
        "1 | the app's own word",
        "Brew a pot of tea runs",
        f" 1  {address}",
        "o opens it · r restarts · q stops",
        "There is no display here: open the address in a browser of your own.",
    ]


def test_a_saved_file_is_noticed_and_r_restarts(run: tuple[Terminal, Path, str]) -> None:
    terminal, folder, address = run
    app = folder / "app.py"
    app.write_text(APP.replace("200", "418"))
    terminal.until("app.py was saved: restart to see it: press r")
    terminal.press("r")
    terminal.until("It does not run. r tries again")
    app.write_text(APP.replace("200", "200 if self.path == '/' else 202"))
    terminal.until("Restarted at")
    with urllib.request.urlopen(f"{address}more") as answer:
        assert answer.status == 202


@pytest.mark.parametrize("run", [("--reload",)], indirect=True)
def test_with_reload_a_saved_file_needs_no_key(run: tuple[Terminal, Path, str]) -> None:
    terminal, folder, address = run
    (folder / "app.py").write_text(APP.replace("200", "200 if self.path == '/' else 202"))
    terminal.until("Restarted at")
    with urllib.request.urlopen(f"{address}more") as answer:
        assert answer.status == 202


@pytest.mark.slow
def test_an_error_is_told_with_its_place_first(run: tuple[Terminal, Path, str]) -> None:
    terminal, _, address = run
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        urllib.request.urlopen(f"{address}broken").read()
    terminal.until("error app.py:7  NameError: name 'undefined' is not defined")
    lines = terminal.until("the whole of it: .labkit/data/logs/instance-1.log")
    assert "1 | 7 | print(undefined)" in [" ".join(line.split()) for line in lines]


@pytest.mark.slow
@pytest.mark.parametrize("run", [("--balancer", "--instances", "2")], indirect=True)
def test_behind_a_balancer_a_key_kills_an_instance_which_returns(run: tuple[Terminal, Path, str]) -> None:
    terminal, _, address = run
    lines = terminal.until("There is no display here")
    assert lines[-5:-1] == [
        "Brew a pot of tea runs",
        f"    {address}",
        "    1  serves   2  serves",
        "o opens it · k 1 kills instance 1 · r restarts · q stops",
    ]
    terminal.press("k")
    terminal.press("2")
    terminal.until("2 | Instance 2 was killed; it returns in 5 seconds.")
    terminal.until("1  serves   2  is away")
    for _ in range(4):
        with urllib.request.urlopen(address) as answer:
            assert answer.headers["X-Served-By"] == "instance 1"
    terminal.until("2 | Instance 2 is back.")
    terminal.until("1  serves   2  serves")
    served: set[str] = set()
    while served != {"instance 1", "instance 2"}:  # it counts as lost for a moment more
        with urllib.request.urlopen(address) as answer:
            served.add(answer.headers["X-Served-By"])
