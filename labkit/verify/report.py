"""What a run of the checks found: verdicts, with all that a trainee needs to go on."""

import re
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from labkit.errors import ExitCode


class Verdict(StrEnum):
    """How a check ended. Skipped is not passed."""

    PASSED = "passed"
    NOT_DONE = "not done"
    TIMED_OUT = "timed out"
    ENVIRONMENT = "environment"
    CHECKER = "checker at fault"
    SKIPPED = "skipped"

    @property
    def code(self) -> ExitCode:
        """The exit code that this verdict alone would give."""
        return _CODES[self]


_CODES = {
    Verdict.PASSED: ExitCode.OK,
    Verdict.NOT_DONE: ExitCode.NOT_DONE,
    Verdict.TIMED_OUT: ExitCode.NOT_DONE,
    Verdict.SKIPPED: ExitCode.NOT_DONE,
    Verdict.ENVIRONMENT: ExitCode.MACHINE,
    Verdict.CHECKER: ExitCode.INTERNAL,
}
_FIRST = (ExitCode.INTERNAL, ExitCode.MACHINE, ExitCode.NOT_DONE, ExitCode.OK)
"""Of several exit codes, the first of these counts."""


@dataclass(frozen=True)
class Check:
    """A check before it has run: `budget` is in seconds, `snippets` are those without which it cannot pass."""

    id: str
    title: str
    task: str
    budget: float
    snippets: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        """What its evidence is named after: the id as a relative path, short and of characters that all disks have."""
        task, _, name = self.id.partition("/")
        plain = re.sub(r"[^\w.\[\]-]", "-", name)
        return f"{task}/{plain[:100]}"


@dataclass(frozen=True)
class Result:
    """What a check found; `cause` is the reason as well why a check was skipped."""

    verdict: Verdict
    expected: str | None = None
    seen: str | None = None
    where: str | None = None
    cause: str | None = None
    next: str | None = None
    snippet: str | None = None
    evidence: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The result as JSON has it."""
        return {**asdict(self), "verdict": self.verdict.value, "evidence": list(self.evidence)}


@dataclass(frozen=True)
class TaskReport:
    """A task's checks with their results, in their order."""

    id: str
    title: str
    checks: tuple[tuple[Check, Result], ...]

    @property
    def passed(self) -> bool:
        """Whether there are checks, and every one passed."""
        return bool(self.checks) and all(result.verdict is Verdict.PASSED for _, result in self.checks)


@dataclass(frozen=True)
class Report:
    """One run of `labkit verify`; `solution` is begin, end or workspace, `evidence` the folder with what was kept."""

    exercise: str
    solution: str
    duration: float
    tasks: tuple[TaskReport, ...] = field(default=())
    evidence: Path | None = None

    @property
    def passed(self) -> bool:
        """Whether every task passed."""
        return bool(self.tasks) and all(task.passed for task in self.tasks)

    @property
    def results(self) -> list[tuple[Check, Result]]:
        """Every check of every task."""
        return [each for task in self.tasks for each in task.checks]

    @property
    def exit_code(self) -> ExitCode:
        """Of all the verdicts' codes the first of 4, 3, 1 and 0; nothing checked is a fault of the lab."""
        codes = {result.verdict.code for _, result in self.results} or {ExitCode.INTERNAL}
        return next(code for code in _FIRST if code in codes)

    def to_json(self) -> dict[str, Any]:
        """The document of `--format json`."""
        return {
            "exercise": self.exercise,
            "solution": self.solution,
            "passed": self.passed,
            "duration_s": round(self.duration, 2),
            "tasks": [
                {
                    "id": task.id,
                    "title": task.title,
                    "passed": task.passed,
                    "checks": [
                        {"id": check.id, "title": check.title, **result.to_json()} for check, result in task.checks
                    ],
                }
                for task in self.tasks
            ],
        }
