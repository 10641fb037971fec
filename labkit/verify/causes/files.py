"""Files that are damaged as a whole: deleted, emptied, or saved in another encoding than UTF-8."""

import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from labkit import tree
from labkit.diagnosis import Place
from labkit.verify.causes.finding import Facts, Finding
from labkit.verify.report import Check

_TEXTS = (".py", ".js", ".mjs", ".ts", ".html", ".toml", ".json", ".jinja")
"""What an app, or a browser, cannot read in another encoding; notes of the trainee are none of it."""
_MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_QUOTES = re.compile("[\u2018-\u201f\u00ab\u00bb]")
_ZEROS = 0.2
"""From which share of zeros on a file without a mark is UTF-16, too."""


def misencoded(app: Path, begin: Path) -> Iterator[Finding]:
    """Text files that were saved in another encoding than UTF-8."""
    for path in tree.code_files(app):
        if not path.endswith(_TEXTS):
            continue
        content = tree.read(app / path)
        if tree.text(content) is not None:
            continue
        original = begin / path
        if original.is_file() and tree.text(original.read_bytes()) is None:
            continue
        encoding = _MARKS.get(content[:2]) or ("UTF-16" if content.count(0) > len(content) * _ZEROS else None)
        is_how = f"is saved as {encoding}" if encoding else "is not saved as UTF-8"
        line = None if encoding else _first_bad_line(content)
        yield Finding(
            f"{path} {is_how}" + (", which nothing that reads it expects" if encoding else f": see line {line}"),
            Place(path, line or 1, ""),
            f"Save {path} as UTF-8 (in the editor: Save with Encoding), then verify again.",
        )


def lost(facts: Facts, hints: Iterable[str]) -> Iterator[Finding]:
    """Files of begin that were deleted or emptied, and that one of the hints (URLs, errors) is about."""
    told = list(hints)
    for path in tree.app_files(facts.begin):
        if not any(_is_about(hint, path) for hint in told):
            continue
        mine = facts.app / path
        if not mine.exists():
            yield missing(path)
        elif not mine.read_bytes().strip() and (facts.begin / path).read_bytes().strip():
            yield Finding(f"{path} is empty", Place(path, 1, ""), f"labkit reset {_argument(path)}")


def homes(facts: Facts, check: Check) -> Iterator[Finding]:
    """Files that the code of a check belongs into, and that are gone, or cannot be read as what they are."""
    for path in dict.fromkeys(facts.homes[name] for name in check.snippets if name in facts.homes):
        if not (facts.app / path).exists():
            yield missing(path)
        elif path.endswith(".toml"):
            yield from _no_toml(facts, path)


def _no_toml(facts: Facts, path: str) -> Iterator[Finding]:
    text = facts.files.get(path, "")
    try:
        tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        found = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", str(error))
        line = int(found[1]) if found and found[1] else len(text.rstrip().split("\n"))
        place = facts.place(path, line)
        said = str(error)[: found.start()] if found else str(error)
        yield typographic(place) or Finding.at(
            place,
            f"{path} is no TOML from this line on: {said}",
            f"Mend {place} (the fault may stand a line above it), save the file and verify again.",
        )


def typographic(place: Place) -> Finding | None:
    """The finding that a line of code has the quotes of a text editor, if it has."""
    quotes = " ".join(dict.fromkeys(_QUOTES.findall(place.source)))
    if not quotes:
        return None
    return Finding.at(
        place,
        f"the quotes of this line, {quotes}, are a text editor's, which code does not know",
        f"Write straight quotes in {place}, save the file and verify again.",
    )


def missing(path: str) -> Finding:
    """The finding that a file of begin is missing."""
    return Finding(f"The file {path} is missing", Place(path, 1, ""), f"labkit reset {_argument(path)}")


def _is_about(hint: str, path: str) -> bool:
    """Whether a URL, or an error, is about a file: by its name, or as a module."""
    name = PurePosixPath(path).name
    module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return hint.rstrip("'\"").endswith(f"/{name}") or f"'{name}'" in hint or f"'{module}'" in hint


def _first_bad_line(content: bytes) -> int:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        return content[: error.start].count(b"\n") + 1
    return 1


def _argument(path: str) -> str:
    return f'"{path}"' if " " in path else path
