"""What applications make of a gap, and of a backplane that they share with others."""

import asyncio
from collections.abc import Callable

from asgi_signalr import Hub, SignalR
from asgi_signalr.backplanes.memory import MemoryBackplane
from asgi_signalr.testing import TestClient


class Chat(Hub): ...


class MemoryBackplaneThatTells(MemoryBackplane):
    on_gap: Callable[[str], None] | None = None


async def test_a_gap_is_told_to_async_functions_and_has_clients_reconnect() -> None:
    backplane = MemoryBackplaneThatTells()
    app = SignalR(backplane=backplane)
    app.hub("/chat")(Chat)
    told: asyncio.Queue[str] = asyncio.Queue()

    @app.on_backplane_gap
    async def tell(reason: str) -> None:
        await told.put(reason)

    async with TestClient(app, "/chat") as client:
        assert backplane.on_gap is not None
        backplane.on_gap("messages 3 to 5 were deleted.")
        async with asyncio.timeout(10):
            assert await told.get() == "messages 3 to 5 were deleted."
        assert (await client.closed()).allow_reconnect


async def test_clients_may_go_on_after_a_gap() -> None:
    backplane = MemoryBackplaneThatTells()
    app = SignalR(backplane=backplane, reconnect_after_gap=False)
    app.hub("/chat")(Chat)
    async with TestClient(app, "/chat") as client:
        assert backplane.on_gap is not None
        backplane.on_gap("messages 3 to 5 were deleted.")
        await app.hub_context(Chat).clients.all.send("said", "still here")
        assert await client.next("said") == ["still here"]


async def test_applications_with_prefixes_of_their_own_share_a_backplane() -> None:
    def served(prefix: str) -> SignalR:
        app = SignalR(backplane="memory://shared-by-two", channel_prefix=prefix)
        app.hub("/chat")(Chat)
        return app

    shop, staff = served("shop."), served("staff.")
    async with TestClient(shop, "/chat") as customer, TestClient(staff, "/chat") as clerk:
        await staff.hub_context(Chat).clients.all.send("said", "salaries")
        await shop.hub_context(Chat).clients.all.send("said", "offers")
        assert await customer.next("said") == ["offers"]
        assert await clerk.next("said") == ["salaries"]
