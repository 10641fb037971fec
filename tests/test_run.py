"""`labkit run`, as a person uses it: a real process, real signals, a lab that was never seen before."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, SimpleQueue

import psutil
import pytest

from labkit import processes, workspace
from labkit.lab import find_lab
from labkit.services.postgres.lab_server import LabServer
from labkit.services.postgres.server import Server

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="sends the signals of POSIX"),
    pytest.mark.usefixtures("signals_as_in_a_terminal"),
]

APP = """\
import http.server, os, sys, threading

class Pot(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ["POT"].encode())
        if self.path == "/break":
            print("the pot broke")
            os._exit(5)

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Pot).serve_forever()
"""

DATABASE_APP = """\
import asyncio, http.server, os, sys
import asyncpg

async def size():
    connection = await asyncpg.connect(os.environ["SERVER"] + "/pots")
    return await connection.fetchval("SELECT current_database()")

class Pot(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = asyncio.run(size()) if self.path == "/size" else "ready"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Pot).serve_forever()
"""

LAB = {
    "lab.toml": 'title = "Tea"\nexercises = ["a1-brew", "b2-store"]\n',
    "exercises/a1-brew/README.md": "# Brew a pot of tea\n",
    "exercises/a1-brew/exercise.toml": (
        '[app]\ncommand = ["{python}", "app.py", "{port}"]\nready = "/ready"\n'
        'home = "/pot"\ninstances = 2\nenvironment = { POT = "{id} {data}" }\n'
    ),
    "exercises/a1-brew/begin/app.py": APP,
    "exercises/a1-brew/end/app.py": APP,
    "exercises/b2-store/README.md": "# Store it\n",
    "exercises/b2-store/exercise.toml": (
        '[app]\ncommand = ["{python}", "app.py", "{port}"]\nready = "/ready"\n'
        'environment = { SERVER = "{database_server}" }\n[database]\nsolution = ["pots"]\nsnippet = "store"\n'
    ),
    "exercises/b2-store/begin/app.py": DATABASE_APP,
    "exercises/b2-store/end/app.py": DATABASE_APP,
}


class Labkit:
    """A running labkit, its output line by line."""

    def __init__(self, folder: Path, arguments: tuple[str, ...], lab: Path, home: Path, given: str = "pass") -> None:
        launch = f"import os, signal, sys; {given}; os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
        self.process = subprocess.Popen(
            [sys.executable, "-c", launch, "-m", "labkit", *arguments],
            cwd=folder,
            env=os.environ | {"LABKIT_HOME": str(home), "LABKIT_LAB": str(lab), processes.TOKEN: str(home)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        self.token = str(home)
        self.said = ""
        self._lines: SimpleQueue[str] = SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.put(line)

    def until(self, text: str, seconds: float = 30) -> str:
        """All that it said up to the line with this text."""
        end = time.monotonic() + seconds
        while text not in self.said:
            with contextlib.suppress(Empty):
                self.said += self._lines.get(timeout=0.1)
                continue
            assert time.monotonic() < end and self.process.poll() is None, self.said
        return self.said

    def urls(self) -> list[str]:
        return re.findall(r"^\d+ +(http://\S+)", self.until("Ctrl-C stops it."), re.MULTILINE)

    def ends(self, seconds: float = 30) -> tuple[int, str]:
        """Its exit code and all that it said; nothing that it started is left after that."""
        code = self.process.wait(seconds)
        wait_until(lambda: not self.left())
        with contextlib.suppress(Empty):
            while True:
                self.said += self._lines.get(timeout=0.1)
        return code, self.said

    def left(self) -> list[int]:
        """The processes that carry this labkit's token."""
        found = []
        for each in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                tokens = each.environ().get(processes.TOKEN, "").split(":")
                if self.token in tokens and each.status() != psutil.STATUS_ZOMBIE:
                    found.append(each.pid)
        return found


def wait_until(fact: Callable[[], bool], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < until, "it did not become true"
        time.sleep(0.02)


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as reply:
        return str(reply.read().decode())


@pytest.fixture
def lab(tmp_path: Path, write_files: Callable[[Path, dict[str, str]], Path]) -> Path:
    return write_files(tmp_path / "lab", LAB)


@pytest.fixture
def brew(lab: Path, tmp_path: Path) -> Path:
    """A workspace of the first exercise."""
    the_lab = find_lab(lab)
    return workspace.create(the_lab, the_lab.exercise("a1"), tmp_path / "my tea").folder


@pytest.fixture
def labkit(lab: Path, tmp_path: Path) -> Iterator[Callable[..., Labkit]]:
    started: list[Labkit] = []

    def start(folder: Path, *arguments: str, given: str = "pass") -> Labkit:
        started.append(Labkit(folder, arguments, lab, tmp_path / f"home-{len(started)}", given))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.send_signal(signal.SIGTERM)
        try:
            each.process.wait(20)
        except subprocess.TimeoutExpired:
            each.process.kill()


def test_the_instances_of_a_workspace_run_until_ctrl_c(labkit: Callable[..., Labkit], brew: Path) -> None:
    run = labkit(brew, "run")
    first, second = run.urls()
    assert run.said.splitlines()[:2] == ["Starting 2 instances …", f"Brew a pot of tea runs, from {brew}"]
    assert (first.endswith("/pot"), second.endswith("/pot")) == (True, True)
    own = workspace.read(brew)
    assert [get(url) for url in (first, second)] == [f"{own.id} {own.data.as_posix()}"] * 2
    run.until("2 | 127.0.0.1 - - [", 10)
    run.process.send_signal(signal.SIGINT)
    code, said = run.ends()
    assert (code, said.splitlines()[-1]) == (0, "Stopped: nothing of it runs any more.")
    assert (own.data / "logs" / "instance-2.log").read_text().count("GET /pot") == 1


@pytest.mark.slow
def test_ctrl_c_before_the_app_is_ready_is_an_interruption(labkit: Callable[..., Labkit], brew: Path) -> None:
    (brew / "app.py").write_text("import time\nprint('slow', flush=True)\ntime.sleep(600)\n")
    run = labkit(brew, "run")
    wait_until(lambda: len(run.left()) >= 4)  # labkit, the watchdog, two instances
    run.process.send_signal(signal.SIGINT)
    code, said = run.ends()
    assert (code, said.splitlines()[-1]) == (130, "Interrupted before the app was ready. Nothing of it runs any more.")


NOHUP = "[signal.signal(each, signal.SIG_IGN) for each in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)]"
BLOCKED = "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])"


@pytest.mark.parametrize(
    "given",
    [*(pytest.param(each, marks=pytest.mark.slow) for each in (NOHUP, BLOCKED)), "pass"],
    ids=["nohup &", "blocked", "a terminal"],
)
def test_however_it_was_started_a_request_to_end_stops_instances_that_hear_every_signal(
    labkit: Callable[..., Labkit], brew: Path, given: str
) -> None:
    run = labkit(brew, "run", given=given)
    first, _ = run.urls()
    pids = [pid for pid in run.left() if "app.py" in psutil.Process(pid).cmdline()]
    assert [deaf_to(pid) for pid in pids] == [set(), set()]
    if given == NOHUP:  # its terminal is closed, and it goes on
        run.process.send_signal(signal.SIGHUP)
        run.process.send_signal(signal.SIGINT)
        assert get(first) != ""
    run.process.send_signal(signal.SIGTERM)
    code, said = run.ends()
    assert (code, said.splitlines()[-1]) == (0, "Stopped: nothing of it runs any more.")


@pytest.mark.slow
def test_a_closed_window_stops_the_instances_as_ctrl_c_does(labkit: Callable[..., Labkit], brew: Path) -> None:
    run = labkit(brew, "run")
    run.urls()
    run.process.send_signal(signal.SIGHUP)
    code, said = run.ends()
    assert (code, said.splitlines()[-1]) == (0, "Stopped: nothing of it runs any more.")


@pytest.mark.slow
def test_how_an_instance_ended_is_known_where_ended_children_are_ignored(
    labkit: Callable[..., Labkit], brew: Path
) -> None:
    run = labkit(brew, "run", "--instances", "1", given="signal.signal(signal.SIGCHLD, signal.SIG_IGN)")
    (url,) = run.urls()
    with contextlib.suppress(OSError):
        get(url.replace("/pot", "/break"))
    code, said = run.ends()
    assert (code, "The app ended with exit code 5." in said) == (1, True)


def deaf_to(pid: int) -> set[str]:
    """Of the signals that end a process those that it ignores or blocks; Linux alone tells."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return set()
    masks = re.findall(r"^Sig(?:Ign|Blk):\s*(\w+)$", status.read_text(), re.MULTILINE)
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)
    return {each.name for each in ending for mask in masks if int(mask, 16) >> (each - 1) & 1}


def test_kill_9_leaves_nothing_running(labkit: Callable[..., Labkit], brew: Path) -> None:
    run = labkit(brew, "run")
    run.urls()
    run.process.kill()
    assert run.ends()[0] == -signal.SIGKILL


def test_an_instance_that_dies_is_named_and_the_rest_is_stopped(labkit: Callable[..., Labkit], brew: Path) -> None:
    run = labkit(brew, "run")
    _, second = run.urls()
    with contextlib.suppress(OSError):
        get(second.replace("/pot", "/break"))
    code, said = run.ends()
    assert code == 1
    assert "2 | the pot broke\n" in said
    message = " ".join(said[said.index("Instance 2 ended") :].split())
    assert message.startswith("Instance 2 ended with exit code 5. The others are stopped. Its last lines: ")
    assert " the pot broke next: Mend what they name, then repeat the command. The whole log: " in message


def test_an_app_that_does_not_start_is_explained(labkit: Callable[..., Labkit], brew: Path) -> None:
    (brew / "app.py").write_text("import sys\nprint(kettle)\n")
    code, said = labkit(brew, "run", "--instances", "1").ends()
    assert (code, said) == (
        1,
        "Starting the app …\n"
        "    Traceback (most recent call last):\n"
        f'      File "{brew}/app.py", line 2, in <module>\n'
        "        print(kettle)\n"
        "              ^^^^^^\n"
        "    NameError: name 'kettle' is not defined\n"
        "The app does not start: an exception in app.py, line 2: NameError: name 'kettle' is not defined.\n"
        "    2 | print(kettle)\n"
        "next: Mend app.py:2, save the file and repeat the command.\n",
    )


def test_a_file_of_the_app_that_is_gone_is_named(labkit: Callable[..., Labkit], lab: Path, brew: Path) -> None:
    (find_lab(lab).exercise("a1").begin / "kettle.py").touch()
    (brew / "app.py").write_text("import kettle\n")
    code, said = labkit(brew, "run", "--instances", "1").ends()
    assert (code, said.partition("The app ")[2]) == (
        1,
        "does not start: an import fails in app.py, line 1: No module named 'kettle'.\n"
        "    1 | import kettle\n"
        "The file kettle.py is missing.\n"
        "next: labkit reset kettle.py\n",
    )


def test_the_labs_own_end_runs_with_data_that_is_thrown_away(
    labkit: Callable[..., Labkit], lab: Path, tmp_path: Path
) -> None:
    run = labkit(tmp_path, "run", "a1", "--solution", "end", "--instances", "1", "--lab", str(lab))
    (url,) = run.urls()
    name, data = get(url).split(" ", 1)
    assert (name, Path(data).is_dir()) == ("end", True)
    run.process.send_signal(signal.SIGINT)
    assert run.ends()[0] == 0
    assert not Path(data).exists()


def test_the_given_port_is_used_and_one_in_use_is_an_error(
    labkit: Callable[..., Labkit], brew: Path, tmp_path: Path
) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        code, said = labkit(brew, "run", "--port", str(port), "--instances", "1").ends()
    assert code == 3
    assert said.startswith(f"Port {port} is in use by ")
    assert re.search(r"next: Stop it \(Ctrl-C in its terminal\), or choose another port: --port\s\d+\n$", said)
    run = labkit(brew, "run", "--port", str(port), "--instances", "1")
    assert run.urls() == [f"http://127.0.0.1:{port}/pot"]


@pytest.mark.slow
def test_a_placeholder_that_was_left_is_pointed_at(labkit: Callable[..., Labkit], brew: Path) -> None:
    (brew / "app.py").write_text("pot = '<YOUR-POT>'\n" + APP)
    run = labkit(brew, "run")
    said = run.until("note: ")
    assert "note: <YOUR-POT> in app.py, line 1, is a placeholder" in said


def test_without_a_workspace_the_error_says_how_to_get_one(
    labkit: Callable[..., Labkit], lab: Path, tmp_path: Path
) -> None:
    code, said = labkit(tmp_path, "run", "a1", "--lab", str(lab)).ends()
    assert code == 2
    assert said.startswith("No workspace of a1 in")
    assert "labkit start a1" in said


@pytest.mark.slow
def test_the_labs_end_has_a_database_server_of_its_own_for_its_time(
    labkit: Callable[..., Labkit], lab: Path, tmp_path: Path
) -> None:
    run = labkit(tmp_path, "run", "b2", "--solution", "end", "--lab", str(lab))
    (url,) = run.urls()
    assert get(f"{url}size") == "pots"
    run.process.send_signal(signal.SIGINT)
    assert run.ends()[0] == 0


@pytest.mark.slow
def test_a_workspace_uses_the_labs_own_server(
    labkit: Callable[..., Labkit], lab: Path, tmp_path: Path, postgres_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABKIT_DATABASE_SERVER", postgres_server.admin_url)
    if "pots" not in postgres_server.databases():
        postgres_server.create_database("pots")
    the_lab = find_lab(lab)
    folder = workspace.create(the_lab, the_lab.exercise("b2"), tmp_path / "b2").folder
    (url,) = labkit(folder, "run").urls()
    assert get(f"{url}size") == "pots"


@pytest.mark.slow
def test_a_database_server_that_was_killed_is_told_of_and_can_be_started_again(
    labkit: Callable[..., Labkit], lab: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path / "home-0"))  # that of the labkit below
    monkeypatch.delenv("LABKIT_DATABASE_SERVER", raising=False)
    the_lab = find_lab(lab)
    run = labkit(workspace.create(the_lab, the_lab.exercise("b2"), tmp_path / "b2").folder, "run")
    run.until("Ctrl-C stops it.")
    server = LabServer()
    home = server.status().home
    assert home
    pid = int((home / "data" / "postmaster.pid").read_text("utf-8").split("\n", 1)[0])
    os.kill(pid, signal.SIGKILL)
    run.until("PostgreSQL has ended, and the instances reach it no more.\nnext: labkit db start")
    try:
        assert server.start().databases() == []
        run.until("PostgreSQL runs again")
        run.process.send_signal(signal.SIGINT)
        assert run.ends()[0] == 0
        assert server.status().running
    finally:
        server.stop()
