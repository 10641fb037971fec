"""`labkit author stress`: whether verify says the same every time, however busy the machine is."""

import os
import statistics
import time
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from labkit.cli import show
from labkit.cli.author.options import chosen
from labkit.cli.options import LabOption
from labkit.cli.show import say
from labkit.console import Format, FormatOption, err, out, print_json
from labkit.errors import ExitCode
from labkit.lab import find_lab

if TYPE_CHECKING:
    from labkit.author.stress import Run

commands = typer.Typer()


@commands.command()
def stress(
    exercise: Annotated[
        str | None, typer.Argument(metavar="EX", help="Only this exercise; all if left out.", show_default=False)
    ] = None,
    runs: Annotated[int, typer.Option("--runs", min=1, help="How often each state is verified.")] = 10,
    load: Annotated[bool, typer.Option("--load", help="Keep every core of the machine busy meanwhile.")] = False,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> int:
    """Verify begin, each task's state and end again and again, and look for what stays behind.

    A verdict is wrong if a check fails whose task is done, if one passes whose snippet is missing, if the machine or
    the check is blamed, or if another run said something else. What a run may leave are processes, ports that they
    hold, and temporary files, those of database servers included.

    The exit code is 0 if every verdict was right and nothing was left, 1 if not.
    """
    from labkit.author.stress import stress as run_all

    exercises = chosen(find_lab(lab or show.lab_folder_here()), exercise)
    began, done = time.monotonic(), list["Run"]()
    for run in run_all(exercises, runs, load):
        done.append(run)
        sign = "[green]✓[/]" if run.holds else "[red]✗[/]"
        which = f"{run.state.exercise.id} {run.state.name}"
        err.print(f"{sign} run {run.number} of {runs}  {escape(which)}  {run.seconds:.1f} s", soft_wrap=True)
        for problem in (*run.wrong, *(f"left: {each}" for each in run.left)):
            err.print(f"    {escape(problem)}", soft_wrap=True)
    seconds = time.monotonic() - began
    holds = all(run.holds for run in done)
    if format is Format.JSON:
        print_json(
            {
                "holds": holds,
                "load": load,
                "seconds": round(seconds, 1),
                "cores": os.cpu_count(),
                "runs": [run.to_json() for run in done],
            }
        )
    else:
        _print(done, seconds, load)
    return int(ExitCode.OK if holds else ExitCode.NOT_DONE)


def _print(done: "list[Run]", seconds: float, load: bool) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("state")
    for name in ("runs", "wrong", "left", "median s", "longest s"):
        table.add_column(name, justify="right")
    for state in dict.fromkeys((run.state.exercise.id, run.state.name) for run in done):
        some = [run for run in done if (run.state.exercise.id, run.state.name) == state]
        times = [run.seconds for run in some]
        wrong, left = sum(len(run.wrong) for run in some), sum(len(run.left) for run in some)
        median, longest = f"{statistics.median(times):.1f}", f"{max(times):.1f}"
        table.add_row(escape(" ".join(state)), str(len(some)), str(wrong), str(left), median, longest)
    out.print(table)
    bad = sum(not run.holds for run in done)
    how = "with every core busy" if load else "without load"
    style = "red" if bad else "green"
    say(f"[bold {style}]{len(done) - bad} of {len(done)} runs hold[/], {how}, in {seconds / 60:.1f} minutes.")
