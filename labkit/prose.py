"""Markdown, passage by passage: its headings, paragraphs and cells, as translators see them.

Code stays as it is. What a block of output shows, labkit has printed: its lines are messages of labkit's.
"""

import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from labkit import language

WIDTH = 120
"""The most columns of a line that is written anew."""

_MARK = re.compile(r"\d+\.(?= )|[-*+](?= )")
_LOOKS_LIKE_A_BLOCK = re.compile(r"^\s*(?:[-*+#>]|\d+\.|\|)\s")


@dataclass(frozen=True)
class Passage:
    """Words that belong together: `text` in one line, `first` to `last` its lines in the page, from 0, last excluded.

    Cells of a table have their line, and `is_cell`.
    """

    text: str
    first: int
    last: int
    is_cell: bool = False


def passages(page: str) -> Iterator[Passage]:
    """What a page says, in its order, without its blocks of code."""
    row = (0, 0)
    for token, inside in _inlines(MarkdownIt("commonmark").enable("table").parse(page)):
        if inside.type == "tr_open" and inside.map:
            row = (inside.map[0], inside.map[1])
        if token is not None:
            is_cell = inside.type in ("td_open", "th_open")
            first, last = row if is_cell else (token.map[0], token.map[1]) if token.map else (0, 0)
            text = " ".join(token.content.split())
            if any(letter.isalpha() for letter in text):
                yield Passage(text, first, last, is_cell)


def translated(page: str, look_up: Callable[[str], str], printed: Callable[[str], str] = str) -> str:
    """The page with each passage that has a translation in its place; `look_up` gives a text back that has none.

    `printed` does the same for the lines of its blocks of output.
    """
    lines = page.split("\n")
    for token in MarkdownIt("commonmark").parse(page):
        if token.type == "fence" and token.info.split() == ["text", "output"] and token.map:
            for n in range(token.map[0] + 1, token.map[1] - 1):
                indent = lines[n][: len(lines[n]) - len(lines[n].lstrip())]
                lines[n] = indent + printed(lines[n].strip()) if lines[n].strip() else lines[n]
    for passage in reversed(list(passages(page))):
        said = look_up(passage.text)
        if said == passage.text:
            continue
        if passage.is_cell:
            before, found, after = lines[passage.first].rpartition(passage.text)
            lines[passage.first] = f"{before}{said}{after}" if found else after
        else:
            lines[passage.first : passage.last] = _written(lines[passage.first : passage.last], said)
    return "\n".join(lines)


def in_language(page: str, lab: Path) -> str:
    """A page of the lab in this folder, in the reader's language as far as the lab's catalogue has it."""
    if language.chosen() is None:
        return page
    return translated(page, partial(language.of_lab, lab), language.translated)


def _written(lines: list[str], said: str) -> list[str]:
    """A passage's new words behind what its lines begin with: marks of lists, quotes and headings, and space."""
    start = re.match(r"(?:\s|>|\d+\.\s|[-*+]\s|#+\s)*", lines[0])
    first = start[0] if start else ""
    further = _MARK.sub(lambda mark: " " * len(mark[0]), first)
    if first.lstrip("> ").startswith("#"):
        return [f"{first}{said}"]
    wrapped = textwrap.wrap(
        said, WIDTH, initial_indent=first, subsequent_indent=further, break_long_words=False, break_on_hyphens=False
    )
    behind = (line[len(further) :] for line in wrapped[1:])
    return [f"{first}{said}"] if any(_LOOKS_LIKE_A_BLOCK.match(line) for line in behind) else wrapped


def _inlines(tokens: list[Token]) -> Iterator[tuple[Token | None, Token]]:
    """Each inline token with the block that it is in; rows of tables come as blocks without one."""
    for n, token in enumerate(tokens):
        if token.type == "tr_open":
            yield None, token
        elif token.type == "inline" and n:
            yield token, tokens[n - 1]
