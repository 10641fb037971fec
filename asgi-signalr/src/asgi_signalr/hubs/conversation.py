"""The conversation with one client: handshake, `on_connected`, its messages in order, good-bye.

It runs in the task that reads from the client. What the messages ask for is `dispatch`'s affair: whatever can wait runs
in a task of its own, so that the reading goes on meanwhile, pings are heard and a client that goes is noticed.
"""

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MethodType

from asgi_signalr.connections.connection import Ended, Ending
from asgi_signalr.connections.hooks import in_time
from asgi_signalr.context import Authorize, HubCallerContext
from asgi_signalr.dependencies import Overrides
from asgi_signalr.errors import HubException, InvalidDataError, MessageSizeError, for_client, is_refusal
from asgi_signalr.filters import HubFilter
from asgi_signalr.hubs import Hub
from asgi_signalr.hubs.connection import HubConnection
from asgi_signalr.hubs.dispatch import HubDispatcher
from asgi_signalr.hubs.handshake import AGREED, HandshakeError, choose_protocol, refused, take_request
from asgi_signalr.hubs.invoker import HubInvoker
from asgi_signalr.hubs.methods import HubMethod
from asgi_signalr.messages import Close
from asgi_signalr.options import Options
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.scaleout.local_hub import LocalHub
from asgi_signalr.transports import TRANSPORTS, Transport
from asgi_signalr.transports.pace import Pace
from asgi_signalr.transports.payload import Payload
from asgi_signalr.transports.websockets import WebSocketTransport, no_fast_path

logger = logging.getLogger("asgi_signalr")


class HubConversation:
    """Converses with the clients of one hub class. Holds no state of theirs, so it serves any event loop.

    Args:
        hub: the hub class.
        authorize: who may connect.
        protocols: those that clients may speak, by their names.
        filters: those around its calls, the outermost first.
        overrides: called instead of dependencies, in tests.
        options: the application's.
        client: a class whose methods are the handlers of its clients.

    Raises:
        TypeError: the class has methods that clients could not call.

    """

    def __init__(
        self,
        hub: type[Hub],
        authorize: Authorize,
        protocols: Mapping[str, HubProtocol],
        filters: Sequence[HubFilter],
        overrides: Overrides,
        options: Options,
        client: type | None = None,
    ) -> None:
        self.name = hub.__name__
        self.client = client
        """Whose methods are the handlers of its clients, for those who write them down."""
        self.authorize = authorize
        self._protocols = protocols
        self._size_level = logging.WARNING
        self._invoker = HubInvoker(hub, filters, overrides)
        self._dispatcher = HubDispatcher(hub, protocols, self._invoker, options)

    @property
    def methods(self) -> Mapping[str, HubMethod]:
        """What clients can call, by names without case and underscores."""
        return self._dispatcher.methods

    def open(self, context: HubCallerContext, transport: Transport, local_hub: LocalHub) -> HubConnection:
        """Make a connection of this hub."""
        return HubConnection(context, transport, local_hub)

    async def run(self, connection: HubConnection) -> None:
        """Converse with a client until it has gone or the connection is ended."""
        connection.log("=", f"opened by {connection.transport.name} for hub {self.name}")
        try:
            if await self._shake_hands(connection):
                await self._serve(connection)
        finally:
            await connection.say_goodbye()
            if connection.calls.running and connection.local_hub.is_stopping:
                await connection.calls.finish(connection.options.stop_timeout)
            connection.log("=", "closed")

    # The handshake.

    async def _shake_hands(self, connection: HubConnection) -> bool:
        answer: bytes | None
        timed_out = False
        try:
            agreed = await self._agree_on_protocol(connection)
            if agreed is None:
                return False
            answer = AGREED
            connection.agree(*agreed)
        except HandshakeError as error:
            answer = refused(str(error))
        except Ended:
            answer = refused("Handshake was canceled.")
            timed_out = connection.ending is not None and connection.ending.timed_out
            connection.ending = None  # nothing is lost: the answer can still be sent
        except InvalidDataError as error:
            text = "An unexpected error occurred during connection handshake."
            answer = refused(for_client(text, error, connection.options.detailed_errors))
        connection.outbox.put(Payload(answer, binary=connection.protocol.binary))
        connection.outbox.flush()  # a frame of its own: not every client expects messages behind the answer
        if not connection.handshaken:
            connection.log("=", f"no handshake: {answer.decode().rstrip()}")
            connection.ending = Ending(close=Close(), timed_out=timed_out)
        return connection.handshaken

    async def _agree_on_protocol(self, connection: HubConnection) -> tuple[HubProtocol, int] | None:
        while (request := take_request(connection.buffer, connection.options.max_message_size)) is None:
            data = await connection.receive()
            if data is None:
                return None
            connection.buffer += data
        binary_allowed = "Binary" in TRANSPORTS[connection.transport.name]
        return choose_protocol(request, self._protocols, binary_allowed)

    # The connection, from registration to the end.

    async def _serve(self, connection: HubConnection) -> None:
        connection.local_hub.add(connection)
        connected = False
        error: Exception | None = None
        try:
            connected = await self._connect(connection)
            if connected:
                error = await self._listen(connection)
        finally:
            await connection.say_goodbye()
            connection.context.aborted.set()
            connection.local_hub.end_calls(connection)
            self._dispatcher.end(connection)
            try:
                await asyncio.sleep(0)  # methods that wait for the end hear of it first
            finally:
                try:
                    if connected:
                        await self._disconnect(connection, error)
                finally:
                    connection.local_hub.remove(connection)

    async def _connect(self, connection: HubConnection) -> bool:
        try:
            seconds = connection.options.hook_timeout
            await in_time(self._invoker.connected(connection), seconds, f"{self.name}.on_connected")
        except Exception as error:
            if is_refusal(error):
                logger.info("%s.on_connected refuses connection %s.", self.name, connection.id)
            else:
                logger.exception("%s.on_connected failed; the connection is closed.", self.name)
            connection.fail(error, allow_reconnect=False)
            return False
        return True

    async def _disconnect(self, connection: HubConnection, error: Exception | None) -> None:
        try:
            seconds = connection.options.hook_timeout
            await in_time(self._invoker.disconnected(connection, error), seconds, f"{self.name}.on_disconnected")
        except Exception:
            logger.exception("%s.on_disconnected failed.", self.name)

    async def _listen(self, connection: HubConnection) -> Exception | None:
        """Take the client's messages until the end; returns the error that was the reason, if one was."""
        transport = connection.transport
        if isinstance(transport, WebSocketTransport):
            transport.fast_path = self._fast_path(connection)
        pace = Pace()  # a frame may hold any number of messages, and what is read any number of frames
        try:
            while True:
                for message in connection.unread():
                    if pace.is_over():
                        await connection.interruptible(asyncio.sleep(0))
                        pace.begin()
                    if message is None:
                        continue
                    if isinstance(message, Close):
                        connection.log_message("<", message)
                        await self._begin_all(connection)
                        connection.end(Ending(close=Close()))
                        return HubException(message.error) if message.error else None
                    obstacle = self._dispatcher.dispatch(connection, message)
                    if obstacle is not None:
                        await connection.stall(obstacle)
                    if connection.ending is not None:
                        return connection.ending.error
                left = pace.pause()
                with connection.waiting():
                    data = await connection.more()
                pace.go_on(left)
                if data is None:
                    connection.log("=", "the client has gone")
                    await self._begin_all(connection, gone=True)
                    if connection.buffer:
                        return InvalidDataError("Connection terminated while reading a message.")
                    return None
                connection.buffer += data
        except Ended:
            return connection.ending.error if connection.ending else None
        except InvalidDataError as error:
            if isinstance(error, MessageSizeError):  # without detailed errors its client is not told why
                logger.log(self._size_level, "A client of %s was closed: %s", self.name, error)
                self._size_level = logging.INFO  # a warning once: clients are not to fill the log with them
            connection.fail(error, allow_reconnect=True)
            return error

    def _fast_path(self, connection: HubConnection) -> Callable[[bytes], bool]:
        """Find the fast path of a connection: it acts on a call that comes alone, while this conversation waits."""
        try_fast = self._dispatcher.fast_paths[connection.protocol.name]
        if try_fast is None or connection.messages is not None:  # what a stateful connection receives is counted
            return no_fast_path
        fast_path = MethodType(try_fast, connection)
        context = contextvars.copy_context()  # what a middleware has left for the hub's methods, if it has
        return partial(context.run, fast_path) if context else fast_path

    async def _begin_all(self, connection: HubConnection, *, gone: bool = False) -> None:
        """Let begin what the client has called before it said good-bye; calls that take too long are forgotten.

        Raises:
            Ended: the server has ended the connection.

        """
        if not connection.calls.waiting:
            return
        if gone:
            connection.context.aborted.set()
            connection.outbox.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(connection.options.close_timeout):
                await connection.interruptible(connection.calls.all_begun())
