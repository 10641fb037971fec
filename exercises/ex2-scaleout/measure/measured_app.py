"""The quiz as it is measured: the trainee's app, with one more hub, which goes through the same backplane."""

import asyncio
import sys
import time

from asgi_signalr import Hub, SignalR
from geekquiz.main import app as quiz
from starlette.routing import Mount, Router
from starlette.types import Receive, Scope, Send


def find_signalr() -> SignalR:
    """The SignalR application of the quiz."""
    modules = [module for name, module in sys.modules.items() if name.partition(".")[0] == "geekquiz"]
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, SignalR):
                return value
    raise SystemExit("There is nothing to measure yet: no module of geekquiz has a SignalR application.")


signalr = find_signalr()


@signalr.hub("/hub")
class MeasuredHub(Hub):
    """What is measured: messages of clients, and of the server, to all clients of all instances."""

    async def tell(self, kind: str, sender: int, sent: float) -> None:
        """Tell everybody; `sent` is when the client has sent it."""
        await self.clients.all.send("told", kind, sender, sent)

    async def broadcast(self, kind: str, rate: float, seconds: float) -> None:
        """Tell everybody by oneself, `rate` times a second."""
        due = time.perf_counter()
        for _ in range(round(rate * seconds)):
            await asyncio.sleep(due - time.perf_counter())
            await self.clients.all.send("told", kind, 0, time.perf_counter())
            due += 1 / rate


hubs = Router([Mount("/measured", signalr)])


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve the quiz, and the hub that is measured beside it."""
    is_measured = scope["type"] != "lifespan" and scope["path"].startswith("/measured/")
    await (hubs if is_measured else quiz)(scope, receive, send)
