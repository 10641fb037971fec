"""Blocks of templates (Jinja's and Django's language): what fills a block that its base lacks is never shown."""

import difflib
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from labkit.verify.causes.finding import Facts, Finding

_EXTENDS = re.compile(r"\{%-?\s*extends\s+[\"']([^\"']+)[\"']")
_BLOCK = re.compile(r"\{%-?\s*block\s+(\w+)")


def lost_blocks(facts: Facts) -> Iterator[Finding]:
    """Blocks that a template fills, and that the template which it extends does not have; unless begin is so, too."""
    for path, text in facts.files.items():
        chain = _bases(facts.files, path, text)
        if not chain:
            continue
        known = {name for base in chain for name in _BLOCK.findall(facts.files[base])}
        base = chain[-1]
        for match in _BLOCK.finditer(text):
            name = match[1]
            nested = [each for each in _BLOCK.finditer(text) if each.start() < match.start()]
            if name in known or _is_inside(text, match.start(), len(nested)) or _was_so(facts, path, base, name):
                continue
            place = facts.place(path, text[: match.start()].count("\n") + 1)
            near = difflib.get_close_matches(name, known, n=1)
            what = f"{place} fills the block “{name}”, which {base} does not have: nothing of it is shown"
            if name in _BLOCK.findall(facts.original.get(base, "")):
                old = facts.original[base].split("\n")
                lines = [line for line in old if re.search(rf"\{{%-?\s*block\s+{name}\b", line)]
                yield Finding(
                    what,
                    facts.place(base, _where_it_was(facts, base, lines[0])),
                    f"Write {lines[0].strip()} into {base} again, then verify again.",
                )
            elif near:
                yield Finding.at(place, what.partition(" ")[2], f"Name the block {near[0]}, as {base} does.")
            else:
                yield Finding.at(place, what.partition(" ")[2])


def _bases(files: dict[str, str], path: str, text: str) -> list[str]:
    """The templates that a template extends, the nearest first."""
    chain: list[str] = []
    while (match := _EXTENDS.search(text)) and len(chain) < len(files):
        folders = [str(parent) for parent in PurePosixPath(path).parents]
        found = next((f"{folder}/{match[1]}" for folder in folders if f"{folder}/{match[1]}" in files), None)
        if found is None or found in chain:
            break
        chain.append(found)
        text = files[found]
    return chain


def _is_inside(text: str, at: int, opened: int) -> bool:
    """Whether a block is inside of another one of the same template, which shows it."""
    return opened > len(re.findall(r"\{%-?\s*endblock", text[:at]))


def _was_so(facts: Facts, path: str, base: str, name: str) -> bool:
    before = facts.original
    return name in _BLOCK.findall(before.get(path, "")) and name not in _BLOCK.findall(before.get(base, ""))


def _where_it_was(facts: Facts, base: str, line: str) -> int:
    """Where in today's file a line of begin's belongs: after the last line before it that is there still."""
    old, new = facts.original[base].split("\n"), facts.files[base].split("\n")
    matches = difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    at = old.index(line)
    before = [block.b + min(block.size, at - block.a) for block in matches if block.a < at and block.size]
    return max(before, default=1)
