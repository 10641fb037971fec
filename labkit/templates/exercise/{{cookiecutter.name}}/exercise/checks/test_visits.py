"""What is true once each task is done; a check's docstring is the line that the trainee reads."""

import re

import pytest
from playwright.sync_api import Page, expect


@pytest.mark.task(1)
def test_the_page_greets(page: Page) -> None:
    """The app's page opens and shows its heading."""
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_be_visible()


@pytest.mark.task(2)
@pytest.mark.snippets("show-visits")
def test_the_page_shows_its_visits(page: Page) -> None:
    """The page says how often it was opened."""
    page.goto("/")
    expect(page.get_by_test_id("visits")).to_have_text(re.compile(r"Visits: \d+"))


@pytest.mark.task(2)
@pytest.mark.snippets("count-visits", "show-visits")
def test_a_visit_is_counted(page: Page) -> None:
    """Opening the page once more counts one more visit."""
    page.goto("/")
    before = int(page.get_by_test_id("visits").inner_text().removeprefix("Visits: "))
    page.reload()
    expect(page.get_by_test_id("visits")).to_have_text(f"Visits: {before + 1}")
