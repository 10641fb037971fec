"""Where an app's calls are, asked of the running process."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from labkit import stacks
from labkit.stacks import Frame

SERVER = """\
import runpy
import sys

runpy.run_path(sys.argv[1])
"""
WAITS = """\
import asyncio


async def bake():
    print("baking", flush=True)
    await asyncio.Event().wait()


async def sell():
    await bake()


asyncio.run(sell())
"""
TURNS = """\
def bake():
    print("baking", flush=True)
    while True:
        pass


bake()
"""
SLEEPS = """\
import threading
import time


def bake():
    print("baking", flush=True)
    time.sleep(600)


threading.Thread(target=bake).start()
"""
LOOKS = """\
import os, sys

print([name for name in os.environ if name in ("PYTHONPATH", "LABKIT_STACKS")], "instance" in str(sys.path))
"""


@contextmanager
def running(tmp_path: Path, code: str) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """Run the code as an app that a server outside of its folder has called."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "shop.py").write_text(code, encoding="utf-8")
    (tmp_path / "server.py").write_text(SERVER, encoding="utf-8")
    log = tmp_path / "instance-1.log"
    process = subprocess.Popen(
        [sys.executable, "server.py", str(tmp_path / "app" / "shop.py")],
        cwd=tmp_path,
        env={**os.environ, **stacks.variables(log, {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    with process:
        try:
            yield log, process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("code", "line"),
    [pytest.param(WAITS, 6, id="awaits"), pytest.param(TURNS, 3, id="turns"), pytest.param(SLEEPS, 7, id="sleeps")],
)
def test_the_line_that_a_call_hangs_in_is_known(tmp_path: Path, code: str, line: int) -> None:
    with running(tmp_path, code) as (log, process):
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"baking"
        found = {stacks.own(stack, tmp_path / "app") for stack in stacks.ask(log, 30)}
        again = [frame for frame in found if frame and frame.function == "bake"]
    assert again[0].path == "shop.py"
    assert again[0].line in (line, line + 1)


def test_the_app_sees_nothing_of_it(tmp_path: Path) -> None:
    with running(tmp_path, LOOKS) as (_, process):
        said, _ = process.communicate(timeout=60)
    assert said.strip() == b"[] False"


def test_who_does_not_answer_has_no_stacks(tmp_path: Path) -> None:
    assert stacks.ask(tmp_path / "instance-1.log", 0.1) == []
    assert list(tmp_path.iterdir()) == []


def test_only_what_a_server_has_called_hangs(tmp_path: Path) -> None:
    served = (Frame("/usr/lib/server.py", 1, "run"), Frame("shop.py", 2, "sell"))
    begun = (Frame(str(tmp_path / "shop.py"), 1, "clock"), Frame("/usr/lib/asyncio.py", 2, "sleep"))
    assert [stacks.serves(stack, tmp_path) for stack in (served, begun, ())] == [True, False, False]
    assert stacks.own(served, tmp_path) == Frame("shop.py", 2, "sell")
    middleware = Frame("shop.py", 9, "__call__", passes_on=True)
    assert stacks.own((*served, middleware), tmp_path) == Frame("shop.py", 2, "sell")
    assert stacks.own((middleware, Frame("/usr/lib/hub.py", 1, "receive")), tmp_path) is None
