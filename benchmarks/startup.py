"""Measure how fast labkit's commands start, beside their peers, in turns.

uv run python benchmarks/startup.py [ROUNDS]
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

SCRIPTS = Path(sys.executable).parent
PYTHON = [sys.executable, "-c", "pass"]
COPIER = [str(SCRIPTS / "copier"), "--version"]
LABKIT = str(SCRIPTS / "labkit")
SNIPPET = "notify-updates-method"


@dataclass
class Measured:
    """A command, what it is compared with, how many times as long it may take, and the seconds of its runs."""

    name: str
    command: list[str]
    peer: str | None = None
    limit: float | None = None
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def commands() -> list[Measured]:
    return [
        Measured("python -c pass", PYTHON),
        Measured("labkit --version", [LABKIT, "--version"], "python -c pass", 3.0),
        Measured("labkit status", [LABKIT, "status"], "python -c pass", 3.0),
        Measured("copier --version", COPIER),
        Measured("labkit --help", [LABKIT, "--help"], "copier --version", 1.0),
        Measured("labkit list", [LABKIT, "list"], "copier --version", 1.0),
        Measured("labkit snippet insert", [LABKIT, "snippet", "insert", SNIPPET], "labkit --help", 2.0),
    ]


def run(command: list[str], folder: Path) -> tuple[float, str]:
    """Run a command as its user does, bytecode kept: the seconds it took and what it printed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True, encoding="utf-8")
    return time.perf_counter() - began, done.stdout


def measure(each: Measured, workspace: Path) -> float:
    """Run one command once, in a workspace that is as it was before."""
    seconds, printed = run(each.command, workspace)
    if "insert" in each.command:
        assert f"Inserted {SNIPPET}" in printed, printed
        run([LABKIT, "undo"], workspace)
    return seconds


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    measured = commands()
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder) / "workspace"
        run([LABKIT, "start", "ex1", str(workspace)], Path(folder))
        for each in measured:  # once uncounted: files get into the system's cache, bytecode is written
            measure(each, workspace)
        for number in range(rounds):
            # Each round begins with another command, so that none always follows the same one.
            start = number % len(measured)
            for each in measured[start:] + measured[:start]:
                each.seconds.append(measure(each, workspace))
    return report(measured, rounds)


def report(measured: list[Measured], rounds: int) -> int:
    medians = {each.name: each.median for each in measured}
    missed = 0
    print(f"{'command':22} {'ms':>6} {'ratio':>6} {'limit':>6}  (medians of {rounds} rounds)")
    for each in measured:
        line = f"{each.name:22} {each.median * 1000:6.0f}"
        if each.peer and each.limit:
            ratio = each.median / medians[each.peer]
            kept = ratio <= each.limit
            missed += not kept
            line += f" {ratio:6.2f} {each.limit:6.1f}  of {each.peer}: {'kept' if kept else 'MISSED'}"
        print(line)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
