"""A lab is data: exercises with tasks and steps, their apps, snippets and checks. This module finds and reads it."""

import difflib
import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from labkit import __version__, form
from labkit.errors import UsageError, unknown
from labkit.files import read_text

BUNDLED = Path(__file__).parent / "_lab"
"""Where setup.py puts the lab in an installed labkit."""


@dataclass(frozen=True)
class Step:
    """One numbered instruction of a task; `snippet` or `command` is what carries it out."""

    text: str
    snippet: str | None = None
    command: str | None = None


@dataclass(frozen=True)
class Task:
    """A task of an exercise; its id is `ex1.2`."""

    id: str
    title: str
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class App:
    """How an exercise's app is run; `{python}`, `{port}`, `{data}`, … are filled in for each instance."""

    command: tuple[str, ...]
    ready: str
    home: str
    instances: int
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Database:
    """The lab's PostgreSQL, for an exercise that needs it.

    `solution` names the databases of the lab's own end; `snippet` is the one whose first placeholder is the
    database's name; `tail` is the command that shows an application's messages as they arrive.
    """

    solution: tuple[str, ...]
    snippet: str
    tail: tuple[str, ...]


@dataclass(frozen=True)
class Snippet:
    """A named piece of code that replaces the TODO line of the same name."""

    name: str
    path: Path

    @property
    def text(self) -> str:
        """The snippet as its file has it, placeholders included, with line feeds."""
        return read_text(self.path)


@dataclass(frozen=True)
class Exercise:
    """One exercise of the lab: `name` is its folder's, `id` the name's first word.

    `continues` names the exercise whose end is this one's begin, but for the TODO lines.
    """

    name: str
    folder: Path
    snippets_folder: Path
    title: str
    minutes: int
    app: App
    database: Database | None
    tasks: tuple[Task, ...]
    continues: str | None = None

    @property
    def id(self) -> str:
        """The short id, e.g. `ex1` of `ex1-realtime`; in small letters, whatever its folder has."""
        return id_of(self.name)

    @property
    def begin(self) -> Path:
        """The app folder that a trainee starts from."""
        return self.folder / "begin"

    @property
    def end(self) -> Path:
        """The app folder with every snippet inserted."""
        return self.folder / "end"

    @property
    def checks(self) -> Path:
        """The folder of the Playwright checks."""
        return self.folder / "checks"

    def solution(self, name: str) -> Path:
        """The folder of `begin` or `end`."""
        return {"begin": self.begin, "end": self.end}[name]

    @cached_property
    def snippets(self) -> dict[str, Snippet]:
        """The snippets by name, in the order of the steps that insert them, then the rest."""
        files = {path.stem: path for path in sorted(self.snippets_folder.glob("[!.]*")) if path.is_file()}
        ordered = [step.snippet for task in self.tasks for step in task.steps if step.snippet in files]
        names = dict.fromkeys([*filter(None, ordered), *files])
        return {name: Snippet(name, files[name]) for name in names}

    def task(self, text: str) -> Task:
        """The task that `2`, `ex1.2` or a unique beginning of its title names."""
        wanted = text.strip().lower()
        for task in self.tasks:
            if wanted in (task.id, task.id.split(".")[1]):
                return task
        titled = [task for task in self.tasks if task.title.lower().startswith(wanted)]
        if wanted and len(titled) == 1:
            return titled[0]
        raise unknown("task", text, [task.id for task in self.tasks], f"labkit list {self.id}")

    def snippet(self, text: str, prefix: str = "") -> Snippet:
        """The snippet of that name, in any case and punctuation; the lab's full form `PREFIX - Ex1 - Name` too."""
        plain = _plain(text)
        for leading in (_plain(prefix), _plain(self.id)):
            plain = plain.removeprefix(leading) if leading else plain
        for snippet in self.snippets.values():
            if plain in (_plain(snippet.name), _plain(snippet.path.name)):
                return snippet
        near = difflib.get_close_matches(plain, map(_plain, self.snippets), n=3, cutoff=0.5)
        names = [name for name in self.snippets if _plain(name) in near]
        hint = f"Did you mean {' or '.join(names)}?" if names else f"There is: {', '.join(self.snippets)}."
        raise UsageError(f"Unknown snippet “{text}” in {self.id}. {hint}", f"labkit snippet list {self.id}")


@dataclass(frozen=True)
class Lab:
    """A lab: its folder holds lab.toml, exercises/ and snippets/."""

    folder: Path
    title: str
    version: str
    snippet_prefix: str
    packages: tuple[str, ...]
    exercises: tuple[Exercise, ...]

    def exercise(self, text: str) -> Exercise:
        """The exercise that `ex1`, `ex1-realtime` or a unique beginning names."""
        wanted = text.strip().lower()
        for exercise in self.exercises:
            if wanted in (exercise.id, exercise.name.lower()):
                return exercise
        found = [exercise for exercise in self.exercises if wanted and exercise.name.lower().startswith(wanted)]
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(f"“{text}” may be {' or '.join(e.id for e in found)}: say which.", "labkit list")
        raise unknown("exercise", text, [exercise.id for exercise in self.exercises], "labkit list")


def find_lab(folder: Path | None = None) -> Lab:
    """Read the lab in `folder`, else in `$LABKIT_LAB`, else the one that made the workspace round the current folder,
    else the one whose folder this is, else the one that labkit carries (wheel or checkout).
    """
    if folder is None and os.environ.get("LABKIT_LAB"):
        folder = Path(os.environ["LABKIT_LAB"])
    if folder is None:
        folder = _lab_round(Path.cwd())
    if folder is None:
        folder = carried_lab()
    if not (folder / "lab.toml").is_file():
        raise UsageError(f"No lab in {folder}: it has no lab.toml.", "labkit new lab NAME makes one")
    folder = folder.resolve()
    table = _read(folder / "lab.toml", form.LAB)
    return Lab(
        folder=folder,
        title=table["title"],
        version=table.get("version", __version__),
        snippet_prefix=table.get("snippet-prefix", ""),
        packages=tuple(table.get("packages", ())),
        exercises=tuple(_exercise(folder, name) for name in table["exercises"]),
    )


def carried_lab() -> Path:
    """The folder of the lab that labkit carries: in an installed labkit, or in its checkout."""
    return BUNDLED if (BUNDLED / "lab.toml").is_file() else Path(__file__).parent.parent


def _lab_round(start: Path) -> Path | None:
    """The lab that a workspace at or above `start` was made from with `--lab`; else the one that `start` is in."""
    for folder in (start, *start.parents):
        try:
            remembered = json.loads((folder / ".labkit" / "workspace.json").read_bytes())["lab"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        return Path(remembered) if remembered and (Path(remembered) / "lab.toml").is_file() else None
    return next((folder for folder in (start, *start.parents) if (folder / "lab.toml").is_file()), None)


def _exercise(lab: Path, name: str) -> Exercise:
    folder = lab / "exercises" / name
    table = _read(folder / "exercise.toml", form.EXERCISE)
    app, database = table["app"], table.get("database")
    return Exercise(
        name=name,
        folder=folder,
        snippets_folder=lab / "snippets" / name,
        title=table["title"],
        minutes=table.get("minutes", 30),
        app=App(
            command=tuple(app["command"]),
            ready=app["ready"],
            home=app.get("home", "/"),
            instances=app.get("instances", 1),
            environment=dict(app.get("environment", {})),
        ),
        database=Database(
            solution=tuple(database["solution"]),
            snippet=database["snippet"],
            tail=tuple(database.get("tail", ())),
        )
        if database
        else None,
        tasks=tuple(
            Task(
                id=f"{id_of(name)}.{number}",
                title=task["title"],
                steps=tuple(Step(**step) for step in task.get("step", ())),
            )
            for number, task in enumerate(table.get("task", ()), start=1)
        ),
        continues=table.get("continues"),
    )


def _read(path: Path, wanted: form.Form) -> dict[str, Any]:
    try:
        table = tomllib.loads(read_text(path))
    except FileNotFoundError:
        raise UsageError(f"{path} is missing.", "Restore the file, or name another lab with --lab DIR.") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}.", "Mend the file.") from error
    form.check(path, table, wanted)
    return table


def id_of(name: str) -> str:
    """The short id of the exercise whose folder has this name."""
    return name.split("-")[0].lower()


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
