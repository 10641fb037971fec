"""Snippets and the TODO lines that they replace.

A TODO line is a comment that names its snippet; inserting the snippet replaces that line, at its indentation::

    # TODO notify-updates: tell every open page about the new answer

Nothing here writes: `insert` computes a change, whoever asked for it writes it.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labkit import tree
from labkit.changes import Change, FileChange
from labkit.errors import UsageError
from labkit.lab import Exercise, Snippet

_BEGINNING = r"^(?P<indent>\ufeff?[ \t]*)(?:\#|//|--|/\*|\{\#|<!--)[ \t]*TODO[ \t]+"
_TODO = re.compile(_BEGINNING + r"(?P<name>[a-z0-9][a-z0-9_.-]*):[ \t]*(?P<text>.*?)[ \t]*(?:\#\}|-->|\*/)?[ \t]*\r?$")
_ANY_WORD = re.compile(_BEGINNING + r"(?P<name>[^\s:]+):")
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


@dataclass(frozen=True)
class Insertion:
    """What `insert` makes of one snippet: the code is at `line` of `path`, `count` lines of it.

    `already` is true if it was there before, so that nothing (or only a TODO line left behind) has to change.
    """

    snippet: str
    path: str
    line: int
    count: int
    already: bool


@dataclass(frozen=True)
class InsertChange(Change):
    """The change that inserts snippets, with what became of each."""

    insertions: tuple[Insertion, ...]


def todo_lines(folder: Path) -> list[TodoLine]:
    """Every TODO line under the folder, in the order of paths and lines; binary files are skipped."""
    return [todo for path, text in _texts(folder, "TODO") for todo in _todo_lines_of(path, text)]


def misnamed(folder: Path) -> list[tuple[str, int, str]]:
    """Comments that are no TODO lines only because of the name, such as `Tea-Pot`: path, line and the name."""
    return [
        (path, number, match["name"])
        for path, text in _texts(folder, "TODO")
        for number, line in enumerate(text.split("\n"), start=1)
        if not _TODO.match(line) and (match := _ANY_WORD.match(line))
    ]


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
            f"“{value}” cannot be filled in: a value has no quotes, braces, backslashes or line breaks, and some text.",
            "Choose a plain name, for example: --set quiz",
        )


def insert(
    folder: Path, exercise: Exercise, names: Sequence[str], values: Mapping[int, str] | None = None
) -> InsertChange:
    """The change that replaces the TODO lines of these snippets; a snippet already inserted changes nothing.

    Raises UsageError for an unknown name, a TODO line that is there twice or not at all, and a value that no
    placeholder takes: then nothing is to be written, for none of the names.
    """
    chosen = list(dict.fromkeys(exercise.snippet(name).name for name in names))
    _check_values(exercise, chosen, values or {})
    before = dict(_texts(folder))
    after = dict(before)
    insertions = [_insert_one(folder, exercise, exercise.snippets[name], after, values) for name in chosen]
    for each in insertions:
        if each.already:
            _refuse_other_values(folder, exercise, each, values or {})
    files = tuple(
        FileChange(path, text.encode("utf-8"), after[path].encode("utf-8"))
        for path, text in before.items()
        if after[path] != text
    )
    # Later insertions into the same file move the earlier ones: look again where each one is now.
    placed = [_located(exercise.snippets[each.snippet], each, after[each.path]) for each in insertions]
    new = [each.snippet for each in placed if not each.already]
    return InsertChange(what=f"insert {', '.join(new or chosen)}", files=files, insertions=tuple(placed))


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
    numbers = {todo.line for todo in _todo_lines_of(path, text)}
    return "\n".join(line for number, line in enumerate(text.split("\n"), start=1) if number not in numbers)


def value(exercise: Exercise, name: str, folder: Path, placeholder: int = 1) -> str | None:
    """What the trainee filled in for a placeholder: read from the line that has the shape of the snippet's own line."""
    snippet = exercise.snippet(name)
    marked = [line for line in snippet.text.split("\n") if placeholder in placeholders(line)]
    if not marked:
        return None
    shape = _line_shape(marked[0], captured=placeholder, comment=True)
    for _, text in _texts(folder):
        for line in text.split("\n"):
            if match := shape.fullmatch(line.removesuffix("\r")):
                return match["value"]
    return None


def unfilled(folder: Path) -> list[tuple[str, int, str]]:
    """Placeholders typed by hand and left as they are, `${1:…}` or `<YOUR-…>`: path, line and the placeholder."""
    return [
        (path, number, match[0])
        for path, text in _texts(folder)
        for number, line in enumerate(text.split("\n"), start=1)
        for match in _UNFILLED.finditer(line)
    ]


def state(exercise: Exercise, name: str, folder: Path, todos: Sequence[TodoLine], homes: Mapping[str, TodoLine]) -> str:
    """`todo` while the TODO line stands, `inserted` if the snippet's code is there, else `own code`.

    `todos` are the folder's TODO lines, `homes` those of begin by name.
    """
    if any(todo.name == name for todo in todos):
        return "todo"
    place = homes.get(name)
    text = _read(folder / place.path) if place else None
    return "inserted" if text is not None and find(exercise.snippets[name], text) else "own code"


def editor_body(text: str) -> list[str]:
    """The snippet in the form of Visual Studio Code: the same placeholders, every other dollar sign escaped."""
    marked = re.sub(r"\\|\$(?!\{\d:)", lambda match: "\\" + match[0], text.removesuffix("\n"))
    return marked.split("\n")


def home(exercise: Exercise, name: str) -> TodoLine | None:
    """The place of a snippet: its TODO line in begin."""
    return next((todo for todo in todo_lines(exercise.begin) if todo.name == name), None)


def _check_values(exercise: Exercise, chosen: Sequence[str], values: Mapping[int, str]) -> None:
    for number in values:
        takers = [name for name in chosen if number in placeholders(exercise.snippets[name].text)]
        if not takers:
            raise UsageError(
                f"There is no placeholder ${{{number}:…}} in {' or '.join(chosen)}.",
                f"labkit snippet show {chosen[0]}" if chosen else None,
            )
        if len(takers) > 1:
            raise UsageError(
                f"Several of these snippets have a placeholder {number}: {', '.join(takers)}.",
                "Insert them one by one, each with its own --set.",
            )


def _refuse_other_values(folder: Path, exercise: Exercise, there: Insertion, values: Mapping[int, str]) -> None:
    """A snippet that is inserted already keeps its value; asking for another one must not pass in silence."""
    for number, wanted in values.items():
        has = value(exercise, there.snippet, folder, number)
        if has is not None and has != wanted:
            raise UsageError(
                f"{there.snippet} is already inserted in {there.path}, line {there.line}, with “{has}”.",
                f"Write “{wanted}” there yourself; or type labkit undo, if that was the last change, and repeat.",
            )


def _insert_one(
    folder: Path, exercise: Exercise, snippet: Snippet, texts: dict[str, str], values: Mapping[int, str] | None
) -> Insertion:
    """Insert one snippet into `texts`, in place."""
    todos = [
        todo
        for path, text in texts.items()
        if snippet.name in text
        for todo in _todo_lines_of(path, text)
        if todo.name == snippet.name
    ]
    if len(todos) > 1:
        places = " and ".join(f"{todo.path}:{todo.line}" for todo in todos)
        raise UsageError(
            f"The TODO line of {snippet.name} is there {len(todos)} times: {places}.",
            "Delete all but the one where the code belongs, then repeat the command.",
        )
    if not todos:
        place = home(exercise, snippet.name)
        found = find(snippet, texts.get(place.path, "")) if place else None
        if place is None or found is None:
            raise _missing(folder, exercise, snippet, place, values)
        return Insertion(snippet.name, place.path, *found, already=True)
    (todo,) = todos
    there = find(snippet, texts[todo.path])
    if there:  # pasted by hand, only the TODO line was left behind
        texts[todo.path] = _replace_line(texts[todo.path], todo, None)
        return Insertion(snippet.name, todo.path, *there, already=True)
    code = fill(snippet.text, {n: v for n, v in (values or {}).items() if n in placeholders(snippet.text)})
    texts[todo.path] = _replace_line(texts[todo.path], todo, code.removesuffix("\n"))
    return Insertion(snippet.name, todo.path, todo.line, code.removesuffix("\n").count("\n") + 1, already=False)


def _replace_line(text: str, todo: TodoLine, code: str | None) -> str:
    lines = text.split("\n")
    old = lines[todo.line - 1]
    last = todo.line == len(lines)
    mark = "\ufeff" if old.startswith("\ufeff") else ""
    if code is None:
        kept = lines[: todo.line - 1] + lines[todo.line :]
        return mark + "\n".join(kept)
    carriage = "\r" if old.endswith("\r") or (last and "\r\n" in text) else ""
    new = [f"{todo.indent}{line}" if line.strip() else "" for line in code.split("\n")]
    block = f"{carriage}\n".join(new) + ("" if last else carriage)
    lines[todo.line - 1] = mark + block
    return "\n".join(lines)


def _located(snippet: Snippet, insertion: Insertion, text: str) -> Insertion:
    found = find(snippet, text)
    if found is None:
        return insertion
    return Insertion(insertion.snippet, insertion.path, *found, already=insertion.already)


def _missing(
    folder: Path, exercise: Exercise, snippet: Snippet, place: TodoLine | None, values: Mapping[int, str] | None
) -> UsageError:
    """The error for a TODO line that is gone: it shows the code and where it belongs."""
    if place is None:
        return UsageError(f"No file of {exercise.id} has a TODO line for {snippet.name}: the lab is at fault.")
    code = fill(snippet.text, values if values and set(values) <= set(placeholders(snippet.text)) else None)
    shown = "\n".join(f"    {line}".rstrip() for line in code.strip("\n").split("\n"))
    text = _read(exercise.begin / place.path) or ""
    earlier = [line for line in text.split("\n")[: place.line - 1] if line.strip() and not _TODO.match(line)]
    after = f"after the line\n\n    {earlier[-1].strip()}\n\n" if earlier else "at the beginning of the file, "
    gone = "" if (folder / place.path).is_file() else " (a file that is missing as well)"
    return UsageError(
        f"The TODO line of {snippet.name} is not in {folder.name} any more, and neither is its code.\n"
        f"It belongs into {place.path}{gone}, {after}at the indentation of its neighbours:\n\n{shown}\n",
        f"Paste the code there, or bring the file back as it was: labkit reset {exercise.id} {place.path}",
    )


def _todo_lines_of(path: str, text: str) -> Iterator[TodoLine]:
    for number, line in enumerate(text.split("\n"), start=1):
        if "TODO" in line and (match := _TODO.match(line)):
            yield TodoLine(match["name"], path, number, match["indent"].removeprefix("\ufeff"), match["text"])


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


def _texts(folder: Path, having: str = "") -> Iterator[tuple[str, str]]:
    needle = having.encode()
    for path in tree.app_files(folder):
        content = (folder / path).read_bytes()
        if needle in content and (text := tree.text(content)) is not None:
            yield path, text


def _read(path: Path) -> str | None:
    return tree.text(path.read_bytes()) if path.is_file() else None
