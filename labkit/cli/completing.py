"""What the shell offers for an argument: exercises, tasks, snippets, files. No fault of the lab may show up here."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import typer

from labkit import tree, workspace
from labkit.errors import LabError
from labkit.lab import Exercise, Lab, find_lab

Offers = list[tuple[str, str]]
"""What can be typed, each with what it is."""


def exercises(context: typer.Context, incomplete: str) -> Offers:
    """The lab's exercises."""
    return _fitting(context, incomplete, lambda lab, _: ((each.id, each.title) for each in lab.exercises))


def tasks(context: typer.Context, incomplete: str) -> Offers:
    """The tasks of the exercise here, by their numbers; of all exercises, by their ids, elsewhere."""

    def offered(lab: Lab, chosen: Exercise | None) -> Iterator[tuple[str, str]]:
        if chosen:
            yield from ((str(each.number), each.title) for each in chosen.tasks)
        else:
            yield from ((each.id, each.title) for exercise in lab.exercises for each in exercise.tasks)

    return _fitting(context, incomplete, offered)


def snippets(context: typer.Context, incomplete: str) -> Offers:
    """The snippets of the exercise here, else of all, each with its step."""

    def offered(lab: Lab, chosen: Exercise | None) -> Iterator[tuple[str, str]]:
        for exercise in (chosen,) if chosen else lab.exercises:
            for step in (step for task in exercise.tasks for step in task.steps):
                yield from ((name, step.text) for name in step.inserted)

    return _fitting(context, incomplete, offered)


def steps(context: typer.Context, incomplete: str) -> Offers:
    """The steps of the exercise here, as `2.7`."""

    def offered(_: Lab, chosen: Exercise | None) -> Iterator[tuple[str, str]]:
        for step in (step for task in (chosen.tasks if chosen else ()) for step in task.steps):
            yield step.id.partition(".")[2], step.text

    return _fitting(context, incomplete, offered)


def files(context: typer.Context, incomplete: str) -> Offers:
    """The files that the exercise here begins with."""

    def offered(_: Lab, chosen: Exercise | None) -> Iterator[tuple[str, str]]:
        yield from ((path, "") for path in (tree.app_files(chosen.begin) if chosen else ()))

    return _fitting(context, incomplete, offered)


def exercises_or_files(context: typer.Context, incomplete: str) -> Offers:
    """For a command of which the exercise can be left out, so that the first word may be a file."""
    return [*exercises(context, incomplete), *files(context, incomplete)]


def _fitting(
    context: typer.Context, incomplete: str, offered: Callable[[Lab, Exercise | None], Iterator[tuple[str, str]]]
) -> Offers:
    """What begins as it was typed; `offered` gets the lab, and the exercise that is named or worked on here."""
    with contextlib.suppress(LabError, OSError):
        lab = find_lab(context.params.get("lab"))
        named, around = context.params.get("exercise"), workspace.around(Path.cwd())
        name = named or (workspace.exercise_of(around) if around else None)
        chosen = lab.exercise(name) if name else None
        return [each for each in offered(lab, chosen) if each[0].lower().startswith(incomplete.lower())]
    return []
