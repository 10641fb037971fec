"""What verify looks at: a trainee's workspace, or the lab's own begin or end; always a copy of it."""

import re
import shutil
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from labkit import workspace
from labkit.errors import UsageError
from labkit.files import Within
from labkit.lab import Exercise, Lab, carried_lab
from labkit.places import cache_folder
from labkit.sandbox.watch import Watch
from labkit.workspace import Workspace

KEPT_RUNS = 5
"""How many runs' evidence is kept."""


@dataclass(frozen=True)
class Subject:
    """An app folder to verify; `kind` is begin, end or workspace."""

    exercise: Exercise
    folder: Path
    kind: str
    workspace: Workspace | None
    watch: Watch | None = None
    """Who is told what the app tries that it must not."""

    @property
    def said(self) -> str:
        """The subject in words, for the first line of the output."""
        whose = "the workspace" if self.workspace else f"the lab's own {self.kind}"
        lab = self.exercise.folder.parent.parent
        checks = f", with the checks of {lab}" if self.workspace and lab != carried_lab().resolve() else ""
        return f"Verifying {self.exercise.id}, “{self.exercise.title}”: {whose} in {self.folder}{checks}"

    @property
    def advice(self) -> str:
        """What to do about checks that are at fault: whoever verifies begin or end is the lab's author."""
        return "This is not your fault: report it to the lab's author." if self.workspace else "Mend the checks."


def find(lab: Lab, start: Path, exercise: str | None, solution: str | None) -> Subject:
    """The subject that a command line means; see `workspace.find` for the rule.

    Raises UsageError if there is none.
    """
    if solution is not None:
        chosen = lab.exercise(exercise) if exercise else _exercise_here(lab, start)
        return Subject(chosen, chosen.solution(solution), solution, None)
    found = workspace.find(lab, start, lab.exercise(exercise) if exercise else None)
    return Subject(lab.exercise(found.exercise_name), found.folder, "workspace", found)


def _exercise_here(lab: Lab, start: Path) -> Exercise:
    try:
        return lab.exercise(workspace.find(lab, start).exercise_name)
    except UsageError as error:
        known = ", ".join(f"{each.id} ({each.title})" for each in lab.exercises)
        first = lab.exercises[0].id if lab.exercises else "EX"
        raise UsageError(f"Say whose solution: {known}.", f"labkit verify {first} --solution end") from error


ROOM = 20_000_000
"""How many bytes have to be free where a run's evidence is kept."""


_RUN = re.compile(r"\d{8}-\d{6}-\d{6}-")
"""How the name of a run's folder begins: with its moment."""


def evidence_folder(subject: Subject, now: datetime) -> Path:
    """The folder for this run's evidence, not made yet; the oldest of earlier runs are removed.

    That is in the workspace, else in labkit's cache, else in the system's temporary folder: the first that has room.
    Nothing but runs is removed.

    Raises UsageError if the workspace has a link in the folder's place.
    """
    roots = []
    if subject.workspace:
        Within(subject.workspace.folder).names(".labkit/evidence")
        roots.append(subject.workspace.folder / ".labkit" / "evidence")
    roots.append(cache_folder() / "evidence")
    root = next((each for each in roots if _has_room(each)), None) or Path(tempfile.mkdtemp(prefix="labkit-evidence-"))
    runs = [path for path in root.iterdir() if _RUN.match(path.name) and path.is_dir() and not path.is_symlink()]
    for old in sorted(runs, reverse=True)[KEPT_RUNS - 1 :]:
        shutil.rmtree(old, ignore_errors=True)
    return root / f"{now:%Y%m%d-%H%M%S-%f}-{subject.exercise.id}"


def _has_room(root: Path) -> bool:
    try:
        root.mkdir(parents=True, exist_ok=True)
        probe = root / ".probe"
        probe.touch()
        probe.unlink()
        return shutil.disk_usage(root).free > ROOM
    except OSError:
        return False
