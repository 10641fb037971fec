"""The arguments and options that several commands share, so that they read alike everywhere."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from labkit.cli import completing


class Solution(StrEnum):
    """The lab's own app folders of an exercise."""

    BEGIN = "begin"
    END = "end"


LabOption = Annotated[
    Path | None,
    typer.Option("--lab", metavar="DIR", help="Use the lab in DIR instead of the one that labkit carries."),
]

ExerciseArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="EX",
        help="The exercise: its id, its name or a unique beginning. Inside a workspace it can be left out.",
        show_default=False,
        autocompletion=completing.exercises,
    ),
]

BackplaneOption = Annotated[
    str | None,
    typer.Option(
        "--backplane",
        metavar="NAME",
        help="What joins the instances: postgres, redis, nats or sqlite; what the app declares if left out.",
        show_default=False,
    ),
]

SolutionOption = Annotated[
    Solution | None,
    typer.Option("--solution", help="Use the lab's own begin or end instead of a workspace."),
]
