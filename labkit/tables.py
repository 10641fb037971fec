"""Looks into a database: its tables, and the rows of one, for people."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from labkit.errors import unknown
from labkit.lab import Database
from labkit.postgres import Server, without_password

_BYTES_SHOWN = 400
_CHARACTERS_SHOWN = 4000
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

_TABLES = """
SELECT c.oid, n.nspname || '.' || c.relname AS name, format('%I.%I', n.nspname, c.relname) AS quoted
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
ORDER BY 2
"""

_COUNT = "SELECT {oid} AS oid, count(*) AS rows FROM {quoted}"

_COLUMNS = """
SELECT a.attname AS name, quote_ident(a.attname) AS quoted, a.atttypid = 'bytea'::regtype AS bytes,
       coalesce(array_position(i.indkey::int2[], a.attnum), -1) AS key
FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
WHERE a.attrelid = {oid} AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""


@dataclass(frozen=True)
class Table:
    """A table with its schema, `schema.table`, or what a service has in its place; and how many rows it has."""

    name: str
    rows: int


T = TypeVar("T", bound=Table)


@dataclass(frozen=True)
class _Found(Table):
    """A table of PostgreSQL's."""

    oid: int
    quoted: str


@dataclass(frozen=True)
class Rows:
    """The newest rows of a table, as text; `total` is how many there are."""

    table: str
    columns: list[str]
    rows: list[dict[str, str]]
    total: int


def tail_command(settings: Database, url: str, folder: Path) -> list[str]:
    """The command that shows an application's messages in the database of a URL as they arrive, run in this folder.

    The password goes by the environment (`tail_environment`): a command line is seen by everybody on the machine.
    """
    from labkit.instances import interpreter

    values = {"{python}": str(interpreter(folder)), "{url}": without_password(url)}
    return [values.get(word, word) for word in settings.tail]


def tail_environment(settings: Database, url: str) -> dict[str, str]:
    """The environment of that command."""
    own = {settings.tail_variable: url} if settings.tail_variable else {}
    return {**Server(url).environment(), **own}


def tables(server: Server, database: str) -> list[Table]:
    """The tables that somebody made in the database, with exact numbers of rows.

    Raises:
        UsageError: there is no such database.

    """
    return list(_tables(server, database))


def shown_bytes(value: bytes) -> str:
    """Bytes as text, as PostgreSQL's rows have them: what is no ASCII is escaped, and a long value shortened."""
    text = "".join(chr(each) if 32 <= each < 127 else f"\\{each:03o}" for each in value[:_BYTES_SHOWN])
    return text if len(value) <= _BYTES_SHOWN else f"{text} … ({len(value)} bytes)"


def choose(found: Sequence[T], name: str, advice: str) -> T:
    """The table that a name means, which may leave out the schema.

    Raises:
        UsageError: there is none, or it may be several.

    """
    matching = [each for each in found if name in (each.name, each.name.partition(".")[2])]
    if len(matching) != 1:
        raise unknown("table", name, [each.name for each in found], advice)
    return matching[0]


def _tables(server: Server, database: str) -> list[_Found]:
    found = server.query(database, _TABLES)
    if not found:
        return []
    counts = " UNION ALL ".join(_COUNT.format(**each) for each in found)
    rows = {row["oid"]: int(row["rows"]) for row in server.query(database, counts)}
    return [_Found(each["name"], rows[each["oid"]], int(each["oid"]), each["quoted"]) for each in found]


def rows(server: Server, database: str, table: str, limit: int) -> Rows:
    """The newest rows of a table (the last by its primary key), at most `limit`, oldest first.

    `table` is `schema.table`, or the table's name alone if that is clear. Bytes are shown as text, the rest of them
    escaped; what is long is shortened, and its length said.

    Raises:
        UsageError: there is no such database or table.

    """
    known = _tables(server, database)
    chosen = choose(known, table, f"labkit db tables {database}")
    columns = server.query(database, _COLUMNS.format(oid=chosen.oid))
    if not columns:
        return Rows(chosen.name, [], [], chosen.rows)
    key = sorted((column for column in columns if int(column["key"]) >= 0), key=lambda column: int(column["key"]))
    order = ", ".join(f"of_table.{column['quoted']} DESC" for column in key) or "of_table.ctid DESC"
    shown = ", ".join(_shown(column) for column in columns)
    # Every name in this statement was quoted by PostgreSQL itself.
    newest = server.query(database, f"SELECT {shown} FROM {chosen.quoted} AS of_table ORDER BY {order} LIMIT {limit}")  # noqa: S608  (names are quoted, the limit is a number)
    # PostgreSQL escapes bytes from 128 on and zero; a terminal must not get the control characters either.
    said = [{name: _CONTROL.sub(_escaped, value) if value else value for name, value in row.items()} for row in newest]
    return Rows(chosen.name, [column["name"] for column in columns], said[::-1], chosen.rows)


def _escaped(character: re.Match[str]) -> str:
    return f"\\{ord(character[0]):03o}"


def _shown(column: dict[str, str]) -> str:
    name = column["quoted"]
    if column["bytes"] != "t":
        return (
            f"left({name}::text, {_CHARACTERS_SHOWN}) || CASE WHEN length({name}::text) > {_CHARACTERS_SHOWN} "
            f"THEN ' … (' || length({name}::text) || ' characters)' ELSE '' END AS {name}"
        )
    return (
        f"encode(substr({name}, 1, {_BYTES_SHOWN}), 'escape') || "
        f"CASE WHEN length({name}) > {_BYTES_SHOWN} THEN ' … (' || length({name}) || ' bytes)' ELSE '' END AS {name}"
    )
