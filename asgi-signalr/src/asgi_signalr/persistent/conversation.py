"""The conversation with one client of a persistent connection: `on_connected`, its messages in order, good-bye."""

import asyncio
import logging

from asgi_signalr.clients import GroupManager
from asgi_signalr.connections.connection import Ended, Ending
from asgi_signalr.connections.hooks import in_time
from asgi_signalr.context import Authorize, HubCallerContext
from asgi_signalr.dependencies import sources_of
from asgi_signalr.errors import InvalidDataError, is_refusal
from asgi_signalr.hubs.invoker import settle
from asgi_signalr.hubs.signatures import check_event, check_members
from asgi_signalr.messages import Close
from asgi_signalr.persistent import Connections, ConnectionSender, PersistentConnection, summary
from asgi_signalr.persistent.connection import RawConnection
from asgi_signalr.scaleout.local_hub import LocalHub
from asgi_signalr.transports import Transport
from asgi_signalr.transports.pace import Pace

logger = logging.getLogger("asgi_signalr")


class PersistentConversation:
    """Converses with the clients of one persistent connection. Holds no state of theirs, so it serves any event loop.

    Args:
        endpoint: its class.
        authorize: who may connect.
        max_message_size: the longest message that a client may send; None: the application's.

    Raises:
        TypeError: it cannot be called as it will be.

    """

    def __init__(
        self, endpoint: type[PersistentConnection], authorize: Authorize, max_message_size: int | None = None
    ) -> None:
        check_members(endpoint, PersistentConnection, PersistentConnection.__annotations__)
        check_event(endpoint, "on_connected")
        check_event(endpoint, "on_received", "data")
        check_event(endpoint, "on_disconnected", "error")
        if sources := sources_of(endpoint):
            raise TypeError(
                f"The constructor of {endpoint.__name__} takes {', '.join(sources)}; "
                "persistent connections are given nothing there: use on_connected and self.context."
            )
        self.endpoint = endpoint
        self.name = endpoint.__name__
        self.authorize = authorize
        self._max_message_size = max_message_size

    def open(self, context: HubCallerContext, transport: Transport, local_hub: LocalHub) -> RawConnection:
        """Make a connection of this endpoint."""
        return RawConnection(context, transport, local_hub, self._max_message_size)

    async def run(self, connection: RawConnection) -> None:
        """Converse with a client until it has gone or the connection is ended."""
        connection.log("=", f"opened by {connection.transport.name} for connection {self.name}")
        connected: PersistentConnection | None = None
        error: Exception | None = None
        try:
            served = self._make(connection)
            connection.local_hub.add(connection)
            seconds = connection.options.hook_timeout
            await in_time(settle(served.on_connected()), seconds, f"{self.name}.on_connected")
            connected = served
            error = await self._listen(connection, served)
        except Exception as failure:
            if connected is None and is_refusal(failure):
                logger.info("%s.on_connected refuses connection %s.", self.name, connection.id)
            else:
                logger.exception("%s failed; the connection is closed.", self.name)
            connection.end(Ending(failure, Close()))
            error = failure
        finally:
            await connection.say_goodbye()
            connection.context.aborted.set()
            try:
                if connected is not None:
                    seconds = connection.options.hook_timeout
                    await in_time(settle(connected.on_disconnected(error)), seconds, f"{self.name}.on_disconnected")
            except Exception:
                logger.exception("%s.on_disconnected failed.", self.name)
            finally:
                connection.local_hub.remove(connection)
                connection.log("=", "closed")

    def _make(self, connection: RawConnection) -> PersistentConnection:
        served = self.endpoint()
        served.context = connection.context
        served.connection = ConnectionSender(connection)
        served.connections = Connections(lambda: connection.local_hub)
        served.groups = GroupManager(lambda: connection.local_hub)
        return served

    async def _listen(self, connection: RawConnection, served: PersistentConnection) -> Exception | None:
        """Take the client's messages until the end; returns the error that was the reason, if one was."""
        pace = Pace()
        try:
            while connection.ending is None:
                if pace.is_over():
                    await connection.interruptible(asyncio.sleep(0))
                    pace.begin()
                left = pace.pause()
                message = await connection.receive_message()
                pace.go_on(left)
                if message is None:
                    connection.log("=", "the client has gone")
                    return None
                connection.log("<", summary(message))
                await settle(served.on_received(message))
        except InvalidDataError as error:
            connection.log("=", f"ends: {error}")
            connection.end(Ending(error, Close()))
        except Ended:
            pass
        return connection.ending.error if connection.ending is not None else None
