"""Measure the whole `labkit demo`, with the browser already there: it has to stay below a minute on a quiet machine.

uv run python benchmarks/demo.py [ROUNDS]
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT = 60.0


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    whole = []
    for number in range(1, rounds + 1):
        with tempfile.TemporaryDirectory(prefix="labkit-benchmark-", ignore_cleanup_errors=True) as folder:
            command = [sys.executable, "-m", "labkit", "demo", str(Path(folder) / "demo"), "--format", "json"]
            began = time.perf_counter()
            said = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
            whole.append(time.perf_counter() - began)
        runs = [
            f"{played['exercise']} {when} {played[when]['duration_s']:.1f}"
            for played in json.loads(said)["exercises"]
            for when in ("before", "after")
        ]
        print(f"{number}: {whole[-1]:.1f} s, of which verify: {', '.join(runs)}", flush=True)
    median = statistics.median(whole)
    print(f"median {median:.1f} s, limit {LIMIT:.0f} s: {'kept' if median <= LIMIT else 'MISSED'}")
    return int(median > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
