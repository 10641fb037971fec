"""`labkit author end`: end follows from begin and the snippets."""

import typer

from labkit.cli import show
from labkit.cli.author import made
from labkit.cli.author.made import DryRunOption, ExercisesArgument, UndoOption
from labkit.cli.options import LabOption
from labkit.console import Format, FormatOption
from labkit.lab import find_lab

commands = typer.Typer()


@commands.command()
def end(
    exercise: ExercisesArgument = None,
    dry_run: DryRunOption = False,
    undo: UndoOption = False,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Make end anew from begin and the snippets: whenever you have changed one of them.

    Nobody writes in end: it is begin with every TODO line replaced by its snippet, byte for byte. What you wrote there
    is replaced, and a file that begin does not have is removed; `--undo` brings it back.

    The begin of an exercise that `continues` another is made as well, from that one's end. Only its files with TODO
    lines are yours: what has changed in the other's end you carry over there by hand.

    At last it names what does not fit in the lab, as the lab's own test does.
    """
    from labkit import content

    the_lab = find_lab(lab or show.lab_folder_here())
    if undo:
        made.take_back(the_lab, format)
        return
    chosen = [the_lab.exercise(exercise)] if exercise else the_lab.exercises
    made.write(
        the_lab,
        chosen,
        content.remade(the_lab, chosen),
        "labkit author end",
        "Nothing to change: end is what begin and the snippets make.",
        dry_run,
        format,
    )
