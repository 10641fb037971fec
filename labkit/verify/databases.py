"""Which databases are a trainee's, so that a task is done whose deed leaves nothing in the code.

Where the workspace was made, the lab's own server tells. Elsewhere it is what `labkit db create` has noted in the
workspace's record or, without that, what the code names. A database that merely exists on a server proves nothing.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from labkit import snippets
from labkit.errors import InternalError, LabError
from labkit.lab import Database, Exercise
from labkit.verify.stage import Databases, StandIn
from labkit.verify.subject import Subject
from labkit.workspace import Workspace

if TYPE_CHECKING:
    from labkit.services.postgres.server import Server


@dataclass(frozen=True)
class Found:
    """A trainee's databases; `way` is where they were looked for, `others` is what that server has besides.

    `listening` are those where LISTEN works on the lab's server; None where verify's own has to tell.
    """

    names: tuple[str, ...]
    way: str
    others: tuple[str, ...] = ()
    listening: tuple[str, ...] | None = None


def of(workspace: Workspace, named: str | None) -> Found:
    """The databases of a workspace."""
    noted = tuple(each.name for each in workspace.record.databases)
    if workspace.made_here:
        with _lab_server() as server:
            there = server.databases() if server else []
            names = tuple(name for name in there if name == named or name in noted)
            listening = tuple(name for name in names if server and server.can_listen(name))
        others = tuple(name for name in there if name not in names)
        return Found(names, "the lab's PostgreSQL server", others, listening)
    if noted:
        return Found(noted, "the record that came with the workspace, lab-workspace.toml")
    return Found((named,) if named else (), "the code, and verify's own PostgreSQL server")


def of_solution(database: Database, kind: str) -> Found:
    """The databases of the lab's own begin (none) or end."""
    return Found(tuple(database.solution) if kind == "end" else (), "exercise.toml, and verify's own PostgreSQL server")


def provide(subject: Subject, app: Path, server: "Server") -> Databases:
    """Have the databases on verify's own server that the lab's server has; tell what is known of them."""
    exercise = subject.exercise
    if exercise.database is None:
        raise InternalError(f"{exercise.id} has no [database].")
    name = named(exercise, exercise.database, app)
    found = of(subject.workspace, name) if subject.workspace else of_solution(exercise.database, subject.kind)
    # The solution's as well: where the code computes the name, nobody can read it.
    wanted = {*found.names, *found.others, *exercise.database.solution, *([name] if name else [])}
    for each in sorted(wanted - set(server.databases())):
        if is_name(each):
            server.create_database(each)
    listening = [each for each in found.names if is_name(each) and server.can_listen(each)]
    return Databases(
        named=name,
        existing=found.names,
        listening=tuple(listening) if found.listening is None else found.listening,
        server=server,
        way=found.way,
        others=found.others,
    )


def stand_in(subject: Subject, app: Path, service: StandIn) -> Databases:
    """What is known where another service runs in PostgreSQL's place, in which nothing has to be made first."""
    exercise = subject.exercise
    if exercise.database is None:
        raise InternalError(f"{exercise.id} has no [database].")
    name = named(exercise, exercise.database, app)
    return Databases(
        named=name,
        existing=(name,) if name else (),
        listening=(),
        server=None,
        way=f"the code, and verify's own {service.title}",
        instead=service,
    )


def named(exercise: Exercise, database: Database, app: Path) -> str | None:
    """The name of the database that the code has; None if it has none, or none that can be read.

    The options of a URL are no part of it, and a constant is looked up in the app's modules.
    """
    text = (snippets.value(exercise, database.snippet, app) or "").partition("?")[0]
    constant = re.fullmatch(r"\{(?:\w+\.)*(\w+)\}", text)
    if constant:
        text = _constant(app, constant[1]) or ""
    return text if text and not re.search(r"[{}\s]", text) else None


def is_name(name: str) -> bool:
    """Whether a database can have this name."""
    from labkit.services.postgres.server import check_name

    try:
        check_name(name)
    except LabError:
        return False
    return True


def _constant(app: Path, name: str) -> str | None:
    """The text that a module of the app gives to a name."""
    given = rf"^[ \t]*{re.escape(name)}\b(?:[ \t]*:[^=\n]+)?[ \t]*="
    pattern = re.compile(given + r"[ \t]*[\"']([^\"'{}\n]+)[\"']", re.MULTILINE)
    return next((match[1] for _, text in snippets.texts(app) if (match := pattern.search(text))), None)


@contextmanager
def _lab_server() -> "Iterator[Server | None]":
    """The lab's own server; started for a moment if it does not run, None if it was never made."""
    from labkit.services.postgres.lab_server import find_server

    lab_server = find_server()
    status = lab_server.status()
    if status.running or (status.home and status.home.is_dir()):
        with lab_server.running() as server:
            yield server
    else:
        yield None
