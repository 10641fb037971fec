"""One submission, verified in this process like a workspace, with an eye on what its app uses."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from labkit import tree, workspace
from labkit.errors import UsageError
from labkit.grading.limits import Guard, Limits
from labkit.grading.messages import Checked, Collected, Graded, Message
from labkit.lab import Exercise
from labkit.sandbox.watch import Watch
from labkit.verify import running_copy
from labkit.verify.report import Check, Result
from labkit.verify.run import Progress, verify
from labkit.verify.subject import Subject
from labkit.verify.warm import Warm
from labkit.workspace import Workspace


def grade(
    exercise: Exercise,
    folder: Path,
    limits: Limits,
    warm: Warm,
    tell: Callable[[Message], None] = lambda message: None,
    everything: bool = False,
) -> Graded:
    """Verify the staged work in `folder`; `tell` hears of each check as it ends.

    All that it needs is its own: the copy that runs, the databases, the ports, and the limits. `warm` has browser and
    database server for one submission after the other. The time as a whole is limited by whoever waits for it. With
    `everything`, evidence is kept of what passes, too.

    Raises MachineError if the machine is at fault, InternalError if labkit is.
    """
    here = _workspace(exercise, folder)
    subject = Subject(exercise, folder, "workspace", here)
    with Guard(limits, Path(tempfile.gettempdir()), running_copy.place(subject, Path()).as_posix()) as guard:
        # The staged work of all others lies beside it.
        watched = replace(subject, watch=Watch((folder.parent,), guard.note))
        report = verify(watched, progress=_Telling(tell), everything=everything, warm=warm)
    return Graded(report, tuple(guard.deeds))


def _workspace(exercise: Exercise, folder: Path) -> Workspace:
    try:
        found = workspace.read(folder)
    except UsageError:  # work whose record is lost, or damaged
        found = Workspace(folder, exercise.name, tree.digest(folder)[:16], tree.digest(folder), "an unknown labkit")
    return found


class _Telling(Progress):
    def __init__(self, tell: Callable[[Message], None]) -> None:
        self._tell = tell

    def collected(self, checks: Sequence[Check]) -> None:
        self._tell(Collected(tuple(checks)))

    def finished(self, check: Check, result: Result) -> None:
        self._tell(Checked(check, result))
