"""Services: what an app needs beside itself, each by a name: a server of its own, or a file.

A service is a module here with a `Service` in it; `find` gives it by its name. All keep one contract: while it is
`running`, its URL is the address of a server without the name of a database, to which an app adds one.
"""

from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from labkit import documents
from labkit.errors import UsageError, unknown
from labkit.lab import Database

if TYPE_CHECKING:
    from labkit.services.tables import Rows, Table

NAMES = ("nats", "postgres", "redis", "sqlite")


class Service(Protocol):
    """One kind of them."""

    title: str
    """Its name for people."""

    def is_here(self) -> bool:
        """Whether what it needs is on this machine."""

    def running(self, data: Path) -> AbstractContextManager[str]:
        """Run it for the length of a `with` block, with its files in a folder of `data`; yields its URL, password
        included.

        Raises:
            MachineError: it is not installed here, or does not start.
        """

    def existing(self, data: Path) -> str | None:
        """The same URL if it runs already; None if it does not."""

    def tables(self, url: str, database: str) -> "list[Table]":
        """What it keeps now, and how many rows of it: tables, streams or keys, as the service has them.

        Raises:
            LabError: it does not answer, or the driver for it is not installed.
        """

    def rows(self, url: str, database: str, table: str, limit: int) -> "Rows":
        """The newest rows of one of them, at most `limit`, oldest first; raises as `tables` does."""


def find(name: str) -> Service:
    """Give the service of that name.

    Raises:
        UsageError: there is none.

    """
    if name not in NAMES:
        raise unknown("service", name, NAMES)
    return cast("Service", import_module(f"{__name__}.{name}").SERVICE)


def choose(name: str, database: Database | None, exercise: str, app: Path | None) -> Service:
    """Give the service that is to stand in for an exercise's database server.

    `app` is the trainee's folder, whose pyproject.toml has to declare what the service needs; None asks for nothing.

    Raises:
        UsageError: there is none of that name, or the exercise or its app has no use for it.

    """
    service = find(name)
    if database is None:
        raise UsageError(f"{exercise} has no database server that {name} could stand in for.", f"labkit run {exercise}")
    if name == "postgres":
        return service
    if name not in database.instead:
        known = ", ".join(("postgres", *database.instead))
        raise UsageError(f"{exercise} runs with {known}, not with {name}.", f"labkit run {exercise}")
    wanted = database.instead[name]
    if app is not None and not _is_declared(wanted, app):
        raise UsageError(
            f"With {name} the app needs {wanted}, which pyproject.toml does not declare.",
            f"Write {wanted} in pyproject.toml, with the version that stands there, then repeat the command.",
        )
    return service


def declared(database: Database, app: Path) -> str:
    """The name of the service that an app declares a use for: of those that may stand in for PostgreSQL the first.

    It is `postgres` if the app declares that as well, or none of them.
    """
    if database.requires is None or _is_declared(database.requires, app):
        return "postgres"
    return next((name for name, wanted in database.instead.items() if _is_declared(wanted, app)), "postgres")


def _is_declared(wanted: str, app: Path) -> bool:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    try:
        lines = documents.read_toml(app / "pyproject.toml")["project"]["dependencies"]
    except (OSError, ValueError, KeyError, TypeError):
        return False
    if not isinstance(lines, list):
        return False
    needed = Requirement(wanted)
    for line in lines:
        try:
            declared = Requirement(line)
        except (InvalidRequirement, TypeError):
            continue
        has_name = canonicalize_name(declared.name) == canonicalize_name(needed.name)
        if has_name and set(map(canonicalize_name, needed.extras)) <= set(map(canonicalize_name, declared.extras)):
            return True
    return False
