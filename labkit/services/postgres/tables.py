"""Looks into a database of PostgreSQL: its tables, and the rows of one, for people."""

import re
from dataclasses import dataclass

from labkit.services.postgres.server import Server
from labkit.services.tables import BYTES_SHOWN, Rows, Table, choose

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
class _Found(Table):
    """A table of PostgreSQL's."""

    oid: int
    quoted: str


def tables(server: Server, database: str) -> list[Table]:
    """The tables that somebody made in the database, with exact numbers of rows.

    Raises:
        UsageError: there is no such database.

    """
    return list(_tables(server, database))


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


def _tables(server: Server, database: str) -> list[_Found]:
    found = server.query(database, _TABLES)
    if not found:
        return []
    counts = " UNION ALL ".join(_COUNT.format(**each) for each in found)
    rows = {row["oid"]: int(row["rows"]) for row in server.query(database, counts)}
    return [_Found(each["name"], rows[each["oid"]], int(each["oid"]), each["quoted"]) for each in found]


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
        f"encode(substr({name}, 1, {BYTES_SHOWN}), 'escape') || "
        f"CASE WHEN length({name}) > {BYTES_SHOWN} THEN ' … (' || length({name}) || ' bytes)' ELSE '' END AS {name}"
    )
