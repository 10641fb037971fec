"""What an app can read has the same form under `labkit verify` as under `labkit run` with a person at the browser.

An app that behaves well only while it is verified would pass. Nobody can make it impossible, but none of the plain ways
to tell is there: not the environment, the folder, what browsers send, nor what a page sees of its browser.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from labkit import browser, changes, insertion
from labkit.lab import find_lab
from labkit.verify.run import verify
from labkit.verify.subject import find

pytestmark = pytest.mark.slow

LAB = find_lab(Path(__file__).parent.parent.parent)

KEY = "sec-websocket-key"
"""Another one for each connection, of the same length."""

SPY = """

import json as _json
import os as _os
import sys as _sys
from pathlib import Path as _Path

_inner = app


def _tell(kind, what):
    print("SEEN " + _json.dumps([kind, what]), flush=True)


_tell("environment", dict(_os.environ))
_tell("arguments", _sys.argv)
_tell("folder", [str(_Path.cwd()), sorted(p.name for p in _Path.cwd().iterdir())])


async def app(scope, receive, send):
    if scope["type"] in ("http", "websocket"):
        headers = [[name.decode(), value.decode()] for name, value in scope["headers"]]
        _tell(scope["type"], [scope.get("method"), scope["path"], headers, scope["query_string"].decode()])
    await _inner(scope, receive, send)
"""

PAGE = """
const seen = {};
for (const name in navigator) {
  const value = navigator[name];
  if (["string", "number", "boolean"].includes(typeof value)) seen[`navigator.${name}`] = value;
}
seen.languages = navigator.languages;
seen.plugins = [...navigator.plugins].map((each) => each.name);
seen.globals = Object.getOwnPropertyNames(window).filter((name) => !/^\\d+$/.test(name)).sort();
seen.focus = [document.hasFocus(), document.visibilityState];
seen.media = ["(prefers-color-scheme: dark)", "(hover: hover)", "(pointer: fine)"]
  .map((query) => matchMedia(query).matches);
seen.native = [fetch, WebSocket, setTimeout, Date.now].map((each) => String(each).includes("[native code]"));
fetch(`/healthz?page=${encodeURIComponent(JSON.stringify(seen))}`);
"""


def seen(log: str) -> dict[str, list[Any]]:
    """What an app has told of what it sees, by its kind."""
    found: dict[str, list[Any]] = {}
    for line in log.splitlines():
        _, is_said, text = line.partition("SEEN ")
        if is_said:
            kind, what = json.loads(text)
            found.setdefault(kind, []).append(what)
    return found


def form(value: Any) -> Any:
    """A value without what differs from run to run: numbers, names, secrets, where folders are."""
    if isinstance(value, list):
        return [form(each) for each in value]
    if isinstance(value, dict):
        return {name: form(each) for name, each in value.items()}
    if not isinstance(value, str):
        return value
    text = re.sub(r"/[\w./-]*/(?=ex1-realtime\b)", "/…/", value)
    text = re.sub(r"\b[0-9a-f]{8,}\b", lambda match: f"<{len(match[0])} hexadecimal digits>", text)
    text = re.sub(r"(?<=[=-])[\w.=-]{20,}", "<secret>", text)
    return re.sub(r"\d+", "0", text)


def differing(person: dict[str, Any], checks: dict[str, Any]) -> dict[str, Any]:
    """What differs between two tables, by its name."""
    return {
        name: (person.get(name), checks.get(name))
        for name in {*person, *checks}
        if person.get(name) != checks.get(name)
    }


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with the whole code, which tells what it sees."""
    home = tmp_path_factory.mktemp("trainee")
    exercise = LAB.exercise("ex1")
    subprocess.run([sys.executable, "-m", "labkit", "start", "ex1"], cwd=home, check=True, capture_output=True)
    folder = home / exercise.name
    changes.write(folder, insertion.insert(folder, exercise, list(exercise.snippets)))
    with (folder / "geekquiz" / "main.py").open("a", encoding="utf-8") as file:
        file.write(SPY)
    with (folder / "geekquiz" / "static" / "statistics.js").open("a", encoding="utf-8") as file:
        file.write(PAGE)
    return folder


@pytest.fixture(scope="module")
def under_run(workspace: Path) -> Iterator[dict[str, list[Any]]]:
    """What the app sees of a person who registers, answers and looks at the statistics."""
    command = [sys.executable, "-m", "labkit", "run", "--no-open", "--log"]
    process = subprocess.Popen(
        command, cwd=workspace, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    )
    lines: list[str] = []
    assert process.stdout is not None
    try:
        url = None
        while url is None:
            lines.append(process.stdout.readline())
            assert lines[-1], "".join(lines)
            match = re.search(r"http://127\.0\.0\.1:\d+", lines[-1])
            url = match and match[0]
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(**browser.launch_options())
            page = chromium.new_context(user_agent=browser.user_agent(chromium.version)).new_page()
            page.goto(f"{url}/account/register")
            page.get_by_label("User name").fill("Ada")
            page.get_by_label("Password", exact=True).fill("a long pass phrase")
            page.get_by_label("Confirm password").fill("a long pass phrase")
            page.get_by_role("button", name="Register").click()
            page.get_by_test_id("option").first.click()
            page.get_by_role("button", name="Next question").wait_for()
            with page.expect_response(lambda response: "/healthz?page" in response.url):
                page.goto(f"{url}/statistics")
            page.locator("#freshness.live").wait_for()
            chromium.close()
    finally:
        process.terminate()
        process.communicate()
    (log,) = workspace.glob(".labkit/**/instance-1.log")
    yield seen(log.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def under_verify(workspace: Path) -> dict[str, list[Any]]:
    """What the app sees of the checks."""
    report = verify(find(LAB, workspace, None, None), everything=True)
    assert report.evidence is not None
    return seen((report.evidence / "instance-1.log").read_text(encoding="utf-8"))


def test_the_environment_and_the_folder(under_run: dict[str, list[Any]], under_verify: dict[str, list[Any]]) -> None:
    (person,), (checks,) = under_run["environment"], under_verify["environment"]
    assert differing(form(person), form(checks)) == {}
    assert form(under_verify["arguments"]) == form(under_run["arguments"])
    assert form(under_verify["folder"]) == form(under_run["folder"])


def test_what_browsers_send(under_run: dict[str, list[Any]], under_verify: dict[str, list[Any]]) -> None:
    def headers(told: dict[str, list[Any]], kind: str, method: str | None, path: str) -> list[Any]:
        found = [dict(each[2]) for each in told[kind] if each[:2] == [method, path]]
        return [form({**each, KEY: len(each.get(KEY, ""))}) for each in found]

    for kind, method, path in (
        ("http", "GET", "/"),
        ("http", "GET", "/statistics"),
        ("http", "GET", "/static/statistics.js"),
        ("http", "GET", "/api/trivia"),
        ("http", "POST", "/account/register"),
        ("http", "POST", "/signalr/statistics/negotiate"),
        ("websocket", None, "/signalr/statistics"),
    ):
        (person, *_), checks = (headers(each, kind, method, path) for each in (under_run, under_verify))
        assert {} in [differing(person, each) for each in checks], path


def test_what_a_page_sees_of_its_browser(under_run: dict[str, list[Any]], under_verify: dict[str, list[Any]]) -> None:
    def pages(told: dict[str, list[Any]]) -> list[Any]:
        from urllib.parse import parse_qs

        queries = [each[3] for each in told["http"] if each[1] == "/healthz" and each[3]]
        return [json.loads(parse_qs(each)["page"][0]) for each in queries]

    (person,), checks = pages(under_run), pages(under_verify)
    assert not person["navigator.webdriver"]
    assert len(checks) >= 3
    # A page whose clock is in the check's hands has a global more, and so has one of which a trace is kept.
    plain = [each for each in checks if "__pwClock" not in each["globals"]]
    assert plain
    for each in plain:
        found = {name for name in each.pop("globals") if not name.startswith("__playwright_snapshot")}
        assert found == set(person["globals"])
        assert differing({**person, "globals": None}, {**each, "globals": None}) == {}
