"""The guide's page as it is read: with the keyboard alone, by searching, copied from, on paper."""

from pathlib import Path
from typing import Protocol

import pytest
from playwright.async_api import Page, expect

pytestmark = pytest.mark.slow


class RunningGuide(Protocol):
    folder: Path
    address: str


async def tab_to(page: Page, name: str) -> None:
    """Press Tab until the element with this text, or label, has the focus."""
    said = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await page.evaluate(said) == name:
            return
    pytest.fail(f"Tab does not reach {name}")


async def test_the_keyboard_is_enough(page: Page, guide: RunningGuide) -> None:
    await expect(page.locator(".turn button")).to_be_visible()  # the text is there
    await tab_to(page, "Skip to the text")
    await page.keyboard.press("Enter")
    await page.keyboard.press("n")
    heading = page.locator("main h2").first
    await expect(heading).to_contain_text("Exploring the app")
    await expect(page.locator("main")).to_be_focused()
    await tab_to(page, "Start")
    await page.keyboard.press("Enter")
    await expect(page.locator("#workspace .path")).to_have_text("ex1-first-steps")
    await page.keyboard.press("n")
    await expect(heading).to_contain_text("Counting the visits")
    await tab_to(page, "Insert")
    await page.keyboard.press("Enter")
    await expect(page.locator("dialog[open]")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("dialog[open]")).to_have_count(0)
    await expect(page.locator("main li.done")).to_have_count(1)
    await page.keyboard.press("p")
    await expect(heading).to_contain_text("Exploring the app")


async def test_a_search_leads_to_the_step(page: Page) -> None:
    await expect(page.locator(".turn button")).to_be_visible()
    await page.keyboard.press("/")
    await page.keyboard.type("show-visits")
    await expect(page.locator("#found mark").first).to_have_text("show-visits")
    passage = await page.locator("#found .excerpt").first.inner_text()
    await page.keyboard.press("Enter")
    await expect(page.locator("main h2").first).to_contain_text("Counting the visits")
    step = page.locator('main li[data-step="ex1.2.1"]')
    await expect(step).to_be_in_viewport()
    shown = passage.strip("… ").split()
    assert {shown[0], shown[-1]} <= set((await step.inner_text()).split()), passage
    await page.locator("#search").fill("no such word")
    await expect(page.locator("#found")).to_have_text("Nothing found.")
    await page.locator("#search").press("Escape")
    await expect(page.locator("#tasks")).to_be_visible()


async def test_what_is_copied_is_what_is_typed(page: Page, guide: RunningGuide) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.locator("#tasks button", has_text="Counting the visits").click()
    step = page.locator('main li[data-step="ex1.2.2"]')
    await step.locator(".command .copy").first.click()
    assert await page.evaluate("navigator.clipboard.readText()") == "labkit snippet insert count-visits"
    await step.locator(".code .copy").first.click()
    await expect(step.locator(".code .copy").first).to_have_text("Copied")
    (snippet,) = (guide.folder.parent / "party" / "snippets").glob("*/count-visits.py")
    lines = (await page.evaluate("navigator.clipboard.readText()")).splitlines()
    assert [line.strip() for line in lines] == snippet.read_text().splitlines()


async def test_on_paper_is_the_text_and_nothing_to_press(page: Page) -> None:
    await page.locator("#tasks button", has_text="Counting the visits").click()
    await expect(page.locator("main h2").first).to_contain_text("Counting the visits")
    await page.emulate_media(media="print")
    await expect(page.locator("main h2").first).to_be_visible()
    await expect(page.locator("main .command code").first).to_be_visible()
    for pressed in ("button", "#contents", "#bench", "#search"):
        await expect(page.locator(pressed).filter(visible=True)).to_have_count(0)


async def test_another_tab_begins_where_one_was(page: Page, guide: RunningGuide) -> None:
    await expect(page.locator("#left-over")).to_have_text("about 15 of 15 minutes left")
    await page.locator("#tasks button", has_text="Counting the visits").click()
    await expect(page.locator("main .code span[class]").first).to_be_visible()  # the code has its colours
    other = await page.context.new_page()
    await other.goto(guide.address)
    await expect(other.locator("main h2").first).to_contain_text("Counting the visits")
