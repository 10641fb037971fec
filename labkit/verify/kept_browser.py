"""The browser of a checking process: a pytest plugin that launches it once, for all jobs of the process."""

import contextlib
import functools
from typing import TYPE_CHECKING, Any

import pytest

from labkit.errors import MachineError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

_playwright: "Playwright | None" = None
_browser: "Browser | None" = None


@pytest.fixture(scope="session")
def playwright() -> "Playwright":
    """Playwright's driver, which runs as long as the process."""
    global _playwright
    _playwright = _playwright or start()
    return _playwright


def start() -> "Playwright":
    """A driver that runs from now on.

    Raises MachineError if it does not, whatever keeps it from that: a file that is damaged, or security software.
    """
    from playwright.sync_api import sync_playwright

    try:
        return sync_playwright().start()
    except Exception as error:
        raise MachineError(f"Playwright's driver does not run: {error}", "labkit doctor") from error


@pytest.fixture(scope="session")
def browser(playwright: "Playwright", browser_name: str, browser_type_launch_args: dict[str, Any]) -> "Browser":
    """The browser, launched anew only if it has ended; no context of an earlier job is open any more."""
    global _browser
    if _browser is None or not _browser.is_connected():
        _browser = getattr(playwright, browser_name).launch(**browser_type_launch_args)
    for context in _browser.contexts:
        context.close()
    return _browser


def forbidden() -> str | None:
    """What a policy of the machine keeps the browser from; each browser is looked at once, and only if it runs."""
    return _look(_browser) if _browser is not None and _browser.is_connected() else None


@functools.cache
def _look(browser: "Browser") -> str | None:
    from playwright.sync_api import Error

    from labkit import probing

    try:
        return probing.look(browser)
    except Error:  # that the look failed says nothing
        return None


def tidy() -> None:
    """Close what a job has left open: its pages would go on, and look for an app that is gone, until the next job."""
    from playwright.sync_api import Error

    if _browser is not None and _browser.is_connected():
        with contextlib.suppress(Error):  # it ends at this moment: the next job launches another one
            for context in _browser.contexts:
                context.close()


def close() -> None:
    """End the browser and its driver."""
    if _browser is not None and _browser.is_connected():
        _browser.close()
    if _playwright is not None:
        _playwright.stop()
