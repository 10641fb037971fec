"""What the commands have in common that make one part of a lab from the others: written, shown, or taken back."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.markup import escape

from labkit import changes, tree, workspace
from labkit.changes import Change
from labkit.cli import show
from labkit.cli.show import say, say_next
from labkit.console import Format, err, print_json
from labkit.files import write_whole
from labkit.journal import Journal
from labkit.lab import Exercise, Lab

ExercisesArgument = Annotated[
    str | None,
    typer.Argument(metavar="EX", help="Only this exercise; all, in their order, if left out.", show_default=False),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only show the diff.")]
UndoOption = Annotated[bool, typer.Option("--undo", help="Take back what an author's command changed last.")]


def write(
    lab: Lab,
    chosen: Sequence[Exercise],
    change: Change,
    command: str,
    unchanged: str,
    dry_run: bool,
    format: Format,
) -> None:
    """Write a change of the lab, or only show it; say what became of it, and what does not fit in the lab.

    `command` is the one that the author typed, `unchanged` what is said if there is nothing to do.
    """
    from labkit import content

    if change.files and not dry_run:
        write_whole(lab.folder / ".labkit" / ".gitignore", b"*\n")
        Journal(lab.folder).apply(change)
    problems = [] if dry_run else content.problems(lab)
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
        _say(lab, chosen, change, command, unchanged, problems)


def take_back(lab: Lab, format: Format) -> None:
    """Take back what one of these commands changed last, and say so."""
    undone = Journal(lab.folder).undo(force=True)
    if format is Format.JSON:
        print_json({"undone": undone.what, "files": undone.files, "kept": str(undone.kept), "left": undone.left})
        return
    say(f"Undone: [bold]{escape(undone.what)}[/]")
    for path in undone.files:
        say(f"  {escape(path)} is as it was before")
    say(f"[dim]What was undone is kept in {escape(tree.nearby(undone.kept))}.[/]")


def _say(
    lab: Lab, chosen: Sequence[Exercise], change: Change, command: str, unchanged: str, problems: list[str]
) -> None:
    option = workspace.lab_option(lab)
    for file in change.files:
        added, removed = changes.counts(file.before, file.after)
        note = "  new" if file.before is None else "  removed" if file.after is None else ""
        say(f"{escape(file.path)}  [green]+{added}[/] [red]-{removed}[/]{note}")
    if not change.files:
        say(unchanged)
    for problem in problems:
        say(f"[yellow]![/] {escape(problem)}")
    takes_back = f"   or   {command} --undo{option}   (takes it back)" if change.files else ""
    name = chosen[0].id if len(chosen) == 1 else "EX"
    say_next(f"labkit verify {name} --solution end{option}{takes_back}")
