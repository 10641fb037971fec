"""An exercise's chapter: Markdown that people read, and the only source of the exercise's title, tasks and steps.

Its form is plain Markdown::

    # Exercise 1: Brewing tea           the title is what follows the colon
    *About 30 minutes*                  the first number is how long the exercise takes

    ## Task 2: Pouring                  a task; headings without a number are not
    1. Pour the tea into the cup. …     a step; its first sentence is its text

The fenced blocks of a step say what is typed and what is seen; the info string says which kind a block is:

- `console`: commands, each after `$ `; one that inserts a snippet makes it the step's snippet
- `text output`: what the command above prints
- `diff PATH`: the snippet in its surroundings, in the file at PATH; `labkit author steps` writes it
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from labkit.errors import UsageError
from labkit.files import read_text

_NUMBERED = re.compile(r"\w+\s+(?P<number>\d+)\s*:\s*(?P<title>.+)")
_SENTENCE = re.compile(r"(?<!e\.g)(?<!i\.e)[.!?:](?=\s)|:?$")
_INSERT = re.compile(r"labkit snippet insert ([a-z0-9][a-z0-9_.-]*)\b")
DEFAULT_MINUTES = 30


@dataclass(frozen=True)
class Block:
    """A fenced block: the words of its info string, its code, and its lines in the chapter, from 1, fences included."""

    info: tuple[str, ...]
    code: str
    first: int
    last: int

    @property
    def language(self) -> str:
        """The first word of the info string, empty if there is none."""
        return self.info[0] if self.info else ""

    @property
    def commands(self) -> tuple[str, ...]:
        """What is typed at the shell's prompt, if this is a console."""
        lines = self.code.splitlines() if self.language == "console" else ()
        return tuple(line[2:].strip() for line in lines if line.startswith("$ "))


@dataclass(frozen=True)
class Step:
    """One numbered instruction of a task.

    `id` is `ex1.2.3`, `text` its first sentence without markup, `source` the whole step in Markdown, at the left edge,
    `number` the one that the author wrote, `line` where it begins in the chapter.
    """

    id: str
    text: str
    source: str
    number: int
    line: int
    blocks: tuple[Block, ...]

    @cached_property
    def prose(self) -> str:
        """What the step says in words: its paragraphs without markup, code, pictures and notes."""
        tokens = MarkdownIt("commonmark").parse(self.source)
        paragraphs = [
            tokens[n + 1] for n, token in enumerate(tokens) if (token.type, token.level) == ("paragraph_open", 0)
        ]
        return "\n\n".join(filter(None, map(_plain, paragraphs)))

    @cached_property
    def commands(self) -> tuple[str, ...]:
        """All that is typed at the shell's prompt in this step."""
        return tuple(command for block in self.blocks for command in block.commands)

    @cached_property
    def inserted(self) -> tuple[str, ...]:
        """The names of the snippets that its commands insert."""
        found = [match[1] for command in self.commands if (match := _INSERT.match(command))]
        return tuple(dict.fromkeys(found))

    @property
    def snippet(self) -> str | None:
        """The snippet that carries the step out."""
        return self.inserted[0] if self.inserted else None

    @property
    def command(self) -> str | None:
        """The command that carries the step out, if no snippet does."""
        return self.commands[0] if self.commands and not self.snippet else None


@dataclass(frozen=True)
class Task:
    """A task of an exercise: its id is `ex1.2`, `source` its part of the chapter, heading included."""

    id: str
    title: str
    steps: tuple[Step, ...]
    number: int
    source: str
    line: int


@dataclass(frozen=True)
class Chapter:
    """A chapter as it is read: `source` is all of it, `introduction` what comes before the first heading below the
    title, `blocks` all its fenced blocks in their order.
    """

    path: Path
    title: str
    minutes: int
    source: str
    introduction: str
    tasks: tuple[Task, ...]
    blocks: tuple[Block, ...]

    @property
    def end(self) -> str:
        """What comes after the last task, such as a summary; empty if nothing does."""
        if not self.tasks:
            return ""
        last = self.tasks[-1]
        return "\n".join(self.source.splitlines()[last.line - 1 + last.source.count("\n") :]).strip()


def read(path: Path, exercise: str) -> Chapter:
    """Read the chapter of the exercise of that id.

    Raises UsageError if it is missing, is not in UTF-8, or does not begin with a title.
    """
    try:
        return parse(read_text(path), exercise, path)
    except FileNotFoundError:
        raise UsageError(f"{path} is missing.", "Restore the file: it has the exercise's tasks and steps.") from None


def parse(text: str, exercise: str, path: Path) -> Chapter:
    """The chapter that this text is; `path` is named in errors. Raises UsageError if it does not begin with a title."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    lines = text.splitlines()
    if not tokens or tokens[0].tag != "h1":
        raise UsageError(f"{path} does not begin with its title, “# Exercise 1: …”.", "Mend the file.")
    title = _plain(tokens[1])
    match = _NUMBERED.fullmatch(title)
    starts = [n for n, token in enumerate(tokens) if token.type == "heading_open" and token.tag == "h2"]
    first = _lines_of(tokens[starts[0]])[0] if starts else len(lines)
    return Chapter(
        path=path,
        title=match["title"] if match else title,
        minutes=_minutes(tokens),
        source=text,
        introduction="\n".join(lines[:first]).strip() + "\n",
        tasks=tuple(_tasks(tokens, starts, lines, exercise)),
        blocks=tuple(_blocks(tokens)),
    )


def _minutes(tokens: Sequence[Token]) -> int:
    """The number in the line below the title, if that line is in italics as a whole."""
    if len(tokens) > 4 and tokens[3].type == "paragraph_open" and re.fullmatch(r"[*_][^*_]+[*_]", tokens[4].content):
        number = re.search(r"\d+", tokens[4].content)
        return int(number[0]) if number else DEFAULT_MINUTES
    return DEFAULT_MINUTES


def _tasks(tokens: Sequence[Token], starts: Sequence[int], lines: Sequence[str], exercise: str) -> Iterator[Task]:
    position = 0
    for start, end in pairwise([*starts, len(tokens)]):
        match = _NUMBERED.fullmatch(_plain(tokens[start + 1]))
        if match:
            position += 1
            begin = _lines_of(tokens[start])[0]
            until = _lines_of(tokens[end])[0] if end < len(tokens) else len(lines)
            task_id = f"{exercise}.{position}"
            yield Task(
                id=task_id,
                title=match["title"],
                steps=tuple(_steps(tokens[start:end], lines, task_id)),
                number=int(match["number"]),
                source="\n".join(lines[begin:until]).rstrip() + "\n",
                line=begin + 1,
            )


def _steps(tokens: Sequence[Token], lines: Sequence[str], task: str) -> Iterator[Step]:
    for position, (first, last) in enumerate(items(tokens), start=1):
        yield _step(tokens[first:last], lines, f"{task}.{position}")


def items(tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """The items of the ordered lists that stand at the left edge, which are a task's steps: their first and their last
    token.
    """
    is_ordered, opened = False, 0
    for n, token in enumerate(tokens):
        if token.level == 0 and token.type in ("ordered_list_open", "ordered_list_close"):
            is_ordered = token.type == "ordered_list_open"
        elif is_ordered and token.level == 1 and token.type == "list_item_open":
            opened = n
        elif is_ordered and token.level == 1 and token.type == "list_item_close":
            yield opened, n


def _step(tokens: Sequence[Token], lines: Sequence[str], step: str) -> Step:
    begin, end = _lines_of(tokens[0])
    width = len(tokens[0].info) + len(tokens[0].markup)
    width = re.match(rf"\s*.{{{width}}}\s*", lines[begin]).end()  # type: ignore[union-attr]  # it matches anything
    own = [lines[begin][width:], *(line[min(width, _indent(line)) :] for line in lines[begin + 1 : end])]
    paragraph = tokens[2] if len(tokens) > 2 and tokens[1].type == "paragraph_open" else None
    return Step(
        id=step,
        text=_sentence(_plain(paragraph)) if paragraph else "",
        source="\n".join(own).rstrip() + "\n",
        number=int(tokens[0].info),
        line=begin + 1,
        blocks=tuple(_blocks(tokens)),
    )


def _blocks(tokens: Sequence[Token]) -> Iterator[Block]:
    for token in tokens:
        if token.type == "fence":
            first, last = _lines_of(token)
            yield Block(tuple(token.info.split()), token.content, first + 1, last)


def _sentence(text: str) -> str:
    match = _SENTENCE.search(text)
    return text[: match.start()] + match[0].replace(":", ".") if match else text


def _plain(token: Token) -> str:
    """A paragraph's text without its markup."""
    return " ".join("".join(_words(token.children or ())).split())


def _words(tokens: Sequence[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type in ("text", "code_inline"):
            yield token.content
        elif token.type in ("softbreak", "hardbreak"):
            yield " "


def _lines_of(token: Token) -> tuple[int, int]:
    """The first line, from 0, and the one behind the last."""
    first, behind = token.map or (0, 0)  # no block is without
    return first, behind


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
