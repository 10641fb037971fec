"""The server asks its official clients, over each transport and protocol."""

from collections.abc import Awaitable, Callable
from typing import Any

Talk = Callable[..., Awaitable[list[Any]]]


async def test_a_client_answers_the_server(talk: Talk) -> None:
    said = await talk("""
        const [hub, other] = [await open("/flows"), await open("/flows")];
        hub.on("answer", (question) => question === undefined ? 42 : `${question}!`);
        other.on("ANSWER", async (question) => ({question, from: "other"}));
        say(await hub.invoke("ask", "why"));
        say(await hub.invoke("ask_for_number"));
        say(await hub.invoke("ask_client", other.connectionId, "who"));
        say(await Promise.all([1, 2, 3].map((each) => hub.invoke("ask_client", other.connectionId, String(each)))));
        await Promise.all([hub.stop(), other.stop()]);
    """)
    assert said == [
        "why!",
        42,
        {"question": "who", "from": "other"},
        [{"question": str(number), "from": "other"} for number in (1, 2, 3)],
    ]


async def test_a_method_may_ask_while_it_is_waited_for(talk: Talk) -> None:
    said = await talk("""
        const hub = await open("/flows");
        hub.on("answer", async () => (await items(hub.stream("numbers", 2)))[0]);
        say(await hub.invoke("ask", "what does the server say"));
        await hub.stop();
    """)
    assert said == [[0, 1]]


async def test_the_server_hears_why_there_is_no_answer(talk: Talk) -> None:
    said = await talk("""
        const [hub, other] = [await open("/flows"), await open("/flows")];
        const why = () => hub.invoke("why_no_answer", other.connectionId);
        say(await why());
        other.on("answer", () => { throw new Error("from callback"); });
        say(await why());
        other.off("answer");
        other.on("answer", () => Promise.reject(new Error("rejected")));
        say(await why());
        other.off("answer");
        other.on("answer", () => 1);
        other.on("answer", () => 2);
        say(await why());
        other.off("answer");
        const asked = new Promise((done) => other.on("answer", () => { done(); return new Promise(() => {}); }));
        const answer = why();
        await asked;
        const id = other.connectionId;
        await other.stop();
        say((await answer).replace(id, "other"));
        say((await hub.invoke("why_no_answer", "unknown")));
        hub.on("answer", () => "no number");
        say(await failure(hub.invoke("ask_for_number")));
        await hub.stop();
    """)
    assert said[:6] == [
        "HubException: Client didn't provide a result.",
        "HubException: Error: from callback",
        "HubException: Error: rejected",
        "HubException: Client provided multiple results.",
        "ConnectionError: Connection 'other' disconnected.",
        "ConnectionError: Connection 'unknown' does not exist.",
    ]
    assert said[6].startswith("An unexpected error occurred invoking 'ask_for_number' on the server.")
