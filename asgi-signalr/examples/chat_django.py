from pathlib import Path

from asgi_signalr import Hub, Receive, Scope, Send, SignalR
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

signalr = SignalR()


@signalr.hub("/chat")
class Chat(Hub):
    async def say(self, text: str) -> None:
        await self.clients.all.send("said", text)


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(Path(__file__).with_name("chat.html").read_bytes())


urlpatterns = [path("", page)]
settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["localhost", "127.0.0.1"])
django = get_asgi_application()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    root = scope.get("root_path", "")
    if scope["type"] == "http" and not scope["path"].removeprefix(root).startswith("/signalr/"):
        await django(scope, receive, send)
    else:
        scope["root_path"] = root + "/signalr"
        await signalr(scope, receive, send)
