# /// script
# requires-python = ">=3.11"
# dependencies = ["aiosignalr==0.1.1", "uvicorn[standard]==0.54.0", "uvloop==0.23.0"]
# ///
"""The same hub with aiosignalr, the other SignalR server for Python, on uvicorn."""

from aiosignalr.server import Hub, SignalRServer
from payload import NEWS
from serving import serve


class Bench(Hub):
    async def broadcast(self, times: int) -> None:
        for _ in range(times):
            await self.clients.all_.send("news", NEWS)

    async def echo(self, text: str) -> str:
        return text


if __name__ == "__main__":
    serve(SignalRServer(Bench).asgi_app(path="/hub"))
