"""Whether a snippet's code is there: inserted, typed in other words, begun, in the wrong place, or not at all.

Only what a folder has beyond the exercise's begin is looked at, so that code that was there before is nobody's work.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from labkit import likeness, snippets
from labkit.lab import Exercise, Snippet
from labkit.likeness import Code, Match, Token
from labkit.snippets import TodoLine

COMPLETE = 0.7
"""From which share of its code on a snippet counts as done in other words."""

BEGUN = 0.45
"""From which share on a part of it counts as being there."""

_SUBSTANTIAL = 3.0
"""How much a snippet has to be to be looked for in other files: a line of a few words may be in many."""

_APART = 5
"""How many lines may lie between two that are shown as one place."""

_MARKER = "labkit_place_of_a_snippet"


class Likeness(StrEnum):
    """How a snippet's code is there."""

    INSERTED = "inserted"
    OWN = "own code"
    PARTLY = "partly"
    MISPLACED = "misplaced"
    ABSENT = "absent"


@dataclass(frozen=True)
class Sight:
    """What is seen of one snippet: its TODO line, if that still stands, and its code, if there is any.

    `path`, `line` (from 1) and `count` are where the code is. Of misplaced code, `fault` says what is wrong with the
    place; it completes the sentence “The code is …”. `is_guess` is true if the TODO line is gone and code is there that
    is hardly the snippet's: a way of the trainee's own, which only the checks can judge.
    """

    snippet: str
    likeness: Likeness
    todo: TodoLine | None = None
    path: str | None = None
    line: int = 0
    count: int = 0
    fault: str | None = None
    is_guess: bool = False

    @property
    def is_done(self) -> bool:
        """Whether the deed is done: the code is where it belongs, or the trainee's own stands for its TODO line."""
        return self.likeness in (Likeness.INSERTED, Likeness.OWN)

    @property
    def state(self) -> str:
        """The sight in a word: inserted, own code, partly, misplaced; else todo, or missing without its TODO line."""
        if self.likeness is Likeness.ABSENT:
            return "todo" if self.todo else "missing"
        return str(self.likeness)

    @property
    def place(self) -> str:
        """Where the code is: `app.py, lines 3-5`; nothing if there is none."""
        if self.path is None:
            return ""
        last = self.line + self.count - 1
        return f"{self.path}, line {last}" if self.count == 1 else f"{self.path}, lines {self.line}-{last}"


def look(exercise: Exercise, folder: Path, texts: Mapping[str, str] | None = None) -> dict[str, Sight]:
    """What is seen of each of the exercise's snippets in an app folder; `texts` are its files, read already."""
    return _Look(exercise, dict(snippets.texts(folder)) if texts is None else texts).sights()


_MOST_READ = 200_000
"""How many characters a file may have that is compared with snippets otherwise than line by line: some 5,000 lines."""

_MOST_SEARCHED = 300_000
"""How many characters of other files are searched for code that is in the wrong one."""


class _Look:
    """One look: snippets whose code is found first leave the rest to the others."""

    def __init__(self, exercise: Exercise, texts: Mapping[str, str]) -> None:
        self._exercise = exercise
        self._texts = texts
        self._todos = {todo.name: todo for path, text in texts.items() for todo in snippets.todo_lines_of(path, text)}
        self._homes = {todo.name: todo for todo in snippets.todo_lines(exercise.begin)}
        self._wanted = {name: _wanted(snippet) for name, snippet in exercise.snippets.items()}
        self._names = frozenset().union(*(code.exported for code in self._wanted.values()))
        self._codes: dict[str, Code] = {}
        self._bases: dict[str, Code] = {}
        self._base_texts: dict[str, str | None] = {}
        self._taken: dict[str, set[int]] = {}

    def sights(self) -> dict[str, Sight]:
        """Look for the plain copies, then for what is most alike, then for what is in the wrong place."""
        found: dict[str, Sight] = {}
        for name, snippet in self._exercise.snippets.items():
            sight = self._copy(name, snippet)
            if sight:
                found[name] = self._claimed(sight)
        left = [name for name in self._wanted if name not in found]
        while left:
            matches = {name: self._match(name, self._home(name)) for name in left}
            best = max(left, key=lambda name: matches[name].score)
            if matches[best].score < COMPLETE:
                break
            found[best] = self._claimed(self._placed(best, matches[best]), matches[best].lines)
            left.remove(best)
        for name in left:
            found[name] = self._elsewhere(name) or self._rest(name)
        return {name: replace(found[name], todo=self._todos.get(name)) for name in self._exercise.snippets}

    def _home(self, name: str) -> str:
        """The file that a snippet belongs into: where its TODO line is now, else was."""
        place = self._todos.get(name) or self._homes.get(name)
        return place.path if place else ""

    def _copy(self, name: str, snippet: Snippet) -> Sight | None:
        home = self._home(name)
        found = snippets.find(snippet, self._texts.get(home, ""))
        if not found:
            return None
        sight = Sight(name, Likeness.INSERTED, path=home, line=found[0], count=found[1])
        scopes = self._scopes(home, range(found[0], found[0] + found[1]))
        return self._checked(sight, scopes)

    def _match(self, name: str, path: str) -> Match:
        offered = self._new(path)
        # A large file that nobody has touched, such as a library's, need not be read.
        common = self._base(path).words if offered else frozenset()
        return likeness.match(self._wanted[name], offered, common, self._names)

    def _new(self, path: str) -> list[tuple[Token, ...]]:
        """What a file has beyond begin's, and is not taken yet."""
        text = self._texts.get(path)
        if text == self._base_text(path) or len(text or "") > _MOST_READ:
            return []
        return likeness.new(self._code(path), self._base(path), frozenset(self._taken.get(path, ())))

    def _placed(self, name: str, match: Match) -> Sight:
        sight = _at(Sight(name, Likeness.OWN), self._home(name), match.lines)
        return self._checked(sight, match.scopes)

    def _checked(self, sight: Sight, scopes: Iterable[tuple[str, ...]]) -> Sight:
        """The sight, misplaced if its outermost statement is not as deep in classes and functions as it belongs."""
        belongs = self._scope(sight.snippet)
        is_at = min(scopes, key=len, default=None)
        if belongs is None or is_at is None or is_at == belongs or not self._has(sight.path or "", belongs):
            return sight
        outside = [each for each in belongs if each not in is_at]
        fault = f"outside of the {outside[0]} that it belongs into" if outside else f"inside of the {is_at[-1]}"
        return replace(sight, likeness=Likeness.MISPLACED, fault=fault)

    def _has(self, path: str, scope: tuple[str, ...]) -> bool:
        """Whether a file still has these classes and functions: one that was built anew is nobody's business."""
        return {each.rpartition(" ")[2] for each in scope} <= self._code(path).declared

    def _scope(self, name: str) -> tuple[str, ...] | None:
        """The scope of a snippet's place in begin, for Python."""
        place = self._homes.get(name)
        if place is None or not place.path.endswith(".py"):
            return None
        lines = (snippets.text_of(self._exercise.begin / place.path) or "").split("\n")
        lines[place.line - 1] = f"{place.indent}{_MARKER}"
        return likeness.scope_of("\n".join(lines), _MARKER)

    def _scopes(self, path: str, lines: range) -> set[tuple[str, ...]]:
        return {
            token.scope
            for unit in self._code(path).units
            for token in unit
            if token.scope is not None and token.line in lines
        }

    def _elsewhere(self, name: str) -> Sight | None:
        """The code in a file that it does not belong into; an import alone may be in many."""
        wanted = [token for unit in self._wanted[name].units for token in unit]
        if all(token.is_import for token in wanted):
            return None
        room = _MOST_SEARCHED
        for path, text in self._texts.items():
            if path == self._home(name) or len(text) > room or text == self._base_text(path):
                continue
            room -= len(text)
            match = self._match(name, path)
            if match.score >= COMPLETE and match.weight >= _SUBSTANTIAL:
                sight = Sight(name, Likeness.MISPLACED, fault=f"in another file than {self._home(name)}")
                return self._claimed(_at(sight, path, match.lines), match.lines)
        return None

    def _rest(self, name: str) -> Sight:
        """What there is of code that is not there as a whole."""
        home = self._home(name)
        match = self._match(name, home)
        offered = self._new(home)
        begun = match.score >= BEGUN or (
            match.lines and self._wanted[name].declared & (self._code(home).declared - self._base(home).declared)
        )
        if begun:
            if name in self._todos:
                return _at(Sight(name, Likeness.PARTLY), home, match.lines)
            return _at(Sight(name, Likeness.OWN, is_guess=True), home, match.lines)
        if name not in self._todos and offered:
            lines = frozenset(token.line for unit in offered for token in unit)
            return _at(Sight(name, Likeness.OWN, is_guess=True), home, lines)
        return Sight(name, Likeness.ABSENT)

    def _claimed(self, sight: Sight, lines: Iterable[int] = ()) -> Sight:
        """Leave these lines (all of the sight's, if none is given) out of what others are looked for in."""
        if sight.path:
            taken = lines or range(sight.line, sight.line + sight.count)
            self._taken.setdefault(sight.path, set()).update(taken)
        return sight

    def _code(self, path: str) -> Code:
        if path not in self._codes:
            self._codes[path] = likeness.read(path, self._texts.get(path, ""))
        return self._codes[path]

    def _base(self, path: str) -> Code:
        if path not in self._bases:
            self._bases[path] = likeness.read(path, self._base_text(path) or "")
        return self._bases[path]

    def _base_text(self, path: str) -> str | None:
        if path not in self._base_texts:
            self._base_texts[path] = snippets.text_of(self._exercise.begin / path) if path else None
        return self._base_texts[path]


def _wanted(snippet: Snippet) -> Code:
    values = {number: f"{likeness.VALUE}{number}" for number in snippets.placeholders(snippet.text)}
    return likeness.read(snippet.path.name, snippets.fill(snippet.text, values))


def _at(sight: Sight, path: str, lines: frozenset[int]) -> Sight:
    """The sight with its place: of lines far apart (an import at the top of the file) the most that are together."""
    groups: list[list[int]] = []
    for line in sorted(lines):
        if groups and line - groups[-1][-1] <= _APART:
            groups[-1].append(line)
        else:
            groups.append([line])
    group = max(groups, key=len)
    return replace(sight, path=path, line=group[0], count=group[-1] - group[0] + 1)
