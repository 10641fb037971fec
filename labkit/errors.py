"""What can go wrong, and what to type next.

Every module but the command line returns values or raises a `LabError`; the command line prints it and exits
with its code::

    LabError            1  a task is not done
      UsageError        2  the command was given something it cannot use
      MachineError      3  the machine or the set-up is at fault
      InternalError     4  labkit or a check is at fault
      Interrupted     130  somebody pressed Ctrl-C, or asked labkit to end otherwise
"""

import difflib
import errno
import re
from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of every labkit command."""

    OK = 0
    NOT_DONE = 1
    USAGE = 2
    MACHINE = 3
    INTERNAL = 4
    INTERRUPTED = 130


class LabError(Exception):
    """An error whose message is advice: what is wrong, and in `next` what to type or do about it."""

    code = ExitCode.NOT_DONE

    def __init__(self, message: str, next: str | None = None) -> None:
        super().__init__(message)
        self.message = sentence(message)
        self.next = next


def sentence(text: str) -> str:
    """A text in which no sentence ends twice: what it quotes may be a sentence with a stop of its own."""
    return _TWO_STOPS.sub(r"\1", text)


_TWO_STOPS = re.compile(r"(?<=[^\s./\\])([.?!])\.(?=\s|$)")


class UsageError(LabError):
    """A name, an option or a folder that the command cannot use."""

    code = ExitCode.USAGE


class MachineError(LabError):
    """The machine or its set-up is at fault: a port, the disk, the browser, PostgreSQL."""

    code = ExitCode.MACHINE


class Interrupted(LabError):  # noqa: N818  (a wish, no error)
    """Ctrl-C, where a command has more to say about it than that."""

    code = ExitCode.INTERRUPTED


class InternalError(LabError):
    """labkit or a check is at fault, never the trainee."""

    code = ExitCode.INTERNAL


def what_helps(refused: OSError, otherwise: str | None) -> str | None:
    """What to do about what the system has refused; `otherwise`, unless no room and no right would help."""
    return TOO_LONG if refused.errno == errno.ENAMETOOLONG else otherwise


TOO_LONG = (
    "This system takes no path as long as that: choose a shorter name, or a folder further up, then repeat the command."
)

_MOST = 12
"""How many names are offered: more would fill the screen."""


def unknown(noun: str, given: str, known: Iterable[str], next: str | None = None) -> UsageError:
    """An error for an unknown name that offers the nearest known ones."""
    names = list(known)
    wanted = given.lower()
    near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.5)
    # Of those that are as near, in their own order: ex1 or ex2.
    near.sort(key=lambda name: (-difflib.SequenceMatcher(None, name, wanted).ratio(), names.index(name)))
    if not near and len(names) > _MOST:
        hint = f"There are {len(names)}, the first of them {', '.join(names[:3])}."
    elif near:
        hint = f"Did you mean {' or '.join(near)}?"
    else:
        hint = f"There is: {', '.join(names)}." if names else f"There is no {noun} here."
    return UsageError(f"Unknown {noun} “{given}”. {hint}", next)
