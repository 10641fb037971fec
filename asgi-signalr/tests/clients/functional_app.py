"""An application with everything that the clients' tests talk to.

Run it by itself with any ASGI server: `uvicorn --factory functional_app:create_app`.
"""

import asyncio
import base64
import dataclasses
import datetime
import decimal
import enum
import json
import os
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import pydantic
from asgi_signalr import Hub, HubException, SignalR, hub_method
from asgi_signalr.context import HubCallerContext
from asgi_signalr.http import Scope
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Point:
    x: float
    y: float = 0.0


class Person(pydantic.BaseModel):
    name: str
    age: int = pydantic.Field(ge=0)


@dataclasses.dataclass
class Everything:
    data: bytes
    moment: datetime.datetime
    key: uuid.UUID
    price: decimal.Decimal
    colour: Colour
    point: Point
    maybe: int | None = None


class Lab(Hub):
    """One method for each thing that a client may want to do."""

    async def on_connected(self) -> None:
        if "refused" in self.context.query:
            raise HubException("You are not wanted.")
        if group := self.context.query.get("group"):
            await self.groups.add(self.context.connection_id, group)
        if "welcome" in self.context.query:
            await self.clients.caller.send("welcome", self.context.connection_id)

    async def on_disconnected(self, error: Exception | None) -> None:
        if group := self.context.query.get("group"):
            await self.clients.group(group).send("left", self.context.connection_id, str(error) if error else None)

    # Calls.

    def add(self, a: int, b: int) -> int:
        return a + b

    def scale(self, value: float, by: float = 2.0) -> float:
        return value * by

    def count_all(self, *words: str) -> int:
        return len(words)

    async def echo(self, value: Any) -> Any:
        await asyncio.sleep(0)
        return value

    def nothing(self) -> None:
        pass

    @hub_method("getText")
    def named(self, length: int) -> str:
        return "ü" * length

    def length(self, text: str) -> int:
        return len(text)

    def everything(self, value: Everything) -> Everything:
        assert isinstance(value.data, bytes)
        assert isinstance(value.moment, datetime.datetime)
        assert isinstance(value.key, uuid.UUID)
        assert isinstance(value.price, decimal.Decimal)
        assert value.colour is Colour.BLUE
        assert isinstance(value.point, Point)
        return value

    def older(self, person: Person) -> Person:
        assert isinstance(person, Person)
        return Person(name=person.name, age=person.age + 1)

    def reverse(self, data: bytes) -> bytes:
        return data[::-1]

    def fail(self, text: str) -> None:
        raise HubException(text)

    def break_down(self) -> None:
        raise ValueError("a secret")

    def unencodable(self) -> object:
        return object()

    def whoami(self) -> dict[str, Any]:
        return {"id": self.context.connection_id, "user": self.context.user_identifier}

    def header(self, name: str) -> str | None:
        return self.context.headers.get(name.lower())

    def query(self) -> dict[str, str]:
        return dict(self.context.query)

    async def remember(self, value: Any) -> Any:
        before = self.context.items.get("value")
        await asyncio.sleep(0.02 if before is None else 0)  # the first of two calls is the slower one
        self.context.items["value"] = value
        return before

    # Sending.

    async def tell_caller(self, *values: Any) -> None:
        await self.clients.caller.send("Told", *values)

    async def tell_all(self, text: str) -> None:
        await self.clients.all.send("told", text)

    async def tell_all_except(self, ids: list[str], text: str) -> None:
        await self.clients.all_except(ids).send("told", text)

    async def tell_others(self, text: str) -> None:
        await self.clients.others.send("told", text)

    async def tell_client(self, connection_id: str, text: str) -> None:
        await self.clients.client(connection_id).send("told", text)

    async def tell_clients(self, ids: list[str], text: str) -> None:
        await self.clients.clients(ids).send("told", text)

    async def join(self, group: str) -> None:
        await self.groups.add(self.context.connection_id, group)

    async def leave(self, group: str) -> None:
        await self.groups.remove(self.context.connection_id, group)

    async def tell_group(self, group: str, text: str) -> None:
        await self.clients.group(group).send("told", text)

    async def tell_groups(self, groups: list[str], text: str) -> None:
        await self.clients.groups(groups).send("told", text)

    async def tell_others_in_group(self, group: str, text: str) -> None:
        await self.clients.others_in_group(group).send("told", text)

    async def tell_group_except(self, group: str, ids: list[str], text: str) -> None:
        await self.clients.group_except(group, ids).send("told", text)

    async def tell_user(self, user: str, text: str) -> None:
        await self.clients.user(user).send("told", text)

    async def tell_users(self, users: list[str], text: str) -> None:
        await self.clients.users(users).send("told", text)

    async def burst(self, count: int) -> None:
        for number in range(count):
            await self.clients.caller.send("told", number)

    # The end.

    def abort(self) -> None:
        self.context.abort()


class Flows(Hub):
    """Streams either way, and questions to clients."""

    def own_id(self) -> str:
        return self.context.connection_id

    def nothing(self) -> None:
        pass

    # Streams to the client.

    async def numbers(self, count: int) -> AsyncIterator[int]:
        for number in range(count):
            yield number

    async def endless(self) -> AsyncIterator[int]:
        number = 0
        try:
            while True:
                yield number
                number += 1
                await asyncio.sleep(0.001)
        finally:
            await self.clients.caller.send("stopped", number > 0)

    async def numbers_then_fail(self, count: int) -> AsyncIterator[int]:
        for number in range(count):
            yield number
        raise HubException("no more")

    async def numbers_then_break(self, count: int) -> AsyncIterator[int]:
        for number in range(count):
            yield number
        raise ValueError("a secret")

    def shared(self, text: str) -> AsyncIterator[str]:
        if not text:
            raise HubException("Say something.")

        async def letters() -> AsyncIterator[str]:
            for letter in text:
                yield letter

        return letters()

    # Streams to the server.

    async def concat(self, parts: AsyncIterator[str]) -> str:
        return "".join([part async for part in parts])

    async def total(self, start: int, parts: AsyncIterator[int]) -> int:
        async for part in parts:
            start += part
        return start

    async def join_both(self, ones: AsyncIterator[str], between: str, others: AsyncIterator[str]) -> list[str]:
        return [part async for part in ones] + [between] + [part async for part in others]

    async def collect(self, parts: AsyncIterator[str]) -> None:
        await self.clients.caller.send("collected", [part async for part in parts])

    async def first(self, parts: AsyncIterator[str]) -> str:
        async for part in parts:
            return part
        return "none"

    async def why(self, parts: AsyncIterator[int]) -> str:
        try:
            async for _ in parts:
                pass
        except Exception as error:  # noqa: BLE001  (the browser is to show whatever it is)
            return f"{type(error).__name__}: {error}"
        return "complete"

    async def doubled(self, parts: AsyncIterator[int]) -> AsyncIterator[int]:
        async for part in parts:
            yield 2 * part

    # Results from the client.

    async def ask(self, question: str) -> Any:
        return await self.clients.caller.invoke("answer", question)

    async def ask_for_number(self) -> int:
        return await self.clients.caller.invoke("answer", returns=int)

    async def ask_client(self, connection_id: str, question: str) -> Any:
        return await self.clients.client(connection_id).invoke("answer", question)

    async def why_no_answer(self, connection_id: str) -> str:
        try:
            return f"answered: {await self.clients.client(connection_id).invoke('answer', '?')}"
        except Exception as error:  # noqa: BLE001  (the browser is to show whatever it is)
            return f"{type(error).__name__}: {error}"


class Private(Lab):
    """The same, for signed-in users only."""

    @hub_method(authorize=lambda context: context.user_identifier == "ann")
    def for_ann(self) -> str:
        return "hello ann"


class Unlucky(Hub):
    """Fails as it is made."""

    def __init__(self) -> None:
        raise HubException("No luck.")


_uses: Counter[str] = Counter()


def user_by_token(scope: Scope) -> str | None:
    """Authentication enough for tests: the token is the name, by header or by query.

    A token `ann;5;…` expires after five requests.
    """
    query = parse_qs(scope["query_string"].decode()).get("access_token", [""])[0]
    token = dict(scope["headers"]).get(b"authorization", b"").decode().removeprefix("Bearer ") or query
    name, *rest = token.split(";")
    _uses[token] += 1
    return None if rest and _uses[token] > int(rest[0]) else name or None


def may_enter(context: HubCallerContext) -> bool:
    return context.user_identifier not in (None, "eve")


PAGE = """<!DOCTYPE html>
<script src="/signalr/signalr.js"></script>
<script src="/signalr/signalr-protocol-msgpack.js"></script>
<title>functional tests</title>
"""


def create_app(**options: Any) -> FastAPI:
    """Make the application; it keeps its SignalR as `state.signalr`."""
    signalr = SignalR(user=user_by_token, **options)
    signalr.hub("/lab")(Lab)
    signalr.hub("/private", authorize=may_enter)(Private)
    signalr.hub("/unlucky")(Unlucky)
    signalr.hub("/flows")(Flows)
    app = FastAPI(lifespan=signalr.lifespan)
    app.state.signalr = signalr
    app.state.redirects = 0

    @app.get("/", response_class=HTMLResponse)
    def page() -> str:
        return PAGE

    @app.post("/redirect/negotiate")
    def redirect(request: Request) -> JSONResponse:
        app.state.redirects += 1
        target = f"{request.base_url}signalr/lab?redirects={app.state.redirects}"
        return JSONResponse({"url": target, "accessToken": "redirected"})

    @app.post("/classic/negotiate")
    def classic() -> JSONResponse:
        return JSONResponse({"ProtocolVersion": "1.5"})

    @app.post("/broken/negotiate")
    def broken() -> Response:
        return Response("Some text from the server", 400)

    @app.get("/login")
    def login(response: Response) -> None:
        response.set_cookie("session", "ann", httponly=True, samesite="lax")

    @app.post("/stop")
    async def stop() -> None:
        await signalr.stop()

    @app.post("/news")
    async def news() -> None:
        await signalr.hub_context(Lab).clients.all.send("told", "news")

    app.mount("/signalr", signalr)
    return app


def served() -> FastAPI:
    """Make the application as a server of its own process serves it: it starts and stops with the server."""
    return create_app(**json.loads(os.environ.get("FUNCTIONAL_APP_OPTIONS", "{}")))


def __getattr__(name: str) -> FastAPI:
    if name != "app":
        raise AttributeError(name)
    return served()  # for servers that call no factory


def encoded(data: bytes) -> str:
    """How bytes look in JSON."""
    return base64.b64encode(data).decode()
