# /// script
# requires-python = ">=3.11"
# dependencies = ["uvloop==0.23.0"]
# ///
"""One `transport.write()` each of a ready frame, on uvloop, and nothing else: the least a broadcast costs in Python."""

import asyncio
import base64
import hashlib
import re
from typing import Any

import uvloop
from payload import as_json

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
transports: list[asyncio.Transport] = []


class Client(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self.transport: asyncio.Transport = transport
        self.is_open = False

    def data_received(self, data: bytes) -> None:
        if self.is_open:  # whatever it says
            news = as_json().encode()
            frame = b"\x81\x7e" + len(news).to_bytes(2, "big") + news
            for each in transports:
                each.write(frame)
            return
        found = re.search(rb"(?i)sec-websocket-key: *([^\r]+)", data)
        assert found is not None
        accept = base64.b64encode(hashlib.sha1(found[1] + MAGIC, usedforsecurity=False).digest())
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        self.is_open = True
        transports.append(self.transport)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Client, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
