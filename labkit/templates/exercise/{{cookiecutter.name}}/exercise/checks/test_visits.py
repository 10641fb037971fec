"""What is true once each task is done; a check's docstring is the line that the trainee reads."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from labkit.checking import NotDone, RunningInstance


@pytest.fixture
def page(instances: tuple[RunningInstance, ...], new_browser_context: Callable[..., BrowserContext]) -> Page:
    """The page of the first running instance, just opened."""
    page = new_browser_context(base_url=instances[0].url).new_page()
    page.goto("/")
    return page


def visits(page: Page) -> int | None:
    """The number of visits that the page shows, if it shows any."""
    shown = re.search(r"Visits: (\d+)", page.locator("body").inner_text())
    return int(shown[1]) if shown else None


@pytest.mark.task(1)
def test_the_page_greets(page: Page) -> None:
    """The app's page opens and shows its heading."""
    expect(page.get_by_role("heading", level=1)).to_be_visible()


@pytest.mark.task(2)
@pytest.mark.snippets("show-visits")
def test_the_page_shows_its_visits(page: Page) -> None:
    """The page says how often it was opened."""
    if visits(page) is None:
        raise NotDone(
            expected="a line “Visits: …” on the page",
            seen=f"“{page.locator('body').inner_text()}”",
            where=page.url,
            cause="the page does not show how often it was opened",
        )


@pytest.mark.task(2)
@pytest.mark.snippets("count-visits", "show-visits")
def test_a_visit_is_counted(page: Page) -> None:
    """Opening the page once more counts one more visit."""
    before = visits(page)
    page.reload()
    now = visits(page)
    if before is None or now != before + 1:
        raise NotDone(
            expected="one visit more when the page is opened again",
            seen=f"{before} visits, then {now}" if before is not None else "no number of visits",
            where=page.url,
            cause="the app does not count each visit once",
        )
