"""Verifies many solutions, several at a time, and judges the checks by what they say about each."""

import tempfile
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from labkit import hands
from labkit.author.mutants import Solution
from labkit.errors import LabError, UsageError
from labkit.verify.report import Check, Report, Result, Verdict
from labkit.verify.run import Progress, verify
from labkit.verify.subject import Subject
from labkit.verify.warm import Warm

WORKERS = 2
"""How many solutions are verified at the same time, unless somebody says otherwise."""


@dataclass(frozen=True)
class Outcome:
    """What the checks said about one solution.

    Args:
        solution: The solution.
        seconds: How long it took.
        report: What verify reported, or None if it could not run.
        named: What had to be named as the cause.
        error: Why it could not run.
        before: What was wrong with the checks the first time, if this is the second time; see `again`.
    """

    solution: Solution
    seconds: float
    report: Report | None = None
    named: tuple[str, ...] = ()
    error: str | None = None
    before: str | None = None

    @property
    def failed(self) -> list[tuple[Check, Result]]:
        """The checks that did not pass, without those that were skipped."""
        results = self.report.results if self.report else []
        return [each for each in results if each[1].verdict not in (Verdict.PASSED, Verdict.SKIPPED)]

    @property
    def accepted(self) -> bool:
        """Whether every check passed."""
        return self.report is not None and self.report.passed

    @property
    def killed(self) -> bool:
        """Whether it was found to be not done, and neither the machine nor the lab was blamed."""
        done = (Verdict.NOT_DONE, Verdict.TIMED_OUT)
        return bool(self.failed) and all(result.verdict in done for _, result in self.failed)

    @property
    def killer(self) -> tuple[Check, Result] | None:
        """The check that had to kill it, if it failed; any that failed, where any would do."""
        wanted = self.solution.check
        return next((each for each in self.failed if wanted in (None, each[0].id)), None)

    @property
    def explained(self) -> bool:
        """Whether that check named the cause: all that has to be named, or if that is nothing, any cause at all."""
        if self.killer is None or not self.killer[1].cause:
            return False
        result = self.killer[1]
        said = " ".join(filter(None, (result.cause, result.where, result.next)))
        hints = self.solution.hints
        return all(each in said for each in self.named) and (not hints or any(each in said for each in hints))

    @property
    def problem(self) -> str | None:
        """What is wrong with the checks, in a word or two; None if they are right about this solution."""
        if self.error:
            return "could not run"
        if self.solution.right:
            return None if self.accepted else "refused"
        if not self.failed:
            return "survived"
        if not self.killed:
            return "blamed on the lab"
        if self.killer is None:
            return "killed by another check"
        return None if self.explained else "cause not named"

    @property
    def holds(self) -> bool:
        """Whether the checks are right, or wrong in the way that is known."""
        return (self.problem is None) == (self.solution.known is None)

    @property
    def unsteady(self) -> bool:
        """Whether they were not right the first time, and are now: the verdict depends on time."""
        return self.before is not None and self.holds

    def to_json(self) -> dict[str, Any]:
        """The outcome as `--format json` has it."""
        return {
            "exercise": self.solution.exercise.id,
            "kind": self.solution.kind,
            "name": self.solution.name,
            "right": self.solution.right,
            "problem": self.problem,
            "known": self.solution.known,
            "holds": self.holds,
            "before": self.before,
            "check": self.solution.check,
            "named": [*self.named, *self.solution.hints],
            "seconds": round(self.seconds, 1),
            "error": self.error,
            "failed": [
                {
                    "id": check.id,
                    **{key: value for key, value in result.to_json().items() if key != "evidence"},
                }
                for check, result in self.failed
            ],
        }


def run(solutions: Sequence[Solution], workers: int = WORKERS) -> Generator[Outcome, None, None]:
    """Verify every solution; the outcomes come as they are found.

    Each worker keeps a browser and a database server warm. Whoever stops to listen stops the workers.

    Raises:
        UsageError: a solution cannot be made, because its edits do not fit.
    """
    if not solutions:
        return
    # Exercise by exercise, because a warm process has the checks of one.
    ordered = sorted(solutions, key=lambda each: each.exercise.name)
    stopping = threading.Event()
    yield from hands.outcomes(ordered, [_Hand(stopping) for _ in range(min(workers, len(ordered)))], stopping)


def again(outcomes: Sequence[Outcome]) -> Generator[Outcome, None, None]:
    """Verify once more, one by one, those about which the checks are not right; the outcomes come as they are found.

    The first that is not right again is the last that is tried: the checks are wrong then, however the others fare.
    """
    before = [each for each in outcomes if not each.holds]
    found = run([each.solution for each in before], workers=1)
    for outcome in found:
        first = next(each for each in before if each.solution is outcome.solution)
        yield replace(outcome, before=first.problem or "right, though known to be wrong")
        if not outcome.holds:
            found.close()
            return


class _Hand:
    """Verifies one solution after the other, with a browser and a database server of its own."""

    def __init__(self, stopping: threading.Event) -> None:
        self._progress = _UntilStopped(stopping)
        self._warm = Warm()

    def __enter__(self) -> Self:
        """Use it until the end of the `with` statement."""
        self._warm.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End what is kept warm."""
        self._warm.__exit__(kind, error, at)

    def do(self, solution: Solution) -> Outcome:
        """Verify one solution."""
        return examine(solution, self._warm, self._progress)

    def interrupt(self) -> None:
        """End the checks. For another thread."""
        self._warm.interrupt()


class _UntilStopped(Progress):
    """Ends a run at its next step once nobody listens any more."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping

    def working(self, what: str) -> None:
        """Look whether to stop."""
        self._look()

    def collected(self, checks: Sequence[Check]) -> None:
        """Look whether to stop."""
        self._look()

    def started(self, check: Check) -> None:
        """Look whether to stop."""
        self._look()

    def finished(self, check: Check, result: Result) -> None:
        """Look whether to stop."""
        self._look()

    def _look(self) -> None:
        if self._stopping.is_set():
            raise hands.Stopped


def examine(solution: Solution, warm: Warm, progress: Progress | None = None) -> Outcome:
    """Make a solution, verify it, and tell what the checks said.

    Raises:
        UsageError: the solution cannot be made, because its edits do not fit.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="labkit-", ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary) / "work" / solution.exercise.name  # as a trainee's
        named = solution.make(folder)
        try:
            # Of a wrong solution nobody asks what else would fail.
            enough = None if solution.right else (solution.check,) if solution.check else ()
            subject = Subject(solution.exercise, folder, "end", None)
            report = verify(subject, progress=progress, nothing=True, warm=warm, enough=enough)
        except UsageError:
            raise
        except LabError as error:
            return Outcome(solution, time.monotonic() - began, named=named, error=error.message)
    return Outcome(solution, time.monotonic() - began, report, named)
