"""A class's list, as a CSV file: who is in it, and whose folder is whose."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from slugify import slugify

from labkit.errors import UsageError
from labkit.grading.grades import Grade

_COLUMNS = {
    "name": ("name", "student", "trainee", "full name"),
    "email": ("e-mail", "email", "mail", "e-mail address", "email address"),
    "folder": ("folder", "directory", "file", "submission"),
}
"""What the columns may be called, in any case."""


@dataclass(frozen=True)
class Person:
    """One trainee of the list; `folder` is the name of the folder or archive that was handed in."""

    name: str
    email: str
    folder: str


def read(path: Path) -> list[Person]:
    """The people of a list, in its order.

    The first line names the columns: name, e-mail and folder, in any order and separated by commas, semicolons or tabs.
    Without a folder, a person's work is looked for under the name.

    Raises UsageError, which names the file and the line, if it is not such a list.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror or error}.", _ADVICE) from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", "replace")  # as a spreadsheet of Windows saves it
    head, _, _ = text.partition("\n")
    delimiter = max(",;\t", key=head.count)
    rows = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    titles = [title.strip().lower() for title in rows[0]] if rows else []
    at = {
        column: next((titles.index(name) for name in names if name in titles), None)
        for column, names in _COLUMNS.items()
    }
    if at["name"] is None:
        raise UsageError(
            f"{path}:1 has no column “name”; it has: {', '.join(filter(None, titles)) or 'nothing'}.", _ADVICE
        )
    people = []
    for number, row in enumerate(rows[1:], start=2):
        values = {
            column: row[index].strip() if index is not None and index < len(row) else "" for column, index in at.items()
        }
        if not any(row):
            continue
        if not values["name"]:
            raise UsageError(f"{path}:{number} has no name.", "Mend the file.")
        people.append(Person(**values))
    _refuse_twice(path, people)
    return people


_ADVICE = "A list has a line of titles (name,e-mail,folder) and a line for each trainee."


def _refuse_twice(path: Path, people: Sequence[Person]) -> None:
    seen: dict[str, Person] = {}
    for person in people:
        other = seen.setdefault(_plain(person.folder or person.name), person)
        if other is not person:
            raise UsageError(f"{path}: {other.name} and {person.name} have the same folder.", "Mend the file.")


@dataclass(frozen=True)
class Row:
    """A line of the class: the person if there is a list, and the grade if something was handed in."""

    person: Person | None
    grade: Grade | None

    @property
    def name(self) -> str:
        """Whose line it is."""
        return self.person.name if self.person else self.grade.name if self.grade else ""


def rows(grades: Sequence[Grade], people: Sequence[Person]) -> list[Row]:
    """The class in the order of the list, each exercise a row; then the submissions that nobody of it has handed in."""
    if not people:
        return [Row(None, grade) for grade in grades]
    found: list[Row] = []
    left = list(grades)
    for person in people:
        theirs = [grade for grade in grades if _is_of(grade, person)]
        found += [Row(person, grade) for grade in theirs] or [Row(person, None)]
        left = [grade for grade in left if grade not in theirs]
    return found + [Row(None, grade) for grade in left]


def _is_of(grade: Grade, person: Person) -> bool:
    """Whether a submission's folder or archive is the person's."""
    wanted = _plain(person.folder or person.name)
    source = Path(grade.source)
    return wanted in {_plain(grade.name), _plain(grade.name.split("/")[0]), _plain(source.name), _plain(source.stem)}


def _plain(text: str) -> str:
    return slugify(text.strip("/\\"))
