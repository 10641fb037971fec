"""A lab is data: exercises with tasks and steps, their apps, snippets and checks. This module finds and reads it."""

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

from labkit import __version__, chapter, documents, form, known, language, prose
from labkit.chapter import Chapter, Step, Task
from labkit.errors import UsageError, unknown
from labkit.files import read_text
from labkit.tree import argument

BUNDLED = Path(__file__).parent / "_lab"
"""Where setup.py puts the lab in an installed labkit."""


@dataclass(frozen=True)
class App:
    """How an exercise's app is run; `{python}`, `{port}`, `{data}`, … are filled in for each instance."""

    command: tuple[str, ...]
    ready: str
    home: str
    instances: int
    environment: Mapping[str, str]
    pass_environment: tuple[str, ...] = ()
    """The environment variables, `*` for any end of a name, that an app gets from whoever runs it."""
    decode: tuple[str, ...] = ()
    """The command that says what the app's WebSocket frames mean, see `report.frames`."""

    reread: tuple[str, ...] = ()
    """Patterns of the files that a running instance reads anew for each request: pages and scripts."""

    side_by_side: tuple[str, ...] = ()
    """The paths of the two pages that are looked at next to each other; of several instances each has one."""

    onlookers: int = 0
    """How many instances more than `instances` run while the app is verified, on which nobody works."""

    def rereads(self, path: str) -> bool:
        """Whether a running instance follows a change of this file; the path is the app's, with slashes."""
        return any(fnmatchcase(path, pattern) for pattern in self.reread)


@dataclass(frozen=True)
class Database:
    """The lab's PostgreSQL, for an exercise that needs it.

    `solution` names the databases of the lab's own end; `snippet` is the one whose first placeholder is the
    database's name; `tail` is the command that shows an application's messages as they arrive, which finds the
    database's URL in the environment variable `tail_variable`, if that is named. `requires` is the requirement that the
    app declares for PostgreSQL; `instead` has the services that may stand in for it, each with the requirement that the
    app declares for it.
    """

    solution: tuple[str, ...]
    snippet: str
    tail: tuple[str, ...]
    tail_variable: str | None = None
    requires: str | None = None
    instead: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Kind:
    """A kind of messages that is measured: `rate` of them a second are sent by the app as a whole, or `by_clients`, by
    each client.
    """

    name: str
    title: str
    rate: int
    by_clients: bool

    def wanted(self, clients: int) -> int:
        """How many messages a second that makes with so many clients."""
        return self.rate * (clients if self.by_clients else 1)


@dataclass(frozen=True)
class Measurement:
    """What `labkit measure` measures: the `kinds` of messages, each with so many `instances` of the app in turn.

    `command` runs an instance in the place of the app's own command, `clients` what sends and hears at one instance;
    both may import what the exercise has in `measure/`.
    """

    command: tuple[str, ...]
    clients: tuple[str, ...]
    instances: tuple[int, ...]
    kinds: tuple[Kind, ...]


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
class Hint:
    """Help with a step that does not give its code away: first a question, then a direction."""

    question: str
    direction: str


@dataclass(frozen=True)
class Exercise:
    """One exercise of the lab: `name` is its folder's, `id` the name's first word.

    Title, minutes, tasks and steps are its chapter's, which is read when it is asked for; that raises UsageError if the
    chapter cannot be read. `continues` names the exercise whose end is this one's begin, but for the TODO lines.
    """

    name: str
    folder: Path
    snippets_folder: Path
    app: App
    database: Database | None
    measurement: Measurement | None = None
    continues: str | None = None
    points: Mapping[str, int] = field(default_factory=dict)
    """The points of tasks by their numbers; a task that is not named has one."""

    @property
    def id(self) -> str:
        """The short id, e.g. `ex1` of `ex1-realtime`; in small letters, whatever its folder has."""
        return id_of(self.name)

    @cached_property
    def chapter(self) -> Chapter:
        """What the trainee reads: the title, the tasks and their steps."""
        path = self.folder / "README.md"
        found = chapter.read(path, self.id)
        said = prose.in_language(found.source, self._lab)
        return found if said == found.source else chapter.parse(said, self.id, path)

    @property
    def _lab(self) -> Path:
        return self.folder.parent.parent

    @cached_property
    def hints(self) -> dict[str, Hint]:
        """The hints by what carries their step out: the name of a snippet, or a command.

        Raises UsageError if hints.toml, which may be missing, is not as it has to be.
        """
        path = self.folder / "hints.toml"
        if not path.is_file():
            return {}
        table = read_toml(path, None)
        for key, hint in table.items():
            form.check_table(path, hint, form.HINT, key)
        said = {
            key: {name: language.of_lab(self._lab, text) for name, text in hint.items()} for key, hint in table.items()
        }
        return {key: Hint(**hint) for key, hint in said.items()}

    def hint(self, step: Step) -> Hint | None:
        """The hint for a step, if it has one."""
        return self.hints.get(step.snippet or step.command or "")

    @property
    def title(self) -> str:
        """The exercise's title."""
        return self.chapter.title

    @property
    def minutes(self) -> int:
        """How many minutes the exercise takes."""
        return self.chapter.minutes

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks, in their order."""
        return self.chapter.tasks

    def points_of(self, task: str) -> int:
        """The points that a task earns whoever has done it; the task by its id."""
        return self.points.get(task.rpartition(".")[2], 1)

    @property
    def possible_points(self) -> int:
        """The points of all tasks."""
        return sum(self.points_of(task.id) for task in self.tasks)

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

    @property
    def measuring(self) -> Path:
        """The folder of the modules that measure the app."""
        return self.folder / "measure"

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
    manual: tuple[str, ...]
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

    Raises UsageError if the lab is not in order, or if a folder has chosen one that nobody has named here before.
    """
    named = folder or (Path(os.environ["LABKIT_LAB"]) if os.environ.get("LABKIT_LAB") else None)
    folder = named or _lab_round(Path.cwd()) or carried_lab()
    if not (folder / "lab.toml").is_file():
        raise UsageError(f"No lab in {folder}: it has no lab.toml.", "labkit new lab NAME makes one")
    folder = folder.resolve()
    if named:
        known.trust(folder)
    elif folder != carried_lab().resolve() and not known.trusts(folder):
        raise UsageError(
            f"The lab in {folder} was never used on this machine. "
            "Its checks are programs: they may do all that you may.",
            f"If you trust it, name it once: --lab {argument(folder)}",
        )
    language.use_lab(folder)
    table = read_toml(folder / "lab.toml", form.LAB)
    return Lab(
        folder=folder,
        title=table["title"],
        version=table.get("version", __version__),
        snippet_prefix=table.get("snippet-prefix", ""),
        packages=tuple(table.get("packages", ())),
        manual=tuple(table.get("manual", ())),
        exercises=tuple(_exercise(folder, name) for name in table["exercises"]),
    )


def carried_lab() -> Path:
    """The folder of the lab that labkit carries: in an installed labkit, or in its checkout."""
    return BUNDLED if (BUNDLED / "lab.toml").is_file() else Path(__file__).parent.parent


def _lab_round(start: Path) -> Path | None:
    """The lab that a workspace at or above `start` was made from with `--lab`; else the one that `start` is in."""
    for folder in (start, *start.parents):
        try:
            remembered = documents.read_json(folder / ".labkit" / "workspace.json")["lab"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        named = Path(remembered) if isinstance(remembered, str) and "\0" not in remembered else None
        return named if named and (named / "lab.toml").is_file() else None
    return next((folder for folder in (start, *start.parents) if (folder / "lab.toml").is_file()), None)


def _exercise(lab: Path, name: str) -> Exercise:
    folder = lab / "exercises" / name
    table = read_toml(folder / "exercise.toml", form.EXERCISE)
    app, database = table["app"], table.get("database")
    return Exercise(
        name=name,
        folder=folder,
        snippets_folder=lab / "snippets" / name,
        app=App(
            command=tuple(app["command"]),
            ready=app["ready"],
            home=app.get("home", "/"),
            instances=app.get("instances", 1),
            environment=dict(app.get("environment", {})),
            pass_environment=tuple(app.get("pass-environment", ())),
            decode=tuple(app.get("decode", ())),
            reread=tuple(app.get("reread", ())),
            side_by_side=tuple(app.get("side-by-side", ())),
            onlookers=app.get("onlookers", 0),
        ),
        database=Database(
            solution=tuple(database["solution"]),
            snippet=database["snippet"],
            tail=tuple(database.get("tail", ())),
            tail_variable=database.get("tail-variable"),
            requires=database.get("requires"),
            instead=dict(database.get("instead", {})),
        )
        if database
        else None,
        measurement=_measurement(lab, table["measure"]) if "measure" in table else None,
        continues=table.get("continues"),
        points=dict(table.get("points", {})),
    )


def _measurement(lab: Path, table: Mapping[str, Any]) -> Measurement:
    return Measurement(
        command=tuple(table["command"]),
        clients=tuple(table["clients"]),
        instances=tuple(table["instances"]),
        kinds=tuple(
            Kind(each["name"], language.of_lab(lab, each["title"]), each["rate"], each["sender"] == "client")
            for each in table["kind"]
        ),
    )


def read_toml(path: Path, wanted: form.Form | None) -> dict[str, Any]:
    """Read a TOML file of that form; raises UsageError, which names the file and the entry, if it has another one."""
    try:
        table = documents.parse_toml(read_text(path))
    except FileNotFoundError:
        raise UsageError(f"{path} is missing.", "Restore the file, or name another lab with --lab DIR.") from None
    except ValueError as error:
        raise UsageError(f"{path} is not valid TOML: {error}.", "Mend the file.") from error
    if wanted is not None:
        form.check(path, table, wanted)
    return table


def id_of(name: str) -> str:
    """The short id of the exercise whose folder has this name."""
    return name.split("-")[0].lower()


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())
