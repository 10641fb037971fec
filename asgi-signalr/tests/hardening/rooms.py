"""The app under attack: every feature of a hub, and a secret for each user that is for nobody else's eyes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from asgi_signalr import Hub, HubException, PersistentConnection, SignalR

SECRETS = {"alice": "al1ce-s3cret", "bob": "b0b-s3cret"}
"""What each user's connections may be sent, and no others."""

SLOW: dict[str | None, float] = {}
"""So many seconds the beginning of a member's connection takes."""

REMEMBERED: list[str] = []
"""What members have left behind."""

HUB_LOGS = ("crash", "crashing", "crash_late", "ask", "ask_another", "first")
"""The methods whose failure the hub itself logs."""


class Room(Hub):
    async def on_connected(self) -> None:
        await self.whisper()

    async def whisper(self) -> None:
        user = self.context.user_identifier
        if user is not None:
            await self.clients.user(user).send("whispered", SECRETS[user])

    def mine(self) -> str | None:
        return SECRETS.get(self.context.user_identifier or "")

    def echo(self, value: Any) -> Any:
        return value

    async def echo_later(self, value: Any) -> Any:
        await asyncio.sleep(0)
        return value

    def add(self, one: int, other: int) -> int:
        return one + other

    async def join(self, group: str) -> None:
        await self.groups.add(self.context.connection_id, group)

    async def leave(self, group: str) -> None:
        await self.groups.remove(self.context.connection_id, group)

    async def tell(self, group: str, text: str) -> None:
        await self.clients.group(group).send("told", text)

    async def tell_others(self, text: str) -> None:
        await self.clients.others.send("told", text)

    async def shout(self, text: str) -> None:
        await self.clients.all.send("shouted", text)

    async def flood(self) -> None:
        for number in range(20):
            await self.clients.caller.send("flooded", number, "x" * 1000)

    async def send_on_and_on(self, times: int) -> None:
        for number in range(times):
            await self.clients.caller.send("sent", number)

    async def wait(self) -> None:
        await self.context.aborted.wait()

    def quit(self) -> None:
        self.context.abort()

    def refuse(self) -> None:
        raise HubException("as it should")

    def crash(self) -> None:
        raise LookupError("as it should")

    async def crash_late(self) -> None:
        await asyncio.sleep(0)
        raise LookupError("as it should")

    def unsendable(self) -> object:
        return object()

    async def ask(self, method: str) -> int:
        return await self.clients.caller.invoke(method, returns=int, timeout=5)

    async def ask_another(self, connection_id: str) -> Any:
        return await self.clients.client(connection_id).invoke("who", timeout=5)

    async def count(self, to: int) -> AsyncIterator[int]:
        for number in range(min(to, 50)):
            yield number

    async def forever(self) -> AsyncIterator[int]:
        number = 0
        while True:
            yield number
            number += 1
            await asyncio.sleep(1)

    async def at_once(self, to: int) -> AsyncIterator[str]:
        for number in range(to):
            yield f"{number} {'x' * 1000}"

    async def crashing(self) -> AsyncIterator[int]:
        yield 1
        raise LookupError("as it should")

    async def total(self, numbers: AsyncIterator[int]) -> int:
        return sum([number async for number in numbers])

    async def first(self, numbers: AsyncIterator[int]) -> int:
        return await anext(numbers)

    async def doubled(self, numbers: AsyncIterator[int]) -> AsyncIterator[int]:
        async for number in numbers:
            yield 2 * number


class Members(Room):
    async def on_connected(self) -> None:
        await asyncio.sleep(SLOW.get(self.context.user_identifier, 0))
        await super().on_connected()

    def remember(self, text: str) -> None:
        REMEMBERED.append(text)


class Echo(PersistentConnection):
    async def on_connected(self) -> None:
        await self.groups.add(self.context.connection_id, "everybody")

    async def on_received(self, data: str | bytes) -> None:
        if isinstance(data, str):
            await self.connection.send(data)
            await self.connections.group("everybody").send(data)
        if self.context.user_identifier is not None:
            await self.connections.user(self.context.user_identifier).send(SECRETS[self.context.user_identifier])


METHODS = sorted(
    name for name, value in vars(Room).items() if callable(value) and not name.startswith(("_", "on_", "at_", "send_"))
)


def make_app(**options: Any) -> SignalR:
    """Make the app: a room for everybody, one for members whose presence is kept, and no hub at all."""
    app = SignalR(**{"max_message_size": 4096, "max_queued_bytes": 64 * 1024, **options})
    app.hub("/room")(Room)
    app.hub("/members", authorize=True, presence=True)(Members)
    app.connection("/echo")(Echo)
    app.on_presence(Members)(lambda event: None)
    return app
