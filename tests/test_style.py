"""What ruff does not see: an exception to its rules says why it is one."""

import re
from pathlib import Path

HOME = Path(__file__).parent.parent
FOLDERS = ("asgi-signalr", "benchmarks", "exercises", "labkit", "tests", "tools")
EXCEPTION = re.compile(r"# noqa\b(?!: [A-Z]+\d+(?:, [A-Z]+\d+)*  \([^)]+)")


def test_every_exception_to_a_rule_has_its_reason() -> None:
    files = [path for folder in FOLDERS for path in (HOME / folder).rglob("*.py") if ".venv" not in path.parts]
    assert [
        f"{path.relative_to(HOME)}:{number}"
        for path in sorted(files)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if EXCEPTION.search(line) and path != Path(__file__)
    ] == []
