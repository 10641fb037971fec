"""The official client in Chromium: what only a browser shows."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import uvicorn
from asgi_signalr.testing import TestClient
from functional_app import create_app
from network import PATIENCE, Proxy
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from labkit.browser import launch_options

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOOLS = """
    window.open_ = async (url, {transport, protocol, reconnect, stateful, ...options}) => {
        if (transport) options.transport = signalR.HttpTransportType[transport];
        const builder = new signalR.HubConnectionBuilder().withUrl(url, options).configureLogging("none");
        if (protocol === "messagepack") builder.withHubProtocol(new signalR.protocols.msgpack.MessagePackHubProtocol());
        if (reconnect) builder.withAutomaticReconnect([0, 0]);
        if (stateful) builder.withStatefulReconnect();
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


# A network that breaks: a WebSocket is lost without a close frame, and the next one comes when the test lets it.


@contextlib.asynccontextmanager
async def serving(app: Any) -> AsyncIterator[int]:
    """Serve an application in the test's own loop, so that the test can be its client as well; gives the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    task = asyncio.create_task(server._serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        async with asyncio.timeout(PATIENCE):
            await task


class Traveller:
    """A page whose network breaks, and a client of the same hub whose network does not."""

    def __init__(self, page: Page, network: Proxy, other: TestClient) -> None:
        self.network = network
        self.other = other
        self._page = page

    async def connect(self, protocol: str) -> str:
        """Connect the page; returns its connection's id."""
        return str(
            await self._page.evaluate(
                """async (options) => {
                    window.calls = []; window.seen = {told: [], answered: [], ends: []};
                    const lab = await open_("/signalr/lab?group=room", options);
                    lab.on("told", (text) => seen.told.push(text));
                    lab.onclose((error) => seen.ends.push(error ? error.message : null));
                    return lab.connectionId;
                }""",
                {"transport": "WebSockets", "protocol": protocol, "stateful": True},
            )
        )

    async def hears(self, text: str) -> None:
        """Wait until the page has been told this."""
        await self._page.wait_for_function("(text) => seen.told.includes(text)", arg=text, timeout=1000 * PATIENCE)

    async def say(self, *texts: str) -> None:
        """Have the page tell the others, without waiting for the answers of its calls."""
        await self._page.evaluate(
            """(texts) => {
                for (const text of texts) {
                    calls.push(connection.invoke("tell_others", text).then(() => seen.answered.push(text)));
                }
            }""",
            texts,
        )

    async def stop(self) -> dict[str, Any]:
        """Have the page stop when it has all its answers, or misses some; returns everything that it has seen."""
        return dict(
            await self._page.evaluate(
                """async (patience) => {
                    const late = new Promise((done) => setTimeout(() => done({id: null}), 1000 * patience));
                    const all = Promise.all(calls).then(() => connection.invoke("whoami"));
                    const {id} = await Promise.race([all, late]);  // what was sent before its answer has come by then
                    const ids = [connection.connectionId, id];
                    await connection.stop();
                    return {ids, ...seen};
                }""",
                PATIENCE,
            )
        )

    async def other_is_told(self) -> list[str]:
        """What the other client has been told and not been asked for yet."""
        await self.other.invoke("tell_all", "the end")
        told: list[str] = []
        while told[-1:] != ["the end"]:
            told += await self.other.next("told")
        return told[:-1]


@pytest_asyncio.fixture(loop_scope="module")
async def traveller(chromium: Browser) -> AsyncIterator[Traveller]:
    """A page that has come through a network of its own, and is not connected yet."""
    app = create_app(allow_stateful_reconnects=True)
    async with (
        serving(app) as port,
        (network := Proxy(port)).listening() as url,
        await chromium.new_context() as context,
        TestClient(app, "/signalr/lab", query={"group": "room"}) as other,
    ):
        yield Traveller(await open_page(context, url), network, other)


both_protocols = pytest.mark.parametrize("protocol", ["json", "messagepack"])


@pytest.mark.slow
@both_protocols
async def test_a_page_keeps_its_connection_when_it_loses_its_web_socket(traveller: Traveller, protocol: str) -> None:
    network, other = traveller.network, traveller.other
    left: asyncio.Queue[tuple[Any, ...]] = asyncio.Queue()
    other.on("left", lambda *who_and_why: left.put_nowait(who_and_why))
    id_ = await traveller.connect(protocol)
    for which in ("second", "third"):
        await network.cut_and_hold()
        network.mend()
        await other.invoke("tell_others_in_group", "room", f"the {which}")
        await traveller.hears(f"the {which}")
    assert (network.web_sockets, left.qsize()) == (3, 0)
    seen = await traveller.stop()
    assert seen == {"ids": [id_, id_], "told": ["the second", "the third"], "answered": [], "ends": [None]}
    async with asyncio.timeout(PATIENCE):
        assert await left.get() == (id_, None)


@both_protocols
async def test_a_page_misses_nothing_and_hears_nothing_twice(traveller: Traveller, protocol: str) -> None:
    network, other = traveller.network, traveller.other
    id_ = await traveller.connect(protocol)
    await other.invoke("tell_all", "arrived")  # not acknowledged yet: the client does so once a second
    await traveller.hears("arrived")
    network.lose("to the client")
    await other.invoke("tell_all", "lost on its way")
    await network.has_lost("to the client")
    await network.cut_and_hold()
    await other.invoke("tell_all", "said meanwhile")
    await other.invoke("tell_client", id_, "and more")
    network.mend()
    await other.invoke("tell_all", "said afterwards")
    told = ["arrived", "lost on its way", "said meanwhile", "and more", "said afterwards"]
    assert await traveller.stop() == {"ids": [id_, id_], "told": told, "answered": [], "ends": [None]}
    assert network.web_sockets == 2


@both_protocols
async def test_what_a_page_calls_meanwhile_arrives_once(traveller: Traveller, protocol: str) -> None:
    network, other = traveller.network, traveller.other
    id_ = await traveller.connect(protocol)
    network.lose("to the client")
    await traveller.say("done, the answer lost")
    said = await other.next("told")
    await network.has_lost("to the client")
    network.lose("to the server")
    await traveller.say("lost on its way")
    await network.has_lost("to the server")
    await network.cut_and_hold()
    await traveller.say("said meanwhile", "and more")
    network.mend()
    await traveller.say("said afterwards")
    seen = await traveller.stop()
    said += await traveller.other_is_told()
    assert said == ["done, the answer lost", "lost on its way", "said meanwhile", "and more", "said afterwards"]
    assert seen == {"ids": [id_, id_], "told": [], "answered": said, "ends": [None]}
    assert network.web_sockets == 2
