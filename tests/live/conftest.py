"""A guide of a lab that an author has just made, in a browser, as a person has it."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from labkit import scaffold
from labkit.browser import launch_options

expect.set_options(timeout=60_000)

Labkit = Callable[..., Awaitable[str]]
StartsApp = Callable[[Path], Awaitable[asyncio.subprocess.Process]]


class RunningGuide:
    """`labkit guide` in a folder: `address` is what it printed."""

    def __init__(self, folder: Path, lab: Path) -> None:
        self.folder = folder
        self._lab = lab
        self._process: asyncio.subprocess.Process | None = None
        self.address = ""

    async def start(self) -> "RunningGuide":
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "labkit", "guide", "--lab", str(self._lab), "--no-open"),
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            if match := re.search(rb"http://\S+", line):
                self.address = match[0].decode()
                return self
        raise AssertionError("the guide has ended")

    @property
    def port(self) -> int:
        return int(re.findall(r":(\d+)/", self.address)[0])

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABKIT_HOME", str(tmp_path / "home"))


@pytest.fixture
def party(tmp_path: Path) -> Path:
    """The folder of a lab that was just made."""
    return scaffold.new_lab("party", tmp_path / "party").folder


@asynccontextmanager
async def running_guide(folder: Path, lab: Path) -> AsyncIterator[RunningGuide]:
    """A guide of a lab, started in that folder."""
    guide = RunningGuide(folder, lab)
    await guide.start()
    yield guide
    await guide.stop()


@pytest.fixture
async def guide(tmp_path: Path, party: Path) -> AsyncIterator[RunningGuide]:
    """A guide of that lab, started in an empty folder."""
    (tmp_path / "work").mkdir()
    async with running_guide(tmp_path / "work", party) as guide:
        yield guide


@pytest.fixture
async def second_guide(tmp_path: Path, party: Path) -> AsyncIterator[RunningGuide]:
    """Another one of the same lab, in another folder."""
    (tmp_path / "other").mkdir()
    async with running_guide(tmp_path / "other", party) as guide:
        yield guide


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**launch_options())
        yield browser
        await browser.close()


@pytest.fixture
async def page(browser: Browser, guide: RunningGuide) -> Page:
    """The guide's page; a script that fails, or a thing that it asks for and does not get, fails the test."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900})
    page = await context.new_page()
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    await page.goto(guide.address)
    await expect(page.locator("#connection")).to_have_text("Live")
    return page


async def labkit_process(party: Path, *arguments: str, cwd: Path) -> asyncio.subprocess.Process:
    """Begin a command in another window."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "labkit", *arguments),
        cwd=cwd,
        env={**os.environ, "LABKIT_LAB": str(party)},
        stdout=asyncio.subprocess.PIPE,
    )


@pytest.fixture
def labkit(guide: RunningGuide, party: Path) -> Labkit:
    """Type a command in another window."""

    async def run(*arguments: str, cwd: Path = guide.folder) -> str:
        output, _ = await (await labkit_process(party, *arguments, cwd=cwd)).communicate()
        return output.decode()

    return run


@pytest.fixture
async def app_in_another_window(guide: RunningGuide, party: Path) -> AsyncIterator[StartsApp]:
    """Type `labkit run` in another window, which stays open; each call gives its process."""
    started: list[asyncio.subprocess.Process] = []

    async def start(folder: Path) -> asyncio.subprocess.Process:
        started.append(await labkit_process(party, "run", cwd=folder))
        return started[-1]

    yield start
    for process in started:
        if process.returncode is None:
            process.terminate()
            await process.communicate()
