"""`labkit author steps`: the chapter shows each snippet in its surroundings."""

import typer

from labkit.changes import Change, FileChange
from labkit.cli import show
from labkit.cli.author import made
from labkit.cli.author.made import DryRunOption, ExercisesArgument, UndoOption
from labkit.cli.options import LabOption
from labkit.console import Format, FormatOption
from labkit.lab import find_lab

commands = typer.Typer()


@commands.command()
def steps(
    exercise: ExercisesArgument = None,
    dry_run: DryRunOption = False,
    undo: UndoOption = False,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Print the code of the snippets into the chapters: whenever you have changed a step, begin or a snippet.

    A step that says `labkit snippet insert NAME` gets a block of code behind it: the snippet in its surroundings, as
    the app is at that step, with what is new marked. Nobody writes these blocks. In blocks of output the places of
    inserted code and the numbers of checks are brought up to date; all else in the chapter is yours.

    At last it names what does not fit in the lab, as the lab's own test does.
    """
    from labkit.author import surroundings

    the_lab = find_lab(lab or show.lab_folder_here())
    if undo:
        made.take_back(the_lab, format)
        return
    chosen = [the_lab.exercise(exercise)] if exercise else the_lab.exercises
    files = []
    for each in chosen:
        before = each.chapter.path.read_bytes()
        after = surroundings.rewritten(each)
        if after != each.chapter.source:
            path = each.chapter.path.relative_to(the_lab.folder).as_posix()
            files.append(FileChange(path, before, after.encode("utf-8")))
    made.write(
        find_lab(the_lab.folder),  # whose chapters are read anew once they are written
        chosen,
        Change(f"print the snippets into the chapter of {', '.join(each.id for each in chosen)}", tuple(files)),
        "labkit author steps",
        "Nothing to change: the chapters show the snippets as they are inserted.",
        dry_run,
        format,
    )
