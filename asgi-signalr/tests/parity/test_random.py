"""5,000 random messages of each protocol: none crashes or holds up the server, and no value closes a connection."""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from asgi_signalr import SignalR
from asgi_signalr.protocols.messagepack import write_length
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from .hubs import make_hub
from .test_replay import InProcess

MANY = settings(
    max_examples=100,
    deadline=None,
    phases=[Phase.generate],
    database=None,
    suppress_health_check=list(HealthCheck),
)
"""Each example is 50 messages on one connection."""

METHODS = [name for name in vars(make_hub()) if name.startswith(("Echo", "Two", "Default", "Sum", "Join"))]
METHODS += ["Nothing", "nope", "StreamMade", "Add_One", ""]

text = st.text(st.characters(exclude_categories=()), max_size=12)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals(allow_nan=False).map(str)
    | st.datetimes().map(str)
    | st.timedeltas().map(str)
    | text
    | st.sampled_from(["9999-12-31T23:59:59.9999999Z", "-00:00:05.2500000", "NaN", "\ud83d", "1e400", 10**400, -0.0])
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4), max_leaves=8
)
calls = st.tuples(st.sampled_from(METHODS[:-1]), st.lists(values, max_size=3), st.sampled_from([1, 1, 1, 4]))


def json_message(number: object, target: str, arguments: list[Any], kind: int) -> bytes:
    message = {"type": kind, "invocationId": str(number), "target": target, "arguments": arguments}
    return json.dumps(message).replace("NaN", "null").replace("Infinity", "1e999").encode() + b"\x1e"


def messagepack_message(number: object, target: str, arguments: list[Any], kind: int) -> bytes:
    def fit(value: Any) -> Any:
        if isinstance(value, int) and not -(2**63) <= value < 2**64:
            return float("inf")
        if isinstance(value, str):
            return value.encode("utf-8", "replace").decode()
        if isinstance(value, list):
            return [fit(each) for each in value]
        return {fit(key): fit(each) for key, each in value.items()} if isinstance(value, dict) else value

    body = msgspec.msgpack.encode([kind, {}, str(number), target, fit(arguments), []])
    return write_length(len(body)) + body


def served(**options: Any) -> SignalR:
    signalr = SignalR(**options)
    signalr.hub("/hub")(make_hub())
    return signalr


async def opened(app: SignalR, name: str) -> InProcess:
    socket = InProcess(app, "/hub")
    await socket.send(json.dumps({"protocol": name, "version": 1}) + "\x1e")
    await socket.receive()
    return socket


@pytest.mark.slow
@pytest.mark.parametrize(("name", "write"), [("json", json_message), ("messagepack", messagepack_message)])
@pytest.mark.parametrize("forms", ["python", "dotnet"])
def test_no_value_closes_a_connection(name: str, write: Any, forms: Any) -> None:
    app = served(value_forms=forms)

    async def answered(messages: list[tuple[str, list[Any], int]]) -> None:
        socket = await opened(app, name)
        sent = b"".join(write(number, *message) for number, message in enumerate(messages)) + write(
            "end", "Nothing", [], 1
        )
        await socket.send(sent if name == "messagepack" else sent.decode())
        async with asyncio.timeout(20):
            answer = ""
            while '"end"' not in answer and "\xa3end" not in answer:
                frame = await socket.receive()
                assert not isinstance(frame, tuple), (frame, answer)
                answer = frame if isinstance(frame, str) else frame.decode("latin-1")
        await socket.close()

    with asyncio.Runner() as runner:

        @MANY
        @given(st.lists(calls, min_size=50, max_size=50))
        def random(messages: list[tuple[str, list[Any], int]]) -> None:
            runner.run(answered(messages))

        random()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["json", "messagepack"])
def test_no_bytes_crash_or_hold_up_the_server(name: str) -> None:
    app = served()

    async def survived(portions: list[bytes]) -> None:
        for portion in portions:
            socket = await opened(app, name)
            await socket.send(portion)
            await socket.close()
        socket = await opened(app, "json")
        await socket.send(json_message("end", "Nothing", [], 1).decode())
        async with asyncio.timeout(20):
            assert '"end"' in str(await socket.receive())
        await socket.close()

    with asyncio.Runner() as runner:
        broken = calls.map(lambda call: json_message(1, *call)[:-7])

        @MANY
        @given(st.lists(st.binary(max_size=60) | broken, min_size=50, max_size=50))
        def random(portions: list[bytes]) -> None:
            runner.run(survived(portions))

        random()
