"""The official client keeps its connection while the network breaks under it: nothing is lost, nothing comes twice."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from functional_app import create_app
from network import Proxy

Run = Callable[..., Awaitable[list[Any]]]
Serve = Callable[..., Awaitable[str]]


@pytest.fixture
async def network(serve: Serve) -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """Serves the application behind a proxy; gives both URLs. The second takes orders for the proxy."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(**options: Any) -> str:
            app = create_app(allow_stateful_reconnects=True, **options)
            url = await serve(app)
            proxy = Proxy(urlsplit(url).port or 0)
            through = await stack.enter_async_context(proxy.listening())

            @app.post("/cut")
            async def cut() -> None:
                proxy.cut()

            @app.post("/down")
            async def down(is_down: bool) -> None:
                proxy.down(is_down)

            return f"{through} {url}"

        yield start


TOOLS = """
    const [through, direct] = url.split(" ");
    const post = (path) => fetch(direct + path, {method: "POST"});
    const begin = (options) => builder("", options).withUrl(through + "/signalr/lab", {transport: 1, ...options});
    const events = [];
    const watch = (lab) => {
        lab.onreconnecting(() => events.push("reconnecting"));
        lab.onclose((error) => events.push(`closed ${error}`));
        return lab;
    };
"""


@pytest.mark.parametrize("protocol", ["json", "messagepack"])
async def test_nothing_is_lost_and_nothing_comes_twice(network: Any, run_in_node: Run, protocol: str) -> None:
    said = await run_in_node(
        TOOLS
        + """
        const lab = watch(begin().withStatefulReconnect().build());
        const told = [];
        lab.on("told", (number) => told.push(number));
        await lab.start();
        const id = lab.connectionId;
        const calls = [];
        for (let round = 0; round < 5; round++) {
            for (let each = 0; each < 20; each++) {
                const number = 20 * round + each;
                calls.push(lab.invoke("tell_all", String(number)).then(() => number));
                if (each === 10) await post("/cut");
            }
            await Promise.all(calls);
        }
        say((await Promise.all(calls)).length);
        await until(() => told.length >= 100);
        await lab.invoke("nothing");
        say([told.map(Number).every((each, index) => each === index), told.length]);
        say([lab.connectionId === id, (await lab.invoke("whoami")).id === id]);
        await lab.stop();
        say(events);
        """,
        await network(),
        protocol=protocol,
    )
    assert said == [100, [True, 100], [True, True], ["closed undefined"]]


async def test_what_was_sent_meanwhile_arrives_in_order(network: Any, run_in_node: Run) -> None:
    said = await run_in_node(
        TOOLS
        + """
        const lab = watch(begin().withStatefulReconnect().build()), told = heard(lab, "told");
        await lab.start();
        await lab.invoke("join", "room");
        const other = builder().withUrl(direct + "/signalr/lab").build();
        await other.start();
        await post("/cut");
        for (const word of ["one", "two", "three"]) await other.invoke("tell_group", "room", word);
        await other.invoke("tell_all", "all");
        await other.invoke("tell_client", lab.connectionId, "you");
        await post("/news");
        const words = [];
        for (let each = 0; each < 6; each++) words.push((await told())[0]);
        say(words);
        await Promise.all([lab.stop(), other.stop()]);
        say(events);
        """,
        await network(),
    )
    assert said == [["one", "two", "three", "all", "you", "news"], ["closed undefined"]]


@pytest.mark.slow  # the client acknowledges once a second
async def test_more_than_the_buffer_holds_waits_for_its_turn(network: Any, run_in_node: Run) -> None:
    said = await run_in_node(
        TOOLS
        + """
        const lab = watch(begin().withStatefulReconnect({bufferSize: 2000}).build()), told = [];
        lab.on("told", (number) => told.push(number));
        await lab.start();
        const burst = lab.invoke("burst", 200);
        await until(() => told.length > 10);
        await post("/cut");
        await burst;
        await until(() => told.length >= 200);
        say([told.length, told.every((number, index) => number === index)]);
        await post("/cut");
        const texts = await Promise.all([1, 2, 3, 4].map(() => lab.invoke("length", "x".repeat(1500))));
        say([texts, (await lab.invoke("getText", 300_000)).length]);
        await lab.stop();
        say(events);
        """,
        await network(stateful_reconnect_buffer_size=5000),
    )
    assert said == [[200, True], [[1500] * 4, 300_000], ["closed undefined"]]


async def test_streams_both_ways_and_answers_survive(network: Any, run_in_node: Run) -> None:
    said = await run_in_node(
        TOOLS
        + """
        const hub = watch(begin().withUrl(through + "/signalr/flows", {transport: 1}).withStatefulReconnect().build());
        await hub.start();
        const subject = new signalR.Subject(), doubled = items(hub.stream("doubled", subject));
        for (let each = 0; each < 30; each++) {
            subject.next(each);
            if (each % 10 === 5) { await post("/cut"); await hub.invoke("nothing"); }
        }
        subject.complete();
        const [numbers, error] = await doubled;
        say([numbers.length, numbers.every((number, index) => number === 2 * index), error]);
        hub.on("answer", async (question) => { await post("/cut"); return question + "!"; });
        say(await hub.invoke("ask", "still there?"));
        await hub.stop();
        say(events);
        """,
        await network(),
    )
    assert said == [[30, True, None], "still there?!", ["closed undefined"]]


async def test_a_network_that_stays_away_ends_the_connection(network: Any, run_in_node: Run) -> None:
    said = await run_in_node(
        TOOLS
        + """
        const watcher = builder().withUrl(direct + "/signalr/lab?group=room").build(), left = heard(watcher, "left");
        await watcher.start();
        const lab = builder().withUrl(through + "/signalr/lab?group=room", {transport: 1})
            .withStatefulReconnect().withAutomaticReconnect([0, 0, 0, 0]).build();
        const end = ended(lab);
        await lab.start();
        const id = lab.connectionId;
        await post("/down?is_down=true");
        say(await end);
        say((await left())[0] === id);
        await post("/down?is_down=false");
        await lab.start();
        say(await lab.invoke("add", 1, 2));
        await Promise.all([lab.stop(), watcher.stop()]);
        """,
        await network(disconnect_timeout=0.5),
    )
    assert said == [None, True, 3]


async def test_a_client_that_does_not_ask_is_not_kept(network: Any, run_in_node: Run) -> None:
    said = await run_in_node(
        TOOLS
        + """
        const lab = watch(begin().withAutomaticReconnect([0, 0]).build()), [again, back] = returning(lab);
        await lab.start();
        const id = lab.connectionId;
        await post("/cut");
        await again;
        say(await back === id);
        await lab.stop();
        """,
        await network(),
    )
    assert said == [False]


async def test_a_server_that_does_not_offer_it_is_content_without(serve: Serve, run_in_node: Run) -> None:
    said = await run_in_node(
        """
        const lab = builder("/signalr/lab").withStatefulReconnect().build();
        await lab.start();
        say(await lab.invoke("add", 1, 2));
        await lab.stop();
        """,
        await serve(create_app()),
    )
    assert said == [3]
