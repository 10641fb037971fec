"""The official client in Chromium: what only a browser shows."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from labkit.browser import launch_options

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOOLS = """
    window.open_ = async (url, {transport, protocol, reconnect, ...options}) => {
        if (transport) options.transport = signalR.HttpTransportType[transport];
        const builder = new signalR.HubConnectionBuilder().withUrl(url, options).configureLogging("none");
        if (protocol === "messagepack") builder.withHubProtocol(new signalR.protocols.msgpack.MessagePackHubProtocol());
        if (reconnect) builder.withAutomaticReconnect([0, 0]);
        const connection = window.connection = builder.build();
        await connection.start();
        return connection;
    };
    window.failure = (promise) => promise.then(() => "no failure", (error) => error.message);
    window.items = (stream) => new Promise((done) => {
        const received = [];
        stream.subscribe({
            next: (item) => received.push(item), error: (error) => done(error.message), complete: () => done(received),
        });
    });
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**launch_options())
        yield browser
        await browser.close()


async def open_page(context: BrowserContext, url: str) -> Page:
    page = await context.new_page()
    await page.add_init_script(TOOLS)
    await page.goto(url)
    return page


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(chromium: Browser, lab_url: str) -> Page:
    """A page of the application itself."""
    return await open_page(await chromium.new_context(), lab_url)


async def test_a_page_converses(page: Page, wire: Any) -> None:
    said = await page.evaluate(
        """async (wire) => {
            const said = [], hub = await open_("/signalr/flows", {...wire, accessTokenFactory: () => "ann & +/="});
            const subject = new signalR.Subject(), text = hub.invoke("concat", subject);
            for (const part of ["你好", "\\u2028", "🙂"]) subject.next(part);
            subject.complete();
            said.push(await text, await items(hub.stream("numbers", 3)));
            hub.on("answer", (question) => `${question}!`);
            said.push(await hub.invoke("ask", "why"));
            await hub.stop();
            const lab = await open_("/signalr/private", {...wire, accessTokenFactory: () => "ann & +/="});
            said.push((await lab.invoke("whoami")).user);
            const bytes = wire.protocol === "json" ? "AAH/" : new Uint8Array([0, 1, 255]);
            said.push(Array.from(await lab.invoke("reverse", bytes)).join());
            said.push((await lab.invoke("getText", 300_000)).length);
            await lab.stop();
            said.push(await failure(open_("/signalr/private", wire)));
            return said;
        }""",
        wire._asdict(),
    )
    assert said == [
        "\u4f60\u597d\u2028\U0001f642",
        [0, 1, 2],
        "why!",
        "ann & +/=",
        ",".join("/wEA") if wire.protocol == "json" else "255,1,0",
        300_000,
        "Failed to complete negotiation with the server: Error: Unauthorized: Status code '401'",
    ]


# Other origins.

CONNECT = """async ([url, options]) => {
    const lab = await open_(url + "/signalr/lab", options);
    const [cookie, header] = [await lab.invoke("header", "cookie"), await lab.invoke("header", "x-page")];
    await lab.stop();
    return [cookie, header];
}"""
RAW = """(url) => new Promise((done) => {
    const socket = new WebSocket(url.replace("http", "ws") + "/signalr/lab");
    socket.onopen = () => { done("open"); socket.close(); };
    socket.onerror = () => done("refused");
})"""


async def test_a_page_of_an_allowed_origin_connects_with_its_cookies(
    page: Page, lab_url: str, open_lab_url: str, wire: Any
) -> None:
    await page.context.add_cookies([{"name": "session", "value": "ann", "url": lab_url}])  # cookies know no ports
    options = wire._asdict() | {"headers": {"X-Page": "7"}}
    header = "7" if wire.transport == "LongPolling" else None  # no browser lets pages add any to the others
    assert await page.evaluate(CONNECT, [open_lab_url, options]) == ["session=ann", header]
    without = ["session=ann" if wire.transport == "WebSockets" else None, None]
    del options["headers"]
    assert await page.evaluate(CONNECT, [open_lab_url, options | {"withCredentials": False}]) == without


async def test_a_page_of_any_other_origin_is_kept_out(page: Page, lab_url: str, open_lab_url: str) -> None:
    assert await page.evaluate(RAW, lab_url) == "open"
    page = await open_page(page.context, open_lab_url)
    assert await page.evaluate("(url) => failure(open_(url + '/signalr/lab', {}))", lab_url) == (
        "Failed to complete negotiation with the server: TypeError: Failed to fetch"
    )
    assert await page.evaluate(RAW, lab_url) == "refused"


# A page's life.


async def test_a_page_that_is_closed_is_missed_at_once(page: Page, lab_url: str, wire: Any) -> None:
    if wire.transport == "LongPolling":
        pytest.skip("who polls is missed after disconnect_timeout only")
    group = f"/signalr/lab?group={wire.transport}{wire.protocol}"
    await page.evaluate(
        """async (url) => {
            const watcher = await open_(url, {});
            window.left = new Promise((done) => watcher.on("left", (id) => done(id)));
        }""",
        group,
    )
    other = await open_page(page.context, lab_url)
    id_ = await other.evaluate("async ([url, wire]) => (await open_(url, wire)).connectionId", [group, wire._asdict()])
    await other.close()
    assert await page.evaluate("left") == id_


async def test_a_page_comes_back_when_the_server_has_stopped(page: Page, open_lab_url: str, wire: Any) -> None:
    said = await page.evaluate(
        """async ([url, wire]) => {
            const lab = await open_(url + "/signalr/lab", {...wire, reconnect: true}), first = lab.connectionId;
            const back = new Promise((done) => lab.onreconnected(done));
            await fetch(url + "/stop", {method: "POST", mode: "no-cors"});
            const said = [await back !== first, await lab.invoke("add", 1, 2)];
            await lab.stop();
            return said;
        }""",
        [open_lab_url, wire._asdict()],
    )
    assert said == [True, 3]


async def test_a_web_worker_converses(page: Page, lab_url: str) -> None:
    said = await page.evaluate(
        """(url) => new Promise((done) => {
            const script = `
                importScripts("${url}/signalr/signalr.js");
                const lab = new signalR.HubConnectionBuilder().withUrl("${url}/signalr/lab").build();
                lab.start().then(() => lab.invoke("add", 1, 2)).then(postMessage);
            `;
            const worker = new Worker(URL.createObjectURL(new Blob([script], {type: "application/javascript"})));
            worker.onmessage = (event) => { done(event.data); worker.terminate(); };
        })""",
        lab_url,
    )
    assert said == 3
