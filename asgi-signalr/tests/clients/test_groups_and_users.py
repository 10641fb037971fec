"""Who hears what, as the official client sees it, over each transport and protocol."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from functional_app import create_app

Talk = Callable[..., Awaitable[list[Any]]]

# Three connections, of which two are the same user's. Each round ends with a word to everybody, so that what was not
# for somebody shows.
THREE = """
    const room = crypto.randomUUID(), user = (name) => ({accessTokenFactory: () => name + room});
    const all = await Promise.all([open("/lab", user("ann")), open("/lab", user("bob")), open("/lab", user("bob"))]);
    const [ann, bob, bobby] = all;
    const told = all.map((each) => heard(each, "told"));
    const round = async (...call) => {
        await ann.invoke(...call);
        await ann.invoke("tell_clients", all.map((each) => each.connectionId), "|");
        const heardBy = [];
        for (const next of told) {
            let [text] = await next(), texts = "";
            while (text !== "|") { texts += text; [text] = await next(); }
            heardBy.push(texts);
        }
        say(heardBy);
    };
"""
STOP = """
    await Promise.all(all.map((each) => each.stop()));
"""


async def test_callers_choose_who_hears_them(talk: Talk) -> None:
    said = await talk(f"""{THREE}
        await round("tell_caller", "caller");
        await round("tell_client", bob.connectionId, "client");
        await round("tell_client", "unknown", "nobody");
        await round("tell_clients", [bob.connectionId, bobby.connectionId, "unknown"], "clients");
        await round("tell_user", "bob" + room, "user");
        await round("tell_user", "BOB" + room, "nobody");
        await round("tell_users", ["ann" + room, "bob" + room], "users");
        {STOP}
    """)
    assert said == [
        ["caller", "", ""],
        ["", "client", ""],
        ["", "", ""],
        ["", "clients", "clients"],
        ["", "user", "user"],
        ["", "", ""],
        ["users", "users", "users"],
    ]


async def test_a_group_is_heard_by_its_members(talk: Talk) -> None:
    said = await talk(f"""{THREE}
        await bob.invoke("join", room);
        await bob.invoke("join", room);
        await round("tell_group", room, "group");
        await round("tell_group", room.toUpperCase(), "nobody");
        await round("tell_others_in_group", room, "others in it");
        await ann.invoke("join", room);
        await bobby.invoke("join", "2" + room);
        await round("tell_others_in_group", room, "others in it");
        await round("tell_group_except", room, [bob.connectionId], "all but one");
        await round("tell_groups", [room, "2" + room], "groups");
        await bob.invoke("leave", room);
        await round("tell_group", room, "who stays");
        {STOP}
    """)
    assert said == [
        ["", "group", ""],
        ["", "", ""],
        ["", "others in it", ""],
        ["", "others in it", ""],
        ["all but one", "", ""],
        ["groups", "groups", "groups"],
        ["who stays", "", ""],
    ]


async def test_a_group_may_be_joined_at_the_beginning_and_hears_of_the_end(talk: Talk) -> None:
    said = await talk("""
        const room = "/lab?group=" + crypto.randomUUID();
        const [watcher, one, other] = [await open("/lab" + room.slice(4)), await open(room), await open(room)];
        const left = heard(watcher, "left");
        const id = one.connectionId;
        await one.stop();
        const [who, why] = await left();
        say([who === id, why]);
        await other.invoke("abort").catch(() => null);
        say((await left())[1]);
        await watcher.stop();
    """)
    assert said == [[True, None], None]


async def test_everybody_hears_what_is_for_all_whatever_they_speak_and_wherever_they_are(
    run_in_node: Talk, serve: Callable[..., Awaitable[str]]
) -> None:
    both = FastAPI()
    for path in ("/one", "/other"):
        both.mount(path, create_app(backplane="memory://two-servers-of-all-wires"))
    said = await run_in_node(
        """
        const wires = [["WebSockets", "json"], ["ServerSentEvents", "json"], ["LongPolling", "json"]];
        wires.push(["WebSockets", "messagepack"]);
        const all = ["/one", "/other"].flatMap((server) => wires.map(([transport, protocol]) =>
            builder(server + "/signalr/lab", {transport, protocol}).build()));
        const told = all.map((each) => heard(each, "told"));
        await Promise.all(all.map((each) => each.start()));
        await all[0].invoke("tell_all", "all");
        await all[0].invoke("tell_others", "others");
        await all[0].invoke("tell_all_except", all.slice(1, 7).map((each) => each.connectionId), "first and last");
        await fetch(url + "/other/news", {method: "POST"});
        for (const next of told) {
            const texts = [];
            while (texts.at(-1) !== "news") texts.push((await next())[0]);
            say(texts);
        }
        await Promise.all(all.map((each) => each.stop()));
        """,
        await serve(both),
    )
    between = ["all", "others", "news"]
    assert said == [["all", "first and last", "news"], *[between] * 6, ["all", "others", "first and last", "news"]]
