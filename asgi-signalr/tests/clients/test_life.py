"""How connections of the official client begin, end and come back, over each transport and protocol."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from functional_app import create_app

Talk = Callable[..., Awaitable[list[Any]]]
Serve = Callable[..., Awaitable[str]]

# Beginning.


async def test_a_connection_knows_its_id_and_what_came_with_its_request(talk: Talk, wire: Any) -> None:
    said = await talk("""
        const lab = await open("/lab?room=b%20ü&empty=", {
            headers: {"X-Test": "value"}, accessTokenFactory: async () => "ann",
        });
        const {id, user} = await lab.invoke("whoami");
        say([id === lab.connectionId, user]);
        say(await lab.invoke("query"));
        say(await lab.invoke("header", "x-test"));
        await lab.stop();
    """)
    # The standard EventSource takes no headers.
    header = None if wire.transport == "ServerSentEvents" else "value"
    query = {"room": "b ü", "empty": ""}
    assert said[0] == [True, "ann"]
    assert {name: value for name, value in said[1].items() if name in query} == query
    assert said[2] == header


async def test_who_may_not_enter_is_told_by_status_code(talk: Talk) -> None:
    said = await talk("""
        const start = (user) => failure(open("/private", user ? {accessTokenFactory: () => user} : {}));
        say(await start());
        say(await start("eve"));
        say(await start("ann"));
        const [ann, bob] = [await open("/private", {accessTokenFactory: () => "ann"}),
            await open("/private", {accessTokenFactory: () => "bob"})];
        say(await ann.invoke("for_ann"));
        say(await failure(bob.invoke("for_ann")));
        await Promise.all([ann.stop(), bob.stop()]);
        say(await failure(open("/nowhere")));
    """)
    failed = "Failed to complete negotiation with the server: Error: "
    assert said[:5] == [
        f"{failed}Unauthorized: Status code '401'",
        f"{failed}Forbidden: Status code '403'",
        "no failure",
        "hello ann",
        "Failed to invoke 'for_ann' because user is unauthorized",
    ]
    assert said[5].startswith(failed)
    assert "Status code '404'" in said[5]


async def test_a_client_whose_token_has_expired_goes_on_with_a_fresh_one(talk: Talk, wire: Any) -> None:
    said = await talk("""
        // What the client does with a 401 is never reached with its own HTTP client, which throws first.
        class Telling extends signalR.DefaultHttpClient {
            send(request) {
                return super.send(request).catch((error) => {
                    if (error.statusCode === 401) return new signalR.HttpResponse(401, "Unauthorized", "");
                    throw error;
                });
            }
        }
        let tokens = 0;
        const httpClient = new Telling(signalR.NullLogger.instance);
        const accessTokenFactory = () => `ann;5;${crypto.randomUUID()};${++tokens}`;
        const lab = await open("/private", {httpClient, accessTokenFactory});
        for (let call = 0; call < 12; call++) say(await lab.invoke("for_ann"));
        await lab.stop();
        say(tokens > 2);
    """)
    assert said[:-1] == ["hello ann"] * 12
    assert said[-1] is (wire.transport != "WebSockets")  # these make no request for each call


async def test_a_hub_may_refuse_a_connection_as_it_begins(talk: Talk, wire: Any) -> None:
    said = await talk("""
        const why = async (path) => {
            const lab = builder(path).withAutomaticReconnect([0]).build();
            const end = ended(lab);
            return Promise.race([failure(lab.start()).then((text) => text === "no failure" ? end : text), end]);
        };
        say(await why("/lab?refused"));
        say(await why("/unlucky"));
    """)
    error = "Server returned an error on close: Connection closed with an error. HubException: "
    # Over Server-Sent Events the client's first ping, a request of its own, may come when all is over.
    gone = ["No Connection with that ID: Status code '404'"] if wire.transport == "ServerSentEvents" else []
    assert said[0] in [error + "You are not wanted.", *gone]
    assert said[1] in [error + "No luck.", *gone]


async def test_messages_of_on_connected_are_heard(talk: Talk) -> None:
    said = await talk("""
        const lab = builder("/lab?welcome").build();
        const welcome = heard(lab, "welcome");
        await lab.start();
        say((await welcome())[0] === lab.connectionId);
        await lab.stop();
    """)
    assert said == [True]


async def test_stop_may_interrupt_start(talk: Talk) -> None:
    said = await talk("""
        const lab = builder("/lab").build();
        const starting = failure(lab.start());
        await lab.stop();
        say([await starting, lab.state]);
        await lab.start();
        say(await lab.invoke("add", 1, 2));
        await lab.stop();
    """)
    assert said == [["The connection was stopped during negotiation.", "Disconnected"], 3]


# The end.


async def test_the_server_may_abort(talk: Talk) -> None:
    said = await talk("""
        const lab = builder("/lab").withAutomaticReconnect([0]).build();
        await lab.start();
        const end = ended(lab);
        await lab.send("abort");
        say([await end, lab.state]);
    """)
    assert said == [[None, "Disconnected"]]


async def test_a_client_that_may_reconnect_does_when_the_server_has_stopped(
    serve: Serve, run_in_node: Talk, wire: Any
) -> None:
    url = await serve(create_app())
    said = await run_in_node(
        """
        const lab = builder("/signalr/lab").withAutomaticReconnect([0, 0, 10]).build();
        const [again, back] = returning(lab);
        await lab.start();
        const first = lab.connectionId;
        await lab.invoke("join", "room");
        const plain = await open("/signalr/lab"), end = ended(plain);
        await fetch(url + "/stop", {method: "POST"});
        say([await again, await back === lab.connectionId, lab.connectionId === first]);
        say(await end);
        const told = heard(lab, "told");
        await lab.invoke("tell_group", "room", "membership ended with the connection");
        await lab.invoke("join", "room");
        await lab.invoke("tell_group", "room", "again");
        say(await told());
        await lab.stop();
        """,
        url,
        **wire._asdict(),
    )
    assert said == [[None, True, False], None, ["again"]]


async def test_the_client_gives_up_a_silent_server_and_comes_back(talk: Talk, wire: Any) -> None:
    said = await talk("""
        const lab = builder("/lab").withAutomaticReconnect([0]).build();
        const [again, back] = returning(lab);
        await lab.start();
        const first = lab.connectionId;
        lab.serverTimeoutInMilliseconds = 1;
        await lab.invoke("nothing").catch(() => null);
        if (transport === "LongPolling") lab.serverTimeout();  // its polls take the place of pings
        say(await again);
        lab.serverTimeoutInMilliseconds = 30_000;
        say([await back === lab.connectionId, lab.connectionId === first]);
        say(await lab.invoke("add", 1, 2));
        await lab.stop();
    """)
    assert said == ["Server timeout elapsed without receiving a message from the server.", [True, False], 3]


async def test_pings_keep_a_quiet_connection_alive_both_ways(serve: Serve, run_in_node: Talk) -> None:
    said = await run_in_node(
        """
        const ends = await Promise.all(["WebSockets", "ServerSentEvents", "LongPolling"].map(async (transport) => {
            const lab = builder("/signalr/lab", {transport}).withServerTimeout(1000).withKeepAliveInterval(100).build();
            let end = "alive";
            lab.onclose((error) => { end = error ? error.message : "closed"; });
            await lab.start();
            await new Promise((done) => setTimeout(done, 1500));
            const said = [end, await lab.invoke("add", 1, 2)];
            await lab.stop();
            return said;
        }));
        say(ends);
        """,
        await serve(create_app(keep_alive_interval=0.2, client_timeout_interval=1)),
    )
    assert said == [[["alive", 3]] * 3]


async def test_the_server_gives_up_a_client_that_has_fallen_silent(serve: Serve, run_in_node: Talk, wire: Any) -> None:
    if wire.transport == "LongPolling":
        pytest.skip("its polls are signs of life")
    said = await run_in_node(
        """
        const lab = builder("/signalr/lab").withKeepAliveInterval(60_000).build();
        const end = ended(lab);
        await lab.start();
        say(await end);
        """,
        await serve(create_app(keep_alive_interval=0.1, client_timeout_interval=0.2, detailed_errors=True)),
        **wire._asdict(),
    )
    error = "Connection closed with an error. OperationCanceledException: "
    reason = "Client hasn't sent a message/ping within the configured ClientTimeoutInterval."
    assert said == [f"Server returned an error on close: {error}{reason}"]
