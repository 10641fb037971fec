"""The server's process and the two cores: what it has cost, what it takes."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
from entrants import Entrant

SERVER_CORE, LOAD_CORE = 0, 1
# As it is at the start: who has been pinned, and whatever it starts, is allowed its one core only.
ALLOWED = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else frozenset[int]()


class Server:
    """A running server."""

    def __init__(self, entrant: Entrant) -> None:
        self.entrant = entrant
        self._process = subprocess.Popen(entrant.command(), stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        pin(self._process.pid, SERVER_CORE)
        said = self._process.stdout.readline()
        if not said:
            raise RuntimeError(f"{entrant.name} does not start.")
        self.port = int(said)
        self.pid = self._process.pid
        itself = psutil.Process(self.pid)
        # What is started may be a script that starts the server.
        self._processes = [itself, *itself.children(recursive=True)]
        for process in self._processes:
            pin(process.pid, SERVER_CORE)

    def cpu_seconds(self) -> float:
        """Say how long it has computed, in user and kernel mode: what the network costs it included."""
        seconds = 0.0
        for process in self._processes:
            times = process.cpu_times()
            seconds += _scheduled(process.pid) or times.user + times.system
        return seconds

    def memory(self) -> int:
        """Say how many bytes it takes: its proportional set where that is known, else its resident one."""
        infos = [each.memory_full_info() for each in self._processes]
        return sum(int(getattr(full, "pss", full.rss)) for full in infos)

    def writes(self) -> int | None:
        """Say how often it has called `write` and its like, where Linux tells it."""
        try:
            return sum(each.io_counters().write_count for each in self._processes)
        except (AttributeError, OSError, psutil.Error):
            return None

    def stop(self) -> None:
        """End it."""
        for process in self._processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def _scheduled(pid: int) -> float | None:
    """Say how many seconds a process's threads have computed, where Linux tells it: psutil's steps are of 10 ms."""
    try:
        threads = [path.read_text("ascii").split() for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    except OSError:
        return None
    return sum(int(thread[0]) for thread in threads) / 1e9 or None


@contextlib.contextmanager
def running(entrant: Entrant) -> Iterator[Server]:
    """Run a server for a while."""
    server = Server(entrant)
    try:
        yield server
    finally:
        server.stop()


def pin(pid: int, core: int) -> None:
    """Keep a process on a core of its own, where the system can."""
    if core in ALLOWED:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(pid, {core})


def allow_open_files(number: int) -> int:
    """Ask for as many open files as the connections need; says how many there may be."""
    if sys.platform == "win32":
        return number
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)
