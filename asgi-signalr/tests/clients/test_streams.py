"""Streams to and from the official client, over each transport and protocol."""

from collections.abc import Awaitable, Callable
from typing import Any

Talk = Callable[..., Awaitable[list[Any]]]

FAILED = "An unexpected error occurred invoking"


async def test_streams_arrive_item_by_item_and_say_how_they_end(talk: Talk) -> None:
    said = await talk("""
        const hub = await open("/flows");
        say(await items(hub.stream("numbers", 3)));
        say(await items(hub.stream("numbers", 0)));
        say(await items(hub.stream("shared", "abc")));
        say(await items(hub.stream("numbers_then_fail", 2)));
        say(await items(hub.stream("numbers_then_break", 1)));
        say(await items(hub.stream("shared", "")));
        say(await items(hub.stream("numbers", "many")));
        say(await items(hub.stream("missing")));
        say(await items(hub.stream("nothing")));
        say(await failure(hub.invoke("numbers", 3)));
        say((await items(hub.stream("numbers", 1000)))[0].length);
        await hub.stop();
    """)
    assert said == [
        [[0, 1, 2], None],
        [[], None],
        [["a", "b", "c"], None],
        [[0, 1], "An error occurred on the server while streaming results. HubException: no more"],
        [[0], "An error occurred on the server while streaming results."],
        [[], f"{FAILED} 'shared' on the server. HubException: Say something."],
        [[], "Failed to invoke 'numbers' due to an error on the server."],
        [[], "Failed to invoke 'missing' due to an error on the server. HubException: Method does not exist."],
        [
            [],
            "The client attempted to invoke the non-streaming 'nothing' method with a streaming invocation.",
        ],
        "The client attempted to invoke the streaming 'numbers' method with a non-streaming invocation.",
        1000,
    ]


async def test_streams_run_beside_each_other_and_beside_calls(talk: Talk) -> None:
    said = await talk("""
        const hub = await open("/flows");
        const endless = [];
        const one = hub.stream("endless").subscribe({next: (item) => endless.push(item), error: say, complete: say});
        await until(() => endless.length > 3);
        say(await Promise.all([items(hub.stream("numbers", 2)), items(hub.stream("numbers", 3))]));
        await hub.invoke("nothing");
        one.dispose();
        await hub.stop();
    """)
    assert said == [[[[0, 1], None], [[0, 1, 2], None]]]


async def test_a_stream_is_stopped_when_its_client_has_enough(talk: Talk) -> None:
    said = await talk("""
        const hub = await open("/flows");
        const stopped = heard(hub, "stopped");
        let count = 0;
        const subscription = hub.stream("endless").subscribe({
            next: () => { count++; }, error: (error) => say(error), complete: () => say("complete"),
        });
        await until(() => count > 0);
        subscription.dispose();
        say(await stopped());
        hub.stream("endless").subscribe({next: () => {}, error: () => {}, complete: () => {}}).dispose();
        await hub.invoke("nothing");
        say(await items(hub.stream("numbers", 1)));
        await hub.stop();
    """)
    assert said == [[True], [[0], None]]


async def test_the_server_reads_streams_of_its_client(talk: Talk) -> None:
    said = await talk("""
        const hub = await open("/flows");
        const upload = (method, ...parts) => {
            const subject = new signalR.Subject();
            const result = hub.invoke(method, subject);
            for (const part of parts) subject.next(part);
            subject.complete();
            return result;
        };
        say(await upload("concat", "Hello ", "wörld", "!"));
        say(await upload("concat"));
        const numbers = new signalR.Subject(), total = hub.invoke("total", 100, numbers);
        for (let each = 0; each < 200; each++) numbers.next(1);
        numbers.complete();
        say(await total);
        const [ones, others] = [new signalR.Subject(), new signalR.Subject()];
        const both = hub.invoke("join_both", ones, "-", others);
        others.next("x");
        ones.next("a");
        others.next("y");
        others.complete();
        ones.complete();
        say(await both);
        const source = new signalR.Subject(), doubled = items(hub.stream("doubled", source));
        source.next(1);
        source.next(21);
        source.complete();
        say(await doubled);
        await hub.stop();
    """)
    assert said == ["Hello wörld!", "", 300, ["a", "-", "x", "y"], [[2, 42], None]]


async def test_the_server_may_call_while_a_stream_comes_in(talk: Talk) -> None:
    said = await talk("""
        const hub = await open("/flows");
        const subject = new signalR.Subject(), result = hub.invoke("concat", subject);
        subject.next("a");
        const source = new signalR.Subject(), doubled = [];
        hub.stream("doubled", source).subscribe({next: (item) => doubled.push(item), error: say, complete: () => {}});
        source.next(1);
        await until(() => doubled.length === 1);
        source.next(2);
        await until(() => doubled.length === 2);
        source.complete();
        subject.complete();
        say([await result, doubled]);
        await hub.stop();
    """)
    assert said == [["a", [2, 4]]]


async def test_errors_of_an_uploaded_stream_reach_the_method(talk: Talk) -> None:
    said = await talk("""
        const hub = await open("/flows");
        const broken = (method) => {
            const subject = new signalR.Subject();
            const result = hub.invoke(method, subject);
            subject.next(1);
            subject.error(new Error("Something bad"));
            return result;
        };
        say(await broken("why"));
        const wrong = new signalR.Subject(), why = hub.invoke("why", wrong);
        wrong.next("one");
        say(await why);
        const early = new signalR.Subject(), first = hub.invoke("first", early);
        early.next("a");
        say(await first);
        early.next("ignored");
        early.complete();
        const ignored = new signalR.Subject();
        say(await failure(hub.invoke("nothing", ignored)));
        say(await failure(hub.invoke("concat", "no stream")));
        const none = new signalR.Subject(), complete = hub.invoke("why", none);
        none.complete();
        say(await complete);
        await hub.stop();
    """)
    assert said == [
        "HubException: Something bad",
        "HubException: Failed to bind Stream message.",
        "a",
        f"{FAILED} 'nothing' on the server. HubException: Client sent 1 stream(s), Hub method expects 0.",
        "Failed to invoke 'concat' due to an error on the server.",
        "complete",
    ]
