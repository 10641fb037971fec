"""Subclasses of what is built in, arrays, unions, generic hubs, and types of the application's own."""

from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec
import pytest
from asgi_signalr import Hub, HubException, HubProtocol, SignalR
from asgi_signalr.messages import StreamItem
from asgi_signalr.protocols.json import JsonHubProtocol
from asgi_signalr.protocols.messagepack import MessagePackHubProtocol
from asgi_signalr.testing import TestClient
from msgspec import msgpack

JSON, MESSAGEPACK = JsonHubProtocol(), MessagePackHubProtocol()


class SafeString(str):
    """As Django's and MarkupSafe's."""

    __slots__ = ()

    def __str__(self) -> str:
        return self


class Number(int):
    __slots__ = ()


class Real(float):
    __slots__ = ()


class Blob(bytes):
    __slots__ = ()


class Moment(datetime):
    pass


class Day(date):
    pass


class Clock(time):
    pass


class Span(timedelta):
    pass


class Money(Decimal):
    __slots__ = ()


class Id(UUID):
    pass


class Array:
    """As NumPy's arrays and scalars."""

    dtype = "int64"

    def __init__(self, value: Any) -> None:
        self._value = value

    def tolist(self) -> Any:
        return self._value


class Nanoseconds(Array):
    """As NumPy's times that are finer than Python's: a list of them would be one of numbers."""

    dtype = "datetime64[ns]"

    def astype(self, dtype: str) -> Array:
        return Array({"datetime64[us]": self._value}[dtype])

    def tolist(self) -> Any:
        return 1_767_323_045_123_456_789


class Registry(Mapping[str, int]):
    def __getitem__(self, name: str) -> int:
        return {"a": 1}[name]

    def __iter__(self) -> Any:
        return iter(["a"])

    def __len__(self) -> int:
        return 1


MOMENT = (2026, 1, 2, 3, 4, 5, 6)
PAIRS: list[tuple[Any, Any]] = [
    (SafeString("<b>"), "<b>"),
    (Number(7), 7),
    (Real(1.5), 1.5),
    (Blob(b"abc"), b"abc"),
    (Moment(*MOMENT, tzinfo=UTC), datetime(*MOMENT, tzinfo=UTC)),
    (Moment(*MOMENT), datetime(*MOMENT)),
    (Day(2026, 1, 2), date(2026, 1, 2)),
    (Clock(3, 4, 5), time(3, 4, 5)),
    (Span(hours=1), timedelta(hours=1)),
    (Money("12.50"), Decimal("12.50")),
    (Id(int=5), UUID(int=5)),
    (Array([1, [2, 3]]), [1, [2, 3]]),
    (Array(5), 5),
    (Nanoseconds(datetime(*MOMENT)), datetime(*MOMENT)),
    (deque([1, 2]), [1, 2]),
    (OrderedDict(a=1), {"a": 1}),
    (Registry(), {"a": 1}),
    ({"a": 1}.keys(), ["a"]),
    ({SafeString("key"): 1}, {"key": 1}),
    ({Number(7): 1}, {7: 1}),
    ({Array(True): 1}, {True: 1}),
]


@pytest.mark.parametrize(("value", "like"), PAIRS, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("forms", ["python", "dotnet"])
@pytest.mark.parametrize("kind", [JsonHubProtocol, MessagePackHubProtocol])
def test_it_is_written_as_what_it_is_a_kind_of(kind: Any, forms: Any, value: Any, like: Any) -> None:
    protocol = kind(forms)
    expected = protocol.write(StreamItem("1", [like, {"inside": like}]))
    assert protocol.write(StreamItem("1", [value, {"inside": value}])) == expected


@dataclass
class Circle:
    radius: float


@dataclass
class Square:
    side: float
    color: str = "red"


@dataclass
class ColoredCircle:
    radius: float
    color: str


Shape = Circle | Square | ColoredCircle


@pytest.mark.parametrize("protocol", [JSON, MESSAGEPACK], ids=["json", "messagepack"])
@pytest.mark.parametrize(
    ("to", "value", "made"),
    [
        (Shape, {"side": 2}, Square(2)),
        (Shape, {"radius": 2}, Circle(2)),
        (Shape, {"radius": 2, "color": "blue"}, ColoredCircle(2, "blue")),
        (list[Shape], [{"radius": 1}, {"side": 2}], [Circle(1), Square(2)]),
        (dict[str, Shape | None], {"a": None, "b": {"side": 1}}, {"a": None, "b": Square(1)}),
        (str | datetime, "2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (str | datetime, "tomorrow", "tomorrow"),
        (UUID | date | None, "2026-01-02", date(2026, 1, 2)),
        (UUID | date | None, None, None),
    ],
)
def test_the_type_of_a_union_is_the_one_that_fits(protocol: HubProtocol, to: Any, value: Any, made: Any) -> None:
    assert protocol.converter((to,))([value]) == [made]
    assert protocol.convert(value, to) == made


def test_what_fits_none_of_a_union_says_what_each_of_them_lacks() -> None:
    with pytest.raises(ValueError, match=r"`radius`.*; or: .*`side`"):
        JSON.convert({"size": 1}, Circle | Square)


# Types of the application's own.


class Point:
    def __init__(self, x: int, y: int) -> None:
        self.x, self.y = x, y

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and (self.x, self.y) == (other.x, other.y)

    __hash__ = None  # type: ignore[assignment]


def enc_hook(value: Any) -> Any:
    if isinstance(value, Point):
        return f"{value.x};{value.y}"
    raise NotImplementedError


def dec_hook(to: type, value: Any) -> Any:
    if to is Point:
        return Point(*map(int, value.split(";")))
    raise NotImplementedError


@pytest.mark.parametrize("protocol", ["json", "messagepack"])
async def test_hooks_make_types_of_ones_own_travel(protocol: Any) -> None:
    signalr = SignalR(enc_hook=enc_hook, dec_hook=dec_hook)

    @signalr.hub("/points")
    class Points(Hub):
        def mirrored(self, points: list[Point]) -> dict[str, Point]:
            return {"first": Point(points[0].y, points[0].x)}

        def other(self) -> object:
            return object()

    async with TestClient(signalr, "/points", protocol=protocol) as client:
        assert await client.invoke("mirrored", ["1;2"]) == {"first": "2;1"}
        with pytest.raises(HubException):
            await client.invoke("other")
        with pytest.raises(HubException):
            await client.invoke("mirrored", ["1-2"])
        assert await client.invoke("mirrored", ["3;4"]) == {"first": "4;3"}


def test_without_a_hook_a_type_of_ones_own_is_refused_where_it_is_declared() -> None:
    with pytest.raises(TypeError, match="A value of type Point cannot be received from a client"):
        JSON.converter((Point,))


# Numbers.


def parsed(text: str, to: Any, **options: Any) -> Any:
    protocol = JsonHubProtocol(**options)
    record = f'{{"type":2,"invocationId":"1","item":{text}}}\x1e'.encode()
    (message,) = protocol.parse(bytearray(record), 10_000)
    assert isinstance(message, StreamItem)
    return protocol.convert(message.item, to)


def test_the_texts_of_named_floats_are_read_where_they_are_allowed() -> None:
    assert parsed('["Infinity","-Infinity",1.5]', list[float], named_floats=True) == [float("inf"), -float("inf"), 1.5]
    assert str(parsed('"NaN"', float, named_floats=True)) == "nan"
    with pytest.raises(msgspec.ValidationError):
        parsed('"NaN"', float)
    assert parsed('"NaN"', str, named_floats=True) == "NaN"


@pytest.mark.parametrize("options", [{}, {"exact": True}, {"value_forms": "dotnet"}])
def test_negative_zero_keeps_its_sign_as_a_float_and_loses_it_as_a_whole_number(options: Any) -> None:
    assert str(parsed("-0", float, **options)) == "-0.0"
    assert str(parsed("[-0 ,-0.0]", list[float], **options)) == "[-0.0, -0.0]"
    assert str(parsed("-0", int, **options)) == "0"
    assert parsed('"a:-0,b\\"-0]"', str, **options) == 'a:-0,b"-0]'


def test_decimals_pass_through_any_with_all_their_digits_in_dotnets_forms() -> None:
    value = parsed('{"price":12345678901234567.890,"list":[1.10]}', Any, value_forms="dotnet")
    assert value == {"price": Decimal("12345678901234567.890"), "list": [Decimal("1.10")]}
    assert JsonHubProtocol("dotnet").write(StreamItem("1", value)) == (
        b'{"type":2,"invocationId":"1","item":{"price":12345678901234567.890,"list":[1.10]}}\x1e'
    )
    assert parsed("1.10", Any, exact=True) == 1.1


# Generic hubs.

T = TypeVar("T")
K = TypeVar("K", bound=int)


class Store(Hub, Generic[T, K]):
    def echo(self, item: T) -> list[T]:
        return [item]

    def kind_of(self, items: dict[str, list[T]]) -> str:
        return type(items["all"][0]).__name__

    def key(self, key: K) -> K:
        return key

    async def upload(self, items: AsyncIterator[T]) -> list[str]:
        return [type(item).__name__ async for item in items]


class Middle(Store[T, int], Generic[T]):
    pass


class Circles(Middle[Circle]):
    pass


class Open(Store):  # type: ignore[type-arg]
    pass


async def test_the_parameters_of_a_generic_base_are_filled_in() -> None:
    signalr = SignalR()
    signalr.hub("/circles")(Circles)
    signalr.hub("/open")(Open)

    async def two() -> AsyncIterator[Any]:
        for _ in range(2):
            yield {"radius": 1}

    async with TestClient(signalr, "/circles") as client:
        assert await client.invoke("echo", {"radius": 1}) == [{"radius": 1.0}]
        assert await client.invoke("kind_of", {"all": [{"radius": 1}]}) == "Circle"
        assert await client.invoke("upload", two()) == ["Circle", "Circle"]
        with pytest.raises(HubException):
            await client.invoke("echo", {"id": "no number"})
    async with TestClient(signalr, "/open") as client:
        assert await client.invoke("echo", {"id": "anything"}) == [{"id": "anything"}]
        with pytest.raises(HubException):
            await client.invoke("key", "no number")


def test_messagepack_has_its_own_times_for_subclasses_too() -> None:
    body = MESSAGEPACK.write(StreamItem("1", Moment(2026, 1, 2, 3, 4, 5, tzinfo=UTC)))[1:]
    assert msgpack.decode(body)[3] == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
