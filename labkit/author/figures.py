"""How often the checks are right about a matrix of solutions, as a table, and as a part of a page of the docs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from labkit.author.matrix import Outcome
from labkit.errors import UsageError

BEGINS = "<!-- figures: labkit author mutants --write -->"
ENDS = "<!-- end of figures -->"


@dataclass(frozen=True)
class Row:
    """The figures of one kind of solutions, or of all: how many there are, and about how many the checks are right.

    `longest` is how long the slowest wrong one took, in times of a right one; None if that is not known.
    """

    exercise: str
    kind: str
    wrong: int
    killed: int
    explained: int
    right: int
    accepted: int
    longest: float | None

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as a table shows it; nothing where there is nothing to count."""
        return (
            self.exercise,
            self.kind,
            *((f"{self.killed} of {self.wrong}", f"{self.explained} of {self.wrong}") if self.wrong else ("", "")),
            f"{self.accepted} of {self.right}" if self.right else "",
            f"{self.longest:.1f} times" if self.longest else "",
        )


HEADINGS = ("", "kind", "wrong killed", "cause named", "right accepted", "slowest wrong")

LONG = 3.0
"""The most times as long as a right solution that a wrong one should take."""


def usual(outcomes: Iterable[Outcome], exercise: str) -> float | None:
    """How many seconds a right solution of an exercise took, the median; None if there was none."""
    seconds = [each.seconds for each in outcomes if each.accepted and each.solution.exercise.id == exercise]
    return median(seconds) if seconds else None


def slow(outcomes: Sequence[Outcome]) -> list[tuple[Outcome, float]]:
    """The wrong solutions that took too long, the slowest first, each with how many times as long as a right one."""
    found = [(each, ratio) for each, ratio in _ratios(outcomes, outcomes) if ratio > LONG]
    return sorted(found, key=lambda each: each[1], reverse=True)


def _ratios(some: Iterable[Outcome], outcomes: Sequence[Outcome]) -> Iterable[tuple[Outcome, float]]:
    times = {id_: usual(outcomes, id_) for id_ in {each.solution.exercise.id for each in outcomes}}
    for each in some:
        seconds = times[each.solution.exercise.id]
        if seconds and not each.solution.right:
            yield each, each.seconds / seconds


def rows(outcomes: Sequence[Outcome]) -> list[Row]:
    """A row for each kind of each exercise, then one for all."""
    keys = dict.fromkeys((each.solution.exercise.id, each.solution.kind) for each in _sorted(outcomes))
    made = [
        _row(
            id_,
            kind,
            [each for each in outcomes if (each.solution.exercise.id, each.solution.kind) == (id_, kind)],
            outcomes,
        )
        for id_, kind in keys
    ]
    return [*made, _row("", "all", outcomes, outcomes)]


def _sorted(outcomes: Iterable[Outcome]) -> list[Outcome]:
    return sorted(outcomes, key=lambda each: (each.solution.exercise.id, each.solution.kind))


def _row(exercise: str, kind: str, outcomes: Sequence[Outcome], all_: Sequence[Outcome]) -> Row:
    wrong = [each for each in outcomes if not each.solution.right]
    right = [each for each in outcomes if each.solution.right]
    return Row(
        exercise,
        kind,
        len(wrong),
        sum(each.killed for each in wrong),
        sum(each.killed and each.explained for each in wrong),
        len(right),
        sum(each.accepted for each in right),
        max((ratio for _, ratio in _ratios(wrong, all_)), default=None),
    )


def page(text: str, outcomes: Sequence[Outcome], said: str) -> str:
    """A page of the docs with these figures in place of those that it has.

    Args:
        text: The page, which has both marks, `BEGINS` and `ENDS`, each on a line of its own.
        outcomes: What the checks said.
        said: A sentence about how and when they were found.

    Raises:
        UsageError: the page does not have the marks.
    """
    before, begins, rest = text.partition(BEGINS)
    _, ends, after = rest.partition(ENDS)
    if not begins or not ends:
        raise UsageError(
            "The page has no place for the figures.", f"Write there, on lines of their own: {BEGINS} and {ENDS}"
        )
    lines = [f"| {' | '.join(HEADINGS)} |", f"|{'---|' * len(HEADINGS)}"]
    lines += [f"| {' | '.join(row.cells)} |" for row in rows(outcomes)]
    return f"{before}{BEGINS}\n\n{said}\n\n" + "\n".join(lines) + f"\n\n{ENDS}{after}"
