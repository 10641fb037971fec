"""What the chapter's commands print, as far as the lab itself tells it: where a snippet goes, how many checks pass."""

import re
from collections.abc import Sequence

from labkit import declared, insertion
from labkit.chapter import Step
from labkit.insertion import Insertion
from labkit.lab import Exercise

_INSERTED = re.compile(r"Inserted [a-z0-9_.-]+ into \S+, lines? [\d-]+\.")
_PASSED = re.compile(r"\d+ of \d+ checks passed")


def corrected(exercise: Exercise) -> list[str]:
    """The chapter's lines, where the blocks of output say what the commands above them print now."""
    lines = exercise.chapter.source.splitlines()
    for task in exercise.tasks:
        for step in task.steps:
            command = ""
            for block in step.blocks:
                command = block.commands[-1] if block.commands else command
                if block.info != ("text", "output"):
                    continue
                for number in range(block.first, block.last - 1):
                    lines[number] = _line(lines[number], exercise, step, command)
    return lines


def inserted(exercise: Exercise, step: Step) -> tuple[Sequence[str], Insertion]:
    """The snippets of the steps before this one, and how its own is inserted when they all are there.

    Raises UsageError if a snippet up to this one cannot be inserted.
    """
    steps = [each for task in exercise.tasks for each in task.steps if each.snippet in exercise.snippets]
    names = [each.snippet for each in steps[: steps.index(step) + 1] if each.snippet]
    earlier = names[:-1]
    change = insertion.insert(exercise.begin, exercise, names)
    return earlier, change.insertions[-1]


def _line(line: str, exercise: Exercise, step: Step, command: str) -> str:
    if step.snippet in exercise.snippets and _INSERTED.search(line):
        place = inserted(exercise, step)[1]
        return _INSERTED.sub(f"Inserted {place.snippet} into {place.spoken}.", line)
    words = command.split()
    if words[:2] == ["labkit", "verify"] and _PASSED.search(line):
        number = _count(exercise, words[words.index("--task") + 1] if "--task" in words else None)
        return line if number is None else _PASSED.sub(f"{number} of {number} checks passed", line)
    return line


def _count(exercise: Exercise, task: str | None) -> int | None:
    """How many checks a task, or the exercise, has; None if only a run can tell."""
    try:
        checks = declared.checks(exercise)
    except SyntaxError:
        return None
    number = exercise.task(task).number if task else None
    chosen = [check for check in checks if number is None or number in check.tasks]
    return None if any(check.repeats for check in chosen) else len(chosen)
