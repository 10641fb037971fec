"""The keeper of a server: the process that starts one, and ends it when nobody uses it any more.

Who starts a server is never labkit itself but a keeper: `python -m labkit.services.postgres.keeper`, a small process
that holds the reading end of a pipe. When labkit ends, in whatever way (kill -9 too), the pipe ends, and the keeper
stops the server. Because the keeper is the starter, there is no moment in which a server runs without one. Several
labkits may share the lab's server: each has its keeper, and the last to go stops it.

`temporary_server` and `kept` are labkit's end of the pipe; `keep` is the other.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from labkit.errors import LabError, MachineError
from labkit.files import locked
from labkit.services.postgres.account import WINDOWS, temporary_home
from labkit.services.postgres.cluster import INIT_TIMEOUT, Cluster
from labkit.services.postgres.server import Server

KEEPER = "labkit.services.postgres.keeper"
"""This module, which is the keeper's program."""

_TEMPORARY = ("temporary", "durable")
"""The modes of a server in a folder of its own, which is removed afterwards."""


@contextlib.contextmanager
def temporary_server(*, durable: bool = False) -> Iterator[Server]:
    """Run a server of one's own; it ends with labkit at the latest, and leaves nothing behind.

    It is fast, because it does not wait for the disk, unless it is `durable`, as servers are that people use.

    Raises:
        MachineError: it does not start.
    """
    with kept("durable" if durable else "temporary") as server:
        yield server


@contextlib.contextmanager
def kept(mode: str, home: Path | None = None) -> Iterator[Server]:
    """Let a keeper run a server of one's own (`temporary`, `durable`), or a folder's, while it is used (`running`) or
    until `stop` (`stay`).

    Raises:
        MachineError: it does not start.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", KEEPER, mode, str(home or "")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        cwd=tempfile.gettempdir(),
        start_new_session=True,  # Ctrl-C is for labkit, which then ends the keeper
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) if WINDOWS else 0,
    )
    report: dict[str, str] = {}
    try:
        line = process.stdout.readline() if process.stdout else ""
        report = json.loads(line) if line.strip() else {"error": "PostgreSQL's keeper ended without a word."}
        if "error" in report:
            raise MachineError(report["error"], report.get("next"))
        yield Server(report["url"], report["own"])
    finally:
        if process.stdin:
            process.stdin.close()
        process.wait()
        if process.stdout:
            process.stdout.close()
        if mode in _TEMPORARY and process.returncode != 0 and "home" in report:
            # Somebody killed the keeper; what it kept must not stay.
            cluster = Cluster(Path(report["home"]), temporary=True)
            cluster.stop()
            cluster.remove()


def keep(mode: str, home: str) -> None:
    """Be the keeper: start the server, say so in a line of JSON, and end it when stdin ends.

    Args:
        mode: `temporary` (own folder, removed afterwards), `durable` (the same, and it waits for the disk), `running`
            (as long as somebody uses it) or `stay`.
        home: the lab's folder; empty for a temporary one.
    """
    is_temporary = mode in _TEMPORARY
    home_folder = temporary_home() if is_temporary else Path(home)
    cluster = Cluster(home_folder, is_temporary, waits_for_disk=mode != "temporary")
    gone, waits = threading.Event(), threading.Event()
    if not is_temporary:  # whose lock nobody else takes
        waits.set()
    threading.Thread(target=_notice_end, args=(gone, waits), daemon=True).start()
    mine: Path | None = None
    try:
        try:
            # Whoever has the lock is perhaps making the data folder.
            with locked(cluster.home / "lock", INIT_TIMEOUT):
                waits.clear()
                if not is_temporary:
                    mine = _register(cluster)
                if cluster.running() is None:
                    cluster.stays.unlink(missing_ok=True)
                    cluster.create()
                    cluster.start()
                # One that runs already was perhaps started by an earlier version, or an app has changed its password.
                cluster.admit_apps()
                if mode == "stay" and not gone.is_set():
                    cluster.stays.touch()
            if sys.platform != "win32":
                # A server that dies is not to stay in the process table: PostgreSQL would take it for a running one,
                # and no other could be started here.
                signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            port = urlsplit(cluster.url).port or 0
            _tell({"url": cluster.app_url_at(port), "own": cluster.url_at(port), "home": str(cluster.home)})
        except LabError as error:
            _tell({"error": error.message, "next": error.next})
        except subprocess.TimeoutExpired as error:
            what = f"Cannot start a PostgreSQL server in {cluster.home}: no end after {error.timeout:.0f} s."
            _tell({"error": what, "next": "Is the disk very slow? Set LABKIT_HOME to a folder elsewhere."})
        except OSError as error:
            full = "Free some 100 MB" if error.errno == 28 else "Make sure that you may write"
            _tell({"error": f"Cannot make a PostgreSQL server in {cluster.home}: {error}.", "next": f"{full} there."})
        if mode != "stay":
            gone.wait()
    finally:
        if is_temporary:
            cluster.stop()
            cluster.remove()
        elif mine:
            with locked(cluster.home / "lock", INIT_TIMEOUT):
                mine.unlink(missing_ok=True)
                if not cluster.stays.exists() and not _in_use(cluster):
                    cluster.stop()


def _register(cluster: Cluster) -> Path:
    users = cluster.home / "users"
    users.mkdir(exist_ok=True)
    mine = users / str(os.getpid())
    mine.touch()
    return mine


def _in_use(cluster: Cluster) -> bool:
    """Whether another keeper holds the server."""
    used = False
    for user in (cluster.home / "users").glob("*"):
        if user.name.isdecimal() and _is_keeper(int(user.name)):
            used = True
        elif user.is_symlink() or not user.is_dir():
            user.unlink(missing_ok=True)
    return used


def _is_keeper(pid: int) -> bool:
    """Whether a keeper has the number: that of one which was killed is somebody else's by now."""
    try:
        return pid < 1 << 31 and KEEPER in psutil.Process(pid).cmdline()
    except psutil.AccessDenied:
        return True
    except psutil.NoSuchProcess:
        return False


def _notice_end(gone: threading.Event, waits: threading.Event) -> None:
    """Wait for the end of stdin, on a thread of its own: then nobody wants the server any more."""
    with contextlib.suppress(OSError):
        while os.read(sys.stdin.fileno(), 4096):
            pass
    gone.set()
    if waits.is_set():
        os._exit(1)  # nothing has been done yet


def _tell(report: dict[str, str | None]) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(report) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    keep(sys.argv[1], sys.argv[2])
