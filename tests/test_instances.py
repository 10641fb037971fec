"""Instances of an app: run side by side, stop without a trace, and say in a learner's words why they do not start."""

import http.server
import os
import signal
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from labkit import instances, ports
from labkit.errors import MachineError, UsageError
from labkit.instances import AppDidNotStart, Instances
from labkit.lab import App
from labkit.ports import Held, PortInUse
from labkit.sandbox import Sandbox

APP = """\
import http.server, os, sys
from shop import cart

class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, text = cart.reply(self.path)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

print("opening on", sys.argv[1])
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Shop).serve_forever()
"""

CART = """\
import os

def reply(path):
    return 200, os.environ["GREETING"]
"""

SHOP = App(
    command=("{python}", "app.py", "{port}"),
    ready="/ready",
    home="/",
    instances=1,
    environment={"GREETING": "{id} {secret} {data}"},
)

Run = Callable[..., AbstractContextManager[Instances]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "my shop"
    (folder / "shop").mkdir(parents=True)
    (folder / "app.py").write_text(APP, encoding="utf-8")
    (folder / "shop" / "cart.py").write_text(CART, encoding="utf-8")
    return folder


@pytest.fixture
def run(folder: Path, tmp_path: Path) -> Run:
    def run(**options: Any) -> AbstractContextManager[Instances]:
        settings: dict[str, Any] = {"data": tmp_path / "data", "secret": "s3cret", "id": "1a2b", "count": 1}
        return instances.running(SHOP, folder, **(settings | options))

    return run


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as reply:
        return str(reply.read().decode())


def children() -> set[int]:
    """What this process has started and still runs."""
    found = set()
    for each in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if each.status() != psutil.STATUS_ZOMBIE:
                found.add(each.pid)
    return found


def failure(run: Run, **options: Any) -> AppDidNotStart:
    """The error of an app that does not start; nothing of it is left."""
    before = children()
    with pytest.raises(AppDidNotStart) as caught, run(**options):
        pass
    assert children() <= before
    return caught.value


def test_two_instances_answer_on_ports_of_their_own_and_are_gone_afterwards(run: Run, tmp_path: Path) -> None:
    said: list[tuple[int, str]] = []
    with run(count=2, on_line=lambda number, line: said.append((number, line))) as running:
        first, second = running.list
        greeting = f"1a2b s3cret {(tmp_path / 'data').as_posix()}"
        assert [get(first.url), get(second.url)] == [greeting, greeting]
        assert (first.number, second.number, first.port != second.port) == (1, 2, True)
        assert running.poll() is None
    assert not {first.pid, second.pid} & children()
    assert {(1, f"opening on {first.port}"), (2, f"opening on {second.port}")} <= set(said)
    assert first.log.read_text().splitlines()[0] == f"opening on {first.port}"


def test_an_instance_that_dies_is_told_with_its_last_lines(run: Run) -> None:
    with run(count=2) as running:
        second = running.list[1]
        os.kill(second.pid, signal.SIGTERM)
        until = time.monotonic() + 10
        while running.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.01)
        assert running.poll() == second
        assert running.exit_status(running.list[0]) is None
        assert f"opening on {second.port}" in running.tail(second)


def test_an_app_gets_of_the_shells_variables_those_that_the_lab_names(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SHOP_OPEN", "SHOP_NAME", "SHOPPING"):
        monkeypatch.setenv(name, f"my {name}")
    names = 'sorted(name for name in os.environ if name.startswith("SHOP"))'
    (folder / "shop" / "cart.py").write_text(f"import os\n\ndef reply(path):\n    return 200, repr({names})\n")
    app = replace(SHOP, environment={"SHOP_NAME": "the lab's"}, pass_environment=("SHOP_*",))
    with instances.running(app, folder, data=tmp_path / "data", secret="s", id="i", count=1) as running:
        assert get(running.list[0].url) == "['SHOP_NAME', 'SHOP_OPEN']"


def test_a_syntax_error_is_shown_at_its_line(run: Run, folder: Path) -> None:
    (folder / "shop" / "cart.py").write_text("import os\n\ndef reply(path:\n    return 200\n")
    error = failure(run)
    assert (error.reason, error.where) == ("syntax error", "shop/cart.py:3")
    assert error.message == (
        "The app does not start: there is a syntax error in shop/cart.py, line 3: '(' was never closed.\n"
        "    3 | def reply(path:"
    )
    assert error.next == (
        "Mend shop/cart.py:3 (the fault may stand a line above it), save the file and repeat the command."
    )
    assert "SyntaxError: '(' was never closed" in error.log_tail


def test_a_syntax_error_in_the_first_file_is_found_without_a_traceback(run: Run, folder: Path) -> None:
    (folder / "app.py").write_text("import sys\n  print(1)\n")
    error = failure(run)
    assert (error.reason, error.where) == ("syntax error", "app.py:2")
    assert error.message == (
        "The app does not start: there is a syntax error in app.py, line 2: unexpected indent.\n    2 |   print(1)"
    )


def test_an_import_error_is_shown_at_its_line(run: Run, folder: Path) -> None:
    (folder / "shop" / "cart.py").write_text("from shop.till import Till\n" + CART)
    error = failure(run)
    assert (error.reason, error.where) == ("import error", "shop/cart.py:1")
    assert error.message == (
        "The app does not start: an import fails in shop/cart.py, line 1: No module named 'shop.till'.\n"
        "    1 | from shop.till import Till"
    )
    assert error.next == (
        "Correct the name in the import at shop/cart.py:1, or add what it names, and repeat the command."
    )


def test_a_missing_main_module_is_an_import_error(run: Run, folder: Path) -> None:
    command = ("{python}", "-m", "nosuchserver", "{port}")
    with (
        pytest.raises(AppDidNotStart) as caught,
        instances.running(
            App(command, "/", "/", 1, {}), folder, data=folder.parent / "data", secret="s", id="i", count=1
        ),
    ):
        pass
    error = caught.value
    assert (error.reason, error.where) == ("import error", None)
    assert error.message == f"The app does not start: {sys.executable}: No module named nosuchserver."
    assert error.next == f"Is the module that it names there, in {folder}, and spelled the same?"


def test_an_exception_is_shown_at_the_line_of_the_trainees_own_code(run: Run, folder: Path) -> None:
    (folder / "shop" / "cart.py").write_text('import json\n\nPRICES = json.loads("{")\n' + CART)
    error = failure(run)
    assert (error.reason, error.where) == ("exception", "shop/cart.py:3")
    assert error.message == (
        "The app does not start: an exception in shop/cart.py, line 3: JSONDecodeError: "
        "Expecting property name enclosed in double quotes: line 1 column 2 (char 1).\n"
        '    3 | PRICES = json.loads("{")'
    )
    assert error.next == "Mend shop/cart.py:3, save the file and repeat the command."


def test_an_app_that_exits_at_once_is_told_with_its_last_words(run: Run, folder: Path, tmp_path: Path) -> None:
    (folder / "app.py").write_text("import sys\nprint('closed today')\nsys.exit(4)\n")
    error = failure(run, count=2)
    log = tmp_path / "data" / "logs"
    assert (error.reason, error.where) == ("exited", None)
    assert error.message in [
        f"The app (instance {number}) ended with exit code 4 before it was ready. It said last: closed today"
        for number in (1, 2)
    ]
    assert error.next is not None
    assert error.next.startswith(
        "An app has to keep running: look for an exit(), or for a condition, that ends it while it starts. "
        f"The whole log: {log}"
    )
    assert error.log_tail == "closed today"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the place is not told")
def test_an_app_that_hangs_at_start_up_is_shown_where_it_waits(run: Run, folder: Path) -> None:
    (folder / "shop" / "cart.py").write_text("import time\n\ntime.sleep(600)\n")
    error = failure(run, timeout=3)  # time enough to come to the line where it hangs
    assert (error.reason, error.where) == ("hung", "shop/cart.py:3")
    message, _, source = error.message.partition("\n")
    assert message.startswith("The app runs, but does not answer: no reply from http://127.0.0.1:")
    assert message.endswith("/ready within 3 s. It waits in shop/cart.py, line 3.")
    assert source == "    3 | time.sleep(600)"
    assert error.next == "Look at shop/cart.py:3: what does it wait for? Mend it, save the file and repeat the command."
    assert "Fatal Python error" not in error.log_tail


@pytest.mark.slow
def test_an_app_that_takes_connections_but_never_answers_has_hung(run: Run, folder: Path) -> None:
    (folder / "app.py").write_text(
        "import socket, sys, threading\n"
        "s = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
        "kept = [s.accept()]\n"
        "threading.Event().wait()\n"
    )
    error = failure(run, timeout=3)
    assert error.reason == "hung"
    assert error.message.startswith("The app accepts connections, but does not answer: no reply from ")


def test_an_app_that_answers_500_is_shown_with_its_exception(run: Run, folder: Path) -> None:
    (folder / "shop" / "cart.py").write_text("def reply(path):\n    return 500, prices['tea']\n")
    (folder / "app.py").write_text(
        APP.replace(
            "        status, text = cart.reply(self.path)\n",
            "        try:\n"
            "            status, text = cart.reply(self.path)\n"
            "        except Exception:\n"
            "            import traceback; traceback.print_exc()\n"
            "            status, text = 500, 'sorry'\n",
        )
    )
    error = failure(run)
    assert (error.reason, error.where) == ("answered 500", "shop/cart.py:2")
    message, _, source = error.message.partition("\n")
    assert message.startswith("The app starts, but answers 500 to GET http://127.0.0.1:")
    assert message.endswith("/ready. The exception in shop/cart.py, line 2: NameError: name 'prices' is not defined.")
    assert source == "    2 |     return 500, prices['tea']"
    assert error.next == "Mend shop/cart.py:2, save the file and repeat the command."


def test_an_app_without_its_ready_address_is_told(run: Run, folder: Path) -> None:
    (folder / "shop" / "cart.py").write_text("def reply(path):\n    return 404, 'no such page'\n")
    error = failure(run)
    assert (error.reason, error.where) == ("answered 404", None)
    assert (
        error.next == "labkit asks this address whether the app is ready: is its route still there, open to everyone?"
    )


@pytest.mark.parametrize(
    ("line", "placeholder"),
    [
        ('URL = f"server/${1:shop}"', "${1:shop}"),
        ('raise ValueError("no database <YOUR-DATABASE>")', "<YOUR-DATABASE>"),
    ],
)
def test_a_placeholder_that_was_left_is_named(run: Run, folder: Path, line: str, placeholder: str) -> None:
    (folder / "shop" / "cart.py").write_text(f"{line}\n{CART}")
    error = failure(run)
    assert (error.reason, error.where) == ("exception", "shop/cart.py:1")
    assert error.next == (
        f"{placeholder} in shop/cart.py, line 1, is a placeholder: write your own value in its place."
    )


def test_the_trainees_code_is_never_imported(run: Run, folder: Path) -> None:
    (folder / "shop" / "cart.py").write_text("import os\nprint('run by', os.getpid())\nos._exit(0)\n")
    error = failure(run)
    assert error.reason == "exited"
    assert str(os.getpid()) not in error.log_tail


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that this test has."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


def test_a_port_in_use_is_told_with_its_holder_and_a_free_one(run: Run, taken: int) -> None:
    with pytest.raises(PortInUse) as caught, run(first_port=taken):
        pass
    assert caught.value.message == f"Port {taken} is in use by {psutil.Process().name()} (process {os.getpid()})."
    assert caught.value.next is not None
    advice, _, port = caught.value.next.rpartition(" ")
    assert advice == "Stop it (Ctrl-C in its terminal), or choose another port: --port"
    assert taken < int(port) < taken + 200


def test_a_port_that_another_labkit_uses_is_told_as_such(run: Run) -> None:
    with run() as running, pytest.raises(PortInUse) as caught, run(first_port=running.list[0].port):
        pass
    assert caught.value.message.endswith("), an app that labkit runs.")


def test_given_ports_are_used_in_order(run: Run) -> None:
    with ports.hold(1) as held:
        (port,) = held.ports
    with run(first_port=port) as running:
        assert [each.port for each in running.list] == [port]


def test_a_number_that_is_no_port_is_a_usage_error(run: Run) -> None:
    with pytest.raises(UsageError) as caught, run(first_port=65535, count=2):
        pass
    assert caught.value.message == "65535 is no port for 2 instance(s)."


class Stranger(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


def somebody_faster(monkeypatch: pytest.MonkeyPatch, stack: ExitStack, most: int) -> list[int]:
    """Have somebody listen, and answer, on the first ports that labkit lets go of; these ports."""
    taken: list[int] = []
    release = Held.release

    def taking(held: Held, port: int) -> None:
        release(held, port)
        if len(taken) < most:
            server = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", port), Stranger))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
            taken.append(port)

    monkeypatch.setattr(Held, "release", taking)
    return taken


def test_a_port_is_nobody_elses_until_the_app_starts() -> None:
    with ports.hold(2) as held:
        for port in held.ports:
            with pytest.raises(OSError, match="in use"), socket.socket() as other:
                other.bind(("127.0.0.1", port))
            held.release(port)
            with socket.create_server(("127.0.0.1", port)):
                pass


@pytest.mark.parametrize("app", [APP, "import time; time.sleep(600)"], ids=["that says so", "that says nothing"])
def test_another_port_is_tried_where_somebody_was_faster(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, app: str
) -> None:
    (folder / "app.py").write_text(app)
    with ExitStack() as stack:
        most = 1 if app is APP else 3
        taken = somebody_faster(monkeypatch, stack, most)
        if app is APP:
            with run() as running:
                assert (len(taken), running.list[0].port in taken) == (1, False)
            return
        with pytest.raises(PortInUse) as caught, run():
            pass
        assert caught.value.message.startswith(f"Port {taken[-1]} is in use by ")
        assert len(taken) == most


def test_an_app_whose_own_child_has_its_port_is_not_the_machines_fault(run: Run, folder: Path) -> None:
    (folder / "app.py").write_text(
        "import os, subprocess, sys, time\n"
        "child = 'import socket, sys, time; s = socket.create_server((\"127.0.0.1\", int(sys.argv[1]))); '\n"
        "child += 'print(\"up\", flush=True); time.sleep(600)'\n"
        "started = subprocess.Popen([sys.executable, '-c', child, sys.argv[1]], stdout=subprocess.PIPE)\n"
        "started.stdout.readline()\n"
        "sys.exit('OSError: address already in use')\n"
    )
    error = failure(run)
    assert (error.reason, "address already in use" in error.message) == ("exited", True)


def test_a_data_folder_that_cannot_be_made_is_the_machines_fault(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MachineError) as caught, run(data=tmp_path / "file" / "data"):
        pass
    assert caught.value.message == f"The app cannot keep its data in {tmp_path / 'file' / 'data'}: Not a directory."
    assert caught.value.next == "Free some disk space, or work in a folder that you may write to."


def test_an_unknown_entry_in_braces_is_told(folder: Path, tmp_path: Path) -> None:
    app = App(("{python}", "{prot}"), "/", "/", 1, {})
    with pytest.raises(UsageError) as caught, instances.running(app, folder, data=tmp_path, secret="", id="", count=1):
        pass
    assert caught.value.message == "exercise.toml uses {prot} in its [app] table, which has no value here."


def test_the_folders_own_environment_runs_the_app(folder: Path) -> None:
    assert instances.interpreter(folder) == Path(sys.executable)
    own = folder / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    own.parent.mkdir(parents=True)
    own.touch()
    assert instances.interpreter(folder) == own


@pytest.mark.parametrize("inside", [None, Sandbox(write=())], ids=["plain", "in the sandbox"])
def test_an_environment_that_cannot_run_is_told(run: Run, folder: Path, inside: Sandbox | None) -> None:
    own = folder / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    own.parent.mkdir(parents=True)
    own.write_text("")
    with pytest.raises(MachineError) as caught, run(sandbox=inside):
        pass
    assert caught.value.message == f"Cannot start {own} in {folder}: Permission denied."


@pytest.mark.usefixtures("signals_as_in_a_terminal")
def test_an_interruption_while_starting_leaves_nothing(run: Run, folder: Path) -> None:
    (folder / "shop" / "cart.py").write_text("import time\ntime.sleep(600)\n")
    before = children()

    def interrupt() -> None:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with suppress(psutil.Error):
                if any("app.py" in " ".join(each.cmdline()) for each in psutil.Process().children()):
                    break
        signal.raise_signal(signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt), run():
        pass
    until = time.monotonic() + 10
    while not children() <= before:  # the watchdog may have the last word
        assert time.monotonic() < until
        time.sleep(0.01)


def test_what_an_instance_started_ends_with_it(run: Run, folder: Path) -> None:
    (folder / "shop" / "cart.py").write_text(
        "import os, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
        "def reply(path):\n    return 200, str(child.pid)\n"
    )
    with run() as running:
        child = int(get(running.list[0].url))
        assert psutil.pid_exists(child)
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE


def test_an_instance_that_is_killed_comes_back_on_its_port_with_its_log(run: Run) -> None:
    with run(count=2) as running:
        first, second = running.list
        running.kill(2)
        assert (running.poll(), running.exit_status(second) is None, get(first.url) != "") == (None, False, True)
        with pytest.raises(OSError):
            get(second.url)
        assert running.revive(2).get(timeout=30) is None
        again = running.list[1]
        assert (again.url, again.pid != second.pid, get(again.url)) == (second.url, True, get(first.url))
        running.kill(2)
        assert running.poll() is None
    assert not {first.pid, again.pid} & children()
