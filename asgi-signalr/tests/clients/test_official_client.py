"""The unmodified official client against real servers: in Node and in Chromium."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from asgi_signalr import Hub, HubException, SignalR
from asgi_signalr.context import Scope
from fastapi import FastAPI
from playwright.async_api import Browser, Page, async_playwright
from starlette.responses import HTMLResponse

from labkit.browser import launch_options

Serve = Callable[..., Awaitable[str]]
RunInNode = Callable[[str, str], Awaitable[list[Any]]]


class Chat(Hub):
    async def on_connected(self) -> None:
        await self.clients.caller.send("Welcome", self.context.user_identifier)

    def add(self, a: int, b: int) -> int:
        return a + b

    async def echo(self, value: Any) -> Any:
        await asyncio.sleep(0)
        return value

    async def fail(self) -> None:
        raise HubException("on purpose")

    async def say(self, text: str) -> None:
        await self.clients.all.send("said", text)

    async def say_to_others(self, text: str) -> None:
        await self.clients.others.send("said", text)

    async def join(self, group: str) -> None:
        await self.groups.add(self.context.connection_id, group)

    async def say_to_group(self, group: str, text: str) -> None:
        await self.clients.group(group).send("said", text)

    async def say_to_user(self, user: str, text: str) -> None:
        await self.clients.user(user).send("said", text)

    def leave(self) -> None:
        self.context.abort()


def user_by_query(scope: Scope) -> str | None:
    """Authentication enough for these tests: `?access_token=NAME`, or the same as a bearer token."""
    query = scope["query_string"].decode().partition("access_token=")[2]
    header = dict(scope["headers"]).get(b"authorization", b"").decode().removeprefix("Bearer ")
    return query.partition("&")[0] or header or None


def chat(**options: Any) -> tuple[FastAPI, SignalR]:
    signalr = SignalR(user=user_by_query, **options)
    signalr.hub("/chat")(Chat)
    signalr.hub("/private", authorize=True)(type("Private", (Hub,), {}))
    app = FastAPI()
    app.get("/", response_class=HTMLResponse)(lambda: '<script src="/signalr/signalr.min.js"></script>')
    app.mount("/signalr", signalr)
    return app, signalr


CONVERSATION = """
    const open = (user) => builder("/chat").withUrl(url + "/chat", {accessTokenFactory: () => user}).build();
    const [ann, bob] = [open("ann"), open("bob")];
    const inbox = (connection) => {
        const waiting = [], texts = [];
        connection.on("SAID", (text) => waiting.length ? waiting.shift()(text) : texts.push(text));
        return () => texts.length ? Promise.resolve(texts.shift()) : new Promise((done) => waiting.push(done));
    };
    const [toAnn, toBob] = [inbox(ann), inbox(bob)];
    const welcomed = new Promise((done) => ann.on("welcome", done));
    await Promise.all([ann.start(), bob.start()]);
    say(await welcomed);
    say(await ann.invoke("add", 1, 2));
    say(await ann.invoke("ECHO", {a: [1.5, null, "é\\u2028"]}));
    say(await ann.invoke("leave_me_alone").catch((error) => error.message));
    say(await ann.invoke("fail").catch((error) => error.message));
    say(await ann.invoke("add", "x", 2).catch((error) => error.message));
    say(await new Promise((done) => ann.stream("add", 1, 2).subscribe({error: (error) => done(error.message)})));
    await ann.send("say", "all");
    say([await toAnn(), await toBob()]);
    await ann.invoke("say_to_others", "others");
    await bob.invoke("join", "room");
    await ann.invoke("say_to_group", "room", "group");
    await ann.invoke("say_to_user", "bob", "user");
    await ann.invoke("say", "everybody");
    say([await toAnn(), await toBob(), await toBob(), await toBob(), await toBob()]);
    const closed = new Promise((done) => ann.onclose((error) => done(error === undefined)));
    await ann.send("leave");
    say(await closed);
    await bob.stop();
    say(bob.state);
"""

SAID = [
    "ann",
    3,
    {"a": [1.5, None, "é\u2028"]},
    "Unknown hub method 'leave_me_alone'",
    "An unexpected error occurred invoking 'fail' on the server. HubException: on purpose",
    "Failed to invoke 'add' due to an error on the server.",
    "The client attempted to invoke the non-streaming 'add' method with a streaming invocation.",
    ["all", "all"],
    ["everybody", "others", "group", "user", "everybody"],
    True,
    "Disconnected",
]


@pytest.mark.filterwarnings("ignore")  # uvicorn's oldest implementation is deprecated, and still in use
@pytest.mark.parametrize("implementation", ["websockets-sansio", "websockets", "wsproto"])
async def test_node_converses_with_a_hub(serve: Serve, run_in_node: RunInNode, implementation: str) -> None:
    if implementation == "wsproto":
        pytest.importorskip("wsproto")
    app, _ = chat()
    url = await serve(app, ws=implementation)
    assert await run_in_node(CONVERSATION, url + "/signalr") == SAID


async def test_node_connects_without_negotiation_and_to_a_plain_app(serve: Serve, run_in_node: RunInNode) -> None:
    signalr = SignalR()
    signalr.hub("/chat")(Chat)
    said = await run_in_node(
        """
        const options = {skipNegotiation: true, transport: signalR.HttpTransportType.WebSockets};
        const connection = builder().withUrl(url + "/chat?room=1", options).build();
        await connection.start();
        say(await connection.invoke("add", 1, 2));
        await connection.stop();
        """,
        await serve(signalr),
    )
    assert said == [3]


async def test_node_is_told_that_nobody_is_signed_in(serve: Serve, run_in_node: RunInNode) -> None:
    app, _ = chat()
    said = await run_in_node(
        """
        const start = (options) => builder().withUrl(url + "/private", options).build().start()
            .then(() => "connected", (error) => error.message);
        const directly = {skipNegotiation: true, transport: signalR.HttpTransportType.WebSockets};
        say(await start({}));
        say((await start(directly)).startsWith("WebSocket failed to connect."));
        say(await start({accessTokenFactory: () => "ann"}));
        """,
        await serve(app) + "/signalr",
    )
    assert said == [
        "Failed to complete negotiation with the server: Error: Unauthorized: Status code '401'",
        True,
        "connected",
    ]


async def test_node_comes_back_when_the_server_has_stopped_and_joins_its_group_again(
    serve: Serve, run_in_node: RunInNode
) -> None:
    app, signalr = chat()

    @app.post("/stop")
    async def stop() -> None:
        await signalr.stop()

    said = await run_in_node(
        """
        const connection = builder("/signalr/chat").withAutomaticReconnect([0, 0, 100]).build();
        const said = new Promise((done) => connection.on("said", done));
        const back = new Promise((done) => connection.onreconnected(done));
        await connection.start();
        const first = connection.connectionId;
        await connection.invoke("join", "room");
        await fetch(url + "/stop", {method: "POST"});
        say(await back !== first);
        await connection.invoke("say_to_group", "room", "membership ended with the connection");
        await connection.invoke("join", "room");
        await connection.invoke("say_to_group", "room", "again");
        say(await said);
        await connection.stop();
        """,
        await serve(app),
    )
    assert said == [True, "again"]


async def test_both_clients_hear_what_one_of_two_servers_sends(serve: Serve, run_in_node: RunInNode) -> None:
    (one, _), (other, signalr) = (chat(backplane="memory://two-real-servers") for _ in range(2))

    @other.post("/news")
    async def news() -> None:
        await signalr.hub_context(Chat).clients.all.send("said", "news")

    urls = [await serve(one), await serve(other)]
    said = await run_in_node(
        """
        const connections = url.split(" ").map((each) => builder().withUrl(each + "/signalr/chat").build());
        const heard = () => Promise.all(connections.map((each) => new Promise((done) => {
            each.off("said");
            each.on("said", done);
        })));
        await Promise.all(connections.map((each) => each.start()));
        let all = heard();
        await connections[0].invoke("say", "hello");
        say(await all);
        all = heard();
        await fetch(url.split(" ")[1] + "/news", {method: "POST"});
        say(await all);
        await Promise.all(connections.map((each) => each.stop()));
        """,
        " ".join(urls),
    )
    assert said == [["hello", "hello"], ["news", "news"]]


# In the browser.


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A real Chromium."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**launch_options())
        yield browser
        await browser.close()


START = """
    async (url) => {
        const text = new Promise((done) => { window.heard = done; });
        window.connection = new signalR.HubConnectionBuilder().withUrl(url).withAutomaticReconnect([0, 0]).build();
        connection.on("said", heard);
        window.text = text;
        return connection.start().then(() => connection.state, (error) => error.message);
    }
"""


async def open_page(browser: Browser, url: str) -> Page:
    page = await browser.new_page()
    await page.goto(url)
    return page


async def test_chromium_converses_with_a_hub_and_other_origins_are_refused(serve: Serve, browser: Browser) -> None:
    app, signalr = chat()
    url, elsewhere = await serve(app), await serve(chat()[0])
    ann, bob, stranger = [await open_page(browser, each) for each in (url, url, elsewhere)]

    assert await ann.evaluate(START, "/signalr/chat") == "Connected"
    assert await bob.evaluate(START, "/signalr/chat") == "Connected"
    assert await ann.evaluate("connection.invoke('add', 1, 2)") == 3
    assert "HubException: on purpose" in await ann.evaluate("connection.invoke('fail').catch((error) => error.message)")
    await ann.evaluate("connection.send('say', 'hello')")
    assert [await page.evaluate("text") for page in (ann, bob)] == ["hello", "hello"]

    reconnected = bob.evaluate("new Promise((done) => connection.onreconnected(() => done(connection.state)))")
    back = asyncio.create_task(reconnected)
    await bob.evaluate("connection.state")  # the page has begun to wait by now
    await signalr.stop()
    assert await back == "Connected"

    assert (await stranger.evaluate(START, url + "/signalr/chat")).startswith("Failed to complete negotiation")
    opened = """(url) => new Promise((done) => {
        const socket = new WebSocket(url.replace("http", "ws"));
        socket.onopen = () => done("open");
        socket.onerror = () => done("refused");
    })"""
    assert await stranger.evaluate(opened, url + "/signalr/chat") == "refused"
    assert await ann.evaluate(opened, url + "/signalr/chat") == "open"


async def test_chromium_connects_from_an_allowed_origin(serve: Serve, browser: Browser) -> None:
    home = await serve(chat()[0])
    app, _ = chat(allowed_origins=[home])
    page = await open_page(browser, home)
    assert await page.evaluate(START, await serve(app) + "/signalr/chat") == "Connected"
    assert await page.evaluate("connection.invoke('add', 1, 2)") == 3
