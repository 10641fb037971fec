"""Keeps what was found about solutions, so that a matrix that takes long can be run in parts, and gone on with."""

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from labkit.author.matrix import Outcome
from labkit.author.mutants import Solution
from labkit.errors import UsageError
from labkit.verify.report import Report


class Kept:
    """A file of outcomes, a line of JSON each; what is added is in it at once.

    An outcome belongs to its solution as long as that has the same edits; what has to be named is judged anew. Whether
    the checks have changed since is not known here.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[str, list[dict[str, Any]]] = {}
        for number, line in enumerate(path.read_bytes().splitlines() if path.exists() else (), start=1):
            try:
                entry = msgspec.json.decode(line)
                self._found.setdefault(entry["key"], []).append(entry)
            except (msgspec.DecodeError, KeyError, TypeError):
                raise UsageError(f"{path}, line {number}, is no outcome.", "Remove the line, or the file.") from None

    def of(self, solutions: Sequence[Solution]) -> list[Outcome]:
        """What was found about these, as far as it is known, in their order."""
        return [_outcome(each, self._found[key][-1]) for each in solutions if (key := _key(each)) in self._found]

    def add(self, outcome: Outcome) -> None:
        """Keep an outcome more."""
        entry = {
            "key": _key(outcome.solution),
            "name": outcome.solution.name,
            "seconds": round(outcome.seconds, 2),
            "error": outcome.error,
            "before": outcome.before,
            "report": outcome.report,
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(entry, enc_hook=str) + b"\n")


def _key(solution: Solution) -> str:
    """What a solution is known by: the exercise, its name, and how it is made."""
    made = (solution.exercise.id, solution.kind, solution.name, solution.without, solution.edits)
    return hashlib.sha256(repr(made).encode()).hexdigest()[:16]


def _outcome(solution: Solution, entry: dict[str, Any]) -> Outcome:
    with tempfile.TemporaryDirectory(prefix="labkit-", ignore_cleanup_errors=True) as temporary:
        named = solution.make(Path(temporary) / "app")
    report = entry["report"] and msgspec.convert(entry["report"], Report, dec_hook=lambda path, text: path(text))
    return Outcome(solution, entry["seconds"], report, named, entry["error"], entry.get("before"))
