"""Inserting snippets: the change is computed as a whole first, whoever asked for it writes it.

Code is never written twice: what is there already, inserted or typed, stays, and only its TODO line goes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from labkit import recognition, snippets
from labkit.changes import Change, FileChange
from labkit.errors import UsageError
from labkit.files import Within
from labkit.lab import Exercise, Snippet
from labkit.recognition import Likeness, Sight
from labkit.snippets import TodoLine


@dataclass(frozen=True)
class Insertion:
    """What became of one snippet: the code is at `line` of `path`, `count` lines of it.

    `already` is true if it was there before, so that nothing (or only a TODO line left behind) has to change; `own`
    if it is there in the trainee's words; `todo_removed` if a TODO line that was left behind goes.
    """

    snippet: str
    path: str
    line: int
    count: int
    already: bool
    own: bool = field(default=False, compare=False)
    todo_removed: bool = field(default=False, compare=False)

    @property
    def spoken(self) -> str:
        """Where the code is, as a person says it: `app.py, line 3`, or `app.py, lines 3-5`."""
        last = self.line + self.count - 1
        return f"{self.path}, " + (f"line {last}" if self.count == 1 else f"lines {self.line}-{last}")


@dataclass(frozen=True)
class Refusal:
    """A snippet that was not inserted, and why."""

    snippet: str
    error: UsageError


@dataclass(frozen=True)
class InsertChange(Change):
    """The change that inserts snippets, with what became of each, and those that could not be inserted.

    `texts` are the app's text files after it, and `seen` is what is seen of every snippet in them.
    """

    insertions: tuple[Insertion, ...]
    refusals: tuple[Refusal, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    seen: Mapping[str, Sight] = field(default_factory=dict, compare=False, repr=False)


def insert(
    folder: Path,
    exercise: Exercise,
    names: Sequence[str],
    values: Mapping[int, str] | None = None,
    what_can_be: bool = False,
    force: bool = False,
    known: tuple[Mapping[str, str], Mapping[str, Sight]] | None = None,
) -> InsertChange:
    """The change that replaces the TODO lines of these snippets; code that is there already stays as it is.

    Raises UsageError for an unknown name, a value that no placeholder takes, and a snippet that cannot be inserted: its
    TODO line is there twice or not at all, or a part of its code is there, or all of it in the wrong place. Then
    nothing is to be written, for none of the names; with `what_can_be` only that snippet is left out. With `force`
    the code is written although some like it is there, if it is not there as a whole where it belongs. `known` are the
    texts that somebody has looked at before, and what was seen in them: if they are the same still, nobody looks again.
    """
    chosen = list(dict.fromkeys(exercise.snippet(name).name for name in names))
    _check_values(exercise, chosen, values or {})
    before = dict(snippets.texts(folder))
    seen = known[1] if known and known[0] == before else recognition.look(exercise, folder, before)
    after = dict(before)
    insertions, refusals = [], []
    for name in chosen:
        try:
            if seen[name].is_guess and not what_can_be:
                raise _missing(folder, exercise, seen[name], values)
            done = _insert_one(folder, exercise, seen[name], after, values, force)
            if done.already:
                _refuse_other_values(folder, exercise, done, values or {})
            insertions.append(done)
        except UsageError as error:
            if not what_can_be:
                raise
            refusals.append(Refusal(name, error))
    files = tuple(
        FileChange(path, text.encode("utf-8"), after[path].encode("utf-8"))
        for path, text in before.items()
        if after[path] != text
    )
    # Later insertions into the same file move the earlier ones: look again where each one is now.
    placed = recognition.look(exercise, folder, after) if files else seen
    now = [_located(each, placed[each.snippet]) for each in insertions]
    new = [each.snippet for each in now if not each.already]
    return InsertChange(
        what=f"insert {', '.join(new or [each.snippet for each in now])}",
        files=files,
        insertions=tuple(now),
        refusals=tuple(refusals),
        texts=after,
        seen=placed,
    )


def _check_values(exercise: Exercise, chosen: Sequence[str], values: Mapping[int, str]) -> None:
    for value in values.values():
        snippets.check_value(value)
    for number in values:
        takers = [name for name in chosen if number in snippets.placeholders(exercise.snippets[name].text)]
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
        has = snippets.value(exercise, there.snippet, folder, number)
        if has is not None and has != wanted:
            raise UsageError(
                f"{there.snippet} is already inserted in {there.path}, line {there.line}, with “{has}”.",
                f"Write “{wanted}” there yourself; or type labkit undo, if that was the last change, and repeat.",
            )


def _insert_one(
    folder: Path,
    exercise: Exercise,
    sight: Sight,
    texts: dict[str, str],
    values: Mapping[int, str] | None,
    force: bool,
) -> Insertion:
    """Insert one snippet into `texts`, in place."""
    snippet = exercise.snippets[sight.snippet]
    todos = [
        todo
        for path, text in texts.items()
        if snippet.name in text
        for todo in snippets.todo_lines_of(path, text)
        if todo.name == snippet.name
    ]
    if sight.is_done and sight.path:
        for todo in reversed(todos):  # typed or pasted, and the TODO line was left behind
            texts[todo.path] = _replace_line(texts[todo.path], todo, None)
        own = sight.likeness is Likeness.OWN
        return Insertion(snippet.name, sight.path, sight.line, sight.count, True, own, bool(todos))
    if len(todos) > 1:
        places = " and ".join(f"{todo.path}:{todo.line}" for todo in todos)
        raise UsageError(
            f"The TODO line of {snippet.name} is there {len(todos)} times: {places}.",
            "Delete all but the one where the code belongs, then repeat the command.",
        )
    if sight.path and not force:
        raise _half_there(exercise, sight)
    if not todos:
        raise _missing(folder, exercise, sight, values)
    (todo,) = todos
    own_values = {n: v for n, v in (values or {}).items() if n in snippets.placeholders(snippet.text)}
    code = snippets.fill(snippet.text, own_values).removesuffix("\n")
    texts[todo.path] = _replace_line(texts[todo.path], todo, code)
    return Insertion(snippet.name, todo.path, todo.line, code.count("\n") + 1, already=False)


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


def _located(insertion: Insertion, sight: Sight) -> Insertion:
    if sight.path is None or not sight.is_done:
        return insertion
    return replace(insertion, path=sight.path, line=sight.line, count=sight.count)


def _half_there(exercise: Exercise, sight: Sight) -> UsageError:
    """The error for code that is begun, or in the wrong place: writing it once more would break the app."""
    name = sight.snippet
    shown = _shown(snippets.fill(exercise.snippets[name].text))
    where = f"{sight.path}:{sight.line}"
    if sight.likeness is Likeness.MISPLACED:
        place = sight.todo or snippets.home(exercise, name)
        goal = f"{place.path}, line {place.line}" if place and sight.todo else place.path if place else "its file"
        return UsageError(
            f"The code of {name} is there, {sight.fault}: {sight.place}.\n"
            "Nothing was inserted, else it would be twice.",
            f"Move it from {where} to {goal}; or delete it there, and repeat the command.",
        )
    return UsageError(
        f"A part of {name} is there already: {sight.place}.\n"
        f"Nothing was inserted, else that part would be twice. The whole of it is\n\n{shown}\n",
        f"Complete it at {where}; or delete what is there, and repeat the command. "
        "Is it something else? Then add --force.",
    )


def _nowhere(exercise: Exercise, snippet: Snippet) -> UsageError:
    """The error for a snippet that no file of begin asks for: the author's to mend."""
    begin = exercise.begin.relative_to(exercise.folder.parent.parent).as_posix()
    wanted = f"TODO {snippet.name}: what there is to do"
    if (meant := snippets.almost(exercise.begin, snippet.name)) is not None:
        path, line, why = meant
        return UsageError(
            f"{begin}/{path}:{line} is no TODO line for {snippet.name}: {why}. The lab is at fault.",
            f"Its author writes there, as a comment on a line of its own: {wanted}",
        )
    source = snippet.path.relative_to(exercise.folder.parent.parent).as_posix()
    return UsageError(
        f"No file of {begin} has a TODO line for {source}: the lab is at fault.",
        f"Its author writes where the code belongs, as a comment: {wanted}; or removes {source}",
    )


def _missing(folder: Path, exercise: Exercise, sight: Sight, values: Mapping[int, str] | None) -> UsageError:
    """The error for a TODO line that is gone: it shows the code and where it belongs."""
    snippet = exercise.snippets[sight.snippet]
    place = snippets.home(exercise, snippet.name)
    if place is None:
        return _nowhere(exercise, snippet)
    there = folder / place.path
    if there.exists() and not there.is_file():
        Within(folder).read(place.path)  # which names what is no file
    if there.is_file() and snippets.text_of(folder / place.path) is None:
        return UsageError(
            f"{place.path} is not saved as UTF-8: labkit cannot read it, and neither can Python. Nothing was changed.",
            f"Save {place.path} with the encoding UTF-8 in your editor, and repeat the command.",
        )
    is_taken = bool(values) and set(values or ()) <= set(snippets.placeholders(snippet.text))
    shown = _shown(snippets.fill(snippet.text, values if is_taken else None))
    lines = (snippets.text_of(exercise.begin / place.path) or "").split("\n")[: place.line - 1]
    numbers = {todo.line for todo in snippets.todo_lines_of(place.path, "\n".join(lines))}
    earlier = [line for number, line in enumerate(lines, start=1) if line.strip() and number not in numbers]
    after = f"after the line\n\n    {earlier[-1].strip()}\n\n" if earlier else "at the beginning of the file, "
    others = [todo for todo in snippets.todo_lines(folder) if todo.name not in exercise.snippets]
    if stray := next((todo for todo in others if todo.path == place.path), None):
        return UsageError(
            f"There is no TODO line for {snippet.name}, but {stray.path}:{stray.line} has one for {stray.name}, "
            "which this version of the lab does not know: the workspace was made from another one.",
            "labkit update   (brings the workspace to this version, and keeps your work)",
        )
    gone = "" if there.is_file() else " (a file that is missing as well)"
    rest = "and neither is its code"
    if sight.is_guess:
        rest = f"and the code in {sight.place}, is not the snippet's; labkit verify tells whether it does as well"
    return UsageError(
        f"The TODO line of {snippet.name} is not in {folder.name} any more, {rest}.\n"
        f"It belongs into {place.path}{gone}, {after}at the indentation of its neighbours:\n\n{shown}\n",
        f"Paste the code there, or bring the file back as it was: labkit reset {exercise.id} {place.path}",
    )


def _shown(code: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in code.strip("\n").split("\n"))
