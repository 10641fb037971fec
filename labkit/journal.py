"""What labkit changed in a workspace, so that `labkit undo` can take it back, change by change.

Every change has a folder `.labkit/journal/NNNN` with `change.json` and the files as they were before. Undoing moves
that folder to `.labkit/undone/`, together with the files as they were until then: nothing is ever lost. A folder that
a change puts away, the app's data for example, is moved there as well, and back when the change is undone.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from labkit import changes, documents
from labkit.changes import Change, FileChange
from labkit.errors import UsageError
from labkit.files import Within


@dataclass(frozen=True)
class Undone:
    """What an undo brought back: the words of the change, its files and folders, and where the undone state is kept."""

    what: str
    when: str
    files: tuple[str, ...]
    folders: tuple[str, ...]
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


_OWN = ".labkit"

_SCRATCH = f"{_OWN}/half-made"


class Journal:
    """The journal of one workspace; what writes is for one command at a time (see `Workspace.changing`)."""

    def __init__(self, workspace: Path) -> None:
        """Open the journal below a workspace's `.labkit` folder."""
        self._files = Within(workspace, _SCRATCH)

    def apply(self, change: Change, put_away: str | None = None) -> Path | None:
        """Write the change and remember how to take it back; a failure leaves both as they were.

        The journal is written first: whatever ends labkit half way, `undo` can bring back the old files. With
        `put_away` a folder of the workspace is moved out of the way, too; returns where it is then. Raises UsageError
        if a file is not any more as the change found it.
        """
        if not change.files and put_away is None:
            return None
        self._sweep()
        for file in change.files:
            if self._files.read(file.path) != file.before:
                raise UsageError(
                    f"{file.path} has been changed in this moment. Nothing was changed.", "Repeat the command."
                )
        record = f"{_OWN}/journal/{self._next():04}"
        try:
            for number, file in enumerate(change.files):
                if file.before is not None:
                    self._files.write(f"{record}/{number}.before", file.before)
            kept = self._aside(put_away) if put_away else None
            self._files.write(f"{record}/change.json", _describe(change, {put_away: kept} if put_away and kept else {}))
            changes.write(self._files.folder, change, _SCRATCH)
            if put_away and kept:
                self._files.move(put_away, kept)
        except BaseException:
            # Should a full disk keep a file from being brought back, `undo` can still do it later.
            if all(self._files.read(file.path) == file.before for file in change.files):
                self._files.remove_folder(record)
            raise
        return self._files.folder / kept if kept else None

    def undo(self, force: bool = False) -> Undone:
        """Bring the files back as they were before the last change.

        Raises UsageError if there is nothing to undo, EditedSinceError if a file has been edited since.
        """
        self._sweep()
        records = self._records()
        if not records:
            raise UsageError(
                "There is nothing to undo: labkit has changed nothing here.",
                "labkit next",
            )
        record = f"{_OWN}/journal/{records[-1]}"
        what, when, entries, put_away = self._described(record)
        files: list[FileChange] = []
        edited = []
        for number, (path, existed, after) in enumerate(entries):
            now = self._files.read(path)
            before = self._files.read(f"{record}/{number}.before") if existed else None
            if existed and before is None:
                raise _damaged(record, f"{number}.before is missing")
            if now != before and _digest(now) != after:
                edited.append(path)
            files.append(FileChange(path, now, before))
        if edited and not force:
            raise EditedSinceError(what, tuple(edited))
        for number, file in enumerate(files):
            if file.before is not None and file.before != file.after:
                self._put_aside(record, number, file.before)
        changes.write(self._files.folder, Change(f"undo {what}", tuple(files)), _SCRATCH)
        return Undone(
            what=what,
            when=when,
            files=tuple(file.path for file in files if file.before != file.after),
            folders=tuple(path for path, kept in put_away.items() if self._put_back(path, kept)),
            kept=self.keep(record),
            left=len(records) - 1,
        )

    def keep(self, path: str) -> Path:
        """Move a folder of the workspace out of the way, beside the undone changes; returns where it is now."""
        kept = self._aside(path)
        self._files.move(path, kept)
        return self._files.folder / kept

    def _aside(self, path: str) -> str:
        """A free place beside the undone changes for this folder."""
        name = path.rpartition("/")[2]
        there = set(self._files.names(f"{_OWN}/undone"))
        number = 1
        while f"{name}-{number}" in there:
            number += 1
        return f"{_OWN}/undone/{name}-{number}"

    def _put_back(self, path: str, kept: str) -> bool:
        """Move a folder back from where a change has put it; what is in its place by now is kept in turn."""
        if not self._is_there(kept):  # the change was cut short before it could be put away, or it is back already
            return False
        if self._files.names(path):
            self.keep(path)
        else:
            self._files.remove_folder(path)
        self._files.move(kept, path)
        return True

    def _is_there(self, path: str) -> bool:
        above, _, name = path.rpartition("/")
        return name in self._files.names(above)

    @property
    def last(self) -> str | None:
        """The words of the change that `undo` would take back; None if there is nothing to undo."""
        records = self._records()
        try:
            return self._described(f"{_OWN}/journal/{records[-1]}")[0] if records else None
        except UsageError:
            return None

    @property
    def last_puts_away(self) -> bool:
        """Whether the change that `undo` would take back has put a folder away."""
        records = self._records()
        try:
            return bool(records and self._described(f"{_OWN}/journal/{records[-1]}")[3])
        except UsageError:
            return False

    def _put_aside(self, record: str, number: int, content: bytes) -> None:
        """Keep what an undo takes back; an undo that was cut short has kept something already, which stays."""
        name, attempt = f"{record}/{number}.undone", 1
        while (kept := self._files.read(name)) is not None and kept != content:
            attempt += 1
            name = f"{record}/{number}.undone-{attempt}"
        if kept is None:
            self._files.write(name, content)

    def _records(self) -> list[str]:
        names = [name for name in self._files.names(f"{_OWN}/journal") if name.isdigit()]
        return [name for name in names if "change.json" in self._files.names(f"{_OWN}/journal/{name}")]

    def _next(self) -> int:
        names = self._files.names(f"{_OWN}/journal")
        return max((int(name) for name in names if name.isdigit()), default=0) + 1

    def _sweep(self) -> None:
        """Remove what commands that were killed have left: half-made files, and records of changes never begun."""
        self._files.remove_folder(_SCRATCH)
        for name in self._files.names(f"{_OWN}/journal"):
            if name.isdigit() and "change.json" not in self._files.names(f"{_OWN}/journal/{name}"):
                self._files.remove_folder(f"{_OWN}/journal/{name}")

    def _described(self, record: str) -> tuple[str, str, list[tuple[str, bool, str | None]], dict[str, str]]:
        """What a change was called, when it was made, of each file the path, whether it was there, its digest; and the
        folders that it has put away, with where they are.
        """
        try:
            described: dict[str, Any] = documents.parse_json(self._files.read(f"{record}/change.json") or b"")
            entries = [(entry["path"], entry["existed"], entry["after"]) for entry in described["files"]]
            if not all(isinstance(path, str) and isinstance(existed, bool) for path, existed, _ in entries):
                raise ValueError("a file has no path")
            put_away = {str(path): str(kept) for path, kept in dict(described.get("put_away", {})).items()}
            if not all(
                kept.startswith(f"{_OWN}/undone/") and path.startswith(f"{_OWN}/") for path, kept in put_away.items()
            ):
                raise ValueError("a folder was put away that is not labkit's")
            return str(described["what"]), str(described["when"]), entries, put_away
        except (ValueError, KeyError, TypeError) as error:
            raise _damaged(record, str(error)) from error


def _damaged(record: str, why: str) -> UsageError:
    return UsageError(
        f"{record} is damaged ({why}): the change cannot be taken back. Nothing was changed.",
        f"Remove the folder {record}; what it keeps of your files is in it.",
    )


def _describe(change: Change, put_away: dict[str, str]) -> bytes:
    document = {
        "schema": 1,
        "what": change.what,
        "when": datetime.now().astimezone().isoformat(timespec="seconds"),
        "files": [
            {"path": file.path, "existed": file.before is not None, "after": _digest(file.after)}
            for file in change.files
        ],
        "put_away": put_away,
    }
    return documents.json_of(document)


def _digest(content: bytes | None) -> str | None:
    return None if content is None else hashlib.sha256(content).hexdigest()
