"""`labkit run` and two verifications at once, in a shell that sets what it likes and allows little."""

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from labkit import workspace
from labkit.lab import Exercise, Lab

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="limits, and signals of POSIX")


def strict() -> None:
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))


@pytest.fixture
def start(bakery: Lab, tmp_path: Path, strange_shell: dict[str, str]) -> Callable[..., "subprocess.Popen[str]"]:
    """Starts a command in the workspace, in that shell."""

    def start(*arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "labkit", *arguments],
            cwd=tmp_path / "my shop",
            env={**strange_shell, "LABKIT_LAB": str(bakery.folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=strict,
        )

    return start


@pytest.mark.slow
def test_two_verifications_beside_the_running_app_agree_and_leave_nothing(
    start: Callable[..., "subprocess.Popen[str]"],
    bakery: Lab,
    shop: Exercise,
    tmp_path: Path,
    strange_shell: dict[str, str],
) -> None:
    settings = shop.folder / "exercise.toml"
    settings.write_text(f'{settings.read_text("utf-8")}\n[database]\nsolution = ["bread"]\nsnippet = "till"\n', "utf-8")
    here = workspace.create(bakery, shop, tmp_path / "my shop")
    (here.folder / "shop.py").write_bytes((shop.end / "shop.py").read_bytes())
    app = start("run", "--no-open")
    assert app.stdout is not None
    assert next(line for line in app.stdout if "http://127.0.0.1" in line)
    both = [start("verify", "--format", "json") for _ in range(2)]
    said = [(*each.communicate(), each.returncode) for each in both]
    app.send_signal(signal.SIGTERM)
    assert (app.wait(30), [code for *_, code in said]) == (0, [0, 0]), said
    found = [
        [(check["id"], check["verdict"]) for task in json.loads(out)["tasks"] for check in task["checks"]]
        for out, *_ in said
    ]
    assert found[0] == found[1]
    assert {verdict for _, verdict in found[0]} == {"passed"}
    assert list(Path(strange_shell["TMPDIR"]).iterdir()) == []
