"""The workspaces that were made or used on this machine, the last used first; `list` knows them in any folder.

And the labs that somebody has named here: a workspace that comes from elsewhere chooses none by itself, as the checks
of a lab are programs, which run with the rights of whoever verifies.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from labkit import documents
from labkit.errors import LabError
from labkit.files import locked, write_whole
from labkit.places import state_folder

_MOST = 50


@dataclass(frozen=True)
class Known:
    """A workspace's folder, the exercise's name and the lab's folder, and when it was last used (ISO 8601)."""

    folder: Path
    exercise: str
    lab: Path
    used: str


def workspaces(lab: Path, exercise: str | None = None) -> list[Known]:
    """The workspaces of a lab, or of one of its exercises, that are still there; the last used first."""
    return [
        each
        for each in _read()
        if each.lab == lab
        and exercise in (None, each.exercise)
        and (each.folder / ".labkit" / "workspace.json").is_file()
    ]


def remember(folder: Path, exercise: str, lab: Path) -> None:
    """Put a workspace first; where nothing can be written, nothing is remembered."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        path = _path()
        with locked(path.with_suffix(".lock")):
            kept = _read()
            if kept and (kept[0].folder, kept[0].used[:10]) == (folder, now[:10]):
                return  # one a day is enough of those that go on in the same
            others = [each for each in kept if each.folder != folder]
            rows = [
                {"folder": str(each.folder), "exercise": each.exercise, "lab": str(each.lab), "used": each.used}
                for each in [Known(folder, exercise, lab, now), *others][:_MOST]
            ]
            write_whole(path, documents.json_of({"schema": 1, "workspaces": rows}))
    except (LabError, OSError):
        return


def written() -> int:
    """When this list was last written, in nanoseconds since the epoch; 0 if there is none."""
    try:
        return _path().stat().st_mtime_ns
    except (LabError, OSError):
        return 0


def trusts(lab: Path) -> bool:
    """Whether somebody has named this lab here, or made it, or a workspace of it."""
    return lab in _labs() or any(each.lab == lab for each in _read())


def trust(lab: Path) -> None:
    """Remember that somebody has named this lab here; where nothing can be written, it has to be named again."""
    try:
        path = _path().with_name("labs.json")
        if lab in _labs():
            return
        with locked(path.with_suffix(".lock")):
            rows = [str(lab), *map(str, _labs())][:_MOST]
            write_whole(path, documents.json_of({"schema": 1, "labs": rows}))
    except (LabError, OSError):
        return


def _labs() -> list[Path]:
    try:
        return [Path(lab) for lab in documents.read_json(_path().with_name("labs.json"))["labs"]]
    except (LabError, OSError, ValueError, KeyError, TypeError):
        return []


def _path() -> Path:
    return state_folder() / "workspaces.json"


def _read() -> list[Known]:
    try:
        rows = documents.read_json(_path())["workspaces"]
        return [Known(Path(row["folder"]), row["exercise"], Path(row["lab"]), row["used"]) for row in rows]
    except (LabError, OSError, ValueError, KeyError, TypeError):
        return []
