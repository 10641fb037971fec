"""Programs end with labkit, however it ends: real processes, real signals."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from labkit import processes, usage
from labkit.processes import Group, environment

posix = pytest.mark.skipif(sys.platform == "win32", reason="process groups and signals of POSIX")

# A program that starts another one and says both process ids.
PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"] , **OPTIONS)
print(os.getpid(), child.pid, flush=True)
time.sleep(600)
"""


def program(**options: object) -> list[str]:
    return [sys.executable, "-c", PARENT.replace("OPTIONS", repr(options))]


def started(process: subprocess.Popen[bytes]) -> list[int]:
    """The process ids that the program says."""
    assert process.stdout
    return [int(pid) for pid in process.stdout.readline().split()]


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def ignores(status: Path, number: int) -> bool:
    """Whether a process of Linux ignores a signal, by its status file."""
    line = next(line for line in status.read_text().splitlines() if line.startswith("SigIgn:"))
    return bool(int(line.split()[1], 16) >> (number - 1) & 1)


def watchdogs(programs: list[int]) -> list[psutil.Process]:
    """The running watchdogs of this process, which are no program of the test."""
    children = psutil.Process().children()
    return [each for each in children if each.pid not in programs and runs(each.pid) and "-I" in each.cmdline()]


def wait_until(fact: Callable[[], bool], seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < until, "it did not become true"
        time.sleep(0.01)


def test_a_program_and_what_it_started_are_gone_after_the_group(tmp_path: Path) -> None:
    with Group() as group:
        pids = started(group.start(program(), cwd=tmp_path, stdout=subprocess.PIPE))
        assert [runs(pid) for pid in pids] == [True, True]
    assert [runs(pid) for pid in pids] == [False, False]


@posix
def test_a_child_in_a_session_of_its_own_is_found_by_the_token(tmp_path: Path) -> None:
    with Group() as group:
        leader = group.start(program(start_new_session=True), cwd=tmp_path, stdout=subprocess.PIPE)
        _, child = started(leader)
        leader.kill()
        leader.wait()
        assert runs(child)
    assert not runs(child)


@posix
def test_a_child_without_the_token_is_found_by_its_process_group(tmp_path: Path) -> None:
    with Group() as group:
        leader = group.start(program(env={}), cwd=tmp_path, stdout=subprocess.PIPE)
        _, child = started(leader)
        leader.kill()
        leader.wait()
    assert not runs(child)


@posix
def test_a_program_that_ignores_the_request_is_killed_after_the_grace(tmp_path: Path) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    group = Group()
    process = group.start([sys.executable, "-c", deaf], cwd=tmp_path, stdout=subprocess.PIPE)
    started(process)
    group.stop(grace=0.1)
    assert process.returncode == -signal.SIGKILL


@posix
def test_a_program_may_end_by_itself_within_the_grace(tmp_path: Path) -> None:
    polite = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); print(1, flush=True);"
        "time.sleep(600)"
    )
    group = Group()
    process = group.start([sys.executable, "-c", polite], cwd=tmp_path, stdout=subprocess.PIPE)
    started(process)
    group.stop()
    assert process.returncode == 7


def test_a_group_within_a_group_ends_with_it(tmp_path: Path) -> None:
    inner = (
        "import subprocess, sys, time; from pathlib import Path; from labkit.processes import Group;"
        "group = Group(); child = group.start([sys.executable, '-c', 'import time; time.sleep(600)'], cwd=Path());"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    with Group() as group:
        (child,) = started(group.start([sys.executable, "-c", inner], cwd=tmp_path, stdout=subprocess.PIPE))
        assert runs(child)
    wait_until(lambda: not runs(child))


def test_other_programs_are_left_alone(tmp_path: Path) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        with Group() as group:
            started(group.start(program(), cwd=tmp_path, stdout=subprocess.PIPE))
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="sets the clock that Linux tells of processes by")
@pytest.mark.parametrize("hours", [-48, 48])
def test_a_clock_that_is_set_meanwhile_keeps_no_program_from_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    boot = psutil.boot_time()
    with Group() as group, usage.noted(tmp_path):
        leader = group.start(program(env={}), cwd=tmp_path, stdout=subprocess.PIPE)
        _, child = started(leader)
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + hours * 3600)
        monkeypatch.setattr("psutil._pslinux.boot_time", lambda: boot + hours * 3600)
        psutil.process_iter.cache_clear()  # which has the times from before
        # Nobody takes this process for one that has ended, and another for its successor.
        assert [each.pid for each in usage.users(tmp_path)] == [os.getpid()]
        assert leader.pid in {
            each.pid for each in processes.members({leader.pid: processes.began(leader.pid) or 0}, "")
        }
        leader.kill()
        leader.wait()
    assert not runs(child)


@posix
def test_the_watchdog_ends_the_programs_after_kill_9_of_labkit(tmp_path: Path) -> None:
    labkit = (
        "import subprocess, sys, time; from pathlib import Path; from labkit.processes import Group;"
        "group = Group(); child = group.start(sys.argv[1:], cwd=Path()); time.sleep(600)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", labkit, *program(start_new_session=True)], stdout=subprocess.PIPE, cwd=tmp_path
    )
    pids = started(process)
    watchdogs = [each.pid for each in psutil.Process(process.pid).children() if each.pid != pids[0]]
    assert len(watchdogs) == 1
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    wait_until(lambda: not any(runs(pid) for pid in [*pids, *watchdogs]))


@pytest.mark.skipif(sys.platform != "linux", reason="reads what signals a process ignores from /proc")
def test_the_watchdog_outlives_the_signals_of_the_terminal(tmp_path: Path) -> None:
    with Group() as group:
        pids = started(group.start(program(), cwd=tmp_path, stdout=subprocess.PIPE))
        (watchdog,) = watchdogs(pids)
        status = Path(f"/proc/{watchdog.pid}/status")
        wait_until(lambda: ignores(status, signal.SIGTERM))
        watchdog.send_signal(signal.SIGINT)
        watchdog.send_signal(signal.SIGTERM)
        assert watchdog.is_running()
    assert not runs(watchdog.pid)


def test_stopping_works_without_the_watchdog(tmp_path: Path) -> None:
    with Group() as group:
        pids = started(group.start(program(), cwd=tmp_path, stdout=subprocess.PIPE))
        for each in watchdogs(pids):
            each.kill()
    assert [runs(pid) for pid in pids] == [False, False]


def test_an_empty_group_leaves_no_watchdog() -> None:
    with Group():
        pass
    assert watchdogs([]) == []


@pytest.mark.parametrize(
    "name",
    [
        *("PYTHONPATH", "PYTEST_ADDOPTS", "PYTHONIOENCODING", "PYTHONOPTIMIZE", "PYTHONWARNINGS", "NODE_OPTIONS"),
        *("WEB_CONCURRENCY", "UVICORN_WORKERS", "PWDEBUG", "FORCE_COLOR", "LD_PRELOAD", "LABKIT_DATABASE_SERVER"),
        *("PGHOST", "DATABASE_URL", "GITHUB_TOKEN"),
    ],
)
def test_a_program_does_not_inherit_what_steers_others(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "x")
    assert name not in environment({"PORT": "1"})


def test_a_program_inherits_what_every_program_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PATH", "HOME", "LC_TIME", "SystemRoot", "ProgramFiles(x86)", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "kept")
    monkeypatch.setenv("LABKIT_BROWSER", "mine")
    result = environment({"PORT": "1"}, also=("LABKIT_*",))
    assert [result[name] for name in ("PATH", "HOME", "LC_TIME", "SystemRoot", "LABKIT_BROWSER")] == [
        *["kept"] * 4,
        "mine",
    ]
    assert [result[name] for name in ("PYTHONUNBUFFERED", "PYTHONUTF8", "PORT")] == ["1"] * 3
