"""What is measured: the same application with each library, on uvicorn, joined to others by a backplane.

    python apps.py ENTRANT URL SIZE

Whoever asks for it has so many messages of SIZE bytes sent to all clients of all servers.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "real_time" / "peers"))

import bare_stores
import payload
from serving import serve


def asgi_signalr(url: str) -> tuple[Any, str]:
    """A hub of asgi-signalr, with the adapter for uvicorn that its README recommends."""
    from asgi_signalr import Hub, SignalR

    signalr = SignalR(backplane=url)

    @signalr.hub("/hub")
    class Bench(Hub):
        async def broadcast(self, times: int) -> None:
            for _ in range(times):
                await self.clients.all.send("news", payload.NEWS)

    return signalr, "asgi_signalr.servers.uvicorn:WebSocketProtocol"


def socketio(url: str) -> tuple[Any, str]:
    """python-socketio with its Redis manager."""
    import socketio

    server = socketio.AsyncServer(
        async_mode="asgi", transports=["websocket"], client_manager=socketio.AsyncRedisManager(url)
    )

    @server.event
    async def broadcast(sid: str, times: int) -> None:
        for _ in range(times):
            await server.emit("news", payload.NEWS)

    return socketio.ASGIApp(server), "websockets-sansio"


def channels(url: str) -> tuple[Any, str]:
    """Django Channels with its layer on the store of the URL."""
    from django.conf import settings

    if url.startswith("redis"):
        layer = {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {"hosts": [url.rpartition("/")[0]], "capacity": 100_000},
        }
    else:
        layer = {"BACKEND": "channels_postgres.core.PostgresChannelLayer", "CONFIG": _postgres(url)}
    own = (
        {}
        if url.startswith("redis")
        else {"DATABASES": {"default": _postgres(url), "channels_postgres": _postgres(url)}}
    )
    settings.configure(
        CHANNEL_LAYERS={"default": layer}, INSTALLED_APPS=["channels_postgres"] if own else [], USE_TZ=True, **own
    )
    import django
    from django.core.management import call_command

    django.setup()
    if own:
        call_command("migrate", interactive=False, verbosity=0)
    from channels.generic.websocket import AsyncWebsocketConsumer
    from channels.routing import ProtocolTypeRouter, URLRouter
    from django.urls import path

    class Bench(AsyncWebsocketConsumer):
        groups = ("all",)

        async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
            for _ in range(int((text_data or "").removeprefix("broadcast "))):
                await self.channel_layer.group_send("all", {"type": "news", "text": payload.as_json()})

        async def news(self, event: dict[str, Any]) -> None:
            await self.send(event["text"])

    return ProtocolTypeRouter({"websocket": URLRouter([path("", Bench.as_asgi())])}), "websockets-sansio"


def _postgres(url: str) -> dict[str, Any]:
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    return {
        **{"ENGINE": "django.db.backends.postgresql", "NAME": parts.path[1:], "USER": parts.username},
        **{"PASSWORD": parts.password, "HOST": parts.hostname, "PORT": str(parts.port), "TIME_ZONE": None},
    }


def bare(url: str) -> tuple[Any, str]:
    """The shortest program on the same driver: Starlette, and the store itself."""
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute
    from starlette.websockets import WebSocket

    # In the order in which they came, as the libraries have them: who hears is neither the first nor the last of them.
    sockets: dict[WebSocket, None] = {}
    joined: list[Any] = []
    joining = asyncio.Lock()

    async def deliver(message: bytes) -> None:
        text = message.decode()
        for each in list(sockets):
            await each.send_text(text)

    async def endpoint(websocket: WebSocket) -> None:
        async with joining:
            if not joined:
                join = bare_stores.join_redis if url.startswith("redis") else bare_stores.join_postgres
                joined.extend(await join(url, deliver))
        await websocket.accept()
        sockets[websocket] = None
        try:
            async for text in websocket.iter_text():
                for _ in range(int(text.removeprefix("broadcast "))):
                    await joined[0](payload.as_json().encode())
        finally:
            sockets.pop(websocket, None)

    return Starlette(routes=[WebSocketRoute("/", endpoint)]), "websockets-sansio"


ENTRANTS = {"asgi-signalr": asgi_signalr, "python-socketio": socketio, "channels": channels, "bare": bare}

if __name__ == "__main__":
    name, url, size = sys.argv[1:]
    payload.NEWS["text"] = "x" * max(int(size) - 60, 1)
    app, ws = ENTRANTS[name](url)
    serve(app, ws)
