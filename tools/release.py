"""Releases labkit and its lab in a version: `uv run python tools/release.py 0.2.0`; it commits and publishes nothing.

The version goes into pyproject.toml and labkit/__init__.py, the changelog's *Unreleased* becomes that version's, and
each exercise's begin is kept: `labkit update` needs it for the workspaces that will be made from it.
"""

import re
import sys
from datetime import date
from pathlib import Path

from labkit import releases
from labkit.lab import find_lab

ROOT = Path(__file__).parent.parent
VERSION = re.compile(r"\d+\.\d+\.\d+")


def release(root: Path, version: str, today: date) -> list[Path]:
    """Do it in this checkout; returns the files that were written. Exits if the version or the changelog is wrong."""
    if not VERSION.fullmatch(version):
        sys.exit(f"“{version}” is no version: three numbers, for example 0.2.0.")
    changelog = root / "CHANGELOG.md"
    text = changelog.read_text(encoding="utf-8")
    if f"\n## {version} " in text:
        sys.exit(f"CHANGELOG.md has the version {version} already.")
    head, mark, rest = text.partition("## Unreleased\n")
    if not mark or not re.match(r"\s*###", rest):
        sys.exit("CHANGELOG.md has nothing under “## Unreleased”.")
    kept = [releases.keep(exercise, version) for exercise in find_lab(root).exercises]
    changelog.write_text(f"{head}{mark}\n## {version} - {today.isoformat()}\n{rest}", encoding="utf-8")
    for name, pattern in (("pyproject.toml", r'(?m)^version = ".*"$'), ("labkit/__init__.py", r'__version__ = ".*"')):
        path = root / name
        line = re.search(pattern, path.read_text(encoding="utf-8"))
        if line is None:
            sys.exit(f"{name} names no version.")
        said = f'{line[0].partition(" = ")[0]} = "{version}"'
        path.write_text(path.read_text(encoding="utf-8").replace(line[0], said, 1), encoding="utf-8")
    return [changelog, root / "pyproject.toml", root / "labkit" / "__init__.py", *filter(None, kept)]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Say which version: uv run python tools/release.py 0.2.0")
    for written in release(ROOT, sys.argv[1], date.today()):
        sys.stdout.write(f"{written.relative_to(ROOT)}\n")
    sys.stdout.write("next: uv run python tools/pin.py, look at `git diff`, commit, uv build --all-packages\n")
