"""The form of lab.toml, exercise.toml, hints.toml and mutants/*.toml: their entries, and what each must be.

A form names the kind of each entry, with a `?` behind those that may be left out. The kind of a table is its form, the
kind of a list of tables is a list with their form.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.errors import UsageError, unknown


@dataclass(frozen=True)
class Kind:
    """A kind of values: what one must be, in words, and whether a value is one."""

    words: str
    fits: Callable[[Any], bool]


def _texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


TEXT = Kind("text in quotes", lambda value: isinstance(value, str))
TEXTS = Kind('a list of texts, such as ["one", "two"]', _texts)
COMMAND = Kind(
    'a list of a program and its arguments, such as ["{python}", "app.py", "{port}"]',
    lambda value: _texts(value) and value != [],
)
ADDRESS = Kind("text that begins with a slash", lambda value: isinstance(value, str) and value.startswith("/"))
PAIR = Kind(
    'a list of two texts that begin with a slash, such as ["/", "/figures"]',
    lambda value: _texts(value) and len(value) == 2 and all(map(ADDRESS.fits, value)),
)
NUMBER = Kind("a whole number from 1", lambda value: type(value) is int and value > 0)  # no bool, which is an int too
NUMBERS = Kind(
    "a list of whole numbers from 1, such as [1, 2, 4]",
    lambda value: isinstance(value, list) and value != [] and all(map(NUMBER.fits, value)),
)
SENDER = Kind('"app" or "client"', lambda value: value in ("app", "client"))
YES = Kind("true", lambda value: value is True)
ENVIRONMENT = Kind("a table of texts in quotes", lambda value: isinstance(value, dict) and _texts([*value.values()]))
POINTS = Kind(
    "a table of whole numbers by the tasks' numbers, such as { 2 = 3 }",
    lambda value: (
        isinstance(value, dict)
        and all(key.isdecimal() and type(each) is int and each >= 0 for key, each in value.items())
    ),
)
TABLE = Kind("a table", lambda value: isinstance(value, dict))
TABLES = Kind("a list of tables", lambda value: isinstance(value, list) and all(map(TABLE.fits, value)))

Form = Mapping[str, Any]

LAB: Form = {
    "title": TEXT,
    "version?": TEXT,
    "snippet-prefix?": TEXT,
    "packages?": TEXTS,
    "manual?": TEXTS,
    "exercises": TEXTS,
}
EXERCISE: Form = {
    "continues?": TEXT,
    "points?": POINTS,
    "app": {
        "command": COMMAND,
        "ready": ADDRESS,
        "home?": ADDRESS,
        "instances?": NUMBER,
        "environment?": ENVIRONMENT,
        "pass-environment?": TEXTS,
        "decode?": COMMAND,
        "reread?": TEXTS,
        "side-by-side?": PAIR,
        "onlookers?": NUMBER,
    },
    "database?": {
        "solution": TEXTS,
        "snippet": TEXT,
        "tail?": TEXTS,
        "tail-variable?": TEXT,
        "requires?": TEXT,
        "instead?": ENVIRONMENT,
    },
    "measure?": {
        "command": COMMAND,
        "clients": COMMAND,
        "instances": NUMBERS,
        "kind": [{"name": TEXT, "title": TEXT, "rate": NUMBER, "sender": SENDER}],
    },
}
HINT: Form = {"question": TEXT, "direction": TEXT}
"""A table of hints.toml, whose name is the author's: the snippet, or the command, of a step."""


def check_table(path: Path, table: Any, form: Form, name: str) -> None:
    """The same as `check` for what stands under a name of the author's own."""
    if not TABLE.fits(table):
        raise _wrong(path, f"`{name}` must be {TABLE.words}.")
    check(path, table, form, f"{name}.")


_EDITS: Form = {
    "file": TEXT,
    "find?": TEXT,
    "replace?": TEXT,
    "every?": YES,
    "write?": TEXT,
    "delete?": YES,
    "move?": TEXT,
    "encoding?": TEXT,
}
MUTANTS: Form = {
    "kind": TEXT,
    "shared?": [{"name": TEXT, "edits": [_EDITS]}],
    "mutant?": [
        {
            "name": TEXT,
            "edits?": [_EDITS],
            "with?": TEXTS,
            "without?": TEXTS,
            "check": TEXT,
            "cause": TEXTS,
            "at?": TEXT,
            "known?": TEXT,
        }
    ],
    "equivalent?": [{"name": TEXT, "edits?": [_EDITS], "with?": TEXTS, "known?": TEXT}],
    "harmless?": [{"snippet": TEXT, "line?": TEXT, "word?": TEXT, "reason": TEXT}],
}


def check(path: Path, table: Mapping[str, Any], form: Form, within: str = "") -> None:
    """Raise UsageError, which names the file and the entry, unless the table has that form."""
    kinds = {name.removesuffix("?"): kind for name, kind in form.items()}
    for name in table:
        if name not in kinds:
            noun = f"entry of `{within.removesuffix('.')}`" if within else "entry"
            raise _wrong(path, unknown(noun, name, kinds).message)
    for name in form:
        if name not in table and not name.endswith("?"):
            raise _wrong(path, f"`{within}{name}` is missing.")
    for name, value in table.items():
        kind = kinds[name]
        wanted = kind if isinstance(kind, Kind) else TABLES if isinstance(kind, list) else TABLE
        if not wanted.fits(value):
            raise _wrong(path, f"`{within}{name}` must be {wanted.words}.")
        if wanted is TABLE:
            check(path, value, kind, f"{within}{name}.")
        elif wanted is TABLES:
            for number, each in enumerate(value, start=1):
                check(path, each, kind[0], f"{within}{name} {number}.")


def _wrong(path: Path, said: str) -> UsageError:
    return UsageError(f"{path}: {said}", "Mend the file.")
