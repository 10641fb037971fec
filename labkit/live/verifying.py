"""The checks of an exercise, run on behalf of a page: what is known of each, and whether that is still true."""

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from labkit import language, tree, verdicts
from labkit.chapter import Task
from labkit.errors import LabError, MachineError
from labkit.lab import Exercise
from labkit.live import rendering
from labkit.verify.report import Check, Result, Verdict
from labkit.verify.run import Progress, verify
from labkit.verify.subject import Subject
from labkit.verify.warm import Warm
from labkit.workspace import Workspace

PARTS = ("expected", "seen", "where", "cause", "next")
"""The parts of a result that are shown."""


@dataclass
class _Known:
    """What is known of one task: the checks of its last run, on the files that had this digest."""

    when: datetime
    digest: str
    checks: dict[str, tuple[Check, Result | None]]


class Verifier:
    """Verifies one workspace, one run at a time; `changed` is called, on any thread, after anything has changed.

    Browser and database server stay from one run to the next, until `close`.
    """

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._turn = threading.Lock()
        self._warm = Warm()
        self._tasks: dict[str, _Known] = {}
        self._verified: list[str] = []
        """The tasks that are just being verified."""
        self._overtaken = False
        """Whether files were saved since that began."""
        self.what: str | None = None
        """What the run is just doing; None if none runs."""
        self.error: LabError | None = None
        self.evidence: set[Path] = set()
        """The files that the page may show."""

    def run(self, exercise: Exercise, workspace: Workspace, tasks: Sequence[Task] = ()) -> bool:
        """Verify these tasks, or all of them; returns whether every check passed.

        Raises LabError if the machine or the lab is at fault.
        """
        with self._turn:
            tasks = list(tasks or exercise.tasks)
            self.error, self._overtaken = None, False
            self._say("Starting")
            digest = tree.digest(workspace.folder)
            try:
                report = verify(
                    _subject(exercise, workspace), tasks, progress=_Telling(self, tasks, digest), warm=self._warm
                )
                now = datetime.now()
                for task in report.tasks:
                    for check, result in task.checks:
                        self._finished(check, result)
                    self._tasks[task.id].when = now.astimezone()
                with contextlib.suppress(OSError, MachineError):  # a workspace that takes no file
                    verdicts.remember(workspace.folder, report, digest, now)
                return report.passed
            except LabError as error:
                self.error = error
                raise
            finally:
                self._verified, self.what = [], None
                self._changed()

    def learn(self, kept: Mapping[str, Mapping[str, Any]]) -> None:
        """Take in what was found in another window, see `verdicts.read`: of that only the verdicts are known."""
        for task, found in kept.items():
            with contextlib.suppress(KeyError, TypeError, ValueError):  # the file is the trainee's own to change
                when, own = datetime.fromisoformat(found["when"]), self._tasks.get(task)
                if task in self._verified or (own and own.when.replace(microsecond=0) >= when):
                    continue
                checks = [
                    (Check(each["id"], each["title"], task, 0), Result(Verdict(each["verdict"])))
                    for each in found["checks"]
                ]
                self._tasks[task] = _Known(when, found["digest"], {check.id: (check, each) for check, each in checks})

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

    def overtake(self) -> None:
        """Hear that files were saved: a run that is under way looks at what was there before."""
        self._overtaken = True

    def to_json(self, digest: str) -> dict[str, Any]:
        """The checks as the page shows them, task by task; `digest` is that of the files as they are now."""
        known = sorted(self._tasks.items(), key=lambda task: _position(task[0]))
        return {
            "what": self.what and language.translated(self.what),
            "error": rendering.told(self.error.message, self.error.next) if self.error else None,
            "checks": [
                self._described(check, result, self._overtaken if task in self._verified else found.digest != digest)
                for task, found in known
                for check, result in list(found.checks.values())
            ],
        }

    def _described(self, check: Check, result: Result | None, is_stale: bool) -> dict[str, Any]:
        return {
            "id": check.id,
            "task": check.task,
            "title": language.translated(check.title),
            "running": result is None and check.task in self._verified,
            "stale": is_stale and result is not None,
            "passed": result is not None and result.verdict is Verdict.PASSED,
            **(_said(result) if result else {"verdict": None}),
            "action": rendering.action_of(result.next) if result and result.next else None,
        }

    # What a run tells.

    def _say(self, what: str) -> None:
        self.what = what
        self._changed()

    def _collected(self, checks: Sequence[Check], tasks: Sequence[str], digest: str) -> None:
        # An old verdict is never shown as a new one.
        now = datetime.now().astimezone()
        self._verified = list(tasks)
        for task in tasks:
            self._tasks[task] = _Known(now, digest, {each.id: (each, None) for each in checks if each.task == task})
        self._changed()

    def _finished(self, check: Check, result: Result) -> None:
        self._tasks[check.task].checks[check.id] = (check, result)
        self.evidence |= {Path(path) for path in result.evidence}
        self._changed()


class _Telling(Progress):
    def __init__(self, verifier: Verifier, tasks: Sequence[Task], digest: str) -> None:
        self._verifier = verifier
        self._tasks = [task.id for task in tasks]
        self._digest = digest

    def working(self, what: str) -> None:
        self._verifier._say(what)

    def collected(self, checks: Sequence[Check]) -> None:
        self._verifier._collected(checks, self._tasks, self._digest)

    def started(self, check: Check) -> None:
        self._verifier._say(check.title)

    def finished(self, check: Check, result: Result) -> None:
        self._verifier._finished(check, result)


def _said(result: Result) -> dict[str, Any]:
    """A result in the reader's language; `said` is the verdict in words, which stays as programs know it."""
    found = result.to_json()
    parts = {part: language.translated(found[part]) for part in PARTS if found[part]}
    return found | parts | {"said": language.translated(found["verdict"])}


def _subject(exercise: Exercise, workspace: Workspace) -> Subject:
    return Subject(exercise, workspace.folder, "workspace", workspace)


def _position(task: str) -> int:
    return int(task.rpartition(".")[2])
