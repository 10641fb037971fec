"""How a submission ended: a grade, with the report that it is made of."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from labkit.errors import ExitCode
from labkit.lab import Exercise
from labkit.verify.report import Report, TaskReport, Verdict


class Outcome(StrEnum):
    """How the grading of a submission ended."""

    VERIFIED = "verified"
    UNREADABLE = "cannot be read"
    STOPPED = "stopped"
    ENVIRONMENT = "environment"
    INTERNAL = "labkit at fault"

    @property
    def is_settled(self) -> bool:
        """Whether it would end like that again: it was the work's doing, not the machine's or the kit's."""
        return self not in (Outcome.ENVIRONMENT, Outcome.INTERNAL)

    @property
    def is_verdict(self) -> bool:
        """Whether something is said about the work: there was one that could be read, and nobody else is at fault."""
        return self.is_settled and self is not Outcome.UNREADABLE


class Standing(StrEnum):
    """What the receipt of a submission counts for; without one, or where nobody asked for it, nothing."""

    TAKEN = "taken"
    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"


@dataclass(frozen=True)
class Grade:
    """What is known of one submission once it has been graded.

    Args:
        key: What its files are called.
        name: Whose work it is, by the name of its folder or archive.
        source: Where it was found.
        exercise: The exercise's id, if that is known.
        outcome: How it ended.
        when: When it ended.
        stamp: Tells this work, under these checks, from every other: graded once, it need not be graded again.
        report: What verify found.
        deeds: What the work, or its app, did and must not: with any of them it does not pass.
        fault: Why there is no report, or no whole one.
        own_lines: The hash of the trainee's own lines; None if there are too few to say anything.
        trainee: The name in the workspace's record, as the trainee has given it.
        attempts: How often it was tried.
        seconds: How long the last attempt took.
        receipt: What its receipt counts for: taken for the verdict, or checked anew and confirmed or contradicted.

    """

    key: str
    name: str
    source: str
    exercise: str | None
    outcome: Outcome
    when: datetime
    stamp: str = ""
    report: Report | None = None
    deeds: tuple[str, ...] = ()
    fault: str | None = None
    own_lines: str | None = None
    trainee: str | None = None
    attempts: int = 1
    seconds: float = 0.0
    receipt: Standing | None = None
    folder: Path | None = None
    """Where the staged work is, with the evidence."""

    @property
    def passed(self) -> bool:
        """Whether every task passed, and nothing was done that must not be."""
        return self.outcome is Outcome.VERIFIED and not self.deeds and self.report is not None and self.report.passed

    @property
    def tasks(self) -> tuple[TaskReport, ...]:
        """The tasks of the report."""
        return self.report.tasks if self.report else ()

    def passes(self, task: TaskReport) -> bool:
        """Whether this task of it passed."""
        return task.passed and self.outcome is Outcome.VERIFIED and not self.deeds

    @property
    def checks_passed(self) -> tuple[int, int]:
        """How many checks passed, of how many."""
        results = self.report.results if self.report else []
        return sum(result.verdict is Verdict.PASSED for _, result in results), len(results)

    @property
    def remark(self) -> str | None:
        """What is to be said beside the verdicts, in a sentence."""
        said = {
            Standing.TAKEN: f"By the receipt of {self.when:%Y-%m-%d %H:%M}, not checked anew.",
            Standing.CONTRADICTED: "Its receipt says something else. There may be good reasons: look before you judge.",
        }
        about_receipt = said.get(self.receipt) if self.receipt else None
        return " ".join(filter(None, (*self.deeds, self.fault, about_receipt))) or None

    def points(self, exercise: Exercise) -> int:
        """The points that it earns: those of each task that passed."""
        return sum(exercise.points_of(task.id) for task in self.tasks if self.passes(task))

    def to_json(self, exercise: Exercise | None) -> dict[str, Any]:
        """The grade as `--format json` has it."""
        report = self.report.to_json() if self.report else {}
        return {
            "name": self.name,
            "key": self.key,
            "exercise": self.exercise,
            "source": self.source,
            "trainee": self.trainee,
            "outcome": self.outcome.value,
            "has_verdict": self.outcome.is_verdict,
            "passed": self.passed,
            "points": self.points(exercise) if exercise else 0,
            "possible": exercise.possible_points if exercise else None,
            "when": self.when.isoformat(timespec="seconds"),
            "duration_s": round(self.seconds, 2),
            "attempts": self.attempts,
            "deeds": list(self.deeds),
            "fault": self.fault,
            "own_lines": self.own_lines,
            "receipt": self.receipt.value if self.receipt else None,
            "tasks": report.get("tasks", []),
        }


def exit_code(grades: "list[Grade]", strict: bool) -> ExitCode:
    """0 if every submission got a verdict, else the first of 4 and 3; `strict` makes 1 of what has not passed."""
    outcomes = {grade.outcome for grade in grades}
    if Outcome.INTERNAL in outcomes:
        return ExitCode.INTERNAL
    if Outcome.ENVIRONMENT in outcomes:
        return ExitCode.MACHINE
    return ExitCode.NOT_DONE if strict and not all(grade.passed for grade in grades) else ExitCode.OK
