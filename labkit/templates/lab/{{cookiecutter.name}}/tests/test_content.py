"""What the lab promises its trainees about its content."""

from pathlib import Path

import pytest

from labkit.content import problems
from labkit.lab import find_lab


def test_the_content_is_whole() -> None:
    """Begin plus snippets is end, names agree, every task has its checks and the chapter its steps."""
    found = problems(find_lab(Path(__file__).parent.parent))
    if found:
        pytest.fail("\n".join(found), pytrace=False)
