"""A desk: everything that a person does in one exercise, for a page to show and to press.

Every action does what the command of the same name does, by the same functions, and nothing else can be done.
"""

import contextlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit import (
    changes,
    editors,
    insertion,
    progress,
    recognition,
    snippets,
    tree,
    usage,
    verdicts,
    watching,
    workspace,
)
from labkit.errors import LabError, UsageError, unknown
from labkit.journal import EditedSinceError
from labkit.lab import Exercise, Lab
from labkit.live.logs import Logs
from labkit.live.runner import Runner, elsewhere
from labkit.live.tailing import Tail
from labkit.live.verifying import Verifier
from labkit.recognition import Sight
from labkit.usage import User
from labkit.workspace import Workspace

if TYPE_CHECKING:
    from labkit.services.postgres.server import Server

Answer = dict[str, Any]
"""What an action answers: `message`, often `next`, and what it found."""

Tell = Callable[[str, str, Any], None]
"""Takes the kind of the news, the exercise's id and the news; called on any thread."""


class Desk:
    """One exercise: its workspace, its app and its checks.

    Args:
        lab: the lab that the exercise is of.
        exercise: the exercise.
        folder: where the workspace is, or is made: in this folder, or this folder itself.
        tell: hears of everything that happens, `state` without news whenever `to_json` may have changed.

    """

    def __init__(self, lab: Lab, exercise: Exercise, folder: Path, tell: Tell) -> None:
        self._lab = lab
        self.exercise = exercise
        self._folder = folder
        self._place: Path | None = None
        self._seen: tuple[Mapping[str, str], Mapping[str, Sight]] = {}, {}
        self._others: Sequence[User] = ()
        self._logs_elsewhere: Logs | None = None
        self._tell = tell
        self._pressed: dict[str, Future[Answer]] = {}
        self._guard = threading.Lock()
        self.runner = Runner(exercise, self._changed, lambda number, line: tell("log", exercise.id, [number, line]))
        self.tail = Tail(self._changed, lambda line: tell("message", exercise.id, line))
        self.verifier = Verifier(self._changed)
        self.watches = False
        self._actions: Mapping[str, Callable[..., Answer]] = {
            "start": self.start,
            "insert": self.insert,
            "undo": self.undo,
            "reset": self.reset,
            "diff": self.diff,
            "open": self.open,
            "hint": self.hint,
            "run": self.run,
            "stop": self.stop,
            "restart": self.restart,
            "verify": self.verify,
            "watch": self.watch,
            "db-start": self.db_start,
            "db-stop": self.db_stop,
            "db-create": self.db_create,
            "db-tables": self.db_tables,
            "db-tail": self.db_tail,
            "db-tail-stop": self.db_tail_stop,
        }

    @property
    def workspace(self) -> Workspace | None:
        """The exercise's workspace, once it is there; where it is, is looked for anew by `find_workspace` only."""
        with contextlib.suppress(LabError):
            if self._place and (found := workspace.read(self._place)).exercise_name == self.exercise.name:
                return found
        return self.find_workspace()

    def find_workspace(self) -> Workspace | None:
        """Look for the workspace as `labkit list` does; one that came without `.labkit` is taken over."""
        found = workspace.of_lab(self._lab, self._folder).get(self.exercise.name)
        self._place = found.folder if found else None
        with contextlib.suppress(LabError):  # it has just gone
            return workspace.read(found.folder, self._lab) if found else None
        return None

    def surroundings(self) -> tuple[int, ...]:
        """What changes when it is worth while to look for the workspace anew."""
        return workspace.surroundings(self._folder)

    def do(self, action: str, arguments: Mapping[str, Any]) -> Answer:
        """Carry an action out and wait for its end; one that is under way already is joined, not done twice.

        Whoever has asked for it looks at `to_json` afterwards, and tells the others.

        Raises LabError if it cannot be done, UsageError for an action or an argument that is not known.
        """
        if action not in self._actions:
            raise unknown("action", action, self._actions)
        given = {name: value for name, value in arguments.items() if value is not None}
        if not all(isinstance(value, str | bool | int) for value in given.values()):
            raise UsageError(f"{action} takes texts, numbers, yes and no only.")
        key = f"{action} {sorted(given.items())}"
        with self._guard:
            under_way = self._pressed.get(key)
            mine: Future[Answer] = Future()
            if under_way is None:
                self._pressed[key] = mine
        if under_way is not None:
            return under_way.result()
        try:
            answer = self._actions[action](**given)
            if action in ("db-start", "db-create", "db-tables", "db-tail"):
                self._note(action.replace("-", " "))
            mine.set_result(answer)
        except TypeError as error:
            wrong = UsageError(f"{action} does not take that: {error}.")
            mine.set_exception(wrong)
            self._changed()
            raise wrong from error
        except BaseException as error:
            mine.set_exception(error)
            self._changed()
            raise
        finally:
            with self._guard:
                del self._pressed[key]
        return answer

    # What it looks like.

    def to_json(self) -> Answer:
        """All that the page shows of this exercise."""
        here = self.workspace
        found = progress.look(self.exercise, here, self._look(here) if here else None)
        in_hand = found.in_hand
        told = progress.pressed(here) if here else {}
        if here:
            self.verifier.learn(verdicts.read(here.folder))
        return {
            "id": self.exercise.id,
            "title": self.exercise.title,
            "minutes": self.exercise.minutes,
            "workspace": tree.nearby(here.folder) if here else None,
            "tasks": [self._task(each, told) for each in found.tasks],
            "next": in_hand.step.id if in_hand and here else None,
            "finished": found.is_finished,
            "app": self._app(here),
            "verify": self.verifier.to_json(tree.digest(here.folder) if here else ""),
            "undo": here.journal.last if here else None,
            "watches": self.watches,
            "database": self.exercise.database is not None,
            "follows": self.tail.name,
        }

    def _app(self, here: Workspace | None) -> Answer:
        self._others = self._running_elsewhere(here) if here else ()
        if here and self._others and self.runner.state in ("stopped", "ended"):
            return elsewhere(self.exercise.app, here.folder, self._others)
        return self.runner.to_json()

    def _running_elsewhere(self, here: Workspace) -> Sequence[User]:
        """Who runs the app beside this guide: `labkit run`, or another guide."""
        return [each for each in usage.users(here.folder) if each.pid != os.getpid()]

    def poll(self) -> None:
        """Look whether what runs, here or in another window, still does, and at the log there."""
        if self.runner.state == "running":
            self.runner.poll()
            self._logs_elsewhere = None
            return
        here = self.workspace if self._others else None
        if here is None:
            self._logs_elsewhere = None
            return
        users = self._running_elsewhere(here)
        self._logs_elsewhere = self._logs_elsewhere or Logs()
        since = max((each.since for each in self._others), default=0)
        for number, line in self._logs_elsewhere.new(here.data / "logs", since):
            self.runner.hear(number, line)
        if users != self._others:
            self._changed()

    @property
    def is_due(self) -> bool:
        """Whether `poll` may find something: an app that runs here tells when, one in another window does not."""
        return self.runner.is_due if self.runner.state == "running" else bool(self._others)

    def _look(self, here: Workspace) -> Mapping[str, Sight]:
        """What is seen of the snippets; looking takes long, so it is done once for the same files."""
        texts = dict(snippets.texts(here.folder))
        known, seen = self._seen
        if known != texts:
            seen = recognition.look(self.exercise, here.folder, texts)
            self._seen = texts, seen
        return seen

    def _task(self, found: progress.TaskProgress, told: Mapping[str, int]) -> Answer:
        steps = [
            {
                "id": each.step.id,
                "text": each.step.text,
                "snippet": each.step.snippet,
                "done": each.done,
                "helps": each.has_deed,
                "told": progress.hints(self.exercise, each.step)[: told[each.step.id]]
                if told.get(each.step.id)
                else [],
            }
            for each in found.steps
        ]
        verified = found.verified
        return {
            "id": found.task.id,
            "title": found.task.title,
            "steps": steps,
            "begun": any(each.done for each in found.steps),
            "passed": found.is_verified,
            "stale": verified is not None and verified.changed_since,
        }

    def on_saved(self, paths: set[str]) -> None:
        """Take in that files of the app have been saved."""
        if self.runner.state == "running":
            self.runner.stale |= {path for path in paths if not self.exercise.app.rereads(path)}
        self.verifier.overtake()
        self._changed()

    def verify_saved(self, paths: set[str]) -> None:
        """Verify the tasks that a save can affect, once the files are whole.

        Raises LabError if the machine or the lab is at fault.
        """
        here = self._there()
        watching.settled(here.folder)
        self.verifier.run(self.exercise, here, watching.affected(self.exercise, paths))
        self._prepare()

    def close(self) -> None:
        """Stop what runs."""
        self.tail.stop()
        self.runner.stop()
        self.verifier.close()

    def _changed(self) -> None:
        self._tell("state", self.exercise.id, None)

    def _prepare(self) -> None:
        """Make ready for the next save."""
        here = self.workspace
        if here and self.watches:
            self.verifier.prepare(self.exercise, here)

    def _note(self, deed: str) -> None:
        """Remember that this command was given, as the command itself does."""
        here = self.workspace
        if here:
            progress.note(self.exercise, here, deed, datetime.now())

    def _there(self) -> Workspace:
        found = self.workspace
        if found is None:
            raise UsageError(f"There is no workspace of {self.exercise.id} yet.", f"labkit start {self.exercise.id}")
        return found

    # What can be pressed.

    def start(self, exercise: str = "") -> Answer:
        """Make the workspace, as `labkit start`."""
        found = self.workspace
        if found:
            return {"message": f"Your workspace is {tree.nearby(found.folder)}."}
        around = workspace.around(self._folder)
        made = workspace.create(
            self._lab, self.exercise, (around.parent if around else self._folder) / self.exercise.name
        )
        return {"message": f"Made your workspace {tree.nearby(made.folder)}."}

    def insert(self, name: str, value: str | None = None) -> Answer:
        """Insert a snippet, as `labkit snippet insert`."""
        here = self._there()
        change = insertion.insert(here.folder, self.exercise, [name], {1: value} if value else None, known=self._seen)
        here.apply(change)
        self._seen = change.texts, change.seen
        (place,) = change.insertions
        if place.already:
            return {"message": f"{place.snippet} is in {place.path} already, line {place.line}.", "path": place.path}
        return {
            "message": f"Inserted {place.snippet} into {place.path}, line {place.line}.",
            "path": place.path,
            "line": place.line,
            "diff": changes.unified(change),
        }

    def undo(self, force: bool = False) -> Answer:
        """Take back labkit's last change, as `labkit undo`."""
        here = self._there()
        try:
            undone = here.undo(force)
        except EditedSinceError as error:
            return {"message": error.message, "asks": "undo", "arguments": {"force": True}}
        return {"message": f"Undone: {undone.what}. What was undone is kept in {tree.nearby(undone.kept)}."}

    def reset(self, file: str | None = None, sure: bool = False) -> Answer:
        """Bring a file, or all, back as the exercise began, as `labkit reset`."""
        here = self._there()
        change = workspace.reset(here.folder, self.exercise, [file] if file else None)
        if not change.files:
            return {"message": "Nothing to reset: all is as the exercise began."}
        names = ", ".join(each.path for each in change.files)
        if not sure:
            asked = {"sure": True} | ({"file": file} if file else {})
            return {"message": f"Bring back as it was at the beginning: {names}?", "asks": "reset", "arguments": asked}
        here.apply(change)
        return {"message": f"Brought back {names}. Undo takes it back."}

    def diff(self) -> Answer:
        """Compare with the exercise's end, as `labkit diff`."""
        differences = workspace.compare(self._there().folder, self.exercise.end)
        message = "What is marked + is still to come." if differences else "Your work is equal to the end."
        return {"message": message, "diff": "".join(each.diff for each in differences)}

    def open(self, path: str | None = None, line: int | None = None) -> Answer:
        """Open a file of the workspace, or all of it, in the person's editor."""
        here = self._there().folder.resolve()
        wanted = (here / path).resolve() if path else here
        if path and not (wanted.is_relative_to(here) and wanted.is_file()):
            raise UsageError(f"There is no file {path} in your workspace.", f"labkit reset {path}")
        editor = editors.show(wanted, line)
        return {"message": f"Opened {path or here.name} in {editor.name}."}

    def hint(self, step: str) -> Answer:
        """Help with a step, a little more each time: a question, a direction, its code, as `labkit hint`."""
        found = next((each for task in self.exercise.tasks for each in task.steps if each.id == step), None)
        if found is None:
            raise UsageError(f"There is no step {step}.", "labkit next")
        level = progress.press(self._there(), found, 0)
        return {"message": progress.hints(self.exercise, found)[level - 1]}

    def run(self) -> Answer:
        """Start the app, as `labkit run`; one that runs in another window is left to it."""
        if urls := self._urls_elsewhere():
            return {"message": f"It runs already, in another window: {urls}."}
        self._note("run")
        return self._run("" if self.runner.start(self._there()) else " already")

    def stop(self) -> Answer:
        """Stop the app, as Ctrl-C at `labkit run`."""
        if self._urls_elsewhere():
            return {"message": "It runs in another window: Ctrl-C there stops it."}
        return {"message": "Stopped." if self.runner.stop() else "It did not run."}

    def restart(self) -> Answer:
        """Start the app anew."""
        if self._urls_elsewhere():
            return {"message": "It runs in another window: r there restarts it."}
        self.runner.start(self._there(), anew=True)
        return self._run(" anew")

    def _urls_elsewhere(self) -> str:
        """Where the app answers that another window runs; nothing if none does, or if this guide does itself."""
        shown = self._app(self.workspace)
        return ", ".join(each["url"] for each in shown["instances"]) if shown["state"] == "elsewhere" else ""

    def _run(self, how: str) -> Answer:
        count = self.exercise.app.instances
        return {"message": f"The app runs{how}." if count == 1 else f"{count} instances of the app run{how}."}

    def verify(self, task: str | None = None) -> Answer:
        """Verify the work, as `labkit verify`."""
        passed = self.verifier.run(self.exercise, self._there(), [self.exercise.task(task)] if task else [])
        if self.watches:
            threading.Thread(target=self._prepare, daemon=True).start()
        which = self.exercise.task(task).title if task else self.exercise.title
        return {"message": f"“{which}” is done." if passed else "Something is not done yet: see the checks."}

    def watch(self, on: bool = True) -> Answer:
        """Verify again on every save, as `labkit verify --watch`."""
        self._there()
        self.watches = on
        threading.Thread(target=self._prepare if on else self.verifier.rest, daemon=True).start()
        return {"message": "Every save is verified now." if on else "Saves are not verified any more."}

    def db_start(self) -> Answer:
        """Start the lab's PostgreSQL, as `labkit db start`."""
        server = self._server().start()
        return {"message": f"PostgreSQL runs at {server.address}."}

    def db_stop(self) -> Answer:
        """Stop it, as `labkit db stop`."""
        return {"message": "PostgreSQL is stopped." if self._server().stop() else "It did not run."}

    def db_create(self, name: str) -> Answer:
        """Create a database, as `labkit db create`."""
        from labkit.services.postgres.server import check_name

        check_name(name)
        here = self._there()
        with self._server().running() as server:
            server.create_database(name)
        here.note_database(name, datetime.now())
        return {"message": f"Created the database {name}."}

    def db_tables(self, name: str | None = None, table: str | None = None) -> Answer:
        """List the tables of a database, or show the newest rows of one, as `labkit db tables`."""
        from labkit.services.postgres import tables

        with self._server().running() as server:
            name = _known(server, name)
            if table is None:
                found = tables.tables(server, name)
                rows = [{"table": each.name, "rows": each.rows} for each in found]
                return {"message": f"The tables of {name}", "lists": name, "columns": ["table", "rows"], "rows": rows}
            content = tables.rows(server, name, table, limit=20)
        return {"message": f"The newest rows of {table}", "columns": list(content.columns), "rows": list(content.rows)}

    def db_tail(self, name: str | None = None) -> Answer:
        """Follow the messages in a database, as `labkit db tail`, while the server runs."""
        here, database = self._there(), self.exercise.database
        if database is None or not database.tail:
            raise UsageError(f"{self.exercise.id} names no tool that shows messages.", "labkit db tables")
        if not self._server().existing():
            raise UsageError("PostgreSQL is not running: nothing writes messages.", f"labkit run {self.exercise.id}")
        with self._server().running() as server:
            name = _known(server, name)
            self.tail.start(database, server, name, here.folder)
        return {"message": f"The messages in {name} are shown as they come."}

    def db_tail_stop(self) -> Answer:
        """Follow the messages no more, as Ctrl-C at `labkit db tail`."""
        return {"message": "Stopped." if self.tail.stop() else "No messages were followed."}

    def _server(self) -> Any:
        from labkit.services.postgres.lab_server import find_server

        if not self.exercise.database:
            raise UsageError(f"{self.exercise.id} has no database.")
        return find_server()


def _known(server: "Server", name: str | None) -> str:
    """The database of that name, else the only one."""
    known = server.databases()
    if name is None and len(known) == 1:
        return known[0]
    if name is None or name not in known:
        raise unknown("database", name or "", known, "labkit db create NAME")
    return name
