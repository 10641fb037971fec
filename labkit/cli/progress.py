"""The commands that help on: status, next, hint, solve."""

import re
import textwrap
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from labkit import insertion, progress, snippets, status
from labkit.cli import completing, following, show
from labkit.cli.options import ExerciseArgument, LabOption
from labkit.cli.show import say, say_next
from labkit.console import Format, FormatOption, err, print_json, working
from labkit.errors import ExitCode, UsageError
from labkit.lab import Exercise
from labkit.progress import Progress, StepProgress
from labkit.workspace import Workspace, around, lab_option

commands = typer.Typer()


@commands.command("status")
def status_(
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Print how far you are in one short line, for the prompt of your shell; nothing outside of a workspace.

    It is quick, because other commands keep the line; a * says that you have changed a file since. For bash:
    `PS1='$(labkit status) \\$ '`
    """
    folder = around(Path.cwd())
    if format is Format.JSON:
        _, chosen, here = show.subject(lab, None)
        print_json(described(following.look(chosen, here)))
        return
    if folder is None:
        return
    line = status.line(str(folder))
    if line is None:
        _, chosen, here = show.subject(lab, None)
        line = following.words(following.look(chosen, here))
    show.plain(line)


@commands.command("next")
def next_(
    exercise: ExerciseArgument = None,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Show the step in hand: what to do, where, and what to type."""
    the_lab, chosen, here = show.subject(lab, exercise)
    found = following.look(chosen, here)
    if format is Format.JSON:
        print_json({**described(found), "next": following.command(the_lab, found)})
        return
    for each in _readings(found):
        show.item(f"  [dim]{each.step.number}.[/] ", f"[dim]{escape(each.step.text)}[/]")
    following.say_step(found)
    following.say_following(the_lab, found, step=False)
    if found.in_hand is not None and not found.is_finished:
        say("[dim]stuck?[/] " + show.form("labkit hint"))


@commands.command()
def hint(
    step: Annotated[
        str | None,
        typer.Argument(
            metavar="STEP",
            help="A step: 7, 2.7, or its snippet; the step in hand if left out.",
            show_default=False,
            autocompletion=completing.steps,
        ),
    ] = None,
    level: Annotated[
        int, typer.Option("--level", min=0, max=3, help="1 the question, 2 the direction, 3 the code; else the next.")
    ] = 0,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """Help with a step, a little more each time: first a question, then a direction, then the code."""
    the_lab, chosen, here = show.subject(lab, None)
    found = following.look(chosen, here)
    wanted = _step(found, step)
    reached = progress.press(here, wanted.step, level)
    every = progress.hints(chosen, wanted.step)
    while reached < 2 and not any(_alone(text, wanted.step.text) for text in every[:reached]):
        reached = progress.press(here, wanted.step, reached + 1)  # a press that tells nothing is none
    told = every[:reached]
    following_command = f"labkit snippet insert {wanted.step.snippet}" if wanted.step.snippet else wanted.step.command
    following_command = following.half_done(wanted) or following_command
    if format is Format.JSON:
        print_json({"step": wanted.step.id, "level": reached, "hints": told, "next": following_command})
        return
    say(f"[bold]{wanted.step.id}[/]  {escape(wanted.step.text)}")
    for number, text in enumerate(told, start=1):
        if number == 3:
            say()
            place = snippets.home(chosen, wanted.step.snippet) if wanted.step.snippet else None
            show.plain(textwrap.indent(text, place.indent if place else ""))  # as far in as it is typed
        elif text not in told[: number - 1] and (shown := _alone(text, wanted.step.text)):
            say()
            say(escape(shown))
    say()
    if reached < 3:
        last = "the code" if wanted.step.snippet else "what to type" if wanted.step.command else "the whole step"
        say_next(f"labkit hint{f' {step}' if step else ''}   (more: {'the direction' if reached == 1 else last})")
    elif following_command:
        say_next(f"{following_command}{lab_option(the_lab)}")


@commands.command()
def solve(
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="TASK",
            help="Up to and including this task: ex1.2, 2 or its title.",
            autocompletion=completing.tasks,
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the diff.")] = False,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> int:
    """Do everything up to and including a task for you, so that you can go on with the next one.

    Your own lines stay: only what is missing is added. `labkit undo` takes it back.
    """
    the_lab, chosen, here = show.subject(lab, None)
    if to is None:
        raise UsageError("Say up to which task.", f"labkit solve --to {chosen.tasks[0].id}")
    last = chosen.task(to)
    tasks = chosen.tasks[: chosen.tasks.index(last) + 1]
    names = [name for task in tasks for step in task.steps for name in step.inserted if name in chosen.snippets]
    change = insertion.insert(here.folder, chosen, names, what_can_be=True)
    if dry_run:
        from labkit import changes

        show.diff(changes.unified(change))
        return ExitCode.OK
    here.apply(insertion.InsertChange(f"solve {last.id}", change.files, change.insertions, change.refusals))
    made = _create_databases(chosen, here, [step.command or "" for task in tasks for step in task.steps])
    for task in tasks:
        for step in task.steps:
            if (deed := progress.deed_of(step.command)) and deed not in ("verify", "start"):
                progress.note(chosen, here, deed, datetime.now())
    new = [each.snippet for each in change.insertions if not each.already]
    found = following.look(chosen, here)
    if format is Format.JSON:
        print_json(
            {
                "task": last.id,
                "inserted": new,
                "databases": made,
                "refused": [{"name": each.snippet, "message": each.error.message} for each in change.refusals],
                "next": following.command(the_lab, found),
            }
        )
        return ExitCode.NOT_DONE if change.refusals else ExitCode.OK
    for each in change.insertions:
        if not each.already:
            say(f"Inserted [bold]{each.snippet}[/] into {escape(each.path)}, line {each.line}.")
        elif each.todo_removed:
            say(f"[bold]{each.snippet}[/] is there already; took its TODO line away.")
    for name in made:
        say(f"Created the database [bold]{escape(name)}[/].")
    if not (new or made) and not change.refusals:
        say(f"Nothing is missing up to {last.id}: your own work does it.")
    for refusal in change.refusals:
        err.print(f"[bold red]left to you:[/] {escape(refusal.error.message)}")
        if refusal.error.next:
            err.print(f"[dim]next:[/] {escape(refusal.error.next)}")
    if change.files:
        say(f"[dim]{show.form('labkit undo')} takes it back.[/]")
    following.say_following(the_lab, found)
    return ExitCode.NOT_DONE if change.refusals else ExitCode.OK


def described(found: Progress) -> dict[str, Any]:
    """How far an exercise is, for programs."""
    task, step = found.task_in_hand, found.in_hand
    return {
        "exercise": found.exercise.id,
        "workspace": str(found.workspace.folder) if found.workspace else None,
        "status": following.words(found),
        "finished": found.is_finished,
        "task": task.task.id if task else None,
        "step": step.step.id if step else None,
        "text": step.step.text if step else None,
        "snippet": step.step.snippet if step else None,
        "command": found.command,
    }


def _readings(found: Progress) -> list[StepProgress]:
    """The steps before the one in hand that are to be read, or clicked, in the same task; the last few of them."""
    task, step = found.task_in_hand, found.in_hand
    if task is None or step is None:
        return []
    before = task.steps[: task.steps.index(step)]
    left = [each for each in before if not each.has_deed and not each.passed_over]
    return left[-5:]


def _alone(text: str, heading: str) -> str:
    """A hint below the step's heading: it says nothing twice, and announces nothing that is not there."""
    paragraphs = text.removeprefix(heading).strip().split("\n\n")
    return "\n\n".join(re.sub(r"(^|(?<=[.!?]) )[^.!?]*:$", "", each) for each in paragraphs if each).strip()


def _step(found: Progress, text: str | None) -> StepProgress:
    if text is None:
        if found.in_hand is None:
            raise UsageError("No step is left to help with.", f"labkit verify {found.exercise.id}")
        return found.in_hand
    task = found.task_in_hand
    prefixes = ("", f"{found.exercise.id}.", f"{task.task.id}." if task else "")
    for each in found.steps:
        if each.step.snippet == text or each.step.id in [f"{prefix}{text}" for prefix in prefixes]:
            return each
    name = found.exercise.snippet(text).name
    return next(each for each in found.steps if name in each.step.inserted)


def _create_databases(exercise: Exercise, here: Workspace, given: list[str]) -> list[str]:
    """Create the databases that these commands create, where the lab's server does not have them."""
    names = [words[3] for each in given if (words := each.split())[:3] == ["labkit", "db", "create"] and len(words) > 3]
    made = []
    if names and exercise.database:
        from labkit.services.postgres.lab_server import find_server

        with working("Starting PostgreSQL"), find_server().running() as server:
            for name in names:
                if name not in server.databases():
                    server.create_database(name)
                    made.append(name)
                here.note_database(name, datetime.now())
    return made
