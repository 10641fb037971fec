from pathlib import Path

from asgi_signalr import Hub, SignalR
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import FileResponse, HttpRequest
from django.urls import path

signalr = SignalR()


@signalr.hub("/chat")
class Chat(Hub):
    async def say(self, text: str) -> None:
        await self.clients.all.send("said", text)


def page(request: HttpRequest) -> FileResponse:
    return FileResponse(Path(__file__).with_name("chat.html").open("rb"))


urlpatterns = [path("", page)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["localhost", "127.0.0.1"])
django = get_asgi_application()


async def app(scope, receive, send):
    if scope["type"] == "http" and not scope["path"].startswith("/signalr/"):
        await django(scope, receive, send)
    else:
        scope["root_path"] = "/signalr"
        await signalr(scope, receive, send)
