"""What labkit changed in a workspace, so that `labkit undo` can take it back, change by change.

Every change has a folder `.labkit/journal/NNNN` with `change.json` and the files as they were before. Undoing moves
that folder to `.labkit/undone/`, together with the files as they were until then: nothing is ever lost.
"""

import hashlib
import json
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from labkit import changes
from labkit.changes import Change, FileChange
from labkit.errors import UsageError
from labkit.files import write_whole


@dataclass(frozen=True)
class Undone:
    """What an undo brought back: the words of the change, its files, and where the undone state is kept."""

    what: str
    when: str
    files: tuple[str, ...]
    kept: Path
    left: int


class EditedSinceError(UsageError):
    """Files of the last change have been edited since; their names are in `paths`."""

    def __init__(self, what: str, paths: tuple[str, ...]) -> None:
        """Say what was edited since which change."""
        super().__init__(
            f"You have edited {', '.join(paths)} since labkit's last change ({what}): undoing takes that back too.",
            "labkit undo --force undoes it all the same and keeps a copy of your files",
        )
        self.paths = paths


class Journal:
    """The journal of one workspace; `folder` is its `.labkit`."""

    def __init__(self, folder: Path) -> None:
        """Open the journal below a workspace's `.labkit` folder."""
        self._changes = folder / "journal"
        self._undone = folder / "undone"

    def apply(self, workspace: Path, change: Change) -> None:
        """Write the change and remember how to take it back; a failure leaves both as they were.

        The journal is written first: whatever ends labkit half way, `undo` can bring back the old files.
        """
        if not change.files:
            return
        record = self._next()
        try:
            for number, file in enumerate(change.files):
                if file.before is not None:
                    write_whole(record / f"{number}.before", file.before)
            write_whole(record / "change.json", _describe(change))
            changes.write(workspace, change)
        except BaseException:
            # Should a full disk keep a file from being brought back, `undo` can still do it later.
            if all(changes.content(workspace / file.path) == file.before for file in change.files):
                shutil.rmtree(record, ignore_errors=True)
            raise

    def undo(self, workspace: Path, force: bool = False) -> Undone:
        """Bring the files back as they were before the last change.

        Raises UsageError if there is nothing to undo, EditedSinceError if a file has been edited since.
        """
        records = self._records()
        if not records:
            raise UsageError(
                "There is nothing to undo: labkit has changed nothing here.",
                "labkit list shows what to do next",
            )
        record = records[-1]
        described: dict[str, Any] = json.loads((record / "change.json").read_text(encoding="utf-8"))
        files: list[FileChange] = []
        edited = []
        for number, entry in enumerate(described["files"]):
            now = changes.content(workspace / entry["path"])
            before = (record / f"{number}.before").read_bytes() if entry["existed"] else None
            if now != before and _digest(now) != entry["after"]:
                edited.append(entry["path"])
            files.append(FileChange(entry["path"], now, before))
        if edited and not force:
            raise EditedSinceError(described["what"], tuple(edited))
        for number, file in enumerate(files):
            if file.before is not None:
                write_whole(record / f"{number}.undone", file.before)
        changes.write(workspace, Change(f"undo {described['what']}", tuple(files)))
        return Undone(
            what=described["what"],
            when=described["when"],
            files=tuple(file.path for file in files if file.before != file.after),
            kept=self.keep(record),
            left=len(records) - 1,
        )

    def keep(self, path: Path) -> Path:
        """Move a folder out of the way, beside the undone changes; returns where it is now."""
        self._undone.mkdir(parents=True, exist_ok=True)
        number = 1
        while (self._undone / f"{path.name}-{number}").exists():
            number += 1
        return path.rename(self._undone / f"{path.name}-{number}")

    @property
    def last(self) -> str | None:
        """The words of the change that `undo` would take back; None if there is nothing to undo."""
        records = self._records()
        if not records:
            return None
        try:
            return str(json.loads((records[-1] / "change.json").read_bytes())["what"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _records(self) -> list[Path]:
        if not self._changes.is_dir():
            return []
        return sorted(path for path in self._changes.iterdir() if (path / "change.json").is_file())

    def _next(self) -> Path:
        numbers = [int(path.name) for path in self._changes.glob("*") if path.name.isdigit()]
        record = self._changes / f"{max(numbers, default=0) + 1:04}"
        record.mkdir(parents=True)
        return record


def _describe(change: Change) -> bytes:
    document = {
        "schema": 1,
        "what": change.what,
        "when": datetime.now().astimezone().isoformat(timespec="seconds"),
        "files": [
            {"path": file.path, "existed": file.before is not None, "after": _digest(file.after)}
            for file in change.files
        ],
    }
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode("utf-8")


def _digest(content: bytes | None) -> str | None:
    return None if content is None else hashlib.sha256(content).hexdigest()
