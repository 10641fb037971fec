"""The conversation with one client: handshake, `on_connected`, its messages one after another, good-bye.

It runs in the task that reads from the client. Hub methods that are `async def` run in a task of their own, one at
a time for each connection, so that the reading goes on meanwhile: pings are heard and a client that goes is noticed.
The next invocation waits for the one before it.
"""

import asyncio
import contextlib
import functools
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from asgi_signalr.clients import GroupManager, HubCallerClients, Waiting, refuse_to_wait
from asgi_signalr.connection import Ended, Ending, logger
from asgi_signalr.context import Authorize, HubCallerContext, is_authorized
from asgi_signalr.errors import HubException, InvalidDataError, for_client
from asgi_signalr.handshake import AGREED, HandshakeError, choose_protocol, refused, take_request
from asgi_signalr.hub_connection import HubConnection, summary
from asgi_signalr.hubs import Hub, HubMethod, methods_of
from asgi_signalr.lifetime import HubLifetime
from asgi_signalr.messages import Close, Completion, Invocation, Message, Ping, StreamInvocation
from asgi_signalr.options import Options
from asgi_signalr.outbox import Flusher, Payload
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.transports import TRANSPORTS, Transport


class HubDispatcher:
    """Serves the connections of one hub class. Holds no state of theirs, so it serves any event loop.

    Raises:
        TypeError: the class has methods that clients could not call.

    """

    def __init__(self, hub: type[Hub], authorize: Authorize, protocols: Mapping[str, HubProtocol]) -> None:
        self.hub = hub
        self.name = hub.__name__
        self.authorize = authorize
        self._methods = methods_of(hub)
        self._protocols = protocols
        self._unfinished: set[asyncio.Task[None]] = set()

    def open(
        self,
        context: HubCallerContext,
        transport: Transport,
        lifetime: HubLifetime,
        options: Options,
        flusher: Flusher,
    ) -> HubConnection:
        """Make a connection of this hub."""
        return HubConnection(context, transport, lifetime, options, flusher)

    async def run(self, connection: HubConnection) -> None:
        """Converse with a client until it has gone or the connection is ended."""
        connection.log("=", f"opened by {connection.transport.name} for hub {self.name}")
        try:
            if await self._shake_hands(connection):
                await self._serve(connection)
        finally:
            await connection.say_goodbye()
            connection.log("=", "closed")

    # The handshake.

    async def _shake_hands(self, connection: HubConnection) -> bool:
        answer: bytes | None
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
            connection.ending = None  # nothing is lost: the answer can still be sent
        except InvalidDataError as error:
            text = "An unexpected error occurred during connection handshake."
            answer = refused(for_client(text, error, connection.options.detailed_errors))
        connection.outbox.put(Payload(answer, binary=connection.protocol.binary))
        connection.outbox.flush()  # a frame of its own: not every client expects messages behind the answer
        if not connection.handshaken:
            connection.log("=", f"no handshake: {answer.decode().rstrip()}")
            connection.ending = Ending(close=Close())
        return connection.handshaken

    async def _agree_on_protocol(self, connection: HubConnection) -> tuple[HubProtocol, int] | None:
        while (request := take_request(connection.buffer)) is None:
            if len(connection.buffer) > connection.options.max_message_size:
                raise HandshakeError("Handshake was canceled.")
            data = await connection.receive()
            if data is None:
                return None
            connection.buffer += data
        binary_allowed = "Binary" in TRANSPORTS[connection.transport.name]
        return choose_protocol(request, self._protocols, binary_allowed)

    # The connection, from registration to the end.

    async def _serve(self, connection: HubConnection) -> None:
        connection.lifetime.add(connection)
        connected = False
        error: Exception | None = None
        try:
            connected = await self._connect(connection)
            if connected:
                error = await self._listen(connection)
        finally:
            await connection.say_goodbye()
            connection.context.aborted.set()
            self._keep(connection.running)
            try:
                if connected:
                    await self._disconnect(connection, error)
            finally:
                connection.lifetime.remove(connection)

    async def _connect(self, connection: HubConnection) -> bool:
        try:
            await self._hub_for(connection, refuse_to_wait).on_connected()
        except Exception as error:  # noqa: BLE001  (the hub's code may raise anything)
            logger.exception("%s.on_connected failed; the connection is closed.", self.name)
            connection.fail(error, allow_reconnect=False)
            return False
        return True

    async def _disconnect(self, connection: HubConnection, error: Exception | None) -> None:
        try:
            await self._hub_for(connection, refuse_to_wait).on_disconnected(error)
        except Exception:  # noqa: BLE001  (the hub's code may raise anything)
            logger.exception("%s.on_disconnected failed.", self.name)

    async def _listen(self, connection: HubConnection) -> Exception | None:
        """Take the client's messages until the end; returns the error that was the reason, if one was."""
        try:
            while True:
                for message in connection.protocol.parse(connection.buffer, connection.options.max_message_size):
                    if not connection.accepts(message):
                        continue
                    if isinstance(message, Close):
                        connection.log("<", summary(message))
                        connection.end(Ending(close=Close()))
                        return HubException(message.error) if message.error else None
                    await self._dispatch(connection, message)
                    if connection.ending is not None:
                        return connection.ending.error
                data = await connection.receive()
                if data is None:
                    connection.log("=", "the client has gone")
                    if connection.buffer:
                        return InvalidDataError("Connection terminated while reading a message.")
                    return None
                connection.buffer += data
        except Ended:
            return connection.ending.error if connection.ending else None
        except InvalidDataError as error:
            connection.fail(error, allow_reconnect=True)
            return error

    # Invocations.

    async def _dispatch(self, connection: HubConnection, message: Message) -> None:
        if logger.isEnabledFor(logging.DEBUG):
            connection.log("<", summary(message))
        match message:
            case Ping():
                connection.armed = True
            case Invocation():
                await self._previous(connection)
                method = self._methods.get(message.target.lower())
                if method is not None and not method.is_async and method.authorize is False:
                    # Nothing in it can wait, so it needs no task.
                    await self._invoke(connection, method, message)
                else:
                    task = asyncio.create_task(self._invoke(connection, method, message))
                    connection.running = task
            case StreamInvocation(target, _, invocation_id):
                await self._previous(connection)
                error = (
                    f"The client attempted to invoke the non-streaming '{target}' method with a streaming invocation."
                    if target.lower() in self._methods
                    else f"Unknown hub method '{target}'"
                )
                connection.send(Completion(invocation_id, error=error))
            case Completion():
                connection.lifetime.complete(connection, message)
            case _:
                pass  # for streams and reconnects that this server has not begun: nothing waits for them

    async def _previous(self, connection: HubConnection) -> None:
        """Wait for the invocation before this one."""
        if connection.running is not None and not connection.running.done():
            await connection.interruptible(asyncio.wait({connection.running}))

    async def _invoke(self, connection: HubConnection, method: HubMethod | None, invocation: Invocation) -> None:
        """Call a hub method and answer, if the client waits for an answer."""
        result, error = await self._result(connection, method, invocation)
        invocation_id = invocation.invocation_id
        if invocation_id is None:
            return
        if error is None:
            try:
                connection.send(Completion(invocation_id, result))
                return
            except Exception as failure:  # noqa: BLE001  (so may what encodes its values)
                logger.exception("The result of %s.%s cannot be sent.", self.name, invocation.target)
                error = self._failed(connection, invocation, failure)
        connection.send(Completion(invocation_id, error=error))

    async def _result(
        self, connection: HubConnection, method: HubMethod | None, invocation: Invocation
    ) -> tuple[Any, str | None]:
        """Call a hub method; returns its result, or the error for the client."""
        target, detailed = invocation.target, connection.options.detailed_errors
        if method is None:
            return None, f"Unknown hub method '{target}'"
        if invocation.stream_ids:
            sent = HubException(f"Client sent {len(invocation.stream_ids)} stream(s), Hub method expects 0.")
            return None, self._failed(connection, invocation, sent)
        try:
            if method.authorize is not False and not await is_authorized(method.authorize, connection.context):
                return None, f"Failed to invoke '{target}' because user is unauthorized"
            try:
                arguments = method.bind(invocation.arguments, connection.protocol)
            except Exception as failure:  # noqa: BLE001  (a type's own validation may raise anything)
                logger.debug("%s.%s cannot be called: %s", self.name, target, failure)
                invalid = InvalidDataError(str(failure))
                return None, for_client(
                    f"Failed to invoke '{target}' due to an error on the server.", invalid, detailed
                )
            waiting = functools.partial(self._let_next_begin, connection, asyncio.current_task())
            value = method.function(self._hub_for(connection, waiting), *arguments)
            return (await value if method.is_async else value), None
        except asyncio.CancelledError as cancelled:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise  # it is this call that is cancelled; otherwise it waited for something that was
            logger.exception("%s.%s failed.", self.name, target)
            return None, self._failed(connection, invocation, RuntimeError(f"cancelled {cancelled}".rstrip()))
        except Exception as failure:  # noqa: BLE001  (the hub's code may raise anything)
            if not isinstance(failure, HubException):
                logger.exception("%s.%s failed.", self.name, target)
            return None, self._failed(connection, invocation, failure)

    def _failed(self, connection: HubConnection, invocation: Invocation, error: Exception) -> str:
        text = f"An unexpected error occurred invoking '{invocation.target}' on the server."
        return for_client(text, error, connection.options.detailed_errors)

    @contextlib.contextmanager
    def _let_next_begin(self, connection: HubConnection, task: asyncio.Task[None] | None) -> Iterator[None]:
        """Let the caller's next invocation begin, while this one waits for what a client answers."""
        if connection.running is task:
            self._keep(task)
            connection.running = None
        yield

    def _hub_for(self, connection: HubConnection, waiting: Waiting) -> Hub:
        hub = self.hub()
        hub.context = connection.context
        hub.clients = HubCallerClients(connection.find_lifetime, connection.id, waiting)
        hub.groups = GroupManager(connection.find_lifetime)
        return hub

    def _keep(self, task: asyncio.Task[None] | None) -> None:
        """Hold on to a method that outlives its connection until it is done."""
        if task is not None and not task.done():
            self._unfinished.add(task)
            task.add_done_callback(self._unfinished.discard)
