"""A class's submissions, from finding them to the grade of each: what is known already is not done again."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from labkit import receipts, record
from labkit.errors import LabError, UsageError
from labkit.grading import archives, own_lines, staging, submissions
from labkit.grading.archives import Unreadable
from labkit.grading.crew import Order
from labkit.grading.grades import Grade, Outcome, Standing
from labkit.grading.results import Results, stamp
from labkit.grading.submissions import Submission
from labkit.lab import Exercise, Lab
from labkit.receipts import Receipt


@dataclass(frozen=True)
class Class:
    """The submissions of a class: `known` are the grades that stand already, `orders` what is left to be graded.

    `again` is how many of the known grades are those of an earlier run, `receipts` are those of orders, by their keys.
    """

    known: Sequence[Grade]
    orders: Sequence[Order]
    again: int
    receipts: Mapping[str, Receipt] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many submissions there are."""
        return len(self.known) + len(self.orders)


def gather(
    lab: Lab,
    places: Sequence[Path],
    exercise: Exercise | None,
    results: Results,
    afresh: bool = False,
    everything: bool = False,
    branches: str | None = None,
    alone: bool = False,
    with_receipts: bool = False,
) -> Class:
    """Find the submissions, stage their work in the results' folder, and see which of them have a grade that stands.

    Those that cannot be taken in have their grade at once. With `afresh`, no earlier grade counts. With `everything`,
    evidence will be kept of what passes, too. With `branches`, see `submissions.find`, the places are Git repositories.
    `alone` is one trainee's folder or archive. `with_receipts` also reads the receipts of what is left to be graded.

    Raises UsageError for a place that is not there.
    """
    known: list[Grade] = []
    orders: list[Order] = []
    found: dict[str, Receipt] = {}
    again = 0
    with tempfile.TemporaryDirectory(prefix="labkit-class-", ignore_cleanup_errors=True) as scratch:
        for submission in submissions.find(lab, places, exercise, Path(scratch), branches, alone):
            begun, chosen = _taken_in(lab, submission, results)
            earlier = None if afresh else results.get(begun.key)
            if chosen is None:
                results.put(begun)
                known.append(begun)
            elif earlier and earlier.stamp == begun.stamp and _stands(earlier, with_receipts):
                results.discard(begun.key)
                known.append(replace(earlier, name=begun.name, source=begun.source))
                again += 1
            else:
                order = Order(chosen, results.accept(begun.key), begun, everything)
                orders.append(order)
                if with_receipts and not begun.deeds and (receipt := receipts.read(order.folder, lab, chosen)):
                    found[begun.key] = receipt
    return Class(known, orders, again, found)


def _stands(earlier: Grade, with_receipts: bool) -> bool:
    """Whether an earlier grade of the same work is good enough now."""
    return earlier.outcome.is_settled and (with_receipts or earlier.receipt is not Standing.TAKEN)


def _taken_in(lab: Lab, submission: Submission, results: Results) -> tuple[Grade, Exercise | None]:
    """The submission's grade as far as it is known, and its exercise; none where it cannot be verified."""
    begun = Grade(
        key=submission.key,
        name=submission.name,
        source=str(submission.source),
        exercise=submission.exercise,
        outcome=Outcome.UNREADABLE,
        when=datetime.now().astimezone(),
        deeds=submission.deeds,
        fault=submission.fault,
    )
    if submission.fault or submission.folder is None or submission.exercise is None:
        return begun, None
    exercise = lab.exercise(submission.exercise)
    folder = results.arriving(submission.key)
    try:
        deeds = staging.stage(submission.folder, folder)
    except Unreadable as error:
        results.discard(submission.key)
        return replace(begun, fault=str(error)), None
    try:
        made_from = record.read(folder)
    except LabError:
        made_from = None
    begun = replace(
        begun,
        deeds=(*begun.deeds, *deeds),
        stamp=stamp(lab, exercise, folder),
        own_lines=own_lines.digest(exercise, folder),
        trainee=made_from.trainee if made_from else None,
    )
    return begun, exercise


def collect(places: Sequence[Path], results: Results) -> Class:
    """Bring the results of other gradings together, from folders and zips of such; the last grade of each work counts.

    Raises UsageError for a place that has none.
    """
    latest: dict[str, tuple[Grade, Results]] = {}
    with tempfile.TemporaryDirectory(prefix="labkit-class-", ignore_cleanup_errors=True) as scratch:
        for number, place in enumerate(_zips(places)):
            folder = place
            if place.is_file():
                folder = Path(scratch) / str(number)
                try:
                    archives.unpack(place, folder, everything=True)
                except Unreadable as error:
                    raise UsageError(f"{place}: {error}", _NO_RESULTS) from error
            for other in [Results(found.parent) for found in _grades(folder)]:
                for grade in other.all():
                    if grade.key not in latest or latest[grade.key][0].when < grade.when:
                        latest[grade.key] = (grade, other)
        if not latest:
            raise UsageError(f"There are no grades in {' and '.join(map(str, places))}.", _NO_RESULTS)
        return Class([results.adopt(grade, other) for grade, other in latest.values()], [], len(latest))


_NO_RESULTS = "Name results of labkit grade: its --results folders, or the zips of --out."


def _grades(folder: Path) -> list[Path]:
    """The folders of grades at or below a folder; what trainees have in theirs is none of these."""
    found = [path for path in folder.rglob("grades") if path.is_dir()]
    return sorted(path for path in found if "submissions" not in path.relative_to(folder).parts)


def _zips(places: Sequence[Path]) -> Iterator[Path]:
    """The places, and the zips in those that are folders."""
    for place in places:
        yield place
        if place.is_dir():
            yield from sorted(
                path for path in place.rglob("*.zip") if "submissions" not in path.relative_to(place).parts
            )


def identical(grades: Sequence[Grade]) -> list[list[Grade]]:
    """The submissions that have the same lines of their own, in groups of two and more."""
    groups: dict[tuple[str | None, str], list[Grade]] = {}
    for grade in grades:
        if grade.own_lines:
            groups.setdefault((grade.exercise, grade.own_lines), []).append(grade)
    return [group for group in groups.values() if len(group) > 1]
