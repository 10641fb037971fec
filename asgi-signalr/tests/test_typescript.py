"""The TypeScript types of hubs."""

import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum, Flag
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, NewType, NotRequired, TypedDict, TypeVar

import pydantic
import pytest
from asgi_signalr import Hub, SignalR, hub_method
from asgi_signalr.__main__ import main
from asgi_signalr.typescript import HEAD, types_of


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Pair(NamedTuple):
    left: int
    right: str


class Filter(TypedDict):
    page: int
    size: NotRequired[int]


@dataclass
class Node:
    unit_price: Decimal
    color: Color
    children: "list[Node]"
    at: datetime | None = None


class Leaver:
    def left(self, who: str = "", *others: str) -> None: ...


class Client(Leaver):
    def said(self, text: str, at: datetime) -> None: ...

    def name(self) -> str: ...  # type: ignore[empty-body]


class Chat(Hub):
    async def say(self, text: str, times: int = 1) -> None: ...

    def find(self, wanted: Filter, *words: str) -> dict[str, list[Node]]:
        return {}

    def pair(self, of: Pair | None, kind: Literal["a", "b"], raw: bytes) -> tuple[int, bool]:
        return 1, True

    @hub_method("get-all")
    def untyped(self, anything: Any) -> Any:
        return anything

    async def count(self, to: int) -> AsyncIterator[Node]:
        raise NotImplementedError
        yield

    async def upload(self, items: AsyncIterator[int], name: str = "x") -> int:
        return 0


WRITTEN = """
export interface Filter {
    page: number;
    size?: number;
}

export interface Node {
    unit_price: string;
    color: "red" | "blue";
    children: (Node)[];
    at?: string | null;
}

export type Pair = [number, string];

/** The methods of Chat that answer with one result. */
export interface ChatMethods {
    say(text: string, times?: number): void;
    find(wanted: Filter, ...words: (string)[]): Record<string, (Node)[]>;
    pair(of: Pair | null, kind: "a" | "b", raw: string): [number, boolean];
    "get-all"(anything: unknown): unknown;
    upload(name: string, items: IStreamResult<number>): number;
}

/** The methods of Chat that answer with a stream. */
export interface ChatStreams {
    count(to: number): Node;
}

/** What Chat calls on its clients. */
export interface ChatHandlers {
    left: (who?: string, ...others: (string)[]) => void;
    said: (text: string, at: string) => void;
    name: () => string | Promise<string>;
}

/** A connection to Chat, at /chat. */
export type ChatConnection = TypedConnection<ChatMethods, ChatStreams, ChatHandlers>;
"""


def test_a_hub_has_types_for_its_methods_streams_and_handlers() -> None:
    signalr = SignalR()
    signalr.hub("/chat", client=Client)(Chat)
    assert types_of(signalr) == HEAD + WRITTEN


# Names that TypeScript has for something else, and types that are more than they seem.

T = TypeVar("T")
Money = NewType("Money", Decimal)


class Access(Flag):
    READ = 1
    WRITE = 2


class Day(Enum):
    FIRST = date(2026, 1, 1)


@dataclass
class Box(Generic[T]):
    inside: T


@dataclass
class Handler:
    x: int


@dataclass
class Record:
    y: dict[str, Handler]


class Bill(pydantic.BaseModel):
    net_price: Decimal
    note: str = pydantic.Field(default="", alias="NOTE")
    secret: str = pydantic.Field(default="", exclude=True)

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def gross_price(self) -> Decimal:
        return self.net_price * 2


class Odd(Hub):
    def new(self, default: Money, public: Access, function: Day) -> Box[Money]:
        return Box(default)

    def constructor(self, this: Bill, of: Record) -> Bill:
        return this


class ForDotnet(Hub):
    def bill(self, bill: Bill, filter: Filter | None = None) -> Bill:  # noqa: A002  (what Python has for something else)
        return bill


def hubs() -> str:
    signalr = SignalR()
    signalr.hub("/chat", client=Client)(Chat)
    signalr.hub("/odd")(Odd)
    signalr.hub("/dotnet", value_forms="dotnet")(ForDotnet)
    return types_of(signalr)


@pytest.mark.parametrize(
    "line",
    [
        '    "new"(default_: string, public_: number, function_: string): BoxMoney;',
        "    constructor(this_: Bill, of: Record2): Bill;",
        "    y: Record<string, Handler2>;",
        "export interface Bill {\n    net_price: string;\n    NOTE?: string;\n    readonly gross_price?: string;\n}",
        "export interface Bill2 {\n    netPrice: number;\n    NOTE?: string;\n    readonly grossPrice?: number;\n}",
        "    bill(bill: Bill2, filter?: Filter2 | null): Bill2;",
        "export type OddHandlers = Record<string, Handler>;",
    ],
)
def test_names_of_typescripts_own_and_the_forms_of_each_hub_are_minded(line: str) -> None:
    assert f"\n{line}\n" in hubs()


TYPESCRIPT = Path(__file__).parent / "typescript"
VERSION = "7.0.2"  # where it is got; one that is there may be of 4.8


@pytest.fixture(scope="session")
def tsc() -> list[str]:
    """TypeScript's compiler: the one on the path, or else the one that npm gets."""
    npm = shutil.which("npm")
    by_npm = [npm, "exec", "--yes", f"--package=typescript@{VERSION}", "--", "tsc"] if npm else None
    there = shutil.which("tsc")
    compiler = [there] if there else by_npm
    if compiler is None or subprocess.run([*compiler, "--version"], capture_output=True, check=False).returncode:
        pytest.skip("TypeScript's compiler is not here: no tsc on the path, and no npm that gets it")
    return compiler


@pytest.mark.slow
def test_the_compiler_checks_a_page_by_them(tmp_path: Path, tsc: list[str]) -> None:
    (tmp_path / "hubs.ts").write_text(hubs(), encoding="utf-8")
    shutil.copy(TYPESCRIPT / "page.ts", tmp_path)
    shutil.copytree(TYPESCRIPT / "signalr", package := tmp_path / "node_modules" / "@microsoft" / "signalr")
    (package / "package.json").write_text('{"name": "@microsoft/signalr", "types": "index.d.ts"}', encoding="utf-8")
    options = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext"]
    done = subprocess.run([*tsc, *options, "page.ts"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_command_writes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = (
        "from asgi_signalr import Hub, SignalR\nsignalr = SignalR()\n@signalr.hub('/empty')\nclass Empty(Hub): ...\n"
    )
    (tmp_path / "hubs_of_this_test.py").write_text(source, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert main(["types", "hubs_of_this_test:signalr"]) == 0
    assert "export type EmptyConnection = " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("main", "'main' names no application; write it as uvicorn does, such as main:signalr."),
        (
            "no_such_module:signalr",
            "There is no module 'no_such_module' here; run it where the application is started.",
        ),
        ("asgi_signalr:Hub", "asgi_signalr:Hub is no SignalR, but type."),
    ],
)
def test_what_is_no_application_is_said(where: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["types", where]) == 1
    assert capsys.readouterr().err == f"asgi-signalr types: {said}\n"
