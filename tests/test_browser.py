"""The browser is found where there is one, and launches; without one, the error says what to type."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from labkit import browser
from labkit.browser import Browser
from labkit.errors import MachineError

OFFLINE = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
OFFLINE += ["--disable-blink-features=AutomationControlled"]


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without any browser, with empty cache folders."""
    monkeypatch.delenv(browser.VARIABLE, raising=False)
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "browsers"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(browser, "_machines_own", lambda: iter(()))
    monkeypatch.setattr(browser, "_is_root", lambda: False)
    return tmp_path


def executable(path: Path) -> Path:
    """A program that is no browser."""
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_browser_of_this_machine_launches_and_tells_its_version() -> None:
    assert re.fullmatch(r"\d+(\.\d+){3}", browser.probe(browser.find(install=False)))


def test_the_named_browser_comes_first(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = executable(bare / "my browser")
    monkeypatch.setenv(browser.VARIABLE, str(path))
    assert browser.find() == Browser(browser.VARIABLE, path)


def test_a_named_browser_that_is_not_there_is_an_error(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(browser.VARIABLE, "/nowhere/chrome")
    with pytest.raises(MachineError) as caught:
        browser.find()
    assert caught.value.message == "LABKIT_BROWSER names /nowhere/chrome, and there is no such program."
    assert caught.value.next == "Correct LABKIT_BROWSER, or unset it: labkit then looks for a browser itself."


@pytest.mark.slow
def test_playwrights_own_browser_counts_once_it_is_complete(bare: Path) -> None:
    folder = next(path for path in dry_run() if "headless" in path.name)
    folder.mkdir(parents=True)
    with pytest.raises(MachineError):
        browser.find(install=False)
    (folder / "INSTALLATION_COMPLETE").touch()
    assert browser.find(install=False) == Browser("playwright", None)


def dry_run() -> list[Path]:
    """Where Playwright itself would install, by the environment of this test."""
    said = subprocess.run(
        [sys.executable, "-m", "playwright", "install", "--dry-run", "chromium"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return [Path(line.split(":", 1)[1].strip()) for line in said.splitlines() if "Install location" in line]


def test_no_browser_and_no_wish_to_install_is_an_error_that_says_what_to_type(bare: Path) -> None:
    with pytest.raises(MachineError) as caught:
        browser.find(install=False)
    assert caught.value.message == "There is no Chromium, Chrome or Edge on this machine."
    assert caught.value.next is not None
    assert caught.value.next.startswith("labkit setup\nInstall ")
    assert caught.value.next.endswith("or name the browser that you have: LABKIT_BROWSER=PATH")


@pytest.mark.slow
def test_no_browser_and_no_network_is_an_error_after_the_attempt(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAYWRIGHT_DOWNLOAD_HOST", "http://127.0.0.1:9")  # nobody listens there
    said: list[str] = []
    with pytest.raises(MachineError) as caught:
        browser.find(install=True, say=said.append)
    assert caught.value.message == (
        "There is no Chromium, Chrome or Edge on this machine, and fetching one failed: is there a network?"
    )
    assert said[0] == "Fetching Chromium for Playwright (about 300 MB)"
    assert any("ECONNREFUSED" in line for line in said)
    assert not any(line.startswith(("at ", "errno", "}")) for line in said)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Debian's way")
def test_root_on_debian_gets_a_browser_from_the_system(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The list of packages is empty at first, as on a fresh image.
    apt = bare / "bin" / "apt-get"
    apt.parent.mkdir()
    apt.write_text(
        f"#!/bin/sh\necho $* >> {bare}/asked\n"
        f"if [ $1 = update ]; then : > {bare}/updated; exit 0; fi\n"
        f"[ -e {bare}/updated ] && : > {bare}/chromium && exec /bin/chmod 755 {bare}/chromium\n"
    )
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", str(apt.parent))
    monkeypatch.setenv("PLAYWRIGHT_DOWNLOAD_HOST", "http://127.0.0.1:9")
    monkeypatch.setattr(browser, "_is_root", lambda: True)
    monkeypatch.setattr(browser, "_machines_own", lambda: iter((bare / "chromium",)))
    monkeypatch.setattr(browser, "probe", lambda found, headless: "156.0")
    assert browser.find() == Browser("machine", bare / "chromium")
    install = "install -y --no-install-recommends chromium"
    assert (bare / "asked").read_text().splitlines() == [install, "update", install]


@pytest.mark.slow
def test_a_browser_that_does_not_launch_is_an_error_with_what_it_said(bare: Path) -> None:
    path = executable(bare / "broken")
    path.write_text("#!/bin/sh\necho 'error: cannot open display' >&2; exit 1\n")
    with pytest.raises(MachineError) as caught:
        browser.probe(Browser("machine", path))
    assert caught.value.message.startswith(f"{path} does not launch: ")
    assert caught.value.next == (
        f"{sys.executable} -m playwright install chromium\nor name another browser: LABKIT_BROWSER=PATH"
    )


def test_launching_needs_no_network_and_no_sandbox_as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser, "_is_root", lambda: False)
    assert Browser("machine", Path("/x/chrome")).launch_options() == {
        "headless": True,
        "args": OFFLINE,
        "executable_path": str(Path("/x/chrome")),
    }
    monkeypatch.setattr(browser, "_is_root", lambda: True)
    assert Browser("playwright", None).launch_options(headless=False) == {
        "headless": False,
        "args": [*OFFLINE, "--no-sandbox"],
    }
