"""The clients of one instance while the quiz is measured: they speak SignalR over WebSockets, as a page does.

`labkit measure` gives orders, which `docs/authors.md` tells. A client that is a second behind, because it has not
heard its own messages of that time yet, leaves messages out, as a game does: so a backlog does not grow without end.
"""

import asyncio
import contextlib
import json
import random
import sys
import time
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

MARK = "\x1e"
SAMPLE = 4000
"""At most so many delays are told."""


class Heard(msgspec.Struct):
    """A message from the server: type 1 is a call of a method of the client's."""

    type: int = 0
    arguments: list[Any] = []
    error: str | None = None


decode = msgspec.json.Decoder(Heard).decode


class Client:
    """One client, and what it hears of the run that goes on."""

    def __init__(self, crew: "Crew", number: int) -> None:
        self.number = number
        self._crew = crew
        self.sent = self.own = 0

    async def open(self, url: str) -> None:
        """Connect, and begin to hear."""
        address = url.replace("http", "ws", 1) + "/measured/hub"
        self._socket: ClientConnection = await connect(
            address, compression=None, ping_interval=None, max_size=None, max_queue=None
        )
        await self._socket.send('{"protocol":"json","version":1}' + MARK)
        answer = json.loads(str(await self._socket.recv()).split(MARK)[0])
        if "error" in answer:
            raise ConnectionError(answer["error"])
        self._hearing = asyncio.create_task(self._hear())

    @property
    def is_behind(self) -> bool:
        """Whether it has not heard all of its own messages."""
        return self.own < self.sent

    async def call(self, target: str, *arguments: object) -> None:
        """Call a method of the hub."""
        await self._socket.send(json.dumps({"type": 1, "target": target, "arguments": arguments}) + MARK)

    def check(self) -> None:
        """Raise what has ended its hearing, if something has."""
        if self._hearing.done():
            self._hearing.result()
            raise ConnectionError("the server has closed the connection")

    async def _hear(self) -> None:
        async for frame in self._socket:
            now = time.perf_counter()
            for part in str(frame).split(MARK)[:-1]:
                message = decode(part)
                if message.type == 1:
                    kind, sender, sent = message.arguments
                    self.own += kind == self._crew.kind and sender == self.number
                    self._crew.heard(kind, self, now, now - sent)
                elif message.type == 7:
                    raise ConnectionError(message.error or "the server has closed the connection")


class Crew:
    """All clients of one instance."""

    def __init__(self) -> None:
        self.clients: list[Client] = []
        self.kind = ""
        self._from = self._until = 0.0
        self._delays: list[float] = []
        self._hearers: set[Client] = set()
        self._all_heard = asyncio.Event()

    def heard(self, kind: str, client: Client, now: float, delay: float) -> None:
        """Count what a client hears, if it belongs to what is measured now."""
        if kind != self.kind:
            return
        if self._from <= now < self._until:
            self._delays.append(delay)
        if len(self._hearers) < len(self.clients):
            self._hearers.add(client)
            if len(self._hearers) == len(self.clients):
                self._all_heard.set()

    def _begin(self, kind: str, counts: float = 0.0, ends: float = 0.0) -> None:
        self.kind, self._from, self._until = kind, counts, ends
        self._delays, self._hearers = [], set()
        self._all_heard.clear()
        for each in self.clients:
            each.sent = each.own = 0

    async def connect(self, number: int, url: str, clients: int) -> dict[str, Any]:
        """Connect all of them."""
        self.clients = [Client(self, number * 10_000 + each) for each in range(clients)]
        await asyncio.gather(*(each.open(url) for each in self.clients))
        return {}

    async def hear(self, word: str, sends: bool, seconds: float) -> dict[str, Any]:
        """Whether each of them hears a word, which the first one may have to say."""
        self._begin(word)
        if sends:
            await self.clients[0].call("tell", word, 0, time.perf_counter())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._all_heard.wait(), seconds)
        return {"heard": self._all_heard.is_set()}

    async def measure(
        self, kind: str, rate: float, sender: str, first: bool, begins: float, counts: float, ends: float
    ) -> dict[str, Any]:
        """Send as the kind of messages asks for, and count what comes."""
        self._begin(kind, counts, ends)
        await asyncio.sleep(begins - time.perf_counter())
        if sender == "client":
            await asyncio.gather(*(self._send(each, rate, ends) for each in self.clients))
            drained = time.perf_counter() + 5  # what is still on its way is not to disturb what comes next
            while any(each.is_behind for each in self.clients) and time.perf_counter() < drained:  # noqa: ASYNC110  (no event at each message)
                await asyncio.sleep(0.02)
        else:
            if first:
                await self.clients[0].call("broadcast", kind, rate, ends - begins)
            await asyncio.sleep(ends - time.perf_counter() + 0.3)
        step = -(-len(self._delays) // SAMPLE) or 1
        return {"heard": len(self._delays), "delays": self._delays[::step]}

    async def _send(self, client: Client, rate: float, ends: float) -> None:
        due = time.perf_counter() + random.random() / rate
        while due < ends:
            await asyncio.sleep(due - time.perf_counter())
            due = max(due + 1 / rate, time.perf_counter() - 1 / rate)
            if client.sent - client.own < max(rate, 1):
                client.sent += 1
                await client.call("tell", self.kind, client.number, time.perf_counter())


async def main() -> None:
    """Do what is ordered, until there are no more orders."""
    crew = Crew()
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        do = {"connect": crew.connect, "hear": crew.hear, "measure": crew.measure}[order.pop("do")]
        try:
            answer = await do(**order)
            for each in crew.clients:
                each.check()
        except (OSError, TimeoutError, WebSocketException) as error:
            answer = {"error": str(error) or type(error).__name__}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


asyncio.run(main())
