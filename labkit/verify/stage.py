"""What the checks act on: the running instances of the app, its folder, and its databases."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from labkit.files import read_safely
from labkit.instances import MOST_LOG
from labkit.services.postgres.server import Server
from labkit.verify.causes.finding import Finding


@dataclass(frozen=True)
class RunningInstance:
    """One running instance of the app under verification."""

    number: int
    url: str
    log: Path
    pid: int | None = None
    _provoked: list[range] = field(default_factory=list, compare=False)

    def lines(self) -> list[str]:
        """Its log so far, without what a check has provoked."""
        passed_over = {number for each in self._provoked for number in each}
        return [line for number, line in enumerate(self._all_lines()) if number not in passed_over]

    @contextmanager
    def provoked(self) -> Iterator[None]:
        """What the app logs meanwhile is the check's doing, and no cause of anything."""
        before = len(self._all_lines())
        try:
            yield
        finally:
            self._provoked.append(range(before, len(self._all_lines())))

    def _all_lines(self) -> list[str]:
        return read_safely(self.log, MOST_LOG).decode("utf-8", "replace").splitlines()


@dataclass(frozen=True)
class StandIn:
    """A service that runs in the place of PostgreSQL, because the app declares `requirement`.

    `title` is its name for people; `url` is its address, password included, to which an app adds a database's name.
    """

    title: str
    requirement: str
    url: str = field(repr=False)


@dataclass(frozen=True)
class Databases:
    """What is known of the lab's databases, none of which the checks change.

    `named` is the name that the trainee's code has, as far as it can be read. `existing` are the trainee's databases:
    where the workspace was made, those on the lab's server that the code names or that `labkit db create` has noted;
    elsewhere what was noted, else what the code names. `way` says which of them, `others` is what the server has
    besides. In those that are `listening`, LISTEN works. `server` is verify's own, which has databases of all these
    names and which the instances use. With an `instead` there is no server, and there are no databases on it.
    """

    named: str | None
    existing: tuple[str, ...]
    listening: tuple[str, ...]
    server: Server | None
    way: str = "the lab's PostgreSQL server"
    others: tuple[str, ...] = ()
    instead: StandIn | None = None


@dataclass(frozen=True)
class Stage:
    """Everything that a check may look at besides the browser; `app` is the copy of the app folder that runs."""

    app: Path
    instances: tuple[RunningInstance, ...]
    databases: Databases | None
    todo: Mapping[str, str] = field(default_factory=dict)
    """The TODO lines whose code is not there: name to `path:line`."""

    misplaced: Mapping[str, Finding] = field(default_factory=dict)
    """The snippets whose code is in the wrong place, with what to do about it."""

    data: Path | None = None
    """The folder for what the app stores."""
