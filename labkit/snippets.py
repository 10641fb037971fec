"""Snippets and the TODO lines that they replace.

A TODO line is a comment that names its snippet; inserting the snippet replaces that line, at its indentation::

    # TODO notify-updates: tell every open page about the new answer

Where a snippet's code is, in whatever words, `recognition` tells; `insertion` inserts.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from labkit import tree
from labkit.errors import UsageError
from labkit.lab import Exercise, Snippet

_BEGINNING = r"^(?P<indent>\ufeff?[ \t]*)(?:\#|//|--|;+|%+|\(\*|\{?/\*|\{\#|<!--)[ \t]*TODO[ \t]+"
_TODO = re.compile(
    _BEGINNING + r"(?P<name>[a-z0-9][a-z0-9_.-]*):[ \t]*(?P<text>.*?)[ \t]*(?:\#\}|-->|\*/\}?|\*\))?[ \t]*\r?$"
)
_ANY_WORD = re.compile(_BEGINNING + r"(?P<name>[^\s:]+):")
_MEANT = re.compile(r"TODO:?[ \t]+(?P<name>[\w.-]*\w)(?P<colon>:?)", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\$\{(\d):([^{}\n]*)\}")
_UNFILLED = re.compile(r"\$\{\d:[^{}\n]*\}|<YOUR-[A-Z0-9-]+>")


@dataclass(frozen=True)
class TodoLine:
    """A comment that names its snippet: where it stands (relative path, line from 1), how far in, and what it says."""

    name: str
    path: str
    line: int
    indent: str
    text: str


def todo_lines(folder: Path) -> list[TodoLine]:
    """Every TODO line under the folder, in the order of paths and lines; binary files are skipped."""
    return [todo for path, text in texts(folder, "TODO") for todo in todo_lines_of(path, text)]


def misnamed(folder: Path) -> list[tuple[str, int, str]]:
    """Comments that are no TODO lines only because of the name, such as `Tea-Pot`: path, line and the name."""
    return [
        (path, number, match["name"])
        for path, text in texts(folder, "TODO")
        for number, line in enumerate(text.split("\n"), start=1)
        if not _TODO.match(line) and (match := _ANY_WORD.match(line))
    ]


def almost(folder: Path, name: str) -> tuple[str, int, str] | None:
    """A line that was meant to be the TODO line of this name: path, line, and what keeps it from being one."""
    wanted = _letters(name)
    for path, text in texts(folder):
        for number, line in enumerate(text.split("\n"), start=1):
            match = _MEANT.search(line)
            todo = _TODO.match(line)
            if match is None or _letters(match["name"]) != wanted or (todo and todo["name"] == name):
                continue
            if match["name"] != name:
                return path, number, f"it says “{match['name']}”, the snippet's file is named {name}"
            if not match["colon"]:
                return path, number, f"a colon is missing after {name}"
            return path, number, "it has to be a comment alone on its line"
    return None


def _letters(name: str) -> str:
    return re.sub(r"[\W_]", "", name).casefold()


def placeholders(text: str) -> dict[int, str]:
    """The placeholders of a snippet, number to default: `${1:quiz}` is `{1: "quiz"}`."""
    return {int(number): default for number, default in _PLACEHOLDER.findall(text)}


def fill(text: str, values: Mapping[int, str] | None = None) -> str:
    """The snippet's text with each placeholder replaced by its value, else by its default.

    Raises UsageError for a value that would break the line it is put in.
    """
    for value in (values or {}).values():
        check_value(value)
    return _PLACEHOLDER.sub(lambda match: (values or {}).get(int(match[1]), match[2]), text)


def check_value(value: str) -> None:
    """Refuse what would end the line or the string that a placeholder stands in."""
    if not value.strip() or re.search(r"[\r\n\"'`\\{}<>]", value):
        raise UsageError(
            f"“{value}” cannot be filled in: no value may be empty, "
            "or have one of < > { } \\ \" ' ` or a line break.",
            "Choose a plain name of your own, for example: --set quiz",
        )


def find(snippet: Snippet, text: str) -> tuple[int, int] | None:
    """Where a text has the snippet's code, at any indentation and with any values: first line (from 1) and count."""
    wanted = [_line_shape(line) for line in snippet.text.strip("\n").split("\n")]
    lines = [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]
    for start in range(len(lines) - len(wanted) + 1):
        if all(shape.fullmatch(line) for shape, line in zip(wanted, lines[start : start + len(wanted)], strict=True)):
            return start + 1, len(wanted)
    return None


def without_todo_lines(path: str, text: str) -> str:
    """The text of a file without its TODO lines."""
    numbers = {todo.line for todo in todo_lines_of(path, text)}
    return "\n".join(line for number, line in enumerate(text.split("\n"), start=1) if number not in numbers)


def value(exercise: Exercise, name: str, folder: Path, placeholder: int = 1) -> str | None:
    """What the trainee filled in for a placeholder: read from the line that has the shape of the snippet's own line."""
    snippet = exercise.snippet(name)
    marked = [line for line in snippet.text.split("\n") if placeholder in placeholders(line)]
    if not marked:
        return None
    shape = _line_shape(marked[0], captured=placeholder, comment=True)
    for _, text in texts(folder):
        for line in text.split("\n"):
            if match := shape.fullmatch(line.removesuffix("\r")):
                return match["value"]
    return None


def unfilled(folder: Path) -> list[tuple[str, int, str]]:
    """Placeholders typed by hand and left as they are, `${1:…}` or `<YOUR-…>`: path, line and the placeholder."""
    return [
        (path, number, match[0])
        for path, text in texts(folder)
        for number, line in enumerate(text.split("\n"), start=1)
        for match in _UNFILLED.finditer(line)
    ]


def editor_body(text: str) -> list[str]:
    """The snippet in the form of Visual Studio Code: the same placeholders, every other dollar sign escaped."""
    marked = re.sub(r"\\|\$(?!\{\d:)", lambda match: "\\" + match[0], text.removesuffix("\n"))
    return marked.split("\n")


def home(exercise: Exercise, name: str) -> TodoLine | None:
    """The place of a snippet: its TODO line in begin."""
    return next((todo for todo in todo_lines(exercise.begin) if todo.name == name), None)


def enclosing(exercise: Exercise, place: TodoLine) -> str | None:
    """The line that a TODO line of begin stands inside of, by its indentation; None at the left edge."""
    lines = (text_of(exercise.begin / place.path) or "").split("\n")[: place.line - 1]
    above = (line for line in reversed(lines) if line.strip() and _indent(line) < len(place.indent.expandtabs()))
    return next((line.strip() for line in above), None)


def todo_lines_of(path: str, text: str) -> Iterator[TodoLine]:
    """The TODO lines of one file's text."""
    for number, line in enumerate(text.split("\n"), start=1):
        if "TODO" in line and (match := _TODO.match(line)):
            yield TodoLine(match["name"], path, number, match["indent"].removeprefix("\ufeff"), match["text"])


def texts(folder: Path, having: str = "") -> Iterator[tuple[str, str]]:
    """The text files of an app folder that may be code, path and text: of all, or of those that have this word."""
    needle = having.encode()
    for path in tree.code_files(folder):
        try:
            content = tree.read(folder / path)
        except FileNotFoundError:  # it went after the folder was listed: an editor's own, or what becomes another file
            continue
        if needle in content and (text := tree.text(content)) is not None:
            yield path, text


def text_of(path: Path) -> str | None:
    """The text of a file; None if it is not there, or no text."""
    return tree.text(tree.read(path)) if path.is_file() else None


def _indent(line: str) -> int:
    spread = line.expandtabs()
    return len(spread) - len(spread.lstrip())


def _line_shape(line: str, captured: int | None = None, comment: bool = False) -> re.Pattern[str]:
    """A pattern for one line of a snippet: any indentation, any value for each placeholder."""
    pattern, end, named = "", 0, False
    stripped = line.strip()
    for match in _PLACEHOLDER.finditer(stripped):
        pattern += re.escape(stripped[end : match.start()])
        named_here = int(match[1]) == captured and not named
        pattern += "(?P<value>.+?)" if named_here else ".+?"
        named, end = named or named_here, match.end()
    pattern += re.escape(stripped[end:])
    tail = r"[ \t]*(?:(?:\#|//|--).*)?" if comment else r"[ \t]*"
    return re.compile(rf"[ \t]*{pattern}{tail}")
