"""The lab in the browser: what is pressed there is done, and what is done elsewhere is seen there."""

import asyncio
import contextlib
import http.server
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
from playwright.async_api import Browser, Page, expect
from starlette.routing import Mount, Route

from labkit.lab import find_lab
from labkit.live.guide import STATIC, Guide

Labkit = Callable[..., Awaitable[str]]
StartsApp = Callable[[Path], Awaitable[asyncio.subprocess.Process]]


class RunningGuide(Protocol):
    folder: Path
    address: str
    port: int

    async def start(self) -> object: ...

    async def stop(self) -> None: ...


async def press(page: Page, command: str) -> None:
    await page.locator(f'main .command[data-command="{command}"] button.main').click()


async def close_dialog(page: Page) -> None:
    await page.locator("dialog[open] button", has_text="Close").click()


async def open_task(page: Page, title: str) -> None:
    await page.locator("#tasks button", has_text=title).click()
    await expect(page.locator("main h2")).to_contain_text(title)


@pytest.mark.slow
async def test_a_lab_is_played_on_the_page_alone(page: Page, guide: RunningGuide) -> None:
    await open_task(page, "Exploring the app")
    await press(page, "labkit start ex1")
    await expect(page.locator("#workspace .path")).to_have_text("ex1-first-steps")

    await press(page, "labkit run ex1")
    await expect(page.locator("[data-app]")).to_have_text("Running, healthy.")
    await opens_two_windows(page)
    await open_task(page, "Counting the visits")
    await expect(page.locator("main li.next")).to_have_attribute("data-step", "ex1.2.1")
    await press(page, "labkit snippet insert show-visits")
    await expect(page.locator("dialog ins")).not_to_have_count(0)
    await close_dialog(page)
    await expect(page.locator("main li.next")).to_have_attribute("data-step", "ex1.2.2")
    await page.locator("#workspace button", has_text="Undo").click()
    await expect(page.locator("main li.next")).to_have_attribute("data-step", "ex1.2.1")
    for name in ("show-visits", "count-visits"):
        await press(page, f"labkit snippet insert {name}")
        await close_dialog(page)
    await expect(page.locator("main li.done")).to_have_count(2)

    await expect(page.locator("[data-app]")).to_have_text("Running, but not your latest.")
    await page.locator("#app button", has_text="Restart").click()
    await expect(page.locator("#said")).to_have_text("The app runs anew.")
    await expect(page.locator("[data-app]")).to_have_text("Running, healthy.")
    await page.locator("#app button", has_text="Stop").click()
    await expect(page.locator("[data-app]")).to_have_text("It does not run.")

    await press(page, "labkit verify ex1")
    await expect(page.locator("#checks")).to_contain_text("passed")
    await expect(page.locator(".checks > li.passed")).to_have_count(await page.locator(".checks > li").count())
    await expect(page.locator("#left-over")).to_have_text("Done: well done!")


async def opens_two_windows(page: Page) -> None:
    """The app's pages open next to each other, and know nothing of the guide that has opened them."""
    url = await page.locator("#app a").get_attribute("href")
    opened: list[Page] = []

    def is_second(each: Page) -> bool:
        opened.append(each)
        return len(opened) == 2

    async with page.context.expect_event("page", is_second):
        await page.locator("#app button", has_text="Open side by side").click()
    for window in opened:
        await expect(window).to_have_url(f"{url}/")
        assert await window.evaluate("window.opener") is None
        await window.close()


@pytest.mark.slow
async def test_the_work_is_compared_with_the_end_side_by_side(page: Page, guide: RunningGuide, labkit: Labkit) -> None:
    await labkit("start", "ex1")
    # In a diff its first line looks like the name of a file.
    (guide.folder / "ex1-first-steps" / "notes.sql").write_text("-- look at it\nSELECT 1;\n")
    await page.locator("#workspace button", has_text="Compare").click()
    tables = page.locator("dialog[open] table.diff")
    assert await tables.locator("caption").all_inner_texts() == ["app.py", "notes.sql", "page.html"]
    todo = tables.first.locator("tr", has=page.locator("del"))
    assert await todo.locator("del").all_inner_texts() == ["            # TODO count-visits: count this visit"]
    assert await todo.locator("ins").all_inner_texts() == ["            Pages.visits += 1"]
    assert await tables.nth(1).locator("del").all_inner_texts() == ["-- look at it", "SELECT 1;"]
    await page.keyboard.press("Escape")
    await page.set_viewport_size({"width": 390, "height": 844})  # where there is room for one column only
    await page.locator("#show-bench").click()
    await page.locator("#workspace button", has_text="Compare").click()
    await expect(page.locator("dialog[open] pre del").first).to_be_visible()
    assert await tables.count() == 0


@pytest.mark.slow
async def test_what_is_done_elsewhere_shows_on_every_page(
    page: Page, browser: Browser, guide: RunningGuide, labkit: Labkit
) -> None:
    other = await browser.new_page()
    await other.goto(guide.address)
    await labkit("start", "ex1")
    for each in (page, other):
        await expect(each.locator("#workspace .path")).to_have_text("ex1-first-steps")
        await open_task(each, "Counting the visits")
    workspace = guide.folder / "ex1-first-steps"
    await labkit("snippet", "insert", "show-visits", cwd=workspace)
    for each in (page, other):
        await expect(each.locator("main li.done")).to_have_count(1)
    snippet = next((Path(guide.folder).parent / "party" / "snippets").glob("*/count-visits.py")).read_text()
    text = (workspace / "app.py").read_text()
    (todo,) = (line for line in text.splitlines(keepends=True) if "TODO count-visits" in line)
    indent = todo[: len(todo) - len(todo.lstrip())]
    typed = "".join(f"{indent}{line}\n" for line in snippet.splitlines())
    (workspace / "app.py").write_text(text.replace(todo, typed))
    for each in (page, other):
        await expect(each.locator("main li.done")).to_have_count(2)
    assert "passed" in await labkit("verify", cwd=workspace)
    for each in (page, other):
        await expect(each.locator("#left-over")).to_have_text("Done: well done!")


@pytest.mark.slow
async def test_an_app_that_runs_in_another_window_shows_and_is_not_run_twice(
    page: Page, guide: RunningGuide, labkit: Labkit, app_in_another_window: StartsApp
) -> None:
    await labkit("start", "ex1")
    workspace = guide.folder / "ex1-first-steps"
    shown = page.locator("[data-app]")
    process = await app_in_another_window(workspace)
    await expect(shown).to_have_text("Running in another window.")
    url = await page.locator("#app a").get_attribute("href")
    assert url is not None
    assert (await page.request.get(url)).ok
    await expect(page.locator("#log")).to_contain_text('"GET / ')
    await open_task(page, "Exploring the app")
    await press(page, "labkit run ex1")
    await expect(page.locator("#said")).to_have_text(f"It runs already, in another window: {url}.")
    app = workspace / "app.py"
    app.write_text(app.read_text() + "\n")
    await expect(shown).to_have_text("Running in another window, but not your latest.")
    process.kill()  # without a chance to say so
    await expect(shown).to_have_text("It does not run.")
    process = await app_in_another_window(workspace)
    await expect(shown).to_have_text("Running in another window.")
    process.terminate()
    await expect(shown).to_have_text("It does not run.")


@pytest.mark.slow
async def test_two_guides_of_two_folders_know_nothing_of_each_other(
    page: Page, browser: Browser, guide: RunningGuide, second_guide: RunningGuide, labkit: Labkit
) -> None:
    for folder in (guide.folder, second_guide.folder):
        await labkit("start", "ex1", cwd=folder)
    other = await browser.new_page()
    await other.goto(second_guide.address)
    for each in (page, other):
        await expect(each.locator("#workspace .path")).to_have_text("ex1-first-steps")
    await open_task(page, "Counting the visits")
    await open_task(other, "Counting the visits")
    await press(page, "labkit snippet insert show-visits")
    await expect(page.locator("main li.done")).to_have_count(1)
    assert second_guide.address != guide.address
    await other.locator("#app button", has_text="Run").click()
    await expect(other.locator("[data-app]")).to_have_text("Running, healthy.")
    await expect(other.locator("main li.done")).to_have_count(0)
    await expect(page.locator("[data-app]")).to_have_text("It does not run.")
    token = guide.address.partition("#")[2]
    await other.goto("about:blank")
    await other.goto(second_guide.address.partition("#")[0] + "#" + token)
    await expect(other.locator("#connection")).to_have_text("Not connected")


@pytest.mark.slow
async def test_hints_are_remembered_wherever_they_were_asked_for(
    page: Page, guide: RunningGuide, labkit: Labkit
) -> None:
    await labkit("start", "ex1")
    await open_task(page, "Counting the visits")
    hints = page.locator('main li[data-step="ex1.2.1"] .hints')
    await hints.locator("button", has_text="Hint").click()
    await expect(hints.locator("p")).to_have_count(1)
    assert '"level": 2' in await labkit("hint", "ex1.2.1", "--format", "json", cwd=guide.folder / "ex1-first-steps")
    await expect(hints.locator("p")).to_have_count(2)
    await hints.locator("button", has_text="Show the code").click()
    await expect(hints.locator("pre")).to_have_count(1)
    await expect(hints.locator("button")).to_have_count(0)
    await page.reload()
    await expect(hints.locator("p")).to_have_count(2)
    await expect(hints.locator("pre")).to_have_count(1)


@pytest.mark.slow
async def test_a_failure_shows_the_page_as_it_was_and_a_save_of_a_page_needs_no_restart(
    page: Page, guide: RunningGuide, labkit: Labkit
) -> None:
    await labkit("start", "ex1")
    await page.locator("#app button", has_text="Run").click()
    await expect(page.locator("[data-app]")).to_have_text("Running, healthy.")
    await page.locator("#checks button", has_text="Verify all").click()
    picture = page.locator(".checks > li.failed .shots img").first
    await picture.scroll_into_view_if_needed()  # it is fetched when it is seen
    await expect(picture).not_to_have_js_property("naturalWidth", 0)
    await page.locator(".checks > li.failed .shots button").first.click()
    await expect(page.locator("dialog[open] img")).to_be_visible()
    await close_dialog(page)
    for name, state in (("page.html", "Running, healthy."), ("app.py", "Running, but not your latest.")):
        path = guide.folder / "ex1-first-steps" / name
        path.write_text(path.read_text() + "\n")
        await expect(page.locator(".checks > li.failed.is-stale")).not_to_have_count(0)
        await expect(page.locator("[data-app]")).to_have_text(state)


@pytest.mark.slow
async def test_with_the_switch_on_a_save_is_verified(page: Page, guide: RunningGuide, labkit: Labkit) -> None:
    await labkit("start", "ex1")
    workspace = guide.folder / "ex1-first-steps"
    await page.locator("#checks button", has_text="Watch saves").click()
    await expect(page.locator("#checks button", has_text="Stop watching")).to_be_visible()
    await labkit("solve", "--to", "2", cwd=workspace)
    checks = page.locator(".checks > li")
    await expect(page.locator(".checks > li.passed")).not_to_have_count(0)
    await expect(page.locator("#checks [role=status]")).to_have_count(0)
    await expect(page.locator(".checks > li.passed")).to_have_count(await checks.count())
    app = workspace / "app.py"
    app.write_text("raise SystemExit('no more')\n" + app.read_text())
    await expect(page.locator(".checks > li.failed").first).to_contain_text("no more")
    await expect(page.locator(".checks > li.passed:not(.is-stale)")).to_have_count(0)


@pytest.mark.slow
async def test_many_fast_presses_do_the_thing_once(page: Page, guide: RunningGuide) -> None:
    start = page.locator("#workspace button", has_text="Start")
    await expect(start).to_be_visible()
    await start.evaluate("(button) => { for (let n = 0; n < 20; n++) button.click(); }")
    await expect(page.locator("#workspace .path")).to_have_text("ex1-first-steps")
    await open_task(page, "Counting the visits")
    await page.evaluate(
        """() => { const button = document.querySelector('main .command[data-action*=insert] button.main');
                   for (let n = 0; n < 20; n++) button.click(); }"""
    )
    await expect(page.locator("main li.done")).to_have_count(1)
    await expect(page.locator("main [aria-busy=true]")).to_have_count(0)
    assert [path.name for path in (guide.folder / "ex1-first-steps/.labkit/journal").iterdir()] == ["0001"]


@pytest.mark.slow
async def test_a_page_comes_back_when_the_guide_is_started_anew(
    page: Page, guide: RunningGuide, labkit: Labkit
) -> None:
    await open_task(page, "Counting the visits")
    before = guide.address
    await guide.stop()
    await expect(page.locator("#connection")).to_contain_text("The guide has ended")
    await labkit("start", "ex1")
    await guide.start()
    assert guide.address == before
    await expect(page.locator("#connection")).to_have_text("Live")
    await expect(page.locator("#said")).to_have_text("The guide is back.")
    await expect(page.locator("#workspace .path")).to_have_text("ex1-first-steps")
    await expect(page.locator("main h2")).to_contain_text("Counting the visits")


@pytest.mark.slow
async def test_an_error_says_what_to_type_next(page: Page, guide: RunningGuide, labkit: Labkit) -> None:
    await open_task(page, "Counting the visits")
    await press(page, "labkit snippet insert show-visits")
    await expect(page.locator("#said.wrong")).to_contain_text(
        "There is no workspace of ex1 yet.\nnext: labkit start ex1"
    )
    await page.locator("#said button", has_text="Start").click()
    await expect(page.locator("#workspace .path")).to_have_text("ex1-first-steps")
    (guide.folder / "ex1-first-steps" / "app.py").write_text("import nothing_of_the_kind\n")
    await page.locator("#app button", has_text="Run").click()
    await expect(page.locator("#app .wrong")).to_contain_text("nothing_of_the_kind")


@pytest.mark.slow
async def test_no_request_leaves_the_machine_and_the_key_leaves_the_address(
    browser: Browser, guide: RunningGuide
) -> None:
    page = await browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.goto(guide.address)
    await expect(page.locator("#connection")).to_have_text("Live")
    own = f"http://127.0.0.1:{guide.port}/"
    assert [url for url in asked if not url.startswith((own, own.replace("http", "ws")))] == []
    assert page.url == own
    assert await page.context.cookies() == []


@pytest.fixture
def hostile_page() -> Iterator[str]:
    """A page on another port of this machine, as the lab's own app is one."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>hostile</title>")

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def addresses(lab: Path, folder: Path) -> list[str]:
    """An address for everything that can be asked for, by the app's own routes."""
    found = []
    for route in Guide(find_lab(lab), folder, "token").routes:
        match route:
            case Mount(path="/static"):
                found += [f"/static/{path.name}" for path in STATIC.iterdir()]
            case Mount(path="/signalr"):
                found += ["/signalr/guide", "/signalr/guide/negotiate?negotiateVersion=1", "/signalr/guide?id=x"]
            case Route():
                found.append(route.path.replace("{exercise}", "ex1").replace("{path:path}", "lab.toml"))
            case _:
                pytest.fail(f"say what a hostile page can ask {route} for")
    return found


@pytest.mark.slow
async def test_a_page_of_another_port_learns_nothing_and_presses_nothing(
    page: Page, guide: RunningGuide, party: Path, hostile_page: str
) -> None:
    asked = addresses(party, guide.folder)
    assert {"/", "/api/do/ex1", "/api/chapter/ex1", "/signalr/guide", "/files/lab.toml"} <= set(asked)
    hostile = await page.context.new_page()  # in the same browser, with all that it has stored
    await hostile.goto(hostile_page)
    learnt = await hostile.evaluate(_ATTACK, [f"127.0.0.1:{guide.port}", asked])
    assert learnt == dict.fromkeys(learnt, None)
    fetched = {f"{method} {path}" for path in asked for method in ("GET", "POST", "PUT", "DELETE")}
    others = {"cookie", "storage", "frame", "image", "script", "opened", "websocket", "events"}
    assert set(learnt) == fetched | others
    assert list(guide.folder.iterdir()) == []


_ATTACK = """async ([host, asked]) => {
  const learnt = { cookie: document.cookie || null, storage: sessionStorage.length || localStorage.length || null };
  const form = { method: "POST", headers: { "Content-Type": "text/plain" }, body: '{"do":"start"}' };
  for (const path of asked) {
    for (const method of ["GET", "POST", "PUT", "DELETE"]) {
      for (const mode of ["cors", "no-cors"]) {
        const options = { ...(method === "POST" ? form : { method }), mode, credentials: "include" };
        const text = await fetch(`http://${host}${path}`, options).then((answer) => answer.text(), () => "");
        learnt[`${method} ${path}`] ??= text || null;
      }
    }
  }
  const ends = (make) => new Promise((done) => { const thing = make(done); setTimeout(() => done(null), 5000); });
  learnt.websocket = await ends((done) => {
    const socket = new WebSocket(`ws://${host}/signalr/guide?access_token=guessed`);
    socket.onopen = () => done("open"); socket.onclose = () => done(null);
  });
  learnt.events = await ends((done) => {
    const source = new EventSource(`http://${host}/signalr/guide?id=x`);
    source.onopen = () => done("open"); source.onerror = () => done(null);
  });
  learnt.frame = await ends((done) => {
    const frame = document.body.appendChild(document.createElement("iframe"));
    frame.onload = () => {
      try { done(frame.contentDocument?.body?.textContent ? "read" : null); } catch { done(null); }
    };
    frame.src = `http://${host}/`;
  });
  learnt.image = await ends((done) => {
    const image = new Image(); image.onload = () => done("shown"); image.onerror = () => done(null);
    image.src = `http://${host}/static/icon.svg`;
  });
  learnt.script = await ends((done) => {
    const script = document.body.appendChild(document.createElement("script"));
    script.onload = () => done("ran"); script.onerror = () => done(null); script.src = `http://${host}/static/guide.js`;
  });
  const opened = window.open(`http://${host}/`);
  await new Promise((done) => setTimeout(done, 500));
  try { learnt.opened = opened?.document?.title || null; } catch { learnt.opened = null; }
  return learnt;
}"""


@pytest.mark.slow
async def test_what_a_trainee_wrote_is_shown_as_text(page: Page, guide: RunningGuide, labkit: Labkit) -> None:
    await labkit("start", "ex1")
    app = guide.folder / "ex1-first-steps" / "app.py"
    app.write_text("print('<img src=x onerror=alert(1)>', flush=True)\nraise SystemExit('<b>bold</b>')\n")
    await expect(page.locator("#app button", has_text="Run")).to_be_visible()
    await page.locator("#app button", has_text="Run").click()
    await page.locator("#log-part summary").click()
    await expect(page.locator("#log")).to_contain_text("<img src=x onerror=alert(1)>")
    await expect(page.locator("#app .wrong")).to_contain_text("<b>bold</b>")
    assert await page.locator("#log img").count() == 0


@pytest.mark.slow
async def test_the_guide_ends_with_everything_that_it_runs(page: Page, guide: RunningGuide, labkit: Labkit) -> None:
    await labkit("start", "ex1")
    await page.locator("#app button", has_text="Run").click()
    await expect(page.locator("[data-app]")).to_have_text("Running, healthy.")
    url = await page.locator("#app a").get_attribute("href")
    assert url is not None
    await guide.stop()
    with contextlib.suppress(OSError):
        await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        pytest.fail("the app runs on")
