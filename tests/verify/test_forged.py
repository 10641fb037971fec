"""A verdict that the app makes by itself does not count, whatever the system keeps from it."""

import json
import os
import sys
from pathlib import Path

import pytest

from labkit import sandbox, workspace
from labkit.errors import MachineError
from labkit.lab import Exercise
from labkit.verify.run import verify
from labkit.verify.seal import Originals, Sealer
from labkit.verify.subject import Subject

# It knows which verify is meant: the others that run on this machine are none of this test's business.
FORGES = """
import glob, json, os

for path in glob.glob("/proc/[0-9]*/cmdline"):
    try:
        place = os.path.dirname(path)
        parent = open(place + "/stat").read().rpartition(")")[2].split()[1]
        if b"labkit.verify.worker" in open(path, "rb").read() and parent == "{verifying}":
            for fd in glob.glob(place + "/fd/*"):
                if os.readlink(fd).startswith("pipe:"):
                    open(fd, "wb", buffering=0).write(json.dumps({finished}).encode() + b"\\n")
    except OSError:
        pass
"""

WRITES = """
import pathlib
with open({check!r}, "a") as file:
    file.write("\\n# nothing to see here\\n")
"""


@pytest.fixture
def unsafe(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a system that keeps nothing from the app."""
    monkeypatch.setenv(sandbox.VARIABLE, "off")


def test_a_line_that_was_not_sealed_by_the_other_side_is_told_from_others() -> None:
    here, there = Sealer("ab" * 32), Sealer("ab" * 32)
    lines = [here.seal(line) for line in (b"one\n", b"two\n", b"three\n")]
    assert [there.open(line) for line in lines] == [b"one\n", b"two\n", b"three\n"]
    again = Sealer("ab" * 32)
    assert [again.open(line) for line in (lines[0], lines[0])] == [b"one\n", None]
    assert Sealer("ab" * 32).open(lines[1]) is None
    assert Sealer("cd" * 32).open(lines[0]) is None
    assert Sealer("ab" * 32).open(b"\n") is None


@pytest.mark.parametrize("deed", ["write", "add", "remove", "restore"])
def test_checks_that_are_not_as_before_are_named(shop: Exercise, deed: str) -> None:
    originals = Originals(shop.checks)
    originals.check()
    path = sorted(shop.checks.glob("*.py"))[0]
    content = path.read_bytes()
    if deed == "add":
        path = shop.checks / "conftest.py"
    if deed == "remove":
        path.unlink()
    else:
        path.write_bytes(content + b"\n# passed\n")
    if deed == "restore":
        path.write_bytes(content)
    with pytest.raises(MachineError) as caught:
        originals.check()
    assert caught.value.message == (
        f"{path} was written to while the checks ran, by the app or by somebody who edits it: "
        "nothing of this run counts."
    )


@pytest.mark.slow
@pytest.mark.usefixtures("unsafe")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds pipes in /proc")
@pytest.mark.parametrize("way", ["pipe", "checks"])
def test_where_nothing_keeps_the_app_from_the_checks_a_forged_verdict_is_named(
    shop: Exercise, tmp_path: Path, way: str
) -> None:
    folder = tmp_path / "app"
    workspace.copy_app(shop.end, folder)
    check = sorted(shop.checks.glob("test_*.py"))[0]
    finished = json.dumps({"kind": "Finished", "content": {"check": "b1.1/x", "result": {"verdict": "passed"}}})
    forges = FORGES.replace("{finished}", finished).replace("{verifying}", str(os.getpid()))
    code = {"pipe": forges, "checks": WRITES.format(check=str(check))}[way]
    app = folder / "shop.py"
    app.write_text(code + app.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(MachineError, match="nothing of this run counts"):
        verify(Subject(shop, folder, "begin", None))
