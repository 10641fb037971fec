from pathlib import Path

from asgi_signalr import Hub, Receive, Scope, Send, SignalR

signalr = SignalR()


@signalr.hub("/chat")
class Chat(Hub):
    async def say(self, text: str) -> None:
        await self.clients.all.send("said", text)


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    root = scope.get("root_path", "")  # the path carries it, too: behind a proxy that takes a prefix off
    if scope["type"] == "http" and scope["path"].removeprefix(root) == "/":
        page = Path(__file__).with_name("chat.html").read_bytes()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": page})
    else:
        scope["root_path"] = root + "/signalr"
        await signalr(scope, receive, send)
