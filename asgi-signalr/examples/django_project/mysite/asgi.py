import os

from asgi_signalr import Receive, Scope, Send
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
django = get_asgi_application()  # before anything that imports models

from chat.hubs import signalr  # noqa: E402  (Django is set up before its models are imported)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    root = scope.get("root_path", "")
    if scope["type"] == "http" and not scope["path"].removeprefix(root).startswith("/signalr/"):
        await django(scope, receive, send)
    else:
        scope["root_path"] = root + "/signalr"
        await signalr(scope, receive, send)
