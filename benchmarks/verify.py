"""Measure `labkit verify` beside a bare Playwright script that clicks the same path once, in turns.

uv run python benchmarks/verify.py [ROUNDS]
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
LIMIT = 2.0


def seconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    worst = 0.0
    print("exercise       verify    bare  ratio  (medians of", rounds, "rounds, seconds)")
    for name in ("ex1-realtime", "ex2-scaleout"):
        verify, bare = [], []
        for _ in range(rounds):
            bare.append(seconds([str(HERE / "bare_playwright.py"), name]))
            verify.append(seconds(["-m", "labkit", "verify", name, "--solution", "end"]))
        ratio = statistics.median(verify) / statistics.median(bare)
        worst = max(worst, ratio)
        print(f"{name:13} {statistics.median(verify):7.2f} {statistics.median(bare):7.2f} {ratio:6.2f}")
    print(f"limit {LIMIT}: {'kept' if worst <= LIMIT else 'MISSED'}")
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
