"""What Node.js, and programs like it, say of the error that ended them: type, text, and the line of the app."""

import re
from collections.abc import Sequence
from pathlib import Path

from labkit import tree
from labkit.files import read_safely

_THROWN = re.compile(r"^(?:Uncaught )?(?P<type>[A-Z]\w*(?:Error|Exception)|Error)(?: \[\w+\])?: (?P<text>.+)$")
_ABOVE = re.compile(r"^(?:file://)?(?P<path>(?:/|[A-Za-z]:[\\/]).*):(?P<line>\d+)$")
_FRAME = re.compile(r"^\s+at .*?\(?(?:file://)?(?P<path>(?:/|[A-Za-z]:[\\/])[^()]*?):(?P<line>\d+):\d+\)?(?: \{)?$")
_IMPORTED = re.compile(r"Cannot find (?:module|package) '(?P<name>[^']+)'(?: imported from (?P<path>.+))?")

Thrown = tuple[str, str, tuple[str, int] | None]
"""Type and text of an error, and the file and the line (from 1) that it comes from."""


def thrown(lines: Sequence[str], folder: Path) -> Thrown | None:
    """The error that ended a program; None if it has said of none, as programs in other languages do."""
    found = ((n, match) for n, line in reversed([*enumerate(lines)]) if (match := _THROWN.match(line)))
    at, match = next(((n, match) for n, match in found if _is_last(lines, n)), (0, None))
    if match is None:
        return None
    places = [(each["path"], int(each["line"])) for line in lines[at + 1 :] if (each := _FRAME.match(line))]
    above = [(each["path"], int(each["line"])) for line in lines[max(at - 5, 0) : at] if (each := _ABOVE.match(line))]
    own = [place for place in (*above, *places) if _is_own(place[0], folder)]
    return match["type"], match["text"], own[0] if own else _import(match["text"], folder)


def _is_last(lines: Sequence[str], at: int) -> bool:
    """Whether Node.js ended by it: then frames follow, and its version."""
    return any(line.startswith("Node.js v") for line in lines[at + 1 :]) or any(
        map(_FRAME.match, lines[at + 1 : at + 4])
    )


def _is_own(path: str, folder: Path) -> bool:
    home, found = folder.resolve(), Path(path).resolve()
    return found.is_relative_to(home) and "node_modules" not in found.relative_to(home).parts


def _import(text: str, folder: Path) -> tuple[str, int] | None:
    """The line that imports what there is not: it stands in no frame."""
    match = _IMPORTED.match(text)
    if match is None or match["path"] is None or not _is_own(match["path"], folder):
        return None
    name = Path(match["name"]).name
    lines = read_safely(Path(match["path"]), tree.LARGE).decode("utf-8", "replace").splitlines()
    return next(((match["path"], n) for n, line in enumerate(lines, start=1) if name in line), None)
