"""The instances of a workspace's app, run on behalf of a page: started, watched and stopped on threads of their own."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

from labkit import forwarding, tree, usage
from labkit.errors import LabError
from labkit.instances import Instance, Instances, running
from labkit.lab import App, Exercise
from labkit.live import rendering
from labkit.ports import HOST
from labkit.usage import User
from labkit.workspace import Workspace

State = Literal["stopped", "starting", "running", "ended"]

LINES = 400
"""The most lines of the log that are kept for a page that is opened later."""

HEALTH = 5.0
"""Seconds between two questions to the instances whether they are ready."""

PATIENCE = 2.0
"""Seconds in which an instance has to answer that."""


class Runner:
    """Runs one exercise's app; one call at a time changes it, and every change is told.

    Args:
        exercise: the exercise.
        changed: called, on any thread, after the state has changed.
        line: called, on any thread, with an instance's number and a line of its log.

    """

    def __init__(self, exercise: Exercise, changed: Callable[[], None], line: Callable[[int, str], None]) -> None:
        self._exercise, self._app = exercise, exercise.app
        self._changed = changed
        self._line = line
        self._turn = threading.RLock()
        self._stack = ExitStack()
        self._instances: Instances | None = None
        self.state: State = "stopped"
        self.error: LabError | None = None
        self.lines: deque[tuple[int, str]] = deque(maxlen=LINES)
        self.stale: set[str] = set()
        """The files that were saved since the start."""
        self.silent: list[int] = []
        """The numbers of the instances that run, and do not answer."""
        self._asked = 0.0

    def start(self, workspace: Workspace, anew: bool = False) -> bool:
        """Start the instances and wait until they are ready; False if they run already, and are not wanted anew.

        Raises LabError if they do not start.
        """
        with self._turn:
            if self.poll() and not anew:
                return False
            self._end()
            self.lines.clear()
            self._become("starting")
            stack = ExitStack()
            try:
                note = stack.enter_context(usage.noted(workspace.folder))
                server = None
                if self._exercise.database:
                    from labkit.services.postgres.lab_server import find_server

                    server = stack.enter_context(find_server().running()).url
                self._instances = stack.enter_context(
                    running(
                        self._app,
                        workspace.folder,
                        data=workspace.data,
                        secret=workspace.secret,
                        id=workspace.id,
                        count=self._app.instances,
                        database_server=server,
                        logs=workspace.data / "logs",
                        on_line=self.hear,
                    )
                )
            except BaseException as error:
                stack.close()
                self._become("ended", error if isinstance(error, LabError) else None)
                raise
            self._stack = stack
            note([each.port for each in self.instances])
            self._asked = time.monotonic()
            self._become("running")
            return True

    def stop(self) -> bool:
        """Stop the instances; False if none runs."""
        with self._turn:
            was_running = self._instances is not None
            self._end()
            self._become("stopped")
            return was_running

    def poll(self) -> bool:
        """Whether all instances run. One that has died stops the others, and is told; one that is silent is told."""
        instances = self._instances
        if instances is None:
            return False
        dead = instances.poll()
        if dead is None:
            self._ask(instances)
            return True
        with self._turn:
            if instances is self._instances:  # nobody has just stopped it
                who = "The app" if len(instances.list) == 1 else f"Instance {dead.number}"
                ended = f"{who} has ended with exit code {instances.exit_status(dead)}."
                self._end()
                self._become("ended", LabError(ended, "Read its log, mend it, run it."))
        return False

    @property
    def is_due(self) -> bool:
        """Whether `poll` has something to do: an instance has died, or is to be asked if it is ready."""
        instances = self._instances
        is_time = self._is_asked and time.monotonic() >= self._asked + HEALTH
        return instances is not None and (is_time or instances.poll() is not None)

    @property
    def _is_asked(self) -> bool:
        """Whether the app is asked now and then if it is ready: not by the page that people visit, which may count."""
        return self._app.ready != self._app.home

    def _ask(self, instances: Instances) -> None:
        """Ask the instances now and then whether they are ready."""
        if not self._is_asked or time.monotonic() < self._asked + HEALTH:
            return
        silent = [each.number for each in instances.silent(PATIENCE)]
        self._asked = time.monotonic()
        if silent != self.silent and instances is self._instances:
            self.silent = silent
            self._changed()

    @property
    def instances(self) -> list[Instance]:
        """Those that run."""
        instances = self._instances
        return instances.list if instances else []

    def to_json(self) -> dict[str, Any]:
        """The state as the page shows it; `pages` are those that are looked at side by side."""
        return {
            "state": self.state,
            **_addresses(self._app, [each.port for each in self.instances]),
            "silent": self.silent,
            "stale": sorted(self.stale),
            "error": rendering.told(self.error.message, self.error.next) if self.error else None,
        }

    def hear(self, number: int, line: str) -> None:
        """Take in a line of an instance's log, and tell it."""
        if self._is_asked and f'"GET {self._app.ready} ' in line:  # nobody asked but `_ask`
            return
        self.lines.append((number, line))
        self._line(number, line)

    def _end(self) -> None:
        self._instances = None
        self.stale.clear()
        self.silent = []
        self._stack.close()
        self._stack = ExitStack()

    def _become(self, state: State, error: LabError | None = None) -> None:
        self.state, self.error = state, error
        self._changed()


def elsewhere(app: App, folder: Path, users: Sequence[User]) -> dict[str, Any]:
    """The same of an app in `folder` that others run, in another window: what was started there last."""
    last = max(users, key=lambda user: (bool(user.ports), user.since))
    stale = [path for path in tree.app_files(folder) if last.ports and not app.rereads(path)]
    return {
        "state": "elsewhere",
        **_addresses(app, last.ports),
        "silent": [],
        "stale": [path for path in stale if _saved(folder / path) > last.since],
        "error": None,
    }


def _addresses(app: App, ports: Sequence[int]) -> dict[str, Any]:
    urls = [forwarding.page(f"http://{HOST}:{port}") for port in ports]
    paths = (app.side_by_side or (app.home, app.home)) if urls else ()
    return {
        "instances": [{"number": number, "url": url} for number, url in enumerate(urls, start=1)],
        "pages": [urls[at % len(urls)] + path for at, path in enumerate(paths)],
    }


def _saved(path: Path) -> float:
    """When a file was saved, in seconds since the epoch; 0 for one that has just gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0
