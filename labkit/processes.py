"""Programs that labkit starts, and that end with it, whatever they start and however labkit itself ends.

A `Group` holds them::

    with Group() as group:
        group.start(["python", "-m", "http.server"], cwd=folder)
    # here nothing of it runs any more

Each program leads a process group of its own and carries the group's token in its environment, so that what it
starts is found even where it has left the process group (`setsid`) or lost its parent. A watchdog, a small process
that waits for the end of a pipe, does the same if labkit is ended the hard way (kill -9).
"""

import contextlib
import fnmatch
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import psutil  # type: ignore[import-untyped,unused-ignore]

TOKEN = "LABKIT_RUN"  # noqa: S105  (the name of a variable, no secret)
"""The environment variable that tells whose program a process is: the tokens of all groups around it."""

GRACE = 3.0
"""How many seconds a program has to end by itself when asked to."""

_PATIENCE = 10.0
"""How many seconds killing may take; only a process stuck in the kernel needs more."""

_CLOCK = 2.0
"""By how many seconds a process may seem younger than it is."""

File = int | IO[bytes] | None


class Group:
    """Programs that are stopped together, with everything that they started.

    Whoever starts them removes their `temporary` folder; if labkit is ended the hard way, the watchdog does.
    """

    def __init__(self, temporary: Path | None = None) -> None:
        self.token = secrets.token_hex(8)
        self._programs: dict[int, subprocess.Popen[bytes]] = {}
        self._started: dict[int, float] = {}
        self._tokens: dict[int, str] = {}
        self._starting = False
        self._watchdog = Watchdog(self.token, temporary)

    def __enter__(self) -> Self:
        """Hold programs until the end of the `with` statement."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop them."""
        self.stop()

    def start(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str] | None = None,
        stdin: File = subprocess.DEVNULL,
        stdout: File = None,
        stderr: File = None,
    ) -> subprocess.Popen[bytes]:
        """Start a program in a process group of its own; `environment` is all that it gets (labkit's, if None).

        Raises OSError if there is no such program or folder.
        """
        variables = dict(os.environ if environment is None else environment)
        own = secrets.token_hex(8)
        variables[TOKEN] = ":".join(filter(None, [os.environ.get(TOKEN), self.token, own]))
        self._starting = True
        try:
            program = subprocess.Popen(
                list(command), cwd=cwd, env=variables, stdin=stdin, stdout=stdout, stderr=stderr, **_own_group()
            )
        except OSError:
            self._starting = False
            raise
        self._programs[program.pid] = program
        self._started[program.pid] = _now()
        self._tokens[program.pid] = own
        self._watchdog.watch(program.pid, self._started[program.pid])
        self._starting = False
        return program

    def has(self, process: "psutil.Process") -> bool:
        """Whether a process is one of the programs, or was started by one."""
        return any(each.pid == process.pid for each in members(self._started, self.token))

    def end(self, program: subprocess.Popen[bytes], grace: float = GRACE) -> None:
        """Stop one of the programs, with everything that it started; the others go on."""
        end({program.pid: self._started[program.pid]}, self._tokens[program.pid], grace, self._reap)

    def stop(self, grace: float = GRACE) -> None:
        """Stop everything: ask, wait up to `grace` seconds, then kill; after it nothing of the group runs.

        If it is itself interrupted (a second Ctrl-C), the watchdog finishes the job.
        """
        finished = False
        try:
            if self._programs or self._starting:
                end(self._started, self.token, grace, self._reap)
            # A program whose start was interrupted may not even show its token yet: the watchdog looks again.
            finished = not self._starting
        finally:
            self._watchdog.close(end=not finished)

    def _reap(self) -> None:
        """Look at the programs: an ended child stays in the process table until its parent has done so."""
        for program in self._programs.values():
            program.poll()


class Watchdog:
    """A small process that ends a token's programs once the process that made it has died, or asks it to.

    It then removes their `temporary` folder.
    """

    def __init__(self, token: str, temporary: Path | None = None) -> None:
        # -I -S: up within ten milliseconds. What it needs for ending programs it imports only then.
        # (An editable labkit is on no path: hence its own folder.)
        path = json.dumps([str(Path(__file__).parent.parent), *filter(None, sys.path)])
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _WATCHDOG, token, path, *([str(temporary)] if temporary else [])],
            cwd=tempfile.gettempdir(),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **_own_group(visible=False),
        )

    def watch(self, pid: int, started: float) -> None:
        """Make it end this program, too, should it hide the token; `started` is when that was, see `began`."""
        self._tell(f"{pid}={started}\n")

    def close(self, end: bool = False) -> None:
        """Dismiss it; with `end` it first ends what is left, which nobody waits for."""
        if not end:
            self._tell("dismissed\n")
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):  # it was killed
                self._process.stdin.close()
        if not end:
            self._process.wait()

    def _tell(self, line: str) -> None:
        pipe = self._process.stdin
        if pipe is not None and not pipe.closed:
            with contextlib.suppress(OSError):  # it was killed; stopping works without it
                pipe.write(line.encode())
                pipe.flush()


# What a terminal or the end of a session sends to every process must not end the watchdog before labkit.
_WATCHDOG = """
import signal, sys
for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
lines = sys.stdin.read().split()
if "dismissed" not in lines:
    import json, shutil
    sys.path[:0] = json.loads(sys.argv[2])
    from labkit.processes import end
    end({int(pid): float(at) for pid, at in (line.split("=") for line in lines)}, sys.argv[1], grace=1.0)
    for folder in sys.argv[3:]:
        shutil.rmtree(folder, ignore_errors=True)
"""


def environment(extra: Mapping[str, str], also: Sequence[str] = ()) -> dict[str, str]:
    """The environment for a program that labkit starts: what every program needs of this machine, and `extra`.

    Nothing else of labkit's environment is handed on, as it might steer the program (`NODE_OPTIONS`,
    `WEB_CONCURRENCY`, `PYTHONPATH`), or be none of its business; `also` names what is, `*` for any end of a name.
    Its output is UTF-8, as labkit reads it.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.upper() in _HANDED_ON
        or name.upper().startswith(_FAMILIES)
        or any(fnmatch.fnmatchcase(name.upper(), each.upper()) for each in also)
    }
    settings = {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}
    return {**kept, **settings, **extra}


_HANDED_ON = frozenset(
    {
        # Who and where one is, and where programs and libraries are.
        *(
            "PATH",
            "HOME",
            "USER",
            "LOGNAME",
            "SHELL",
            "LANG",
            "LANGUAGE",
            "TZ",
            "TZDIR",
            "TMPDIR",
            "TEMP",
            "TMP",
            "TERM",
        ),
        *("LD_LIBRARY_PATH", "LOCALE_ARCHIVE", "SSL_CERT_FILE", "SSL_CERT_DIR", "FONTCONFIG_FILE", "FONTCONFIG_PATH"),
        # A display, for a browser that is to be seen.
        *("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS"),
        # Windows: without these, programs do not even start.
        *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "OS", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA"),
        *("ALLUSERSPROFILE", "PUBLIC", "USERPROFILE", "USERNAME", "USERDOMAIN", "HOMEDRIVE", "HOMEPATH"),
        *("COMPUTERNAME", "NUMBER_OF_PROCESSORS"),
        # Where the toolchains of other languages are, for labs in these.
        *("JAVA_HOME", "DOTNET_ROOT", "GOROOT", "GOPATH", "CARGO_HOME", "RUSTUP_HOME"),
    }
)

_FAMILIES = ("LC_", "XDG_", "DYLD_", "PROCESSOR_", "PROGRAMFILES", "COMMONPROGRAM", "NIX_")
"""The beginnings of names that are handed on as well."""


def end(
    leaders: Mapping[int, float], token: str, grace: float = GRACE, reap: Callable[[], None] = lambda: None
) -> None:
    """End programs, politely, then firmly: the leaders' process groups and descendants, and what carries the token.

    `leaders` tells each program's process id and when it was started, see `began`; `reap` is called while they are
    waited for, so that a parent can look after its children.
    """
    import psutil

    if grace > 0:
        found = members(leaders, token)
        _ask(leaders, found)
        _wait(found, grace, reap)
    # In rounds, because a process may start another one while it is looked for.
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        reap()
        found = members(leaders, token)
        if not found:
            return
        for process in found:
            try:
                process.kill()
            except psutil.Error:
                continue  # it has ended, or belongs to somebody else
        _wait(found, 1.0, reap)


def members(leaders: Mapping[int, float], token: str) -> "list[psutil.Process]":
    """What runs of these programs: themselves, their process groups, their descendants, and what carries the token."""
    import psutil

    running = [process for process in psutil.process_iter() if process.pid != os.getpid() and _runs(process)]
    reused = {
        process.pid
        for process in running
        if process.pid in leaders and (began(process.pid) or 0) > leaders[process.pid] + _CLOCK
    }
    groups = leaders.keys() - reused
    found = {
        process.pid: process
        for process in running
        if process.pid in groups or _group(process.pid) in groups or _carries(process, token)
    }
    for process in list(found.values()):
        try:
            children = process.children(recursive=True)
        except psutil.Error:
            continue
        found.update({child.pid: child for child in children if child.pid != os.getpid() and _runs(child)})
    return list(found.values())


def began(pid: int) -> float | None:
    """When a process began, in seconds, on a clock that nobody sets meanwhile; None if there is no such process.

    It tells a process from a later one with the same number. On Linux it counts from the start of the machine: seconds
    since 1970 change there for a running process with the machine's clock.
    """
    if sys.platform == "linux":
        try:
            # What follows the program's name, which may have anything in it.
            fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
            return int(fields[19]) / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, IndexError):
            return None
    else:
        import psutil

        try:
            return float(psutil.Process(pid).create_time())
        except psutil.Error:
            return None


def _now() -> float:
    """The time on the clock of `began`."""
    if sys.platform != "linux":
        return time.time()
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _own_group(visible: bool = True) -> dict[str, Any]:
    """The options of Popen that make a program the leader of its own process group."""
    if sys.platform == "win32":
        # A program with a console of its own could not be sent CTRL_BREAK.
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | (0 if visible else subprocess.CREATE_NO_WINDOW)}
    return {"start_new_session": True}


def _ask(leaders: Mapping[int, float], found: "Sequence[psutil.Process]") -> None:
    """Ask each process to end, as its terminal or its service manager would."""
    import psutil

    for process in found:
        try:
            if sys.platform != "win32":
                process.terminate()
            elif process.pid in leaders:
                process.send_signal(signal.CTRL_BREAK_EVENT)
        except (psutil.Error, OSError):
            continue  # it has ended, or cannot be asked


def _wait(found: "Sequence[psutil.Process]", seconds: float, reap: Callable[[], None]) -> None:
    """Wait until none of them runs, for some seconds at most."""
    until, pause = time.monotonic() + seconds, 0.002
    while True:
        reap()
        if not any(_runs(process) for process in found) or time.monotonic() > until:
            return
        time.sleep(pause)
        pause = min(pause * 2, 0.02)


def _runs(process: "psutil.Process") -> bool:
    """Whether it runs: one that has ended, and only waits for its parent to look, does not."""
    import psutil

    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True


def _group(pid: int) -> int | None:
    """The process group of a process, on systems that have them."""
    if sys.platform == "win32":
        return None
    try:
        return os.getpgid(pid)
    except OSError:
        return None


def _carries(process: "psutil.Process", token: str) -> bool:
    """Whether the token is in its environment; another user's processes do not tell."""
    import psutil

    try:
        return token in str(process.environ().get(TOKEN, "")).split(":")
    except (psutil.Error, OSError, ValueError):
        return False
