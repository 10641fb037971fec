"""The log: what clients do wrong is in it, and nothing of what they send."""

import logging
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
import pytest
from asgi_signalr import Hub, HubException, InvalidDataError, SignalR
from asgi_signalr.logs import outline
from asgi_signalr.testing import TestClient
from fastapi import Depends, HTTPException
from pydantic import BaseModel, ConfigDict

SECRET = "top secret\n2026-01-01 ERROR forged"


class Person(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    ages: list[int]


class Note(msgspec.Struct):
    number: int
    person: Person | None = None


def nobody(status: int) -> None:
    raise HTTPException(status, SECRET)


class Chat(Hub):
    def say(self, number: int) -> int:
        return number

    def meet(self, person: Person) -> str:
        return person.name

    def note(self, note: Note) -> int:
        return note.number

    async def add(self, numbers: AsyncIterator[int]) -> int:
        return sum([number async for number in numbers])

    async def people(self, people: AsyncIterator[Person]) -> int:
        return len([each async for each in people])

    async def guarded(self, status: Annotated[None, Depends(lambda: nobody(401))]) -> None: ...

    async def count(self, status: Annotated[None, Depends(lambda: nobody(403))]) -> AsyncIterator[int]:
        yield 1

    def broken(self, status: int) -> None:
        nobody(status)


def chat(**options: Any) -> SignalR:
    signalr = SignalR(**options)
    signalr.hub("/chat")(Chat)
    return signalr


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


# Calls in vain.


async def test_a_call_in_vain_that_nobody_waits_for_is_a_warning_once_for_each_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with TestClient(chat(), "/chat") as client, TestClient(chat(), "/chat"):
        for _ in range(2):
            await client.send("sya", SECRET)
            await client.send("say", SECRET)
            await client.send("meet", {"name": SECRET, "ages": [1, SECRET], "x": 1})
            await client.send("note")
            await client.send("count")
            await client.send("guarded")
            await client.send(SECRET)
        with pytest.raises(HubException):
            await client.invoke("yas")  # which is told
        assert await client.invoke("say", 1) == 1
    begin, end = f"A client of Chat (connection {client.connection_id}) calls ", " This is said once."
    assert warnings_of(caplog) == [
        f"{begin}{call}.{end}"
        for call in (
            "sya in vain, and does not wait to be told: there is no such method",
            "say in vain, and does not wait to be told: the arguments do not fit: ValidationError (at $[0])",
            "meet in vain, and does not wait to be told: the arguments do not fit: ValidationError "
            "(int_parsing at $.ages[1], extra_forbidden at $.x)",
            "note in vain, and does not wait to be told: the arguments do not fit: Invocation provides 0 argument(s) "
            "but target expects 1",
            "count in vain, and does not wait to be told: it answers with a stream, which is asked for otherwise",
            r"'top secret\n2026-01-01 ERROR forged' in vain, and does not wait to be told: there is no such method",
            "guarded in vain, and does not wait to be told: the user is unauthorized",
        )
    ]


async def test_names_that_clients_choose_do_not_fill_the_log_or_the_memory(caplog: pytest.LogCaptureFixture) -> None:
    async with TestClient(chat(), "/chat") as client:
        for number in range(200):
            await client.send(f"{'x' * 1000}{number}")
            await client.send(f"x{number}")
        assert await client.invoke("say", 1) == 1
    assert len(warnings_of(caplog)) == 100
    assert max(map(len, warnings_of(caplog))) < 400


# Nothing of what clients send.


@pytest.mark.parametrize("detailed_errors", [False, True])
@pytest.mark.parametrize("protocol", ["json", "messagepack"])
async def test_what_does_not_fit_is_in_the_log_by_its_kind_and_place_and_never_by_its_value(
    caplog: pytest.LogCaptureFixture, detailed_errors: bool, protocol: Any
) -> None:
    caplog.set_level(logging.DEBUG, "asgi_signalr")

    async def items() -> AsyncIterator[Any]:
        yield {"name": "Ada", "ages": SECRET}

    async with TestClient(chat(detailed_errors=detailed_errors), "/chat", protocol=protocol) as client:
        for method, argument in (
            ("say", SECRET),
            ("meet", {"name": "Ada", "ages": [SECRET]}),
            ("note", {"number": SECRET}),
            ("note", {"number": 1, "person": {"name": "Ada", "ages": [SECRET]}}),
            ("people", items()),
        ):
            with pytest.raises(HubException):
                await client.invoke(method, argument)
    begin = "cannot be called: "
    assert [each.partition(begin)[2] for each in caplog.messages if begin in each] == [
        "ValidationError (at $[0])",
        "ValidationError (int_parsing at $.ages[0])",
        "ValidationError (at $[0].number)",
        "ValidationError (at $[0].person)",
    ]
    assert [each.partition(" stream ")[2] for each in caplog.messages if " stream " in each] == [
        "6: ValidationError (list_type at $.ages)"
    ]
    assert "secret" not in caplog.text


async def test_the_id_of_a_stream_cannot_begin_a_line_of_the_log(
    open_to: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "asgi_signalr")
    peer = await open_to(chat(), "/chat").shake_hands()
    peer.send('{"type":1,"invocationId":"1","target":"add","arguments":[],"streamIds":["7\\nERROR forged"]}\x1e')
    peer.send('{"type":2,"invocationId":"7\\nERROR forged","item":"secret"}\x1e')
    assert '"error":' in await peer.frame()
    assert [each.partition(" = ")[2] for each in caplog.messages if "= stream" in each] == [
        r"stream '7\nERROR forged': ValidationError"
    ]
    assert not [each for each in caplog.messages if "\n" in each or "secret" in each]


async def test_what_ends_a_connection_is_one_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "asgi_signalr")
    signalr = SignalR()

    @signalr.hub("/door")
    class Door(Hub):
        async def on_connected(self) -> None:
            raise HubException(SECRET)

    async with TestClient(signalr, "/door") as client:
        await client.closed()
    ends = [each.partition(" = ")[2] for each in caplog.messages if " = ends" in each]
    assert ends == [rf"ends: HubException: {SECRET!r}"]


def test_an_error_is_outlined_without_its_text() -> None:
    class SealedError(ValueError):
        def errors(self) -> None: ...

    assert outline(ValueError(SECRET)) == "ValueError"
    assert outline(SealedError(SECRET)) == "SealedError"
    assert outline(InvalidDataError(SECRET)) == repr(SECRET)
    assert outline(msgspec.ValidationError(f"Invalid enum value '{SECRET}'")) == "ValidationError"
    assert outline(msgspec.ValidationError(f"{SECRET} - at `$[0].x[...].y`")) == "ValidationError (at $[0].x[...].y)"
    assert outline(msgspec.ValidationError(f"no - at `$ {SECRET}`")) == "ValidationError"


# A web framework's 401 and 403.


async def test_a_dependency_that_is_shared_with_fastapi_refuses_a_call(caplog: pytest.LogCaptureFixture) -> None:
    async with TestClient(chat(), "/chat") as client:
        for method, *arguments in (("guarded",), ("broken", 401), ("broken", 403)):
            with pytest.raises(HubException, match=f"^Failed to invoke '{method}' because user is unauthorized$"):
                await client.invoke(method, *arguments)
        with pytest.raises(HubException, match=r"^Failed to invoke 'count' because user is unauthorized$"):
            await anext(client.stream("count"))
        assert warnings_of(caplog) == []
        with pytest.raises(HubException, match=r"^An unexpected error occurred invoking 'broken' on the server\.$"):
            await client.invoke("broken", 404)
    assert warnings_of(caplog) == ["Chat.broken failed."]


async def test_a_hub_exception_with_a_status_keeps_its_message() -> None:
    class Denied(HubException):
        status_code, detail = 403, "Denied"

    signalr = SignalR()

    @signalr.hub("/door")
    class Door(Hub):
        def knock(self) -> None:
            raise Denied("Not by this door.")

    async with TestClient(signalr, "/door") as client:
        with pytest.raises(HubException, match=r"Denied: Not by this door\.$"):
            await client.invoke("knock")


async def test_a_hub_that_refuses_a_client_has_not_failed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "asgi_signalr")
    signalr, reasons = SignalR(), [HubException("Come back tomorrow."), HTTPException(403, SECRET), LookupError(SECRET)]

    @signalr.hub("/closed")
    class Closed(Hub):
        async def on_connected(self) -> None:
            raise reasons.pop(0)

    ids, errors = [], []
    while reasons:
        async with TestClient(signalr, "/closed") as client:
            ids.append(client.connection_id)
            errors.append((await client.closed()).error)
    error = "Connection closed with an error."
    assert errors == [f"{error} HubException: Come back tomorrow.", error, error]
    assert [(each.levelname, each.getMessage(), each.exc_info is not None) for each in caplog.records] == [
        ("INFO", f"Closed.on_connected refuses connection {ids[0]}.", False),
        ("INFO", f"Closed.on_connected refuses connection {ids[1]}.", False),
        ("ERROR", "Closed.on_connected failed; the connection is closed.", True),
    ]
