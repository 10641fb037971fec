"""What arguments, results and stream items may be, in either protocol."""

import datetime
import decimal
import enum
import ipaddress
import math
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import msgspec
import pydantic
import pydantic.dataclasses
import pytest
from asgi_signalr.messages import Completion, Invocation, StreamItem
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.protocols.json import JsonHubProtocol
from asgi_signalr.protocols.messagepack import MessagePackHubProtocol
from pydantic.alias_generators import to_camel

json = JsonHubProtocol()
messagepack = MessagePackHubProtocol()
both = pytest.mark.parametrize("protocol", [json, messagepack], ids=["json", "messagepack"])

NOON = datetime.datetime(2026, 1, 2, 12, 0, 5, 250_000, tzinfo=datetime.UTC)


class Colour(enum.Enum):
    RED = 1
    GREEN = 2


class Size(enum.StrEnum):
    SMALL = "s"
    LARGE = "l"


@dataclass
class Point:
    x: int
    y: float


class Shape(msgspec.Struct, rename="camel"):
    name: str
    corner_points: list[Point]


class Settings(TypedDict, total=False):
    dark: bool
    size: Size


class Pair(NamedTuple):
    left: int
    right: str


class Cup(pydantic.BaseModel):
    size: int = pydantic.Field(gt=0)


class Kept(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(alias_generator=to_camel, ser_json_bytes="base64", val_json_bytes="base64")

    raw_data: bytes
    at: datetime.datetime
    link: pydantic.AnyUrl


KEPT = Kept.model_validate({"rawData": b"\x00\xff", "at": NOON, "link": "https://example.com/a"})


@dataclass
class Table:
    cups: list[Cup]
    best: Cup | None = None
    seats: dict[int, str] = field(default_factory=dict)


def travels(protocol: HubProtocol, value: Any, to: Any) -> Any:
    """Send a value as one side's argument, and receive it as the other's."""
    buffer = bytearray(protocol.write(Invocation("a", [value])))
    (invocation,) = protocol.parse(buffer, 2**20)
    assert isinstance(invocation, Invocation)
    (alone,) = protocol.converter([to])(invocation.arguments)
    assert protocol.convert(invocation.arguments[0], to) == alone
    return alone


@both
@pytest.mark.parametrize(
    ("value", "to"),
    [
        (b"\x00\xff", bytes),
        ([b"a", b""], list[bytes]),
        (NOON, datetime.datetime),
        (NOON.replace(tzinfo=None), datetime.datetime),
        (NOON.date(), datetime.date),
        (NOON.time(), datetime.time),
        (datetime.timedelta(days=1, seconds=2, microseconds=3), datetime.timedelta),
        (uuid.UUID(int=1), uuid.UUID),
        (decimal.Decimal("1.10"), decimal.Decimal),
        (Colour.GREEN, Colour),
        ([Colour.RED], list[Colour]),
        (Size.LARGE, Size),
        (Point(1, 2.5), Point),
        ({"a": [Point(1, 2.0)]}, dict[str, list[Point]]),
        (Shape("line", [Point(0, 0.0), Point(1, 1.5)]), Shape),
        ({"dark": True, "size": Size.SMALL}, Settings),
        (Pair(1, "b"), Pair),
        ((1, "b"), tuple[int, str]),
        ({1, 2}, set[int]),
        ({1: "a", 2: "b"}, dict[int, str]),
        ({uuid.UUID(int=3): NOON}, dict[uuid.UUID, datetime.datetime]),
        ({NOON.date(): 1.5}, dict[datetime.date, float]),
        (None, Point | None),
        (Point(1, 2.0), Point | None),
        ("a", int | str),
        ("a", object),
        ([1, "a", None], list[object]),
        ("b", Literal["a", "b"]),
        (2**63 - 1, int),
        (-(2**63), int),
        (2**64 - 1, int),
        ("\u2028 é \U0001f600 \x1e \x00", str),
        (Cup(size=3), Cup),
        (None, Cup | None),
        ([Cup(size=3)], list[Cup]),
        ({"a": Cup(size=3)}, dict[str, Cup]),
        (Cup(size=1), int | Cup),
        (KEPT, Kept),
        ([KEPT], list[Kept | Cup]),
        (Table([Cup(size=1)], Cup(size=2), {1: "a"}), Table),
        (pydantic.AnyUrl("https://example.com/"), pydantic.AnyUrl),
        (ipaddress.IPv4Address("127.0.0.1"), ipaddress.IPv4Address),
        ({"a": [ipaddress.IPv4Address("127.0.0.1")]}, dict[str, list[ipaddress.IPv4Address]]),
    ],
    ids=repr,
)
def test_a_value_arrives_as_what_it_was(protocol: HubProtocol, value: Any, to: Any) -> None:
    arrived = travels(protocol, value, to)
    assert arrived == value
    assert type(arrived) is type(value)


@both
def test_results_and_items_travel_as_arguments_do(protocol: HubProtocol) -> None:
    wire = protocol.write(Completion("1", [KEPT, b"a"])) + protocol.write(StreamItem("2", {"at": NOON}))
    completion, item = protocol.parse(bytearray(wire), 2**20)
    assert isinstance(completion, Completion)
    assert isinstance(item, StreamItem)
    assert isinstance(completion.result, list)
    assert protocol.convert(completion.result, tuple[Any, bytes]) != ()
    assert protocol.convert(completion.result[0], Kept) == KEPT
    assert protocol.convert(completion.result[1], bytes) == b"a"
    assert protocol.convert(item.item, dict[str, datetime.datetime]) == {"at": NOON}


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (float("nan"), b"null"),
        ([float("inf"), {"a": float("-inf")}], b'[null,{"a":null}]'),
        (b"\x00\xff", b'"AP8="'),
        (NOON, b'"2026-01-02T12:00:05.250000Z"'),
        (NOON.replace(tzinfo=None), b'"2026-01-02T12:00:05.250000"'),
        (NOON.date(), b'"2026-01-02"'),
        (datetime.timedelta(seconds=90), b'"PT90S"'),
        (uuid.UUID(int=1), b'"00000000-0000-0000-0000-000000000001"'),
        (decimal.Decimal("1.10"), b'"1.10"'),
        (Colour.RED, b"1"),
        (Size.SMALL, b'"s"'),
        (Point(1, 2.5), b'{"x":1,"y":2.5}'),
        (Shape("a", []), b'{"name":"a","cornerPoints":[]}'),
        (Pair(1, "b"), b'[1,"b"]'),
        ({1: "a"}, b'{"1":"a"}'),
        ("\u2028é\x1e", '"\u2028é\\u001e"'.encode()),
        (Cup(size=1), b'{"size":1}'),
        (KEPT, b'{"rawData":"AP8=","at":"2026-01-02T12:00:05.250000Z","link":"https://example.com/a"}'),
        (2**70, b"1180591620717411303424"),
    ],
)
def test_json_is_written_as_other_clients_expect_it(value: Any, wire: bytes) -> None:
    assert json.write(Completion("1", value)) == b'{"type":3,"invocationId":"1","result":' + wire + b"}\x1e"


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (b"\x00\xff", "c4 02 00 ff"),
        (datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), "d6 ff 69 57 0a 80"),
        (NOON.replace(tzinfo=None), "ba" + b"2026-01-02T12:00:05.250000".hex()),
        (uuid.UUID(int=1), "d9 24" + b"00000000-0000-0000-0000-000000000001".hex()),
        (decimal.Decimal("1.10"), "a4 31 2e 31 30"),
        (Colour.RED, "a3 52 45 44"),
        (1.5, "cb 3f f8 00 00 00 00 00 00"),
        ({1: "a"}, "81 01 a1 61"),
        (Cup(size=1), "81 a4 73 69 7a 65 01"),
    ],
)
def test_messagepack_is_written_as_other_clients_expect_it(value: Any, wire: str) -> None:
    body = bytes.fromhex("95 03 80 a1 31 03 " + wire)
    assert messagepack.write(Completion("1", value)) == bytes((len(body),)) + body


def test_messagepack_knows_numbers_that_json_does_not() -> None:
    (item,) = messagepack.parse(bytearray(messagepack.write(StreamItem("1", [math.nan, math.inf]))), 100)
    assert isinstance(item, StreamItem)
    assert math.isnan(item.item[0])
    assert item.item[1] == math.inf


def test_bytes_in_a_model_stay_bytes_in_messagepack() -> None:
    (item,) = messagepack.parse(bytearray(messagepack.write(StreamItem("1", KEPT))), 1000)
    assert item == StreamItem("1", {"rawData": b"\x00\xff", "at": NOON, "link": "https://example.com/a"})


@both
@pytest.mark.parametrize(
    ("value", "said"),
    [
        (object(), "A value of type object cannot be sent to a client."),
        ([{"a": object()}], "A value of type object cannot be sent to a client."),
        ((each for each in "ab"), "A value of type generator cannot be sent to a client."),
        (KeyError("a"), "A value of type KeyError cannot be sent to a client."),
    ],
)
def test_a_value_that_cannot_be_sent_is_an_error_of_the_sender(protocol: HubProtocol, value: Any, said: str) -> None:
    for message in (Invocation("a", [value]), StreamItem("1", value), Completion("1", value)):
        with pytest.raises((TypeError, ValueError)) as caught:
            protocol.write(message)
        assert str(caught.value) == said


@both
@pytest.mark.parametrize(
    ("value", "whole"),
    [
        ("a\ud800b", "a\ufffdb"),
        ({"a": ["ab\udfff"], "at": NOON}, {"a": ["ab\ufffd"], "at": NOON}),
        ({"\ud800": b"\x00"}, {"\ufffd": b"\x00"}),
        ("\ud83d\ude00", "😀"),
        (Shape("\udc00", []), Shape("\ufffd", [])),
    ],
)
def test_half_of_a_character_is_sent_as_the_sign_for_what_cannot_be_read(
    protocol: HubProtocol, value: Any, whole: Any
) -> None:
    assert protocol.write(Invocation("a", [value])) == protocol.write(Invocation("a", [whole]))
    assert protocol.write(StreamItem("1", value)) == protocol.write(StreamItem("1", whole))
    assert protocol.write(Completion("1", value)) == protocol.write(Completion("1", whole))


def test_json_has_no_such_keys() -> None:
    with pytest.raises(TypeError, match=r"^A value of type tuple cannot be sent to a client\.$"):
        json.write(StreamItem("1", {(1, 2): 1}))


@pytest.mark.parametrize(("key", "written"), [(None, "null"), (True, "true"), (False, "false")])
def test_json_spells_keys_that_it_has_only_as_values(key: Any, written: str) -> None:
    assert json.write(StreamItem("1", [{key: {key: 1}}])) == (
        b'{"type":2,"invocationId":"1","item":[{"%b":{"%b":1}}]}\x1e' % (written.encode(), written.encode())
    )


@both
def test_a_value_that_contains_itself_cannot_be_sent(protocol: HubProtocol) -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(ValueError, match=r"^A value that is nested too deeply, or in itself, cannot be sent\.$"):
        protocol.write(Invocation("a", [value]))


def test_a_number_beyond_64_bits_cannot_be_sent_by_messagepack() -> None:
    with pytest.raises(ValueError, match=r"^A number that does not fit into 64 bits cannot be sent"):
        messagepack.write(Invocation("a", [2**64]))


@pytest.mark.parametrize(
    ("protocol", "value", "to", "native"),
    [
        (json, "AP8=", bytes, b"\x00\xff"),
        (json, "2026-01-02T12:00:05.25Z", datetime.datetime, NOON),
        (json, "2026-01-02T12:00:05.250+00:00", datetime.datetime, NOON),
        (json, {"1": "a"}, dict[int, str], {1: "a"}),
        (json, 3, float, 3.0),
        (json, 1.5, decimal.Decimal, decimal.Decimal("1.5")),
        (json, {"size": 3, "more": 1}, Cup, Cup(size=3)),
        (messagepack, "2026-01-02T12:00:05.25Z", datetime.datetime, NOON),
        (messagepack, {"1": "a"}, dict[int, str], {1: "a"}),  # a JavaScript object's keys are text
        (messagepack, 3, float, 3.0),  # JavaScript sends 3.0 as a whole number
        (messagepack, "00000000000000000000000000000001", uuid.UUID, uuid.UUID(int=1)),
        (messagepack, bytes(15) + b"\x01", uuid.UUID, uuid.UUID(int=1)),
    ],
)
def test_values_of_other_clients_become_what_a_method_declares(
    protocol: HubProtocol, value: Any, to: Any, native: Any
) -> None:
    assert protocol.convert(value, to) == native


@both
def test_an_enum_is_taken_by_value_and_by_name(protocol: HubProtocol) -> None:
    assert protocol.converter([Colour, Size, Colour | None])(["RED", "LARGE", "GREEN"]) == [
        Colour.RED,
        Size.LARGE,
        Colour.GREEN,
    ]
    assert protocol.converter([Colour, Size, Colour | None])([1, "l", None]) == [Colour.RED, Size.LARGE, None]
    for wrong in ("red", 3, None, "s"):
        with pytest.raises(ValueError, match=r"Invalid enum value|Expected"):
            protocol.convert(wrong, Colour)


class Crossed(enum.Enum):
    A = "B"
    B = "A"


def test_where_a_name_is_another_members_value_it_is_the_value_that_counts() -> None:
    assert json.convert("A", Crossed) is Crossed.B


@both
@pytest.mark.parametrize(
    ("value", "to", "said"),
    [
        ("1", int, "Expected `int`, got `str`"),
        (True, int, "Expected `int`, got `bool`"),
        (1.5, int, "Expected `int`, got `float`"),
        (None, str, "Expected `str`, got `null`"),
        ([1, "2"], list[int], "Expected `int`, got `str` - at `$[1]`"),
        ({"x": 1}, Point, "Object missing required field `y`"),
        ([{"x": 1}], list[Point], "Object missing required field `y` - at `$[0]`"),
        (0, Annotated[int, msgspec.Meta(gt=0)], "Expected `int` >= 1"),
    ],
)
def test_what_does_not_fit_is_said(protocol: HubProtocol, value: Any, to: Any, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        protocol.convert(value, to)
    assert str(caught.value) == said


@both
def test_of_several_arguments_it_is_said_which_one_does_not_fit(protocol: HubProtocol) -> None:
    with pytest.raises(ValueError) as caught:
        protocol.converter([int, list[int]])([1, [1, "2"]])
    assert str(caught.value) == "Expected `int`, got `str` - at `$[1][1]`"


@both
@pytest.mark.parametrize(
    ("value", "to"),
    [
        ({"size": 0}, Cup),
        ({"size": "large"}, Cup | None),
        ([{"size": 0}], list[Cup]),
        ({"cups": [{"size": 0}]}, Table),
        (0, Annotated[int, pydantic.Field(gt=0)]),
        (0, pydantic.PositiveInt),
        ("nowhere", pydantic.AnyUrl),
    ],
)
def test_pydantic_has_the_say_about_its_own_types(protocol: HubProtocol, value: Any, to: Any) -> None:
    with pytest.raises(ValueError):
        protocol.convert(value, to)


def test_strict_models_take_from_json_what_json_has() -> None:
    class Strict(pydantic.BaseModel, strict=True):
        id: uuid.UUID
        at: datetime.datetime

    assert travels(json, Strict(id=uuid.UUID(int=1), at=NOON), Strict) == Strict(id=uuid.UUID(int=1), at=NOON)


@both
def test_pydantic_dataclasses_are_validated(protocol: HubProtocol) -> None:
    @pydantic.dataclasses.dataclass
    class Mug:
        size: int = pydantic.Field(gt=0)

    assert travels(protocol, Mug(2), Mug) == Mug(2)
    with pytest.raises(ValueError, match="greater than 0"):
        protocol.convert({"size": 0}, Mug)


@both
def test_a_converter_takes_what_was_sent_and_leaves_defaults_to_the_method(protocol: HubProtocol) -> None:
    convert = protocol.converter([int, Point, Any, Cup])
    given = [1, {"x": 1, "y": 2}, "any", {"size": 3}]
    assert [convert(given[:count]) for count in range(5)] == [
        [1, Point(1, 2.0), "any", Cup(size=3)][:count] for count in range(5)
    ]
    assert protocol.converter([])([]) == []
    assert protocol.converter([int, str])([1]) == [1]
    assert protocol.converter([float, int])([1, 2]) == [1.0, 2]


class Opaque:
    """Nothing that could be made of what a client sends."""


@both
@pytest.mark.parametrize("to", [Opaque, list[Opaque], dict[str, Opaque | None], Opaque | int, list["Missing"]])  # type: ignore[name-defined]  # noqa: F821  (that it is missing is what is tested)
def test_a_type_that_cannot_be_received_is_refused_when_a_converter_is_made(protocol: HubProtocol, to: Any) -> None:
    with pytest.raises(TypeError):
        protocol.converter([str, to])


class Tree(msgspec.Struct):
    value: int
    branches: list["Tree"] = []


@both
def test_a_type_may_contain_itself(protocol: HubProtocol) -> None:
    tree = Tree(1, [Tree(2), Tree(3, [Tree(4)])])
    assert travels(protocol, tree, Tree) == tree


def test_without_pydantic_its_absence_is_no_trouble() -> None:
    script = """
import sys
from asgi_signalr.messages import StreamItem
from asgi_signalr.protocols.json import JsonHubProtocol

assert "pydantic" not in sys.modules
json = JsonHubProtocol()
assert json.convert("1", int | str) == "1"
for attempt in (lambda: json.converter([list[complex]]), lambda: json.write(StreamItem("1", 1j))):
    try:
        attempt()
    except TypeError as error:
        print(error)
"""
    out = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, encoding="utf-8").stdout
    assert out.splitlines() == [
        "A value of type complex cannot be received from a client.",
        "A value of type complex cannot be sent to a client.",
    ]
