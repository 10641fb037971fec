"""An exercise's checks as their sources declare them: read without running anything."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from labkit.files import read_text
from labkit.lab import Exercise


@dataclass(frozen=True)
class Check:
    """A check as its source declares it: its task's number, the snippets it needs, and its one-line docstring.

    `repeats` is true for one with parameters, of which each becomes a check of its own.
    """

    name: str
    where: str
    tasks: tuple[int, ...]
    snippets: tuple[str, ...]
    title: str
    repeats: bool


def checks(exercise: Exercise) -> list[Check]:
    """The exercise's checks in the order of their files, read from their source without running it."""
    return [
        check
        for path in sorted(exercise.checks.rglob("test_*.py"))
        for check in _checks_of(path, path.relative_to(exercise.folder).as_posix())
    ]


def _checks_of(path: Path, where: str) -> Iterator[Check]:
    module = ast.parse(read_text(path), path.name)
    shared = [node.value for node in module.body if isinstance(node, ast.Assign) and _assigns_marks(node)]
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            marks = [*node.decorator_list, *shared]
            yield Check(
                name=node.name,
                where=f"{where}:{node.lineno}",
                tasks=tuple(value for value in _marked(marks, "task") if isinstance(value, int)),
                snippets=tuple(value for value in _marked(marks, "snippets") if isinstance(value, str)),
                title=(ast.get_docstring(node) or "").partition("\n")[0],
                repeats=any(_named(marks, "parametrize")),
            )


def _named(marks: Sequence[ast.expr], name: str) -> Iterator[bool]:
    """Whether each of these marks, and of those in lists, is a call of this name."""
    for mark in marks:
        if isinstance(mark, ast.List | ast.Tuple):
            yield from _named(mark.elts, name)
        elif isinstance(mark, ast.Call) and isinstance(mark.func, ast.Attribute):
            yield mark.func.attr == name


def _assigns_marks(node: ast.Assign) -> bool:
    return any(isinstance(target, ast.Name) and target.id == "pytestmark" for target in node.targets)


def _marked(marks: list[ast.expr], name: str) -> Iterator[object]:
    """The constant arguments of `pytest.mark.NAME(…)` among these marks, and within lists of marks."""
    for mark in marks:
        if isinstance(mark, ast.List | ast.Tuple):
            yield from _marked(mark.elts, name)
        elif isinstance(mark, ast.Call) and isinstance(mark.func, ast.Attribute) and mark.func.attr == name:
            yield from (argument.value for argument in mark.args if isinstance(argument, ast.Constant))
