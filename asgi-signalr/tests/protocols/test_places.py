"""The forms of values wherever these stand: behind names of types, in unions, keys, collections and models."""

from collections import ChainMap, deque
from collections.abc import Iterable
from dataclasses import dataclass, make_dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Generic, Literal, NewType, TypeVar

import msgspec
import pydantic
import pytest
from asgi_signalr.messages import Completion
from asgi_signalr.protocols.json import JsonHubProtocol
from asgi_signalr.protocols.messagepack import MessagePackHubProtocol
from asgi_signalr.protocols.reading import has_decimal
from pydantic import ConfigDict, Field, PlainSerializer, RootModel, computed_field, field_serializer
from pydantic.alias_generators import to_camel
from typing_extensions import TypeAliasType

JSON = {"python": JsonHubProtocol(exact=True), "dotnet": JsonHubProtocol("dotnet")}
MESSAGEPACK = {"python": MessagePackHubProtocol(), "dotnet": MessagePackHubProtocol("dotnet")}

T = TypeVar("T")
Amount = TypeVar("Amount", bound=Decimal)
Money = NewType("Money", Decimal)
Lasting = NewType("Lasting", timedelta)
Price = TypeAliasType("Price", Decimal)
Prices = TypeAliasType("Prices", list[Price])
Some = TypeAliasType("Some", list[T], type_params=(T,))


class Euros(Decimal):
    __slots__ = ()


class Color(Enum):
    RED = 1


@dataclass
class Paid:
    net_price: Money
    took: Lasting


@dataclass
class Owed:
    open_amount: Decimal


@dataclass
class Box(Generic[Amount]):
    inside: Amount


class Cash(msgspec.Struct, tag="cash", tag_field="kind"):
    net_price: Decimal


class Card(msgspec.Struct, tag="card", tag_field="kind"):
    valid_for: timedelta


class Row(msgspec.Struct, array_like=True, tag=1):
    net_price: Decimal
    took: timedelta


class Rowed(msgspec.Struct, array_like=True, tag=2):
    took: timedelta


class Totals(RootModel[dict[str, Decimal]]):
    pass


D = Decimal("1.10")
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("text", "to", "value"),
    [
        ("1.10", Money, D),
        ("1.10", Price, D),
        ("[1.10]", Prices, [D]),
        ("[1.10]", Some[Decimal], [D]),
        ("1.10", Euros, Euros("1.10")),
        ('"00:00:01"', Lasting, SECOND),
        ('{"NetPrice":1.10,"Took":"00:00:01"}', Paid, Paid(Money(D), Lasting(SECOND))),
        ("1.10", Decimal | str, D),
        ("1.10", Decimal | float, D),
        ("1.10", float | Decimal, D),
        ("1.10", int | Decimal, D),
        ("1.10", Literal[1] | Decimal, D),
        ('{"OpenAmount":1.10}', Paid | Owed, Owed(D)),
        ('{"inside":1.10}', Box, Box(D)),
        ('{"kind":"cash","NetPrice":1.10}', Cash | Card, Cash(D)),
        ('{"Kind":"card","ValidFor":"00:00:01"}', Cash | Card | None, Card(SECOND)),
        ('[1,1.10,"00:00:01"]', Row | Rowed, Row(D, SECOND)),
        ('[2,"00:00:01"]', Row | Rowed, Rowed(SECOND)),
        ("null", Cash | Card | None, None),
        ('{"true":1,"False":2}', dict[bool, int], {True: 1, False: 2}),
        ('{"1.10":1}', dict[Decimal, int], {D: 1}),
        ('{"00:00:01":1}', dict[timedelta, int], {SECOND: 1}),
    ],
)
@pytest.mark.parametrize("forms", ["python", "dotnet"])
def test_json_is_read_exactly_wherever_it_stands(forms: str, text: str, to: Any, value: Any) -> None:
    assert has_decimal(to) or "1.10" not in text
    message = f'{{"type":3,"invocationId":"1","result":{text}}}\x1e'.encode()
    (completion,) = JSON[forms].parse(bytearray(message), 1000)
    assert isinstance(completion, Completion)
    assert repr(JSON[forms].convert(completion.result, to)) == repr(value)


def test_totals_of_a_model_keep_their_digits_and_what_is_no_decimal_stays_a_number() -> None:
    class Note(pydantic.BaseModel):
        model_config = ConfigDict(extra="allow")
        net_price: Decimal
        about: Any

    assert has_decimal(Totals)
    for protocol in JSON.values():
        assert protocol.convert({"a": D}, Totals) == Totals({"a": D})
        assert str(protocol.convert({"a": D}, Totals).root["a"]) == "1.10"
        assert repr(list(protocol.convert([D], Iterable[Decimal]))) == "[Decimal('1.10')]"
        note = protocol.convert({"NetPrice": D, "About": {"x": [D]}, "more": D}, Note)
        assert repr(note) == "Note(net_price=Decimal('1.10'), about={'x': [1.1]}, more=1.1)"


@pytest.mark.parametrize(
    ("value", "to", "read"),
    [
        (5, int | timedelta, 5),
        (5, timedelta | float, 5.0),
        (5, Annotated[int, msgspec.Meta(ge=1)] | date | None, 5),
        (10_000_000, timedelta | None, SECOND),
        (10_000_000, Lasting, SECOND),
        ({"kind": "card", "ValidFor": 10_000_000}, Cash | Card, Card(SECOND)),
        ({739_617: 1}, dict[date, int], {date(2026, 1, 2): 1}),
        ({(datetime(2026, 1, 2, tzinfo=UTC), 0): 1}, dict[datetime, int], {datetime(2026, 1, 2, tzinfo=UTC): 1}),
    ],
)
def test_a_number_in_messagepack_is_a_time_only_where_it_cannot_be_a_number(value: Any, to: Any, read: Any) -> None:
    assert repr(MESSAGEPACK["dotnet"].convert(value, to)) == repr(read)


def test_ticks_beyond_dotnets_are_none() -> None:
    with pytest.raises(msgspec.ValidationError, match="Expected `duration`, got `int`"):
        MESSAGEPACK["dotnet"].convert(2**63, timedelta)


class Own:
    def __init__(self, lasting: timedelta) -> None:
        self.lasting = lasting


def _written(value: Any, **options: Any) -> tuple[str, Any]:
    """Write a value for .NET; returns its JSON, and what its MessagePack reads as."""
    completion = Completion("1", value)
    json = JsonHubProtocol("dotnet", **options).write(completion).decode()
    messagepack = MessagePackHubProtocol("dotnet", **options).write(completion)
    text = json.removeprefix('{"type":3,"invocationId":"1","result":').removesuffix("}\x1e")
    return text, msgspec.msgpack.decode(messagepack[1:])[4]


MOMENT = datetime(2026, 1, 2, 3, 4, 5, 120_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "json", "messagepack"),
    [
        ({D: 1}, '{"1.10":1}', {"1.10": 1}),
        ({SECOND: 1}, '{"00:00:01":1}', {10_000_000: 1}),
        ({date(2026, 1, 2): 1}, '{"2026-01-02":1}', {739_617: 1}),
        ({time(3, 4, 5, 120_000): 1}, '{"03:04:05.1200000":1}', {110_451_200_000: 1}),
        ({MOMENT: 1}, '{"2026-01-02T03:04:05.12Z":1}', {MOMENT: 1}),
        ({Color.RED: SECOND}, '{"RED":"00:00:01"}', {"RED": 10_000_000}),
        (deque([SECOND]), '["00:00:01"]', [10_000_000]),
        (ChainMap({"a_b": [SECOND]}), '{"a_b":["00:00:01"]}', {"a_b": [10_000_000]}),
        (Cash(D), '{"kind":"cash","netPrice":1.10}', {"kind": "cash", "NetPrice": "1.10"}),
        (Totals({"a_b": D}), '{"a_b":1.10}', {"a_b": "1.10"}),
        (Decimal("1E+2"), "100", "100"),
    ],
)
def test_dotnets_forms_are_written_wherever_they_stand(value: Any, json: str, messagepack: Any) -> None:
    assert _written(value) == (json, messagepack)


def test_what_an_own_hook_makes_of_a_type_is_written_in_dotnets_forms_too() -> None:
    assert _written([Own(SECOND)], enc_hook=lambda own: own.lasting) == ('["00:00:01"]', [10_000_000])


@pytest.mark.parametrize("forms", ["python", "dotnet"])
def test_a_day_alone_is_a_date_where_either_is_declared(forms: str) -> None:
    @dataclass
    class Entry:
        at: date | datetime | None

    day, moment = date(2026, 1, 2), datetime(2026, 1, 2, 3, 4)
    for to in (date | datetime, datetime | date | None):
        assert repr(JSON[forms].convert("2026-01-02", to)) == repr(day)
        assert repr(JSON[forms].convert("2026-01-02T03:04", to)) == repr(moment)
        assert repr(MESSAGEPACK[forms].convert(739_617, to)) == repr(day)
        assert repr(MESSAGEPACK[forms].convert([moment.replace(tzinfo=UTC), 0], to)) == repr(moment.replace(tzinfo=UTC))
    assert repr(JSON[forms].convert({"At": "2026-01-02"}, Entry).at) == repr(day)
    assert repr(JSON[forms].convert({"At": "2026-01-02T03:04"}, Entry).at) == repr(moment)


def test_a_union_that_nobody_tells_apart_is_refused_with_the_reason() -> None:
    class Either(msgspec.Struct):
        either: Paid | Owed

    with pytest.raises(TypeError, match="may not contain more than one dataclass"):
        JSON["python"].converter((Either,))


@pytest.mark.parametrize(
    ("name", "json", "messagepack"),
    [
        ("unit_price", "unitPrice", "UnitPrice"),
        ("ID", "id", "ID"),
        ("HTTPServer2", "httpServer2", "HTTPServer2"),
        ("UserID", "userID", "UserID"),
        ("iso_8601", "iso8601", "Iso8601"),
        ("x1", "x1", "X1"),
        ("class_", "class", "Class"),
    ],
)
def test_names_are_cased_as_dotnet_does_it(name: str, json: str, messagepack: str) -> None:
    value = make_dataclass("Named", [(name, int)])(1)
    assert _written(value) == (f'{{"{json}":1}}', {messagepack: 1})
    assert JSON["dotnet"].convert({json: 1}, type(value)) == value
    assert MESSAGEPACK["dotnet"].convert({messagepack: 1}, type(value)) == value


def test_a_model_is_written_with_all_that_pydantic_writes_of_it() -> None:
    class Bill(pydantic.BaseModel):
        model_config = ConfigDict(extra="allow")
        net_price: Decimal
        paid_on: Annotated[date, PlainSerializer(lambda day: f"{day:%d.%m.%Y}")] = date(2026, 1, 2)
        due_on: date = date(2026, 1, 3)
        secret: str = Field(default="", exclude=True)

        @field_serializer("due_on")
        def days(self, day: date) -> int:
            return day.day

        @computed_field  # type: ignore[prop-decorator]
        @property
        def gross_price(self) -> Decimal:
            return self.net_price * 2

    bill = Bill.model_validate({"net_price": D, "more_time": SECOND})
    assert _written(bill) == (
        '{"netPrice":1.10,"paidOn":"02.01.2026","dueOn":3,"grossPrice":2.20,"more_time":"00:00:01"}',
        {"NetPrice": "1.10", "PaidOn": "02.01.2026", "DueOn": 3, "GrossPrice": "2.20", "more_time": 10_000_000},
    )


def test_names_by_a_rule_for_json_are_pascal_case_in_messagepack_and_names_given_one_by_one_stay() -> None:
    class Ruled(msgspec.Struct, rename="camel"):
        unit_price: int = 1
        span: int = 2

    class Modelled(pydantic.BaseModel):
        model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
        unit_price: int = 1
        span: int = 2

    class Given(msgspec.Struct):
        unit_price: int = msgspec.field(default=1, name="price")
        span: int = 2

    for each in (Ruled(), Modelled()):
        assert _written(each) == ('{"unitPrice":1,"span":2}', {"UnitPrice": 1, "Span": 2})
    assert _written(Given()) == ('{"price":1,"span":2}', {"price": 1, "Span": 2})


@pytest.mark.parametrize("span", [timedelta.max, timedelta.min])
@pytest.mark.parametrize("protocol", [JSON["dotnet"], MESSAGEPACK["dotnet"]])
def test_a_span_that_dotnet_does_not_have_is_not_sent(protocol: Any, span: timedelta) -> None:
    with pytest.raises(ValueError, match=r"is longer than \.NET's TimeSpan can be, so it cannot be sent"):
        protocol.write(Completion("1", span))
