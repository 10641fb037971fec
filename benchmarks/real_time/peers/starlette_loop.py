"""A bare Starlette WebSocket endpoint: broadcasts are a loop over the sockets, calls are echoed."""

from payload import as_json
from serving import serve
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

sockets: set[WebSocket] = set()


async def endpoint(websocket: WebSocket) -> None:
    await websocket.accept()
    sockets.add(websocket)
    try:
        async for text in websocket.iter_text():
            if text.startswith("broadcast "):
                for _ in range(int(text.removeprefix("broadcast "))):
                    news = as_json()
                    for each in sockets:
                        await each.send_text(news)
            else:
                await websocket.send_text(text)
    finally:
        sockets.discard(websocket)


if __name__ == "__main__":
    serve(Starlette(routes=[WebSocketRoute("/", endpoint)]))
