# /// script
# requires-python = ">=3.11"
# dependencies = ["uvloop==0.23.0"]
# ///
"""One `transport.write()` each of a ready frame, on uvloop, and nothing else: the least a broadcast costs in Python."""

import asyncio
from typing import Any

import uvloop
from payload import as_json
from upgrading import accepted

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
        self.transport.write(accepted(data))
        self.is_open = True
        transports.append(self.transport)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Client, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
