"""Which lines of a submission are the trainee's own, so that the same work can be noticed, without accusing anybody."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from labkit import tree
from labkit.lab import Exercise

FEWEST = 4
"""How many lines of one's own there have to be: fewer may well be the same by chance."""


def digest(exercise: Exercise, folder: Path) -> str | None:
    """A hash of the lines that neither begin nor end have, in their order, whatever the space in them.

    None if there are too few to say anything: whoever has inserted all snippets has none of his own.
    """
    given = set(_lines(exercise.begin)) | set(_lines(exercise.end))
    own = [line for line in _lines(folder) if line not in given]
    if len(own) < FEWEST:
        return None
    return hashlib.sha256("\n".join(own).encode("utf-8", "surrogateescape")).hexdigest()


def _lines(folder: Path) -> Iterable[str]:
    for path in tree.code_files(folder) if folder.is_dir() else ():
        if (text := tree.text(tree.read(folder / path))) is not None:
            yield from ("".join(line.split()) for line in text.splitlines() if line.strip())
