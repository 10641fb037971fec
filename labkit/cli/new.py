"""The commands of `labkit new`: for people who write labs."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from labkit import changes, tree, workspace
from labkit.changes import Change
from labkit.cli import show
from labkit.cli.options import LabOption
from labkit.cli.show import say, say_next
from labkit.console import Format, FormatOption, err, out, print_json
from labkit.errors import UsageError
from labkit.files import write_whole
from labkit.journal import Journal
from labkit.lab import Exercise, Lab, find_lab

commands = typer.Typer(
    no_args_is_help=True,
    help="For authors: make a new exercise or a whole new lab, ready to be changed; make end anew after a change.",
)

TitleOption = Annotated[str | None, typer.Option("--title", help="Its title; made from the name if left out.")]


@commands.command()
def exercise(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is about, in a word or two: live-charts.")],
    title: TitleOption = None,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Add an exercise to the lab in this folder: app, snippets, chapter and checks, all of which work at once."""
    from labkit import scaffold

    the_lab = find_lab(lab or _lab_folder_here())
    made = scaffold.new_exercise(the_lab, name, _asked(title, format))
    where = tree.nearby(made.folder)
    if format is Format.JSON:
        print_json({"exercise": made.id, "name": made.name, "folder": str(made.folder)})
        return
    say(f"Made [bold]{escape(made.name)}[/] (“{escape(made.title)}”) and added it to lab.toml:")
    for path, what in (
        ("exercise.toml", "tasks, steps, and how the app is run"),
        ("README.md", "the chapter that a trainee reads"),
        ("begin, end", "the app before and after; the TODO lines in begin name the snippets"),
        ("checks", "what `labkit verify` checks in a browser"),
    ):
        say(f"  {escape(where)}/{path}  [dim]{what}[/]")
    say(f"  {escape(tree.nearby(made.snippets_folder))}  [dim]one file for each TODO line[/]")
    option = workspace.lab_option(the_lab)
    say_next(f"labkit verify {made.id} --solution end{option}   or   labkit start {made.id} DIR{option}")


@commands.command()
def lab(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, in a word or two: bird-watching.")],
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="The new folder; named after the lab if left out.")
    ] = None,
    title: TitleOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Make a new lab with one exercise, in a folder of its own. Nothing is ever overwritten."""
    from labkit import scaffold

    made = scaffold.new_lab(name, folder or Path.cwd() / scaffold.slug(name), _asked(title, format))
    if format is Format.JSON:
        print_json({"lab": made.title, "folder": str(made.folder), "exercises": [each.id for each in made.exercises]})
        return
    say(f"Made the lab [bold]{escape(made.title)}[/] in [bold]{escape(str(made.folder))}[/], with one exercise.")
    say("Its README.md says what is where, and how to try and test it.")
    if made.folder == Path.cwd():
        say_next("labkit list")
    else:
        say_next(f"cd {tree.argument(made.folder)}")
        say("[dim]then:[/] labkit list")


@commands.command()
def end(
    exercise: Annotated[
        str | None,
        typer.Argument(metavar="EX", help="Only this exercise; all, in their order, if left out.", show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the diff.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Take back what this command changed last.")] = False,
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

    the_lab = find_lab(lab or _lab_folder_here())
    journal = Journal(the_lab.folder / ".labkit")
    if undo:
        _undo(the_lab, journal, format)
        return
    chosen = [the_lab.exercise(exercise)] if exercise else the_lab.exercises
    change = content.remade(the_lab, chosen)
    if change.files and not dry_run:
        write_whole(the_lab.folder / ".labkit" / ".gitignore", b"*\n")
        journal.apply(the_lab.folder, change)
    problems = [] if dry_run else content.problems(the_lab)
    if format is Format.JSON:
        print_json(
            {
                "exercises": [each.id for each in chosen],
                "dry_run": dry_run,
                "changed": [file.path for file in change.files],
                "diff": changes.unified(change),
                "problems": problems,
            }
        )
    elif dry_run and change.files:
        show.diff(changes.unified(change))
        # Not on stdout, where the diff may be on its way into a file.
        err.print("[dim]next:[/] the same without --dry-run writes it")
    else:
        _print_remade(the_lab, chosen, change, problems)


def _print_remade(the_lab: Lab, chosen: Sequence[Exercise], change: Change, problems: list[str]) -> None:
    option = workspace.lab_option(the_lab)
    for file in change.files:
        added, removed = changes.counts(file.before, file.after)
        note = "  new" if file.before is None else "  removed" if file.after is None else ""
        say(f"{escape(file.path)}  [green]+{added}[/] [red]-{removed}[/]{note}")
    if not change.files:
        say("Nothing to change: end is what begin and the snippets make.")
    for problem in problems:
        say(f"[yellow]![/] {escape(problem)}")
    takes_back = f"   or   labkit new end --undo{option}   (takes it back)" if change.files else ""
    name = chosen[0].id if len(chosen) == 1 else "EX"
    say_next(f"labkit verify {name} --solution end{option}{takes_back}")


def _undo(the_lab: Lab, journal: Journal, format: Format) -> None:
    undone = journal.undo(the_lab.folder, force=True)
    if format is Format.JSON:
        print_json({"undone": undone.what, "files": undone.files, "kept": str(undone.kept), "left": undone.left})
        return
    say(f"Undone: [bold]{escape(undone.what)}[/]")
    for path in undone.files:
        say(f"  {escape(path)} is as it was before")
    say(f"[dim]What was undone is kept in {escape(tree.nearby(undone.kept))}.[/]")


def _asked(title: str | None, format: Format) -> str | None:
    """The title, asked for on a terminal; Enter leaves it to be made from the name."""
    if title is None and format is Format.TEXT and sys.stdin.isatty() and out.is_terminal:
        return typer.prompt("Title (Enter: made from the name)", default="", show_default=False) or None
    return title


def _lab_folder_here() -> Path:
    """The lab at or above the current folder: a lab that one is not in is never changed."""
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / "lab.toml").is_file():
            return folder
    raise UsageError(
        "There is no lab here to change.", "cd into a lab, name one with --lab DIR, or: labkit new lab NAME"
    )
