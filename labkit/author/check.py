"""Examines an exercise from begin to end: its checks miss what is missing at each point, and nothing else."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from labkit import changes, content, insertion, workspace
from labkit.chapter import Task
from labkit.lab import Exercise, Lab
from labkit.verify.report import Report, Result, Verdict
from labkit.verify.run import verify
from labkit.verify.subject import Subject
from labkit.verify.warm import Warm


@dataclass(frozen=True)
class Finding:
    """One thing that an exercise has to be: `what` in a sentence, and everything that is wrong with it."""

    what: str
    problems: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def examine(lab: Lab, exercise: Exercise, working: Callable[[str], None] = lambda what: None) -> Iterator[Finding]:
    """Examine an exercise; what is found comes as it is found, and `working` is told what comes next.

    The apps that are verified have the databases that end needs: a task without code is taken for done.
    """
    working("Reading the content")
    problems = [problem for problem in content.problems(lab) if problem.startswith(f"{exercise.name}: ")]
    yield Finding("The content fits together.", tuple(each.removeprefix(f"{exercise.name}: ") for each in problems))
    coded = [task for task in exercise.tasks if _snippets(task)]
    with Warm() as warm, tempfile.TemporaryDirectory(prefix="labkit-", ignore_cleanup_errors=True) as temporary:
        working("Verifying begin")
        begin = _verify(exercise, exercise.begin, (), warm)
        yield Finding(
            "On begin, the checks that need code fail, each for a reason of its own, and the others pass.",
            tuple(_begin_problems(begin)),
        )
        for task, following in zip(coded, [*coded[1:], None], strict=True):
            folder = Path(temporary) / task.id
            after = _upto(exercise, task)
            workspace.copy_app(exercise.begin, folder)
            changes.write(folder, insertion.insert(folder, exercise, after))
            for each in _until(exercise, following):
                working(f"Verifying task {each.id} alone, with the snippets up to task {task.id}")
                report = _verify(exercise, folder, (each,), warm)
                yield Finding(
                    f"With the snippets up to task {task.id}, task {each.id} passes alone.",
                    tuple(_not_passed(report)),
                )
            if following:
                working(f"Verifying task {following.id}, with the snippets up to task {task.id}")
                report = _verify(exercise, folder, (following,), warm)
                done = [f"{following.id} passes already."] if report.passed else []
                yield Finding(
                    f"With the snippets up to task {task.id}, task {following.id} is not done.",
                    (*done, *_faults(report)),
                )
        working("Verifying end")
        yield Finding("End passes.", tuple(_not_passed(_verify(exercise, exercise.end, (), warm))))


def _verify(exercise: Exercise, folder: Path, tasks: Sequence[Task], warm: Warm) -> Report:
    return verify(Subject(exercise, folder, "end", None), tasks, nothing=True, warm=warm)


def _snippets(task: Task) -> list[str]:
    return [step.snippet for step in task.steps if step.snippet]


def _upto(exercise: Exercise, last: Task) -> list[str]:
    """The snippets of the tasks up to this one."""
    tasks = exercise.tasks[: exercise.tasks.index(last) + 1]
    return [name for task in tasks for name in _snippets(task)]


def _until(exercise: Exercise, following: Task | None) -> Sequence[Task]:
    """The tasks that are done once no code is missing before `following`."""
    return exercise.tasks[: exercise.tasks.index(following)] if following else exercise.tasks


def _begin_problems(report: Report) -> Iterator[str]:
    reasons: dict[tuple[str | None, str | None], str] = {}
    for check, result in report.results:
        if not check.snippets:
            if result.verdict is not Verdict.PASSED:
                yield f"{check.id} {result.verdict}: {_said(result)}"
        elif result.verdict is Verdict.PASSED:
            yield f"{check.id} passes, although it is marked with {' and '.join(check.snippets)}."
        elif result.verdict is not Verdict.NOT_DONE:
            yield f"{check.id} is not simply not done, but {result.verdict}: {_said(result)}"
        else:
            same = reasons.setdefault((result.expected, result.seen), check.id)
            if same != check.id:
                yield f"{check.id} fails for the same reason as {same}: {_said(result)}"
            missing = [name for name in ("where", "cause", "next", "snippet") if not getattr(result, name)]
            if missing:
                yield f"{check.id} says no {' and no '.join(missing)}."


def _not_passed(report: Report) -> Iterator[str]:
    for check, result in report.results:
        if result.verdict is not Verdict.PASSED:
            yield f"{check.id} {result.verdict}: {_said(result)}"


def _faults(report: Report) -> Iterator[str]:
    for check, result in report.results:
        if result.verdict in (Verdict.CHECKER, Verdict.ENVIRONMENT):
            yield f"{check.id} {result.verdict}: {_said(result)}"


def _said(result: Result) -> str:
    parts = (f"expected {result.expected}" if result.expected else None, f"seen {result.seen}" if result.seen else None)
    return "; ".join(filter(None, (*parts, result.cause)))
