"""The last verdicts on a workspace, task by task: when each was checked, and on which state of the files.

They are kept in `.labkit/verdicts.json`, which is the trainee's own to change: a memory, and no proof.
"""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labkit import documents, tree
from labkit.files import locked, write_whole

if TYPE_CHECKING:
    from labkit.verify.report import Report, TaskReport

_NAME = "verdicts.json"


def read(folder: Path) -> dict[str, dict[str, Any]]:
    """The last verdict of each task by its id; of what was never checked there is none.

    Each has `title`, `passed`, `when` (ISO 8601), `digest` (of the app's files then, see `tree.digest`) and `checks`,
    a list of `id`, `title` and `verdict`.
    """
    return _part(folder, "tasks", "digest")


def failures(folder: Path) -> dict[str, dict[str, Any]]:
    """What the last run said of each task's first check that failed, by the task's id.

    Each has `check`, `title`, `verdict` and `when`, and of `expected`, `seen`, `where`, `cause` and `next` those that
    were said.
    """
    return _part(folder, "failures", "check")


def _part(folder: Path, name: str, needed: str) -> dict[str, dict[str, Any]]:
    try:
        document = documents.read_json(folder / ".labkit" / _NAME)
        return {str(id_): each for id_, each in document[name].items() if isinstance(each, dict) and needed in each}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # nothing depends on it: the next run makes it anew


def remember(folder: Path, report: "Report", digest: str, now: datetime) -> None:
    """Keep a run's verdicts, in place of earlier ones on the same tasks; `digest` is that of the files it was about."""
    when = now.astimezone().isoformat(timespec="seconds")
    with locked(folder / ".labkit" / "lock"):
        tasks, failing = read(folder), failures(folder)
        for task in report.tasks:
            failing.pop(task.id, None)
            if failure := _first_failure(task, when):
                failing[task.id] = failure
            tasks[task.id] = {
                "title": task.title,
                "passed": task.passed,
                "when": when,
                "digest": digest,
                "checks": [
                    {"id": check.id, "title": check.title, "verdict": result.verdict.value}
                    for check, result in task.checks
                ],
            }
        document = {"schema": 1, "tasks": dict(sorted(tasks.items())), "failures": dict(sorted(failing.items()))}
        write_whole(folder / ".labkit" / _NAME, documents.json_of(document))


def _first_failure(task: "TaskReport", when: str) -> dict[str, Any] | None:
    for check, result in task.checks:
        if result.verdict.value not in ("passed", "skipped"):
            parts = {name: getattr(result, name) for name in ("expected", "seen", "where", "cause", "next")}
            said = {name: value for name, value in parts.items() if value}
            return {"check": check.id, "title": check.title, "verdict": result.verdict.value, "when": when, **said}
    return None


def described(folder: Path) -> list[dict[str, Any]]:
    """The same for programs, in the order of the tasks: whether files have `changed_since`, in place of the digest."""
    now = tree.digest(folder)
    return [
        {"id": id_, **{name: value for name, value in task.items() if name != "digest"}}
        | {"changed_since": task["digest"] != now}
        for id_, task in sorted(read(folder).items())
    ]
