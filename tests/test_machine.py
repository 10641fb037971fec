"""`labkit doctor` and `labkit setup`: what they see, what they repair, and what they say about the rest."""

import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labkit import browser, cli, machine
from labkit.browser import Browser
from labkit.cli import show
from labkit.errors import MachineError
from labkit.lab import Lab, find_lab
from labkit.machine import Advice, Check, Finding, State


def missing() -> str:
    raise MachineError("There is no kettle.", "buy one")


def advised() -> str:
    raise Advice("no cosy.", "knit one")


def fails() -> str:
    raise OSError(28, "No space left on device", "/tea")


def breaks() -> str:
    raise ZeroDivisionError("leaves / 0")


def buys(say: Callable[[str], None]) -> str:
    say("buying")
    return "a new one"


KETTLE = Check("kettle", missing, buys, "a kettle")
CUP = Check("cup", lambda: "white")


@pytest.fixture
def with_checks(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let setup and doctor run these checks in place of the real ones."""

    def use(*checks: Check) -> None:
        monkeypatch.setattr(machine, "checks", lambda lab, folder: list(checks))

    return use


def without_time(findings: list[Finding]) -> list[tuple[str, str, str, str | None]]:
    return [(each.name, each.state.value, each.seen, each.next) for each in findings]


def test_doctor_finds_this_machine_ready(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "labkit", "doctor", "--format", "json"], cwd=tmp_path, capture_output=True, text=True
    )
    report: dict[str, Any] = json.loads(done.stdout)
    states = {check["name"]: check["state"] for check in report["checks"]}
    assert (done.returncode, report["schema"], report["ready"]) == (0, 1, True)
    assert {name for name, state in states.items() if state == "problem"} == set()
    assert list(states) == [
        "Python",
        "labkit",
        "the lab",
        "browser",
        "PostgreSQL",
        "other backplanes",
        "network",
        "this folder",
        "temporary files",
        "labkit's files",
        "memory",
        "variables",
        "uv",
        "offline packages",
    ]
    assert list(report["machine"]) == [
        "labkit",
        "python",
        "implementation",
        "system",
        "release",
        "architecture",
        "cores",
        "memory_mb",
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_doctor_says_what_to_type_and_exits_with_3(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "labkit", "doctor", "--lab", str(find_lab().folder)],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        env=os.environ | {"LABKIT_BROWSER": "/nowhere/chrome", "COLUMNS": "200"},
    )
    assert done.returncode == 3
    assert any(line.split()[:3] == ["✗", "browser", "problem"] for line in done.stdout.splitlines())
    assert done.stdout.splitlines()[-2:] == [
        "browser: Correct LABKIT_BROWSER, or unset it: labkit then looks for a browser itself.",
        "This machine is not ready: 1 problem. What to do stands above.",
    ]


def test_every_kind_of_finding_is_told_apart() -> None:
    these = [CUP, KETTLE, Check("cosy", advised), Check("disk", fails), Check("leaves", breaks)]
    told: list[str] = []
    findings = machine.look(these, lambda finding: told.append(finding.name))
    assert without_time(findings) == [
        ("cup", "ok", "white", None),
        ("kettle", "problem", "There is no kettle.", "buy one"),
        ("cosy", "advice", "no cosy.", "knit one"),
        ("disk", "problem", "No space left on device: /tea", None),
        ("leaves", "problem", "the check failed: ZeroDivisionError: leaves / 0", "Report this line."),
    ]
    assert sorted(told) == ["cosy", "cup", "disk", "kettle", "leaves"]


def test_setup_repairs_what_it_can_and_sums_up(
    with_checks: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    with_checks(CUP, KETTLE)
    assert cli.run(["setup"]) == 0
    said = capsys.readouterr()
    assert said.err == "Checking this machine …\nkettle: There is no kettle.\n  buying\n"
    assert [line.split() for line in said.out.splitlines()[:2]] == [
        ["✓", "cup", "ok", "white"],
        ["✓", "kettle", "repaired", "a", "new", "one"],
    ]
    assert "This machine is ready." in said.out


def test_setup_says_what_it_could_not_repair(
    with_checks: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    with_checks(Check("kettle", missing, lambda say: missing(), "a kettle"), Check("cosy", advised))
    assert cli.run(["setup", "--yes"]) == 3
    assert capsys.readouterr().out.splitlines()[-4:-1] == [
        "kettle: buy one",
        "cosy: knit one",
        "This machine is not ready: 1 problem. What to do stands above.",
    ]


def test_setup_asks_a_person_before_it_downloads(
    with_checks: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_checks(KETTLE)
    asked: list[str] = []

    def no(question: str, **_: object) -> bool:
        asked.append(question)
        return False

    monkeypatch.setattr(show, "asks", lambda: True)
    monkeypatch.setattr("typer.confirm", no)
    assert cli.run(["setup"]) == 3
    assert asked == ["Download a kettle?"]
    assert cli.run(["setup", "--yes"]) == 0
    assert asked == ["Download a kettle?"]


def test_doctor_repairs_nothing(with_checks: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    with_checks(KETTLE)
    assert cli.run(["doctor", "--format", "json"]) == 3
    report = json.loads(capsys.readouterr().out)
    assert (report["ready"], report["checks"][0]["state"]) == (False, "problem")


def test_setup_fetches_a_browser_where_there_is_none(tea: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(browser.VARIABLE, raising=False)

    def none(**_: object) -> Browser:
        raise MachineError("There is no browser.", "labkit setup")

    monkeypatch.setattr(browser, "find", none)
    monkeypatch.setattr(browser, "install_own", lambda say: Browser("playwright", None))
    monkeypatch.setattr(browser, "probe", lambda found: "159.0")
    (check,) = [each for each in machine.checks(tea, Path()) if each.name == "browser"]
    assert without_time(machine.look([check])) == [("browser", "problem", "There is no browser.", "labkit setup")]
    assert without_time([machine.repair(check, lambda line: None)]) == [
        ("browser", "repaired", "Playwright's Chromium 159.0 launches", None)
    ]


def test_setup_fetches_no_browser_beside_a_named_one_that_is_wrong(tea: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(browser.VARIABLE, "/nowhere/chrome")
    fetched: list[str] = []
    monkeypatch.setattr(browser, "install_own", fetched.append)
    (check,) = [each for each in machine.checks(tea, Path()) if each.name == "browser"]
    found = machine.repair(check, lambda line: None)
    assert (found.state, fetched) == (State.PROBLEM, [])


def test_the_labs_packages_are_there_for_workspaces(tea: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    (check,) = [each for each in machine.checks(find_lab(), Path()) if each.name == "offline packages"]
    assert machine.look([check])[0].seen == "asgi-signalr for workspaces"
    assert "offline packages" not in [each.name for each in machine.checks(tea, Path())]


def test_a_lab_without_a_database_needs_no_postgresql(tea: Lab) -> None:
    assert "PostgreSQL" not in [check.name for check in machine.checks(tea, Path())]


def test_a_package_of_a_wrong_version_is_named(monkeypatch: pytest.MonkeyPatch, tea: Lab) -> None:
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: ["rich>=99", "no-such-thing>1", "typer"])
    (check,) = [each for each in machine.checks(tea, Path()) if each.name == "labkit"]
    (finding,) = machine.look([check])
    rich = importlib.metadata.version("rich")
    assert finding.state is State.PROBLEM
    assert finding.seen.endswith(f", but rich is {rich}, needed is >=99; no-such-thing is missing.")


def test_too_little_room_and_a_folder_that_takes_nothing_are_problems(
    tmp_path: Path, tea: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    (check,) = [each for each in machine.checks(tea, tmp_path) if each.name == "this folder"]
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 7 * 1024 * 1024}))
    assert without_time(machine.look([check])) == [
        ("this folder", "problem", f"only 7 MB are free in {tmp_path}.", "Free 500 MB or more there.")
    ]

    def refuse(dir: Path) -> None:  # noqa: A002  (the name of mkdtemp's own parameter)
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    assert without_time(machine.look([check])) == [
        (
            "this folder",
            "problem",
            f"{tmp_path} takes no file: Permission denied.",
            "Free some disk space, or work in a folder that you may write to.",
        )
    ]


def test_a_home_folder_that_takes_nothing_leads_to_labkit_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path / "home" / "labkit"))
    these = {check.name: check for check in machine.checks(find_lab(), tmp_path)}
    (tmp_path / "home").touch()
    place = f"{tmp_path / 'home'} is a file where a folder belongs."
    assert without_time(machine.look([these["labkit's files"]])) == [
        ("labkit's files", "problem", place, "Move it away, or choose another.")
    ]
    (tmp_path / "home").unlink()

    def refuse(dir: Path) -> None:  # noqa: A002  (the name of mkdtemp's own parameter)
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    assert without_time(machine.look([these["labkit's files"]])) == [
        (
            "labkit's files",
            "problem",
            f"{tmp_path / 'home' / 'labkit'} cannot be made: {tmp_path} takes no file: Permission denied.",
            "Free some disk space, or set LABKIT_HOME to a folder that you may write to.",
        )
    ]


def test_an_account_without_a_home_folder_is_told_to_set_one(tea: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LABKIT_HOME", "PLAYWRIGHT_BROWSERS_PATH", "LOCALAPPDATA", "XDG_CACHE_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv(browser.VARIABLE, raising=False)

    def homeless(*_: object, **__: object) -> str:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.setattr("platformdirs.user_data_dir", homeless)
    these = [check for check in machine.checks(tea, Path()) if check.name in ("browser", "labkit's files")]
    findings = machine.look(these)
    assert without_time(findings) == [
        (name, "problem", "This account has no home folder.", "Set HOME to a folder that you may write to.")
        for name in ("browser", "labkit's files")
    ]
    assert findings[0].to_json()["seen"] == "This account has no home folder."


def test_doctor_folds_a_long_path_in_place_of_cutting_it(
    with_checks: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = "/" + "deep/" * 30
    with_checks(Check("kettle", lambda: path))
    monkeypatch.setenv("COLUMNS", "80")
    assert cli.run(["doctor"]) == 0
    assert path in "".join(word for word in capsys.readouterr().out.split() if "/" in word)


def test_what_is_reported_has_no_home_folder_in_it() -> None:
    finding = Finding("browser", State.PROBLEM, f"{Path.home()}/x does not launch", f"rm {Path.home()}/x", 1.0)
    assert finding.to_json() == {
        "name": "browser",
        "state": State.PROBLEM,
        "seen": "~/x does not launch",
        "next": "rm ~/x",
        "duration_s": 1.0,
    }
