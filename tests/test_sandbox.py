"""What an app inside the sandbox can do, and what it cannot, tried from inside."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from labkit import sandbox
from labkit.processes import environment
from labkit.sandbox import Sandbox
from labkit.sandbox.confine import landlock

pytestmark = pytest.mark.skipif(landlock() < 6, reason="needs Landlock as Linux 6.12 has it")


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """The folder that the app may write to."""
    folder = tmp_path / "app"
    folder.mkdir()
    return folder


@pytest.fixture
def listening() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def inside(app: Path, code: str, ports: tuple[int, ...] = (), connect: tuple[int, ...] = ()) -> str:
    """Run Python inside; what it prints, or the name of the error that it ends with."""
    command = Sandbox(write=(app,), connect=connect).wrap([sys.executable, "-c", code], ports)
    result = subprocess.run(command, cwd=app, env=environment({}), capture_output=True, text=True, timeout=60)
    lines = result.stderr.strip().splitlines()
    return result.stdout.strip() if result.returncode == 0 else lines[-1].split(":")[0] if lines else str(result)


def test_its_own_folder_and_ports_and_database_are_the_apps(app: Path, listening: int) -> None:
    port = free()
    code = f"""
import asyncio, multiprocessing, socket, sqlite3, ssl, subprocess, sys, tempfile, uvicorn
from pathlib import Path
Path("made/deep").mkdir(parents=True)
Path("made/a").write_text("x"); Path("made/a").rename("made/deep/b"); Path("made/deep/b").unlink()
sqlite3.connect("d.db").execute("PRAGMA journal_mode=wal")
socket.create_connection(("127.0.0.1", {listening})).close()
server = socket.create_server(("127.0.0.1", {port}))
socket.create_connection(("localhost", {port})).close()
print(subprocess.run([sys.executable, "-c", "print('child')"], capture_output=True, text=True).stdout, end="")
"""
    assert inside(app, code, ports=(port,), connect=(listening,)) == "child"


PYTHON = "/usr/bin/python3"
"""A Python that every account may use."""

DEEDS = [
    "open({secret!r}).read()",
    "open({secret!r}, 'w')",
    "import os; os.listdir({outside!r})",
    "import os; os.unlink({secret!r})",
    "import os; os.truncate({secret!r}, 0)",
    "import os; os.rename({secret!r}, 'mine')",
    "import os; os.link({secret!r}, 'mine')",
    "import os; os.symlink({secret!r}, 'l'); open('l').read()",
    "import os; os.mkfifo({outside!r} + '/pipe')",
    "open({code!r}, 'a')",
    "open({checks!r} + '/conftest.py', 'w')",
    "open('/proc/{pid}/fd/1', 'w')",
    "open('/proc/{pid}/fd/0')",
    "open('/proc/{pid}/environ').read()",
    "open('/proc/{pid}/mem', 'r+b')",
    "import os; os.kill({pid}, 9)",
    "import os; os.killpg({pid}, 9)",
    "import os; os.kill(os.getppid(), 9) if os.getppid() > 1 else os.kill({pid}, 9)",
    "import socket; socket.create_connection(('127.0.0.1', {port}))",
    "import socket; socket.create_server(('127.0.0.1', 0))",
    "import socket; socket.create_server(('0.0.0.0', {free}))",
    "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))",
    "import socket; socket.socket(proto=262).connect(('127.0.0.1', {port}))",  # TCP on several paths
    "import socket; socket.socket().sendto(b'x', 0x20000000, ('127.0.0.1', {port}))",  # connects as it sends
    "import socket; socket.socket(socket.AF_UNIX).connect({unix!r})",
    "import socket; socket.socketpair(type=socket.SOCK_DGRAM)[0].sendto(b'x', {datagrams!r})",
    "import os; os.setuid(12345); os.setuid(0); open({secret!r})",
    "import os; os.chroot('.')",
    "import os; os.open('/dev/shm/x', os.O_CREAT | os.O_RDWR)",
    "import os; os.open('/tmp/labkit-was-here', os.O_CREAT | os.O_RDWR)",
]
"""What an app inside must not be able to do."""


@pytest.mark.parametrize("code", DEEDS)
def test_nothing_else_is(app: Path, tmp_path: Path, listening: int, code: str) -> None:
    with attacked(tmp_path, listening) as values:
        said = inside(app, code.format(**values) + "; print('done')")
        assert said in REFUSALS, said


REFUSALS = ("PermissionError", "ProcessLookupError", "OSError")


@contextlib.contextmanager
def unix_sockets() -> Iterator[tuple[str, str]]:
    """Sockets that somebody else listens on, in a folder that is for everybody."""
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.socket(socket.AF_UNIX) as stream,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams,
    ):
        Path(folder).chmod(0o777)
        for each in (stream, datagrams):
            each.bind(f"{folder}/{each.type.name}")
            Path(each.getsockname()).chmod(0o777)
        stream.listen()
        yield stream.getsockname(), datagrams.getsockname()


@contextlib.contextmanager
def attacked(folder: Path, listening: int, user: int | None = None) -> Iterator[dict[str, Any]]:
    """The names of what an app must not reach; afterwards it has to be as before."""
    outside = folder / "outside"
    outside.mkdir(mode=0o777)
    (outside / "secret").write_text("secret")
    for path in (outside, outside / "secret"):  # so that it is not the owner that keeps an ordinary user out
        path.chmod(0o777)
    victim = subprocess.Popen([PYTHON, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True, user=user)
    with victim, unix_sockets() as (unix, datagrams):
        yield {
            "unix": unix,
            "datagrams": datagrams,
            "secret": str(outside / "secret"),
            "outside": str(outside),
            "code": sandbox.__file__,
            "checks": str(Path(__file__).parent),
            "pid": victim.pid,
            "port": listening,
            "free": free(),
        }
        assert (victim.poll(), (outside / "secret").read_text(), len(list(outside.iterdir()))) == (None, "secret", 1)
        victim.kill()


def test_what_the_app_leaves_behind_ends_with_it(app: Path) -> None:
    code = """
import os, subprocess, sys
os.environ.clear()
child = "import os, time; os.fork() and os._exit(0); open('pid', 'a').write('x'); time.sleep(300)"
for _ in range(3):
    subprocess.Popen([sys.executable, "-c", child], env={}, start_new_session=True)
import time
while not os.path.exists("pid") or os.path.getsize("pid") < 3:
    time.sleep(0.01)
"""
    before = set(psutil.pids())
    assert inside(app, code) == ""
    left = [each for each in set(psutil.pids()) - before if str(app) in _folder(each)]
    assert left == []


def test_killing_the_door_ends_what_is_inside(app: Path) -> None:
    code = "import time; open('up', 'w').close(); time.sleep(300)"
    door = subprocess.Popen(Sandbox(write=(app,)).wrap([sys.executable, "-c", code], ()), cwd=app)
    while not (app / "up").exists():
        assert door.poll() is None
        time.sleep(0.01)
    door.kill()
    door.wait()
    until = time.monotonic() + 30
    while any(_folder(each) == str(app) for each in psutil.pids()):
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize(("code", "status"), [("", 0), ("raise SystemExit(7)", 7), ("import os; os.abort()", None)])
def test_the_exit_status_is_the_commands(app: Path, code: str, status: int | None) -> None:
    result = subprocess.run(Sandbox(write=(app,)).wrap([sys.executable, "-c", code], ()), cwd=app, capture_output=True)
    assert result.returncode in ((status,) if status is not None else (-signal.SIGABRT, 128 + signal.SIGABRT))


REFUSED = """
import os, socket

def refused(what, *arguments):
    try:
        what(*arguments)
    except OSError:
        return True
    return False

print(
    refused(open, {secret!r}),
    refused(socket.create_connection, ("127.0.0.1", {port})),
    refused(os.kill, {pid}, 0),
    refused(os.chown, ".", 1, 1),
    refused(os.truncate, open("f", "w").name, 10**10),
)
"""


@pytest.mark.parametrize(
    ("version", "refused"),
    [(6, (1, 1, 1, 1, 1)), (5, (1, 1, 1, 1, 1)), (4, (1, 1, 1, 1, 1)), (3, (1, 0, 1, 1, 1)), (0, (0, 0, 1, 1, 1))],
)
@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder away")
def test_an_older_system_enforces_what_it_can(
    app: Path, listening: int, version: int, refused: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = app.parent / "secret"
    secret.write_text("secret")
    monkeypatch.setattr(sandbox, "landlock", lambda: version)
    code = REFUSED.format(secret=str(secret), port=listening, pid=os.getpid())
    # What root runs has a process namespace of its own: whatever the system, others have no number there.
    assert inside(app, code, connect=()) == " ".join(str(bool(each)) for each in refused)


@pytest.mark.skipif(os.geteuid() != 0 or not Path(PYTHON).exists(), reason="becomes an ordinary user")
def test_an_ordinary_users_app_is_kept_inside_as_well(app: Path, listening: int) -> None:
    for folder in (app, *app.parents[:4]):
        folder.chmod(0o777)
    secret = app.parent / "secret"
    secret.write_text("secret")
    code = REFUSED.format(secret=str(secret), port=listening, pid=os.getpid())
    command = [PYTHON, *Sandbox(write=(app,)).wrap([PYTHON, "-c", code], ())[1:]]
    result = subprocess.run(command, cwd=app, env={}, user=65534, group=65534, extra_groups=[], capture_output=True)
    assert (result.stdout.decode(), result.stderr.decode()) == ("True True True True True\n", "")


EACH = """
import os
for deed in {deeds!r}:
    reading, writing = os.pipe()
    is_child = "getppid" not in deed and os.fork() == 0  # whose parent is the app itself
    if is_child or "getppid" in deed:
        try:
            exec(deed)
            said = "done"
        except BaseException as error:
            said = type(error).__name__
        os.write(writing, said.encode())
        if is_child:
            os._exit(0)
    os.close(writing)
    print(os.read(reading, 100).decode(), flush=True)
"""
"""Does one deed after the other, each in a process of its own, and says how each has ended."""


@pytest.mark.skipif(os.geteuid() != 0 or not Path(PYTHON).exists(), reason="becomes an ordinary user")
@pytest.mark.parametrize("user", [0, 65534], ids=["root", "user"])
@pytest.mark.parametrize("within", ["nothing", "bubblewrap"])
def test_whoever_verifies_with_bubblewrap_or_without_is_kept_from_all_of_it(
    app: Path, tmp_path: Path, listening: int, user: int, within: str
) -> None:
    if within == "bubblewrap" and not shutil.which("bwrap"):
        pytest.skip("bubblewrap is not installed")
    around = ["bwrap", "--dev-bind", "/", "/", "--proc", "/proc", "--unshare-pid", "--die-with-parent"]
    for folder in (app, *app.parents[:4]):
        folder.chmod(0o777)
    with attacked(tmp_path, listening, user) as values:
        code = EACH.format(deeds=[each.format(**values) for each in DEEDS])
        command = [PYTHON, *Sandbox(write=(app,)).wrap([PYTHON, "-c", code], ())[1:]]
        result = subprocess.run(
            [*(around if within == "bubblewrap" else []), *command],
            cwd=app,
            env=environment({}),
            user=user,
            group=user,
            extra_groups=[],
            capture_output=True,
            text=True,
            timeout=60,
        )
    said = list(zip(DEEDS, result.stdout.split(), strict=True))
    # Inside bubblewrap there are no other processes.
    refusals = (*REFUSALS, "FileNotFoundError") if within == "bubblewrap" else REFUSALS
    assert [each for each in said if each[1] not in refusals] == [], result.stderr


def test_no_file_grows_without_end(app: Path) -> None:
    assert inside(app, "f = open('big', 'wb'); f.truncate(10**10)") == "OSError"


def test_the_rights_are_said_where_they_are_not_enforced(monkeypatch: pytest.MonkeyPatch, app: Path) -> None:
    assert sandbox.lacking() is None
    monkeypatch.setattr(sandbox, "landlock", lambda: 0)
    assert sandbox.lacking() == (
        "Nothing keeps the app from your files and programs on this system: verify only work that you trust."
    )
    monkeypatch.setattr(sandbox, "landlock", lambda: 3)
    assert sandbox.lacking() == ("This system does not keep the app from the network and signals to other programs.")
    monkeypatch.setattr(sandbox, "landlock", lambda: 6)
    monkeypatch.setattr(sandbox, "filters", lambda: False)
    assert sandbox.lacking() == "This system does not keep the app from UDP and Unix sockets."
    monkeypatch.setenv(sandbox.VARIABLE, "off")
    assert sandbox.lacking() == "Nothing keeps the app from your files and programs: LABKIT_SANDBOX is off."
    assert json.dumps(Sandbox(write=(app,)).wrap(["x"], ())) == '["x"]'


def _folder(pid: int) -> str:
    try:
        return str(psutil.Process(pid).cwd())
    except psutil.Error:
        return ""
