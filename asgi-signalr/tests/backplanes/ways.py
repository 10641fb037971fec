"""What lies between a server and its store: a relay that tests cut, close, slow down, or have swallow everything."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from urllib.parse import urlsplit


class _Link:
    """One connection through it."""

    def __init__(self, *writers: asyncio.StreamWriter) -> None:
        self.writers = writers
        self.is_dropped = False


class Way:
    """A relay to a port of this machine. With `tls` it ends TLS before the store, as stunnel does."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self.is_open = True
        self.pace: float | None = None
        """Bytes a second from the store, for each connection; None: as many as can be."""
        self._store = port
        self._tls = tls
        self._links: list[_Link] = []

    @classmethod
    def to(cls, url: str) -> "Way":
        """The way to the store of a URL."""
        port = urlsplit(url).port
        assert port
        return cls(port)

    def of(self, url: str) -> str:
        """The URL by which the same store is reached through this way."""
        parts = urlsplit(url)
        return parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{self.port}").geturl()

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator["Way"]:
        """Have it for a while."""
        server = await asyncio.start_server(self._relay, "127.0.0.1", 0, ssl=self._tls)
        self.port: int = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()

    def swallow(self) -> None:
        """The connections of now get nothing across any more, and nobody is told; new ones do."""
        for each in self._links:
            each.is_dropped = True
        self._links.clear()

    def cut(self) -> None:
        """End the connections of now."""
        for each in self._links:
            for writer in each.writers:
                writer.transport.abort()
        self._links.clear()

    def close(self) -> None:
        """Let nobody through, until `is_open` is true again."""
        self.is_open = False
        self.cut()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.is_open:
            writer.transport.abort()
            return
        from_store, to_store = await asyncio.open_connection("127.0.0.1", self._store)
        link = _Link(writer, to_store)
        self._links.append(link)

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                if not link.is_dropped:
                    target.write(data)
                    await target.drain()
                if self.pace and source is from_store:
                    await asyncio.sleep(len(data) / self.pace)

        with contextlib.suppress(OSError):
            await asyncio.wait(
                [asyncio.create_task(pump(reader, to_store)), asyncio.create_task(pump(from_store, writer))],
                return_when=asyncio.FIRST_COMPLETED,
            )
        for each in (writer, to_store):
            each.close()
