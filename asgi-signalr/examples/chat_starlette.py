from pathlib import Path

from asgi_signalr import Hub, SignalR
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Mount, Route

signalr = SignalR()


@signalr.hub("/chat")
class Chat(Hub):
    async def say(self, text: str) -> None:
        await self.clients.all.send("said", text)


def page(request: Request) -> FileResponse:
    return FileResponse(Path(__file__).with_name("chat.html"))


app = Starlette(routes=[Route("/", page), Mount("/signalr", signalr)], lifespan=signalr.lifespan)
