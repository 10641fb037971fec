"""Measure `labkit verify` with its sandbox beside the same without it (LABKIT_SANDBOX=off), in turns.

Each round runs both, now the one first and now the other; what counts is the median of the rounds' ratios.

uv run python benchmarks/sandbox.py [ROUNDS] [EXERCISE...]
"""

import os
import statistics
import subprocess
import sys
import time

EXERCISES = ("ex1-realtime", "ex2-scaleout")
LIMIT = 1.05


def seconds(name: str, sandbox: str) -> float:
    """How long a verification of end takes, as a person waits for it."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "labkit", "verify", name, "--solution", "end"],
        env={**os.environ, "LABKIT_SANDBOX": sandbox},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"verify {name} ended with {done.returncode}"
    return time.perf_counter() - began


def main() -> int:
    """Print a line for each exercise; 1 if a limit is missed."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    missed = False
    print(f"{rounds} rounds, seconds")
    for name in sys.argv[2:] or EXERCISES:
        seconds(name, "on")  # what is made once, such as compiled code, is made now
        times: dict[str, list[float]] = {"on": [], "off": []}
        for number in range(rounds):
            for kind in ("on", "off") if number % 2 else ("off", "on"):
                times[kind].append(seconds(name, kind))
        ratio = statistics.median(on / off for on, off in zip(times["on"], times["off"], strict=True))
        missed |= ratio > LIMIT
        medians = ", ".join(f"{kind} {statistics.median(some):.2f}" for kind, some in times.items())
        print(f"{name}: {medians}; on / off {ratio:.3f}, limit {LIMIT}: {'kept' if ratio <= LIMIT else 'MISSED'}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
