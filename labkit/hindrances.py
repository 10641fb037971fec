"""What hinders a lab on a machine that has everything: variables that steer programs, foreign files, a wrong clock.

Each function is a check of `labkit doctor`: it returns what it saw, or raises `MachineError` or `Advice`; nothing is
changed.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from labkit.errors import MachineError
from labkit.files import read_safely
from labkit.machine import Advice

STEERING = {
    "PYTHONPATH": "labkit's own Python takes packages from there, before its own",
    "PYTHONHOME": "labkit's own Python looks for its library there",
    "PYTHONOPTIMIZE": "labkit's own Python leaves out assertions",
    "NODE_OPTIONS": "it changes how Node.js runs, and with it Playwright's driver",
    "PWDEBUG": "Playwright waits in each test for somebody to go on",
    "PLAYWRIGHT_BROWSERS_PATH": "Playwright looks for its browsers there, and nowhere else",
    "PLAYWRIGHT_NODEJS_PATH": "Playwright's driver runs with that Node.js",
}
"""Variables that steer labkit or the programs that it works with, and how."""

_SKEW = 60.0
"""Seconds by which the times of files may differ from the clock, as on a network drive."""


def variables() -> str:
    """Whether variables are set that other programs are steered by, such as an editor's debugger sets them."""
    found = [name for name in STEERING if os.environ.get(name)]
    if found:
        said = "; ".join(f"{name} is set: {STEERING[name]}" for name in found)
        how = f"Remove-Item Env:{', Env:'.join(found)}" if sys.platform == "win32" else f"unset {' '.join(found)}"
        raise Advice(f"{said}.", f"If something fails that should not: {how}")
    return "none that steers labkit"


def check_clock() -> None:
    """See that the clock agrees with the times of files, and with when labkit itself was installed."""
    now = time.time()
    with tempfile.TemporaryFile() as file:
        file.write(b"now")
        file.flush()
        written = os.fstat(file.fileno()).st_mtime
    if abs(written - now) > _SKEW:
        raise MachineError(
            f"a file that is written now is from {_spoken(written)}, and the clock says {_spoken(now)}.",
            "Have the clock set by the network; the folder for temporary files should be on this machine.",
        )
    made = Path(__file__).stat().st_mtime
    if made - now > 24 * 60 * 60:
        raise MachineError(
            f"the clock says {_spoken(now)}, and labkit was installed on {_spoken(made)}.",
            "Set the clock: sessions and certificates are not valid at a wrong time.",
        )


def check_owner(*folders: Path) -> None:
    """See that what labkit keeps belongs to who runs it: once labkit was run with sudo, it does not."""
    if sys.platform == "win32":
        return
    for path in _kept(folders):
        owner = path.lstat().st_uid
        if os.geteuid() not in (0, owner):
            raise MachineError(
                f"{path} belongs to another account (number {owner}), not to yours.",
                "Was labkit once run with sudo? Then give it back: "
                f"sudo chown -R {os.geteuid()} {path}. Or set LABKIT_HOME to a folder of your own.",
            )
    home = Path.home()
    if os.geteuid() == 0 and home.is_dir() and home.stat().st_uid != 0:
        raise Advice(
            f"labkit runs as root in the home folder of another account (number {home.stat().st_uid}).",
            "Run labkit without sudo: what it makes would belong to root.",
        )


def check_leftovers(data: Path) -> None:
    """See that no note of a PostgreSQL server is left that was cut off, as when the machine is switched off."""
    import psutil

    note = data / "postmaster.pid"
    if data.is_dir() and any(data.iterdir()) and not (data / "PG_VERSION").is_file():
        raise MachineError(
            f"{data} has files, but no PG_VERSION: the lab's databases are damaged.",
            f"Keep a copy if you need them, and remove the folder {data}.",
        )
    if not note.exists():
        return
    first = read_safely(note, 4096).decode("utf-8", "replace").partition("\n")[0].strip()
    number = int(first) if first.isdecimal() and len(first) < 10 else 0
    try:
        name = psutil.Process(number).name() if number else ""
    except psutil.NoSuchProcess:
        name = ""
    if name.startswith("postgres"):
        return
    said = f"process {number} is {name}" if name else f"there is no process {first[:20] or 'in it'}"
    raise Advice(f"{note} is of a server that was cut off: {said}.", "labkit db start   (removes it)")


def _kept(folders: tuple[Path, ...]) -> Iterator[Path]:
    """The folders, and what lies right in them."""
    for folder in folders:
        if folder.is_dir():
            yield folder
            yield from sorted(folder.iterdir())


def _spoken(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
