"""The readiness code: what `labkit setup` found, in sixteen characters that can be typed into a form or a chat.

It tells nothing personal: labkit's version, the kind of machine and Python, the day, and the state of each check. It is
a summary for who prepares a class, and no proof.
"""

import platform
import re
import sys
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from labkit import __version__, language
from labkit.errors import UsageError
from labkit.machine import Finding, State

CHECKS = language.marked(
    "Python",
    "labkit",
    "the lab",
    "browser",
    "PostgreSQL",
    "network",
    "this folder",
    "temporary files",
    "labkit's files",
    "memory",
    "uv",
    "offline packages",
)
"""The checks that a code tells of, by their names in doctor's table; new ones are appended."""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's: no I, L, O, U
_SYSTEMS = ("another system", "Windows", "Darwin", "Linux")
_MACHINES = ("another processor", "x64", "arm64")
_STATES = ("not looked at", State.OK, State.ADVICE, State.PROBLEM)
_EPOCH = date(2026, 1, 1)

_FIELDS = (
    ("format", 2),
    ("major", 5),
    ("minor", 6),
    ("patch", 5),
    ("system", 2),
    ("machine", 2),
    ("python", 6),
    ("day", 13),
)
_CHECK_BITS = 2 * len(CHECKS)
_SUM_BITS = 15
_LENGTH = (sum(bits for _, bits in _FIELDS) + _CHECK_BITS + _SUM_BITS) // 5
_FORMAT = 1


@dataclass(frozen=True)
class Readiness:
    """What a code says; `checks` has the state of each check by its name, those that were not looked at left out."""

    labkit: str
    system: str
    machine: str
    python: str
    day: date
    checks: dict[str, State]

    @property
    def ready(self) -> bool:
        """Whether that machine was ready for the lab."""
        return State.PROBLEM not in self.checks.values()


def code(findings: Iterable[Finding], today: date) -> str:
    """The code for these findings on this machine, in groups of four."""
    states = {finding.name: finding.state for finding in findings}
    major, minor, patch = map(int, re.findall(r"\d+", __version__)[:3])
    machine = {"amd64": 1, "x86_64": 1, "arm64": 2, "aarch64": 2}.get(platform.machine().lower(), 0)
    system = _SYSTEMS.index(platform.system()) if platform.system() in _SYSTEMS else 0
    values = (_FORMAT, major, minor, patch, system, machine, sys.version_info[1], (today - _EPOCH).days)
    number = 0
    for value, (_, bits) in zip(values, _FIELDS, strict=True):
        number = number << bits | min(max(value, 0), (1 << bits) - 1)
    for name in CHECKS:
        state = State.OK if states.get(name) is State.REPAIRED else states.get(name)
        number = number << 2 | (_STATES.index(state) if state else 0)
    number = number << _SUM_BITS | _sum(number)
    letters = "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(_LENGTH)))
    return "-".join(letters[start : start + 4] for start in range(0, _LENGTH, 4))


def read(text: str) -> Readiness:
    """What a code says, however it was typed: small letters, blanks, O for 0, I or L for 1.

    Raises UsageError for what is no code, or has a letter wrong.
    """
    letters = re.sub(r"[\s-]", "", text).upper().translate(str.maketrans("OIL", "011"))
    if len(letters) != _LENGTH or any(letter not in _ALPHABET for letter in letters):
        raise UsageError(
            f"“{text}” is no readiness code: it has {_LENGTH} letters and digits.",
            "labkit setup shows the code of a machine",
        )
    number = 0
    for letter in letters:
        number = number << 5 | _ALPHABET.index(letter)
    number, given = number >> _SUM_BITS, number & (1 << _SUM_BITS) - 1
    if given != _sum(number):
        raise UsageError(
            f"“{text}” has a letter wrong, or one is in another's place.", "Compare it, and type it again."
        )
    rest, checks = number, {}
    for name in reversed(CHECKS):
        state = _STATES[rest & 3]
        if isinstance(state, State):
            checks[name] = state
        rest >>= 2
    values = {}
    for name, bits in reversed(_FIELDS):
        values[name] = rest & (1 << bits) - 1
        rest >>= bits
    if values["format"] != _FORMAT:
        raise UsageError("That code was made by a newer labkit.", "Update labkit.")
    return Readiness(
        labkit=f"{values['major']}.{values['minor']}.{values['patch']}",
        system=_SYSTEMS[values["system"]],
        machine=_MACHINES[min(values["machine"], 2)],
        python=f"3.{values['python']}",
        day=_EPOCH + timedelta(days=values["day"]),
        checks=dict(reversed(checks.items())),
    )


def _sum(number: int) -> int:
    return zlib.crc32(number.to_bytes((number.bit_length() + 7) // 8, "big")) & (1 << _SUM_BITS) - 1
