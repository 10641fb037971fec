"""Task 2: the backplane's database, on the lab's own server."""

import difflib

import pytest

from labkit.checking import Databases, NotDone

pytestmark = [pytest.mark.task(2), pytest.mark.budget(120)]

SUGGESTED = "signalr"
"""The name that the manual gives the database."""


@pytest.fixture(scope="session")
def database(databases: Databases) -> str:
    """The backplane's database: the one that the code names, else the first that there is."""
    if databases.named and databases.named not in databases.existing:
        near = difflib.get_close_matches(databases.named, databases.existing, n=1)
        raise NotDone(
            expected=f"the database {databases.named}, which the code names",
            seen=f"only {', '.join(databases.existing)}" if databases.existing else "no database",
            where="the lab's PostgreSQL server",
            cause=f"the database {databases.named} has not been created",
            next=f"labkit db create {databases.named}"
            + (f", or write {near[0]} in geekquiz/startup.py" if near else ""),
        )
    if not databases.existing:
        raise NotDone(
            expected="a database for the backplane",
            seen="no database",
            where="the lab's PostgreSQL server",
            cause="the database has not been created yet",
            next=f"labkit db create {SUGGESTED}",
        )
    return databases.named or databases.existing[0]


def test_the_database_exists(database: str) -> None:
    """The lab's PostgreSQL server has a database for the backplane."""


def test_the_server_can_push(database: str, databases: Databases) -> None:
    """The server can push: LISTEN works in that database."""
    if database not in databases.listening:
        raise NotDone(
            expected="a notification sent is a notification received",
            seen="LISTEN is refused",
            where=f"the database {database}",
            cause="this server is a standby, where LISTEN does not work; the backplane would have to poll",
            next="labkit db status",
        )
