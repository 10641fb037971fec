"""What the command and the checking process tell each other: a line of JSON for each message.

The command sends the Job, and the Stage once the app runs; back come Collected or Fault, and then
Started and Finished for each check. A process that stays says Idle then, and gets its next Job; it is told by Abandoned
that there is no app to check. A Job that `waits` is given before it is known which tasks are wanted: another one says.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from labkit.verify.report import Check, Result, Verdict
from labkit.verify.stage import Stage


@dataclass(frozen=True)
class Job:
    """What is to be checked, and how; `done` are the ids of checks that have their result already."""

    exercise: str
    checks: Path
    begin: Path
    tasks: tuple[str, ...]
    known_tasks: tuple[str, ...]
    done: tuple[str, ...]
    launch: dict[str, Any]
    evidence: Path
    temporary: Path
    pictures: Path | None = None
    everything: bool = False
    """Whether evidence is kept of what passes, too."""

    nothing: bool = False
    """Whether no evidence is kept, of what fails either."""

    snapshots: bool = True
    """Whether the traces that are kept have the page's state after each step, for Playwright's trace viewer."""

    enough: tuple[str, ...] | None = None
    """The checks of which one that fails is enough, so that the rest need not run; any, if none is named."""

    snippets: dict[str, str] = field(default_factory=dict)
    """The texts of the exercise's snippets by their names."""

    workspace: bool = False
    """Whether a trainee's workspace is checked, not the lab's own begin or end."""

    service: str = ""
    """What people call the service that stands in for PostgreSQL, if one does."""

    key: str = ""
    """What the process seals its messages with, in hexadecimal digits."""

    stays: bool = False
    """Whether the process keeps its browser, and waits for another job."""

    waits: bool = False
    """Whether the checks are read, and then another job is waited for, which says what to do with them."""

    @property
    def compare(self) -> str | None:
        """What shows a trainee the differences from the lab's end."""
        return f"labkit diff {self.exercise}" if self.workspace else None


@dataclass(frozen=True)
class Collected:
    """These checks will run, in this order."""

    checks: tuple[Check, ...]


@dataclass(frozen=True)
class Fault:
    """The checks cannot be run; `said` is why."""

    said: str


@dataclass(frozen=True)
class Started:
    """The check of this id begins."""

    check: str


@dataclass(frozen=True)
class Finished:
    """The check of this id has ended."""

    check: str
    result: Result


@dataclass(frozen=True)
class Abandoned:
    """There will be no stage: the app does not start."""


@dataclass(frozen=True)
class Idle:
    """The job is finished, and the process waits for another one."""


Message = Job | Stage | Abandoned | Collected | Fault | Started | Finished | Idle

_KINDS: dict[str, type[Message]] = {
    kind.__name__: kind for kind in (Job, Stage, Abandoned, Collected, Fault, Started, Finished, Idle)
}


def is_enough(enough: tuple[str, ...] | None, check: Check, result: Result) -> bool:
    """Whether the checks that follow this one need not run; see `Job.enough`."""
    if enough is None or result.verdict in (Verdict.PASSED, Verdict.SKIPPED):
        return False
    return not enough or check.id in enough


def encode(message: Message) -> bytes:
    """The line that carries a message, with its line feed."""
    return msgspec.json.encode({"kind": type(message).__name__, "content": message}, enc_hook=str) + b"\n"


def decode(line: bytes) -> Message:
    """The message that a line carries."""
    document = json.loads(line)
    kind = _KINDS[document["kind"]]
    return msgspec.convert(document["content"], kind, dec_hook=lambda path, text: path(text))
