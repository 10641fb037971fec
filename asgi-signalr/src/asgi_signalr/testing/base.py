"""The common part of the clients of hubs and of persistent connections."""

import contextlib
from types import TracebackType
from typing import Generic, TypeVar

from asgi_signalr.testing.connection import ClientConnection

C = TypeVar("C", bound=ClientConnection)


class BaseClient(Generic[C]):
    """A client that is connected within `async with`."""

    __test__ = False  # pytest is not to collect it

    def __init__(self, connection: C) -> None:
        self._connection = connection

    @property
    def connection_id(self) -> str | None:
        """The public id of the connection, by which the server can send to it; None without negotiation."""
        return self._connection.id

    @property
    def is_closed(self) -> bool:
        """Whether the connection is over, whoever ended it."""
        return self._connection.end is not None

    @property
    def timeout(self) -> float:
        """Seconds that every single wait may take; may be changed at any time."""
        return self._connection.timeout

    @timeout.setter
    def timeout(self, seconds: float) -> None:
        self._connection.timeout = seconds

    async def close(self) -> None:
        """Close the connection, and wait until the server is done with it.

        Raises:
            TimeoutError: the application is not done in time.

        """
        await self._connection.leave(1000)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connection if it is open, and wait until the server is done with it.

        Raises what a handler or the application has raised meanwhile, unless the test has failed anyway.
        """
        if error is not None:
            with contextlib.suppress(Exception):
                await self.close()
            return
        await self.close()
        if self._connection.failure is not None:
            raise self._connection.failure
