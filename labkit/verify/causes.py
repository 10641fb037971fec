"""Likely causes of what a check saw."""

from collections.abc import Mapping


def nearest_todo(place: str | None, todo: Mapping[str, str]) -> str | None:
    """Of the TODO lines (name to `path:line`) the one that an error at `path:line` most likely comes from.

    That is one in the same file, else the first of all.
    """
    path = (place or "").rpartition(":")[0]
    same = [name for name, at in todo.items() if path and at.rpartition(":")[0] == path]
    return next(iter([*same, *todo]), None)
