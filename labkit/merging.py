"""Merging two changes of one text: what was changed on one side only is taken, and nothing is guessed."""

import difflib
from collections.abc import Sequence


def merge(base: str, mine: str, theirs: str) -> str | None:
    """The text with both sides' changes to `base`; None if they touch each other and are not the same.

    Line endings and a byte order mark are kept as `mine` has them.
    """
    mark = "\ufeff" if mine.startswith("\ufeff") else ""
    ending = "\r\n" if "\r\n" in mine else "\n"
    sides = [text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n") for text in (base, mine, theirs)]
    merged = _merged(*sides)
    return None if merged is None else mark + ending.join(merged)


def _merged(base: list[str], mine: list[str], theirs: list[str]) -> list[str] | None:
    hunks = sorted({*_hunks(base, mine), *_hunks(base, theirs)})
    result: list[str] = []
    reached = 0
    for number, (start, end, lines) in enumerate(hunks):
        if number and start <= hunks[number - 1][1]:
            return None
        result += [*base[reached:start], *lines]
        reached = end
    return result + base[reached:]


def _hunks(base: Sequence[str], other: Sequence[str]) -> list[tuple[int, int, tuple[str, ...]]]:
    """Which lines of base were replaced, from and up to, and by what."""
    codes = difflib.SequenceMatcher(None, base, other, autojunk=False).get_opcodes()
    return [(low, high, tuple(other[start:end])) for kind, low, high, start, end in codes if kind != "equal"]
