"""Verifies an exercise again and again: whether each verdict is right every time, and whether anything stays behind."""

import itertools
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from labkit import changes, insertion, workspace
from labkit.chapter import Task
from labkit.errors import LabError
from labkit.lab import Exercise
from labkit.processes import TOKEN, Group
from labkit.verify.report import Check, Report, Result, Verdict
from labkit.verify.run import verify
from labkit.verify.subject import Subject

PATIENCE = 10.0
"""How many seconds what a run started has to be gone."""


@dataclass(frozen=True)
class State:
    """A point of an exercise: its app folder, the tasks that are done there, and the snippets that are in it."""

    exercise: Exercise
    name: str
    folder: Path
    done: frozenset[str]
    snippets: frozenset[str]


@dataclass(frozen=True)
class Run:
    """One run on a state: the verdicts that are wrong, and what it left behind, each in words."""

    state: State
    number: int
    seconds: float
    wrong: tuple[str, ...]
    left: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether every verdict is right, and nothing is left."""
        return not (self.wrong or self.left)

    def to_json(self) -> dict[str, object]:
        """The run as JSON has it."""
        return {
            "exercise": self.state.exercise.id,
            "state": self.state.name,
            "run": self.number,
            "seconds": round(self.seconds, 2),
            "wrong": list(self.wrong),
            "left": list(self.left),
        }


@dataclass
class _Verdicts:
    """The first verdicts on a state, which every later run has to repeat."""

    first: dict[str, Verdict] = field(default_factory=dict)

    def wrong(self, state: State, report: Report) -> Iterator[str]:
        for check, result in report.results:
            said = _expected(state, check, result)
            before = self.first.setdefault(check.id, result.verdict)
            if said:
                reason = result.cause or result.seen
                yield f"{check.id}: {result.verdict}, {said}" + (f" ({reason})" if reason else "")
            elif before is not result.verdict:
                yield f"{check.id}: {result.verdict}, and {before} in an earlier run"


def stress(exercises: Sequence[Exercise], runs: int, load: bool = False) -> Iterator[Run]:
    """Verify every state of these exercises so many times, in turns; with `load`, while every core is busy."""
    with ExitStack() as stack:
        apps = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="labkit-", ignore_cleanup_errors=True)))
        states = [state for each in exercises for state in states_of(each, apps)]
        verdicts = {state.folder: _Verdicts() for state in states}
        if load:
            busy = stack.enter_context(Group())
            for _ in range(os.cpu_count() or 1):
                busy.start([sys.executable, "-c", "while True: pass"], cwd=apps)
        traces = stack.enter_context(Traces.kept())
        for number in range(1, runs + 1):
            for state in states:
                began = time.monotonic()
                try:
                    report = verify(Subject(state.exercise, state.folder, "end", None))
                    wrong = tuple(verdicts[state.folder].wrong(state, report))
                except LabError as error:
                    wrong = (f"no verdict: {error.message}",)
                seconds = time.monotonic() - began
                yield Run(state, number, seconds, wrong, traces.left())


def states_of(exercise: Exercise, apps: Path) -> Iterator[State]:
    """Begin, the exercise after each task with code, and end; the apps between are made in the folder `apps`."""
    coded = [task for task in exercise.tasks if _snippets(task)]
    yield _state(exercise, "begin", exercise.begin, coded[0] if coded else None, ())
    for task, following in itertools.pairwise(coded):
        names = [name for each in exercise.tasks[: exercise.tasks.index(task) + 1] for name in _snippets(each)]
        folder = apps / task.id
        workspace.copy_app(exercise.begin, folder)
        changes.write(folder, insertion.insert(folder, exercise, names))
        yield _state(exercise, f"after task {task.id}", folder, following, names)
    yield _state(exercise, "end", exercise.end, None, tuple(exercise.snippets))


def _state(exercise: Exercise, name: str, folder: Path, following: Task | None, snippets: Sequence[str]) -> State:
    done = exercise.tasks[: exercise.tasks.index(following)] if following else exercise.tasks
    return State(exercise, name, folder, frozenset(task.id for task in done), frozenset(snippets))


def _snippets(task: Task) -> list[str]:
    return [step.snippet for step in task.steps if step.snippet]


def _expected(state: State, check: Check, result: Result) -> str | None:
    """Why a verdict cannot be right; None if it may be."""
    if result.verdict in (Verdict.CHECKER, Verdict.ENVIRONMENT, Verdict.TIMED_OUT):
        return "though nothing is wrong with the machine or the checks"
    missing = [name for name in check.snippets if name not in state.snippets]
    if missing and result.verdict is Verdict.PASSED:
        return f"though {missing[0]} is missing"
    if check.task in state.done and not missing and result.verdict is not Verdict.PASSED:
        return "though its task is done"
    return None


class Traces:
    """What runs leave: processes, the ports they hold, and files in a temporary folder, databases' included.

    Processes are known by a token in their environment, files by a temporary folder of their own.
    """

    def __init__(self, token: str, folder: Path) -> None:
        self._token = token
        self._folder = folder
        self._reported: set[str] = set()
        self._before = {process.pid for process in self._processes()}
        self._ports = _own_ports()

    @classmethod
    @contextmanager
    def kept(cls) -> "Iterator[Traces]":
        """Watch what is started and written from here on, until the end of the `with` statement."""
        names = (TOKEN, "TMPDIR", "TEMP", "TMP")
        before = {name: os.environ.get(name) for name in names}, tempfile.tempdir
        token = os.urandom(8).hex()
        with tempfile.TemporaryDirectory(prefix="labkit-stress-", ignore_cleanup_errors=True) as folder:
            Path(folder).chmod(0o755)  # a database server may run as another account
            os.environ[TOKEN] = ":".join(filter(None, [before[0][TOKEN], token]))
            os.environ.update(dict.fromkeys(names[1:], folder))
            tempfile.tempdir = folder
            try:
                yield cls(token, Path(folder))
            finally:
                tempfile.tempdir = before[1]
                for name, value in before[0].items():
                    if value is None:
                        del os.environ[name]
                    else:
                        os.environ[name] = value

    def left(self) -> tuple[str, ...]:
        """What is still there, each told once; what is about to go has some seconds for it."""
        until = time.monotonic() + PATIENCE
        while (found := set(self._look())) - self._reported and time.monotonic() < until:
            time.sleep(0.05)
        new = sorted(found - self._reported)
        self._reported |= found
        return tuple(new)

    def _look(self) -> Iterator[str]:
        for process in self._processes():
            if process.pid not in self._before:
                try:
                    ports = ", ".join(str(each) for each in _ports(process))
                    told = " ".join(process.cmdline())[:100]
                except psutil.Error:
                    continue
                yield f"process {process.pid}: {told}" + (f" (port {ports})" if ports else "")
        for port in sorted(_own_ports() - self._ports):
            yield f"port {port}"
        for path in sorted(self._folder.iterdir()):
            yield f"{'folder' if path.is_dir() else 'file'} {path.name}"

    def _processes(self) -> Iterator[psutil.Process]:
        for process in psutil.process_iter():
            try:
                carries = self._token in process.environ().get(TOKEN, "").split(":")
                if carries and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE:
                    yield process
            except (psutil.Error, OSError):
                continue


def _own_ports() -> set[int]:
    return set(_ports(psutil.Process()))


def _ports(process: psutil.Process) -> list[int]:
    try:
        return [each.laddr.port for each in process.net_connections("tcp") if each.status == psutil.CONN_LISTEN]
    except psutil.Error:
        return []
