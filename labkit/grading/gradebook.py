"""The gradebook: a line for each trainee, as spreadsheets and learning platforms read it."""

import csv
import io
from collections.abc import Sequence

from labkit.grading.roster import Row
from labkit.harmless import harmless
from labkit.lab import Lab


def render(lab: Lab, rows: Sequence[Row]) -> bytes:
    """The gradebook as CSV in UTF-8, with the mark by which spreadsheets know that."""
    exercises = {each.id: each for each in lab.exercises}
    used = [each for each in lab.exercises if any(row.grade and row.grade.exercise == each.id for row in rows)]
    tasks = [task.id for exercise in used for task in exercise.tasks]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(["name", "e-mail", "folder", "exercise", "points", "possible", "passed", *tasks, "state", "remark"])
    for row in rows:
        grade, person = row.grade, row.person
        exercise = exercises.get(grade.exercise or "") if grade else None
        earned = {
            task.id: exercise.points_of(task.id) if grade and grade.passes(task) else 0
            for task in (grade.tasks if grade else ())
            if exercise
        }
        writer.writerow(
            map(
                _cell,
                [
                    row.name,
                    person.email if person else "",
                    grade.name if grade else person.folder if person else "",
                    exercise.id if exercise else "",
                    str(grade.points(exercise)) if grade and exercise and grade.outcome.is_verdict else "",
                    str(exercise.possible_points) if exercise else "",
                    ("yes" if grade.passed else "no") if grade and grade.outcome.is_verdict else "",
                    *(str(earned.get(task, "")) for task in tasks),
                    grade.outcome.value if grade else "nothing handed in",
                    (grade.remark or "") if grade else "",
                ],
            )
        )
    return text.getvalue().encode("utf-8-sig")


def _cell(text: str) -> str:
    """A cell that a spreadsheet takes for text: names and remarks are the trainees', and may begin a formula."""
    plain = harmless(text).replace("\n", " ")
    return f"'{plain}" if plain.startswith(("=", "+", "-", "@", "\t")) else plain
