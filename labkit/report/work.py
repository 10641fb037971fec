"""The trainee's work as a diff from the exercise's begin, cut to size."""

import math
from pathlib import Path

from labkit import changes, tree

MOST_BYTES = 300_000
"""How large a file may be whose lines are compared."""

MOST_LINES = 3000
MOST_FILES = 500


def since_begin(begin: Path, folder: Path) -> str:
    """The unified diff of begin to the work in `folder`; empty if nothing has changed."""
    paths = sorted({*tree.app_files(begin, math.inf), *tree.app_files(folder, math.inf)})
    parts, lines = [], 0
    for number, path in enumerate(paths):
        if number == MOST_FILES or lines > MOST_LINES:
            parts.append(f"({len(paths) - number} more files are not compared)\n")
            break
        part = _difference(begin / path, folder / path, path)
        lines += part.count("\n")
        parts.append(part)
    shown = "".join(parts).removesuffix("\n").split("\n")
    if len(shown) > MOST_LINES:
        shown = [*shown[:MOST_LINES], f"({len(shown) - MOST_LINES:,} more lines)"]
    return "".join(f"{line}\n" for line in shown if line)


def _difference(before: Path, after: Path, path: str) -> str:
    try:
        sizes = [each.stat().st_size for each in (before, after) if each.is_file()]
        if max(sizes, default=0) > MOST_BYTES:
            return "" if _equal(before, after) else f"{path}: {max(sizes):,} bytes, not compared\n"
        return changes.diff(changes.content(before), changes.content(after), f"a/{path}", f"b/{path}")
    except OSError as error:
        return f"{path}: {error.strerror or error}\n"


def _equal(before: Path, after: Path) -> bool:
    """Whether both are there and have the same content, read in parts."""
    if not (before.is_file() and after.is_file()) or before.stat().st_size != after.stat().st_size:
        return False
    with before.open("rb") as one, after.open("rb") as other:
        while part := one.read(1 << 20):
            if part != other.read(1 << 20):
                return False
    return True
