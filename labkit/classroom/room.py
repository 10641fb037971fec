"""What a class board knows: who is there, and the state of each one's tasks."""

import secrets
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import msgspec

from labkit.errors import UsageError, unknown
from labkit.harmless import harmless, shortened
from labkit.lab import Lab

ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""What join codes are made of: letters and digits that nobody takes for others."""

STUCK = timedelta(minutes=10)
"""How long the same check has to fail for somebody to be stuck."""

MOST_TRAINEES = 500
MOST_TEXT = 60_000
"""How many characters of a failure, or of somebody's work, the board keeps."""

MOST_WRONG = 30
"""How many wrong codes are taken in a minute, from everybody; then all are refused until it is over."""


class ToldCheck(msgspec.Struct, frozen=True):
    """A check's verdict, as a trainee's machine tells it."""

    id: str
    verdict: str


class ToldTask(msgspec.Struct, frozen=True):
    """A task's verdicts, and when they were found."""

    passed: bool
    when: str
    checks: list[ToldCheck]


class Told(msgspec.Struct, frozen=True):
    """All that a trainee's machine tells: whose it is, the exercise, the tasks by their ids, and a raised hand.

    `failure` is the text of one that the trainee has sent, `work` the diff from begin of one who shares it.
    """

    code: str
    id: str
    exercise: str
    tasks: dict[str, ToldTask]
    name: str | None = None
    hand: bool = False
    failure: str | None = None
    work: str | None = None


@dataclass
class Trainee:
    """One of the class; `failing` is the check that fails first, and `since` when it began to."""

    number: int
    name: str | None
    exercise: str = ""
    tasks: Mapping[str, ToldTask] = field(default_factory=dict)
    hand: bool = False
    failure: str | None = None
    work: str | None = None
    here: bool = True
    failing: str | None = None
    since: datetime | None = None


class Room:
    """The class, as long as the board is open.

    Args:
        lab: The lab, whose tasks are the board's columns.
        until: When the join code expires.

    """

    def __init__(self, lab: Lab, until: datetime) -> None:
        self.code = "".join(secrets.choice(ALPHABET) for _ in range(6))
        self.until = until
        self._lab = lab
        self._tasks = {task.id: task for exercise in lab.exercises for task in exercise.tasks}
        self._trainees: dict[str, Trainee] = {}
        self._numbers = 0
        self._wrong: list[datetime] = []

    def tell(self, told: Told, now: datetime) -> Trainee:
        """Take in what a trainee's machine tells, in place of what it told before.

        A newcomer needs the code, as long as it is valid; whoever is in may go on.

        Raises UsageError for a wrong code, a full room, or what is about another lab.
        """
        trainee = self._trainees.get(told.id)
        if trainee is None:
            self._check_code(told.code, now)
            if len(self._trainees) >= MOST_TRAINEES or not 16 <= len(told.id) <= 100:
                raise UsageError("The class is full.")
            self._numbers += 1
            trainee = self._trainees[told.id] = Trainee(self._numbers, None)
        if any(id_ not in self._tasks for id_ in told.tasks):
            raise UsageError(f"This class does the lab “{self._lab.title}”, and you another one, or another version.")
        trainee.name = shortened(harmless(told.name), 60) if told.name else None
        trainee.exercise, trainee.tasks = told.exercise[:60], dict(sorted(told.tasks.items()))
        trainee.hand, trainee.here = told.hand, True
        trainee.failure, trainee.work = _bounded(told.failure), _bounded(told.work)
        failing = next((each.id for task in trainee.tasks.values() for each in task.checks if _fails(each)), None)
        if failing != trainee.failing:
            trainee.failing, trainee.since = failing, now
        return trainee

    def opened(self, number: int) -> dict[str, str | None]:
        """What a trainee has sent beside the verdicts, for whoever asks for it on the board."""
        trainee = next((each for each in self._trainees.values() if each.number == number), None)
        return {"failure": trainee.failure if trainee else None, "work": trainee.work if trainee else None}

    def leave(self, id_: str) -> None:
        """A trainee's machine is away; what it told stays."""
        if id_ in self._trainees:
            self._trainees[id_].here = False

    def remove(self, who: str) -> Trainee:
        """Forget a trainee, by number or name.

        Raises UsageError if there is none.
        """
        for id_, trainee in self._trainees.items():
            if who in (str(trainee.number), trainee.name):
                return self._trainees.pop(id_)
        names = [str(each.number) for each in self._trainees.values()]
        raise unknown("trainee", who, [*names, *(each.name for each in self._trainees.values() if each.name)])

    def to_json(self, now: datetime) -> dict[str, Any]:
        """The board: columns, trainees with the state of each task, and how many have passed each check."""
        used = {id_.partition(".")[0] for each in self._trainees.values() for id_ in each.tasks} or {
            self._lab.exercises[0].id if self._lab.exercises else ""
        }
        trainees = [self._described(each, now) for each in self._trainees.values()]
        return {
            "title": self._lab.title,
            "code": self.code if now < self.until else None,
            "tasks": [
                {"id": task.id, "title": task.title}
                for task in self._tasks.values()
                if task.id.partition(".")[0] in used
            ],
            "trainees": trainees,
            "checks": self._counts(),
        }

    def _described(self, trainee: Trainee, now: datetime) -> dict[str, Any]:
        is_stuck = trainee.failing is not None and trainee.since is not None and now - trainee.since >= STUCK
        return {
            "number": trainee.number,
            "name": trainee.name,
            "here": trainee.here,
            "hand": trainee.hand,
            "failure": trainee.failure is not None,
            "work": trainee.work is not None,
            "stuck": trainee.failing if is_stuck else None,
            "tasks": {id_: "passed" if task.passed else "not done" for id_, task in trainee.tasks.items()},
        }

    def _counts(self) -> list[dict[str, Any]]:
        passed: Counter[str] = Counter()
        tried: Counter[str] = Counter()
        for trainee in self._trainees.values():
            for task in trainee.tasks.values():
                tried.update(each.id for each in task.checks)
                passed.update(each.id for each in task.checks if each.verdict == "passed")
        return [{"id": id_, "passed": passed[id_], "tried": count} for id_, count in sorted(tried.items())]

    def _check_code(self, code: str, now: datetime) -> None:
        self._wrong = [each for each in self._wrong if now - each < timedelta(minutes=1)]
        if len(self._wrong) >= MOST_WRONG:
            raise UsageError("Too many wrong codes: wait a minute, then repeat the command.")
        if now >= self.until:
            raise UsageError("The join code has expired: ask for a new one.")
        if not secrets.compare_digest(code.strip().upper().encode(), self.code.encode()):
            self._wrong.append(now)
            raise UsageError("This is not the class's join code.", "Look at the board: labkit class join URL CODE")


def _bounded(text: str | None) -> str | None:
    return shortened(harmless(text), MOST_TEXT) if text else None


def _fails(check: ToldCheck) -> bool:
    return check.verdict in ("not done", "timed out")
