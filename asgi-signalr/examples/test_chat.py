from asgi_signalr.testing import TestClient
from chat_fastapi import app


async def test_everybody_hears_what_one_says() -> None:
    async with TestClient(app, "/signalr/chat") as ann, TestClient(app, "/signalr/chat") as bob:
        await ann.send("say", "hello")
        assert await ann.next("said") == ["hello"]
        assert await bob.next("said") == ["hello"]
