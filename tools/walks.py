"""How long the walks of `asgi-signalr/docs/inside.md` are: `uv run python tools/walks.py [--source DIR]`.

It follows broadcasts to ten clients and calls through the library, on any ASGI server, and counts the functions that
are begun on the way. A *room* is a folder, or a module at the root, as on the map; a *stay* is as many functions as
follow one another in one room; a *return* is a stay in a room that was left before. `--source` takes another version's
`src`, of a time when there were hubs and their test client already. `tests/test_walks.py` holds the map to it.
"""

import argparse
import asyncio
import dis
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Any

SOURCE = Path(__file__).parents[1] / "asgi-signalr" / "src"
CLIENTS = 10
BEGINS = dis.opmap["RESUME"]


def main() -> None:
    """Walk, and print a table."""
    parser = argparse.ArgumentParser(prog="tools/walks.py", description=__doc__)
    parser.add_argument("--source", type=Path, default=SOURCE, help="the folder that has the package (default: ours)")
    parser.add_argument("--modules", action="store_true", help="say which modules each walk goes through")
    options = parser.parse_args()
    sys.path.insert(0, str(options.source.resolve()))
    walks = asyncio.run(walk(options.source.resolve() / "asgi_signalr"))
    lines = ["| walk | functions | rooms | stays | returns |", "|---|---|---|---|---|"]
    for name, modules in walks.items():
        stays = [room for room, _ in groupby(module.split("/")[0] for module in modules)]
        rooms = len(set(stays))
        lines.append(f"| {name} | {len(modules)} | {rooms} | {len(stays)} | {len(stays) - rooms} |")
        if options.modules:
            lines.append("    " + " ".join(module for module, _ in groupby(modules)))
    sys.stdout.write("\n".join(lines) + "\n")


async def walk(package: Path) -> dict[str, list[str]]:
    """Go each way once; returns the module of every function that is begun on it."""
    from asgi_signalr import Hub, HubFilter, SignalR
    from asgi_signalr.testing import TestClient

    class Passing(HubFilter):
        async def invoke(self, context: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
            return await call_next(context)

    class Room(Hub):
        async def on_connected(self) -> None:
            await self.groups.add(self.context.connection_id, "red")

        def add(self, a: int, b: int) -> int:
            return a + b

        async def add_later(self, a: int, b: int) -> int:
            return a + b

    def app(url: str, *filters: HubFilter) -> SignalR:
        signalr = SignalR(backplane=url, filters=list(filters))
        signalr.hub("/room")(Room)
        return signalr

    walks: dict[str, list[str]] = {}
    async with AsyncExitStack() as stack:

        async def connect(signalr: SignalR) -> TestClient:
            return await stack.enter_async_context(TestClient(signalr, "/room"))

        async def broadcast(name: str, signalr: SignalR, clients: list[TestClient]) -> None:
            with followed(package) as walks[name]:
                await signalr.hub_context(Room).clients.group("red").send("said", "hello")
                for client in clients:
                    await client.next("said")

        async def call(name: str, client: TestClient, method: str) -> None:
            with followed(package) as walks[name]:
                await client.invoke(method, 1, 2)

        alone, filtered = app("memory://"), app("memory://", Passing())
        here, there = app("memory://both"), app("memory://both")
        clients = [await connect(alone) for _ in range(CLIENTS)]
        await broadcast("a group broadcast", alone, clients)
        await connect(here)
        clients_there = [await connect(there) for _ in range(CLIENTS)]
        await broadcast("the same from another server", here, clients_there)
        await call("a call of a `def` method that comes alone", clients[0], "add")
        await call("the same of an `async def` method", clients[0], "add_later")
        await call("the same with a filter around it", await connect(filtered), "add_later")
    return walks


@contextmanager
def followed(package: Path) -> Iterator[list[str]]:
    """Note the module of every function of the library that is begun; what its test client does is not counted."""
    modules: list[str] = []

    def note(frame: FrameType, event: str, _argument: object) -> None:
        if (
            event == "call"
            and _begins(frame)
            and (module := _module(frame, package))
            and _is_the_servers(frame, package)
        ):
            modules.append(module)

    sys.setprofile(note)
    try:
        yield modules
    finally:
        sys.setprofile(None)


def _begins(frame: FrameType) -> bool:
    """Whether a function begins, and is not gone on with; comprehensions are part of the function that they are in."""
    code = frame.f_code
    at = max(frame.f_lasti, 0)
    return not code.co_name.startswith("<") and code.co_code[at] == BEGINS and not code.co_code[at + 1] & 3


def _module(frame: FrameType, package: Path) -> str | None:
    path = Path(frame.f_code.co_filename)
    if not path.is_relative_to(package) or path.is_relative_to(package / "testing"):
        return None
    return path.relative_to(package).with_suffix("").as_posix()


def _is_the_servers(frame: FrameType, package: Path) -> bool:
    """Whether it is the application that calls, and not the client in the same process."""
    caller: FrameType | None = frame
    while caller is not None and (module := _module(caller, package)) is not None:
        if (module, caller.f_code.co_name) == ("app", "__call__"):
            return True
        caller = caller.f_back
    return caller is None or not Path(caller.f_code.co_filename).is_relative_to(package / "testing")


if __name__ == "__main__":
    main()
