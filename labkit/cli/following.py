"""What comes now: said in the same words by every command, and kept for the prompt of the shell."""

import contextlib
from datetime import datetime
from pathlib import Path

from rich.markup import escape

from labkit import invocation, known, language, progress, status, workspace
from labkit.cli.show import form, item, say, say_next
from labkit.errors import LabError
from labkit.files import write_whole
from labkit.lab import Exercise, Lab, find_lab
from labkit.progress import Progress, StepProgress, TaskProgress
from labkit.recognition import Likeness
from labkit.workspace import Workspace, lab_option


def look(exercise: Exercise, here: Workspace) -> Progress:
    """How far a workspace is, kept as the line of `labkit status`, save where nobody has taken it over."""
    found = progress.look(exercise, here)
    if not (here.folder / ".labkit").is_dir():
        return found
    with contextlib.suppress(LabError, OSError):
        text = status.text(str(here.folder), language.translated(words(found))).encode("utf-8", "surrogateescape")
        path = here.folder / ".labkit" / "status"
        if not path.is_file() or path.read_bytes() != text:
            write_whole(path, text)
    return found


def note(exercise: Exercise, here: Workspace, deed: str) -> None:
    """Remember a deed, and what comes after it."""
    with contextlib.suppress(LabError, OSError):
        progress.note(exercise, here, deed, datetime.now())
        look(exercise, here)


def after(deed: str, otherwise: str) -> str:
    """Remember a deed in the workspace round the current folder, and tell what its exercise goes on with; `otherwise`
    where there is no workspace, or nothing more to do.
    """
    folder = workspace.around(Path.cwd())
    with contextlib.suppress(LabError, OSError):
        if folder is not None:
            lab = find_lab()
            here = workspace.read(folder)
            exercise = lab.exercise(here.exercise_name)
            note(exercise, here, deed)
            return command(lab, look(exercise, here)) or otherwise
    return otherwise


def words(found: Progress) -> str:
    """How far it is, in a few words: `ex1 task 2, step 7 of 15: pour-the-tea`."""
    name = found.exercise.id
    task = found.task_in_hand
    if found.is_finished:
        return f"{name} done"
    if task is None or found.in_hand is None or found.is_verified:
        return f"{name} verify"
    number, count = position(task, found.in_hand)
    what = found.in_hand.step.snippet or found.in_hand.step.command or ""
    return f"{name} task {_number(task)}, step {number} of {count}: {what}"


def position(task: TaskProgress, step: StepProgress) -> tuple[int, int]:
    """Which of its task's steps this is, from 1, and how many there are."""
    return task.steps.index(step) + 1, len(task.steps)


def then(found: Progress) -> str | None:
    """What to type after `command` has gone into the workspace's folder; None if one is in it."""
    here = found.workspace
    if here is None or workspace.around(Path.cwd()) == here.folder:
        return None
    return found.command


def command(lab: Lab, found: Progress) -> str | None:
    """What to type next, from the current folder; None when the lab is at its end."""
    here = found.workspace
    if here is None:
        return f"labkit start {found.exercise.id}{lab_option(lab)}"
    if found.command is not None:
        if workspace.around(Path.cwd()) != here.folder:
            return invocation.cd(here.folder)
        return half_done(found.in_hand) or f"{found.command}{lab_option(lab)}"
    after = following_exercise(lab, found.exercise)
    if after is None:
        return None
    begun = known.workspaces(lab.folder, after.name)
    return invocation.cd(begun[0].folder) if begun else f"labkit start {after.id}{lab_option(lab)}"


def half_done(step: StepProgress | None) -> str | None:
    """What to do about code that is begun, or in the wrong place, which no command mends; None if there is none."""
    sight = step.sight if step else None
    if sight is None or sight.is_done or sight.path is None:
        return None
    if sight.likeness is not Likeness.MISPLACED:
        return f"labkit snippet show {sight.snippet}   (then complete it at {sight.path}:{sight.line})"
    goal = f"{sight.todo.path}, line {sight.todo.line}" if sight.todo else "its place"
    return f"Move the code of {sight.snippet} from {sight.path}:{sight.line} to {goal}."


def following_exercise(lab: Lab, exercise: Exercise) -> Exercise | None:
    """The exercise after this one, if there is one."""
    names = [each.name for each in lab.exercises]
    rest = lab.exercises[names.index(exercise.name) + 1 :] if exercise.name in names else ()
    return rest[0] if rest else None


def say_step(found: Progress) -> None:
    """Say which step is in hand, and where its code belongs."""
    task, step = found.task_in_hand, found.in_hand
    if task is None or step is None:
        return
    number, count = position(task, step)
    say(f"[bold]{task.task.id}[/]  {escape(task.task.title)}  [dim]step {number} of {count}[/]")
    item(f"  {number}. ", escape(step.step.text))
    sight = step.sight
    if sight is None:
        return
    if sight.path and not sight.is_done:
        fault = sight.fault or "not yet as a whole"
        item("     ", f"[yellow]its code is there, {escape(fault)}:[/] {escape(sight.place)}")
    if sight.todo:
        item("     ", f"in {escape(sight.todo.path)}, line {sight.todo.line}, where its TODO line is")


def say_following(lab: Lab, found: Progress, step: bool = True) -> None:
    """Say the one next step, or that the exercise, or the lab, is done; without `step` only what to type."""
    if found.is_finished:
        say_end(lab, found)
        return
    task, in_hand = found.task_in_hand, found.in_hand
    if step and task is not None and in_hand is not None:
        number, count = position(task, in_hand)
        item(f"[dim]step {number} of {count}:[/] ", escape(in_hand.step.text))
    say_command(lab, found)


def say_command(lab: Lab, found: Progress) -> None:
    """Say what to type next, and what after it, if that only goes into the workspace."""
    following, after = command(lab, found), then(found)
    if following:
        say_next(following)
        if after:
            say(f"[dim]then:[/] {escape(form(after))}")


def say_end(lab: Lab, found: Progress) -> None:
    """Say that the exercise is done, what was learnt, and what comes after it."""
    number = [each.name for each in lab.exercises].index(found.exercise.name) + 1
    say(f"[bold green]Exercise {number} is done[/]: {escape(found.exercise.title)}.")
    learnt = progress.learnt(found.exercise)
    if learnt:
        say(escape(learnt))
    following = command(lab, found)
    if following:
        say_next(following)
    else:
        say(f"[bold]That was the last exercise of “{escape(lab.title)}”: well done, and thank you for your time.[/]")
        say("Your workspace stays yours: change the app, run it, and see what becomes of it.")


def _number(task: TaskProgress) -> str:
    return task.task.id.rpartition(".")[2]
