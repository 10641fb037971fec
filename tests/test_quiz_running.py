"""The quiz as its users meet it: served by real processes, in a real browser, on a laptop and on a phone."""

import asyncio
import importlib.metadata
import json
import os
import re
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Self
from uuid import uuid4

import httpx
import pytest
from playwright.async_api import Browser, Page, WebSocketRoute, expect
from websockets.asyncio.client import ClientConnection, connect

from labkit.services.postgres.server import Server

EXERCISES = Path(__file__).parent.parent / "exercises"
FOLDERS = ["ex1-realtime/begin", "ex1-realtime/end", "ex2-scaleout/begin", "ex2-scaleout/end"]
BEGIN = EXERCISES / "ex1-realtime" / "begin"
PASSWORD = "correct horse"


def start(
    arguments: list[str], database: Path, folder: Path = BEGIN, server: str = "postgresql://127.0.0.1:9"
) -> subprocess.Popen[str]:
    environment = os.environ | {
        "DATABASE_SERVER": server,
        "DATABASE_URL": f"sqlite+aiosqlite:///{database.as_posix()}",
        "GEEKQUIZ_SECRET": "a secret",
    }
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )


@contextmanager
def serving(
    database: Path, folder: Path = BEGIN, count: int = 1, server: str = "postgresql://127.0.0.1:9"
) -> Iterator[list[str]]:
    """The URLs of instances that share a database; all are started before the first is waited for."""
    command = ["-m", "uvicorn", "geekquiz.main:app", "--port", "0", "--no-access-log"]
    with ExitStack() as stack:
        instances = [stack.enter_context(start(command, database, folder, server)) for _ in range(count)]
        for instance in instances:
            stack.callback(instance.terminate)
        yield [url_of(instance) for instance in instances]


def url_of(instance: subprocess.Popen[str]) -> str:
    log = ""
    for line in instance.stdout or ():
        log += line
        if match := re.search(r"running on (http://\S+)", line):
            return match[1]
    raise AssertionError(f"The quiz did not start:\n{log}")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A quiz that several tests share, each with a user of its own."""
    with serving(tmp_path_factory.mktemp("shared") / "quiz.db") as (url,):
        yield url


async def register(page: Page, url: str, name: str = "") -> None:
    await page.goto(f"{url}/account/register")
    await page.get_by_label("User name").fill(name or f"Ada {uuid4().hex[:8]}")
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_label("Confirm password").fill(PASSWORD)
    await page.get_by_role("button", name="Register").click()
    await expect(page.get_by_test_id("option")).to_have_count(4)


async def test_the_whole_quiz_can_be_played_with_the_keyboard(chromium: Browser, url: str) -> None:
    page = await chromium.new_page()
    await page.goto(url)

    await page.get_by_role("link", name="Register").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Register")).to_be_visible()
    for text in ("Ada", "Tab", PASSWORD, "Tab", PASSWORD, "Enter"):  # the first field has the focus
        await (page.keyboard.press(text) if text in ("Tab", "Enter") else page.keyboard.type(text))
    question = page.get_by_test_id("question")
    await expect(page.get_by_test_id("option")).to_have_count(4)
    first = await question.text_content()

    await page.get_by_test_id("option").first.focus()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Space")
    answer = page.get_by_test_id("answer")
    await expect(answer).to_have_text("correct")  # it was Ada Lovelace
    await expect(answer).to_be_focused()

    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Next question")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(question).not_to_have_text(first or "")
    await expect(question).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(page.get_by_test_id("option").first).to_be_focused()


@pytest.mark.slow
async def test_only_the_side_of_the_card_that_is_seen_can_be_read(chromium: Browser, url: str) -> None:
    page = await chromium.new_page(reduced_motion="reduce")
    await register(page, url)
    options, following = page.get_by_role("button", name="Babbage"), page.get_by_role("button", name="Next question")

    await expect(options).to_have_count(1)
    await expect(following).to_have_count(0)
    await options.click()
    await expect(page.get_by_test_id("answer")).to_have_text("incorrect")

    await expect(options).to_have_count(0)
    await expect(following).to_have_count(1)


@pytest.mark.slow
async def test_a_question_that_cannot_be_loaded_says_so_and_can_be_tried_again(chromium: Browser, url: str) -> None:
    page = await chromium.new_page()
    await register(page, url)
    await page.route("**/api/trivia", lambda route: route.fulfill(status=500))

    await page.reload()
    await expect(page.get_by_role("alert")).to_have_text("Sorry, something went wrong.")
    await page.unroute("**/api/trivia")
    await page.get_by_role("button", name="Try again").click()

    await expect(page.get_by_test_id("option")).to_have_count(4)
    await expect(page.get_by_role("alert")).to_be_empty()


@pytest.mark.slow
async def test_before_exercise_1_statistics_wait_for_a_refresh(chromium: Browser, tmp_path: Path) -> None:
    with serving(tmp_path / "quiz.db") as (url,):
        await see_numbers_charts_and_words_after_a_refresh(chromium, url)


async def see_numbers_charts_and_words_after_a_refresh(chromium: Browser, url: str) -> None:
    # A page of the same context would be a tab in the background, which Chromium slows down.
    play = await chromium.new_page(reduced_motion="reduce")
    await register(play, url)
    state = await play.context.storage_state()
    statistics = await chromium.new_page(reduced_motion="reduce", storage_state=state)
    mishaps: list[str] = []
    for page in (play, statistics):
        page.on("pageerror", lambda error: mishaps.append(str(error)))
        page.on("console", lambda message: mishaps.append(message.text) if message.type == "error" else None)
    await statistics.goto(f"{url}/statistics")
    await expect(statistics.get_by_test_id("no-results")).to_have_text("No results yet.")
    await expect(statistics.get_by_test_id("correct-answers")).to_be_hidden()

    for option in ("Ada Lovelace", "Z1", "Los Alamos"):
        await play.get_by_role("button", name=option).click()
        await play.get_by_role("button", name="Next question").click()
    await expect(play.get_by_test_id("question")).to_contain_text("memex")
    await expect(statistics.get_by_test_id("no-results")).to_be_visible()
    await statistics.reload()

    await expect(statistics.get_by_test_id("no-results")).to_be_hidden()
    await expect(statistics.get_by_test_id("correct-answers")).to_have_text("Correct answers: 1")
    await expect(statistics.get_by_test_id("incorrect-answers")).to_have_text("Incorrect answers: 2")
    await expect(statistics.get_by_role("img", name="Correct vs Incorrect: Correct 1, Incorrect 2")).to_be_visible()
    await expect(
        statistics.get_by_role("img", name="Average per user: Correct 1, Incorrect 2, Total 3")
    ).to_be_visible()
    data = "id => Chart.getChart(id).data.datasets[0].data"
    assert await statistics.evaluate(data, "answers-chart") == [1, 2]
    assert await statistics.evaluate(data, "average-chart") == [1, 2, 3]
    assert mishaps == []


@pytest.mark.slow
async def test_a_phone_needs_no_sideways_scrolling(chromium: Browser, url: str) -> None:
    page = await chromium.new_page(viewport={"width": 320, "height": 640}, reduced_motion="reduce")
    wide = "document.documentElement.scrollWidth - window.innerWidth"
    too_wide = {}
    for path in ("/account/login", "/account/register"):
        await page.goto(url + path)
        too_wide[path] = await page.evaluate(wide)
    await register(page, url, name="A_very_long_name_without_a_single_space")
    too_wide["question"] = await page.evaluate(wide)
    await page.get_by_test_id("option").first.click()
    await expect(page.get_by_test_id("answer")).to_be_visible()
    too_wide["answer"] = await page.evaluate(wide)
    await page.goto(f"{url}/statistics")
    await expect(page.get_by_test_id("correct-answers")).to_be_visible()
    too_wide["statistics"] = await page.evaluate(wide)

    assert too_wide == dict.fromkeys(too_wide, 0)


class Dashboard:
    """A Statistics page that is never reloaded, and the news that its hub connection brings."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.totals: list[int] = []
        page.on("websocket", lambda socket: socket.on("framereceived", self._note))

    def _note(self, frame: str | bytes) -> None:
        for message in filter(None, str(frame).split("\x1e")):
            if (content := json.loads(message)).get("target") == "updateStatistics":
                self.totals.append(content["arguments"][0]["totalAnswers"])

    async def open(self, url: str) -> Self:
        await self.page.goto(f"{url}/statistics")
        await expect(self.page.get_by_text("Live", exact=True)).to_be_visible()
        await self.page.evaluate("window.sameAsBefore = true")
        return self

    async def expect_total(self, total: int) -> None:
        await expect(self.page.get_by_role("img", name=f"Total {total}")).to_be_visible()
        assert await self.page.evaluate("window.sameAsBefore")


async def open_side_by_side(chromium: Browser, urls: list[str]) -> tuple[list[Page], list[Dashboard]]:
    """A Play and a Statistics page of each instance, all of the same user."""
    first = await chromium.new_page(reduced_motion="reduce")
    await register(first, urls[0])
    state = await first.context.storage_state()
    plays, dashboards = [first], []
    for url in urls[1:]:
        plays.append(await chromium.new_page(reduced_motion="reduce", storage_state=state))
        await plays[-1].goto(url)
    for url in urls:
        page = await chromium.new_page(reduced_motion="reduce", storage_state=state)
        dashboards.append(await Dashboard(page).open(url))
    return plays, dashboards


async def answer(play: Page) -> None:
    await play.get_by_test_id("option").first.click()
    await expect(play.get_by_test_id("answer")).to_be_visible()


@pytest.mark.slow
async def test_after_exercise_1_the_statistics_follow_by_themselves(chromium: Browser, tmp_path: Path) -> None:
    with serving(tmp_path / "quiz.db", EXERCISES / "ex1-realtime" / "end") as urls:
        (play,), (dashboard,) = await open_side_by_side(chromium, urls)
        await expect(dashboard.page.get_by_test_id("no-results")).to_be_visible()

        await answer(play)

        await dashboard.expect_total(1)
        await expect(dashboard.page.get_by_test_id("no-results")).to_be_hidden()
        await expect(dashboard.page.get_by_test_id("incorrect-answers")).to_have_text("Incorrect answers: 1")


@pytest.mark.slow
async def test_statistics_that_are_overtaken_on_their_way_are_passed_over(chromium: Browser, tmp_path: Path) -> None:
    held: list[str | bytes] = []

    def between(page: WebSocketRoute) -> None:
        def from_server(message: str | bytes) -> None:
            if "updateStatistics" in str(message):
                held.append(message)
                if len(held) == 3:
                    for each in reversed(held):
                        page.send(each)
            else:
                page.send(message)

        page.connect_to_server().on_message(from_server)

    with serving(tmp_path / "quiz.db", EXERCISES / "ex1-realtime" / "end") as (url,):
        play = await chromium.new_page()
        await register(play, url)
        page = await chromium.new_page(storage_state=await play.context.storage_state())
        await page.route_web_socket("**/signalr/statistics*", between)
        await page.goto(f"{url}/statistics")
        await expect(page.get_by_text("Live", exact=True)).to_be_visible()
        await page.evaluate(
            "window.shown = 0; new MutationObserver(() => shown++)"
            ".observe(document.getElementById('incorrect'), { childList: true })"
        )
        for _ in range(3):
            await play.get_by_test_id("option").first.click()
            await play.get_by_role("button", name="Next question").click()

        await expect(page.get_by_role("img", name="Total 3")).to_be_visible()
        numbers = [json.loads(str(each).rstrip("\x1e"))["arguments"][0]["totalAnswers"] for each in held]
        assert numbers == [1, 2, 3]
        assert await page.evaluate("shown") == 1


@pytest.mark.slow
async def test_before_exercise_2_an_instance_reaches_its_own_pages_only(chromium: Browser, tmp_path: Path) -> None:
    with serving(tmp_path / "quiz.db", EXERCISES / "ex2-scaleout" / "begin", count=2) as urls:
        plays, dashboards = await open_side_by_side(chromium, urls)

        await answer(plays[0])
        await dashboards[0].expect_total(1)
        await answer(plays[1])
        await dashboards[1].expect_total(2)

        assert [each.totals for each in dashboards] == [[1], [2]]


@pytest.mark.slow
async def test_after_exercise_2_an_answer_reaches_the_pages_of_both_instances(
    chromium: Browser, tmp_path: Path, postgres_server: Server
) -> None:
    if "signalr" not in postgres_server.databases():
        postgres_server.create_database("signalr")
    end = EXERCISES / "ex2-scaleout" / "end"
    with serving(tmp_path / "quiz.db", end, count=2, server=postgres_server.url) as urls:
        plays, dashboards = await open_side_by_side(chromium, urls)

        for total, play in enumerate(plays, start=1):
            await answer(play)
            for dashboard in dashboards:
                await dashboard.expect_total(total)

        assert [each.totals for each in dashboards] == [[1, 2], [1, 2]]
        assert len(postgres_server.query("signalr", "SELECT * FROM signalr.messages_0")) >= 2


@pytest.mark.slow
def test_instances_that_start_at_the_same_moment_make_one_set_of_questions(tmp_path: Path) -> None:
    code = "import asyncio; from geekquiz import database; print('ready', flush=True); input(); "
    code += "asyncio.run(database.prepare())"
    with ExitStack() as stack:
        instances = [stack.enter_context(start(["-c", code], tmp_path / "quiz.db")) for _ in range(3)]
        assert [instance.stdout.readline() for instance in instances if instance.stdout] == ["ready\n"] * 3
        for instance in instances:
            assert instance.stdin
            instance.stdin.write("\n")
            instance.stdin.flush()
        assert [instance.communicate()[0] for instance in instances] == [""] * 3

    with sqlite3.connect(tmp_path / "quiz.db") as connection:
        ((questions, titles),) = connection.execute("SELECT count(*), count(DISTINCT title) FROM questions")
        ((journal,),) = connection.execute("PRAGMA journal_mode")
    assert questions == titles >= 24
    assert journal == "wal"


@pytest.mark.slow
async def test_two_instances_share_users_sessions_and_answers(tmp_path: Path) -> None:
    with serving(tmp_path / "quiz.db", count=2) as urls:
        async with AsyncExitStack() as stack:
            left, right = [await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=30)) for url in urls]
            form = {"name": "Ada", "password": PASSWORD, "confirm": PASSWORD}
            assert (await left.post("/account/register", data=form)).status_code == 303
            right.cookies.update(left.cookies)  # as a browser does, for which both are 127.0.0.1

            await asyncio.gather(*(client.get("/api/trivia") for client in (left, right) * 40))
            answers = await asyncio.gather(
                *(client.post("/api/trivia", json={"questionId": 1, "optionId": 2}) for client in (left, right) * 40)
            )

            assert [answer.text for answer in answers] == ["true"] * 80
            for client in (left, right):
                assert '<strong id="correct">80</strong>' in (await client.get("/statistics")).text


@pytest.mark.slow
async def test_logging_off_ends_the_open_connections_to_every_instance(tmp_path: Path) -> None:
    with serving(tmp_path / "quiz.db", EXERCISES / "ex2-scaleout" / "begin", count=2) as urls:
        async with AsyncExitStack() as stack:
            ada = await stack.enter_async_context(httpx.AsyncClient(base_url=urls[0], timeout=30))
            bob = await stack.enter_async_context(httpx.AsyncClient(base_url=urls[1], timeout=30))
            for client, name in ((ada, "Ada"), (bob, "Bob")):
                form = {"name": name, "password": PASSWORD, "confirm": PASSWORD}
                assert (await client.post("/account/register", data=form)).status_code == 303
            left, right, other = [
                await stack.enter_async_context(hub_connection(url, client))
                for url, client in ((urls[0], ada), (urls[1], ada), (urls[1], bob))
            ]

            assert (await ada.post("/account/logoff")).status_code == 303

            for connection in (left, right):
                assert [message async for message in connection] == ['{"type":7,"allowReconnect":true}\x1e']
                assert connection.close_code == 1000
            await (await other.ping())
            assert other.close_code is None


@asynccontextmanager
async def hub_connection(url: str, client: httpx.AsyncClient) -> AsyncIterator[ClientConnection]:
    """A connection to the hub of the Statistics page, as the user whom the client has logged in."""
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    address = f"{url.replace('http', 'ws', 1)}/signalr/statistics"
    async with connect(address, additional_headers={"Cookie": cookies}) as connection:
        await connection.send('{"protocol":"json","version":1}\x1e')
        assert await connection.recv() == "{}\x1e"
        yield connection


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_pinned_versions_are_the_ones_tested_here(folder: str) -> None:
    project = tomllib.loads((EXERCISES / folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = dict(re.sub(r"\[.*\]", "", line).split("==") for line in project["dependencies"])

    assert pinned == {name: importlib.metadata.version(name) for name in pinned}


def test_before_exercise_1_nothing_knows_signalr() -> None:
    texts = [path.read_text(encoding="utf-8") for path in BEGIN.glob("geekquiz/**/*.py")]

    assert not any("asgi_signalr" in text for text in texts)
