"""The code that a chapter prints: each snippet in its surroundings, what is new marked as in a diff.

A trainee who types sees where the code goes, and what it replaces::

     def tea() -> Cup:
         …
         kettle.boil()
    -    # TODO pour-tea: pour it into the cup
    +    cup.fill(kettle)
         return cup
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from labkit import insertion, tree
from labkit.author import outputs
from labkit.chapter import Block, Step
from labkit.errors import UsageError
from labkit.lab import Exercise

AROUND = 3
"""How many lines of code are shown before a snippet and after it, besides the ones that enclose it."""

LEFT_OUT = "…"


def shown(exercise: Exercise, step: Step) -> tuple[str, str]:
    """The file that the step's snippet goes into, and how the chapter shows it: as the app is at that step.

    Raises UsageError if a snippet up to this one cannot be inserted.
    """
    if step.snippet not in exercise.snippets:
        raise UsageError(f"There is no snippet {step.snippet} in {exercise.id}.")
    earlier, here = outputs.inserted(exercise, step)
    change = insertion.insert(exercise.begin, exercise, [*earlier, here.snippet])
    if here.already:
        raise UsageError(f"{here.path} of {exercise.id}'s begin has the code of {step.snippet} already.")
    before = next(
        (file.after for file in insertion.insert(exercise.begin, exercise, earlier).files if file.path == here.path),
        (exercise.begin / here.path).read_bytes(),
    )
    after = next(file.after for file in change.files if file.path == here.path)
    old, new = ((tree.text(each or b"") or "").splitlines() for each in (before, after))
    first, count = here.line - 1, here.count
    lines = [
        *(f" {line}".rstrip() for line in _before(new, first)),
        f"-{old[first]}",
        *(f"+{line}".rstrip() for line in new[first : first + count]),
        *(f" {line}".rstrip() for line in _after(new, first + count)),
    ]
    return here.path, "\n".join(lines) + "\n"


def rewritten(exercise: Exercise) -> str:
    """The chapter with the code of every snippet as it has to be shown, and with what its commands print
    (`outputs`); nothing else changes.

    The code takes the place of the step's `diff` block; without one it comes behind the command that
    inserts it and what that prints.
    """
    lines = outputs.corrected(exercise)
    steps = [step for task in exercise.tasks for step in task.steps if step.snippet in exercise.snippets]
    for step in reversed(steps):
        path, code = shown(exercise, step)
        place = block_of(step)
        command = _last_of_command(step)
        indent = " " * _indent(lines[command.first - 1])
        block = [f"{indent}{line}".rstrip() for line in (f"```diff {path}", *code.splitlines(), "```")]
        if place:
            lines[place.first - 1 : place.last] = block
        else:
            lines[command.last : command.last] = ["", *block]
    return "\n".join(lines) + "\n"


def block_of(step: Step) -> Block | None:
    """The block of a step that shows its snippet's code."""
    return next((block for block in step.blocks if block.language == "diff"), None)


def _last_of_command(step: Step) -> Block:
    """The block that the code comes behind: the command that inserts it, or what that prints."""
    at = next(
        n for n, block in enumerate(step.blocks) if any(f"insert {step.snippet}" in each for each in block.commands)
    )
    follows = step.blocks[at + 1 :][:1]
    return follows[0] if follows and follows[0].info == ("text", "output") else step.blocks[at]


def _before(lines: Sequence[str], first: int) -> list[str]:
    """The lines above, with the ones that enclose them: those that stand further left, up to the left edge."""
    start = first
    while start > 0 and first - start < AROUND:
        start -= 1
    while start < first and not lines[start].strip():
        start += 1
    return list(_with_gaps(lines, [*sorted(_enclosing(lines, start, lines[first])), *range(start, first)]))


def _enclosing(lines: Sequence[str], start: int, line: str) -> Iterator[int]:
    indents = [_indent(each) for each in [*lines[start : start + AROUND + 1], line] if each.strip()]
    least = min(indents, default=0)
    for number in range(start - 1, -1, -1):
        if lines[number].strip() and _indent(lines[number]) < least:
            least = _indent(lines[number])
            yield number


def _with_gaps(lines: Sequence[str], numbers: Sequence[int]) -> Iterator[str]:
    for number in numbers[:1]:
        yield lines[number]
    for former, number in pairwise(numbers):
        between = lines[former + 1 : number]
        code = [line for line in between if line.strip()]
        if code and len(between) > 1:
            yield " " * _indent(code[0]) + LEFT_OUT
        else:
            yield from between
        yield lines[number]


def _after(lines: Sequence[str], following: int) -> list[str]:
    shown = list(lines[following : following + AROUND])
    while shown and not shown[-1].strip():
        shown.pop()
    return shown


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
