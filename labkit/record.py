"""The record of a workspace, `lab-workspace.toml`: tracked with the trainee's work, so that git and a zip carry it.

It says from which lab and begin the folder was made, and what labkit did for it that leaves nothing in the code.
Nothing in it is secret, and nothing belongs to one machine: that is in `.labkit`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from labkit import __version__, documents
from labkit.errors import UsageError
from labkit.files import Within

NAME = "lab-workspace.toml"

SCHEMA = 1
"""The number of the file's form; a labkit refuses a newer one."""

_HEAD = (
    "This folder is a workspace: by this file labkit knows it, on this machine and on every other.",
    "Keep it with your work, in git and in a zip, too.",
)


@dataclass(frozen=True)
class CreatedDatabase:
    """A database that `labkit db create` made while the trainee was in the workspace; `created` is in UTC."""

    name: str
    created: datetime


@dataclass(frozen=True)
class Record:
    """What a workspace is: an exercise of a lab in some version, made from the begin of that digest.

    `begin` is None where nobody knows it any more; `trainee` is whose work it is, once somebody has said so.
    """

    lab: str
    version: str
    exercise: str
    begin: str | None
    labkit: str = __version__
    trainee: str | None = None
    databases: tuple[CreatedDatabase, ...] = ()


def read(folder: Path) -> Record | None:
    """The record in this very folder; None if it has none.

    Raises UsageError for one that is damaged, or in the form of a newer labkit.
    """
    path = folder / NAME
    try:
        table = documents.read_toml(path)
        _refuse_newer(folder, table)
        return _record(table)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path} is damaged: {error}.",
            "Bring it back from git or a copy; without one remove it and type: labkit adopt --exercise EX",
        ) from error


def write(folder: Path, record: Record) -> None:
    """Write the record whole; lines and comments that somebody added to the file stay."""
    Within(folder).write(NAME, text(folder, record))


def text(folder: Path, record: Record) -> bytes:
    """What `write` would make of the folder's file."""
    import tomlkit

    path = folder / NAME
    if path.is_file():
        document = tomlkit.parse(path.read_text(encoding="utf-8-sig"))
    else:
        document = tomlkit.document()
        for line in _HEAD:
            document.add(tomlkit.comment(line))
    for name, value in _table(record).items():
        if value is None:
            document.pop(name, None)
        elif name != "database" and document.get(name) != value:
            document[name] = value
    if record.databases:
        rows = tomlkit.aot()
        for each in record.databases:
            row = tomlkit.table()
            row.update({"name": each.name, "created": each.created})
            rows.append(row)
        document["database"] = rows
    return tomlkit.dumps(document).encode("utf-8")


def add_database(record: Record, name: str, now: datetime) -> Record:
    """The record with one more database; one of that name counts once, from when it was last created."""
    others = tuple(each for each in record.databases if each.name != name)
    created = now.astimezone(UTC).replace(microsecond=0)
    return replace(record, databases=(*others, CreatedDatabase(name, created)))


def _refuse_newer(folder: Path, table: dict[str, Any]) -> None:
    schema = table.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise UsageError(
            f"{folder} was made by a newer labkit ({table.get('labkit', 'unknown')}); this one is {__version__}.",
            "Update labkit, or start afresh with this one: labkit start EX NEWDIR",
        )


def _record(table: dict[str, Any]) -> Record:
    return Record(
        lab=_value(table, "lab", _text),
        version=_value(table, "version", _text),
        exercise=_value(table, "exercise", _text),
        begin=_value(table, "begin", _text, None),
        labkit=_value(table, "labkit", _text),
        trainee=_value(table, "trainee", _text, None),
        databases=tuple(
            CreatedDatabase(_value(row, "name", _text), _value(row, "created", _moment).astimezone(UTC))
            for row in _value(table, "database", _rows, [])
        ),
    )


_REQUIRED: Any = object()


def _value(table: dict[str, Any], name: str, kind: Callable[[Any], str | None], default: Any = _REQUIRED) -> Any:
    value = table.get(name, default)
    if value is _REQUIRED:
        raise ValueError(f"its “{name}” is missing")
    wrong = kind(value) if name in table else None
    if wrong:
        raise ValueError(f"its “{name}” is no {wrong}")
    return value


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) and value and "\0" not in value else "text"


def _moment(value: Any) -> str | None:
    return None if isinstance(value, datetime) else "date with a time"


def _rows(value: Any) -> str | None:
    return None if isinstance(value, list) and all(isinstance(row, dict) for row in value) else "list of tables"


def _table(record: Record) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "lab": record.lab,
        "version": record.version,
        "exercise": record.exercise,
        "begin": record.begin,
        "labkit": record.labkit,
        "trainee": record.trainee,
    }
