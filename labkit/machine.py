"""Is this machine ready for a lab? Checks that change nothing, and repairs for what can be repaired.

A check is a function that returns what it saw, or raises `MachineError` (a problem, with what to type) or `Advice`.
All checks run at the same time: together they take as long as the slowest, a few seconds.
"""

import importlib.metadata
import importlib.util
import os
import platform
import queue
import shutil
import socket
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from labkit import __version__, places
from labkit.errors import LabError, MachineError
from labkit.lab import Lab

DISTRIBUTION = "handson-labkit"

PYTHON = (3, 11)

Say = Callable[[str], None]

_MEGABYTE = 1024 * 1024

_NEEDED = 500 * _MEGABYTE
"""Free space for a lab's work: PostgreSQL's folders, browser profiles, screenshots."""


class State(StrEnum):
    """What a check found."""

    OK = "ok"
    REPAIRED = "repaired"
    ADVICE = "advice"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Finding:
    """The result of one check: what was seen, and what to type about it."""

    name: str
    state: State
    seen: str
    next: str | None = None
    duration_s: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The finding as a JSON object, without personal data."""
        return asdict(self) | {"seen": impersonal(self.seen), "next": self.next and impersonal(self.next)}


class Advice(LabError):  # noqa: N818  (no error)
    """Something that the lab does without, but is better with."""


@dataclass(frozen=True)
class Check:
    """One check, by its name in the summary; `repair`, where there is one, returns what the check then sees."""

    name: str
    look: Callable[[], str]
    repair: Callable[[Say], str] | None = None
    cost: str = ""


def checks(lab: Lab, folder: Path) -> list[Check]:
    """The checks for a lab that is worked on in `folder`."""
    found = [
        Check("Python", _python),
        Check("labkit", _packages),
        Check("the lab", lambda: f"“{lab.title}” with {len(lab.exercises)} exercises"),
        Check("browser", _browser, _repair_browser, "a browser for Playwright (about 300 MB)"),
    ]
    if any(exercise.database for exercise in lab.exercises):
        found.append(Check("PostgreSQL", _postgres))
    if any(exercise.database and exercise.database.instead for exercise in lab.exercises):
        found.append(Check("other backplanes", lambda: _instead(lab)))
    found += [
        Check("network", _loopback),
        Check("this folder", lambda: _room(folder)),
        Check("temporary files", _temporary_files),
        Check("labkit's files", _own_files),
        Check("memory", _memory),
        Check("variables", _variables),
        Check("uv", _uv),
    ]
    if lab.packages:
        found.append(Check("offline packages", lambda: _wheels(lab)))
    return found


def look(these: Iterable[Check], done: Callable[[Finding], None] = lambda finding: None) -> list[Finding]:
    """Run the checks, all at the same time, and return their findings in the checks' order."""
    these = list(these)
    results: queue.SimpleQueue[tuple[int, Finding]] = queue.SimpleQueue()
    for position, check in enumerate(these):
        # Daemons: Ctrl-C need not wait for the slowest check.
        work = threading.Thread(
            target=lambda position=position, check=check: results.put((position, _looked(check))), daemon=True
        )
        work.start()
    findings: dict[int, Finding] = {}
    while len(findings) < len(these):
        try:
            position, finding = results.get(timeout=0.2)
        except queue.Empty:
            continue  # in steps, because on Windows Ctrl-C does not end a wait without a time-out
        findings[position] = finding
        done(finding)
    return [findings[position] for position in range(len(these))]


def repair(check: Check, say: Say) -> Finding:
    """Repair what a check found, and return the new finding."""
    if check.repair is None:
        raise ValueError(f"{check.name} has no repair")
    mend = check.repair
    finding = _looked(Check(check.name, lambda: mend(say)))
    return finding if finding.state is not State.OK else _with_state(finding, State.REPAIRED)


def facts() -> dict[str, Any]:
    """What this machine is, without personal data: no names, no addresses, no paths."""
    import psutil

    return {
        "labkit": __version__,
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": platform.system(),
        "release": platform.release(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "memory_mb": psutil.virtual_memory().total // _MEGABYTE,
    }


def impersonal(text: str) -> str:
    """The text with `~` for the user's home folder, whose name is often the user's."""
    try:
        home = str(Path.home())
    except RuntimeError:  # an account without one
        return text
    return text if len(home) < 4 else text.replace(home, "~").replace(Path(home).as_posix(), "~")


def _with_state(finding: Finding, state: State) -> Finding:
    return Finding(finding.name, state, finding.seen, finding.next, finding.duration_s)


def _looked(check: Check) -> Finding:
    begin = time.perf_counter()
    try:
        state, seen, advice = State.OK, check.look(), None
    except Advice as error:
        state, seen, advice = State.ADVICE, error.message, error.next
    except LabError as error:
        state, seen, advice = State.PROBLEM, error.message, error.next
    except OSError as error:
        state, seen, advice = State.PROBLEM, f"{error.strerror or error}: {error.filename or ''}".rstrip(": "), None
    except Exception as error:  # noqa: BLE001  (one check's fault must not hide the findings of the others)
        state, seen, advice = State.PROBLEM, f"the check failed: {type(error).__name__}: {error}", "Report this line."
    return Finding(check.name, state, seen, advice, round(time.perf_counter() - begin, 2))


def _python() -> str:
    bits = struct.calcsize("P") * 8
    if sys.version_info < PYTHON or bits != 64:
        raise MachineError(
            f"{platform.python_version()}, {bits} bit; labkit needs {PYTHON[0]}.{PYTHON[1]} or later, 64 bit.",
            "uv python install 3.13",
        )
    return f"{platform.python_version()} on {platform.system()}, {platform.machine()}"


def _packages() -> str:
    """Whether everything that labkit depends on is there, in a version that it takes."""
    from packaging.requirements import Requirement

    try:
        needed = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        raise MachineError(f"labkit {__version__} is not installed properly.", _REINSTALL) from None
    wrong, count = [], 0
    for requirement in map(Requirement, needed):
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        count += 1
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement.name} is {version}, needed is {requirement.specifier}")
    if wrong:
        raise MachineError(f"{__version__}, but {'; '.join(wrong)}.", _REINSTALL)
    return f"{__version__} with its {count} packages"


_REINSTALL = "In a checkout: uv sync. Elsewhere: install labkit again, with its dependencies."


def _browser() -> str:
    from labkit import browser

    found = browser.find(install=False)
    version = browser.probe(found)
    return f"{_browser_name(found.executable)} {version} launches"


def _repair_browser(say: Say) -> str:
    from labkit import browser

    if os.environ.get(browser.VARIABLE):
        return _browser()  # another one would not be used
    found = browser.install_own(say)
    return f"{_browser_name(found.executable)} {browser.probe(found)} launches"


def _browser_name(executable: Path | None) -> str:
    return str(executable) if executable else "Playwright's Chromium"


def _postgres() -> str:
    """Whether a server starts and takes a query: a temporary one, or the one that the environment names."""
    from labkit import hindrances
    from labkit.services.postgres.keeper import temporary_server
    from labkit.services.postgres.lab_server import SERVER_VARIABLE, find_server

    if os.environ.get(SERVER_VARIABLE):
        server = find_server().existing()
        if server is None:
            raise MachineError(f"{SERVER_VARIABLE} names a server that does not run.", "Start it.")
        return f"{_postgres_version(server)} answers at {server.address}"
    begin = time.perf_counter()
    with temporary_server() as server:
        seen = f"{_postgres_version(server)} starts in {time.perf_counter() - begin:.1f} s"
    hindrances.check_leftovers(places.data_folder() / "postgres" / "data")
    return seen


def _instead(lab: Lab) -> str:
    """Which servers are here that may take PostgreSQL's place; the lab does without any of them."""
    from labkit import services

    names = dict.fromkeys(name for each in lab.exercises if each.database for name in each.database.instead)
    is_here = {service.title: service.is_here() for service in map(services.find, names)}
    here, missing = ([title for title, is_so in is_here.items() if is_so is wanted] for wanted in (True, False))
    found, lacking = ", ".join(here) or "none", ", ".join(missing)
    if not missing:
        return f"{found} may take PostgreSQL's place"
    return (
        f"{found} may take PostgreSQL's place; not here: {lacking}. pip install 'handson-labkit[backplanes]' brings "
        "what there is for this system"
    )


def _postgres_version(server: Any) -> str:
    return f"PostgreSQL {server.query('postgres', 'SHOW server_version')[0]['server_version']}"


def _loopback() -> str:
    """Whether programs of this machine may talk to each other, and ports are to be had."""
    advice = "Allow connections to 127.0.0.1 in your firewall or security software."
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(5)
            with socket.create_connection(server.getsockname(), timeout=5) as client:
                client.sendall(b"ping")
                accepted, _ = server.accept()
                with accepted:
                    accepted.settimeout(5)
                    if accepted.recv(4) != b"ping":
                        raise MachineError("127.0.0.1 changes what is sent.", advice)
    except OSError as error:
        raise MachineError(f"127.0.0.1 does not work: {error.strerror or error}.", advice) from error
    return "127.0.0.1 works, ports are free"


def _room(*folders: Path, advice: str = "Free some disk space, or work in a folder that you may write to.") -> str:
    """Whether the folders, or where they will be made, take files and have room for more."""
    least, where = sys.maxsize, folders[0]
    for folder in folders:
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        if not existing.is_dir():
            raise MachineError(f"{existing} is a file where a folder belongs.", "Move it away, or choose another.")
        try:
            with tempfile.TemporaryFile(dir=existing) as file:
                file.write(bytes(4096))
                file.flush()
        except OSError as error:
            wanted = "" if existing == folder else f"{folder} cannot be made: "
            raise MachineError(f"{wanted}{existing} takes no file: {error.strerror or error}.", advice) from error
        free = shutil.disk_usage(existing).free
        if free < least:
            least, where = free, existing
    if least < _NEEDED:
        raise MachineError(
            f"only {least // _MEGABYTE} MB are free in {where}.", f"Free {_NEEDED // _MEGABYTE} MB or more there."
        )
    return f"{least / _MEGABYTE / 1024:.1f} GB free"


def _temporary_files() -> str:
    from labkit import hindrances

    seen = _room(Path(tempfile.gettempdir()))
    hindrances.check_clock()
    return seen


def _own_files() -> str:
    from labkit import hindrances

    folders = places.data_folder(), places.cache_folder()
    hindrances.check_owner(*folders)
    return _room(*folders, advice=places.ADVICE)


def _variables() -> str:
    from labkit import hindrances

    return hindrances.variables()


def _memory() -> str:
    import psutil

    available = psutil.virtual_memory().available // _MEGABYTE
    if available < 1024:
        raise Advice(f"only {available} MB are available.", "Close some programs if the browser becomes slow.")
    return f"{available / 1024:.1f} GB available"


def _uv() -> str:
    if shutil.which("uv") is None:
        raise Advice(
            "not there; labkit does without it.", "With uv an app also runs by itself: https://docs.astral.sh/uv/"
        )
    return "is there"


def _wheels(lab: Lab) -> str:
    """Whether a workspace gets the lab's own packages, which its `uv run` then finds without an index."""
    from labkit import packages

    for name in lab.packages:
        packages.wheel(name)
    return f"{', '.join(lab.packages)} for workspaces"


def summary(findings: Iterable[Finding]) -> Mapping[State, int]:
    """How many findings of each kind there are."""
    counts = dict.fromkeys(State, 0)
    for finding in findings:
        counts[finding.state] += 1
    return counts
