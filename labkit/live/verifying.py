"""The checks of an exercise, run on behalf of a page: what is known of each, and whether that is still true."""

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from labkit import tree, verdicts
from labkit.chapter import Task
from labkit.errors import LabError
from labkit.lab import Exercise
from labkit.live.rendering import action_of
from labkit.verify.report import Check, Result, Verdict
from labkit.verify.run import Progress, verify
from labkit.verify.subject import Subject
from labkit.verify.warm import Warm
from labkit.workspace import Workspace


class Verifier:
    """Verifies one workspace, one run at a time; `changed` is called, on any thread, after anything has changed.

    Browser and database server stay from one run to the next, until `close`.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._turn = threading.Lock()
        self._warm = Warm()
        self._checks: dict[str, Check] = {}
        self._results: dict[str, Result] = {}
        self._stale: set[str] = set()
        self._running: set[str] = set()
        self.what: str | None = None
        """What the run is just doing; None if none runs."""
        self.when: datetime | None = None
        self.error: LabError | None = None
        self.evidence: set[Path] = set()
        """The files that the page may show."""

    @property
    def busy(self) -> bool:
        """Whether a run is under way."""
        return self.what is not None

    def run(self, exercise: Exercise, workspace: Workspace, tasks: Sequence[Task] = ()) -> bool:
        """Verify these tasks, or all of them; returns whether every check passed.

        Raises LabError if the machine or the lab is at fault.
        """
        with self._turn:
            tasks = list(tasks or exercise.tasks)
            self.error = None
            self._say("Starting")
            digest = tree.digest(workspace.folder)
            try:
                report = verify(_subject(exercise, workspace), tasks, progress=_Telling(self, tasks), warm=self._warm)
                verdicts.remember(workspace.folder, report, digest, datetime.now())
            except LabError as error:
                self.error = error
                raise
            finally:
                self.when = datetime.now().astimezone()
                self._running.clear()
                self.what = None
                self._changed()
            for check, result in report.results:
                self._put(check, result)
            if tree.digest(workspace.folder) != digest:  # saved while the checks ran
                self._stale = set(self._results)
            self._changed()
            return report.passed

    def prepare(self, exercise: Exercise, workspace: Workspace) -> None:
        """Make ready for the next run, if there has been one."""
        with self._turn:
            self._warm.prepare(_subject(exercise, workspace))

    def rest(self) -> None:
        """Hold nothing ready any more."""
        with self._turn:
            self._warm.rest()

    def close(self) -> None:
        """Wait for a run that is under way, then let browser and server end."""
        with self._turn:
            self._warm.__exit__(None, None, None)

    def make_stale(self) -> None:
        """Say of what is known that files have changed since."""
        if self._results and len(self._stale) < len(self._results):
            self._stale = set(self._results)
            self._changed()

    def to_json(self) -> dict[str, Any]:
        """The checks as the page shows them, task by task."""
        return {
            "what": self.what,
            "when": self.when.isoformat(timespec="seconds") if self.when else None,
            "error": {"message": self.error.message, "next": self.error.next} if self.error else None,
            "checks": [self._described(check) for check in self._checks.values()],
        }

    def _described(self, check: Check) -> dict[str, Any]:
        result = self._results.get(check.id)
        return {
            "id": check.id,
            "task": check.task,
            "title": check.title,
            "running": check.id in self._running,
            "stale": check.id in self._stale,
            "passed": result is not None and result.verdict is Verdict.PASSED,
            **(result.to_json() if result else {"verdict": None}),
            "action": action_of(result.next) if result and result.next else None,
        }

    # What a run tells.

    def _say(self, what: str) -> None:
        self.what = what
        self._changed()

    def _collected(self, checks: Sequence[Check], tasks: Sequence[str]) -> None:
        kept = {id_: check for id_, check in self._checks.items() if check.task not in tasks}
        # In the order of the tasks, whichever of them was verified first.
        self._checks = {
            check.id: check for check in sorted([*kept.values(), *checks], key=lambda check: _position(check.task))
        }
        # An old verdict is never shown as a new one.
        self._results = {id_: result for id_, result in self._results.items() if id_ in kept}
        self._running = {check.id for check in checks}
        self._changed()

    def _finished(self, check: Check, result: Result) -> None:
        self._running.discard(check.id)
        self._put(check, result)
        self._changed()

    def _put(self, check: Check, result: Result) -> None:
        self._results[check.id] = result
        self._stale.discard(check.id)
        self.evidence |= {Path(path) for path in result.evidence}


class _Telling(Progress):
    def __init__(self, verifier: Verifier, tasks: Sequence[Any]) -> None:
        self._verifier = verifier
        self._tasks = [task.id for task in tasks]

    def working(self, what: str) -> None:
        self._verifier._say(what)

    def collected(self, checks: Sequence[Check]) -> None:
        self._verifier._collected(checks, self._tasks)

    def started(self, check: Check) -> None:
        self._verifier._say(check.title)

    def finished(self, check: Check, result: Result) -> None:
        self._verifier._finished(check, result)


def _subject(exercise: Exercise, workspace: Workspace) -> Subject:
    return Subject(exercise, workspace.folder, "workspace", workspace)


def _position(task: str) -> int:
    return int(task.rpartition(".")[2])
