"""Values in the forms of .NET, of HTML's inputs and of Python: read in each, written in the one that was chosen."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from asgi_signalr import Hub, HubException, SignalR
from asgi_signalr.messages import Completion, Invocation
from asgi_signalr.protocols import reading
from asgi_signalr.protocols.forms import DateTimeOffset, with_offset
from asgi_signalr.protocols.json import JsonHubProtocol
from asgi_signalr.protocols.messagepack import MessagePackHubProtocol
from asgi_signalr.testing import TestClient

DOCS = Path(__file__).parents[2] / "docs" / "values.md"
PROTOCOLS: dict[tuple[str, str], JsonHubProtocol | MessagePackHubProtocol] = {
    ("JSON", "python"): JsonHubProtocol("python", exact=True),
    ("JSON", "dotnet"): JsonHubProtocol("dotnet"),
    ("MessagePack", "python"): MessagePackHubProtocol("python"),
    ("MessagePack", "dotnet"): MessagePackHubProtocol("dotnet"),
}
EASTERN = timezone(timedelta(hours=2))


class Color(Enum):
    RED = 1


@dataclass
class Order:
    unit_price: Decimal
    sent_at: DateTimeOffset | None = None


SAMPLES: list[tuple[str, Any]] = [
    ("Decimal", Decimal("12.50")),
    ("timedelta", timedelta(days=1, hours=2, minutes=3, seconds=4, milliseconds=500)),
    ("datetime in UTC", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
    ("datetime elsewhere", datetime(2026, 1, 2, 3, 4, 5, tzinfo=EASTERN)),
    ("datetime without a zone", datetime(2026, 1, 2, 3, 4, 5)),
    ("date", date(2026, 1, 2)),
    ("time", time(3, 4, 5)),
    ("enum", Color.RED),
    ("enum as a key", {Color.RED: 1}),
    ("float that is whole", 1.0),
    ("bytes", b"\x01\x02"),
    ("object", Order(Decimal("1.10"))),
]


def _written(protocol: Any, value: Any, to: Any = Any) -> str:
    message = protocol.writer(to)(Completion("1", value))
    if not protocol.binary:
        return bytes(message).partition(b'"result":')[2].removesuffix(b"}\x1e").decode()
    body = message[1:]
    return f"{body[len(bytes.fromhex('950380a13103')) :].hex()}"


def test_the_docs_have_the_form_of_each_type() -> None:
    rows = [
        f"| {name} | {' | '.join(f'`{_written(protocol, value)}`' for protocol in PROTOCOLS.values())} |"
        for name, value in SAMPLES
    ]
    head = [
        f"| | {' | '.join(f'{protocol}, `{form}`' for protocol, form in PROTOCOLS)} |",
        "|---|---|---|---|---|",
    ]
    assert "\n".join([*head, *rows]) in DOCS.read_text(encoding="utf-8")


def _invoked(protocol: Any, arguments: bytes) -> list[Any]:
    if protocol.binary:
        body = bytes.fromhex("960180a131a163") + arguments + b"\x90"
        (message,) = protocol.parse(bytearray(bytes([len(body)]) + body), 1000)
    else:
        record = b'{"type":1,"invocationId":"1","target":"c","arguments":' + arguments + b"}\x1e"
        (message,) = protocol.parse(bytearray(record), 10_000)
    assert isinstance(message, Invocation)
    return message.arguments


def _read(protocol: str, text: str, to: Any) -> Any:
    binary = protocol == "MessagePack"
    chosen = PROTOCOLS[protocol, "python"]
    arguments = b"\x91" + bytes.fromhex(text) if binary else f"[{text}]".encode()
    return chosen.converter((to,))(_invoked(chosen, arguments))[0]


END_OF_DAY = datetime(2024, 1, 31, 23, 59, 59, 999999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "to", "value"),
    [
        ("1.10", Decimal, Decimal("1.10")),
        ("12345678901234567.89", Decimal, Decimal("12345678901234567.89")),
        ("1234567890123456789012345678", Decimal, Decimal("1234567890123456789012345678")),
        ('"1.10"', Decimal, Decimal("1.10")),
        ("[1.10]", list[Decimal], [Decimal("1.10")]),
        ('{"a":1.10}', dict[str, Decimal], {"a": Decimal("1.10")}),
        ("1.10", Decimal | None, Decimal("1.10")),
        ('{"UnitPrice":1.10}', Order, Order(Decimal("1.10"))),
        ('{"unitPrice":1.10}', list[Order] | Order, Order(Decimal("1.10"))),
        ("1.50", float, 1.5),
        ("[1.50,[2.25]]", Any, [1.5, [2.25]]),
        ('"2024-01-31T23:59:59.9999999Z"', datetime, END_OF_DAY),
        ('["2024-01-31T23:59:59.9999999Z"]', list[datetime], [END_OF_DAY]),
        ('"9999-12-31T23:59:59.9999999"', datetime, datetime.max),
        ('"2026-01-02T03:04"', datetime, datetime(2026, 1, 2, 3, 4)),
        ('"2026-01-02T03:04+02:00"', datetime, datetime(2026, 1, 2, 3, 4, tzinfo=EASTERN)),
        ('"2026-01-02T03:04:05+02"', datetime, datetime(2026, 1, 2, 3, 4, 5, tzinfo=EASTERN)),
        ('"2026-01-02T03:04:05.Z"', datetime, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ('"2026-01-02"', datetime, datetime(2026, 1, 2)),
        ('"23:59:59.9999999"', time, time.max),
        ('"03:04"', time, time(3, 4)),
        ('"01:02:03"', timedelta, timedelta(hours=1, minutes=2, seconds=3)),
        ('"1.02:03:04.5000000"', timedelta, timedelta(days=1, hours=2, minutes=3, seconds=4.5)),
        ('"-00:00:05.2500000"', timedelta, timedelta(seconds=-5.25)),
        ('"P1DT2H"', timedelta, timedelta(days=1, hours=2)),
        ('"10675199.02:48:05.4775807"', timedelta, timedelta(10675199, 10085, 477580)),
    ],
)
def test_json_is_read_in_every_form(text: str, to: Any, value: Any) -> None:
    read = _read("JSON", text, to)
    assert (repr(read), read) == (repr(value), value)


@pytest.mark.parametrize(
    ("text", "to", "value"),
    [
        ("92d7ff1d6f32f06b0c1bf078", datetime, datetime(2026, 11, 29, 12, 34, 56, 123456, tzinfo=EASTERN)),
        ("ce000b4a6c", date, date(2026, 11, 29)),
        ("cf000000697697ee87", time, time(12, 34, 56, 123456)),
        ("cf000000da5beb0740", timedelta, timedelta(days=1, hours=2, minutes=3, seconds=4.5)),
        ("d3ffffffffff1b1e40", timedelta, timedelta(seconds=-1.5)),
        ("d91931323334353637383930313233343536372e38393132333435", Decimal, Decimal("12345678901234567.8912345")),
        ("c70cff3b9ac99c0000003afff4417f", datetime, datetime.max.replace(tzinfo=UTC)),
        ("c70cff3b9ac99c0000003afff4417f", Any, datetime.max.replace(tzinfo=UTC)),
        ("41", Annotated[str, msgspec.Meta(min_length=1, max_length=1)], "A"),
        ("81a9556e69745072696365a3312e35", Order, Order(Decimal("1.5"))),
    ],
)
def test_messagepack_is_read_in_every_form(text: str, to: Any, value: Any) -> None:
    assert _read("MessagePack", text, to) == value


class Access(Flag):
    READ = 1
    WRITE = 2


@pytest.mark.parametrize(
    ("protocol", "text", "to"),
    [
        ("JSON", '"NaN"', Decimal),
        ("JSON", '["-Infinity"]', list[Decimal]),
        ("JSON", '{"unit_price":"sNaN"}', Order),
        ("MessagePack", "cb7ff8000000000000", Decimal),
        ("MessagePack", "a3496e66", Decimal),
        ("JSON", "-1", Access),
        ("MessagePack", "ff", Access),
        ("JSON", "4", Access),
    ],
)
def test_what_python_would_take_for_another_value_is_refused(protocol: str, text: str, to: Any) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"Expected a number|Invalid enum value"):
        _read(protocol, text, to)


@pytest.mark.parametrize(("protocol", "text"), [("JSON", b'"\\ud83d"'), ("MessagePack", bytes.fromhex("a3eda0bd"))])
@pytest.mark.parametrize("target", ["get_text", "anything", "count"])
async def test_a_value_that_cannot_be_read_fails_its_call_alone(
    open_to: Callable[..., Any], protocol: str, text: bytes, target: str
) -> None:
    class Texts(Hub):
        def get_text(self, value: str) -> str:
            return value

        def anything(self, value: Any) -> Any:
            return value

        def count(self) -> int:
            return 1

    app = SignalR()
    app.hub("/texts")(Texts)
    chosen: Any = PROTOCOLS[protocol, "python"]
    peer = await open_to(app, "/texts").accepted()
    peer.send(f'{{"protocol":"{chosen.name}","version":1}}\x1e')
    await peer.event()
    bad, good = _call(target, text, binary=chosen.binary), chosen.write(Invocation("count", [], "2"))
    for each in (bad, good):
        if chosen.binary:
            peer.send_bytes(each)
        else:
            peer.send(each.decode())
    received = bytearray()
    answers: list[Any] = []
    while len(answers) < 2:
        event = await peer.event()
        received += event["bytes"] if chosen.binary else event["text"].encode()
        answers += chosen.parse(received, 1000)
    assert answers == [
        Completion("1", error=f"Failed to invoke '{target}' due to an error on the server."),
        Completion("2", 1),
    ]


def _call(target: str, text: bytes, *, binary: bool) -> bytes:
    if not binary:
        return f'{{"type":1,"invocationId":"1","target":"{target}","arguments":['.encode() + text + b"]}\x1e"
    body = bytes.fromhex("960180a131") + msgspec.msgpack.encode(target) + b"\x91" + text + b"\x90"
    return bytes([len(body)]) + body


async def test_a_method_is_found_without_case_and_underscores_but_not_a_hidden_one() -> None:
    class Values(Hub):
        def get_value(self) -> int:
            return 7

        def _get_value(self) -> int:
            return 8

    app = SignalR(detailed_errors=True)
    app.hub("/values")(Values)
    async with TestClient(app, "/values") as client:
        names = ("get_value", "GetValue", "getValue", "GETVALUE", "get_Value")
        assert [await client.invoke(name) for name in names] == [7] * 5
        with pytest.raises(HubException, match="Method does not exist"):
            await client.invoke("_get_value")


def test_properties_that_differ_only_in_case_and_underscores_are_refused_where_they_are_declared() -> None:
    @dataclass
    class Twice:
        unit_price: int
        unitPrice: int  # noqa: N815  (the name that collides)

    class Orders(Hub):
        def order(self, what: Twice) -> None: ...

    with pytest.raises(TypeError, match="'unit_price' and 'unitPrice', which differ only in case and underscores"):
        SignalR().hub("/orders")(Orders)


def test_a_property_that_fits_exactly_comes_before_one_that_does_nearly() -> None:
    assert _read("JSON", '{"unitPrice":2,"unit_price":1}', Order) == Order(Decimal(1))


LAST = datetime.max.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "to", "json", "messagepack"),
    [
        (datetime.max, Any, '"9999-12-31T23:59:59.9999999"', "c70cff3b9ac99c0000003afff4417f"),
        (LAST, Any, '"9999-12-31T23:59:59.9999999Z"', "c70cff3b9ac99c0000003afff4417f"),
        (LAST, DateTimeOffset, '"9999-12-31T23:59:59.9999999+00:00"', "92c70cff3b9ac99c0000003afff4417f00"),
        (END_OF_DAY, Any, '"2024-01-31T23:59:59.9999999Z"', "d7ffee6b267065badeff"),
        (END_OF_DAY.replace(tzinfo=EASTERN), Any, '"2024-01-31T23:59:59.9999999+02:00"', "92d7ffee6b267065badeff78"),
        (END_OF_DAY.replace(year=1969), Any, '"1969-01-31T23:59:59.9999999Z"', "c70cff3b9ac99cfffffffffe47aaff"),
        (datetime(2026, 1, 2, 3, 4, 5, 120_000), Any, '"2026-01-02T03:04:05.12"', "d7ff1c9c3800695735a5"),
        (datetime(2026, 1, 2, 3, 4, 5), DateTimeOffset, '"2026-01-02T03:04:05+00:00"', "92d6ff695735a500"),
        (time.max, Any, '"23:59:59.9999999"', "cf000000c92a69bfff"),
        (time(3, 4, 5, 120_000), Any, '"03:04:05.1200000"', "cf00000019b7679000"),
        (timedelta(10675199, 10085, 477580), Any, '"10675199.02:48:05.4775807"', "cf7fffffffffffffff"),
        (-timedelta(10675199, 10085, 477580), Any, '"-10675199.02:48:05.4775808"', "d38000000000000000"),
    ],
)
def test_the_last_moments_and_longest_spans_come_back_to_dotnet_as_they_were(
    value: Any, to: Any, json: str, messagepack: str
) -> None:
    for protocol, text in (("JSON", json), ("MessagePack", messagepack)):
        chosen = PROTOCOLS[protocol, "dotnet"]
        assert _written(chosen, value, to) == text
        read = _read(protocol, text, type(value))
        assert read == value or (isinstance(value, datetime) and read == value.replace(tzinfo=UTC))


def test_a_property_that_fits_nothing_is_mentioned_once_for_those_who_look(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclass
    class Filter:
        page: int = 1
        size: int = 20

    monkeypatch.setattr(reading, "_mentioned", set())
    caplog.set_level(logging.DEBUG, "asgi_signalr")
    for protocol in PROTOCOLS.values():
        assert protocol.convert({"Page": 3, "sise": 50}, Filter) == Filter(3, 20)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.DEBUG, "A client sends a property 'sise' that Filter does not have. This is said once.")
    ]


def test_one_dataclass_serves_the_clients_of_both_protocols_of_dotnet() -> None:
    @dataclass
    class Line:
        unit_price: Decimal
        sent_at: DateTimeOffset = field(default=datetime(2026, 1, 2, tzinfo=UTC))
        lasted: timedelta = timedelta(minutes=1)

    line = Line(Decimal("1.10"))
    json, messagepack = PROTOCOLS["JSON", "dotnet"], PROTOCOLS["MessagePack", "dotnet"]
    assert json.write(Completion("1", line)) == (
        b'{"type":3,"invocationId":"1","result":'
        b'{"unitPrice":1.10,"sentAt":"2026-01-02T00:00:00+00:00","lasted":"00:01:00"}}\x1e'
    )
    assert msgspec.msgpack.decode(messagepack.write(Completion("1", line))[1:])[4] == {
        "UnitPrice": "1.10",
        "SentAt": [datetime(2026, 1, 2, tzinfo=UTC), 0],
        "Lasted": 600_000_000,
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1E+28", "10000000000000000000000000000"),
        ("12E+27", "12000000000000000000000000000"),
        ("-1.5E+2", "-150"),
        ("1E+29", "1E+29"),  # larger than .NET has any
    ],
)
def test_decimals_as_large_as_dotnet_has_them_are_written_without_an_exponent(value: str, text: str) -> None:
    assert _written(PROTOCOLS["JSON", "dotnet"], Decimal(value)) == text


async def test_what_is_sent_says_of_itself_that_it_has_an_offset() -> None:
    class Clock(Hub):
        async def tell(self, moment: datetime) -> None:
            await self.clients.caller.send("told", with_offset(moment), [with_offset(moment) + timedelta(hours=1)])

    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    app = SignalR()
    app.hub("/python")(Clock)
    app.hub("/dotnet", value_forms="dotnet")(type("DotnetClock", (Clock,), {}))
    told = {}
    for path in ("/python", "/dotnet"):
        for protocol in ("json", "messagepack"):
            async with TestClient(app, path, protocol=protocol) as client:
                await client.invoke("tell", now)
                told[path, protocol] = await client.next("told")
    later = datetime(2026, 1, 2, 4, 4, 5, tzinfo=UTC)
    assert told == {
        ("/python", "json"): ["2026-01-02T03:04:05Z", ["2026-01-02T04:04:05Z"]],
        ("/python", "messagepack"): [now, [later]],
        ("/dotnet", "json"): ["2026-01-02T03:04:05+00:00", ["2026-01-02T04:04:05+00:00"]],
        ("/dotnet", "messagepack"): [[now, 0], [[later, 0]]],
    }


async def test_a_hub_may_have_forms_of_its_own() -> None:
    class Spans(Hub):
        def span(self) -> timedelta:
            return timedelta(seconds=1)

        def when(self) -> DateTimeOffset:
            return datetime(2026, 1, 2, tzinfo=UTC)

    app = SignalR()
    app.hub("/python")(Spans)
    dotnet = type("DotnetSpans", (Spans,), {})
    app.hub("/dotnet", value_forms="dotnet")(dotnet)
    async with TestClient(app, "/python") as client:
        assert await client.invoke("span") == "PT1S"
    async with TestClient(app, "/dotnet") as client:
        assert await client.invoke("span") == "00:00:01"
    async with TestClient(app, "/dotnet", protocol="messagepack") as client:
        assert await client.invoke("when") == [datetime(2026, 1, 2, tzinfo=UTC), 0]
    with pytest.raises(ValueError, match="value_forms has to be 'python' or 'dotnet'"):
        SignalR(value_forms="java")  # type: ignore[arg-type]
