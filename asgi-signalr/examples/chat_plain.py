from pathlib import Path

from asgi_signalr import Hub, SignalR

signalr = SignalR()


@signalr.hub("/chat")
class Chat(Hub):
    async def say(self, text: str) -> None:
        await self.clients.all.send("said", text)


async def app(scope, receive, send):
    if scope["type"] == "http" and scope["path"] == "/":
        page = Path(__file__).with_name("chat.html").read_bytes()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": page})
    else:
        scope["root_path"] = "/signalr"
        await signalr(scope, receive, send)
