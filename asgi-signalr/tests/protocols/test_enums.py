"""Enums travel by name in MessagePack and by value in JSON, and are taken by either, wherever a type has one."""

import dataclasses
import enum
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypedDict, TypeVar

import attrs
import msgspec
import pydantic
import pytest
from asgi_signalr import Hub, HubFilter, SignalR
from asgi_signalr.filters import InvocationContext, Invoke
from asgi_signalr.messages import Completion, Invocation, StreamInvocation, StreamItem
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.protocols.json import JsonHubProtocol
from asgi_signalr.protocols.messagepack import MessagePackHubProtocol
from asgi_signalr.testing import TestClient

json = JsonHubProtocol()
messagepack = MessagePackHubProtocol()
both = pytest.mark.parametrize("protocol", [json, messagepack], ids=["json", "messagepack"])

T = TypeVar("T")


class Colour(enum.Enum):
    RED = 1
    GREEN = 2
    CRIMSON = 1


class Level(enum.IntEnum):
    LOW = 0
    HIGH = 1


class Size(enum.StrEnum):
    SMALL = "s"
    LARGE = "l"


class May(enum.Flag):
    READ = 1
    WRITE = 2
    EXECUTE = 4
    EDIT = 3


class Loose(enum.IntFlag):
    A = 1


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    colour: Colour


@dataclasses.dataclass(slots=True)
class Slim:
    colour: Colour


@attrs.define
class Attrs:
    colour: Colour


class Shape(msgspec.Struct, rename="camel", omit_defaults=True, frozen=True, tag="shape"):
    main_colour: Colour
    points: list[Point] = []
    level: Level = Level.HIGH
    other: Colour | None = None


class Row(msgspec.Struct, array_like=True):
    number: int
    size: Size


class Tree(msgspec.Struct):
    colour: Colour
    branches: list["Tree"] = []


class Box(msgspec.Struct, Generic[T]):
    content: T
    more: list[T] = []


class Settings(TypedDict, total=False):
    size: Size


class Pair(NamedTuple):
    left: int
    right: Colour


class Model(pydantic.BaseModel):
    colour: Colour = pydantic.Field(alias="mainColour")
    sizes: dict[Size, list[Level]] = {}


class Cat(pydantic.BaseModel):
    colour: Colour


class Dog(pydantic.BaseModel):
    size: Size


class Pets(pydantic.RootModel[list[Cat | Dog]]):
    pass


@pydantic.dataclasses.dataclass
class Checked:
    colour: Colour


MODEL = Model(mainColour=Colour.GREEN, sizes={Size.LARGE: [Level.LOW]})


def arrives(protocol: HubProtocol, value: Any, to: Any = Any) -> Any:
    (item,) = protocol.parse(bytearray(protocol.write(StreamItem("1", value))), 2**20)
    assert isinstance(item, StreamItem)
    return protocol.convert(item.item, to)


NAMED: list[tuple[Any, Any, Any]] = [
    (Colour.RED, "RED", Colour),
    (Colour.CRIMSON, "RED", Colour),
    (Level.LOW, "LOW", Level),
    (Size.SMALL, "SMALL", Size),
    ([Colour.RED, Colour.GREEN], ["RED", "GREEN"], list[Colour]),
    ({Colour.RED}, ["RED"], set[Colour]),
    ((1, Colour.RED), [1, "RED"], tuple[int, Colour]),
    ((Size.LARGE, Size.SMALL), ["LARGE", "SMALL"], tuple[Size, ...]),
    ({"a": {"b": [Level.HIGH]}}, {"a": {"b": ["HIGH"]}}, dict[str, dict[str, list[Level]]]),
    ({Colour.RED: Size.SMALL}, {"RED": "SMALL"}, dict[Colour, Size]),
    (Point(1, Colour.RED), {"x": 1, "colour": "RED"}, Point),
    ([Point(1, Colour.RED)], [{"x": 1, "colour": "RED"}], list[Point]),
    (Slim(Colour.RED), {"colour": "RED"}, Slim),
    (Attrs(Colour.RED), {"colour": "RED"}, Attrs),
    (
        Shape(Colour.GREEN, [Point(1, Colour.RED)], Level.LOW),
        {"type": "shape", "mainColour": "GREEN", "points": [{"x": 1, "colour": "RED"}], "level": "LOW"},
        Shape,
    ),
    (Shape(Colour.GREEN), {"type": "shape", "mainColour": "GREEN"}, Shape),
    (Row(1, Size.LARGE), [1, "LARGE"], Row),
    (
        Tree(Colour.RED, [Tree(Colour.GREEN)]),
        {"colour": "RED", "branches": [{"colour": "GREEN", "branches": []}]},
        Tree,
    ),
    (Box(Colour.RED, [Colour.GREEN]), {"content": "RED", "more": ["GREEN"]}, Box[Colour]),
    ({"size": Size.LARGE}, {"size": "LARGE"}, Settings),
    (Pair(1, Colour.GREEN), [1, "GREEN"], Pair),
    (MODEL, {"mainColour": "GREEN", "sizes": {"LARGE": ["LOW"]}}, Model),
    (Pets([Cat(colour=Colour.RED), Dog(size=Size.LARGE)]), [{"colour": "RED"}, {"size": "LARGE"}], Pets),
    ([Dog(size=Size.LARGE)], [{"size": "LARGE"}], list[Cat | Dog]),
    (Checked(Colour.GREEN), {"colour": "GREEN"}, Checked),
    (May.READ, "READ", May),
    (May.READ | May.EXECUTE, "READ, EXECUTE", May),
    (May.EDIT, "EDIT", May),
    (May(0), "0", May),
    ([Loose(5)], ["5"], list[Loose]),
]


@pytest.mark.parametrize(("value", "wire", "to"), NAMED, ids=[repr(each[0]) for each in NAMED])
def test_messagepack_has_names_at_any_depth(value: Any, wire: Any, to: Any) -> None:
    before = repr(value)
    assert arrives(messagepack, value) == wire
    assert repr(value) == before
    assert arrives(messagepack, value, to) == value


@pytest.mark.parametrize(("value", "wire", "to"), NAMED, ids=[repr(each[0]) for each in NAMED])
@both
def test_names_are_taken_wherever_a_type_has_an_enum(protocol: HubProtocol, value: Any, wire: Any, to: Any) -> None:
    assert protocol.convert(wire, to) == value
    assert protocol.converter([to, str])([wire, "a"]) == [value, "a"]


@pytest.mark.parametrize(("value", "wire", "to"), NAMED, ids=[repr(each[0]) for each in NAMED])
def test_enums_return_unchanged_in_json(value: Any, wire: Any, to: Any) -> None:
    assert arrives(json, value, to) == value


def test_json_has_values_where_messagepack_has_names() -> None:
    assert json.write(StreamItem("1", [Colour.RED, Size.LARGE, May.EDIT])).endswith(b'"item":[1,"l",3]}\x1e')


def test_every_message_with_values_has_names() -> None:
    for message in (Invocation("a", [Colour.RED]), StreamInvocation("a", [Colour.RED], "1")):
        assert next(messagepack.parse(bytearray(messagepack.write(message)), 100)).arguments == ["RED"]  # type: ignore[attr-defined]
    assert messagepack.write(Completion("1", Colour.RED)) == b"\x0a\x95\x03\x80\xa11\x03\xa3RED"


@both
@pytest.mark.parametrize(
    ("value", "to"),
    [
        ({"x": 1, "colour": "red"}, Point),
        ({"x": 1, "colour": 3}, Point),
        ({"x": "RED", "colour": "RED"}, Point),
        ({"mainColour": "red"}, Model),
        (["RED", "BLUE"], list[Colour]),
        ("READ, RUN", May),
        ("8", May),
        ("", May),
    ],
)
def test_what_is_neither_a_name_nor_a_value_is_refused(protocol: HubProtocol, value: Any, to: Any) -> None:
    with pytest.raises(ValueError):
        protocol.convert(value, to)


@both
def test_text_stays_text_where_that_is_declared(protocol: HubProtocol) -> None:
    assert protocol.convert(["RED", 1], list[Colour | str]) == ["RED", Colour.RED]


def test_a_value_nested_beyond_all_measure_does_not_fit() -> None:
    value: dict[str, Any] = {"colour": "blue"}
    for _ in range(400):
        value = {"colour": 1, "branches": [value]}
    with pytest.raises(ValueError, match="Expected `int`, got `str`"):
        messagepack.convert(value, Tree)


class Answering(Hub):
    def unsaid(self, value: str):  # type: ignore[no-untyped-def]
        return {"colour": Colour[value]}

    def said(self, value: str) -> dict[str, Colour]:
        return {"colour": Colour[value]}

    async def number(self) -> int:
        return Level.HIGH

    def numbers(self) -> list[int]:
        return [Level.HIGH]


async def answers(signalr: SignalR) -> list[Any]:
    signalr.hub("/hub")(Answering)
    async with TestClient(signalr, "/hub", protocol="messagepack") as client:
        return [
            await client.invoke("unsaid", "RED"),
            await client.invoke("said", "RED"),
            await client.invoke("number"),
            await client.invoke("numbers"),
        ]


class Passing(HubFilter):
    async def invoke(self, context: InvocationContext, next: Invoke) -> Any:
        return await next(context)


async def test_results_have_names_but_for_what_is_declared_as_a_number() -> None:
    assert await answers(SignalR()) == [{"colour": "RED"}, {"colour": "RED"}, 1, [1]]


async def test_a_filter_may_answer_with_anything_so_what_is_declared_does_not_count() -> None:
    assert await answers(SignalR(filters=[Passing()])) == [{"colour": "RED"}, {"colour": "RED"}, "HIGH", ["HIGH"]]


@pytest.mark.parametrize(
    ("to", "is_quick"),
    [
        (str, True),
        (None, True),
        (dict[str, list[int | None]], True),
        (tuple[int, ...], True),
        (Colour, False),
        (list[Colour], False),
        (Any, False),
        (dict, False),
        (Point, False),
    ],
)
def test_results_are_looked_into_unless_their_type_has_no_room_for_an_enum(to: Any, is_quick: bool) -> None:
    write: Callable[..., bytes] = messagepack.writer(to)
    assert (write != messagepack.write) is is_quick
    for message in (Completion("1", "a"), StreamItem("1", ["a"])):
        assert write(message) == messagepack.write(message)
    assert write(Completion("1", "\ud800")) == write(Completion("1", "\ufffd"))
