"""What a grading process and its crew tell each other: a line of JSON for each message."""

from pathlib import Path
from typing import Any

import msgspec

from labkit.grading.limits import Limits
from labkit.verify.report import Check, Report, Result


class Work(msgspec.Struct, tag=True, frozen=True):
    """A submission to grade: the exercise of a lab, and the folder of the staged work."""

    lab: Path
    exercise: str
    folder: Path
    limits: Limits
    everything: bool = False
    """Whether evidence is kept of what passes, too."""


class Collected(msgspec.Struct, tag=True, frozen=True):
    """These checks will run."""

    checks: tuple[Check, ...]


class Checked(msgspec.Struct, tag=True, frozen=True):
    """A check has ended."""

    check: Check
    result: Result


class Graded(msgspec.Struct, tag=True, frozen=True):
    """The submission is graded; `deeds` are what its app did and must not."""

    report: Report
    deeds: tuple[str, ...] = ()


class Failed(msgspec.Struct, tag=True, frozen=True):
    """The submission could not be graded, by the machine's fault or by labkit's."""

    machine: bool
    message: str
    next: str | None = None


Message = Work | Collected | Checked | Graded | Failed


def encode(value: Any) -> bytes:
    """A message as a line of JSON, without its line feed."""
    return msgspec.json.encode(value, enc_hook=str)


def decode(line: bytes) -> Message:
    """The message that a line carries.

    Raises msgspec.MsgspecError (a ValueError) for anything else.
    """
    message: Message = msgspec.json.decode(line, type=Message, dec_hook=convert)
    return message


def convert(kind: type, value: Any) -> Any:
    """A path of its text."""
    return kind(value)
