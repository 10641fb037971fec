"""The app under verification: a copy of the subject that runs, with data, databases and ports of its own."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from labkit import tree, workspace
from labkit.errors import MachineError, UsageError
from labkit.sandbox import Sandbox
from labkit.verify.stage import RunningInstance
from labkit.verify.subject import Subject

if TYPE_CHECKING:
    from labkit.instances import Instances
    from labkit.services.postgres.server import Server


@dataclass(frozen=True)
class RunningCopy:
    """A copy of the app in `folder` whose instances run.

    `server` is theirs alone, if they need one; else `url` is that of a service in its place, if they need that.
    """

    folder: Path
    data: Path
    instances: "Instances"
    server: "Server | None"
    url: str | None = None

    @property
    def running(self) -> tuple[RunningInstance, ...]:
        """The instances as checks see them."""
        return tuple(RunningInstance(each.number, each.url, each.log, each.pid) for each in self.instances.list)


def logs(folder: Path) -> Path:
    """Where the logs of a running copy are, or of one that did not start."""
    return data_folder(folder) / "logs"


def place(subject: Subject, temporary: Path) -> Path:
    """Where in a temporary folder the copy goes: the names that the app can see around it are the subject's own."""
    return temporary / "copy" / subject.folder.parent.name / subject.folder.name


def copy(subject: Subject, to: Path) -> None:
    """Copy the subject's app, into a folder that looks like its own.

    Raises MachineError if that cannot be done, and UsageError if a file of begin has become too large to be one.
    """
    try:
        workspace.copy_app(subject.folder, to)
        for path in subject.folder.iterdir():
            _take(path, to / path.name)
    except OSError as error:
        raise MachineError(
            f"Cannot copy {subject.folder}: {error.strerror or error}.", "Free some disk space, then repeat."
        ) from error
    for name in tree.app_files(subject.exercise.begin):
        if not (to / name).exists() and (mine := subject.folder / name).is_file():
            size = mine.stat().st_size // 1_000_000
            next_step = f"labkit reset {tree.argument(Path(name))}"
            raise UsageError(f"{name} has {size} MB: nobody writes such a file.", next_step)


def _take(path: Path, to: Path) -> None:
    """Take along what is beside the app in a workspace: labkit's files, and of folders no more than their names."""
    if path.is_symlink() or to.exists():
        return
    if path.is_dir():
        to.mkdir()
    elif path.name in tree.BESIDE and path.is_file() and path.stat().st_size < tree.LARGE:
        shutil.copyfile(path, to)


@contextmanager
def run(subject: Subject, folder: Path, server: "Server | None", url: str | None = None) -> Iterator[RunningCopy]:
    """Run the copy in `folder` until the `with` block ends; `url` is that of a service in the server's place.

    Raises AppDidNotStart for what the app did, MachineError for what the machine did.
    """
    from labkit import instances

    app, url = subject.exercise.app, server.url if server else url
    # The copy has no environment of its own; the workspace may have one.
    python = str(instances.interpreter(subject.folder))
    command = tuple(part.replace("{python}", python) for part in app.command)
    data = data_folder(folder)
    logs(folder).mkdir(parents=True)
    watch = subject.watch
    variables = {**app.environment, **(watch.environment if watch else {})}
    with instances.running(
        # A verdict does not depend on who verifies: nothing of theirs is passed on.
        replace(app, command=command, environment=variables, pass_environment=()),
        folder,
        data=data,
        secret=secrets.token_hex(32),
        id=secrets.token_hex(4),
        count=app.instances + app.onlookers,
        database_server=url,
        logs=logs(folder),
        on_line=watch.hear if watch else None,
        grace=0,
        sandbox=Sandbox(write=(folder,), connect=_ports(url)),
    ) as started:
        yield RunningCopy(folder, data, started, server, None if server else url)


def data_folder(folder: Path) -> Path:
    """The folder for what the copy in `folder` stores, as it is in a workspace: that is what the app can see."""
    return folder / ".labkit" / "data"


def _ports(url: str | None) -> tuple[int, ...]:
    """The port of a server that is reached over the network."""
    parts = urlsplit(url or "")
    return (parts.port or 5432,) if parts.hostname else ()
