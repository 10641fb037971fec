"""Where the app is not as the manual has it: a fact, told beside a cause that names no line, which blames nobody."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from labkit.diagnosis import Place
from labkit.verify.causes.finding import SCRIPTS, Facts
from labkit.verify.report import Check

MOST = 4
"""How many differences are told. Whoever has more has written it in another way, and each of them says little."""

_PAGES = (*SCRIPTS, ".css")


@dataclass(frozen=True)
class Difference:
    """A line that the manual has not so; or, if something of the manual's is `missing`, the line above that."""

    place: Place
    missing: bool = False

    def __str__(self) -> str:
        """Return it in words."""
        if self.missing:
            return f"below {self.place} something of the manual's is missing"
        return f"{self.place} is not as the manual has it"


def told(facts: Facts, check: Check, cause: str) -> str:
    """The cause, with the lines beside it that are not as in the manual, those first that the check is about."""
    homes = {path for name in check.snippets if (path := facts.homes.get(name))}
    found = sorted(find(facts), key=lambda each: each.place.path not in homes)
    if not found or len(found) > MOST:
        return cause
    return "; ".join(filter(None, [cause, *map(str, found)])) + found[0].place.quoted


def find(facts: Facts) -> Iterator[Difference]:
    """The differences in files of the side that is at fault, or of both; a TODO line that is still there is none."""
    for path, text in facts.files.items():
        wanted = facts.finished.get(path)
        is_of_pages = path.endswith(_PAGES)
        if wanted in (None, text) or (facts.side is not None and is_of_pages is not (facts.side == "page")):
            continue
        if is_of_pages or path.endswith(".py"):
            yield from _in_file(facts, path, text.split("\n"), (wanted or "").split("\n"))


def _in_file(facts: Facts, path: str, mine: list[str], manuals: list[str]) -> Iterator[Difference]:
    lines = [each.rstrip() for each in mine]
    compared = difflib.SequenceMatcher(None, [each.rstrip() for each in manuals], lines, autojunk=False)
    still_there = set(facts.todo.values())
    for kind, wanted_from, wanted_to, begin, end in compared.get_opcodes():
        own = [number for number in range(begin, end) if lines[number]]
        if kind == "equal" or any(f"{path}:{number + 1}" in still_there for number in own):
            continue
        if own:
            yield Difference(facts.place(path, own[0] + 1))
        elif any(each.strip() for each in manuals[wanted_from:wanted_to]):
            above = next((number for number in range(begin - 1, -1, -1) if lines[number]), 0)
            yield Difference(facts.place(path, above + 1), missing=True)
