"""The TypeScript types of hubs."""

import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict

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


class Client:
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


def test_the_types_are_in_the_forms_that_are_written() -> None:
    signalr = SignalR(value_forms="dotnet")
    signalr.hub("/chat")(Chat)
    assert "    unitPrice: number;\n" in types_of(signalr)


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
