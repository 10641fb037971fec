"""An app that tries what is not its own is heard, and told of on its log; what every app does is no deed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from labkit.sandbox.watch import Watch
from labkit.stacks import HELPER

ORDINARY = """
import glob, json, logging.config, os, pathlib, socket, sqlite3, tempfile, urllib.request
socket.socket().bind(("127.0.0.1", 0))
sqlite3.connect("app.db").execute("CREATE TABLE IF NOT EXISTS t (x)")
tempfile.TemporaryFile(); pathlib.Path("new.txt").write_text("x"); glob.glob("**/*"); os.listdir(".")
open("/etc/hosts").read(); open("/proc/self/status").read(); open("/proc/cpuinfo").read()
assert "LABKIT_WATCH" not in os.environ
"""


def heard(folder: Path, code: str, neighbour: Path, port: int = 8000) -> list[str]:
    """The deeds of an app in `folder` with this code, whose port this is."""
    deeds: list[str] = []
    watch = Watch((neighbour,), deeds.append)
    folder.mkdir(exist_ok=True)
    told = {name: text.replace("{port}", str(port)) for name, text in watch.environment.items()}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(HELPER), **told},
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    for line in done.stderr.splitlines():
        watch.hear(1, line)
    return deeds


def test_what_every_app_does_is_no_deed(tmp_path: Path) -> None:
    assert heard(tmp_path / "app", ORDINARY, tmp_path / "others") == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("open({other!r} + '/bob/app.py')", "tried to read the work of others, {other}/bob/app.py"),
        ("os.scandir({other!r})", "tried to read the work of others, {other}"),
        ("os.listdir('..')", "looked round outside of its own folder, in {parent}"),
        ("os.listdir('/')", "looked round outside of its own folder, in /"),
        ("socket.socket().bind(('127.0.0.1', 8001))", "tried to take port 8001"),
        ("open('/proc/4194300/fd/1', 'wb')", "tried to get into another process, /proc/4194300/fd/1"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="its paths are POSIX's")
def test_a_deed_is_named_once_whether_it_succeeds_or_not(tmp_path: Path, code: str, said: str) -> None:
    other = tmp_path / "a {b} class"
    tried = code.replace("{other!r}", repr(str(other)))
    whole = f"import os, socket\nfor _ in range(3):\n    try:\n        {tried}\n    except OSError:\n        pass\n"
    assert heard(tmp_path / "app", whole, other) == [
        f"The app {said.replace('{other}', str(other)).replace('{parent}', str(tmp_path))}."
    ]
