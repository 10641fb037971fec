"""The hubs that the recorded exchanges talked to, in Python: each set of options has its own prefix.

The methods are named as in the program that ran on ASP.NET Core, whose answers were recorded.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag
from functools import cache
from typing import Annotated, Any, cast
from uuid import UUID

import msgspec
from asgi_signalr import Hub, HubException, SignalR, bearer_token, hub_method
from asgi_signalr.protocols.forms import DateTimeOffset, with_offset
from msgspec import Meta, field


class Color(Enum):
    Red = 0
    Green = 1
    Blue = 2


class Access(Flag):
    none = 0
    Read = 1
    Write = 2
    Execute = 4


class Thing(msgspec.Struct):  # with names of its own, as the class there has them
    Count: int = field(default=0, name="count")
    Name: str | None = field(default=None, name="name")
    Items: list[int] | None = field(default=None, name="items")


class Need(msgspec.Struct):
    Count: int = field(name="count")
    Name: str = field(name="name")


class Rec(msgspec.Struct):
    Count: int = field(default=0, name="count")
    Name: str | None = field(default=None, name="name")


class MyHubException(HubException):
    pass


class InvalidOperationError(Exception):
    pass


class Odd:
    pass


def made(kind: str) -> Any:
    utc = UTC
    values: dict[str, Any] = {
        "int": 42,
        "long": 9007199254740993,
        "longmin": -(2**63),
        "ulong": 2**64 - 1,
        "true": True,
        "null": None,
        "double1": 1.0,
        "double1.5": 1.5,
        "double0.1": 0.1,
        "double1e21": 1e21,
        "double1e22": 1e22,
        "double1e-7": 1e-7,
        "double1e-5": 1e-5,
        "double1e15": 1e15,
        "double1e16": 1e16,
        "double1e17": 1e17,
        "double123": 123456789.123,
        "negzero": -0.0,
        "maxdouble": 1.7976931348623157e308,
        "epsilon": 5e-324,
        "float1.5": 1.5,
        "float0.1": 0.1,
        "decimal": Decimal("1.10"),
        "decimalbig": Decimal("79228162514264337593543950335"),
        "decimal0": Decimal(0),
        "decimalneg": Decimal("-12.5"),
        "nan": float("nan"),
        "inf": float("inf"),
        "guid": UUID("00112233-4455-6677-8899-aabbccddeeff"),
        "bytes": bytes([1, 2, 250, 255]),
        "bytesempty": b"",
        "enum": Color.Green,
        "enumundef": 7,
        "flags": Access.Read | Access.Write,
        "flags0": Access.none,
        "enumlist": [Color.Red, Color.Blue],
        "enumdict": {"c": Color.Blue},
        "enumkey": {Color.Blue: 1},
        "dtutc": datetime(2026, 1, 2, 3, 4, 5, tzinfo=utc),
        "dtutcms": datetime(2026, 1, 2, 3, 4, 5, 120000, tzinfo=utc),
        "dtutcus": datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=utc),
        "dtunspec": datetime(2026, 1, 2, 3, 4, 5),
        "dtunspecms": datetime(2026, 1, 2, 3, 4, 5, 120000),
        "dtmin": datetime(1, 1, 1, tzinfo=utc),
        "dt1969": datetime(1969, 12, 31, 23, 59, 59, tzinfo=utc),
        "dt2600": datetime(2600, 1, 1, tzinfo=utc),
        "dto": datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2))),
        "dtoz": with_offset(datetime(2026, 1, 2, 3, 4, 5, tzinfo=utc)),
        "dtoms": datetime(2026, 1, 2, 3, 4, 5, 120000, tzinfo=timezone(timedelta(hours=-3.5))),
        "date": date(2026, 1, 2),
        "time": time(3, 4, 5),
        "timems": time(3, 4, 5, 120000),
        "ts": timedelta(seconds=3723.5),
        "tsdays": timedelta(days=1, hours=2, minutes=3, seconds=4, milliseconds=5),
        "tsneg": timedelta(seconds=-1.5),
        "ts0": timedelta(0),
        "char": "x",
        "uri": "http://example.com/a?b=c",
        "dict": {"a": 1, "b": None, "C": "x"},
        "dictint": {1: "a"},
        "dictkeys": {"é<": 1, "Upper": 2},
        "html": "<>&'\"/\\+`=",
        "ctrl": "\0\u0001\u001f\b\t\n\f\r\u007f\u0085\u00a0",
        "nonascii": "é ü ñ 中 ¡",
        "emoji": "😀",
        "ls": "\u2028\u2029",
        "bom": "\ufeff",
        "zwj": "\u200d\u00ad\ufffd\uffff",
        "lone": "a\ud800b",
        "emptystring": "",
        "list": [1, 2, 3],
        "nested": [[1], []],
        "mixed": [1, "a", None, True, 1.5],
        "set": {1},
        "tuple": (1, "a"),
        "thing": Thing(1, "n", [1, 2]),
        "thingnull": Thing(),
        "rec": Rec(1, None),
        "s31": "a" * 31,
        "s32": "a" * 32,
        "s255": "a" * 255,
        "s256": "a" * 256,
        "l15": list(range(15)),
        "l16": list(range(16)),
        "ints": [
            0,
            1,
            -1,
            -32,
            -33,
            127,
            128,
            255,
            256,
            -128,
            -129,
            32767,
            32768,
            65535,
            65536,
            -32768,
            -32769,
            2147483647,
            2147483648,
            4294967295,
            4294967296,
            -2147483648,
            -2147483649,
        ],
        "b255": bytes(255),
        "b256": bytes(256),
    }
    return values.get(kind, "?" + kind)


Byte = Annotated[int, Meta(ge=0, le=255)]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]


def make_hub() -> type[Hub]:
    class OracleHub(Hub):
        def EchoInt(self, v: int) -> int:
            return v

        def EchoLong(self, v: Int64) -> int:
            return v

        def EchoULong(self, v: Annotated[int, Meta(ge=0)]) -> int:
            return v

        def EchoByte(self, v: Byte) -> int:
            return v

        def EchoBool(self, v: bool) -> bool:
            return v

        def EchoString(self, v: str | None) -> str | None:
            return v

        def EchoDouble(self, v: float) -> float:
            return v

        def EchoFloat(self, v: float) -> float:
            return v

        def EchoDecimal(self, v: Decimal) -> Decimal:
            return v

        def EchoDateTime(self, v: datetime) -> datetime:
            return v

        def EchoDateTimeOffset(self, v: datetime) -> DateTimeOffset:
            return v

        def EchoDate(self, v: date) -> date:
            return v

        def EchoTime(self, v: time) -> time:
            return v

        def EchoTimeSpan(self, v: timedelta) -> timedelta:
            return v

        def EchoGuid(self, v: UUID) -> UUID:
            return v

        def EchoBytes(self, v: bytes | None) -> bytes | None:
            return v

        def EchoEnum(self, v: Color) -> Color:
            return v

        def EchoFlags(self, v: Access) -> Access:
            return v

        def EchoNullInt(self, v: int | None) -> int | None:
            return v

        def EchoList(self, v: list[int] | None) -> list[int] | None:
            return v

        def EchoStrings(self, v: list[str | None] | None) -> list[str | None] | None:
            return v

        def EchoDict(self, v: dict[str, int] | None) -> dict[str, int] | None:
            return v

        def EchoIntDict(self, v: dict[int, str] | None) -> dict[int, str] | None:
            return v

        def EchoObject(self, v: Any) -> Any:
            return v

        def EchoThing(self, v: Thing | None) -> Thing | None:
            return v

        def EchoNeed(self, v: Need | None) -> Need | None:
            return v

        def EchoRec(self, v: Rec | None) -> Rec | None:
            return v

        def Two(self, a: int, b: str | None) -> str:
            return f"{a}/{b or ''}"

        def DefaultTwo(self, a: int, b: int = 7) -> str:
            return f"{a}/{b}"

        def Make(self, kind: str) -> Any:
            return made(kind)

        async def SendMade(self, kind: str) -> None:
            await self.clients.caller.send("got", kind, made(kind))

        async def SendGroup(self, kind: str) -> None:
            me = self.context.connection_id
            await self.groups.add(me, me)
            await self.clients.group(me).send("got", kind, made(kind))
            await self.groups.remove(me, me)

        async def StreamMade(self, kind: str) -> AsyncIterator[Any]:
            await asyncio.sleep(0)
            yield made(kind)

        async def SendNoArgs(self) -> None:
            await self.clients.caller.send("none")

        async def SendNamed(self, name: str) -> None:
            await self.clients.caller.send(name, 1)

        def Unserializable(self) -> Any:
            return Odd()

        async def SendUnserializable(self) -> None:
            await self.clients.caller.send("got", Odd())

        def Nothing(self) -> None:
            pass

        def AddOne(self, v: int) -> int:
            return v + 1

        async def Slow(self, ms: int, v: str) -> str:
            await asyncio.sleep(ms / 1000)
            return v

        def Fast(self, v: str) -> str:
            return v

        def UserId(self) -> str | None:
            return self.context.user_identifier

        def Abort(self) -> None:
            self.context.abort()

        @hub_method("renamed")
        def Original(self) -> int:
            return 5

        @hub_method(authorize=True)
        def Secret(self) -> int:
            return 6

        @staticmethod
        def StaticMethod() -> int:
            return 1

        def _PrivateMethod(self) -> int:
            return 1

        @property
        def Property(self) -> int:
            return 3

        async def SendThenReturn(self) -> None:
            await self.clients.caller.send("before", 1)

        def ThrowHub(self, text: str) -> None:
            raise HubException(text)

        def ThrowMyHub(self, text: str) -> None:
            raise MyHubException(text)

        def ThrowHubNoText(self) -> None:
            raise HubException()

        def ThrowOther(self) -> None:
            raise InvalidOperationError("boom")

        async def ThrowOtherAsync(self) -> None:
            await asyncio.sleep(0)
            raise InvalidOperationError("boom")

        async def ThrowHubAsync(self) -> None:
            await asyncio.sleep(0)
            raise HubException("boom")

        async def ThrowCancelled(self) -> None:
            raise asyncio.CancelledError("gone")

        async def Count(self, n: int, ms: int) -> AsyncIterator[int]:
            for i in range(n):
                if ms:
                    await asyncio.sleep(ms / 1000)
                yield i

        async def StreamThrow(self, n: int, how: str) -> AsyncIterator[int]:
            for i in range(n):
                yield i
            await asyncio.sleep(0)
            raise HubException("boom") if how == "hub" else InvalidOperationError("boom")

        def StreamThrowAtOnce(self, how: str) -> AsyncIterator[int]:
            raise HubException("boom") if how == "hub" else InvalidOperationError("boom")

        def StreamNull(self) -> AsyncIterator[int]:
            return cast(AsyncIterator[int], None)

        async def StreamTask(self, n: int) -> AsyncIterator[int]:
            return self.Count(n, 0)

        async def Sum(self, s: AsyncIterator[int]) -> int:
            return sum([i async for i in s])

        async def Join(self, s: AsyncIterator[str]) -> str:
            return ",".join([i or "" async for i in s])

        async def SumTwo(self, a: AsyncIterator[int], b: AsyncIterator[int]) -> str:
            return f"{sum([i async for i in a])}/{sum([i async for i in b])}"

        async def SumWith(self, x: int, s: AsyncIterator[int], y: int) -> str:
            return f"{x}/{sum([i async for i in s])}/{y}"

        async def Relay(self, s: AsyncIterator[int]) -> AsyncIterator[int]:
            async for i in s:
                yield i * 2

        def Ignore(self, s: AsyncIterator[int]) -> str:
            return "ignored"

        async def CatchUpload(self, s: AsyncIterator[int]) -> str:
            total = 0
            try:
                async for i in s:
                    total += i
            except Exception as error:
                return f"{type(error).__name__}: {error} after {total}"
            return f"ended {total}"

        async def _ask(self, *arguments: Any, returns: Any = int, **more: Any) -> Any:
            return await self.clients.client(self.context.connection_id).invoke(
                "ask", *arguments, returns=returns, **more
            )

        async def Ask(self) -> str:
            return f"answered {await self._ask(1)}"

        async def AskById(self) -> str:
            return f"answered {await self._ask(1)}"

        async def AskCatch(self) -> str:
            try:
                return f"answered {await self._ask(1)}"
            except Exception as error:
                return f"{type(error).__name__}: {error}"

        async def AskNobody(self) -> str:
            try:
                return f"answered {await self.clients.client('nobody').invoke('ask', 1, returns=int)}"
            except Exception as error:
                return f"{type(error).__name__}: {error}"

        async def AskTimeout(self) -> str:
            try:
                return f"answered {await self._ask(1, timeout=0.3)}"
            except Exception as error:
                return f"{type(error).__name__}"

        async def AskThing(self) -> str:
            try:
                thing = await self._ask(returns=Thing)
                return f"answered {thing.Count} {thing.Name or ''}"
            except Exception as error:
                return f"{type(error).__name__}: {error}"

    return OracleHub


def user_of(scope: Any) -> str | None:
    token = bearer_token(scope)
    return None if token in (None, "bad") else token


@cache
def mounts() -> dict[str, SignalR]:
    """Make the applications, each at its prefix: when they are first asked, for reading so many hubs takes its time."""
    made: dict[str, SignalR] = {}

    def add(name: str, *, authorize: bool = False, **options: Any) -> None:
        signalr = made["/" + name] = SignalR(user=user_of, value_forms="dotnet", **options)
        signalr.hub("/hub", authorize=authorize)(make_hub())

    add("default")
    add("detailed", detailed_errors=True)
    add("small", detailed_errors=True, max_message_size=1024)
    add("parallel", detailed_errors=True, max_parallel_invocations=2)
    add(
        "short",
        detailed_errors=True,
        keep_alive_interval=1,
        client_timeout_interval=2,
        handshake_timeout=1,
        poll_timeout=2,
        close_timeout=1,
    )
    add("auth", authorize=True)
    return made


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        async with contextlib.AsyncExitStack() as stack:
            await receive()
            for each in mounts().values():
                await stack.enter_async_context(each.lifespan())
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    prefix = scope["path"].removesuffix("/hub")
    scope["root_path"] = scope.get("root_path", "") + prefix
    await mounts()[prefix](scope, receive, send)
