"""Every view of the guide is one that everybody can use: axe-core finds nothing serious, nothing is cut off."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal, Protocol

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

Labkit = Callable[..., Awaitable[str]]


class RunningGuide(Protocol):
    folder: Path
    address: str


async def findings(page: Page) -> list[str]:
    """What axe-core finds that is serious or critical."""
    result = await Axe().run(page)
    return [
        f"{each['id']}: {node['html']} {node['failureSummary']}"
        for each in result.response["violations"]
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


async def look_at(page: Page, drawer: str) -> None:
    """Bring the contents or the work into sight, where they are drawers."""
    button = page.locator(f"#show-{drawer}")
    if await button.is_visible() and await button.get_attribute("aria-expanded") == "false":
        await button.click()


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 1280), ("dark", 390)])
async def test_axe_finds_nothing_serious(
    browser: Browser, guide: RunningGuide, labkit: Labkit, scheme: Literal["light", "dark"], width: int
) -> None:
    page = await (await browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})).new_page()
    await page.goto(guide.address)
    await expect(page.locator("#connection")).to_have_text("Live")
    found = {"before the start": await findings(page)}
    await labkit("start", "ex1")
    await look_at(page, "bench")
    await expect(page.locator("#workspace .path")).to_be_visible()
    await page.locator("#app button", has_text="Run").click()
    await expect(page.locator("[data-app]")).to_have_text("Running, healthy.")
    await page.locator("#checks button", has_text="Verify all").click()
    await expect(page.locator(".checks > li.failed")).not_to_have_count(0)
    await expect(page.locator("#checks [role=status]")).to_have_count(0)
    await page.locator("#log-part summary").click()
    found["at work"] = await findings(page)
    await page.locator(".checks > li.failed .shots button").first.click()
    await expect(page.locator("dialog[open] img")).to_be_visible()
    found["a picture, enlarged"] = await findings(page)
    await page.locator("dialog[open] button", has_text="Close").click()
    watch, stop = (page.locator("#checks button", has_text=text) for text in ("Watch saves", "Stop watching"))
    await watch.click()
    await expect(stop).to_be_visible()
    found["watching"] = await findings(page)
    await stop.click()
    await expect(watch).to_be_visible()
    buttons = page.locator("#tasks button")
    for at in range(await buttons.count()):
        await look_at(page, "contents")
        await buttons.nth(at).click()
        await expect(buttons.nth(at)).to_have_attribute("aria-current", "page")
        for hint in await page.locator("main .hints button").all():
            await hint.click()
        found[await buttons.nth(at).inner_text()] = await findings(page)
    await labkit("snippet", "insert", "show-visits", cwd=guide.folder / "ex1-first-steps")
    await look_at(page, "bench")
    await expect(page.locator("#workspace button", has_text="Undo")).to_be_visible()
    for button in ("Compare", "Reset"):
        await page.locator("#workspace button", has_text=button).click()
        await expect(page.locator("dialog[open]")).to_be_visible()
        found[button] = await findings(page)
        await page.locator("dialog[open] button", has_text="Close").click()
    await page.locator("#search").fill("visits")
    await expect(page.locator("#found li").first).to_be_visible()
    found["searching"] = await findings(page)
    assert found == {view: [] for view in found}


@pytest.mark.slow
@pytest.mark.parametrize(("width", "height"), [(390, 844), (640, 450)])  # a phone; 1280 wide at 200 %
async def test_nothing_is_cut_off_on_a_narrow_page(
    browser: Browser, guide: RunningGuide, labkit: Labkit, width: int, height: int
) -> None:
    await labkit("start", "ex1")
    page = await (await browser.new_context(viewport={"width": width, "height": height})).new_page()
    await page.goto(guide.address)
    await expect(page.locator("#connection")).to_have_text("Live")
    buttons = page.locator("#tasks button")
    for at in range(await buttons.count()):
        await look_at(page, "contents")
        await buttons.nth(at).click()
        await expect(buttons.nth(at)).to_have_attribute("aria-current", "page")
        await expect(buttons.nth(at)).to_be_hidden()  # the text is in sight again
        assert await page.evaluate("document.documentElement.scrollWidth") == width
