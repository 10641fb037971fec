"""5,000 random messages of each protocol: none crashes or holds up the server, and no value closes a connection."""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from asgi_signalr import SignalR
from asgi_signalr.protocols.messagepack import write_length
from asgi_signalr.testing.asgi import running
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ..parity.hubs import make_hub
from ..parity.test_replay import InProcess

MANY = settings(
    max_examples=250,
    derandomize=True,
    deadline=None,
    phases=[Phase.generate],
    database=None,
    suppress_health_check=list(HealthCheck),
)
"""Each example is 20 messages on one connection."""

METHODS = [name for name in vars(make_hub()) if name.startswith(("Echo", "Two", "Default", "Sum", "Join", "Count"))]
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


def json_message(number: int, target: str, arguments: list[Any], kind: int) -> bytes:
    message = {"type": kind, "invocationId": str(number), "target": target, "arguments": arguments}
    return json.dumps(message).replace("NaN", "null").replace("Infinity", "1e999").encode() + b"\x1e"


def messagepack_message(number: int, target: str, arguments: list[Any], kind: int) -> bytes:
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


@pytest.mark.slow
@pytest.mark.parametrize(("name", "write"), [("json", json_message), ("messagepack", messagepack_message)])
@pytest.mark.parametrize("forms", ["python", "dotnet"])
def test_no_value_closes_a_connection(name: str, write: Any, forms: Any) -> None:
    async def answered(messages: list[tuple[str, list[Any], int]]) -> None:
        signalr = SignalR(value_forms=forms)
        signalr.hub("/hub")(make_hub())
        async with running(signalr, timeout=30) as app:
            socket = InProcess(app, "/hub")
            await socket.send(json.dumps({"protocol": name, "version": 1}) + "\x1e")
            await socket.receive()
            sent = b"".join(write(number, *message) for number, message in enumerate(messages))
            await socket.send(sent if name == "messagepack" else sent.decode())
            await socket.send(
                write("end", "Nothing", [], 1) if name == "messagepack" else write("end", "Nothing", [], 1).decode()
            )
            async with asyncio.timeout(20):
                answers = ""
                while '"end"' not in answers and "\xa3end" not in answers:
                    answer = await socket.receive()
                    assert not isinstance(answer, tuple), (answer, answers[-300:])
                    answers = answer if isinstance(answer, str) else answer.decode("latin-1")
            await socket.close()

    @MANY
    @given(st.lists(calls, min_size=20, max_size=20))
    def random(messages: list[tuple[str, list[Any], int]]) -> None:
        asyncio.run(answered(messages))

    random()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["json", "messagepack"])
def test_no_bytes_crash_or_hold_up_the_server(name: str) -> None:
    @MANY
    @given(
        st.lists(st.binary(max_size=60) | calls.map(lambda call: json_message(1, *call)[:-7]), min_size=20, max_size=20)
    )
    def random(portions: list[bytes]) -> None:
        async def answered() -> None:
            signalr = SignalR()
            signalr.hub("/hub")(make_hub())
            async with running(signalr, timeout=30) as app:
                for portion in portions:
                    socket = InProcess(app, "/hub")
                    await socket.send(json.dumps({"protocol": name, "version": 1}) + "\x1e")
                    await socket.send(portion)
                    async with asyncio.timeout(20):
                        await socket.receive()
                    await socket.close()

        asyncio.run(answered())

    random()
