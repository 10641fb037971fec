"""The commands of `labkit new`: for people who write labs."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from labkit import tree, workspace
from labkit.cli.options import LabOption
from labkit.cli.show import lab_folder_here, say, say_next
from labkit.console import Format, FormatOption, out, print_json
from labkit.errors import UsageError
from labkit.lab import find_lab
from labkit.workflows import Server

commands = typer.Typer(
    no_args_is_help=True,
    help="For authors: make a new exercise or a whole new lab, ready to be changed. `labkit author` examines it.",
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

    the_lab = find_lab(lab or lab_folder_here())
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
def ci(
    server: Annotated[
        Server,
        typer.Argument(help="Whose workflow: that of GitHub or of GitLab; or a container file.", show_default=False),
    ],
    labkit: Annotated[
        list[str] | None,
        typer.Option(
            "--labkit",
            metavar="SPEC",
            help="What pip is to install: a wheel's file or address, or a repository's; may be given more than once.",
        ),
    ] = None,
    is_class: Annotated[
        bool, typer.Option("--class", help="For a whole class: a job for each of submissions/, one report at the end.")
    ] = False,
    folder: Annotated[Path, typer.Option("--folder", metavar="DIR", help="The repository.")] = Path(),
    format: FormatOption = Format.TEXT,
) -> None:
    """Write a workflow for a CI server: it verifies a trainee's repository on every push, or grades a whole class.

    With `container` it is a Containerfile, for docker or podman: a container that grades one submission.
    """
    from labkit import workflows

    if not labkit:
        if format is not Format.TEXT or not (sys.stdin.isatty() and out.is_terminal):
            raise UsageError("Say where labkit is to be installed from.", f"labkit new ci {server} --labkit SPEC")
        labkit = [typer.prompt("What pip is to install (a wheel, an address)")]
    file = workflows.write(folder, server, is_class, labkit)
    if format is Format.JSON:
        print_json({"file": str(file), "server": server.value, "class": is_class})
        return
    say(f"Wrote {escape(tree.nearby(file))}.")
    if server is Server.CONTAINER:
        say_next("docker build --tag labkit-grade --file Containerfile .")
        return
    what = "put the class's work into submissions/" if is_class else "commit it with the workspace"
    say(f"[dim]next:[/] {what}, and push")


def _asked(title: str | None, format: Format) -> str | None:
    """The title, asked for on a terminal; Enter leaves it to be made from the name."""
    if title is None and format is Format.TEXT and sys.stdin.isatty() and out.is_terminal:
        return typer.prompt("Title (Enter: made from the name)", default="", show_default=False) or None
    return title
