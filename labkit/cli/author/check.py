"""`labkit author check`: whether an exercise's checks miss what is missing, and nothing else."""

from typing import Annotated

import typer
from rich.markup import escape

from labkit.cli import show
from labkit.cli.author.options import chosen
from labkit.cli.options import LabOption
from labkit.cli.show import say, say_next
from labkit.console import Format, FormatOption, print_json, working
from labkit.errors import ExitCode
from labkit.lab import find_lab
from labkit.workspace import lab_option

commands = typer.Typer()


@commands.command()
def check(
    exercise: Annotated[
        str | None,
        typer.Argument(metavar="EX", help="Only this exercise; all if left out.", show_default=False),
    ] = None,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> int:
    """Examine an exercise from begin to end, in a real browser.

    On begin, each check that needs code fails for a reason of its own, and the others pass. With the snippets up to a
    task, that task and each one before it pass, each run alone, and the next task with code is not done. End passes.

    The exit code is 0 if all of that holds, 1 if not.
    """
    from labkit.author.check import examine

    the_lab = find_lab(lab or show.lab_folder_here())
    exercises = chosen(the_lab, exercise)
    found = []
    for each in exercises:
        if format is Format.TEXT:
            say(f"[bold]{escape(each.id)}  {escape(each.title)}[/]")
        with working(f"Examining {each.id}") as tell:
            for finding in examine(the_lab, each, tell):
                found.append((each, finding))
                if format is Format.TEXT:
                    say(f"  {'[green]✓[/]' if finding.holds else '[red]✗[/]'} {escape(finding.what)}")
                    for problem in finding.problems:
                        say(f"      [red]{escape(problem)}[/]")
    failed = [each for each, finding in found if not finding.holds]
    if format is Format.JSON:
        print_json(
            {
                "exercises": [
                    {
                        "id": each.id,
                        "holds": each not in failed,
                        "findings": [
                            {"what": finding.what, "holds": finding.holds, "problems": list(finding.problems)}
                            for of, finding in found
                            if of is each
                        ],
                    }
                    for each in exercises
                ]
            }
        )
    elif failed:
        say_next(f"labkit verify {failed[0].id} --solution begin{lab_option(the_lab)}   (shows a check's whole report)")
    else:
        say_next(f"labkit author mutants {exercises[0].id if exercise else ''}".rstrip() + lab_option(the_lab))
    return int(ExitCode.NOT_DONE if failed else ExitCode.OK)
