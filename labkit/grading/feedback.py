"""How much of a verdict is handed back to a trainee."""

from dataclasses import replace
from enum import StrEnum

from labkit.lab import Exercise
from labkit.verify.report import Check, Report, Result, TaskReport, Verdict


class Feedback(StrEnum):
    """All that is known; what was expected and seen, with a question that helps; or the verdicts alone."""

    FULL = "full"
    HINTS = "hints"
    VERDICT = "verdict"


def reduced(report: Report, exercise: Exercise, feedback: Feedback) -> Report:
    """The report with as much as is handed back."""
    if feedback is Feedback.FULL:
        return report
    return replace(
        report,
        evidence=None if feedback is Feedback.VERDICT else report.evidence,
        tasks=tuple(
            TaskReport(
                task.id,
                task.title,
                tuple((check, _result(check, result, exercise, feedback)) for check, result in task.checks),
            )
            for task in report.tasks
        ),
    )


def _result(check: Check, result: Result, exercise: Exercise, feedback: Feedback) -> Result:
    if feedback is Feedback.VERDICT or result.verdict is Verdict.PASSED:
        return Result(result.verdict)
    return replace(result, cause=None, next=_question(check, exercise), snippet=None)


def _question(check: Check, exercise: Exercise) -> str | None:
    """The question that leads to what the check misses, if the lab has one."""
    questions = (exercise.hints[name].question for name in check.snippets if name in exercise.hints)
    return next(questions, None)
