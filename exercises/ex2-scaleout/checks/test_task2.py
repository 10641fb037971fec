"""Task 2: the backplane's database: on the lab's own server, or by what came with the workspace."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import stand_in
from stand_in import SUGGESTED

from labkit.checking import WAIT, Databases, NotDone

pytestmark = [pytest.mark.task(2), pytest.mark.budget(120)]

RESERVED = ("postgres", "template0", "template1")
"""The databases that every server has."""

PROBE = "labkit-probe"
"""The stream in which a message is tried: one of its own, which the application does not hear."""


@dataclass(frozen=True)
class Probe:
    """What became of a message in a service that stands in for PostgreSQL: whether it was kept, and handed on."""

    messages: int = 0
    reached: bool = False


@pytest.fixture(scope="session")
def probe(databases: Databases) -> Probe:
    """Try a message, where another service stands in for PostgreSQL."""
    if databases.instead is None:
        return Probe()
    url = stand_in.url_of(databases, PROBE)
    reached = stand_in.reaches(url)
    return Probe(len(stand_in.kept(url) or ()), reached)


@pytest.fixture(scope="session")
def database(databases: Databases) -> str:
    """The backplane's database: the one that the code names, else the first that there is."""
    name = databases.named
    if databases.instead:  # nothing has to be made there: the backplane does so itself
        return stand_in.name_of(databases)
    if name in RESERVED:
        raise NotDone(
            expected="a database of the backplane's own",
            seen=f"the code names {name}, which belongs to the server itself",
            where=databases.way,
            cause=f"the code does not name the backplane's database, but {name}",
            next=f"Write {SUGGESTED} in place of {name}, and create it: labkit db create {SUGGESTED}",
            is_sure=True,
        )
    if name and name not in databases.existing:
        near = difflib.get_close_matches(name, [*databases.existing, *databases.others], n=1)
        raise NotDone(
            expected=f"the database {name}, which the code names",
            seen=f"only {', '.join(databases.existing)}" if databases.existing else "no such database",
            where=databases.way,
            cause=f"the database {name} has not been created",
            next=f"labkit db create {name}" + (f", or write {near[0]} in geekquiz/startup.py" if near else ""),
            is_sure=True,
        )
    if not databases.existing:
        raise NotDone(
            expected="a database for the backplane",
            seen="none that was created for this workspace",
            where=databases.way,
            cause="the database has not been created yet",
            next=f"labkit db create {SUGGESTED}",
            is_sure=True,
        )
    return name or databases.existing[0]


@pytest.mark.instead("The lab's {service} answers, and takes a message for the backplane")
def test_the_database_exists(
    database: str, databases: Databases, probe: Probe, record_property: Callable[[str, object], None]
) -> None:
    """The lab's PostgreSQL server has a database for the backplane."""
    if databases.instead and not probe.messages:
        raise NotDone(
            expected=f"{databases.instead.title} keeps a message",
            seen="nothing of it",
            where=databases.way,
            cause=f"{databases.instead.title} does not answer",
            next=f"labkit run --backplane, with what {databases.instead.requirement} is for, shows what is wrong",
        )
    record_property("seen", f"{database}, by {databases.way}")


@pytest.mark.instead("{service} hands it to another server")
def test_the_server_can_push(database: str, databases: Databases, probe: Probe) -> None:
    """The server can push: LISTEN works in that database."""
    if databases.instead:
        if not probe.reached:
            raise NotDone(
                expected=f"a message that one server puts into {databases.instead.title} reaches another one",
                seen=f"nothing within {WAIT:g} s",
                where=databases.way,
                cause=f"{databases.instead.title} does not hand on what it is given",
            )
    elif database not in databases.listening:
        raise NotDone(
            expected="a notification sent is a notification received",
            seen="LISTEN is refused",
            where=f"the database {database}",
            cause="this server is a standby, where LISTEN does not work; the backplane would have to poll",
            next="labkit db status",
        )
