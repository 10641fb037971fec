"""What hinders a lab on a machine that has everything is found by `labkit doctor`, before a trainee finds it."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest

from labkit import browser, hindrances
from labkit.errors import MachineError
from labkit.machine import Advice

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no owners of this kind")
OF_CHROMIUM = "/etc/chromium"


def test_a_variable_that_steers_other_programs_is_named_with_its_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in hindrances.STEERING:
        monkeypatch.delenv(name, raising=False)
    assert hindrances.variables() == "none that steers labkit"
    monkeypatch.setenv("NODE_OPTIONS", "--require x.js")
    monkeypatch.setenv("PYTHONPATH", "/old")
    monkeypatch.setattr(sys, "platform", "linux")

    with pytest.raises(Advice) as caught:
        hindrances.variables()

    assert caught.value.message == (
        "PYTHONPATH is set: labkit's own Python takes packages from there, before its own; "
        "NODE_OPTIONS is set: it changes how Node.js runs, and with it Playwright's driver."
    )
    assert caught.value.next == "If something fails that should not: unset PYTHONPATH NODE_OPTIONS"


def test_a_clock_that_files_do_not_agree_with_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    hindrances.check_clock()
    now = time.time()

    monkeypatch.setattr("time.time", lambda: now + 3600)
    with pytest.raises(MachineError, match=r"a file that is written now is from .*, and the clock says "):
        hindrances.check_clock()


def test_a_clock_before_labkit_was_installed_is_a_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = tmp_path / "hindrances.py"
    made.touch()
    os.utime(made, (time.time() + 900_000,) * 2)
    monkeypatch.setattr(hindrances, "__file__", str(made))

    with pytest.raises(MachineError, match=r"the clock says .*, and labkit was installed on ") as caught:
        hindrances.check_clock()

    assert caught.value.next == "Set the clock: sessions and certificates are not valid at a wrong time."


@POSIX
def test_a_folder_of_another_account_is_named_with_what_gives_it_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "postgres").mkdir()
    owner = tmp_path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)

    with pytest.raises(MachineError) as caught:
        hindrances.check_owner(tmp_path)

    assert caught.value.message == f"{tmp_path} belongs to another account (number {owner}), not to yours."
    assert caught.value.next == (
        f"Was labkit once run with sudo? Then give it back: sudo chown -R {owner + 1} {tmp_path}. "
        "Or set LABKIT_HOME to a folder of your own."
    )


@POSIX
def test_root_in_another_account_s_home_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setattr(Path, "home", lambda: home)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    if home.stat().st_uid == 0:
        os.chown(home, 1234, 1234)

    with pytest.raises(Advice, match=r"labkit runs as root in the home folder of another account \(number \d+\)\."):
        hindrances.check_owner(tmp_path / "nothing")


def test_the_note_of_a_server_that_was_cut_off_is_found(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("18\n", encoding="ascii")
    hindrances.check_leftovers(tmp_path)
    note = tmp_path / "postmaster.pid"
    own = os.getpid()

    for number, said in ((own, f"process {own} is {psutil.Process(own).name()}"), (999_999_999, "there is no process")):
        note.write_text(f"{number}\n/data\n", encoding="ascii")
        with pytest.raises(Advice) as caught:
            hindrances.check_leftovers(tmp_path)
        assert caught.value.message.startswith(f"{note} is of a server that was cut off: {said}")
        assert caught.value.next == "labkit db start   (removes it)"


def test_a_damaged_data_folder_is_found(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()

    with pytest.raises(MachineError) as caught:
        hindrances.check_leftovers(tmp_path)

    assert caught.value.message == f"{tmp_path} has files, but no PG_VERSION: the lab's databases are damaged."


def test_a_driver_that_does_not_run_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAYWRIGHT_NODEJS_PATH", sys.executable)  # a program, and no Node.js

    with pytest.raises(MachineError, match=r"^Playwright's driver does not run: "):
        browser.probe(browser.find(install=False))


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("net::ERR_BLOCKED_BY_ADMINISTRATOR at http://127.0.0.1:1/", "is kept from pages of this machine, 127.0.0.1"),
        ("keeps no cookies", "keeps no cookies"),
        ("Headless mode is disallowed by the system admin.", "may not run without a window"),
    ],
)
def test_a_policy_of_the_machine_is_named(monkeypatch: pytest.MonkeyPatch, said: str, fault: str) -> None:
    found = browser.find(install=False)
    monkeypatch.setattr(browser, "_PROBE", f"raise SystemExit({said!r})")

    with pytest.raises(MachineError) as caught:
        browser.probe(found)

    name = str(found.executable) if found.executable else f"Playwright's Chromium in {browser.registry()}"
    assert caught.value.message == f"{name} {fault}: a policy of whoever manages this machine has it so."


def _with_policy(policy: dict[str, Any], *command: str) -> list[str]:
    """The command, on a machine whose administrator has given Debian's Chromium a policy: a mount that only it sees."""
    managed = f"{OF_CHROMIUM}/policies/managed"
    script = (
        f"mount -t tmpfs policies {OF_CHROMIUM} && mkdir -p {managed}"
        f' && printf %s "$1" > {managed}/school.json && shift && exec "$@"'
    )
    return ["unshare", "--mount", "sh", "-c", script, "sh", json.dumps(policy), *command]


@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("chromium") != "/usr/bin/chromium",
    reason="needs Debian's Chromium, and root's right to mount",
)
@pytest.mark.parametrize(
    ("policy", "fault"),
    [
        ({"URLBlocklist": ["*"]}, "This machine keeps its browser from http://127.0.0.1:"),
        ({"DefaultJavaScriptSetting": 2}, "runs no scripts"),
        ({"DefaultCookiesSetting": 2}, "keeps no cookies"),
        ({"RemoteDebuggingAllowed": False}, "may not be steered by programs"),
        ({"HeadlessMode": 2}, "may not run without a window"),
        ({"DefaultImagesSetting": 2, "DefaultPopupsSetting": 2, "BrowserSignin": 2}, None),
    ],
    ids=["addresses", "scripts", "cookies", "steering", "window", "harmless"],
)
def test_a_managed_browser_is_no_fault_of_the_solution(
    tmp_path: Path, policy: dict[str, Any], fault: str | None
) -> None:
    verify = [sys.executable, "-m", "labkit", "verify", "ex1", "--solution", "end", "--task", "1"]
    settings = {**os.environ, "LABKIT_BROWSER": "/usr/bin/chromium", "LABKIT_HOME": str(tmp_path)}

    ended = subprocess.run(
        _with_policy(policy, *verify, "--format", "json"), env=settings, capture_output=True, text=True
    )

    (task,) = json.loads(ended.stdout)["tasks"]
    verdicts = Counter(check["verdict"] for check in task["checks"])
    if fault is None:
        assert (ended.returncode, set(verdicts)) == (0, {"passed"})
    else:
        assert (ended.returncode, verdicts["environment"], verdicts["not done"]) == (3, 1, 0), verdicts
        (told,) = [check["cause"] for check in task["checks"] if check["verdict"] == "environment"]
        assert fault in told


@pytest.mark.slow
def test_what_steers_node_does_not_reach_the_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_OPTIONS", "--require /nonexistent/b.js")

    assert browser.probe(browser.find(install=False))[0].isdigit()
