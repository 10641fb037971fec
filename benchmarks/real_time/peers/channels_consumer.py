# /// script
# requires-python = ">=3.11"
# dependencies = ["channels==4.3.2", "uvicorn[standard]==0.54.0", "uvloop==0.23.0"]
# ///
"""Django Channels with its in-memory layer, which is faster than one on Redis and serves one process, on uvicorn."""

from typing import Any, ClassVar

from django.conf import settings

settings.configure(
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 1000}}}
)

import django  # noqa: E402  (after its settings)

django.setup()

from channels.generic.websocket import AsyncWebsocketConsumer  # noqa: E402  (Django is set up before)
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402  (Django is set up before)
from django.urls import path  # noqa: E402  (Django is set up before)
from payload import as_json  # noqa: E402  (Django is set up before)
from serving import serve  # noqa: E402  (Django is set up before)


class Bench(AsyncWebsocketConsumer):
    groups: ClassVar = ["all"]

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        assert text_data is not None
        if text_data.startswith("broadcast "):
            for _ in range(int(text_data.removeprefix("broadcast "))):
                await self.channel_layer.group_send("all", {"type": "news", "text": as_json()})
        else:
            await self.send(text_data)

    async def news(self, event: dict[str, Any]) -> None:
        await self.send(event["text"])


if __name__ == "__main__":
    serve(ProtocolTypeRouter({"websocket": URLRouter([path("", Bench.as_asgi())])}))
