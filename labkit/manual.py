"""A lab's manual: the chapters of its exercises, and the pages and pictures that lab.toml names beside them.

It lies in the lab's folder, where a code host shows it, and is copied into each workspace, where it is read without the
lab. The copies lie closer together, so their links are written anew.
"""

import os
import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from labkit import language, prose
from labkit.errors import UsageError
from labkit.files import read_text
from labkit.lab import Exercise, Lab

FOLDER = "manual"
"""The manual's folder in a workspace; the chapter of the workspace's exercise is its README.md."""

PICTURES = "pictures"
"""The folder beside a chapter with the pictures that it shows."""

_FENCE = re.compile(r"^[ >]*(`{3,}|~{3,})[^\n]*\n.*?^[ >]*\1[`~]*[ ]*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]+)\]\((?P<target>[^)\s#]*)(?P<anchor>#[^)\s]*)?\)")
_KEY = re.compile(r"</?kbd>")


def pages(lab: Lab) -> dict[str, Path]:
    """The pages beside the chapters by their names, `transports` for example, in the order of lab.toml."""
    return {path.stem.lower(): path for path in _beside(lab) if path.suffix == ".md"}


def files(lab: Lab, exercise: Exercise) -> dict[str, bytes]:
    """The manual as it lies in a workspace of the exercise: path below `manual/`, and content.

    Raises UsageError if a file that lab.toml names is missing, or a page is not in UTF-8.
    """
    places = dict(_places(lab, exercise))
    return {
        place: _moved(page(lab, source), source, place, places).encode("utf-8")
        if source.suffix == ".md"
        else source.read_bytes()
        for source, place in places.items()
    }


def page(lab: Lab, path: Path) -> str:
    """A page of the manual in the reader's language, as far as the lab's catalogue has it."""
    return prose.in_language(read_text(path), lab.folder)


def broken_links(lab: Lab, path: Path) -> Iterator[str]:
    """The links of a page that lead to no file of the lab's manual, nor to any address."""
    known = {source for exercise in lab.exercises for source, _ in _places(lab, exercise)}
    for link in _links(read_text(path)):
        target = link["target"]
        if target and "://" not in target and _resolved(path, target) not in known:
            yield target


def for_terminal(lab: Lab, text: str, page: Path) -> str:
    """A page's Markdown for a terminal: links say which command opens their page, pictures are told in words."""
    named = {path: name for name, path in pages(lab).items()}
    named |= {exercise.chapter.path: exercise.id for exercise in lab.exercises}

    def told(link: re.Match[str]) -> str:
        target = _resolved(page, link["target"]) if link["target"] else None
        words = " ".join(link["text"].split())
        if link["image"]:
            return language.translated(f"*[Picture: {words}]*")
        if target in named:
            return f"{words} (`labkit chapter {named[target]}`)"
        return link[0] if "://" in link["target"] else words

    return _outside_code(text, lambda part: _KEY.sub("**", _LINK.sub(told, part)))


def _beside(lab: Lab) -> Iterator[Path]:
    for name in lab.manual:
        path = lab.folder / name
        if path.is_dir():
            yield from sorted(each for each in path.rglob("*") if each.is_file() and not each.name.startswith("."))
        elif path.is_file():
            yield path
        else:
            raise UsageError(f"{path} is missing: lab.toml names it in `manual`.", "Restore it.")


def _places(lab: Lab, exercise: Exercise) -> Iterator[tuple[Path, str]]:
    """Where each file of the manual lies in a workspace of the exercise."""
    for each in lab.exercises:
        folder = "" if each.name == exercise.name else f"{each.name}/"
        yield each.folder / "README.md", f"{folder}README.md"
        for path in sorted((each.folder / PICTURES).glob("[!.]*")):
            if path.suffix == ".json":  # what the pictures show, for the author's tests
                continue
            yield path, f"{folder}{PICTURES}/{path.name}"
    roots = {lab.folder / name for name in lab.manual}
    for path in _beside(lab):
        root = next((root for root in roots if root in path.parents), path)
        yield path, path.relative_to(root.parent).as_posix()


def _moved(text: str, source: Path, place: str, places: dict[Path, str]) -> str:
    """The page with links that lead to the same files from its new place."""

    def moved(link: re.Match[str]) -> str:
        found = places.get(_resolved(source, link["target"])) if link["target"] else None
        if found is None:
            return link[0]
        target = posixpath.relpath(found, posixpath.dirname(place) or ".")
        return f"{link['image']}[{link['text']}]({target}{link['anchor'] or ''})"

    return _outside_code(text, lambda part: _LINK.sub(moved, part))


def _links(text: str) -> Iterator[re.Match[str]]:
    found: list[re.Match[str]] = []

    def collect(part: str) -> str:
        found.extend(_LINK.finditer(part))
        return part

    _outside_code(text, collect)
    yield from found


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    """The text with everything changed that is no block of code."""
    parts, end = [], 0
    for fence in _FENCE.finditer(text):
        parts += [change(text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(text[end:])])


def _resolved(page: Path, target: str) -> Path:
    return Path(os.path.normpath(page.parent / target))
