"""What has changed since an earlier report of the same class."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit import documents
from labkit.errors import UsageError
from labkit.grading.grades import Grade

DOCUMENT = "report.json"
"""The file of a report that is compared."""


@dataclass(frozen=True)
class Change:
    """What has become of one submission: the tasks that pass now, and those that do so no more; `is_new` if it is."""

    key: str
    better: tuple[str, ...] = ()
    worse: tuple[str, ...] = ()
    is_new: bool = False

    @property
    def words(self) -> str:
        """The change, in a few words."""
        if self.is_new:
            return "it is new"
        parts = [f"{', '.join(self.better)} passes now"] if self.better else []
        parts += [f"{', '.join(self.worse)} passes no more"] if self.worse else []
        return "; ".join(parts)


def read(earlier: Path) -> dict[str, Any]:
    """The document of an earlier report: a report's folder, its zip, or its report.json.

    Raises UsageError if it is none of these.
    """
    try:
        if earlier.suffix == ".zip":
            with zipfile.ZipFile(earlier) as archive:
                content = archive.read(DOCUMENT)
        else:
            content = (earlier / DOCUMENT if earlier.is_dir() else earlier).read_bytes()
        document = documents.parse_json(content)
        if isinstance(document["submissions"], list):
            return dict(document)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        pass
    raise UsageError(
        f"{earlier} is no report of labkit grade.",
        "Name the folder, the zip or the report.json of an earlier --report.",
    )


def changes(grades: Sequence[Grade], earlier: dict[str, Any]) -> list[Change]:
    """What has changed, submission by submission; of those that are as they were there is none."""
    before = {str(each.get("key")): each for each in earlier["submissions"] if isinstance(each, dict)}
    found = []
    for grade in grades:
        then = before.get(grade.key)
        if then is None:
            found.append(Change(grade.key, is_new=True))
            continue
        spoilt = then.get("outcome") != "verified" or then.get("deeds")
        passed_then = {task["id"] for task in then.get("tasks", ()) if task.get("passed") and not spoilt}
        passed_now = {task.id for task in grade.tasks if grade.passes(task)}
        if passed_then != passed_now:
            better, worse = sorted(passed_now - passed_then), sorted(passed_then - passed_now)
            found.append(Change(grade.key, tuple(better), tuple(worse)))
    return found
