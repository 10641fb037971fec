"""Solutions that are not the lab's own: mutants, which are wrong, and equivalents, which are right in another way.

They are data beside the checks, `exercises/NAME/mutants/*.toml`, each a few edits of end. Whoever changes a check sees
by them whether it still tells wrong from right, and whether it still says what is wrong.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit import changes, form, insertion, workspace
from labkit.errors import UsageError
from labkit.files import read_text
from labkit.lab import Exercise, read_toml


@dataclass(frozen=True)
class Edit:
    """A change of one file: text in place of other text, a new content, another name or encoding, or its end.

    Without `every`, the text that is replaced is there once.
    """

    file: str
    find: str | None = None
    replace: str = ""
    every: bool = False
    write: str | None = None
    delete: bool = False
    move: str | None = None
    encoding: str | None = None


@dataclass(frozen=True)
class Solution:
    """A solution that is not the lab's own.

    Args:
        exercise: Whose solution it is.
        kind: What it is an example of.
        name: A sentence that says what is different.
        right: Whether it does all that is asked for.
        edits: How end becomes this solution.
        without: Snippets whose TODO lines are still there.
        check: The id of the check that has to fail, or None if any will do.
        cause: What has to be named, all of it, as the cause.
        hints: What has to be named, one of it at least.
        at: A file and a text: the line with that text has to be named as well.
        known: Why the checks get it wrong so far, if they do.
        source: Where it is written, for messages.
    """

    exercise: Exercise
    kind: str
    name: str
    right: bool
    edits: tuple[Edit, ...] = ()
    without: tuple[str, ...] = ()
    check: str | None = None
    cause: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    at: tuple[str, str] | None = None
    known: str | None = None
    source: str = ""

    def make(self, folder: Path) -> tuple[str, ...]:
        """Make the app folder of this solution, and return everything that has to be named as the cause.

        Raises:
            UsageError: an edit does not fit.
        """
        if self.without:
            workspace.copy_app(self.exercise.begin, folder)
            wanted = [name for name in self.exercise.snippets if name not in self.without]
            changes.write(folder, insertion.insert(folder, self.exercise, wanted))
        else:
            workspace.copy_app(self.exercise.end, folder)
        for edit in self.edits:
            self._apply(edit, folder)
        return (*self.cause, *([self._place(folder, *self.at)] if self.at else []))

    def _apply(self, edit: Edit, folder: Path) -> None:
        path = folder / edit.file
        if edit.write is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(edit.write, encoding="utf-8", newline="\n")
            return
        if not path.is_file():
            raise self._fault(f"there is no {edit.file}")
        if edit.delete:
            path.unlink()
        elif edit.move is not None:
            (folder / edit.move).parent.mkdir(parents=True, exist_ok=True)
            path.rename(folder / edit.move)
        elif edit.encoding is not None:
            path.write_bytes(read_text(path).encode(edit.encoding))
        elif edit.find is not None:
            text = read_text(path)
            found = text.count(edit.find)
            if found == 0 or (found > 1 and not edit.every):
                raise self._fault(f"{edit.file} has “{edit.find}” {found} times")
            path.write_text(text.replace(edit.find, edit.replace), encoding="utf-8", newline="\n")

    def _place(self, folder: Path, file: str, text: str) -> str:
        lines = read_text(folder / file).split("\n") if (folder / file).is_file() else []
        numbers = [number for number, line in enumerate(lines, start=1) if text in line]
        if not numbers:
            raise self._fault(f"no line of {file} has “{text}”")
        return f"{file}:{numbers[0]}"

    def _fault(self, said: str) -> UsageError:
        return UsageError(f"{self.source}: “{self.name}”: {said}.", "Mend the file.")


def written(exercise: Exercise) -> list[Solution]:
    """The solutions that the author has written down, in the order of the files.

    Raises:
        UsageError: a file cannot be read, or names something that is not there.
    """
    return [each for path in files(exercise) for each in _read(exercise, path)]


def sample(solutions: Sequence[Solution], count: int) -> list[Solution]:
    """Of each kind of each exercise, `count` wrong ones and `count` right ones, spread over those that there are.

    They are the same ones every time: whoever changes nothing gets the same verdicts.
    """
    groups: dict[tuple[str, str, bool], list[Solution]] = {}
    for each in solutions:
        groups.setdefault((each.exercise.id, each.kind, each.right), []).append(each)
    return [
        group[(2 * number + 1) * len(group) // (2 * taken)]
        for group in groups.values()
        for taken in [min(count, len(group))]
        for number in range(taken)
    ]


def harmless(exercise: Exercise) -> list[dict[str, str]]:
    """Which lines and words of snippets the author says may be missing or mistyped; see `generic`."""
    return [each for path in files(exercise) for each in _table(path).get("harmless", ())]


def files(exercise: Exercise) -> list[Path]:
    """The files that solutions are written in."""
    return sorted((exercise.folder / "mutants").glob("*.toml"))


def _read(exercise: Exercise, path: Path) -> Iterable[Solution]:
    table = _table(path)
    source = f"{exercise.name}/mutants/{path.name}"
    shared = {each["name"]: each["edits"] for each in table.get("shared", ())}
    for key in ("mutant", "equivalent"):
        for each in table.get(key, ()):
            for name in each.get("with", ()):
                if name not in shared:
                    raise UsageError(f"{source}: “{each['name']}” names “{name}”, which is not shared.")
            for name in each.get("without", ()):
                exercise.snippet(name)
            file, _, text = each.get("at", "").partition(": ")
            yield Solution(
                exercise=exercise,
                kind=table["kind"],
                name=each["name"],
                right=key == "equivalent",
                edits=_edits([*(e for name in each.get("with", ()) for e in shared[name]), *each.get("edits", ())]),
                without=tuple(each.get("without", ())),
                check=each.get("check"),
                cause=tuple(each.get("cause", ())),
                at=(file, text) if file else None,
                known=each.get("known"),
                source=source,
            )


def _edits(tables: Sequence[Mapping[str, Any]]) -> tuple[Edit, ...]:
    return tuple(Edit(**each) for each in tables)


def _table(path: Path) -> dict[str, Any]:
    return read_toml(path, form.MUTANTS)
