"""What several commands of `labkit author` take."""

from collections.abc import Sequence

from labkit.lab import Exercise, Lab


def chosen(lab: Lab, exercise: str | None) -> Sequence[Exercise]:
    """The exercise that was named, else all of them."""
    return [lab.exercise(exercise)] if exercise else lab.exercises
