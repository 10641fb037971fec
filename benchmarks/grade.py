"""Measure `labkit grade` beside `labkit verify`, one after the other, on the same work: time and memory.

The work is made from the lab's recorded solutions: end, equivalents and mutants, in turns. Grading N of them may take
0.6 times as long as verifying N of them one by one.

uv run python benchmarks/grade.py [N] [EX]
"""

import contextlib
import itertools
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from labkit import record
from labkit.author.mutants import Solution, written
from labkit.lab import Exercise, carried_lab, find_lab
from labkit.record import Record

LIMIT = 0.6
SINGLE = 5
"""How many of them are verified one by one."""


def measured(command: list[str], cwd: Path | None = None) -> tuple[float, int]:
    """The seconds that a command takes, and the most bytes of memory that it and all below it have at one time."""
    began = time.perf_counter()
    most = 0
    with subprocess.Popen(
        [sys.executable, "-m", "labkit", *command], cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            most = max(most, memory(process.pid))
            time.sleep(1)
    assert process.returncode in (0, 1), f"{command} ended with {process.returncode}"
    return time.perf_counter() - began, most


def memory(pid: int) -> int:
    """The bytes of a process and of all below it; of what several share (PSS, on Linux) each has its part."""
    total = 0
    with contextlib.suppress(psutil.Error):
        whole = psutil.Process(pid)
        for each in (whole, *whole.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                known = each.memory_full_info()
                total += getattr(known, "pss", known.uss)
    return total


def solutions(exercise: Exercise) -> Iterator[Solution]:
    """A right one and a wrong one in turns, again and again."""
    some = [each for each in written(exercise) if each.known is None]
    right = [Solution(exercise, "end", "end", right=True), *(each for each in some if each.right)]
    wrong = [each for each in some if not each.right]
    for pair in zip(itertools.cycle(right), itertools.cycle(wrong)):
        yield from pair


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    lab = find_lab(carried_lab())
    exercise = lab.exercise(sys.argv[2] if len(sys.argv) > 2 else "ex1")
    with tempfile.TemporaryDirectory() as temporary:
        folders = []
        for number, solution in enumerate(itertools.islice(solutions(exercise), count)):
            folder = Path(temporary) / "class" / f"trainee-{number:02}" / exercise.name
            solution.make(folder)
            record.write(folder, Record(lab.title, lab.version, exercise.name, None))
            folders.append(folder)
        singles = []
        for folder in folders[:SINGLE]:
            singles.append(measured(["verify", "--lab", str(lab.folder)], cwd=folder))
        one = statistics.mean(seconds for seconds, _ in singles)
        whole, most = measured(["grade", f"{temporary}/class", "--lab", str(lab.folder)])
    ratio = whole / (one * count)
    print(f"{exercise.id}: verify {one:.1f} s each, grade {whole:.1f} s for {count}")
    print(f"  memory: verify {max(most for _, most in singles) / 1e6:.0f} MB, grade {most / 1e6:.0f} MB")
    print(f"  grade / {count} verify: {ratio:.2f}, limit {LIMIT}: {'kept' if ratio <= LIMIT else 'MISSED'}")
    return int(ratio > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
