"""Changes to an app folder: computed as a whole first, shown as a diff, then written all or not at all."""

import contextlib
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labkit import tree
from labkit.errors import LabError
from labkit.files import Within


@dataclass(frozen=True)
class FileChange:
    """What becomes of one file; `None` stands for a file that is not there. The path is relative, with slashes."""

    path: str
    before: bytes | None
    after: bytes | None


@dataclass(frozen=True)
class Change:
    """Something that labkit does to a folder; `what` completes the sentence “labkit undo takes back: …”."""

    what: str
    files: tuple[FileChange, ...]


def write(folder: Path, change: Change, scratch: str = "") -> None:
    """Write every file of the change; a failure half way brings back the ones already written.

    For `scratch`, and what is refused, see `Within`.
    """
    within = Within(folder, scratch)
    done: list[FileChange] = []
    try:
        for file in change.files:
            done.append(file)
            within.write(file.path, file.after)
    except BaseException:
        for file in done:
            with contextlib.suppress(OSError, LabError):
                if within.read(file.path) != file.before:
                    within.write(file.path, file.before)
        raise


def content(path: Path, most: int = tree.LARGE) -> bytes | None:
    """The file's content, or `None` when it is not there; from `most` bytes on a stand-in for it."""
    try:
        return tree.read(path, most)
    except (FileNotFoundError, NotADirectoryError):
        return None


def unified(change: Change) -> str:
    """The whole change as a unified diff, empty if nothing changes."""
    return "".join(diff(file.before, file.after, f"a/{file.path}", f"b/{file.path}") for file in change.files)


def diff(before: bytes | None, after: bytes | None, old_name: str, new_name: str) -> str:
    """A unified diff of two contents; a file that is not there is named /dev/null."""
    if before == after:
        return ""
    old, new = tree.text(before or b""), tree.text(after or b"")
    old_name = old_name if before is not None else "/dev/null"
    new_name = new_name if after is not None else "/dev/null"
    if old is None or new is None:
        return f"Binary files {old_name} and {new_name} differ\n"
    if ("\r\n" in old) != ("\r\n" in new):  # else every line would be shown, and nobody could see why
        old, new = old.replace("\r\n", "\n"), new.replace("\r\n", "\n")
        if old == new:
            return f"Files {old_name} and {new_name} differ in their line endings only\n"
    lines = difflib.unified_diff(_lines(old), _lines(new), old_name, new_name)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


@dataclass(frozen=True)
class Pair:
    """One row of two texts side by side: the lines that stand beside each other, each with its number from 1.

    A side is None where the other has a line that this one lacks.
    """

    left: tuple[int, str] | None
    right: tuple[int, str] | None

    @property
    def is_same(self) -> bool:
        """Whether both sides have this line."""
        return self.left is not None and self.right is not None and self.left[1] == self.right[1]


def pairs(left: str, right: str, context: int = 3) -> Iterator[Pair | None]:
    """Two texts side by side: what differs, with the lines round it; None stands for lines that are left out."""
    old, new = _lines(left.replace("\r\n", "\n")), _lines(right.replace("\r\n", "\n"))
    old, new = [line.removesuffix("\n") for line in old], [line.removesuffix("\n") for line in new]
    end = (0, 0)
    for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(context):
        if (group[0][1], group[0][3]) != end:
            yield None
        for _, old_from, old_to, new_from, new_to in group:
            for n in range(max(old_to - old_from, new_to - new_from)):
                a, b = old_from + n, new_from + n
                yield Pair(
                    (a + 1, old[a]) if a < old_to else None,
                    (b + 1, new[b]) if b < new_to else None,
                )
        end = (group[-1][2], group[-1][4])
    if end != (len(old), len(new)) and end != (0, 0):
        yield None


def counts(before: bytes | None, after: bytes | None) -> tuple[int, int]:
    """How many lines come and how many go."""
    lines = diff(before, after, "a", "b").splitlines()[2:]
    return sum(line.startswith("+") for line in lines), sum(line.startswith("-") for line in lines)


def _lines(text: str) -> list[str]:
    # Not splitlines(): it also breaks at form feeds and Unicode separators, which editors show as part of a line.
    lines = text.split("\n")
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
