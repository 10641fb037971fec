"""Writes the exact version of every dependency into pyproject.toml: `uv run python tools/pin.py`.

uv.lock itself is not committed (it names registry hosts), so `[tool.uv] constraint-dependencies` pins what a fresh
clone resolves to. With `--upgrade` the newest versions that the declared ranges allow are taken.
"""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYPROJECT = ROOT / "pyproject.toml"
PINS = re.compile(r"constraint-dependencies = \[.*?\]\n", re.DOTALL)


def main() -> None:
    """Resolve for every platform, then write the pins in the order of their names."""
    text = PYPROJECT.read_text(encoding="utf-8")
    if "--upgrade" in sys.argv[1:]:
        PYPROJECT.write_text(PINS.sub("constraint-dependencies = []\n", text), encoding="utf-8")
    command = ["uv", "export", "--all-groups", "--all-extras", "--all-packages", "--no-hashes", "--no-annotate"]
    exported = subprocess.run(
        [*command, "--no-header", "--no-emit-workspace", "--quiet"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ).stdout
    lines = {line.strip() for line in exported.splitlines() if "==" in line.split(";")[0]}
    versions = Counter(line.split("==")[0] for line in {line.split(";")[0].strip() for line in lines})
    # A package that is pinned to another version elsewhere keeps its marker, which tells where.
    pins = sorted({line if versions[line.split("==")[0]] > 1 else line.split(";")[0].strip() for line in lines})
    block = "constraint-dependencies = [\n" + "".join(f'    "{pin}",\n' for pin in pins) + "]\n"
    PYPROJECT.write_text(PINS.sub(lambda _: block, PYPROJECT.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{len(pins)} versions pinned in {PYPROJECT.name}\n")


if __name__ == "__main__":
    main()
