"""A PostgreSQL server that takes connections: its databases, and what psql answers."""

import csv
import io
import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from labkit.errors import LabError, MachineError, UsageError, unknown
from labkit.services.postgres.account import installed_binaries, program
from labkit.services.postgres.cluster import INIT_TIMEOUT

HIDDEN = ("postgres", "template0", "template1")
"""Databases that every server has and no lab means."""
PATIENCE = 40.0
"""How many seconds a statement in an app's database may take; PostgreSQL itself ends it ten seconds earlier."""


class Unusable(LabError):  # noqa: N818  (a fact, as `verify` reports it)
    """A database that its server runs, and that cannot be asked: by what the app, or something else, does in it."""


@dataclass(frozen=True)
class Server:
    """A PostgreSQL server that takes connections; `url` has the password and no database.

    On a server of labkit's own the URL is that of the apps' role, which owns their databases and can do nothing else;
    `admin` is that of labkit's role, which makes the databases and never connects to them: what an app has put there
    is not to run with more rights than the app has. On other servers both are one.
    """

    url: str = field(repr=False)
    admin: str | None = field(default=None, repr=False)

    @property
    def admin_url(self) -> str:
        """The URL of the role that makes databases, without one."""
        return self.admin or self.url

    @property
    def address(self) -> str:
        """The URL without the password, for people."""
        return without_password(self.url)

    def database_url(self, name: str) -> str:
        """The URL of one of the databases."""
        parts = urlsplit(self.url)
        return urlunsplit((parts.scheme, parts.netloc, "/" + quote(name, safe=""), parts.query, ""))

    def databases(self) -> list[str]:
        """The names of the databases that somebody made here.

        Raises:
            LabError: the server refuses.
            MachineError: it does not answer.
        """
        rows = self.query("postgres", "SELECT datname FROM pg_database ORDER BY datname")
        return [row["datname"] for row in rows if row["datname"] not in HIDDEN]

    def create_database(self, name: str) -> None:
        """Make an empty database.

        Raises:
            UsageError: it exists already, or it is no name for a database.
        """
        check_name(name)
        owner, private = "", ""
        if self.admin:
            owner = f" OWNER {urlsplit(self.url).username}"
            private = f'REVOKE CONNECT, TEMPORARY ON DATABASE "{name}" FROM PUBLIC;'
        try:
            self.query("postgres", f'CREATE DATABASE "{name}"{owner} TEMPLATE template0;\n{private}')
        except LabError as error:
            if "already exists" not in error.message:
                raise
            raise UsageError(f"The database “{name}” exists already.", f"labkit db tables {name}") from error

    def drop_database(self, name: str) -> None:
        """Remove a database with all that is in it; whoever uses it loses the connection.

        Raises:
            UsageError: it is no name for a database.
            LabError: there is none of that name.
        """
        check_name(name)
        self.query("postgres", f'DROP DATABASE "{name}" WITH (FORCE)')

    def query(self, database: str, sql: str) -> list[dict[str, str]]:
        """Run SQL in psql and return the rows of the last statement, every value as text (NULL is empty).

        In the database `postgres` it runs as labkit's own role, in others as the apps'.

        Raises:
            UsageError: there is no such database.
            Unusable: it cannot be asked, because of what the app or something else does in it.
            LabError: the server refuses the statement.
            MachineError: the server does not answer.
        """
        # standard input: a statement may be longer than a command line.
        result = self._psql(database, "--csv", "--quiet", sql=sql)
        return list(csv.DictReader(io.StringIO(result)))

    def can_listen(self, database: str) -> bool:
        """Whether LISTEN works there: a notification sent is a notification received. A standby refuses it.

        Raises:
            UsageError: there is no such database.
            Unusable: it cannot be asked, because of what the app or something else does in it.
            MachineError: the server does not answer.
        """
        try:
            said = self._psql(database, sql="LISTEN labkit_probe;\nNOTIFY labkit_probe;\n")
        except (UsageError, MachineError, Unusable):
            raise
        except LabError:
            return False
        return 'Asynchronous notification "labkit_probe"' in said

    def shell(self, database: str) -> int:
        """Run psql on this terminal and return its exit status; the password goes by the environment."""
        before = signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is for psql: it ends a statement
        try:
            return subprocess.run(
                [psql(), without_password(self.database_url(database))], env=self.environment()
            ).returncode
        finally:
            signal.signal(signal.SIGINT, before)

    def environment(self) -> dict[str, str]:
        """The environment for a program that is to use this server without a password on its command line."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        return {**kept, "PGPASSWORD": unquote(urlsplit(self.url).password or ""), "PGCLIENTENCODING": "UTF8"}

    def _runs(self) -> bool:
        """Whether the server answers labkit's own role, for which PostgreSQL reserves connections."""
        try:
            return self.admin is not None and self.query("postgres", "SELECT 1 AS one") == [{"one": "1"}]
        except LabError:
            return False

    def _psql(self, database: str, *options: str, sql: str) -> str:
        role = Server(self.admin_url) if database in HIDDEN else self
        command: list[str | Path] = [
            psql(),
            "--no-psqlrc",
            "--set=ON_ERROR_STOP=1",
            "--set=VERBOSITY=terse",
            "--no-password",
            *options,
        ]
        # An app may set for its database where names are looked up. (A pooler before another server takes no options.)
        is_apps = database not in HIDDEN
        limit = f" -c statement_timeout={PATIENCE - 10:g}s" if is_apps else ""
        settings = {"PGOPTIONS": f"-c search_path=public{limit}"} if self.admin else {}
        try:
            result = subprocess.run(
                [*command, without_password(role.database_url(database))],
                input=sql,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                env={**role.environment(), "LC_ALL": "C", "PGCONNECT_TIMEOUT": "10", **settings},
                timeout=PATIENCE if is_apps else INIT_TIMEOUT,
            )
        except subprocess.TimeoutExpired as error:
            raise MachineError(
                f"The PostgreSQL server {self.address} did not answer within {error.timeout:g} s.",
                "labkit db stop, and then repeat the command",
            ) from error
        if result.returncode == 0:
            return result.stdout
        said = " ".join(result.stderr.split())
        if "canceling statement due to" in said:
            raise Unusable(
                f"The database {database} gave no answer within {PATIENCE - 10:g} s: "
                "something else that uses it, the app for example, keeps a table locked.",
                "Stop what uses it, then repeat the command.",
            )
        if re.search(r'database ".*" does not exist', said):
            raise unknown("database", database, self.databases(), f"labkit db create {database}")
        if result.returncode == 2:  # psql's status for a connection that failed or was lost
            if is_apps and self._runs():
                raise _shut(database, said)
            raise MachineError(
                f"The PostgreSQL server {self.address} does not answer: {said}", "labkit db status shows what runs."
            )
        raise LabError(f"PostgreSQL refuses: {re.sub(r'^psql:<stdin>:[0-9]+: ', '', said)}")


def _shut(database: str, said: str) -> Unusable:
    """The error of a database that lets nobody in, by PostgreSQL's words."""
    if re.search(r"too many (clients|connections)|connection slots", said):
        return Unusable(
            f"The database {database} takes no more connections: something else that uses it, "
            "the app for example, has them all.",
            "Close each connection that is not needed any more; a pool of a few is enough.",
        )
    return Unusable(
        f"The database {database} cannot be asked, although its server runs: {said}",
        "Look for what the app does with its connections, its role and its database.",
    )


def without_password(url: str) -> str:
    """The URL with its password left out."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.split(':')[0]}@{host}" if user else host))


def check_name(name: str) -> None:
    """Refuse what is no good name for a database: in an address it must need no quoting.

    Raises:
        UsageError: the name is a placeholder, is taken by PostgreSQL, or has other characters.
    """
    if re.search(r"<.*>|\$\{", name):
        raise UsageError(f"“{name}” is a placeholder: put your database's own name in its place.")
    if name in HIDDEN:
        raise UsageError(f"“{name}” belongs to PostgreSQL itself: choose another name.")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,62}", name):
        raise UsageError(
            f"“{name}” is no good name for a database: it needs 1 to 63 letters, digits, - or _ "
            "(plain ones, without accents), and begins with a letter."
        )


def psql() -> Path:
    """The psql of the wheel, else the machine's own.

    Raises:
        MachineError: there is neither.
    """
    try:
        return program(installed_binaries(), "psql")
    except MachineError:
        found = shutil.which("psql")
        if found is None:
            raise MachineError("There is no psql on this machine.", "Install PostgreSQL's client programs.") from None
        return Path(found)
