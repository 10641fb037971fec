"""The peer of `labkit verify`: a plain Playwright script that plays an exercise's end once, and checks nothing else.

It starts the same instances, PostgreSQL included, one after the other as such scripts do, and clicks the same path.

    uv run python benchmarks/bare_playwright.py ex1-realtime

With `--again` it is the peer of `labkit verify --watch`: the browser and the pages stay open, and for each line that it
is given (`page`, or `python`, which starts the instance anew) it reloads and clicks the path of exercise 1 once more.
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from labkit.browser import launch_options
from labkit.postgres import temporary_server

EXERCISES = Path(__file__).parent.parent / "exercises"


def start(stack: ExitStack, folder: Path, data: str, server: str | None, port: str | None = None) -> str:
    """Start one instance and wait until it answers."""
    if port is None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "geekquiz.main:app", "--host", "127.0.0.1", "--port", port],
        cwd=folder,
        env={
            **os.environ,
            "DATABASE_URL": f"sqlite+aiosqlite:///{data}/geekquiz.db",
            "GEEKQUIZ_SECRET": "bare",
            "GEEKQUIZ_COOKIE": "bare",
            **({"DATABASE_SERVER": server} if server else {}),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    stack.callback(process.wait)
    stack.callback(process.terminate)
    url = f"http://127.0.0.1:{port}"
    while True:
        try:
            urllib.request.urlopen(f"{url}/healthz").close()  # noqa: S310  (a server of its own)
            return url
        except urllib.error.URLError:
            assert process.poll() is None


def register(page: Page, url: str) -> None:
    page.goto(f"{url}/account/register")
    page.get_by_label("User name").fill("bare")
    page.get_by_label("Password", exact=True).fill("a long pass phrase")
    page.get_by_label("Confirm password").fill("a long pass phrase")
    page.get_by_role("button", name="Register").click()


def answer(page: Page) -> None:
    page.bring_to_front()  # one that nobody sees is drawn once a second only
    page.get_by_test_id("option").first.click()
    expect(page.get_by_test_id("answer")).to_have_text(re.compile("correct"))


def total(page: Page, answers: int) -> None:
    """Wait until the Statistics page counts that many answers."""
    page.wait_for_function(
        """(wanted) => ["correct", "incorrect"]
             .map((name) => document.querySelector(`[data-testid="${name}-answers"]`))
             .reduce((sum, each) => sum + Number(each.textContent.match(/\\d+/)[0]), 0) === wanted""",
        arg=answers,
    )


def live(page: Page, url: str) -> Page:
    """Open a Statistics page that is connected to the hub."""
    with page.expect_websocket() as connecting:
        page.goto(f"{url}/statistics")
    connecting.value.wait_for_event("framereceived", lambda frame: True)
    return page


def again() -> None:
    """Play exercise 1's path again and again, on pages that stay open."""
    folder = EXERCISES / "ex1-realtime" / "end"
    with ExitStack() as whole, tempfile.TemporaryDirectory() as data:
        app = whole.enter_context(ExitStack())
        url = start(app, folder, data, None)
        playwright = whole.enter_context(sync_playwright())
        browser = playwright.chromium.launch(**launch_options())
        whole.callback(browser.close)
        context = browser.new_context()
        play = context.new_page()
        register(play, url)
        statistics = live(context.new_page(), url)
        print("ready", flush=True)
        for answers, line in enumerate(sys.stdin, start=1):
            if line.strip() == "python":
                app.close()
                start(app, folder, data, None, url.rpartition(":")[2])
            play.goto(url)
            live(statistics, url)
            answer(play)
            total(statistics, answers)
            print("done", flush=True)


def main() -> None:
    name = sys.argv[1]
    if sys.argv[2:] == ["--again"]:
        again()
        return
    instances = {"ex1-realtime": 1, "ex2-scaleout": 2}[name]
    with ExitStack() as stack:
        data = stack.enter_context(tempfile.TemporaryDirectory())
        server = None
        if instances == 2:
            postgres = stack.enter_context(temporary_server())
            postgres.create_database("signalr")
            server = postgres.url
        urls = [start(stack, EXERCISES / name / "end", data, server) for _ in range(instances)]
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(**launch_options())
        stack.callback(browser.close)
        context = browser.new_context()
        play = context.new_page()
        register(play, urls[0])
        if instances == 1:
            answer(play)
            statistics = live(context.new_page(), urls[0])
            total(statistics, 1)
            play.bring_to_front()
            play.get_by_role("button", name="Next question").click()
            answer(play)
            total(statistics, 2)
        else:
            left, right = live(context.new_page(), urls[0]), live(context.new_page(), urls[1])
            answer(play)
            total(right, 1)
            play.goto(urls[1])
            answer(play)
            total(left, 2)


if __name__ == "__main__":
    main()
