"""The peer of `labkit verify`: a plain Playwright script that plays an exercise's end once, and checks nothing else.

It starts the same instances, PostgreSQL included, one after the other as such scripts do. The same people do the same
as in the checks' scene: one answers in the browser, four others send requests, some of them at the same moment; three
Statistics pages follow, of which one is offline for 10 s by its clock.

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
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from labkit.browser import launch_options
from labkit.services.postgres.keeper import temporary_server

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


class Visitor:
    """One of those who play without a browser."""

    def __init__(self, name: str, url: str) -> None:
        self.http = httpx.Client(base_url=url)
        self.question: dict[str, Any] = {}
        form = {"name": name, "password": "a long pass phrase", "confirm": "a long pass phrase"}
        self.http.post("/account/register", data=form)

    def ask(self, url: str) -> "Visitor":
        self.question = self.http.get(f"{url}/api/trivia").raise_for_status().json()
        return self

    def answer(self, url: str, option: int = 0) -> None:
        chosen = {"questionId": self.question["id"], "optionId": self.question["options"][option]["id"]}
        self.http.post(f"{url}/api/trivia", json=chosen).raise_for_status()


class Group:
    """The four of them."""

    def __init__(self, url: str) -> None:
        self.pool = ThreadPoolExecutor(4)
        self.ben, *self.others = self.pool.map(lambda name: Visitor(name, url), ("ben", "cleo", "dan", "eve"))

    def all_answer(self, urls: list[str]) -> None:
        """The others answer at the same moment, now on one instance and now on the other."""
        places = [urls[number % len(urls)] for number in range(len(self.others))]
        list(self.pool.map(lambda each, url: each.ask(url), self.others, places))
        list(self.pool.map(lambda each, url, n: each.answer(url, n), self.others, places, range(len(self.others))))


def register(page: Page, url: str) -> None:
    page.goto(f"{url}/account/register")
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password", exact=True).fill("a long pass phrase")
    page.get_by_label("Confirm password").fill("a long pass phrase")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_test_id("option")).to_have_count(4)


def answer(page: Page) -> None:
    page.get_by_test_id("option").first.click()
    expect(page.get_by_test_id("answer")).to_have_text(re.compile("correct"))


def total(page: Page, answers: int) -> None:
    """Wait until the Statistics page counts that many answers."""
    page.wait_for_function(
        """(wanted) => ["correct", "incorrect"]
             .map((name) => document.querySelector(`[data-testid="${name}-answers"]`))
             .reduce((sum, each) => sum + Number(each.textContent.match(/\\d+/)[0]), 0) === wanted""",
        arg=answers,
        polling=50,
    )


def connect(page: Page, url: str) -> Page:
    """Open the Statistics page, and wait until it is connected to the hub."""
    with page.expect_websocket() as connecting:
        page.goto(f"{url}/statistics")
    connecting.value.wait_for_event("framereceived", lambda frame: True)
    return page


def live(browser: Browser, cookies: list[Any], url: str, has_own_clock: bool = False) -> tuple[BrowserContext, Page]:
    """A Statistics page, in a browser of its own, that is connected to the hub."""
    context = browser.new_context()
    context.add_cookies(cookies)
    page = context.new_page()
    if has_own_clock:
        page.clock.install()
    return context, connect(page, url)


def play_alone(browser: Browser, play: Page, url: str) -> None:
    """Exercise 1: one instance."""
    cookies: list[Any] = list(play.context.cookies())
    _, watched = live(browser, cookies, url)
    _, other = live(browser, cookies, url, has_own_clock=True)
    group = Group(url)
    answer(play)
    total(watched, 1)
    bens = [{"name": name, "value": value, "url": url} for name, value in group.ben.http.cookies.items()]
    context, late = live(browser, bens, url, has_own_clock=True)
    other.clock.fast_forward(14000)
    group.all_answer([url])
    total(watched, 4)
    group.ben.ask(url).answer(url)
    total(watched, 5)
    group.all_answer([url])
    total(watched, 8)
    total(late, 8)
    late.clock.pause_at(late.evaluate("() => Date.now()") / 1000 + 5)
    context.set_offline(True)
    late.clock.run_for(10000)
    play.get_by_role("button", name="Next question").click()
    answer(play)
    total(watched, 9)
    context.set_offline(False)
    group.ben.ask(url).answer(url)
    total(watched, 10)
    late.clock.run_for(5000)
    late.clock.resume()
    total(late, 10)
    total(other, 10)


def play_on_both(browser: Browser, play: Page, urls: list[str]) -> None:
    """Exercise 2: two instances, and a third one that no page is open on."""
    one, two, three = urls
    cookies: list[Any] = list(play.context.cookies())
    pages = [live(browser, cookies, one)[1], live(browser, cookies, two)[1]]
    pages.append(live(browser, cookies, two, has_own_clock=True)[1])
    group = Group(one)

    def follow(work: Callable[[], None], answers: int) -> None:
        work()
        for page in pages[:2]:
            total(page, answers)

    follow(lambda: answer(play), 1)
    pages[2].clock.fast_forward(14000)
    elsewhere = play.context.new_page()
    elsewhere.goto(two)
    expect(elsewhere.get_by_test_id("option")).to_have_count(4)
    follow(lambda: group.all_answer([one, two]), 4)
    follow(lambda: group.ben.ask(two).answer(two), 5)
    follow(lambda: group.all_answer([two, one]), 8)
    follow(lambda: answer(elsewhere), 9)
    follow(lambda: group.ben.ask(one).answer(one), 10)
    follow(lambda: group.ben.ask(three).answer(three), 11)
    total(pages[2], 11)


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
        statistics = connect(context.new_page(), url)
        print("ready", flush=True)
        for answers, line in enumerate(sys.stdin, start=1):
            if line.strip() == "python":
                statistics.goto("about:blank")  # it would connect again, and load itself, while it is visited
                app.close()
                start(app, folder, data, None, url.rpartition(":")[2])
            play.goto(url)
            connect(statistics, url)
            answer(play)
            total(statistics, answers)
            print("done", flush=True)


def main() -> None:
    name = sys.argv[1]
    if sys.argv[2:] == ["--again"]:
        again()
        return
    instances = {"ex1-realtime": 1, "ex2-scaleout": 3}[name]
    with ExitStack() as stack:
        data = stack.enter_context(tempfile.TemporaryDirectory())
        server = None
        if instances > 1:
            postgres = stack.enter_context(temporary_server())
            postgres.create_database("signalr")
            server = postgres.url
        urls = [start(stack, EXERCISES / name / "end", data, server) for _ in range(instances)]
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(**launch_options())
        stack.callback(browser.close)
        play = browser.new_context().new_page()
        register(play, urls[0])
        if instances == 1:
            play_alone(browser, play, urls[0])
        else:
            play_on_both(browser, play, urls)


if __name__ == "__main__":
    main()
