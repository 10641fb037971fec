"""The Chromium that plays the lab: found where there is one, fetched where there is none.

In this order: `$LABKIT_BROWSER`, Playwright's own, Chrome, Chromium or Edge of the machine. Finding looks at files
only and takes a few milliseconds; Playwright's driver is not started for it.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit import policies
from labkit.errors import MachineError
from labkit.places import at_home
from labkit.processes import Group, environment

VARIABLE = "LABKIT_BROWSER"
"""The environment variable that names a browser's executable."""

_ARGUMENTS = (
    # A lab's machine may have no network: nothing is fetched, reported or asked at start-up.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # What a page can see of the browser is as it is when a person uses it.
    "--disable-blink-features=AutomationControlled",
)

_ON_PATH = (
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "chromium",
    "chromium-browser",
    "microsoft-edge",
    "microsoft-edge-stable",
    "msedge",
)

_OF_MACOS = (
    "Google Chrome.app/Contents/MacOS/Google Chrome",
    "Chromium.app/Contents/MacOS/Chromium",
    "Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
)

_OF_WINDOWS = (
    "Google/Chrome/Application/chrome.exe",
    "Chromium/Application/chrome.exe",
    "Microsoft/Edge/Application/msedge.exe",
)

_OF_LINUX = ("/opt/google/chrome/chrome", "/opt/microsoft/msedge/msedge", "/usr/lib/chromium/chromium")

_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")

_NODES_OWN = re.compile(r"at .*[:(]|errno:|code:|syscall:|hostname:|address:|port:|[{}]")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Browser:
    """A Chromium: its `source` is the variable's name, `playwright` or `machine`.

    Its `executable` is None if it is Playwright's own, which Playwright finds itself.
    """

    source: str
    executable: Path | None

    def launch_options(self, headless: bool = True) -> dict[str, Any]:
        """The keyword arguments for `chromium.launch` of Playwright's sync and async interface."""
        arguments = [*_ARGUMENTS]
        if _is_root():
            arguments.append("--no-sandbox")  # Chromium refuses to run as root with one
        options: dict[str, Any] = {"headless": headless, "args": arguments}
        if self.executable is not None:
            options["executable_path"] = str(self.executable)
        return options


def user_agent(version: str) -> str:
    """What a Chromium of this version calls itself when a person uses it: the same, headless or not."""
    system = {"win32": "Windows NT 10.0; Win64; x64", "darwin": "Macintosh; Intel Mac OS X 10_15_7"}
    return (
        f"Mozilla/5.0 ({system.get(sys.platform, 'X11; Linux x86_64')}) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Chrome/{version.partition('.')[0]}.0.0.0 Safari/537.36"
    )


def launch_options(headless: bool = True) -> dict[str, Any]:
    """The keyword arguments for Playwright's `chromium.launch` with the browser that this machine has.

    Raises MachineError if it has none.
    """
    return find(install=False, headless=headless).launch_options(headless)


def find(install: bool = True, say: Say = lambda line: None, headless: bool = True) -> Browser:
    """The browser to use; with `install`, one is fetched if there is none, and `say` gets the progress.

    Raises MachineError that says what to type.
    """
    found = _present(headless)
    if found:
        return found
    if not install:
        raise MachineError("There is no Chromium, Chrome or Edge on this machine.", f"labkit setup\n{_by_hand()}")
    return install_own(say, headless)


def probe(browser: Browser, headless: bool = True, timeout: float = 60) -> str:
    """Launch the browser with Playwright, load a page in it, and return the version that it reports.

    It runs in a process of its own, because Playwright's sync interface would spoil this one for asyncio, and has a
    folder of its own for what a browser that is cut short leaves.
    Raises MachineError with what the browser said.
    """
    with (
        tempfile.TemporaryDirectory(prefix="labkit-", ignore_cleanup_errors=True) as temporary,
        Group(Path(temporary)) as group,
        tempfile.TemporaryFile() as output,
    ):
        settings = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), temporary) | {"PYTHONIOENCODING": "utf-8"}
        process = group.start(
            [sys.executable, "-P", "-c", _PROBE, json.dumps(browser.launch_options(headless))],
            cwd=Path(temporary),
            environment=environment(settings, also=("PLAYWRIGHT_*",)),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            status = None
        group.stop(grace=0)
        output.seek(0)
        said = output.read().decode("utf-8", "replace")
    version = re.search(r"^version (\S+)$", said, re.MULTILINE)
    if status == 0 and version:
        return version[1]
    raise _does_not_launch(browser, said, timeout if status is None else None)


_PROBE = """
import json, sys
from playwright.sync_api import sync_playwright
from labkit.probing import look
with sync_playwright() as playwright:
    browser = playwright.chromium.launch(**json.loads(sys.argv[1]))
    if fault := look(browser):
        sys.exit(fault)
    print("version", browser.version, flush=True)
    browser.close()
"""


def _present(headless: bool) -> Browser | None:
    named = os.environ.get(VARIABLE)
    if named:
        executable = Path(named).expanduser()
        if not executable.is_file():
            raise MachineError(
                f"{VARIABLE} names {named}, and there is no such program.",
                f"Correct {VARIABLE}, or unset it: labkit then looks for a browser itself.",
            )
        return Browser(VARIABLE, executable)
    if _playwrights_own("chromium-headless-shell" if headless else "chromium"):
        return Browser("playwright", None)
    for candidate in _machines_own():
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return Browser("machine", candidate)
    return None


def _playwrights_own(name: str) -> bool:
    """Whether Playwright has installed this browser, completely and in the revision that it needs."""
    folder = f"{name.replace('-', '_')}-{_described(name)['revision']}"
    return (registry() / folder / "INSTALLATION_COMPLETE").is_file()


def registry() -> Path:
    """The folder where Playwright keeps its browsers, by Playwright's rules.

    Raises MachineError if this account has no home folder: Playwright has no browser then.
    """
    named = os.environ.get("PLAYWRIGHT_BROWSERS_PATH")
    if named == "0":
        return _driver() / ".local-browsers"
    if named:
        return Path(named).absolute()
    with at_home():
        if sys.platform == "win32":
            cache = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        elif sys.platform == "darwin":
            cache = Path.home() / "Library" / "Caches"
        else:
            cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "ms-playwright"


def _driver() -> Path:
    found = importlib.util.find_spec("playwright")
    if found is None or found.origin is None:
        raise MachineError("The package playwright is not installed.", "Install labkit again, with its dependencies.")
    return Path(found.origin).parent / "driver" / "package"


def _described(name: str) -> dict[str, str]:
    """What Playwright's list of browsers says about one of them."""
    table: dict[str, list[dict[str, str]]] = json.loads((_driver() / "browsers.json").read_text(encoding="utf-8"))
    return next(entry for entry in table["browsers"] if entry["name"] == name)


def _machines_own() -> Iterator[Path]:
    """Where Chrome, Chromium and Edge are on this kind of machine, the best first."""
    for name in _ON_PATH:
        path = shutil.which(name)
        if path and not path.startswith("/snap/"):
            yield Path(path)
    if sys.platform == "win32":
        for variable in ("ProgramFiles", "ProgramFiles(x86)", "LocalAppData"):
            if os.environ.get(variable):
                yield from (Path(os.environ[variable], name) for name in _OF_WINDOWS)
    elif sys.platform == "darwin":
        for folder in (Path("/Applications"), Path.home() / "Applications"):
            yield from (folder / name for name in _OF_MACOS)
    else:
        yield from map(Path, _OF_LINUX)
        # Last, because a snap sees other temporary folders than its caller.
        yield Path("/snap/bin/chromium")


def install_own(say: Say, headless: bool = True) -> Browser:
    """Fetch Playwright's Chromium, anew if it is there; where that fails, root on Debian and Ubuntu has another way.

    Raises MachineError that says what to type.
    """
    say("Fetching Chromium for Playwright (about 300 MB)")
    again = ["--force"] if _playwrights_own("chromium-headless-shell") else []
    if _playwright(["install", *again, "chromium"], say) == 0:
        found = _present(headless)
        if found:
            return _with_libraries(found, say, headless)
    if _has_apt() and _is_root():
        say("That did not work. Installing Debian's Chromium")
        if _apt(["install", "-y", "--no-install-recommends", "chromium"], say) or (
            _apt(["update"], say) and _apt(["install", "-y", "--no-install-recommends", "chromium"], say)
        ):
            found = _present(headless)
            if found:
                probe(found, headless)
                return found
    raise MachineError(
        "There is no Chromium, Chrome or Edge on this machine, and fetching one failed: is there a network?", _by_hand()
    )


def _with_libraries(found: Browser, say: Say, headless: bool) -> Browser:
    """The browser, if it launches; a bare Linux lacks the libraries that it needs, and root can install them."""
    try:
        probe(found, headless)
    except MachineError:
        if not (_has_apt() and _is_root()):
            raise
        say("Installing the libraries that Chromium needs")
        _playwright(["install-deps", "chromium"], say)
        probe(found, headless)
    return found


def _playwright(arguments: list[str], say: Say) -> int:
    """Run Playwright's own command; of each attempt it says the fault, not where in Node.js it came up."""
    said = set()

    def once(line: str) -> None:
        text = _ESCAPES.sub("", line)
        if text not in said and not _NODES_OWN.match(text):
            said.add(text)
            say(text)

    # Without a network, five attempts of half a minute each would look like a hang.
    variables = {"PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT": "10000", **os.environ}
    return _run([sys.executable, "-m", "playwright", *arguments], variables, once)


def _apt(arguments: list[str], say: Say) -> bool:
    return _run(["apt-get", *arguments], {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, say) == 0


def _run(command: list[str], variables: dict[str, str], say: Say) -> int:
    """Run a program, say its lines, and return its exit status."""
    with Group() as group:
        process = group.start(
            command,
            cwd=Path(tempfile.gettempdir()),
            environment=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdout is not None  # noqa: S101  (it was asked for)
        for line in process.stdout:
            text = line.decode("utf-8", "replace").strip()
            if text:
                say(text)
        return process.wait()


def _does_not_launch(browser: Browser, said: str, timeout: float | None) -> MachineError:
    name = str(browser.executable) if browser.executable else f"Playwright's Chromium in {registry()}"
    lines = [line.strip(" │║╔╗╚╝═") for line in said.splitlines()]
    errors = [
        line for line in lines if re.search(r"error|cannot|missing|denied|not found|no such", line, re.IGNORECASE)
    ]
    what = (
        f"not within {timeout:.0f} s" if timeout else (errors or [line for line in lines if line] or ["no reason"])[-1]
    )
    if fault := policies.forbidden(said):
        return refusal(name, fault)
    if "Connection closed while reading from the driver" in said:
        return MachineError(
            f"Playwright's driver does not run: {_driver().parent}",
            "Security software may keep it from running, or a file of it is damaged: then install labkit again.",
        )
    if "shared librar" in said or "missing dependencies" in said:
        advice = f"sudo {sys.executable} -m playwright install-deps chromium"
    elif browser.source == VARIABLE:
        advice = f"Correct {VARIABLE}, or unset it: labkit then looks for a browser itself."
    elif browser.source == "playwright":
        advice = f"{sys.executable} -m playwright install --force chromium"
    else:
        advice = f"{sys.executable} -m playwright install chromium\nor name another browser: {VARIABLE}=PATH"
    return MachineError(f"{name} does not launch: {what}", advice)


def refusal(name: str, fault: str) -> MachineError:
    """The error that a policy keeps this browser from something."""
    return MachineError(
        f"{name} {fault}: a policy of whoever manages this machine has it so.",
        "Ask them to allow it for http://127.0.0.1 (the address chrome://policy lists what is set), "
        f"or name another browser: {VARIABLE}=PATH",
    )


def _by_hand() -> str:
    """What to type, or to do, for a browser on this kind of machine."""
    if sys.platform == "win32":
        ways = ["Install Google Chrome (or Microsoft Edge): winget install Google.Chrome"]
    elif sys.platform == "darwin":
        ways = ["Install Google Chrome: brew install --cask google-chrome, or from its web page"]
    elif shutil.which("apt-get"):
        ways = ["Install Chromium: sudo apt-get update && sudo apt-get install chromium"]
    elif shutil.which("dnf"):
        ways = ["Install Chromium: sudo dnf install chromium"]
    else:
        ways = ["Install Chromium or Google Chrome with your system's package manager"]
    return "\n".join([*ways, f"or name the browser that you have: {VARIABLE}=PATH"])


def _has_apt() -> bool:
    return sys.platform == "linux" and shutil.which("apt-get") is not None


def _is_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0
