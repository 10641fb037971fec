# /// script
# requires-python = ">=3.11"
# dependencies = ["picows==2.3.1", "uvloop==0.23.0"]
# ///
"""picows' core API, a WebSocket server in Cython: what a broadcast and an echo cost in Python at the least."""

from typing import Any

import uvloop
from payload import as_json
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_create_server

transports: set[WSTransport] = set()


class Listener(WSListener):
    def on_ws_connected(self, transport: WSTransport) -> None:
        transports.add(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is not WSMsgType.TEXT:
            return
        data = frame.get_payload_as_bytes()
        if data.startswith(b"broadcast "):
            for _ in range(int(data.removeprefix(b"broadcast "))):
                news = as_json().encode()
                for each in transports:
                    each.send(WSMsgType.TEXT, news)
        else:
            transport.send(WSMsgType.TEXT, data)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        transports.discard(transport)


async def main() -> None:
    def listener(_request: Any) -> Listener:
        return Listener()

    server = await ws_create_server(listener, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
