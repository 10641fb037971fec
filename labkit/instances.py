"""Instances: running processes of one app, each on a port of its own, with a log, ready when they answer.

::

    with running(exercise.app, folder, data=data, secret=secret, id="1a2b", count=2) as instances:
        for instance in instances.list:
            print(instance.url)
"""

import contextlib
import errno
import http.client
import os
import queue
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from labkit import diagnosis, stacks
from labkit.diagnosis import AppDidNotStart as AppDidNotStart
from labkit.diagnosis import Log
from labkit.errors import MachineError, UsageError
from labkit.lab import App
from labkit.ports import HOST, Held, PortInUse, check_ports, hold, holder, in_use, is_free, listens
from labkit.processes import GRACE, Group, environment
from labkit.sandbox import Sandbox

OnLine = Callable[[int, str], None]
"""Takes an instance's number and a line of its log; called on another thread."""

_POLL = 0.025
"""Seconds between two looks at an instance that is not ready."""

_FIRM = 1.0
"""After how many seconds of the same answer an instance means it."""

_ATTEMPTS = 3
"""How often other ports are tried if somebody takes one between its release and the app's start."""

MOST_LOG = 20_000_000
"""How many bytes of an instance's log are kept; of the rest only the number is."""

_TAKEN = re.compile(r"address already in use|only one usage of each socket address|\b10048\b", re.IGNORECASE)


@dataclass(frozen=True)
class Instance:
    """One running process of an app; the numbers begin with 1."""

    number: int
    url: str
    port: int
    pid: int
    log: Path


Outcome = queue.SimpleQueue[Exception | None]
"""Where the outcome of a start comes: None as soon as it is ready, else what is wrong with it."""


class Instances:
    """The running instances of an app."""

    def __init__(self, launch: "_Launch", programs: "list[_Program]") -> None:
        self._launch = launch
        self._group = launch.group
        self._programs = programs
        self._ready = launch.app.ready
        self._away: set[int] = set()
        self._stopping = threading.Event()
        self.list = [program.instance for program in programs]

    def poll(self) -> Instance | None:
        """The first instance that has died, and was not killed by `kill`; None while all run."""
        there = (each for each in self._programs if each.instance.number not in self._away)
        return next((each.instance for each in there if each.process.poll() is not None), None)

    def kill(self, number: int) -> None:
        """End one of them without asking, as a crash does; the others go on."""
        program = self._programs[number - 1]
        self._away.add(number)
        self._group.end(program.process, grace=0)
        program.drain()

    def revive(self, number: int, timeout: float = 30) -> Outcome:
        """Start one that was killed again, on its port, with its log going on; returns at once, and tells the outcome.

        Raises MachineError if there is no such program any more.
        """
        before = self._programs[number - 1]
        program = self._launch.start(number, before.instance.port, goes_on=True)
        self._programs[number - 1], self.list[number - 1] = program, program.instance
        outcome: Outcome = queue.SimpleQueue()

        def wait() -> None:
            failure = program.failure(self._ready, timeout, self._stopping)
            if failure is None:
                self._away.discard(number)
            outcome.put(failure)

        threading.Thread(target=wait, daemon=True).start()
        return outcome

    def silent(self, patience: float) -> list[Instance]:
        """Those that run, and do not say within `patience` seconds that they are ready."""
        return [each.instance for each in self._programs if each.ask(self._ready, patience) != 200]

    def exit_status(self, instance: Instance) -> int | None:
        """The exit status of an instance, negative for a signal; None while it runs."""
        return self._programs[instance.number - 1].process.poll()

    def tail(self, instance: Instance, lines: int = diagnosis.TAIL) -> str:
        """The last lines of an instance's log."""
        program = self._programs[instance.number - 1]
        if program.process.poll() is not None:
            program.drain()
        return "\n".join(list(program.lines)[-lines:])

    def stop(self, grace: float = GRACE) -> None:
        """Stop all of them, with everything that they started; `grace` in seconds, 0 kills at once."""
        self._stopping.set()
        self._group.stop(grace)
        for program in self._programs:
            program.drain()


@contextmanager
def running(
    app: App,
    folder: Path,
    *,
    data: Path,
    secret: str,
    id: str,
    count: int,
    database_server: str | None = None,
    first_port: int | None = None,
    same_ports: Sequence[int] | None = None,
    logs: Path | None = None,
    on_line: OnLine | None = None,
    timeout: float = 30,
    grace: float = GRACE,
    sandbox: Sandbox | None = None,
) -> Iterator[Instances]:
    """Run `count` instances of the app in `folder` until the `with` block ends, whatever ends it.

    The ports are the operating system's choice, or `first_port` and those after it, or those that others had before
    (`same_ports`). Logs are kept in `logs`, else beside the data. With a `sandbox` the instances have its rights only.
    All start at the same time and are ready within `timeout` seconds. Raises AppDidNotStart for what the app did,
    PortInUse or another MachineError for what the machine did.
    """
    values = {
        "python": str(interpreter(folder)),
        "data": data.resolve().as_posix(),
        "secret": secret,
        "id": id,
        **({"database_server": database_server} if database_server else {}),
    }
    logs = logs or data / "logs"
    for path in (data, logs):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MachineError(
                f"The app cannot keep its data in {path}: {error.strerror or error}.",
                "Free some disk space, or work in a folder that you may write to.",
            ) from error
    if first_port is not None:
        check_ports(first_port, count)
    given = list(same_ports or ([] if first_port is None else range(first_port, first_port + count)))
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with hold(0 if given else count) as held:
                instances = _start(app, folder, values, given or held.ports, held, logs, on_line, timeout, sandbox)
            break
        except PortInUse:
            if given or attempt == _ATTEMPTS:
                raise
    try:
        yield instances
    finally:
        instances.stop(grace)


def interpreter(folder: Path) -> Path:
    """The Python that runs the app in `folder`: of the folder's own environment, else labkit's."""
    own = folder / ".venv" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    return own.absolute() if own.is_file() else Path(sys.executable)


def _start(
    app: App,
    folder: Path,
    values: Mapping[str, str],
    ports: list[int],
    held: Held,
    logs: Path,
    on_line: OnLine | None,
    timeout: float,
    sandbox: Sandbox | None,
) -> Instances:
    """Start an instance on each port and wait until all are ready; on an error, or Ctrl-C, nothing is left running."""
    group = Group()
    launch = _Launch(app, folder, values, ports, logs, on_line, sandbox, group)
    programs: list[_Program] = []
    outcomes: Outcome = queue.SimpleQueue()
    stopping = threading.Event()
    try:
        for number, port in enumerate(ports, start=1):
            program = launch.start(number, port, held)
            programs.append(program)
            waiter = threading.Thread(
                target=lambda program=program: outcomes.put(program.failure(app.ready, timeout, stopping)), daemon=True
            )
            waiter.start()
        for _ in programs:
            failure = _next(outcomes)
            if failure:
                raise failure
        return Instances(launch, programs)
    except BaseException:
        stopping.set()
        group.stop(grace=0)
        for program in programs:
            program.drain()
        raise


@dataclass(frozen=True)
class _Launch:
    """What the instances of an app are started with."""

    app: App
    folder: Path
    values: Mapping[str, str]
    ports: Sequence[int]
    logs: Path
    on_line: OnLine | None
    sandbox: Sandbox | None
    group: Group

    def start(self, number: int, port: int, held: Held | None = None, goes_on: bool = False) -> "_Program":
        """Start one of them, on a port that is held for it; its log `goes_on`, or begins anew."""
        name = f"The app (instance {number})" if len(self.ports) > 1 else "The app"
        command, variables = _filled(self.app, {**self.values, "port": str(port), "number": str(number)})
        log = self.logs / f"instance-{number}.log"
        if self.sandbox:
            _check_program(command, self.folder)
            command = self.sandbox.wrap(command, self.ports)
        if held:
            held.release(port)
        process = _spawn(self.group, command, self.folder, {**variables, **stacks.variables(log, variables)})
        return _Program(name, number, port, process, self.group, log, self.folder, self.on_line, goes_on)


def _next(outcomes: Outcome) -> Exception | None:
    """Wait for the next outcome, in steps, because on Windows Ctrl-C does not end a wait without a time-out."""
    while True:
        with contextlib.suppress(queue.Empty):
            return outcomes.get(timeout=0.2)


def _check_program(command: list[str], folder: Path) -> None:
    """Find out whether there is such a program, where another one, the sandbox's, is to start it."""
    program = str(folder / command[0]) if Path(command[0]).name != command[0] else command[0]
    if shutil.which(program) is None:
        number = errno.EACCES if Path(program).exists() else errno.ENOENT
        raise _cannot_start(command, folder, OSError(number, os.strerror(number)))


def _spawn(group: Group, command: list[str], folder: Path, variables: dict[str, str]) -> subprocess.Popen[bytes]:
    try:
        return group.start(command, cwd=folder, environment=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except OSError as error:
        raise _cannot_start(command, folder, error) from error


def _cannot_start(command: list[str], folder: Path, error: OSError) -> MachineError:
    return MachineError(
        f"Cannot start {command[0]} in {folder}: {error.strerror or error}.",
        f"Is it there, and may you run it? If it belongs to {folder / '.venv'}, make that folder anew: uv sync",
    )


def _filled(app: App, values: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """The command and the environment of an instance."""

    def fill(text: str) -> str:
        return re.sub(r"\{([a-z_]+)\}", value, text)

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            hint = ": has the exercise a [database] table?" if match[1] == "database_server" else ""
            raise UsageError(
                f"exercise.toml uses {match[0]} in its [app] table, which has no value here{hint}.",
                f"There is: {', '.join(f'{{{name}}}' for name in values)}.",
            )
        return values[match[1]]

    extra = {name: fill(text) for name, text in app.environment.items()}
    return [fill(part) for part in app.command], environment(extra, app.pass_environment)


class _Program:
    """An instance's process, whose log is read on a thread of its own."""

    def __init__(
        self,
        name: str,
        number: int,
        port: int,
        process: subprocess.Popen[bytes],
        group: Group,
        log: Path,
        folder: Path,
        on_line: OnLine | None,
        goes_on: bool = False,
    ) -> None:
        self.name = name
        self.process = process
        self._group = group
        self.instance = Instance(number, f"http://{HOST}:{port}", port, process.pid, log)
        self.lines: deque[str] = deque(maxlen=500)
        self._folder = folder
        self._on_line = on_line
        self._goes_on = goes_on
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def drain(self) -> None:
        """Wait until the log of an ended process has been read to its end, unless an heir of it keeps it open."""
        self._reader.join(timeout=1)

    def failure(self, ready: str, timeout: float, stopping: threading.Event) -> Exception | None:
        """Wait until the instance answers 200, and return None; else return what is wrong with it.

        Nothing is raised: nobody would hear it, and the start would be waited for without end.
        """
        try:
            return self._failure(ready, timeout, stopping)
        except Exception as error:  # noqa: BLE001  (the app has made what explains a failure fail: still it failed)
            return diagnosis.unexplained(self.name, error, self._log())

    def _failure(self, ready: str, timeout: float, stopping: threading.Event) -> Exception | None:
        url = self.instance.url + ready
        until = time.monotonic() + timeout
        status, since, answers = None, 0.0, False
        patience = 0.5  # grows, so that a slow answer is waited for, and a death meanwhile is seen soon
        while not stopping.is_set():
            ended = self.process.poll()
            if ended is not None:
                return self._ended(ended)
            before, status = status, self.ask(ready, min(patience, until - time.monotonic()))
            patience = min(patience * 2, 5.0) if status == 0 else patience
            if status is not None and not answers and self._stranger_has_the_port():
                return in_use(self.instance.port, 1)
            if status == 200:
                return None
            answers = answers or status is not None
            if status != before:
                since = time.monotonic()
            if status and status != 503 and time.monotonic() - since > _FIRM:
                return diagnosis.answered(self.name, url, status, self._log())
            if time.monotonic() > until:
                log = self._log()
                if status:
                    return diagnosis.answered(self.name, url, status, log)
                return diagnosis.hung(self.name, url, timeout, answers, self._waiting_place(), log)
            stopping.wait(_POLL)
        return None

    def ask(self, path: str, patience: float) -> int | None:
        """The status of one GET: None if nobody listens, 0 if the connection brings no answer."""
        try:
            # A closed port of Windows takes two seconds to refuse.
            connected = socket.create_connection((HOST, self.instance.port), timeout=0.25)
        except OSError:
            return None
        connection = http.client.HTTPConnection(HOST, self.instance.port)
        connection.sock = connected
        try:
            connected.settimeout(max(patience, 0.1))
            connection.request("GET", path, headers={"Connection": "close"})
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def _ended(self, status: int) -> Exception:
        self.drain()
        if any(_TAKEN.search(line) for line in self.lines) and not is_free(self.instance.port):
            who = holder(self.instance.port)
            if who is None or not self._group.has(who):  # else the app itself has left it there
                return in_use(self.instance.port, 1)
        return diagnosis.ended(self.name, status, list(self.lines), self._folder, self.instance.log)

    def _stranger_has_the_port(self) -> bool:
        """Whether somebody was faster: who listens is known, and is none of what labkit has started here."""
        import psutil

        with contextlib.suppress(psutil.Error):
            if listens(psutil.Process(self.process.pid), self.instance.port):
                return False
        who = holder(self.instance.port)
        return who is not None and not self._group.has(who)

    def _log(self) -> Log:
        return Log(list(self.lines), self.instance.log, self._folder)

    def _waiting_place(self) -> diagnosis.Place | None:
        """Where a hanging app waits."""
        found = (stacks.own(stack, self._folder) for stack in stacks.ask(self.instance.log))
        return next((diagnosis.place(self._folder, each.path, each.line) for each in found if each), None)

    def _read(self) -> None:
        pipe = self.process.stdout
        if pipe is None:
            return
        with contextlib.ExitStack() as stack:
            stack.enter_context(pipe)
            file = None
            with contextlib.suppress(OSError):  # a full disk must not stop the app
                file = stack.enter_context(self.instance.log.open("ab" if self._goes_on else "wb", buffering=0))
            room, left_out = MOST_LOG - (file.tell() if file else 0), 0
            for raw in iter(lambda: pipe.readline(65536), b""):
                if room < len(raw):
                    left_out += len(raw)
                elif file:
                    room -= len(raw)
                    with contextlib.suppress(OSError):
                        file.write(raw)
                line = raw.decode("utf-8", "replace").rstrip("\r\n")
                self.lines.append(line)
                if self._on_line:
                    self._on_line(self.instance.number, line)
            if file and left_out:
                with contextlib.suppress(OSError):
                    file.write(f"\n({left_out:,} more bytes of the log are left out.)\n".encode())
