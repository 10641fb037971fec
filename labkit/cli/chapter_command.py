"""The command chapter."""

import os
import shutil
from pathlib import Path
from typing import Annotated

import typer

from labkit import manual, workspace
from labkit.chapter import Task
from labkit.cli import completing
from labkit.cli.options import LabOption
from labkit.cli.show import say, say_next
from labkit.console import Format, FormatOption, out, print_json
from labkit.errors import UsageError
from labkit.lab import Exercise, Lab, find_lab

commands = typer.Typer()

WIDTH = 80
"""The most columns of a page: longer lines are hard to read."""


@commands.command()
def chapter(
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="EX",
            help="The exercise, or the name of another page of the manual. Inside a workspace it can be left out.",
            show_default=False,
            autocompletion=completing.exercises,
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Argument(metavar="TASK", help="Only this task: its number, its id, or a beginning.", show_default=False),
    ] = None,
    pager: Annotated[bool, typer.Option("--pager/--no-pager", help="Show long pages screen by screen.")] = True,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Read the manual: an exercise's chapter, one task of it, or another page.

    Without arguments it shows the chapter of the workspace that you are in, and elsewhere the lab's introduction.
    """
    the_lab = find_lab(lab)
    around = workspace.around(Path.cwd())
    own = the_lab.exercise(workspace.read(around, the_lab).exercise_name) if around else None
    if own and what and task is None and what.strip().isdecimal():
        what, task = own.id, what
    path, exercise = _page(the_lab, what, own)
    chosen = exercise.task(task) if exercise and task else None
    if task and exercise is None:
        raise UsageError(f"The page {path.stem} has no tasks.", f"labkit chapter {path.stem}")
    text = chosen.source if chosen else manual.page(the_lab, path)
    if format is Format.JSON:
        print_json(
            {
                "exercise": exercise.id if exercise else None,
                "task": chosen.id if chosen else None,
                "path": str(path),
                "markdown": text,
            }
        )
        return
    _show(manual.for_terminal(the_lab, text, path), pager)
    if exercise:
        _say_next(exercise, chosen)


def _page(lab: Lab, what: str | None, own: Exercise | None) -> tuple[Path, Exercise | None]:
    """The page that is asked for, and the exercise whose chapter it is."""
    pages = manual.pages(lab)
    if what is None and own is None and pages:
        return next(iter(pages.values())), None
    if what is not None and what.strip().lower() in pages:
        return pages[what.strip().lower()], None
    if what is None and own is not None:
        return own.chapter.path, own
    if what is None:
        raise UsageError(f"Say which chapter: {', '.join(each.id for each in lab.exercises)}.", "labkit list")
    try:
        exercise = lab.exercise(what)
    except UsageError as error:
        also = f" Other pages of the manual: {', '.join(pages)}." if pages else ""
        raise UsageError(f"{error.message}{also}", error.next) from error
    return exercise.chapter.path, exercise


def _show(text: str, pager: bool) -> None:
    from rich.markdown import Markdown

    page = Markdown(text, hyperlinks=out.is_terminal)
    width = min(out.width, WIDTH)
    tall = out.is_terminal and len(out.render_lines(page, out.options.update(width=width))) >= out.height
    if pager and tall:
        # Where `less` is, it is told to let colours through.
        os.environ.setdefault("LESS", "-R")
        with out.pager(styles=shutil.which("less") is not None, links=False):
            out.print(page, width=width)
    else:
        out.print(page, width=width)


def _say_next(exercise: Exercise, chosen: Task | None) -> None:
    if chosen is None:
        return
    following = [task for task in exercise.tasks if task.number > chosen.number]
    say()
    say_next(f"labkit chapter {exercise.id} {following[0].number}" if following else f"labkit verify {exercise.id}")
