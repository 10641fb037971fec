"""A network between clients and a server, which breaks when a test wants it to."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Literal

PATIENCE = 10.0
UPGRADE = b"\r\nupgrade: websocket\r\n"

Way = Literal["to the client", "to the server"]


class Proxy:
    """A network between client and server that can be cut, without a word to either."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ends: set[asyncio.StreamWriter] = set()
        self._web_sockets: dict[asyncio.StreamWriter, Way] = {}  # the way that goes what is written to this end
        self._losing: set[asyncio.StreamWriter] = set()
        self._lost: dict[Way, asyncio.Event] = {"to the client": asyncio.Event(), "to the server": asyncio.Event()}
        self._held = asyncio.Event()
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._is_down = False
        self.web_sockets = 0
        """So many have been opened in all."""

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Be there for a while; gives the URL that clients are to use."""
        listener = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        finally:
            listener.close()
            self.down()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_down:
            writer.transport.abort()
            return
        onward, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._ends |= {writer, back}
        try:
            await asyncio.gather(self._pump(reader, back, writer), self._pump(onward, writer, back))
        finally:
            for end in (writer, back):
                self._ends.discard(end)
                self._losing.discard(end)
                self._web_sockets.pop(end, None)
                end.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, to: asyncio.StreamWriter, back: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                # The client asks for it before the server grants it, in the same words.
                if to not in self._web_sockets and UPGRADE in data.lower():
                    if not self._is_open.is_set():
                        self._held.set()
                        await self._is_open.wait()
                    self._web_sockets |= {to: "to the server", back: "to the client"}
                    self.web_sockets += 1
                if to in self._losing:
                    self._lost[self._web_sockets[to]].set()
                    continue
                to.write(data)
                await to.drain()
            to.close()

    # How it breaks.

    def cut(self) -> None:
        """Reset the WebSockets: Node would not notice in time that an idle HTTP connection is dead, and use it."""
        for end in list(self._web_sockets):
            end.transport.abort()

    def down(self, is_down: bool = True) -> None:
        """Reset everything, and let nothing through."""
        self._is_down = is_down
        self._is_open.set()
        for end in list(self._ends):
            end.transport.abort()

    def lose(self, way: Way) -> None:
        """Lose what the WebSockets that there are carry this way; nobody notices."""
        self._lost[way].clear()
        self._losing |= {end for end, its_way in self._web_sockets.items() if its_way == way}

    async def has_lost(self, way: Way) -> None:
        """Wait until something has been lost."""
        async with asyncio.timeout(PATIENCE):
            await self._lost[way].wait()

    async def cut_and_hold(self) -> None:
        """Reset the WebSockets, and wait until a client asks for another one, which it does not get until `mend`."""
        self._is_open.clear()
        self._held.clear()
        self.cut()
        async with asyncio.timeout(PATIENCE):
            await self._held.wait()

    def mend(self) -> None:
        """Let WebSockets through again."""
        self._is_open.set()
