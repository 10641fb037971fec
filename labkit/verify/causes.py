"""Likely causes of what a check saw."""

import re
from collections.abc import Mapping


def nearest_todo(place: str | None, todo: Mapping[str, str]) -> str | None:
    """Of the TODO lines (name to `path:line`) the one that an error at `path:line` most likely comes from.

    That is one in the same file, else the first of all.
    """
    path = (place or "").rpartition(":")[0]
    same = [name for name, at in todo.items() if path and at.rpartition(":")[0] == path]
    return next(iter([*same, *todo]), None)


def missing_snippet(said: str, todo: Mapping[str, str], texts: Mapping[str, str]) -> str | None:
    """Of the TODO lines the one whose snippet has a name that an error misses; None if the error is about no name.

    A missing name is the only way in which a line that is still to come keeps an app from starting: a syntax error,
    an endless loop or an exception of another kind is in what the trainee has written.
    """
    found = _MISSES.search(said)
    name = next(filter(None, found.groups()), "") if found else ""
    word = re.compile(rf"\b{re.escape(name.rpartition('.')[2])}\b")
    return next((each for each in todo if name and word.search(texts.get(each, ""))), None)


_MISSES = re.compile(
    r"cannot import name '(\w+)'|name '(\w+)' is not defined|has no attribute '(\w+)'|No module named '([\w.]+)'"
)
