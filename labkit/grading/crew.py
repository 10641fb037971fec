"""Grades submissions side by side: each worker is a process that takes one after the other, and can be replaced."""

import contextlib
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from labkit import hands
from labkit.chapter import Task
from labkit.errors import UsageError
from labkit.grading.grades import Grade, Outcome
from labkit.grading.limits import Limits
from labkit.grading.messages import Checked, Collected, Failed, Graded, Message, Work, decode, encode
from labkit.lab import Exercise, Lab
from labkit.processes import Group, environment
from labkit.verify.report import Check, Report, Result, TaskReport, Verdict

ATTEMPTS = 2
"""How often a submission is tried where the machine, or labkit, is at fault."""

MEMORY = 1_200_000_000
"""How many bytes of memory one submission takes that is being graded: browser, database server, instances."""


@dataclass(frozen=True)
class Order:
    """A submission that is ready to be graded: `begun` is what is known of it already.

    With `everything`, evidence is kept of what passes, too.
    """

    exercise: Exercise
    folder: Path
    begun: Grade
    everything: bool = False


@dataclass
class News:
    """What the crew is doing, for whoever shows it: names of submissions with the number of checks done and in all."""

    working: dict[str, tuple[int, int]] = field(default_factory=dict)


def default_jobs() -> int:
    """How many submissions this machine grades side by side: by its cores, and by the memory that is free."""
    import psutil

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(min(cores, int(psutil.virtual_memory().available // MEMORY)), 1)


def grade(
    lab: Lab, orders: Sequence[Order], jobs: int, limits: Limits | None = None, news: News | None = None
) -> Generator[Grade, None, None]:
    """Grade every submission; the grades come as they stand. Whoever stops to listen ends all that runs.

    A submission whose verdict was the machine's fault, or labkit's, is tried once more, by another worker.
    """
    stopping = threading.Event()
    count = min(max(jobs, 1), len(orders))
    crew = [_Hand(lab, limits or Limits(), news or News(), stopping) for _ in range(count)]
    yield from hands.outcomes(orders, crew, stopping)


class _Hand:
    """One of the crew: it has a worker's process, and replaces it where that is needed. It belongs to one thread."""

    def __init__(self, lab: Lab, limits: Limits, news: News, stopping: threading.Event) -> None:
        self._lab = lab
        self._limits = limits
        self._news = news
        self._stopping = stopping
        self._worker: Worker | None = None

    def __enter__(self) -> Self:
        """Use it until the end of the `with` statement."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End its process."""
        self._replace()

    def interrupt(self) -> None:
        """End its process, whatever it does. For another thread."""
        if self._worker:
            self._worker.stop()

    def do(self, order: Order) -> Grade:
        """Grade one submission, twice if need be."""
        grade = self._try(order, 1)
        for attempt in range(2, ATTEMPTS + 1):
            if grade.outcome.is_settled or self._stopping.is_set():
                break
            self._replace()
            grade = self._try(order, attempt)
        if self._stopping.is_set():
            raise hands.Stopped
        return grade

    def _try(self, order: Order, attempt: int) -> Grade:
        began = time.monotonic()
        self._worker = self._worker or Worker()
        if self._stopping.is_set():  # which may have been too early to find the worker
            raise hands.Stopped
        attempted = _Attempt(order, self._limits, self._news)
        try:
            outcome = attempted.run(
                self._worker,
                Work(self._lab.folder, order.exercise.id, order.folder, self._limits, order.everything),
            )
        finally:
            self._news.working.pop(order.begun.key, None)
        if attempted.spoilt:
            self._replace()
        known = {
            name: getattr(order.begun, name)
            for name in ("key", "name", "source", "exercise", "stamp", "own_lines", "trainee")
        }
        return Grade(
            **known,
            outcome=outcome,
            when=datetime.now().astimezone(),
            report=attempted.report,
            deeds=(*order.begun.deeds, *attempted.deeds),
            fault=attempted.fault,
            attempts=attempt,
            seconds=time.monotonic() - began,
            folder=order.folder,
        )

    def _replace(self) -> None:
        if self._worker:
            self._worker.close()
        self._worker = None


class _Attempt:
    """One attempt at a submission: takes in what the worker says, until the time is up."""

    def __init__(self, order: Order, limits: Limits, news: News) -> None:
        self.report: Report | None = None
        self.deeds: tuple[str, ...] = ()
        self.fault: str | None = None
        self.spoilt = False
        """Whether the worker is of no use any more."""
        self._order = order
        self._limits = limits
        self._news = news
        self._checks: tuple[Check, ...] = ()
        self._results: dict[str, Result] = {}

    def run(self, worker: "Worker", work: Work) -> Outcome:
        """Have the work graded; returns how that ended."""
        until = time.monotonic() + self._limits.seconds
        self._note()
        worker.send(work)
        while True:
            try:
                message = worker.receive(until)
            except TimeoutError:
                return self._out_of_time()
            if message is None:
                self.spoilt = True
                self.fault = f"The grading process ended: {worker.last_words}"
                return Outcome.INTERNAL
            if isinstance(message, Collected):
                self._checks = message.checks
                self._note()
            elif isinstance(message, Checked):
                self._results[message.check.id] = message.result
                self._note()
            elif isinstance(message, Graded):
                return self._graded(message)
            elif isinstance(message, Failed):
                self.spoilt = True
                self.fault = message.message
                return Outcome.ENVIRONMENT if message.machine else Outcome.INTERNAL

    def _note(self) -> None:
        self._news.working[self._order.begun.key] = (len(self._results), len(self._checks))

    def _graded(self, message: Graded) -> Outcome:
        self.report = message.report
        self.deeds = message.deeds
        verdicts = {result.verdict for _, result in message.report.results}
        if self.deeds:
            self.spoilt = True
            return Outcome.STOPPED
        if Verdict.CHECKER in verdicts:
            self.spoilt = True
            self.fault = "A check is at fault."
            return Outcome.INTERNAL
        if Verdict.ENVIRONMENT in verdicts:
            self.fault = next(
                result.cause for _, result in message.report.results if result.verdict is Verdict.ENVIRONMENT
            )
            return Outcome.ENVIRONMENT
        return Outcome.VERIFIED

    def _out_of_time(self) -> Outcome:
        """What is known by now; the checks that have not ended have run out of time."""
        self.spoilt = True
        self.fault = f"It took longer than {self._limits.seconds:g} s, and was ended."
        late = Result(Verdict.TIMED_OUT, cause=self.fault)
        self.report = Report(
            self._order.exercise.id,
            "workspace",
            self._limits.seconds,
            tuple(self._task(task, late) for task in self._order.exercise.tasks),
        )
        return Outcome.STOPPED

    def _task(self, task: Task, late: Result) -> TaskReport:
        checks = tuple((each, self._results.get(each.id, late)) for each in self._checks if each.task == task.id)
        return TaskReport(task.id, task.title, checks)


class Worker:
    """A grading process, see `worker`: ended with all that it has started, at any moment and from any thread."""

    def __init__(self) -> None:
        # A short path: sockets of Unix have 100 characters.
        self._temporary = Path(tempfile.mkdtemp(prefix="labkit-"))
        self._log = self._temporary / "worker.log"
        self._messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._stopped = threading.Lock()
        self._group = Group(temporary=self._temporary)
        with self._log.open("wb") as log:
            self._process = self._group.start(
                [sys.executable, "-P", "-m", "labkit.grading.worker"],
                cwd=self._temporary,
                environment={
                    **os.environ,
                    **environment(dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(self._temporary))),
                },
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def last_words(self) -> str:
        """The last line that it has logged."""
        with contextlib.suppress(OSError):
            lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
            return next((line.strip() for line in reversed(lines) if line.strip()), "without a word")
        return "without a word"

    def send(self, work: Work) -> None:
        """Hand over a submission; if the process has ended, `receive` tells."""
        if self._process.stdin:
            with contextlib.suppress(OSError, ValueError):
                self._process.stdin.write(encode(work) + b"\n")
                self._process.stdin.flush()

    def receive(self, until: float) -> Message | None:
        """The next message; None once the process has ended. Raises TimeoutError at that time (of `monotonic`)."""
        while True:
            try:
                return self._messages.get(timeout=max(min(until - time.monotonic(), 0.5), 0))
            except queue.Empty:
                if time.monotonic() >= until:
                    raise TimeoutError from None

    def stop(self) -> None:
        """End it, whatever it does."""
        with self._stopped:
            self._group.stop(grace=0)

    def close(self) -> None:
        """End it, and remove what it had."""
        with contextlib.suppress(OSError):
            if self._process.stdin:
                self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)  # it lets browser and server end by themselves
        self.stop()
        shutil.rmtree(self._temporary, ignore_errors=True)

    def _read(self) -> None:
        if self._process.stdout:
            with self._process.stdout as pipe:
                for line in pipe:
                    with contextlib.suppress(ValueError):
                        self._messages.put(decode(line))
        self._messages.put(None)


def check_jobs(jobs: int | None) -> int:
    """The number of jobs that was asked for, else the machine's own.

    Raises UsageError for a number below 1.
    """
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs {jobs}: at least one submission at a time.", "Leave --jobs out: labkit then counts.")
    return jobs or default_jobs()
