# /// script
# requires-python = ">=3.11"
# dependencies = ["python-socketio==5.18.1", "uvicorn[standard]==0.54.0", "uvloop==0.23.0"]
# ///
"""python-socketio's asyncio server as an ASGI app on uvicorn; compression stays as uvicorn has it."""

import socketio
from payload import NEWS
from serving import serve

server = socketio.AsyncServer(async_mode="asgi", transports=["websocket"])


@server.event
async def broadcast(sid: str, times: int) -> None:
    for _ in range(times):
        await server.emit("news", NEWS)


@server.event
async def echo(sid: str, text: str) -> str:
    return text


if __name__ == "__main__":
    serve(socketio.ASGIApp(server))
