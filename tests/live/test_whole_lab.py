"""The whole lab, as a person does it: from an empty folder to both exercises verified, on the page alone."""

import asyncio
import os
import secrets
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

import pytest
from playwright.async_api import Browser, Page, expect

from labkit.lab import Exercise, find_lab

pytestmark = pytest.mark.timeout(900)  # a minute each, and more on a loaded machine
LAB = find_lab()


class RunningGuide(Protocol):
    folder: Path
    address: str

    async def start(self) -> object: ...

    async def stop(self) -> None: ...


@pytest.fixture
def party() -> Path:
    """This lab itself, in place of one that was just made."""
    return LAB.folder


async def labkit(*arguments: str, cwd: Path) -> None:
    """Type a command in another window."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "labkit", *arguments),
        cwd=cwd,
        env={**os.environ, "LABKIT_LAB": str(LAB.folder)},
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == 0, arguments


@pytest.fixture
async def stopped_database(guide: RunningGuide) -> AsyncIterator[None]:
    """The lab's database server of the test's own home is stopped in the end."""
    yield
    await labkit("db", "stop", cwd=guide.folder)


async def choose(page: Page, exercise: Exercise) -> None:
    await page.locator("#exercises button", has_text=exercise.id).click()
    await expect(page.locator(f'#exercises button[aria-current="true"]:text-is("{exercise.id}")')).to_be_visible()


async def go_on(page: Page, exercise: Exercise) -> None:
    """Go from the summary to the next exercise, by the button below it."""
    await open_task(page, "Summary")
    await page.locator(".turn button", has_text=exercise.title).click()
    await expect(page.locator('#exercises button[aria-current="true"]')).to_have_text(exercise.id)
    await expect(page.locator("main h1").first).to_contain_text(exercise.title)


async def open_task(page: Page, title: str) -> None:
    await page.locator("#tasks button", has_text=title).click()
    await expect(page.locator("main h2").first).to_contain_text(title)


async def answer(browser: Browser, url: str) -> None:
    """Answer a question in the app, as somebody who is new to it."""
    play = await browser.new_page()
    await play.goto(f"{url}/account/register")
    await play.get_by_label("User name").fill(f"ada-{secrets.token_hex(4)}")
    await play.get_by_label("Password", exact=True).fill("a long pass phrase")
    await play.get_by_label("Confirm password").fill("a long pass phrase")
    await play.get_by_role("button", name="Register").click()
    await play.get_by_test_id("option").first.click()
    await expect(play.get_by_test_id("answer")).to_contain_text("correct")
    await play.close()


async def press_everything(page: Page, browser: Browser, exercise: Exercise) -> None:
    """Press every button of the chapter in its order, as the text says; of the checks the last ones, which are all."""
    for task in exercise.tasks:
        await open_task(page, task.title)
        buttons = page.locator("main .command[data-action] button.main, main kbd + button")
        for at in range(await buttons.count()):
            button = buttons.nth(at)
            command = await button.locator("..").get_attribute("data-command") or "Stop"
            if "--task" in command:
                continue
            await button.click()
            await expect(button).not_to_have_attribute("aria-busy", "true")
            said = page.locator("#said.wrong")
            assert await said.count() == 0 or await said.is_hidden(), f"{command}: {await said.inner_text()}"
            if await page.locator("dialog[open]").count():
                await page.locator("dialog[open] button", has_text="Close").click()
            if command.startswith("labkit run"):
                await answer(browser, await page.locator("#app a").first.get_attribute("href") or "")


@pytest.mark.slow
async def test_from_an_empty_folder_to_both_exercises_verified_on_the_page_alone(
    page: Page, browser: Browser, guide: RunningGuide, stopped_database: None
) -> None:
    expect.set_options(timeout=180_000)
    await choose(page, LAB.exercises[0])
    for exercise, following in zip(LAB.exercises, [*LAB.exercises[1:], None], strict=True):
        start = page.locator("#workspace button", has_text="Start")
        await start.click()
        await expect(page.locator("#workspace .path")).to_have_text(exercise.name)
        await press_everything(page, browser, exercise)
        await expect(page.locator("#left-over")).to_have_text("Done: well done!")
        if await page.locator("#app a").count():
            await page.locator("#app button", has_text="Stop").click()
        await expect(page.locator("[data-app]")).to_have_text("It does not run.")
        if following:
            await go_on(page, following)


@pytest.mark.by_hand
async def test_the_page_stays_while_the_database_server_is_started_anew(
    page: Page, browser: Browser, guide: RunningGuide, stopped_database: None
) -> None:
    exercise = LAB.exercises[1]
    await labkit("start", exercise.id, cwd=guide.folder)
    workspace = guide.folder / exercise.name
    await choose(page, exercise)
    await expect(page.locator("#workspace .path")).to_have_text(exercise.name)
    await labkit("solve", "--to", exercise.tasks[-1].id, cwd=workspace)  # which creates the database
    await page.locator("#app button", has_text="Run").click()
    await expect(page.locator("[data-app]")).to_have_text("Running, healthy.")
    await page.locator("#database button", has_text="Follow messages").click()
    await expect(page.locator("#database button", has_text="Stop following")).to_be_visible()

    await labkit("db", "stop", cwd=workspace)
    await labkit("db", "start", cwd=workspace)
    await expect(page.locator("[data-app]")).to_have_text("Running, healthy.")
    await expect(page.locator("#connection")).to_have_text("Live")

    urls = [await each.get_attribute("href") for each in await page.locator("#app a").all()]
    assert urls[0] is not None
    await answer(browser, urls[0])
    await expect(page.locator("#messages")).to_contain_text("updateStatistics")


@pytest.mark.slow
async def test_what_is_done_at_the_terminal_shows_on_the_page(
    page: Page, guide: RunningGuide, stopped_database: None
) -> None:
    expect.set_options(timeout=180_000)
    for exercise in LAB.exercises:
        await choose(page, exercise)
        await labkit("start", exercise.id, cwd=guide.folder)
        workspace = guide.folder / exercise.name
        if exercise.database:
            await labkit("db", "create", exercise.database.solution[0], cwd=workspace)
        for task in exercise.tasks:
            await open_task(page, task.title)
            for step in task.steps:
                for name in step.inserted:
                    await labkit("snippet", "insert", name, cwd=workspace)
                if step.inserted:
                    await expect(page.locator(f'main li.done[data-step="{step.id}"]')).to_be_visible()
        await labkit("verify", cwd=workspace)
        for task in exercise.tasks:
            await expect(page.locator("#tasks li", has_text=task.title).locator(".state")).to_have_text("✓")
