"""Who hears what, as the official client sees it, over each transport and protocol."""

from collections.abc import Awaitable, Callable
from typing import Any

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


async def test_everybody_hears_what_is_for_all(run_in_node: Talk, serve: Callable[..., Awaitable[str]]) -> None:
    from functional_app import create_app

    said = await run_in_node(
        """
        const wires = [["WebSockets", "json"], ["WebSockets", "json"]];
        const all = await Promise.all(wires.map(([transport]) => builder("/signalr/lab", {
            transport: signalR.HttpTransportType[transport],
        }).build()).map((each) => each.start().then(() => each)));
        const told = all.map((each) => heard(each, "told"));
        await all[0].invoke("tell_all", "all");
        await all[0].invoke("tell_others", "others");
        await all[0].invoke("tell_all_except", [all[1].connectionId], "all but one");
        await fetch(url + "/news", {method: "POST"});
        const texts = [];
        for (const next of told) { texts.push([]); for (const _ of [1, 2, 3]) texts.at(-1).push((await next())[0]); }
        say(texts);
        await Promise.all(all.map((each) => each.stop()));
        """,
        await serve(create_app()),
    )
    assert said == [[["all", "all but one", "news"], ["all", "others", "news"]]]
