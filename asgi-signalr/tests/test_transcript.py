"""The log reads like a transcript, and its records can be sorted by what they are about."""

import asyncio
import json
import logging
from typing import Any

import pytest
from asgi_signalr import Hub, SignalR
from asgi_signalr.testing import TestClient

FACTS = ("direction", "hub", "message_type", "target", "invocation_id", "size")


class Chat(Hub):
    async def tell(self, text: str) -> int:
        await self.clients.all.send("told", text)
        return len(text)

    async def ask(self, text: str) -> Any:
        return await self.clients.caller.invoke("answer", text)


@pytest.fixture
def app() -> SignalR:
    app = SignalR()
    app.hub("/chat")(Chat)
    return app


def facts_of(record: logging.LogRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in FACTS if hasattr(record, name)}


async def test_every_message_is_a_record_with_its_facts_and_never_its_contents(
    app: SignalR, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "asgi_signalr")
    async with TestClient(app, "/chat") as client:
        client.on("answer", lambda text: f"confidential {text}")
        assert await client.invoke("tell", "confidential") == 12
        await client.next("told")
        await client.invoke("ask", "confidential")
    records = [record for record in caplog.records if getattr(record, "connection_id", None) == client.connection_id]
    assert {record.getMessage().split()[0] for record in records} == {client.connection_id}
    assert [facts_of(record) for record in records if record.direction != "="] == [  # type: ignore[attr-defined]
        {"hub": "Chat"} | facts
        for facts in (
            {"direction": "<", "message_type": "Invocation", "target": "tell", "invocation_id": "1"},
            {"direction": ">", "message_type": "Invocation", "target": "told", "size": 56},
            {"direction": ">", "message_type": "Completion", "invocation_id": "1", "size": 42},
            {"direction": "<", "message_type": "Invocation", "target": "ask", "invocation_id": "2"},
            {"direction": ">", "message_type": "Invocation", "target": "answer", "invocation_id": "s1", "size": 78},
            {"direction": "<", "message_type": "Completion", "invocation_id": "s1"},
            {"direction": ">", "message_type": "Completion", "invocation_id": "2", "size": 67},
            {"direction": "<", "message_type": "Close"},
            {"direction": ">", "message_type": "Close"},
        )
    ]
    assert [facts_of(record) for record in records if record.direction == "="] == [  # type: ignore[attr-defined]
        {"direction": "=", "hub": "Chat"}
    ] * 3
    assert "confidential" not in caplog.text
    assert not [record for record in caplog.records if "confidential" in json.dumps(vars(record), default=str)]


async def test_what_a_client_has_chosen_cannot_begin_a_line_of_the_log(
    app: SignalR, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "asgi_signalr")
    async with TestClient(app, "/chat") as client:
        for target in ("x\n2026-01-01 ERROR forged", "y" * 1000):
            with pytest.raises(Exception, match="Method does not exist"):
                await client.invoke(target)
    lines = [record.getMessage().partition(" ")[2] for record in caplog.records if hasattr(record, "target")]
    assert lines == [
        r"< Invocation 'x\n2026-01-01 ERROR forged' 1",
        f"< Invocation '{'y' * 200}' 2",
    ]


async def test_what_servers_tell_each_other_is_in_the_log_as_well(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "asgi_signalr")
    app = SignalR(backplane="memory://transcript")
    app.hub("/chat")(Chat)
    async with asyncio.timeout(10):
        await app.hub_context(Chat).clients.all.send("told", "confidential")
    (record,) = [record for record in caplog.records if getattr(record, "envelope", "") == "Delivery"]
    assert (facts_of(record)["hub"], facts_of(record)["size"] > 100) == ("Chat", True)
    assert record.getMessage() == f"server {app._servers.to_serve().id} < Delivery for Chat [{record.size} bytes]"  # type: ignore[attr-defined]
    await app.stop()


async def test_a_transcript_that_is_switched_on_later_begins_within_a_tick(caplog: pytest.LogCaptureFixture) -> None:
    app = SignalR(keep_alive_interval=0.04)

    @app.hub("/chat")
    class Quick(Hub):
        def double(self, number: int) -> int:
            return 2 * number

    def transcript() -> list[str]:
        return [text.split(" ", 1)[1] for text in caplog.messages if " < Invocation" in text or " > Completion" in text]

    caplog.set_level(logging.WARNING, "asgi_signalr")
    async with TestClient(app, "/chat") as client, asyncio.timeout(5):
        assert await client.invoke("double", 2) == 4
        assert transcript() == []
        caplog.set_level(logging.DEBUG, "asgi_signalr")
        while not transcript():
            assert await client.invoke("double", 3) == 6
    number = transcript()[0].split()[-1]
    size = len(f'{{"type":3,"invocationId":"{number}","result":6}}') + 1
    assert transcript()[:2] == [f"< Invocation double {number}", f"> Completion {number} [{size} bytes]"]
