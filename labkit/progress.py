"""How far a workspace is: which steps are done, which is in hand, and what comes next.

A step is done when its deed is done: the code of its snippet is there, its command was given in the workspace, its
database was created, or its task was verified. Steps that only tell something to read or to click are done with the
deed that follows them. Deeds that leave nothing in the code are remembered in `.labkit/progress.json`.
"""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from labkit import documents, language, recognition, snippets, tree, verdicts
from labkit.chapter import Step, Task
from labkit.files import locked, write_whole
from labkit.lab import Exercise
from labkit.recognition import Sight
from labkit.workspace import Workspace

_NAME = "progress.json"


@dataclass(frozen=True)
class Verified:
    """The last verdict on a task; `changed_since` tells whether a file of the app is another one now."""

    passed: bool
    when: datetime
    changed_since: bool


@dataclass(frozen=True)
class StepProgress:
    """A step with whether it is done; `sight` is what is seen of its snippet, if it has one.

    `has_deed` is true for a step of whose deed labkit can know, false for one that is only read or clicked.
    `passed_over` is true for one that was left out, and that nobody is sent back to.
    """

    step: Step
    done: bool
    has_deed: bool
    sight: Sight | None = None
    passed_over: bool = False

    @property
    def state(self) -> str | None:
        """The state of its snippet, see `recognition.Sight.state`; None if it has none."""
        return self.sight.state if self.sight else None


@dataclass(frozen=True)
class TaskProgress:
    """A task's steps with how far each is, and the last verdict on it, if it was ever verified."""

    task: Task
    steps: tuple[StepProgress, ...]
    verified: Verified | None = None

    @property
    def states(self) -> dict[str, str]:
        """The state of each of its snippets."""
        return {each.step.snippet or "": each.state for each in self.steps if each.state}

    @property
    def done(self) -> int:
        """For how many of its snippets the code is there."""
        return sum(each.sight is not None and each.sight.is_done for each in self.steps)

    @property
    def total(self) -> int:
        """How many snippets it has."""
        return sum(each.step.snippet is not None for each in self.steps)

    @property
    def is_verified(self) -> bool:
        """Whether all its checks passed when they last ran."""
        return self.verified is not None and self.verified.passed

    @property
    def is_done(self) -> bool:
        """Whether every step is done, or passed over."""
        return all(each.done or each.passed_over for each in self.steps)


@dataclass(frozen=True)
class Progress:
    """How far an exercise is in a workspace; None for one that was not started."""

    exercise: Exercise
    workspace: Workspace | None
    tasks: tuple[TaskProgress, ...]

    @property
    def steps(self) -> tuple[StepProgress, ...]:
        """All steps, in their order."""
        return tuple(step for task in self.tasks for step in task.steps)

    @cached_property
    def in_hand(self) -> StepProgress | None:
        """The first step whose deed is not done; None if only the last verification is left, or nothing."""
        return next((each for each in self.steps if each.has_deed and not (each.done or each.passed_over)), None)

    @property
    def task_in_hand(self) -> TaskProgress | None:
        """The task of the step in hand, else the first that was not verified."""
        step = self.in_hand
        if step is not None:
            return next(task for task in self.tasks if step in task.steps)
        return next((task for task in self.tasks if not task.is_verified), None)

    @property
    def is_verified(self) -> bool:
        """Whether all checks of all tasks passed when they last ran."""
        return bool(self.tasks) and all(task.is_verified for task in self.tasks)

    @property
    def is_finished(self) -> bool:
        """Whether all checks passed on the files as they are now."""
        return self.is_verified and not any(task.verified.changed_since for task in self.tasks if task.verified)

    @property
    def command(self) -> str | None:
        """What to type next in this workspace; None if the exercise is finished."""
        if self.is_finished:
            return None
        step = self.in_hand
        if step is None or self.is_verified:
            return f"labkit verify {self.exercise.id}"
        if step.sight is not None:
            return f"labkit snippet insert {step.sight.snippet}"
        return step.step.command


def look(exercise: Exercise, workspace: Workspace | None, seen: Mapping[str, Sight] | None = None) -> Progress:
    """How far the exercise is in this workspace; without one everything is still to do.

    `seen` is what is seen of the snippets, if that is known already.
    """
    if workspace is None:
        tasks = [TaskProgress(task, tuple(_untouched(step) for step in task.steps)) for task in exercise.tasks]
        return Progress(exercise, None, tuple(tasks))
    seen = recognition.look(exercise, workspace.folder) if seen is None else seen
    given = _read(workspace).get("deeds", {})
    verified = _verified(workspace.folder)
    databases = bool(workspace.record.databases)
    all_passed = all(task.id in verified and verified[task.id].passed for task in exercise.tasks)
    tasks = []
    for task in exercise.tasks:
        verdict = verified.get(task.id)
        steps = []
        for step in task.steps:
            sight = seen.get(step.snippet or "")
            deed = deed_of(step.command)
            if sight is not None:
                done = all(seen[name].is_done for name in step.inserted if name in seen)
                done = done or (verdict is not None and verdict.passed and not verdict.changed_since)
            else:
                # Checks of a task without code pass from the start: only with all the others they prove a deed.
                proved = all_passed or (verdict is not None and verdict.passed and _has_code(task))
                done = step.id in given or deed == "start" or (deed == "db create" and databases) or proved
            steps.append(StepProgress(step, done and bool(sight or deed), bool(sight or deed), sight))
        tasks.append(TaskProgress(task, tuple(steps), verdict))
    return Progress(exercise, workspace, tuple(_with_passed_over(tasks)))


def deed_of(command: str | None) -> str | None:
    """What a command of the chapter does, without its arguments, such as `run` or `db create`; None if labkit is none
    of it, or if it leaves no trace that matters.
    """
    words = _words(command or "")
    if words[:1] != ["labkit"] or len(words) < 2:
        return None
    name = " ".join(words[1:3]) if words[1] == "db" else words[1]
    return name if name.startswith("db ") or name in ("start", "run", "verify") else None


def note(exercise: Exercise, workspace: Workspace, deed: str, now: datetime) -> None:
    """Remember that a command was given: it does the first such step that is still to do, if all code before it is
    there.
    """
    step = next(_open_steps(look(exercise, workspace), deed), None)
    if step is None:
        return

    def add(document: dict[str, Any]) -> None:
        document.setdefault("deeds", {})[step.step.id] = now.astimezone().isoformat(timespec="seconds")

    _change(workspace, add)


def press(workspace: Workspace, step: Step, level: int) -> int:
    """Remember how far a step's hints were asked for: the next one, or `level` if that is given; tells which it is."""
    reached = level

    def add(document: dict[str, Any]) -> None:
        nonlocal reached
        hints = document.setdefault("hints", {})
        reached = level or min(int(hints.get(step.id, 0)) + 1, 3)
        hints[step.id] = reached

    _change(workspace, add)
    return reached


def pressed(workspace: Workspace) -> Mapping[str, int]:
    """How far the hints of each step were asked for, by its id."""
    given = _read(workspace).get("hints", {})
    return {step: level for step, level in given.items() if isinstance(level, int)}


def hints(exercise: Exercise, step: Step) -> list[str]:
    """The question, the direction and the code of a step; what the author did not write follows from the chapter."""
    name = step.snippet
    place = snippets.home(exercise, name) if name else None
    written = exercise.hint(step)
    question = written.question if written else (f"{place.text[:1].upper()}{place.text[1:]}." if place else step.prose)
    if place:
        around = (snippets.enclosing(exercise, place) or "").removesuffix(":")
        where = language.translated(
            f"It belongs into {place.path}, inside {around}, where the line “TODO {name}” is."
            if around
            else f"It belongs into {place.path}, where the line “TODO {name}” is."
        )
    else:
        typed = language.translated("It is typed in a terminal, in the folder of your workspace.")
        where = typed if step.commands else ""
    direction = " ".join(filter(None, [written.direction if written else "", where])) or step.prose
    code = snippets.fill(exercise.snippets[name].text) if name else "\n".join(step.commands) or step.source
    return [question, direction, code]


def learnt(exercise: Exercise) -> str:
    """What the chapter's summary says: its first paragraph, without markup; empty if there is none."""
    match = re.search(r"^## [^\n]*\n+(.+?)(?:\n\s*\n|\Z)", exercise.chapter.end, re.MULTILINE | re.DOTALL)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match[1]) if match else ""
    return " ".join(re.sub(r"[*`]", "", text).split())


def _untouched(step: Step) -> StepProgress:
    return StepProgress(step, False, bool(step.snippet) or deed_of(step.command) is not None)


def _has_code(task: Task) -> bool:
    return any(step.snippet for step in task.steps)


def _with_passed_over(tasks: list[TaskProgress]) -> Iterator[TaskProgress]:
    """The tasks, with what a later deed has passed over.

    That is what is only read or clicked, after any deed; and a look at something (running the app, listing tables),
    after a deed that changes something: nobody is sent back to look at what is different by now.
    """
    looked, changed = all(task.is_verified for task in tasks), False
    turned = []
    for task in reversed(tasks):
        steps = []
        for each in reversed(task.steps):
            changes = each.sight is not None or deed_of(each.step.command) == "db create"
            over = not each.done and not changes and (changed or (looked and not each.has_deed))
            looked = looked or each.done
            changed = changed or (changes and each.done)
            steps.append(replace(each, passed_over=over))
        turned.append(TaskProgress(task.task, tuple(reversed(steps)), task.verified))
    yield from reversed(turned)


def _open_steps(progress: Progress, deed: str) -> Iterator[StepProgress]:
    for each in progress.steps:
        if each.sight is not None and not each.done:
            return
        if not each.done and deed_of(each.step.command) == deed:
            yield each


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def _verified(folder: Path) -> dict[str, Verified]:
    kept = verdicts.read(folder)
    if not kept:
        return {}
    digest = tree.digest(folder)
    found = {}
    for id_, each in kept.items():
        try:
            when = datetime.fromisoformat(each["when"])
        except (KeyError, TypeError, ValueError):
            continue
        found[id_] = Verified(bool(each.get("passed")), when, each["digest"] != digest)
    return found


def _path(workspace: Workspace) -> Path:
    return workspace.folder / ".labkit" / _NAME


def _read(workspace: Workspace) -> Mapping[str, Any]:
    try:
        document = documents.read_json(_path(workspace))
    except (OSError, ValueError):
        return {}  # nothing depends on it: it is made anew
    if not isinstance(document, dict):
        return {}
    return {name: value for name, value in document.items() if isinstance(value, dict)}


def _change(workspace: Workspace, add: Callable[[dict[str, Any]], None]) -> None:
    with locked(workspace.folder / ".labkit" / "lock"):
        document = dict(_read(workspace))
        add(document)
        write_whole(_path(workspace), documents.json_of({**document, "schema": 1}))
