"""Measure `labkit verify` beside a bare Playwright script that clicks the same path once, in turns.

On end it is compared with the script; untouched work (begin) and a run with a report are compared with end.

uv run python benchmarks/verify.py [ROUNDS]
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
VERIFY = ["-m", "labkit", "verify"]
LIMITS = {"end": ("bare", 1.5), "begin": ("end", 1.3), "report": ("end", 1.15)}


def seconds(command: list[str], code: int = 0) -> float:
    began = time.perf_counter()
    done = subprocess.run([sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert done.returncode == code, f"{command} ended with {done.returncode}"
    return time.perf_counter() - began


def measure(name: str, rounds: int, folder: str) -> dict[str, float]:
    """The medians of each kind of run of an exercise, in seconds."""
    runs = {
        "bare": ([str(HERE / "bare_playwright.py"), name], 0),
        "end": ([*VERIFY, name, "--solution", "end"], 0),
        "begin": ([*VERIFY, name, "--solution", "begin"], 1),
        "report": ([*VERIFY, name, "--solution", "end", "--report", folder], 0),
    }
    times: dict[str, list[float]] = {kind: [] for kind in runs}
    for _ in range(rounds):
        for kind, (command, code) in runs.items():
            times[kind].append(seconds(command, code))
    return {kind: statistics.median(some) for kind, some in times.items()}


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    missed = False
    print(f"medians of {rounds} rounds, seconds")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("ex1-realtime", "ex2-scaleout"):
            medians = measure(name, rounds, folder)
            print(name, *(f"{kind} {median:.2f}" for kind, median in medians.items()))
            for kind, (peer, limit) in LIMITS.items():
                ratio = medians[kind] / medians[peer]
                missed |= ratio > limit
                print(f"  {kind} / {peer}: {ratio:.2f}, limit {limit}: {'kept' if ratio <= limit else 'MISSED'}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
