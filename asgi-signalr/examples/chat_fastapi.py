from pathlib import Path

from asgi_signalr import Hub, SignalR
from fastapi import FastAPI
from fastapi.responses import FileResponse

signalr = SignalR()


@signalr.hub("/chat")
class Chat(Hub):
    async def say(self, text: str) -> None:
        await self.clients.all.send("said", text)


app = FastAPI(lifespan=signalr.lifespan)
app.mount("/signalr", signalr)


@app.get("/")
def page() -> FileResponse:
    return FileResponse(Path(__file__).with_name("chat.html"))
