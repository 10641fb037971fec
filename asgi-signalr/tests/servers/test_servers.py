"""The official client and the same application on each ASGI server; docs/servers.md says what they cannot do."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

Run = Callable[..., Awaitable[list[Any]]]

HANDSHAKE = '{"protocol":"json","version":1}\x1e'


async def test_each_server_carries_each_transport(server: Any, run_in_node: Run) -> None:
    said = await run_in_node(
        """
        const json = ["WebSockets", "ServerSentEvents", "LongPolling"].map((name) => [name, "json"]);
        const watcher = await open("/lab?group=watched", {transport: "WebSockets"});
        const left = heard(watcher, "left"), told = heard(watcher, "told");
        for (const [transport, protocol] of [...json, ["WebSockets", "messagepack"]]) {
            const options = {transport, protocol, accessTokenFactory: () => "ann"};
            const hub = builder("/lab?group=watched", options).build(), heardBack = heard(hub, "told");
            await hub.start();
            const results = [await hub.invoke("add", 1, 2), (await hub.invoke("whoami")).user];
            results.push(await hub.invoke("length", "x".repeat(32_000)));
            results.push(await hub.invoke("getText", 300_000) === "ü".repeat(300_000));
            await hub.invoke("tell_others_in_group", "watched", transport);
            results.push((await told())[0]);
            await watcher.invoke("tell_others_in_group", "watched", "hello");
            results.push((await heardBack())[0]);
            const id = hub.connectionId;
            await hub.stop();
            const [who, why] = await left();
            results.push(who === id, why);
            say(results);
        }
        await watcher.stop();
        """,
        server.url + "/signalr",
    )
    transports = ["WebSockets", "ServerSentEvents", "LongPolling", "WebSockets"]
    assert said == [[3, "ann", 32000, True, transport, "hello", True, None] for transport in transports]


async def upgrade(url: str) -> tuple[int, str]:
    """Ask for a WebSocket; returns the status code and the text of the answer."""
    try:
        async with connect(url.replace("http", "ws")):
            return 101, ""
    except InvalidStatus as refused:
        return refused.response.status_code, (refused.response.body or b"").decode()


async def test_refusals_keep_their_status_codes(server: Any) -> None:
    hub = server.url + "/signalr/lab"
    async with httpx.AsyncClient() as client:
        asked = [
            await client.get(hub),
            await client.get(hub + "?id=unknown"),
            await client.get(hub + "?id=unknown", headers={"Accept": "text/event-stream"}),
            await client.post(hub + "?id=unknown"),
            await client.delete(hub),
            await client.put(hub),
            await client.get(hub + "/negotiate"),
            await client.post(server.url + "/signalr/private/negotiate"),
        ]
    assert [each.status_code for each in asked] == [400, 404, 404, 404, 400, 405, 405, 401]
    assert asked[-1].text == "Unauthorized"  # what clients say, whether or not the server writes a reason phrase
    paths = ("/lab?id=unknown", "/private", "/nowhere")
    refused = [await upgrade(server.url + "/signalr" + path) for path in paths]
    if server.name == "daphne":  # cannot answer a WebSocket's request otherwise
        assert refused == [(403, "")] * 3
    else:
        assert refused[0][0] == 404
        assert refused[0][1].startswith("No Connection with that ID")
        assert [status for status, _ in refused[1:]] == [401, 404]


async def vanish_from_web_sockets(hub: str) -> None:
    """Reset the TCP connection."""
    socket = await connect(hub.replace("http", "ws"))
    await socket.send(HANDSHAKE)
    assert await socket.recv() == "{}\x1e"
    socket.transport.abort()


@contextlib.asynccontextmanager
async def negotiated(hub: str) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    async with httpx.AsyncClient() as client:
        path, _, query = hub.partition("?")
        answer = await client.post(f"{path}/negotiate?negotiateVersion=1&{query}")
        yield client, f"{hub}&id={answer.json()['connectionToken']}"


async def vanish_from_events(hub: str) -> None:
    """Leave the stream in its midst."""
    async with (
        negotiated(hub) as (client, url),
        client.stream("GET", url, headers={"Accept": "text/event-stream"}) as events,
    ):
        await client.post(url, content=HANDSHAKE)
        async for line in events.aiter_lines():
            if "{}" in line:
                break


async def vanish_from_polls(hub: str) -> None:
    """Leave a poll without an answer."""
    async with negotiated(hub) as (client, url):
        assert (await client.get(url)).content == b""
        await client.post(url, content=HANDSHAKE)
        assert (await client.get(url)).text == "{}\x1e"
        with contextlib.suppress(httpx.ReadTimeout):
            await client.get(url, timeout=0.1)


@pytest.mark.parametrize("vanish", [vanish_from_web_sockets, vanish_from_events, vanish_from_polls])
async def test_clients_that_vanish_are_missed(server: Any, vanish: Callable[[str], Awaitable[None]]) -> None:
    group = vanish.__name__
    hub = f"{server.url}/signalr/lab?group={group}"
    async with connect(hub.replace("http", "ws")) as watcher:
        await watcher.send(HANDSHAKE)
        assert await watcher.recv() == "{}\x1e"
        await vanish(hub)
        async with asyncio.timeout(10):
            assert '"target":"left"' in await watcher.recv()


async def test_a_connection_survives_its_web_socket(server: Any) -> None:
    hub = server.url + "/signalr/lab"
    async with httpx.AsyncClient() as client:
        answer = await client.post(hub + "/negotiate?negotiateVersion=1&useStatefulReconnect=true")
    url = f"{hub.replace('http', 'ws')}?id={answer.json()['connectionToken']}"
    call = '{"type":1,"target":"add","arguments":[1,%d],"invocationId":"1"}\x1e'
    first = await connect(url)
    await first.send(HANDSHAKE.replace('"version":1', '"version":2'))
    assert await first.recv() == "{}\x1e"
    await first.send(call % 1)
    assert await first.recv() == '{"type":3,"invocationId":"1","result":2}\x1e'
    first.transport.abort()
    async with connect(url) as again:
        await again.send('{"type":9,"sequenceId":2}\x1e' + call % 2)
        received = ""
        while '"result":3' not in received:
            received += str(await again.recv())
    assert received.startswith('{"type":9,"sequenceId":1}\x1e{"type":3,"invocationId":"1","result":2}\x1e')


async def test_a_close_without_a_code_is_answered(server: Any, run_in_node: Run) -> None:
    said = await run_in_node(
        """
        const socket = new WebSocket(url.replace("http", "ws") + "/signalr/lab");
        await new Promise((done) => { socket.onopen = done; });
        const closed = new Promise((done) => { socket.onclose = done; });
        socket.close();
        const {code, wasClean} = await closed;
        say([code, wasClean]);
        """,
        server.url,
    )
    # As ASP.NET Core does; most servers just repeat the client's frame.
    assert said == [[1000 if server.name in ("uvicorn-adapter", "daphne") else 1005, True]]


# The end of a server: what its clients are told, and whether it ends by itself.

RESET = "WebSocket closed with status code: 1006 (no reason given)."
RESTART = "WebSocket closed with status code: 1012 (no reason given)."
ENDS = {
    "uvicorn-websockets-sansio": [RESTART, None, None],
    "uvicorn-websockets": [RESTART, None, None],
    "uvicorn-wsproto": [RESTART, None, None],
    "hypercorn": [None, None, ": Status code '500'"],
    "granian": [RESET, None, "fetch failed"],
    "daphne": [RESET, None, "fetch failed"],
}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no SIGTERM.")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name.endswith("sansio") else pytest.mark.slow) for name in ENDS]
)
async def test_clients_come_back_after_the_end_of_a_server(
    start_server: Callable[[str], Any], run_in_node: Run, name: str
) -> None:
    server = start_server(name)
    ends = await run_in_node(
        """
            const ends = [];
            for (const name of ["WebSockets", "ServerSentEvents", "LongPolling"]) {
                const lab = builder("/lab", {transport: name});
                const hub = lab.withAutomaticReconnect([60_000]).build();
                ends.push(new Promise((done) => hub.onreconnecting((error) => done(error ? error.message : null))));
                await hub.start();
            }
            await new Promise((done) => setTimeout(done, 300));  // the next poll has to be there to be answered
            process.kill(PID, "SIGTERM");
            say(await Promise.all(ends));
            """.replace("PID", str(server.process.pid)),
        server.url + "/signalr",
    )
    assert ends == [ENDS[name]]
    assert await server.exited() in (0, -signal.SIGTERM)
