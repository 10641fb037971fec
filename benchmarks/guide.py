"""Measure the guide and `labkit verify --watch`, each beside what a person would write without labkit, in turns.

uv run python benchmarks/guide.py [ROUNDS] [PART...]

The parts: start, size, insert, idle, watch; all of them if none is named.
"""

import contextlib
import json
import os
import queue
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from labkit import insertion, workspace
from labkit.lab import Exercise, find_lab

HERE = Path(__file__).parent
LAB = find_lab()
LIMITS = {
    "first page / bare Starlette page": 1.3,
    "chapter, kB without pictures": 300,
    "insert on the page / the command's own work": 1.5,
    "idle guide, % of a core": 0.5,
    "idle with all that it runs and holds ready, % of a core": 3,
    "save of a script: first check / bare script": 1.5,
    "save of Python: first check / bare script": 1.3,
}
QUIET = 20.0
"""For how many seconds the idle guide is watched."""

_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
_ENVIRONMENT["PYTHONUNBUFFERED"] = "1"


class Lines:
    """A program whose lines are awaited; `say` gives it one."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._last: deque[str] = deque(maxlen=20)
        self.process = subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env=_ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.put(line.rstrip())
        self._lines.put(None)

    def until(self, pattern: str) -> re.Match[str]:
        """Wait for a line that has this."""
        while True:
            line = self._lines.get(timeout=300)
            assert line is not None, "\n".join([*self._last, f"It ended before it said {pattern}."])
            self._last.append(line)
            if match := re.search(pattern, line):
                return match

    def say(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


@contextlib.contextmanager
def program(*command: str, folder: Path = HERE) -> Iterator[Lines]:
    running = Lines(list(command), folder)
    try:
        yield running
    finally:
        running.stop()


def get(url: str, token: str = "", document: dict[str, Any] | None = None) -> bytes:
    """Ask until somebody answers."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(document).encode() if document else None, headers)  # noqa: S310  (ours)
    while True:
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310  (a server of its own)
                return bytes(answer.read())
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):
                raise


@contextlib.contextmanager
def guide(folder: Path) -> Iterator[tuple[Lines, str, str]]:
    """A running guide: the program, its address and its token."""
    with program("-m", "labkit", "guide", "--no-open", "--lab", str(LAB.folder), folder=folder) as running:
        found = running.until(r"(http://\S+)/#token=(\S+)")
        yield running, found[1], found[2]


def done(folder: Path, exercise: Exercise) -> workspace.Workspace:
    """A workspace in which everything is done."""
    made = workspace.create(LAB, exercise, folder / exercise.name)
    workspace.copy_app(exercise.end, made.folder)
    return made


def start(rounds: int, folder: Path) -> dict[str, float]:
    """From the command to the first page, beside a bare Starlette page with the same imports."""
    own, bare = [], []
    port = "8765"
    for _ in range(rounds):
        began = time.perf_counter()
        with program("-m", "labkit", "guide", "--no-open", "--port", port, folder=folder):
            get(f"http://127.0.0.1:{port}/")
            own.append(time.perf_counter() - began)
        began = time.perf_counter()
        with program(str(HERE / "bare_starlette.py"), port):
            get(f"http://127.0.0.1:{port}/")
            bare.append(time.perf_counter() - began)
    print(f"first page: {statistics.median(own):.2f} s, bare {statistics.median(bare):.2f} s")
    return {"first page / bare Starlette page": statistics.median(own) / statistics.median(bare)}


def size(rounds: int, folder: Path) -> dict[str, float]:
    """What a browser fetches until the longest chapter is there: page, script, styles, client and chapter."""
    with guide(folder) as (_, address, token):
        page = ("/", "/static/guide.js", "/static/guide.css", "/code.css", "/signalr.js")
        common = sum(len(get(f"{address}{path}", token)) for path in page)
        chapters = [len(get(f"{address}/api/chapter/{each.id}", token)) for each in LAB.exercises]
    print(
        f"page, script and styles {common / 1000:.0f} kB, chapters", *(f"{each / 1000:.0f}" for each in chapters), "kB"
    )
    return {"chapter, kB without pictures": (common + max(chapters)) / 1000}


def insert(rounds: int, folder: Path) -> dict[str, float]:
    """From a press to the changed page, beside the command's own work without the start of Python."""
    from playwright.sync_api import expect, sync_playwright

    from labkit.browser import launch_options

    exercise = LAB.exercises[0]
    name = next(iter(exercise.snippets))
    step = next(step for task in exercise.tasks for step in task.steps if step.snippet == name)
    made = workspace.create(LAB, exercise, folder / exercise.name)
    other = workspace.create(LAB, exercise, folder / "elsewhere" / exercise.name)
    own, pressed = [], []
    with guide(folder) as (_, address, token), sync_playwright() as playwright:
        browser = playwright.chromium.launch(**launch_options())
        page = browser.new_page()
        page.goto(f"{address}/#token={token}")
        expect(page.locator("#connection")).to_have_text("Live", timeout=60_000)
        page.locator("#tasks button").nth(exercise.tasks.index(exercise.task(step.id.rpartition(".")[0])) + 1).click()
        expect(page.locator(f'[data-step="{step.id}"]')).to_be_visible(timeout=60_000)
        for _ in range(rounds * 3):
            pressed.append(page.evaluate(_PRESS, step.id) / 1000)
            page.keyboard.press("Escape")
            made.undo(False)
            page.wait_for_selector(f'[data-step="{step.id}"]:not(.done)')
            began = time.perf_counter()
            here = workspace.read(other.folder)
            here.apply(insertion.insert(here.folder, exercise, [name], None))
            own.append(time.perf_counter() - began)
            other.undo(False)
        browser.close()
    print(f"insert: {statistics.median(pressed) * 1000:.0f} ms, own work {statistics.median(own) * 1000:.0f} ms")
    return {"insert on the page / the command's own work": statistics.median(pressed) / statistics.median(own)}


_PRESS = """async (step) => {
  const item = document.querySelector(`[data-step="${step}"]`);
  const done = new Promise((resolve) => {
    const look = () => item.classList.contains("done") && resolve(performance.now());
    new MutationObserver(look).observe(item, { attributes: true });
  });
  const began = performance.now();
  item.querySelector(".command button.main").click();
  return await done - began;
}"""


def idle(rounds: int, folder: Path) -> dict[str, float]:
    """The processor time of a guide whose app runs, that watches saves, and that nobody uses."""
    made = done(folder, LAB.exercises[0])
    with guide(folder) as (running, address, token):
        exercise = LAB.exercises[0].id
        get(f"{address}/api/do/{exercise}", token, {"do": "run"})
        get(f"{address}/api/do/{exercise}", token, {"do": "watch"})
        get(f"{address}/api/do/{exercise}", token, {"do": "verify"})
        time.sleep(5)  # what it holds ready has been started
        process = psutil.Process(running.process.pid)
        whole = [process, *process.children(recursive=True)]
        before, began = list(map(spent, whole)), time.perf_counter()
        time.sleep(QUIET)
        passed = time.perf_counter() - began
        shares = [100 * (spent(each) - then) / passed for each, then in zip(whole, before, strict=True)]
    shutil.rmtree(made.folder)
    return {
        "idle guide, % of a core": shares[0],
        "idle with all that it runs and holds ready, % of a core": sum(shares),
    }


def spent(process: psutil.Process) -> float:
    """The processor time of a process so far, in seconds."""
    user, system, *_ = process.cpu_times()
    return float(user + system)


def watch(rounds: int, folder: Path) -> dict[str, float]:
    """From a save to the first check, beside a bare script on a warm browser that reloads and clicks the same."""
    exercise = LAB.exercises[0]
    made = done(folder, exercise)
    found = {}
    with program("-m", "labkit", "verify", "--watch", folder=made.folder) as watching:
        watching.until("Waiting for your next save")
        with program(str(HERE / "bare_playwright.py"), exercise.name, "--again") as bare:
            bare.until("ready")
            for kind, path, said in (
                ("a script", "geekquiz/static/statistics.js", "page"),
                ("Python", "geekquiz/startup.py", "python"),
            ):
                first, last, peer = [], [], []
                for _ in range(rounds):
                    time.sleep(3)  # what is held ready has been started
                    began = time.perf_counter()
                    with (made.folder / path).open("a", encoding="utf-8") as file:
                        file.write("\n")
                    watching.until(r"^\W*passed|✓")
                    first.append(time.perf_counter() - began)
                    watching.until("Waiting for your next save")
                    last.append(time.perf_counter() - began)
                    began = time.perf_counter()
                    bare.say(said)
                    bare.until("done")
                    peer.append(time.perf_counter() - began)
                a, b, c = map(statistics.median, (first, last, peer))
                print(f"save of {kind}: first check after {a:.2f} s, all after {b:.2f} s, bare script {c:.2f} s")
                found[f"save of {kind}: first check / bare script"] = a / c
    return found


PARTS: dict[str, Callable[[int, Path], dict[str, float]]] = {
    "start": start,
    "size": size,
    "insert": insert,
    "idle": idle,
    "watch": watch,
}


def main() -> int:
    rounds = next((int(each) for each in sys.argv[1:] if each.isdigit()), 5)
    parts = [each for each in sys.argv[1:] if not each.isdigit()] or list(PARTS)
    found: dict[str, float] = {}
    for part in parts:
        with tempfile.TemporaryDirectory(prefix="labkit-benchmark-", ignore_cleanup_errors=True) as folder:
            measured = PARTS[part](rounds, Path(folder))
        for name, value in measured.items():
            word = "MISSED" if value > LIMITS[name] else "kept"
            print(f"  {name}: {value:.2f}, limit {LIMITS[name]}: {word}", flush=True)
        found |= measured
    return int(any(value > LIMITS[name] for name, value in found.items()))


if __name__ == "__main__":
    sys.exit(main())
