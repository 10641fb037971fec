"""What a service keeps, for people: its tables, streams or keys, and the rows of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from labkit.errors import UsageError, unknown

BYTES_SHOWN = 400
NO_TABLES = "There are no tables yet: the application makes them when somebody uses it."
FIRST_TABLES = "labkit run   (use the application in the browser, then look again)"


@dataclass(frozen=True)
class Table:
    """A table with its schema, `schema.table`, or what a service has in its place; and how many rows it has."""

    name: str
    rows: int


T = TypeVar("T", bound=Table)


@dataclass(frozen=True)
class Rows:
    """The newest rows of a table, as text; `total` is how many there are."""

    table: str
    columns: list[str]
    rows: list[dict[str, str]]
    total: int


def choose(found: Sequence[T], name: str, advice: str) -> T:
    """The table that a name means, which may leave out the schema.

    Raises:
        UsageError: there is none, or it may be several.

    """
    if not found:
        raise UsageError(f"Unknown table “{name}”. {NO_TABLES}", FIRST_TABLES)
    matching = [each for each in found if name in (each.name, each.name.partition(".")[2])]
    if len(matching) != 1:
        raise unknown("table", name, [each.name for each in found], advice)
    return matching[0]


def shown_bytes(value: bytes) -> str:
    """Bytes as text, as PostgreSQL's rows have them: what is no ASCII is escaped, and a long value shortened."""
    text = "".join(chr(each) if 32 <= each < 127 else f"\\{each:03o}" for each in value[:BYTES_SHOWN])
    return text if len(value) <= BYTES_SHOWN else f"{text} … ({len(value)} bytes)"
