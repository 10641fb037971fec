"""The report of a class: a page with all of it, a page for each trainee, and the same for programs."""

import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from labkit import __version__, documents
from labkit import report as reports
from labkit.errors import MachineError, UsageError
from labkit.files import write_whole
from labkit.grading import class_page, gradebook
from labkit.grading.classes import identical
from labkit.grading.comparison import DOCUMENT, Change
from labkit.grading.feedback import Feedback, reduced
from labkit.grading.grades import Grade
from labkit.grading.roster import Row
from labkit.lab import Exercise, Lab
from labkit.report import Heading, junit
from labkit.report.work import since_begin
from labkit.verify.report import Report

PAGE, GRADEBOOK, JUNIT, TRAINEES = "index.html", "gradebook.csv", "junit.xml", "trainees"


@dataclass(frozen=True)
class ClassReport:
    """What is told of a class: the rows in their order, what has changed since an earlier report, and how much of it
    each trainee is told.
    """

    lab: Lab
    rows: Sequence[Row]
    when: datetime
    feedback: Feedback = Feedback.FULL
    changes: Sequence[Change] | None = None
    earlier: str | None = None

    @property
    def grades(self) -> list[Grade]:
        """The grades of all rows."""
        return [row.grade for row in self.rows if row.grade]

    def to_json(self) -> dict[str, Any]:
        """The report for programs, as `--format json` has it."""
        exercises = {each.id: each for each in self.lab.exercises}
        document: dict[str, Any] = {
            "lab": f"{self.lab.title} {self.lab.version}",
            "labkit": __version__,
            "when": self.when.isoformat(timespec="seconds"),
            "submissions": [],
            "missing": [row.name for row in self.rows if row.grade is None],
            "identical": [[each.key for each in group] for group in identical(self.grades)],
        }
        for row in self.rows:
            if row.grade:
                person = {"person": row.person.name, "email": row.person.email} if row.person else {}
                described = row.grade.to_json(exercises.get(row.grade.exercise or ""))
                document["submissions"].append({**described, **person})
        if self.changes is not None:
            document["changes"] = [
                {"key": each.key, "new": each.is_new, "better": list(each.better), "worse": list(each.worse)}
                for each in self.changes
            ]
        return document


def refuse(target: Path) -> None:
    """Find out before the grading, not after it, that a folder or a zip cannot take a report.

    Raises UsageError.
    """
    if target.suffix == ".zip":
        if target.exists() and not zipfile.is_zipfile(target):
            raise UsageError(f"{target} is there already, and is no zip.", "Choose another name for the report.")
    elif target.exists() and not target.is_dir():
        raise UsageError(f"{target} is a file: a report needs a folder, or a name that ends in .zip.")
    elif target.is_dir() and any(target.iterdir()) and not (target / DOCUMENT).is_file():
        raise UsageError(f"{target} has something else in it than a report.", "Name a new folder: --report DIR")


def write(target: Path, told: ClassReport) -> Path:
    """Write the report into a folder, in place of an earlier one, or into one zip; returns the page, or the zip.

    Raises MachineError if that cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="labkit-report-") as scratch:
            made = Path(scratch) / "report"
            _write_files(made, told)
            if target.suffix == ".zip":
                packed = shutil.make_archive(str(Path(scratch) / "packed"), "zip", made)
                write_whole(target, Path(packed).read_bytes())
                return target
            shutil.rmtree(target / TRAINEES, ignore_errors=True)
            shutil.copytree(made, target, dirs_exist_ok=True)
            return target / PAGE
    except OSError as error:
        raise MachineError(
            f"The report cannot be written to {target}: {error.strerror or error}.",
            "Name a folder that you may write to, with room for some hundred megabytes: --report DIR",
        ) from error


def _write_files(folder: Path, told: ClassReport) -> None:
    folder.mkdir(parents=True)
    exercises = {each.id: each for each in told.lab.exercises}
    for row in told.rows:
        if row.grade:
            _write_trainee(folder / TRAINEES / row.grade.key, told, row, exercises.get(row.grade.exercise or ""))
    files = {
        PAGE: class_page.render(told.lab, told.rows, told.when, told.changes, told.earlier).encode(
            "utf-8", "backslashreplace"
        ),
        GRADEBOOK: gradebook.render(told.lab, told.rows),
        JUNIT: _junit(told).encode("utf-8", "backslashreplace"),
        DOCUMENT: documents.json_of({"schema": 1, **told.to_json()}),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _write_trainee(folder: Path, told: ClassReport, row: Row, exercise: Exercise | None) -> None:
    """The page of one trainee: that of `labkit verify --report`, with as much as is handed back."""
    grade = row.grade
    assert grade is not None  # noqa: S101  (a row without a grade has no page)
    empty = Report(grade.exercise or "", "workspace", grade.seconds)
    found = grade.report or empty
    if exercise:
        found = reduced(found, exercise, told.feedback)
    whole = told.feedback is not Feedback.VERDICT and exercise and grade.folder and grade.folder.is_dir()
    heading = Heading(
        title=f"{exercise.id}, {exercise.title}" if exercise else "A submission",
        subject=row.name,
        when=grade.when,
        labkit=__version__,
        lab=f"{told.lab.title} {told.lab.version}",
        diff=since_begin(exercise.begin, grade.folder) if whole and exercise and grade.folder else "",
        decode=exercise.app.decode if exercise else (),
        remark=grade.remark or "",
        handed_back=True,
    )
    reports.write(folder, replace(found, duration=grade.seconds), heading, pictures_beside=True)


def _junit(told: ClassReport) -> str:
    """A suite for each submission and task; a submission without a verdict is an error."""
    root = ElementTree.Element("testsuites", name=told.lab.title)
    for row in told.rows:
        grade = row.grade
        if grade and grade.report and grade.outcome.is_verdict and not grade.deeds:
            junit.add(root, grade.report, grade.when, f"{row.name}: ")
            continue
        said = (grade.remark or grade.outcome.value) if grade else "Nothing was handed in."
        junit.add_fault(root, row.name, said, is_error=bool(grade and not grade.outcome.is_settled))
    return junit.finished(root)
