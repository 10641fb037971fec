"""`labkit author pictures`: the chapters' pictures follow from the app."""

from typing import Annotated

import typer
from rich.markup import escape

from labkit import tree
from labkit.cli import show
from labkit.cli.author.options import chosen
from labkit.cli.options import LabOption
from labkit.cli.show import say, say_next
from labkit.console import Format, FormatOption, print_json, working
from labkit.files import write_whole
from labkit.lab import find_lab

commands = typer.Typer()


@commands.command()
def pictures(
    exercise: Annotated[
        str | None,
        typer.Argument(metavar="EX", help="Only this exercise; all if left out.", show_default=False),
    ] = None,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Take the pictures of the chapters anew, from a real run: whenever a page or a command's output has changed.

    `pictures.py` beside a chapter says what to picture. The pictures go into the folder `pictures`, with a snapshot of
    what they show, and what is no picture any more is removed there.
    """
    from labkit.author import pictures as author

    the_lab = find_lab(lab or show.lab_folder_here())
    exercises = [each for each in chosen(the_lab, exercise) if exercise or (each.folder / "pictures.py").is_file()]
    taken = {}
    for each in exercises:
        folder = author.folder_of(each)
        with working(f"Taking the pictures of {each.id}"):
            files = author.take(the_lab, each)
        for old in folder.glob("[!.]*") if folder.is_dir() else ():
            if old.name not in files:
                old.unlink()
        for name, content in files.items():
            write_whole(folder / name, content)
        taken[each.id] = {name: len(content) for name, content in files.items() if name != author.SNAPSHOTS}
        if format is Format.TEXT:
            for name, size in taken[each.id].items():
                say(f"{escape(tree.nearby(folder / name))}  [dim]{size / 1000:.0f} kB[/]")
    if format is Format.JSON:
        print_json({"pictures": taken})
    elif exercises:
        say_next("look at each of them")
    else:
        say("No exercise has pictures: none has a file pictures.py.")
