"""The client's end of a hub's connection: the handshake, and messages instead of frames."""

import json
from collections.abc import Callable, Mapping

from asgi_signalr.hubs.handshake import SEPARATOR, HandshakeError, take_request
from asgi_signalr.hubs.message_buffer import COUNTED, MessageBuffer
from asgi_signalr.messages import Close, Message
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.testing.asgi import ASGIApp
from asgi_signalr.testing.connection import ClientConnection
from asgi_signalr.transports.payload import Payload

# What a server sends is not limited, nor what is kept for it; the protocols want a number.
_ANY_SIZE = 2**62


class ClientHubConnection(ClientConnection):
    """One connection to a hub, from the client's side. Each message is given to `on_message` as it is sent."""

    def __init__(
        self,
        app: ASGIApp,
        path: str,
        *,
        user: object | None,
        headers: Mapping[str, str] | None,
        query: Mapping[str, str] | None,
        access_token: str | None,
        protocol: HubProtocol,
        timeout: float,
        stateful_reconnect: bool,
        on_message: Callable[[Message], None],
    ) -> None:
        super().__init__(
            app,
            path,
            user=user,
            headers=headers,
            query=query,
            access_token=access_token,
            timeout=timeout,
            on_frame=self._take_frame,
            stateful_reconnect=stateful_reconnect,
        )
        self.protocol = protocol
        self._on_message = on_message
        self._buffer = bytearray()
        self._handshaken = False
        self._kept = MessageBuffer(_ANY_SIZE)

    async def shake_hands(self) -> None:
        """Agree on the protocol.

        Raises:
            HandshakeError: the server does not speak it.
            TimeoutError: the server has not answered in time.

        """
        asked = {"protocol": self.protocol.name, "version": 2 if self.is_stateful else 1}
        self.send(json.dumps(asked).encode() + SEPARATOR, binary=False)  # a text frame, whatever the protocol
        try:
            await self.until(lambda: self._handshaken or None, "The handshake was not answered")
        except BaseException:
            await self.leave(1006)
            raise

    async def resume(self) -> None:
        """Go on over another WebSocket, and send again what the server has not acknowledged.

        Raises:
            RefusedError: the server does not know the connection any more.
            TimeoutError: it has not answered in time.

        """
        await self.reopen()
        sequence, kept = self._kept.resume()
        self.write(sequence)
        for payload in kept:
            self.send(payload.data, binary=self.protocol.binary)

    def write(self, message: Message) -> None:
        """Send one message.

        Raises:
            ClosedError: the connection has ended.

        """
        data = self.protocol.write(message)
        self.send(data, binary=self.protocol.binary)
        if self.is_stateful and isinstance(message, COUNTED):
            self._kept.keep(Payload(data))

    def _take_frame(self, data: str | bytes) -> None:
        if isinstance(data, bytes) is not self.protocol.binary:
            kind = "text" if self.protocol.binary else "binary"
            raise AssertionError(f"The server sent a {kind} frame for {self.protocol.name}.")
        self._buffer += data if isinstance(data, bytes) else data.encode()
        if not self._handshaken and not self._take_handshake():
            return
        for message in self.protocol.parse(self._buffer, _ANY_SIZE):
            if isinstance(message, Close):
                self.close = message
            elif not self.is_stateful or self._kept.accepts(message):
                self._on_message(message)
        if (acknowledgement := self._kept.acknowledgement()) is not None:
            self.write(acknowledgement)
        if self._buffer:
            raise AssertionError("The server sent a frame that ends within a message.")

    def _take_handshake(self) -> bool:
        answer = take_request(self._buffer)
        if answer is None:
            raise AssertionError("The server sent a frame that ends within the answer to the handshake.")
        if error := json.loads(answer).get("error"):
            self.finish(HandshakeError(error))
            return False
        self._handshaken = True
        return True
