"""Changes to an app folder: computed as a whole first, shown as a diff, then written all or not at all."""

import contextlib
import difflib
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


def counts(before: bytes | None, after: bytes | None) -> tuple[int, int]:
    """How many lines come and how many go."""
    lines = diff(before, after, "a", "b").splitlines()[2:]
    return sum(line.startswith("+") for line in lines), sum(line.startswith("-") for line in lines)


def _lines(text: str) -> list[str]:
    # Not splitlines(): it also breaks at form feeds and Unicode separators, which editors show as part of a line.
    lines = text.split("\n")
    return [f"{line}\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
