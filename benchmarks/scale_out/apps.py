"""What is measured: the same application with each library, on uvicorn, joined to others by a backplane.

    python apps.py ENTRANT URL SIZE

Whoever asks for it has so many messages of SIZE bytes sent to all clients of all servers.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "real_time" / "peers"))

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
    settings.configure(CHANNEL_LAYERS={"default": layer})
    import django

    django.setup()
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
        **{"PASSWORD": parts.password, "HOST": parts.hostname, "PORT": str(parts.port)},
    }


def bare(url: str) -> tuple[Any, str]:
    """The shortest program on the same driver: Starlette, and the store itself."""
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute
    from starlette.websockets import WebSocket

    sockets: set[WebSocket] = set()
    joined: list[Any] = []
    joining = asyncio.Lock()

    async def deliver(text: str) -> None:
        for each in list(sockets):
            await each.send_text(text)

    async def endpoint(websocket: WebSocket) -> None:
        async with joining:
            if not joined:
                joined.append(await (_bare_redis if url.startswith("redis") else _bare_postgres)(url, deliver))
        await websocket.accept()
        sockets.add(websocket)
        try:
            async for text in websocket.iter_text():
                for _ in range(int(text.removeprefix("broadcast "))):
                    await joined[0](payload.as_json())
        finally:
            sockets.discard(websocket)

    return Starlette(routes=[WebSocketRoute("/", endpoint)]), "websockets-sansio"


async def _bare_redis(url: str, deliver: Any) -> Any:
    from redis.asyncio import Redis

    url = url.rpartition("/")[0]
    sender, receiver = Redis.from_url(url, protocol=2), Redis.from_url(url, protocol=2)
    newest = await receiver.xrevrange("bare", count=1)

    async def read() -> None:
        last = newest[0][0] if newest else b"0"
        while True:
            for _, entries in await receiver.xread({"bare": last}, count=500, block=1000):
                for number, fields in entries:
                    last = number
                    await deliver(fields[b"p"].decode())

    reading.append(asyncio.create_task(read()))
    return lambda text: sender.xadd("bare", {"p": text}, maxlen=1000, approximate=True)


async def _bare_postgres(url: str, deliver: Any) -> Any:
    import asyncpg

    sender, receiver = await asyncpg.connect(url), await asyncpg.connect(url)
    await sender.execute(
        "SELECT pg_advisory_lock(1); CREATE TABLE IF NOT EXISTS bare (id bigserial PRIMARY KEY, payload text); "
        "SELECT pg_advisory_unlock(1)"
    )
    bell = asyncio.Event()
    await receiver.add_listener("bare", lambda *_: bell.set())
    newest = await receiver.fetchval("SELECT coalesce(max(id), 0) FROM bare")

    async def read() -> None:
        last = newest
        while True:
            await bell.wait()
            bell.clear()
            for row in await receiver.fetch("SELECT id, payload FROM bare WHERE id > $1 ORDER BY id", last):
                last = row["id"]
                await deliver(row["payload"])

    reading.append(asyncio.create_task(read()))
    statement = await sender.prepare("WITH it AS (INSERT INTO bare (payload) VALUES ($1)) SELECT pg_notify('bare', '')")
    return statement.fetch


reading: list[Any] = []
ENTRANTS = {"asgi-signalr": asgi_signalr, "python-socketio": socketio, "channels": channels, "bare": bare}

if __name__ == "__main__":
    name, url, size = sys.argv[1:]
    payload.NEWS["text"] = "x" * max(int(size) - 60, 1)
    app, ws = ENTRANTS[name](url)
    serve(app, ws)
