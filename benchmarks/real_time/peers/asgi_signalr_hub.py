"""A hub of asgi-signalr by itself, as its peers are; `--adapter` for the server that its README recommends."""

import sys

from asgi_signalr import Hub, SignalR
from payload import NEWS
from serving import serve

signalr = SignalR()


@signalr.hub("/hub")
class Bench(Hub):
    async def broadcast(self, times: int) -> None:
        for _ in range(times):
            await self.clients.all.send("news", NEWS)

    async def echo(self, text: str) -> str:
        return text

    def echo_at_once(self, text: str) -> str:
        return text


if __name__ == "__main__":
    ws = "asgi_signalr.servers.uvicorn:WebSocketProtocol" if "--adapter" in sys.argv else "websockets-sansio"
    serve(signalr, ws)
