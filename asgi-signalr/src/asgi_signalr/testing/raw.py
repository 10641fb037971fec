"""A client of a persistent connection: it sends and hears text or bytes."""

from collections import deque
from collections.abc import Mapping
from typing import Self

from asgi_signalr.testing.asgi import ASGIApp
from asgi_signalr.testing.base import BaseClient
from asgi_signalr.testing.connection import ClientConnection


class TestConnection(BaseClient[ClientConnection]):
    """A client of one persistent connection's endpoint, connected within `async with`.

    Args:
        app: any ASGI application that has `SignalR` somewhere.
        path: the endpoint's path in that application, such as `/signalr/echo`.
        user: who is signed in: put into the scope as `scope["user"]`, where authentication leaves it.
        headers: further headers of the requests.
        query: further parameters of the query string.
        access_token: sent as the official clients send theirs: as a bearer token to negotiate, and as the
            parameter `access_token` for the WebSocket.
        skip_negotiation: whether to open the WebSocket directly; there is no `connection_id` then.
        timeout: seconds that every single wait may take.

    """

    def __init__(
        self,
        app: ASGIApp,
        path: str,
        *,
        user: object | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        access_token: str | None = None,
        skip_negotiation: bool = False,
        timeout: float = 5,
    ) -> None:
        self._received: deque[str | bytes] = deque()
        self._skip_negotiation = skip_negotiation
        connection = ClientConnection(
            app,
            path,
            user=user,
            headers=headers,
            query=query,
            access_token=access_token,
            timeout=timeout,
            on_frame=self._received.append,
        )
        super().__init__(connection)

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            RefusedError: the server does not accept the connection.
            RedirectedError: it sends the client elsewhere.
            NegotiateError: it answers the negotiation with an error, or offers no WebSockets.

        """
        await self._connection.open(skip_negotiation=self._skip_negotiation)
        return self

    async def send(self, data: str | bytes) -> None:
        """Send text or bytes.

        Raises:
            ClosedError: the connection has ended.

        """
        binary = isinstance(data, bytes)
        self._connection.send(data if isinstance(data, bytes) else data.encode(), binary=binary)
        await self._connection.room()

    async def receive(self) -> str | bytes:
        """Wait for the next that the server sends.

        Raises:
            ClosedError: the connection ended first.
            TimeoutError: nothing came in time.

        """
        return await self._connection.until(
            lambda: self._received.popleft() if self._received else None, "The server has sent nothing more"
        )

    async def close(self, code: int = 1000) -> None:
        """Close the WebSocket, with 1006 as if it was lost, and wait until the server is done with the connection.

        Raises:
            TimeoutError: the application is not done in time.

        """
        await self._connection.leave(code)

    async def closed(self) -> int:
        """Wait until the server has ended the connection; returns the code that it closed the WebSocket with.

        Raises:
            TimeoutError: the connection is still open.

        """
        await self._connection.until(lambda: self._connection.end, "The connection was not closed")
        return self._connection.code
