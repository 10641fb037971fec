"""The least that is a hub in Python: on uvloop, without ASGI. Nothing is checked or kept, and nobody waits for a turn.

Calls are decoded, made and answered, and broadcasts are encoded once and written to each client. `echo` runs in a task
of its own, as a method that may wait has to if nothing is known of it; `echo_at_once` does not.
"""

import asyncio
from typing import Any

import msgspec
import uvloop
from payload import NEWS
from upgrading import accepted
from websockets.speedups import apply_mask


class Call(msgspec.Struct, rename="camel"):
    target: str
    arguments: list[Any]
    invocation_id: str | None = None


class Answer(msgspec.Struct, rename="camel"):
    type: int
    invocation_id: str | None
    result: Any


class News(msgspec.Struct):
    type: int
    target: str
    arguments: list[Any]


decode = msgspec.json.Decoder(Call).decode
encode = msgspec.json.Encoder().encode
transports: list[asyncio.Transport] = []
tasks: set[asyncio.Task[None]] = set()


def frame(message: bytes) -> bytes:
    size = len(message)
    return (bytes((0x81, size)) if size < 126 else b"\x81\x7e" + size.to_bytes(2, "big")) + message


class Opening(asyncio.Protocol):
    """A client that comes: its request, and its handshake."""

    def connection_made(self, transport: Any) -> None:
        self.transport: asyncio.Transport = transport
        self.is_upgraded = False

    def data_received(self, data: bytes) -> None:
        if self.is_upgraded:
            self.transport.write(frame(b"{}\x1e"))
            self.transport.set_protocol(Client(self.transport))
            transports.append(self.transport)
            return
        self.transport.write(accepted(data))
        self.is_upgraded = True


class Client(asyncio.Protocol):
    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        while data:
            start, size = (6, data[1] & 127) if data[1] < 0xFE else (8, int.from_bytes(data[2:4], "big"))
            call = decode(apply_mask(data[start : start + size - 1], data[start - 4 : start]))
            data = data[start + size :]
            if call.target == "echo_at_once":
                self.answer(call)
            elif call.target == "echo":
                task = asyncio.create_task(self.answer_later(call))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            else:
                for _ in range(call.arguments[0]):
                    news = frame(encode(News(1, "news", [NEWS])) + b"\x1e")
                    for each in transports:
                        each.write(news)

    def answer(self, call: Call) -> None:
        self.transport.write(frame(encode(Answer(3, call.invocation_id, call.arguments[0])) + b"\x1e"))

    async def answer_later(self, call: Call) -> None:
        self.answer(call)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Opening, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
