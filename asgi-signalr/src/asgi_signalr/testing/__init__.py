"""A client in the test's own process: it speaks SignalR with any ASGI application that has hubs, without a network.

Both ends run through the real code, handshake, protocol and all, on the test's own event loop; no port is opened and
no test can hang, since every wait ends after `timeout` seconds with a sentence that says what was awaited.

For example:

    from asgi_signalr.testing import TestClient

    async def test_everybody_hears_what_one_says():
        async with TestClient(app, "/chat", user="ann") as ann, TestClient(app, "/chat") as bob:
            assert await ann.invoke("add", 1, 2) == 3
            await ann.send("say", "hello")
            assert await bob.next("said") == ["hello"]

`TestClient` is for hubs, `TestConnection` for persistent connections. Tests need some way to run coroutines, such as
pytest-asyncio or anyio's asyncio backend.
"""

from asgi_signalr.testing.asgi import ASGIApp, running
from asgi_signalr.testing.client import TestClient
from asgi_signalr.testing.connection import ClosedError, RedirectedError, RefusedError
from asgi_signalr.testing.raw import TestConnection

__all__ = ["ASGIApp", "ClosedError", "RedirectedError", "RefusedError", "TestClient", "TestConnection", "running"]
