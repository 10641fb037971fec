"""What is true once each task is done; a check's docstring is the line that the trainee reads."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from labkit.checking import RunningInstance

A_NUMBER = re.compile(r"Visits: \d+")


@pytest.fixture
def page(instances: tuple[RunningInstance, ...], new_browser_context: Callable[..., BrowserContext]) -> Page:
    """The page of the first running instance, just opened."""
    page = new_browser_context(base_url=instances[0].url).new_page()
    page.goto("/")
    return page


@pytest.mark.task(1)
def test_the_page_greets(page: Page) -> None:
    """The app's page opens and shows its heading."""
    expect(page.get_by_role("heading", level=1)).to_be_visible()


@pytest.mark.task(2)
@pytest.mark.snippets("show-visits")
def test_the_page_shows_its_visits(page: Page) -> None:
    """The page says how often it was opened."""
    expect(page.get_by_test_id("visits")).to_have_text(A_NUMBER)


@pytest.mark.task(2)
@pytest.mark.snippets("count-visits", "show-visits")
def test_a_visit_is_counted(page: Page) -> None:
    """Opening the page once more counts one more visit."""
    visits = page.get_by_test_id("visits")
    expect(visits).to_have_text(A_NUMBER)
    before = int(visits.inner_text().removeprefix("Visits: "))
    page.reload()
    expect(visits).to_have_text(f"Visits: {before + 1}")
