"""The page of a class: one file with a table of trainees and tasks, which asks no network for anything."""

import base64
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources

from labkit import __version__
from labkit.grading.classes import identical
from labkit.grading.comparison import Change
from labkit.grading.grades import Grade, Outcome
from labkit.grading.roster import Row
from labkit.lab import Exercise, Lab
from labkit.report.page import templates
from labkit.verify.report import Verdict


@dataclass(frozen=True)
class Line:
    """A line of the table: `state` is passed, not done, or what else became of it; `cells` a state for each task."""

    row: Row
    state: str
    cells: tuple[str, ...]
    change: str


@dataclass(frozen=True)
class Section:
    """An exercise's part of the page; `missed` are its checks with how many submissions do not pass each."""

    exercise: Exercise | None
    lines: tuple[Line, ...]
    missed: tuple[tuple[str, int], ...] = ()


def render(
    lab: Lab, rows: Sequence[Row], when: datetime, changes: Sequence[Change] | None = None, earlier: str | None = None
) -> str:
    """The page as HTML; with `changes`, what has changed since the `earlier` report comes first."""
    script = (resources.files("labkit.grading") / "templates" / "class.js").read_text(encoding="utf-8")
    words = {each.key: each.words for each in changes or ()}
    sections = [_section(each, rows, words) for each in (*lab.exercises, None)]
    grades = [row.grade for row in rows if row.grade]
    environment = templates("labkit.grading")
    environment.globals |= {"sign": _sign}
    return environment.get_template("class.html").render(
        lab=lab,
        labkit=__version__,
        when=when,
        sections=[each for each in sections if each.lines],
        counts=Counter(state(row.grade) for row in rows).most_common(),
        total=len(rows),
        groups=identical(grades),
        changes=[(row, words[row.grade.key]) for row in rows if row.grade and row.grade.key in words],
        earlier=earlier,
        script=script,
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def state(grade: Grade | None) -> str:
    """How a submission ended, in a word or two."""
    if grade is None:
        return "nothing handed in"
    if grade.outcome is Outcome.VERIFIED:
        return "passed" if grade.passed else "not done"
    return grade.outcome.value if grade.outcome.is_settled else "without a verdict"


def _section(exercise: Exercise | None, rows: Sequence[Row], words: dict[str, str]) -> Section:
    these = [row for row in rows if (row.grade.exercise if row.grade else None) == (exercise.id if exercise else None)]
    # What has changed comes first, all else keeps its order.
    these.sort(key=lambda row: not (row.grade and row.grade.key in words))
    tasks = [task.id for task in exercise.tasks] if exercise else []
    lines = tuple(
        Line(
            row,
            state(row.grade),
            tuple(_cell(row.grade, task) for task in tasks),
            words.get(row.grade.key, "") if row.grade else "",
        )
        for row in these
    )
    return Section(exercise, lines, _missed([row.grade for row in these if row.grade]))


def _cell(grade: Grade | None, id_: str) -> str:
    task = next((each for each in grade.tasks if each.id == id_), None) if grade else None
    if grade is None or task is None:
        return "no verdict"
    return "passed" if grade.passes(task) else "not done"


def _missed(grades: Sequence[Grade]) -> tuple[tuple[str, int], ...]:
    """The checks that most submissions miss: what to talk about next time."""
    missed: Counter[str] = Counter()
    for grade in grades:
        for task in grade.tasks:
            failed = (Verdict.NOT_DONE, Verdict.TIMED_OUT)
            missed.update(f"{task.id}  {check.title}" for check, result in task.checks if result.verdict in failed)
    return tuple(missed.most_common(8))


def _sign(state: str) -> str:
    return {"passed": "✓", "not done": "✗", "no verdict": "-", "nothing handed in": "-"}.get(state, "!")
