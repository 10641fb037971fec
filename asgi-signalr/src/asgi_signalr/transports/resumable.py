"""A transport that outlives its WebSocket: when that is lost, the same client may bring another one.

The request of each WebSocket carries it: it pumps what the client sends into the transport, until the WebSocket is
over or another one has taken its place. The conversation runs apart from these requests.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

from asgi_signalr.transports.payload import Payload
from asgi_signalr.transports.websockets import PATIENCE, WebSocketTransport


class ResumableTransport:
    """One WebSocket after another, for one connection."""

    name = WebSocketTransport.name
    keeps_alive = False
    keep_alive_frame = None
    direct = None  # what is sent to a stateful connection is numbered and kept, one message after another
    inbox = None

    def __init__(self) -> None:
        self.can_resume = False
        """Whether the loss of a WebSocket is not yet the end: the client has agreed to bring another one."""
        self.on_attached: Callable[[], None] = _nothing
        self.on_detached: Callable[[], None] = _nothing
        self._carried: WebSocketTransport | None = None
        self._pump: asyncio.Task[None] | None = None
        self._incoming: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._is_read = asyncio.Event()  # nothing more is taken in before the conversation has read what there is
        self._has_gone = self._is_over = False

    @property
    def has_gone(self) -> bool:
        """Whether the client has gone for good."""
        return self._has_gone

    async def carry(self, websocket: WebSocketTransport) -> None:
        """Be carried by an accepted WebSocket; returns when it is over. One that was there before is cut."""
        if not self._is_over:
            former, self._carried = self._pump, websocket
            if former is not None:
                former.cancel()
            if self.can_resume:
                self._forget_unread()
                self.on_attached()
            pump = self._pump = asyncio.create_task(self._pump_from(websocket))
            try:
                await asyncio.wait({pump})
            finally:
                if not pump.done():  # the ASGI server gives the request up
                    pump.cancel()
                    if self._pump is pump:
                        self._lost(cleanly=False)
        with contextlib.suppress(Exception):  # it is cut because it is dead, most likely
            async with asyncio.timeout(PATIENCE):
                await websocket.close()

    async def _pump_from(self, websocket: WebSocketTransport) -> None:
        cleanly = False
        with contextlib.suppress(Exception):  # whatever the server means by one, the WebSocket is lost
            while (data := await websocket.receive()) is not None:
                self._is_read.clear()
                self._incoming.put_nowait(data)
                await self._is_read.wait()
            cleanly = websocket.closed_cleanly
        self._lost(cleanly=cleanly)

    def _lost(self, *, cleanly: bool) -> None:
        self._carried = None
        if self.can_resume and not cleanly:
            self.on_detached()
        else:
            self._has_gone = True
            self._incoming.put_nowait(None)

    def detach(self) -> None:
        """Give a WebSocket up that takes nothing any more; its client may bring another one."""
        if self._pump is not None:
            self._pump.cancel()
        if self._carried is not None:
            self._carried = None
            self.on_detached()

    async def receive(self) -> str | bytes | None:
        """Wait for a frame, of whichever WebSocket; None once the client has gone for good. May be cancelled."""
        data = await self._incoming.get()
        self._is_read.set()
        return data

    def send(self, payloads: Sequence[Payload]) -> Awaitable[None] | None:
        """Send whole messages as one frame.

        Raises:
            ConnectionError: there is no WebSocket at the moment.

        """
        if self._carried is None:
            raise ConnectionError("The client's WebSocket is lost.")
        return self._carried.send(payloads)

    async def close(self, code: int = 1000, /) -> None:
        """Close the WebSocket, and take no other one."""
        self._is_over = True
        carried, self._carried = self._carried, None
        try:
            if carried is not None:
                await carried.close(code)
        finally:
            if self._pump is not None:
                self._pump.cancel()

    def _forget_unread(self) -> None:
        """Drop what the lost WebSocket has left: its client sends again what was not acknowledged."""
        while not self._incoming.empty():
            self._incoming.get_nowait()


def _nothing() -> None:
    """Do nothing: nobody has asked to be told."""
