"""Takes the README's picture: `uv run python tools/screenshot.py`.

The end of exercise 1 runs, three people answer, and Play and Statistics are photographed as they stand side by side.
"""

import base64
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from labkit import browser, instances
from labkit.lab import find_lab

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "images" / "side-by-side.png"
SIZE = {"width": 620, "height": 660}


def main() -> None:
    """Run the quiz, play it, and write the picture."""
    exercise = find_lab(ROOT).exercises[0]
    with (
        tempfile.TemporaryDirectory() as data,
        instances.running(
            exercise.app, exercise.end, data=Path(data), secret="for one picture", id="picture", count=1
        ) as running,
        sync_playwright() as playwright,
    ):
        chromium = playwright.chromium.launch(**browser.launch_options())
        url = running.list[0].url
        for name, choices in (("grace", (0, 1, 2)), ("alan", (2, 3))):
            play = register(chromium, url, name)
            for choice in choices:
                answer(play, choice)
                play.get_by_role("button", name="Next question").click()
        play = register(chromium, url, "ada")
        statistics = open_beside(play, f"{url}/statistics")
        answer(play, 1)
        statistics.get_by_test_id("correct-answers").wait_for()
        statistics.wait_for_function(
            """() => [...document.querySelectorAll('[data-testid$="-answers"]')]
                .map(box => Number(box.textContent.match(/\\d+/))).reduce((a, b) => a + b, 0) === 6"""
        )
        compose(chromium, [shot(play), shot(statistics)])
    sys.stdout.write(f"{PICTURE.relative_to(ROOT)} written\n")


def register(chromium: Browser, url: str, name: str) -> Page:
    """Register in a browser window of one's own; Play opens."""
    page = chromium.new_context(viewport=SIZE, reduced_motion="reduce", device_scale_factor=1.5).new_page()
    page.goto(f"{url}/account/register")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password", exact=True).fill("correct horse")
    page.get_by_label("Confirm password").fill("correct horse")
    page.get_by_role("button", name="Register").click()
    page.get_by_test_id("question").wait_for()
    return page


def answer(page: Page, choice: int) -> None:
    """Click one of the four options."""
    page.get_by_test_id("option").nth(choice).click()
    page.get_by_test_id("answer").wait_for()


def open_beside(page: Page, url: str) -> Page:
    """Open a second window of the same person's, and wait until it is live."""
    other = page.context.browser.new_context(  # type: ignore[union-attr]
        viewport=SIZE, storage_state=page.context.storage_state(), reduced_motion="reduce", device_scale_factor=1.5
    ).new_page()
    other.goto(url)
    other.get_by_text("Live", exact=True).wait_for()
    return other


def shot(page: Page) -> str:
    """A screenshot as a data URL."""
    return "data:image/png;base64," + base64.b64encode(page.screenshot()).decode("ascii")


def compose(chromium: Browser, pictures: list[str]) -> None:
    """Put the pictures side by side."""
    page = chromium.new_context(viewport={"width": 1300, "height": 720}).new_page()
    images = "".join(f'<img width="620" src="{picture}">' for picture in pictures)
    page.set_content(
        "<style>body{margin:0;padding:20px;display:flex;gap:20px;background:#e2e4ec}"
        "img{border-radius:10px;box-shadow:0 4px 24px #0003}</style>" + images
    )
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURE)


if __name__ == "__main__":
    main()
