"""The official client calls a hub, over each transport and protocol."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from functional_app import encoded

VALUES: list[Any] = [
    *(None, True, 0, -1, 1.5, 2**53 - 1, -(2**31), "", '\u4f60\u597d \U0001f600 \u2028 \x1e \0 "\\', [], {}),
    [[1, [2, [3]]], {"a": {"b": [None, False]}, "": "empty", "ключ": 1}],
]

Talk = Callable[..., Awaitable[list[Any]]]


async def test_results_come_back_in_order_and_names_are_case_insensitive(talk: Talk) -> None:
    said = await talk("""
        const lab = await open("/lab");
        say(await Promise.all([
            lab.invoke("add", 1, 2), lab.invoke("ADD", -1, 1), lab.invoke("scale", 1.5), lab.invoke("Scale", 1.5, 3),
            lab.invoke("nothing"), lab.invoke("count_all"), lab.invoke("count_all", "a", "b"), lab.invoke("getText", 3),
        ]));
        const [first, second] = [lab.invoke("remember", "first"), lab.invoke("remember", "second")];
        say([await second, await first]);
        await lab.stop();
        say(lab.state);
    """)
    assert said == [[3, 0, 3, 4.5, None, 0, 2, "üüü"], ["first", None], "Disconnected"]


async def test_values_of_every_kind_return_unchanged(talk: Talk) -> None:
    said = await talk(f"""
        const lab = await open("/lab");
        for (const value of {json.dumps(VALUES)}) say(await lab.invoke("echo", value));
        await lab.stop();
    """)
    assert said == VALUES


async def test_a_method_gets_and_gives_the_types_it_declares(talk: Talk, wire: Any) -> None:
    said = await talk("""
        const lab = await open("/lab");
        const bytes = protocol === "json" ? "AAH/" : new Uint8Array([0, 1, 255]);
        const text = "2002-04-01T10:20:15.250Z", moment = protocol === "json" ? text : new Date(text);
        const value = {
            data: bytes, moment, key: "00010203-0405-0607-0706-050403020100", price: "12.30",
            colour: protocol === "json" ? "blue" : "BLUE",
            point: {x: 1.5, y: -2}, maybe: null,
        };
        say(await lab.invoke("everything", value));
        say(await lab.invoke("older", {name: "Ann", age: 41}));
        delete value.point.y;
        say((await lab.invoke("everything", value)).point);
        say(await lab.invoke("reverse", bytes));
        await lab.stop();
    """)
    is_json = wire.protocol == "json"
    assert said == [
        {
            "data": encoded(b"\x00\x01\xff") if is_json else {"bytes": [0, 1, 255]},
            "moment": "2002-04-01T10:20:15.250000Z" if is_json else {"date": "2002-04-01T10:20:15.250Z"},
            "key": "00010203-0405-0607-0706-050403020100",
            "price": "12.30",
            "colour": "blue" if is_json else "BLUE",
            "point": {"x": 1.5, "y": -2},
            "maybe": None,
        },
        {"name": "Ann", "age": 42},
        {"x": 1.5, "y": 0},
        encoded(b"\xff\x01\x00") if is_json else {"bytes": [255, 1, 0]},
    ]


async def test_errors_say_what_the_client_may_know(talk: Talk) -> None:
    said = await talk("""
        const lab = await open("/lab");
        say(await failure(lab.invoke("missing")));
        say(await failure(lab.invoke("on_connected")));
        say(await failure(lab.invoke("fail", "on purpose")));
        say(await failure(lab.invoke("break_down")));
        say(await failure(lab.invoke("unencodable")));
        say(await failure(lab.invoke("add", 1)));
        say(await failure(lab.invoke("add", 1, 2, 3)));
        say(await failure(lab.invoke("add", "one", 2)));
        say(await failure(lab.invoke("older", {name: "Ann", age: -1})));
        await lab.send("missing");
        await lab.send("break_down");
        say(await lab.invoke("add", 1, 2));
        await lab.stop();
    """)
    assert said == [
        "Failed to invoke 'missing' due to an error on the server. HubException: Method does not exist.",
        "Failed to invoke 'on_connected' due to an error on the server. HubException: Method does not exist.",
        "An unexpected error occurred invoking 'fail' on the server. HubException: on purpose",
        "An unexpected error occurred invoking 'break_down' on the server.",
        "An unexpected error occurred invoking 'unencodable' on the server.",
        "Failed to invoke 'add' due to an error on the server.",
        "Failed to invoke 'add' due to an error on the server.",
        "Failed to invoke 'add' due to an error on the server.",
        "Failed to invoke 'older' due to an error on the server.",
        3,
    ]


async def test_large_messages_go_both_ways(talk: Talk) -> None:
    said = await talk("""
        const lab = await open("/lab");
        say(await lab.invoke("length", "x".repeat(32_000)));
        const text = await lab.invoke("getText", 500_000);
        say([text.length, text === "ü".repeat(500_000)]);
        const told = heard(lab, "told");
        await lab.send("burst", 1000);
        const numbers = [];
        for (let each = 0; each < 1000; each++) numbers.push((await told())[0]);
        say(numbers.every((number, index) => number === index));
        await lab.stop();
    """)
    assert said == [32000, [500_000, True], True]


async def test_an_oversized_message_ends_the_connection_with_a_reason(talk: Talk) -> None:
    said = await talk("""
        const lab = await open("/lab");
        const end = ended(lab);
        say(await failure(lab.invoke("length", "x".repeat(33_000))));
        say(await end);
    """)
    assert said == ["Server returned an error on close: Connection closed with an error."] * 2


async def test_handlers_are_found_whatever_their_case_and_can_be_taken_off(talk: Talk) -> None:
    said = await talk("""
        const lab = await open("/lab");
        const calls = [];
        const first = (...values) => calls.push(["first", ...values]);
        lab.on("TOLD", first);
        lab.on("told", (...values) => calls.push(["second", ...values]));
        await lab.invoke("tell_caller", 1, null, "x");
        lab.off("tOLD", first);
        await lab.invoke("tell_caller", 2);
        lab.off("told");
        await lab.invoke("tell_caller", 3);
        say(calls);
        await lab.stop();
    """)
    assert said == [[["first", 1, None, "x"], ["second", 1, None, "x"], ["second", 2]]]


async def test_a_connection_can_be_started_again(talk: Talk) -> None:
    said = await talk("""
        const lab = builder("/lab").build();
        const ids = [];
        for (const number of [1, 2]) {
            const end = ended(lab);
            await lab.start();
            ids.push((await lab.invoke("whoami")).id === lab.connectionId, lab.connectionId);
            await lab.stop();
            say([await end, lab.state, lab.connectionId]);
        }
        say([ids[0], ids[2], ids[1] === ids[3]]);
    """)
    assert said == [[None, "Disconnected", None], [None, "Disconnected", None], [True, True, False]]
