"""How the official client finds its way to a hub: negotiation, redirects, and the choice of a transport."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asgi_signalr import SignalR
from functional_app import Lab, create_app

Run = Callable[..., Awaitable[list[Any]]]
Serve = Callable[..., Awaitable[str]]

NONE_LEFT = "Unable to connect to the server with any of the available transports."


def disabled(transport: str) -> str:
    return f"{transport} failed: Error: '{transport}' is disabled by the client."


async def test_a_redirect_is_followed_each_time(run_in_node: Run, lab_url: str, wire: Any) -> None:
    said = await run_in_node(
        """
        const lab = builder("/redirect").withAutomaticReconnect([0]).build();
        const [again, back] = returning(lab);
        await lab.start();
        const first = await lab.invoke("query");
        say((await lab.invoke("whoami")).user);  // the redirection brought a token along
        lab.serverTimeout();
        await again;
        say([await back === lab.connectionId, (await lab.invoke("whoami")).id === lab.connectionId]);
        say(Number((await lab.invoke("query")).redirects) > Number(first.redirects));
        await lab.stop();
        """,
        lab_url,
        **wire._asdict(),
    )
    assert said == ["redirected", [True, True], True]


async def test_a_wrong_server_is_named_as_what_it_is(run_in_node: Run, lab_url: str) -> None:
    said = await run_in_node(
        """
        for (const path of ["/classic", "/broken", "/signalr/nowhere"]) say(await failure(open(path)));
        """,
        lab_url,
    )
    failed = "Failed to complete negotiation with the server: Error: "
    assert said[0].startswith("Detected a connection attempt to an ASP.NET SignalR Server.")
    assert said[1] == f"{failed}Some text from the server: Status code '400'"
    assert said[2].startswith(failed)
    assert said[2].endswith(
        "Status code '404' Either this is not a SignalR endpoint or there is a proxy blocking the connection."
    )


@pytest.mark.parametrize("protocol", ["json", "messagepack"])
async def test_web_sockets_need_no_negotiation(run_in_node: Run, lab_url: str, protocol: str) -> None:
    said = await run_in_node(
        """
        const lab = builder("/signalr/lab?room=1", {skipNegotiation: true}).withAutomaticReconnect([0]).build();
        const [again, back] = returning(lab);
        await lab.start();
        say([lab.connectionId, await lab.invoke("query"), await lab.invoke("add", 1, 2)]);
        lab.serverTimeout();
        await again;
        say([await back, await lab.invoke("add", 1, 2)]);
        await lab.stop();
        say(await failure(open("/signalr/private", {skipNegotiation: true})).then((text) => text.slice(0, 28)));
        """,
        lab_url,
        transport="WebSockets",
        protocol=protocol,
    )
    assert said == [[None, {"room": "1"}, 3], [None, 3], "WebSocket failed to connect."]


async def test_a_plain_application_serves_all_transports(run_in_node: Run, serve: Serve, wire: Any) -> None:
    signalr = SignalR()
    signalr.hub("/lab")(Lab)
    said = await run_in_node(
        """
        const lab = await open("/lab");
        say(await lab.invoke("add", 1, 2));
        await lab.stop();
        """,
        await serve(signalr),
        **wire._asdict(),
    )
    assert said == [3]


async def test_the_client_falls_back_to_what_works(run_in_node: Run, lab_url: str) -> None:
    said = await run_in_node(
        """
        class Broken { constructor() { throw new Error("not today"); } }
        const used = async (options, url) => {
            const lab = await open("/signalr/lab", options);
            const name = lab.connection.transport.constructor.name, sum = await lab.invoke("add", 1, 2);
            await lab.stop();
            return [name, sum];
        };
        say(await used({}));
        say(await used({WebSocket: Broken}));
        say(await used({WebSocket: Broken, EventSource: Broken}));
        const {WebSockets, ServerSentEvents, LongPolling} = signalR.HttpTransportType;
        say(await used({transport: WebSockets | LongPolling, WebSocket: Broken}));
        say(await failure(used({transport: WebSockets, WebSocket: Broken})));
        """,
        lab_url,
    )
    assert said == [
        ["WebSocketTransport", 3],
        ["ServerSentEventsTransport", 3],
        ["LongPollingTransport", 3],
        ["LongPollingTransport", 3],
        f"{NONE_LEFT} Error: WebSockets failed: Error: not today "
        f"{disabled('ServerSentEvents')} {disabled('LongPolling')}",
    ]


async def test_messagepack_passes_over_server_sent_events(run_in_node: Run, lab_url: str) -> None:
    said = await run_in_node(
        """
        const {ServerSentEvents, LongPolling} = signalR.HttpTransportType;
        const lab = await open("/signalr/lab", {transport: ServerSentEvents | LongPolling});
        say([lab.connection.transport.constructor.name, await lab.invoke("add", 1, 2)]);
        await lab.stop();
        """,
        lab_url,
        protocol="messagepack",
    )
    assert said == [["LongPollingTransport", 3]]


@pytest.mark.parametrize("protocol", ["json", "messagepack"])
async def test_who_stops_polling_says_so(run_in_node: Run, lab_url: str, protocol: str) -> None:
    said = await run_in_node(
        """
        const requests = [], inner = new signalR.DefaultHttpClient({log() {}});
        class Watched extends signalR.HttpClient {
            send(request) {
                const answer = inner.send(request);
                if (!request.url.includes("negotiate")) {
                    requests.push(answer.then((got) => [request.method, got.statusCode], (error) => error.message));
                }
                return answer;
            }
        }
        const lab = await open("/signalr/lab", {httpClient: new Watched()});
        say(await lab.invoke("add", 1, 2));
        await lab.stop();
        const seen = (await Promise.all(requests)).map(String);
        say([...new Set(seen)].sort());
        say(seen.filter((each) => each.startsWith("DELETE")).length);
        """,
        lab_url,
        transport="LongPolling",
        protocol=protocol,
    )
    gone = [["An abort occurred."], ["GET,204"], []]  # the last poll: given up by the client, or answered just before
    assert said[0] == 3
    assert said[1] in [sorted(["DELETE,202", "GET,200", "POST,200", *last]) for last in gone]
    assert said[2] == 1


async def test_a_hub_offers_only_the_transports_it_is_given(run_in_node: Run, serve: Serve) -> None:
    said = await run_in_node(
        """
        const lab = await open("/signalr/lab");
        say([lab.connection.transport.constructor.name, await lab.invoke("add", 1, 2)]);
        await lab.stop();
        say(await failure(open("/signalr/lab", {transport: signalR.HttpTransportType.WebSockets})));
        """,
        await serve(create_app(transports=("LongPolling",))),
    )
    assert said == [
        ["LongPollingTransport", 3],
        f"{NONE_LEFT} {disabled('LongPolling')}",
    ]
