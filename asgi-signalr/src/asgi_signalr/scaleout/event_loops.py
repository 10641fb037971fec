"""Which event loop has which server: an application has one on each loop that serves it, or sends from it."""

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from asgi_signalr.backplanes import Backplane, also_tell, open_backplane
from asgi_signalr.options import Options
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.scaleout.presence_events import PresenceFunction
from asgi_signalr.scaleout.server import Server

logger = logging.getLogger("asgi_signalr")

_GAP_FUNCTION_FAILED = "A function that is told of gaps failed."


class Servers:
    """The servers of one application, and the backplane that joins them.

    Args:
        options: the application's.
        protocols: of each hub, by its name, those that its clients may speak, by their names.
        presence: for the hubs that keep it, by name, who is told of each event.
        backplane: see `use_backplane`.

    """

    def __init__(
        self,
        options: Options,
        protocols: Mapping[str, Mapping[str, HubProtocol]],
        presence: Mapping[str, Sequence[PresenceFunction]],
        backplane: str | Backplane,
    ) -> None:
        self._options = options
        self._protocols = protocols
        self._presence = presence
        self._of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Server] = WeakKeyDictionary()
        self._telling: set[asyncio.Future[None]] = set()
        self.on_gap: list[Callable[[str], Awaitable[None] | None]] = []
        """Told, in a sentence, when messages of other servers may have been lost."""
        self.use_backplane(backplane)

    def use_backplane(self, backplane: str | Backplane) -> None:
        """Join the servers: by a URL such as `postgresql://host/database`, or one's own engine.

        Raises:
            ValueError: no engine has the URL's scheme.
            TypeError: it is neither a URL nor an engine.
            RuntimeError: there are connections already.

        """
        if any(not loop.is_closed() for loop in self._of_loop):
            raise RuntimeError("Choose the backplane before the first connection or message.")
        if isinstance(backplane, str):
            url = backplane
            open_backplane(url)  # a wrong URL, or a driver that is not installed, is to be heard of here
            self._open_backplane: Callable[[], Backplane] = lambda: open_backplane(url, on_gap=self._gap)
        elif isinstance(backplane, type) or not all(hasattr(backplane, name) for name in ("start", "publish", "stop")):
            raise TypeError(
                "A backplane is a URL such as 'postgresql://host/database', or an object with start, publish and stop, "
                f"not {backplane!r}."
            )
        else:
            also_tell(backplane, self._gap)
            self._open_backplane = lambda: backplane
        self._is_alone = backplane == "memory://"
        self._reaches_other_loops = not (isinstance(backplane, str) and urlsplit(backplane).scheme == "memory")

    def find(self) -> Server | None:
        """Find the server of this event loop; None: nobody has connected here yet, nor sent anything."""
        return self._of_loop.get(asyncio.get_running_loop())

    def to_serve(self) -> Server:
        """Find the server of this event loop, or make it, for what is served here."""
        server = self._here()
        server.is_served = True
        return server

    def to_send(self) -> Server:
        """Find the server of this event loop, or make it, for what is sent from outside of hubs.

        Raises:
            RuntimeError: all clients are on another event loop, and nothing would reach them.

        """
        server = self._here()
        if not (server.is_served or self._reaches_other_loops) and any(
            loop.is_running() and other.has_clients for loop, other in tuple(self._of_loop.items())
        ):
            raise RuntimeError(
                "The clients are connected on another event loop, which nothing that is sent on this one reaches. From "
                "a def endpoint or another thread of the framework's: anyio.from_thread.run(chat.clients.all.send, "
                "'said', 'hello'). From anywhere else: asyncio.run_coroutine_threadsafe(chat.clients.all.send('said', "
                "'hello'), loop), with the event loop of the server."
            )
        return server

    def _here(self) -> Server:
        loop = asyncio.get_running_loop()
        server = self._of_loop.get(loop)
        if server is None:
            server = self._of_loop[loop] = Server(
                self._options, self._protocols, self._open_backplane, alone=self._is_alone, presence=self._presence
            )
        return server

    async def stop(self) -> None:
        """Stop the server of this event loop, if there is one."""
        loop = asyncio.get_running_loop()
        server = self._of_loop.get(loop)
        if server is not None:
            try:
                await server.stop()
            finally:
                self._of_loop.pop(loop, None)

    def _gap(self, reason: str) -> None:
        logger.warning("Messages of other servers may be lost: %s", reason)
        if (server := self.find()) is not None:
            server.resync()
        for function in self.on_gap:
            try:
                told = function(reason)
            except Exception:  # whatever it is: the backplane has to go on
                logger.exception(_GAP_FUNCTION_FAILED)
            else:
                if inspect.isawaitable(told):
                    telling = asyncio.ensure_future(told)
                    self._telling.add(telling)
                    telling.add_done_callback(self._told)

    def _told(self, telling: asyncio.Future[None]) -> None:
        self._telling.discard(telling)
        if not telling.cancelled() and (error := telling.exception()) is not None:
            logger.error(_GAP_FUNCTION_FAILED, exc_info=error)
