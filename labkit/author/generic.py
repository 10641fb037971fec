"""The mutants that every lab has: each snippet missing, each line of it missing, each name in it mistyped.

Nobody writes them down. What may well be missing or mistyped, a line that only helps or a text for people, the author
lists as harmless, with the reason; then it is an equivalent.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from labkit import insertion
from labkit.author.mutants import Edit, Solution, files, harmless
from labkit.errors import UsageError
from labkit.insertion import InsertChange
from labkit.lab import Exercise
from labkit.tree import text as text_of

KINDS = ("a missing snippet", "a missing line", "a mistyped name")

_WORD = re.compile(r"[A-Za-z_]\w*")


def generic(exercise: Exercise) -> list[Solution]:
    """The mutants of an exercise that follow from its snippets; those that are harmless are equivalents.

    Raises:
        UsageError: what is listed as harmless is nowhere.
    """
    excused = harmless(exercise)
    unused = list(excused)
    found = []
    change = insertion.insert(exercise.begin, exercise, list(exercise.snippets))
    for name in exercise.snippets:
        found.append(_missing_snippet(exercise, name))
        for each, line, word in _of_snippet(exercise, change, name):
            reasons = [entry for entry in excused if _excuses(entry, name, line, word)]
            unused = [entry for entry in unused if entry not in reasons]
            found.append(_excused(each) if reasons else each)
    for entry in unused:
        what = entry.get("line") or entry.get("word")
        raise UsageError(
            f"{exercise.name}/mutants: the snippet {entry['snippet']} has no “{what}” that could be harmless.",
            f"Mend the list in {' or '.join(path.name for path in files(exercise))}.",
        )
    return found


def _missing_snippet(exercise: Exercise, name: str) -> Solution:
    return Solution(
        exercise, KINDS[0], f"{name} is missing", right=False, without=(name,), cause=(name,), source=exercise.name
    )


def _of_snippet(exercise: Exercise, change: InsertChange, name: str) -> Iterator[tuple[Solution, str, str | None]]:
    """The mutants of one snippet of those that were inserted: each with its line, and the word if it is about one."""
    place = next((each for each in change.insertions if each.snippet == name), None)
    content = next((file.after for file in change.files if place and file.path == place.path), None)
    text = text_of(content or b"")
    if place is None or text is None:
        return
    lines = text.split("\n")
    first, last = place.line - 1, place.line - 1 + place.count
    words, code = _read(place.path, text)
    for number in range(first, last):
        if number in code:
            rest = "\n".join(lines[:number] + lines[number + 1 :])
            line = lines[number].strip()
            yield _edited(exercise, place.path, rest, KINDS[1], f"{name} without “{line}”", ()), line, None
    seen = set()
    for offset, word in words:
        number = text.count("\n", 0, offset)
        if first <= number < last and word not in seen:
            seen.add(word)
            typo = mistyped(word, text)
            changed = text[:offset] + typo + text[offset + len(word) :]
            what = f"{name} with “{typo}” for “{word}”"
            yield _edited(exercise, place.path, changed, KINDS[2], what, (typo, word)), lines[number].strip(), word


def _edited(exercise: Exercise, path: str, text: str, kind: str, name: str, words: Sequence[str]) -> Solution:
    edit = Edit(path, write=text)
    return Solution(exercise, kind, name, right=False, edits=(edit,), hints=(path, *words), source=exercise.name)


def _excuses(entry: Mapping[str, str], name: str, line: str, word: str | None) -> bool:
    if entry["snippet"] != name:
        return False
    if "word" in entry:
        return word == entry["word"] and entry.get("line", "") in line
    return word is None and entry["line"] in line


def _excused(mutant: Solution) -> Solution:
    return Solution(mutant.exercise, mutant.kind, mutant.name, right=True, edits=mutant.edits, source=mutant.source)


def mistyped(word: str, text: str) -> str:
    """The word with two letters exchanged, the last ones that differ; never a word that the text has."""
    for at in range(len(word) - 1, 0, -1):
        if word[at - 1] != word[at]:
            typo = word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :]
            if not typo[0].isdigit() and not re.search(rf"\b{re.escape(typo)}\b", text):
                return typo
    return f"{word}{word[-1]}"


def _read(path: str, text: str) -> tuple[list[tuple[int, str]], set[int]]:
    """The names in a text, each with its offset, and which of its lines are code.

    Names are what a language calls so, and the words of a string without spaces: of a path, a key, a package.
    """
    from pygments import lex
    from pygments.lexers import TextLexer, get_lexer_for_filename
    from pygments.token import Comment, Name, String, is_token_subtype
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_for_filename(PurePosixPath(path).name, stripnl=False, ensurenl=False)
    except ClassNotFound:
        lexer = TextLexer(stripnl=False, ensurenl=False)
    words, code, offset = [], set(), 0
    for kind, value in lex(text, lexer):
        is_said = is_token_subtype(kind, Comment) or is_token_subtype(kind, String.Doc)
        if value.strip() and not is_said:
            code.add(text.count("\n", 0, offset))
        is_key = is_token_subtype(kind, String) and not is_said and not re.search(r"\s", value)
        if is_token_subtype(kind, Name) or is_key:
            words += [(offset + match.start(), match[0]) for match in _WORD.finditer(value) if len(match[0]) > 1]
        offset += len(value)
    return words, code
