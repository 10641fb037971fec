"""How long the walks through asgi-signalr are is counted, and its map says the same."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAP = ROOT / "asgi-signalr" / "docs" / "inside.md"
NUMBER = r" (\d+)(?: \(\d+\))? \|"  # in brackets: what it was before there were rooms
ROW = re.compile(r"^\| (.+?) \|" + 4 * NUMBER + "$", re.MULTILINE)


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="other Pythons begin other functions of their own")
def test_the_map_says_how_long_the_walks_are() -> None:
    tool = [sys.executable, str(ROOT / "tools" / "walks.py")]
    counted = subprocess.run(tool, capture_output=True, text=True, check=True, timeout=60).stdout
    assert ROW.findall(MAP.read_text(encoding="utf-8")) == ROW.findall(counted)
    assert len(ROW.findall(counted)) == 5
