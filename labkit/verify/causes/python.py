"""What is wrong with an app's Python code: from the exceptions in its log, and from the code's shape.

Nothing here runs the code.
"""

import ast
import difflib
import itertools
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from labkit.diagnosis import Raised
from labkit.verify.causes.finding import Facts, Finding

_ATTRIBUTE = re.compile(r"(?:'(?P<object>\w+)' object|type object '(?P<type>\w+)') has no attribute '(?P<name>\w+)'")
_NAME = re.compile(r"name '(?P<name>\w+)' is not defined")
_IMPORT = re.compile(r"cannot import name '(?P<name>\w+)' from '(?P<module>[\w.]+)'")
_MODULE = re.compile(r"No module named '(?P<name>[\w.]+)'")
_MISSES = re.compile(
    r"cannot import name '(\w+)'|name '(\w+)' is not defined|has no attribute '(\w+)'|No module named '([\w.]+)'"
)
_UNFORMATTED = re.compile(r"(?<![\w\"'])([\"'])(?:(?!\1).)*\{[A-Za-z_][\w.]*\}(?:(?!\1).)*\1")
"""A string with names in braces, and no f before it."""

_TRIES = 3
"""How often a text is parsed: CPython 3.11 may miscount its recursion if garbage is collected meanwhile."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Definition:
    """A class, function or top-level name of the app; `owner` is the class or function that it is in."""

    path: str
    name: str
    line: int
    owner: str | None
    owner_is_class: bool
    is_function: bool


def missing_snippet(said: str, todo: Mapping[str, str], texts: Mapping[str, str]) -> str | None:
    """Of the TODO lines the one whose snippet has a name that an error misses; None if the error is about no name.

    A missing name is the only way in which a line that is still to come makes an error: a syntax error, an endless loop
    or an exception of another kind is in what the trainee has written.
    """
    found = _MISSES.search(said)
    name = next(filter(None, found.groups()), "") if found else ""
    word = re.compile(rf"\b{re.escape(name.rpartition('.')[2])}\b")
    return next((each for each in todo if name and word.search(texts.get(each, ""))), None)


def explain(facts: Facts, raised: Raised) -> Finding | None:
    """What an exception comes from, if more can be said than its text and its line."""
    said = str(raised)
    snippet = missing_snippet(said, facts.todo, facts.snippets)
    if snippet:
        at = f" at {raised.place}" if raised.place else ""
        return Finding(
            f"{said}{at}; the TODO line {snippet} is still at {facts.todo[snippet]}",
            raised.place,
            f"labkit snippet insert {snippet}",
            snippet,
        )
    for pattern, find in ((_ATTRIBUTE, _attribute), (_NAME, _name), (_IMPORT, _imported), (_MODULE, _module)):
        match = pattern.search(said)
        finding = find(facts, raised, match) if match else None
        if finding:
            return finding
    finding = _unawaited(facts, raised) or _about_class(facts, raised)
    if finding:
        return finding
    if raised.place and _UNFORMATTED.search(raised.place.source) and ".format" not in raised.place.source:
        first = said.partition(";")[0].rstrip(".")
        return Finding.at(
            raised.place,
            f"{first}; the braces are taken as they are, because the f before the quotes is missing",
            f"Write f before the opening quote in {raised.place}, then verify again.",
        )
    return None


def unreachable(facts: Facts) -> Iterator[Finding]:
    """Statements of changed files behind a return, raise, break or continue."""
    for path in facts.changed:
        for node in ast.walk(parsed(facts.files[path])) if path.endswith(".py") else ():
            for body in (getattr(node, each, None) for each in ("body", "orelse", "finalbody")):
                for before, after in itertools.pairwise(body) if isinstance(body, list) else ():
                    if isinstance(before, ast.Return | ast.Raise | ast.Break | ast.Continue):
                        word = type(before).__name__.lower()
                        yield Finding.at(
                            facts.place(path, after.lineno),
                            f"this line is never reached, for the {word} in line {before.lineno} comes before it",
                            f"Move line {after.lineno} of {path} above line {before.lineno}, then verify again.",
                        )


def definitions(facts: Facts) -> list[Definition]:
    """What the app's own modules define, outermost first."""
    found = []
    for path, text in facts.files.items():
        if path.endswith(".py"):
            found += [Definition(path, *each) for each in _defined(text)]
    return found


def importing(path: str, target: str, name: str) -> str:
    """The line that imports a name of one of the app's modules into another one of the same package."""
    here, there = (
        path.removesuffix(".py").split("/")[:-1],
        target.removesuffix(".py").removesuffix("/__init__").split("/"),
    )
    shared = 0
    while shared < min(len(here), len(there)) and here[shared] == there[shared]:
        shared += 1
    if not shared:
        return f"from {'.'.join(there)} import {name}"
    return f"from {'.' * (len(here) - shared + 1)}{'.'.join(there[shared:])} import {name}"


def _attribute(facts: Facts, raised: Raised, match: re.Match[str]) -> Finding | None:
    owner, name = match["object"] or match["type"], match["name"]
    known = definitions(facts)
    classes = [each for each in known if each.name == owner and not each.is_function]
    home = classes[0] if classes else None
    if owner is None or home is None:
        return None
    at = f" at {raised.place}" if raised.place else ""
    said = f"{raised}{at}"
    mine = [each.name for each in known if each.owner == owner and each.owner_is_class]
    for each in known:
        if each.name != name or not each.is_function:
            continue
        place = facts.place(each.path, each.line)
        where = f"{place} defines {name}"
        if each.path == home.path and each.owner is None:
            return Finding(
                f"{said}: {where} outside of the class {owner}{place.quoted}",
                place,
                f"Indent {place} and the lines of {name} as the other methods of {owner} are, then verify again.",
            )
        if each.path == home.path and not each.owner_is_class:
            return Finding(
                f"{said}: {where} inside of the function {each.owner}{place.quoted}",
                place,
                f"Indent {place} and the lines of {name} as the line `def {each.owner}` is, then verify again.",
            )
        inside = f"in the class {each.owner}, not in {owner}" if each.owner else f"outside of the class {owner}"
        return Finding(
            f"{said}: {where} {inside}{place.quoted}",
            place,
            f"Move {name} from {place} into the class {owner} in {home.path}, then verify again.",
        )
    near = difflib.get_close_matches(name, mine, n=1, cutoff=0.7)
    if near and raised.place:
        other = next(each for each in known if each.name == near[0] and each.owner == owner)
        what = f"{raised}: the class {owner} has {near[0]} ({other.path}:{other.line})"
        advice = f"Write {near[0]} in {raised.place}, or name the method {name} in {other.path}:{other.line}."
        return Finding.at(raised.place, what, advice)
    for snippet, path in facts.homes.items():
        line = re.search(rf"^\s*((?:async )?def {name}\(.*)$", facts.snippets.get(snippet, ""), re.MULTILINE)
        if line and path == home.path:
            place = facts.place(path, home.line)
            return Finding(
                f"{said}: the class {owner} ({place}) has no {name}{place.quoted}",
                place,
                f"Write `{line[1]}` in {path}, where the manual has it, then verify again.",
            )
    return None


def _name(facts: Facts, raised: Raised, match: re.Match[str]) -> Finding | None:
    name, place = match["name"], raised.place
    if place is None:
        return None
    known = definitions(facts)
    said = str(raised)
    methods = [each for each in known if each.name == name and each.owner_is_class and each.path == place.path]
    if methods and methods[0].is_function:
        return Finding.at(place, f"{said}: it is a method of {methods[0].owner}", f"Write self.{name} in {place}.")
    outer = [each for each in known if each.name == name and each.owner is None and each.path != place.path]
    line = next(
        (
            line.strip()
            for text in facts.snippets.values()
            for line in text.split("\n")
            if re.match(rf"(from \S+ )?import .*\b{name}\b", line.strip()) and (outer or "from ." not in line)
        ),
        None,
    )
    line = line or (importing(place.path, outer[0].path, name) if outer else _import_elsewhere(facts, name))
    if line:
        return Finding.at(
            place, f"{said}: {place.path} does not import it", f"Write `{line}` among the imports of {place.path}."
        )
    here = [each.name for each in known if each.path == place.path or each.owner is None]
    near = difflib.get_close_matches(name, here, n=1, cutoff=0.75)
    return Finding.at(place, f"{said}: did you mean {near[0]}?") if near else None


def _imported(facts: Facts, raised: Raised, match: re.Match[str]) -> Finding | None:
    name, module = match["name"], match["module"]
    path = next(
        (
            f"{module.replace('.', '/')}{end}"
            for end in (".py", "/__init__.py")
            if f"{module.replace('.', '/')}{end}" in facts.files
        ),
        None,
    )
    if path is None or raised.place is None:
        return None
    said = f"ImportError: {path} has no {name}"
    inside = [each.name for each in definitions(facts) if each.path == path and each.owner is None]
    near = difflib.get_close_matches(name, inside, n=1, cutoff=0.7)
    elsewhere = [each for each in definitions(facts) if each.name == name and each.path != path and each.owner is None]
    if near:
        return Finding.at(raised.place, f"{said}, it has {near[0]}")
    if elsewhere:
        other = elsewhere[0]
        line = importing(raised.place.path, other.path, name)
        return Finding.at(
            raised.place,
            f"{said}: {other.path}:{other.line} defines it",
            f"Move {name} into {path}, or import it from where it is: {line}",
        )
    return Finding.at(raised.place, said)


def _module(facts: Facts, raised: Raised, match: re.Match[str]) -> Finding | None:
    modules = [
        path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for path in facts.files
        if path.endswith(".py")
    ]
    near = difflib.get_close_matches(match["name"], modules, n=1, cutoff=0.75)
    if near and raised.place:
        wanted = near[0].replace(".", "/")
        path = next(each for each in facts.files if each in (f"{wanted}.py", f"{wanted}/__init__.py"))
        return Finding.at(raised.place, f"{raised}: there is {path}")
    return None


def _import_elsewhere(facts: Facts, name: str) -> str | None:
    """The line by which another module of the app, or of begin, imports a name that comes from a package."""
    for text in (*facts.files.values(), *facts.original.values()):
        for line in text.split("\n"):
            if re.match(rf"(from [a-z_]\S* )?import .*\b{name}\b", line):
                return f"{line.partition(' import ')[0]} import {name}" if line.startswith("from") else line
    return None


def _about_class(facts: Facts, raised: Raised) -> Finding | None:
    """The class of another module that an exception says something of: what is wrong is there."""
    match = re.match(r"(\w+) is ", raised.text)
    known = [each for each in definitions(facts) if match and each.name == match[1] and not each.is_function]
    if not known or raised.place is None or known[0].path == raised.place.path:
        return None
    place = facts.place(known[0].path, known[0].line)
    return Finding(
        f"{str(raised).rstrip('.')} at {raised.place}; {place} defines {known[0].name}{place.quoted}",
        place,
        f"Mend {place}, save the file and verify again.",
    )


def _unawaited(facts: Facts, raised: Raised) -> Finding | None:
    """The call without `await` whose result, a coroutine, was used as a value in the line that failed."""
    place = raised.place
    if place is None or "coroutine" not in str(raised):
        return None
    known = {each.name for each in definitions(facts) if each.is_function}
    for function in ast.walk(parsed(facts.files.get(place.path, ""))):
        if not isinstance(function, ast.AsyncFunctionDef):
            continue
        if not function.lineno <= place.line <= (function.end_lineno or 0):
            continue
        used = {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and node.lineno == place.line}
        for node in ast.walk(function):
            if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Call) or node.lineno > place.line:
                continue
            called = node.value.func
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            target = node.targets[0]
            if isinstance(target, ast.Name) and target.id in used and name in known:
                at = facts.place(place.path, node.lineno)
                return Finding.at(
                    at,
                    f"`await` is missing before the call of {name}, so {target.id} is a coroutine in line {place.line} "
                    f"({str(raised).rstrip('.')})",
                    f"Write `await` before the call in {at}, then verify again.",
                )
    return None


@lru_cache(maxsize=256)
def parsed(text: str) -> ast.Module:
    """The syntax tree of a module's text; an empty one if it cannot be read."""
    for _ in range(_TRIES):
        with suppress(SystemError):
            try:
                return ast.parse(text.removeprefix("\ufeff"))
            except (SyntaxError, ValueError, RecursionError):
                break
    return ast.Module([], [])


@lru_cache(maxsize=256)
def _defined(text: str) -> tuple[tuple[str, int, str | None, bool, bool], ...]:
    found: list[tuple[str, int, str | None, bool, bool]] = []

    def visit(node: ast.AST, owner: str | None, owner_is_class: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function | ast.ClassDef):
                is_function = not isinstance(child, ast.ClassDef)
                found.append((child.name, child.lineno, owner, owner_is_class, is_function))
                visit(child, child.name, not is_function)
            elif isinstance(child, ast.Assign | ast.AnnAssign):
                targets = child.targets if isinstance(child, ast.Assign) else [child.target]
                names = [each.id for each in targets if isinstance(each, ast.Name)]
                if owner is None or owner_is_class:
                    found.extend((name, child.lineno, owner, owner_is_class, False) for name in names)
            else:
                visit(child, owner, owner_is_class)

    visit(parsed(text), None, False)
    return tuple(found)
