"""Acting on the messages of a client: calls, streams in both directions, and their ends.

A method that can wait runs in a task of its own. Calls take turns, one at a time unless `max_parallel_invocations` says
otherwise; streams in either direction need no turn, but begin in order as well.
"""

import asyncio
import contextlib
import contextvars
import logging
from collections.abc import Awaitable, Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from asgi_signalr.connections import turns
from asgi_signalr.context import HubInvocation, is_authorized
from asgi_signalr.errors import HubException, InvalidDataError, for_client
from asgi_signalr.hubs import Hub
from asgi_signalr.hubs.calls import LOOK_AHEAD, MOST_LENT, Call, CallMessage, begin_task
from asgi_signalr.hubs.connection import HubConnection
from asgi_signalr.hubs.failures import CallRefusedError, Failures, is_passed_on, unauthorized
from asgi_signalr.hubs.fast_path import TryFast, fast_path
from asgi_signalr.hubs.invoker import HubInvoker, is_to_be_awaited
from asgi_signalr.hubs.methods import HubMethod
from asgi_signalr.hubs.signatures import methods_of
from asgi_signalr.hubs.streams import Upload, is_stream_of_items, items_of
from asgi_signalr.logs import outline, printable
from asgi_signalr.messages import (
    CancelInvocation,
    Completion,
    CutOff,
    Invocation,
    Message,
    Ping,
    StreamInvocation,
    StreamItem,
)
from asgi_signalr.names import folded
from asgi_signalr.options import Options
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.transports.pace import Pace, SharedTurn

logger = logging.getLogger("asgi_signalr")

NOT_BOUND = (
    "Error binding arguments. "
    "Make sure that the types of the provided values match the types of the hub method being invoked."
)
"""What ASP.NET Core says of arguments that do not fit; which one does not, and why, follows it."""
NO_STREAM = "The value returned by the streaming method '{}' is not a ChannelReader<> or IAsyncEnumerable<>."
"""What ASP.NET Core says of a stream's method that returns none; what is told here is told there."""
CANCELLED = "Invocation canceled by the client."
"""The answer to a call that its client has cancelled, unless the method gives another one all the same."""


class HubDispatcher:
    """Acts on what the clients of one hub class send. Holds no state of theirs, so it serves any event loop.

    Args:
        hub: the hub class.
        protocols: those that its clients may speak, by their names.
        invoker: calls its methods, with the filters and dependencies around them.
        options: the application's.

    Raises:
        TypeError: the class has methods that clients could not call.

    """

    def __init__(
        self, hub: type[Hub], protocols: Mapping[str, HubProtocol], invoker: HubInvoker, options: Options
    ) -> None:
        self.name = hub.__name__
        self._invoker = invoker
        self._methods = methods_of(hub, protocols)
        self._failures = Failures(hub.__name__, {name: method.name for name, method in self._methods.items()})
        if invoker.may_wait:
            # A filter may also answer with something else than the method declares.
            self._methods = {
                name: replace(method, is_plain=False, writers={}) for name, method in self._methods.items()
            }
        self.fast_paths: Mapping[str, TryFast | None] = {
            name: fast_path(
                protocol, self._methods, invoker, options, self._begin_alone, self._conclude, self._conclude_later
            )
            for name, protocol in protocols.items()
        }
        """Of each protocol, by its name; None: it has none."""

    @property
    def methods(self) -> Mapping[str, HubMethod]:
        """What clients can call, by names without case and underscores."""
        return self._methods

    def end(self, connection: HubConnection) -> None:
        """End the calls of a connection that has ended; methods that go on are held on to."""
        connection.calls.end()
        if connection.calls.running:
            left = connection.local_hub.calls_left
            left.add(connection.calls)
            connection.calls.on_done = partial(left.discard, connection.calls)

    # Messages.

    def dispatch(self, connection: HubConnection, message: Message) -> Coroutine[Any, Any, object] | None:
        """Act on a message; the awaitable that is returned, if any, comes before the next message.

        Raises:
            InvalidDataError: no client may send this.

        """
        if logger.isEnabledFor(logging.DEBUG):
            connection.log_message("<", message)
        calls = connection.calls
        match message:
            case Invocation() | StreamInvocation():
                obstacle = self._receive_call(connection, message)
                if obstacle is None and connection.messages is not None and not connection.has_room:
                    return connection.messages.room()
                return obstacle
            case StreamItem(stream_id, item):
                if (upload := calls.uploads.get(stream_id)) is not None:
                    try:
                        return upload.put(item)
                    except HubException as error:
                        connection.log("=", f"stream {printable(stream_id)}: {outline(error.__cause__ or error)}")
                        del calls.uploads[stream_id]
            case Completion(stream_id, _, error):
                if (upload := calls.uploads.pop(stream_id, None)) is not None:
                    upload.end(None if error is None else HubException(error))
                else:
                    connection.local_hub.complete(connection, message)
            case CancelInvocation(invocation_id):
                self._cancel(connection, invocation_id)
            case Ping():
                connection.armed = True
            case _:
                pass  # an acknowledgement that this connection did not ask for: nothing waits for it
        return None

    def _receive_call(self, connection: HubConnection, message: CallMessage) -> Coroutine[Any, Any, object] | None:
        calls = connection.calls
        _check_ids(message, connection.options.max_id_length)
        if calls.lent > MOST_LENT:
            raise InvalidDataError(f"The client owes the answers that {MOST_LENT} of its calls wait for.")
        method = self._methods.get(folded(message.target))
        if type(message.arguments) is CutOff and method is not None:
            self._refuse_or_end(connection, method, message, message.arguments.error)
            return None
        uploads: Sequence[Upload] = ()
        if message.stream_ids:
            try:
                uploads = self._open_uploads(connection, method, message)
            except HubException as error:
                _answer_error(connection, message, self._failures.failed(connection, message, error))
                return None
        if not calls.waiting and (calls.free > 0 or not _takes_turns(method, message)):
            self._begin(connection, method, message, uploads)
            return calls.begun() if calls.free > 0 and calls.are_to_begin and connection.has_room else None
        if calls.on_free is None:
            # In the connection's context: a call knows nothing of the one before it, which has just given its turn.
            calls.on_free = partial(contextvars.copy_context().run, self.begin_waiting, connection)
        calls.waiting.append((method, message, uploads))
        return calls.room() if len(calls.waiting) > LOOK_AHEAD else None

    def _refuse_or_end(
        self, connection: HubConnection, method: HubMethod, message: CallMessage, error: ValueError
    ) -> None:
        """Answer a call whose message is broken behind its arguments: if they do not fit, that is all there is to say.

        Raises:
            InvalidDataError: they fit.

        """
        try:
            self._bind(connection, method, message)
        except CallRefusedError as refusal:
            _answer_error(connection, message, str(refusal))
        else:
            raise error

    def _begin_alone(self, connection: HubConnection, message: Invocation) -> bool:
        """Begin a call that has come alone; False if the conversation has to read it, or has come to its end."""
        if connection.calls.waiting:
            return False
        try:
            obstacle = self.dispatch(connection, message)
        except InvalidDataError:
            return False
        if obstacle is not None:  # that the call begins; what comes next comes later than that
            obstacle.close()
        return connection.ending is None

    def begin_waiting(self, connection: HubConnection) -> None:
        """Begin the calls whose turn has come."""
        calls = connection.calls
        calls.is_beginning = True
        pace = Pace()
        try:
            while calls.waiting and connection.ending is None:
                method, message, uploads = calls.waiting[0]
                if calls.free <= 0 and _takes_turns(method, message):
                    break
                del calls.waiting[0]
                self._begin(connection, method, message, uploads)
                if calls.waiting and pace.is_over():
                    asyncio.get_running_loop().call_soon(self.begin_waiting, connection)
                    break
        finally:
            calls.is_beginning = False
            calls.made_progress()

    def _begin(
        self, connection: HubConnection, method: HubMethod | None, message: CallMessage, uploads: Sequence[Upload]
    ) -> None:
        if method is None:
            if message.invocation_id is None:
                self._failures.warn(connection, message, "there is no such method")
            self._refuse(connection, message, f"{_not_invoked(message.target)} HubException: Method does not exist.")
        elif isinstance(message, StreamInvocation):
            self._begin_stream(connection, method, message, uploads)
        elif method.is_plain and not message.stream_ids and connection.has_room and not connection.calls.are_to_begin:
            self._call_plain(connection, method, message)
        else:
            call = Call(connection.calls, message.invocation_id, holds_turn=_takes_turns(method, message))
            connection.local_hub.runner.run(call, self._call(connection, call, method, message, uploads))

    def _refuse(self, connection: HubConnection, message: CallMessage, error: str) -> None:
        """Answer a call that does not begin, as soon as the client can be sent to."""
        if message.invocation_id is None or (connection.has_room and not connection.calls.are_to_begin):
            _answer_error(connection, message, error)
            return
        call = Call(connection.calls, message.invocation_id, holds_turn=False)
        connection.local_hub.runner.run(call, self._refuse_later(connection, call, message, error))

    async def _refuse_later(self, connection: HubConnection, call: Call, message: CallMessage, error: str) -> None:
        call.has_begun = True
        try:
            await connection.room()
            _answer_error(connection, message, error)
        finally:
            call.end()

    def _cancel(self, connection: HubConnection, invocation_id: str) -> None:
        """End a call or a stream, or forget it if it has not begun. An unknown one has ended already."""
        calls = connection.calls
        if (call := calls.find(invocation_id)) is not None:
            call.cancel()
            return
        for waiting in calls.waiting:
            _, message, uploads = waiting
            if message.invocation_id == invocation_id:
                calls.waiting.remove(waiting)
                _close_uploads(connection, message, uploads)
                is_stream = isinstance(message, StreamInvocation)
                connection.send(Completion(invocation_id, error=None if is_stream else CANCELLED))
                return

    # Calls that are answered with one result.

    def _call_plain(self, connection: HubConnection, method: HubMethod, invocation: Invocation) -> None:
        """Call a method in which nothing can wait."""
        try:
            arguments = self._bind(connection, method, invocation)
            self._check_call(connection, method, invocation)
            # In a context of its own, as every call: what it leaves there is not for the next one.
            result = contextvars.copy_context().run(self._invoker.call, connection, method, arguments)
        except BaseException as failure:  # noqa: BLE001  (the hub's code may raise anything)
            self._conclude(connection, invocation, None, failure)
        else:
            self._conclude(connection, invocation, result, None)

    def _conclude(
        self, connection: HubConnection, invocation: Invocation, result: Any, failure: BaseException | None
    ) -> None:
        """Answer with what a method has returned or raised."""
        if failure is not None:
            self._answer(connection, invocation, None, self._failures.text_for(connection, invocation, failure))
            if is_passed_on(failure):
                raise failure
        elif is_to_be_awaited(result):  # it passes on what another function is still to do
            call = Call(connection.calls, invocation.invocation_id, holds_turn=True)
            call.task = begin_task(self._finish(connection, call, invocation, result))
        else:
            self._answer(connection, invocation, result, None)

    async def _finish(
        self, connection: HubConnection, call: Call, invocation: Invocation, rest: Awaitable[Any]
    ) -> None:
        """Wait for what a method has passed on."""
        turns.current.set(call)
        call.has_begun = True
        try:
            result = await rest
        except BaseException as failure:  # noqa: BLE001  (the hub's code may raise anything)
            await self._conclude_later(connection, call, invocation, None, failure)
        else:
            await self._conclude_later(connection, call, invocation, result, None)
        finally:
            call.end()

    async def _conclude_later(
        self,
        connection: HubConnection,
        call: Call,
        invocation: Invocation,
        result: Any,
        failure: BaseException | None,
    ) -> None:
        """Answer with what a method has returned or raised, as soon as the client can be sent to."""
        error = None
        if failure is not None:
            is_cancelled = call.cancelled() and isinstance(failure, asyncio.CancelledError)
            error = CANCELLED if is_cancelled else self._failures.text_for(connection, invocation, failure)
            if is_cancelled and (task := asyncio.current_task()) is not None:
                task.uncancel()
        if failure is None or not is_passed_on(failure):
            if connection.messages is not None and connection.ending is None:
                await connection.messages.room()
            self._answer(connection, invocation, result, error)
            return
        self._answer(connection, invocation, None, error)
        raise failure

    async def _call(
        self,
        connection: HubConnection,
        call: Call,
        method: HubMethod,
        invocation: Invocation,
        uploads: Sequence[Upload],
    ) -> None:
        """Call a method and wait until it is done."""
        turns.current.set(call)
        call.has_begun = True
        try:
            if call.cancelled():
                raise asyncio.CancelledError
            arguments = self._bind(connection, method, invocation)
            if method.authorize is not False:
                await _check_authorized(connection, method, arguments)
            self._check_form(method, invocation)
            if method.sources or uploads or self._invoker.may_wait:
                result = await self._call_within(connection, call, method, arguments, uploads)
            else:
                result = self._invoker.call(connection, method, arguments)
                if is_to_be_awaited(result):
                    result = await result
        except BaseException as failure:  # noqa: BLE001  (the hub's code may raise anything)
            await self._conclude_later(connection, call, invocation, None, failure)
        else:
            if connection.messages is None:
                self._answer(connection, invocation, result, None)
            else:
                await self._conclude_later(connection, call, invocation, result, None)
        finally:
            if uploads:
                _close_uploads(connection, invocation, uploads)
            call.end()

    async def _call_within(
        self,
        connection: HubConnection,
        call: Call,
        method: HubMethod,
        arguments: list[Any],
        uploads: Sequence[Upload],
    ) -> Any:
        """Call a method that has dependencies, filters or streams of its client around it."""
        async with self._invoker.scope(connection) as scope:
            keywords = dict(zip(method.uploads, uploads, strict=True))
            try:
                return await self._invoker.call_within(scope, connection, method, arguments, keywords)
            finally:
                call.is_closing = True

    def _answer(self, connection: HubConnection, invocation: Invocation, result: Any, error: str | None) -> None:
        """Send the result, or the error instead, if the client waits for it."""
        invocation_id = invocation.invocation_id
        if invocation_id is None:
            return
        if error is None:
            try:
                write = self._methods[folded(invocation.target)].writers.get(connection.protocol.name)
                connection.send(Completion(invocation_id, result), write)
                return
            except Exception as failure:  # noqa: BLE001  (so may what encodes its values)
                error = self._failures.text_for(connection, invocation, failure)
        connection.send(Completion(invocation_id, error=error))

    # Streams to the client.

    def _begin_stream(
        self, connection: HubConnection, method: HubMethod, invocation: StreamInvocation, uploads: Sequence[Upload]
    ) -> None:
        calls, invocation_id = connection.calls, invocation.invocation_id
        calls.shared = calls.shared or SharedTurn()
        if invocation_id in calls.downloads:
            error = f"Invocation ID '{invocation_id}' is already in use."
        elif calls.streams >= connection.options.max_streams_per_connection:
            error = self._failures.failed(connection, invocation, _too_many_streams(connection))
        else:
            try:
                arguments = self._bind(connection, method, invocation)
                if isinstance(method.authorize, bool):
                    self._check_call(connection, method, invocation)
            except Exception as failure:  # noqa: BLE001  (a type's own validation may raise anything)
                error = self._failures.text_for(connection, invocation, failure)
            else:
                overtakes = calls.are_to_begin
                call = calls.downloads[invocation_id] = Call(calls, invocation_id, holds_turn=False)
                stream = self._stream(connection, call, method, invocation, arguments, uploads)
                if overtakes:
                    connection.local_hub.runner.run(call, stream)
                else:
                    call.task = begin_task(stream)
                return
        _close_uploads(connection, invocation, uploads)
        self._refuse(connection, invocation, error)

    async def _stream(
        self,
        connection: HubConnection,
        call: Call,
        method: HubMethod,
        invocation: StreamInvocation,
        arguments: list[Any],
        uploads: Sequence[Upload],
    ) -> None:
        """Send what a method yields, as fast as the client takes it, until its end or until it is cancelled."""
        turns.current.set(call)
        call.has_begun = True
        invocation_id, is_streaming, late = invocation.invocation_id, False, None
        error: str | None = None
        passed_on: BaseException | None = None
        write = method.writers.get(connection.protocol.name)
        turn = connection.calls.shared or SharedTurn()
        try:
            # Cancelled by the very frame that began it, it begins all the same, and hears of it as soon as it waits.
            if call.cancelled() and call.task is not None:
                late = asyncio.get_running_loop().call_soon(call.task.cancel)
            if not isinstance(method.authorize, bool):
                await _check_authorized(connection, method, arguments)
                self._check_form(method, invocation)
            keywords = dict(zip(method.uploads, uploads, strict=True))
            async with self._invoker.scope(connection) as scope:
                stream = await self._invoker.call_within(scope, connection, method, arguments, keywords)
                if stream is None:
                    self._failures.log(connection, invocation, TypeError("A stream's method has returned None."))
                    raise CallRefusedError(NO_STREAM.format(method.name), "it has returned no stream")
                is_streaming = is_stream_of_items(stream)
                async with contextlib.aclosing(items_of(stream)) as items:
                    try:
                        async for item in items:
                            if late is not None:
                                late.cancel()
                            connection.send(StreamItem(invocation_id, item), write)
                            await connection.room()
                            await turn.next()
                            if call.cancelled() or connection.ending is not None:
                                break  # else one that never waits would go on, and let nobody else
                    finally:
                        call.is_closing = True
        except BaseException as failure:  # noqa: BLE001  (the hub's code may raise anything)
            if not (call.cancelled() and isinstance(failure, asyncio.CancelledError)):
                error = self._failures.text_for(connection, invocation, failure, streaming=is_streaming)
                passed_on = failure if is_passed_on(failure) else None
        finally:
            if late is not None:
                late.cancel()
            del connection.calls.downloads[invocation_id]
            _close_uploads(connection, invocation, uploads)
            call.end()
        if passed_on is None and connection.messages is not None and connection.ending is None:
            await connection.messages.room()
        connection.send(Completion(invocation_id, error=error))
        if passed_on is not None:
            raise passed_on

    # Streams from the client.

    def _open_uploads(
        self, connection: HubConnection, method: HubMethod | None, message: CallMessage
    ) -> Sequence[Upload]:
        """Take the client's streams in as soon as they are announced, even if the call has to wait for its turn.

        Raises:
            HubException: there are too many, or one has the id of another.

        """
        ids, calls, options = message.stream_ids, connection.calls, connection.options
        if method is None or len(ids) != len(method.uploads):
            return ()  # the call will be answered with an error
        if calls.streams + len(ids) > options.max_streams_per_connection:
            raise _too_many_streams(connection)
        uploads: list[Upload] = []
        for stream_id, item_type in zip(ids, method.uploads.values(), strict=True):
            if stream_id in calls.uploads:
                _close_uploads(connection, message, uploads)
                raise HubException(f"Stream ID '{stream_id}' is already in use.")
            convert = partial(connection.protocol.convert, to=item_type)
            upload = Upload(options.stream_buffer_capacity, convert, detailed_errors=options.detailed_errors)
            calls.uploads[stream_id] = upload
            calls.taken_up += 1
            uploads.append(upload)
        return uploads

    # Arguments.

    def _bind(self, connection: HubConnection, method: HubMethod, message: CallMessage) -> list[Any]:
        """Turn a client's arguments into the method's.

        Raises:
            CallRefusedError: they do not fit.

        """
        target = message.target
        try:
            return method.bind(message.arguments, connection.protocol)
        except Exception as failure:  # a type's own validation may raise anything
            reason = outline(failure)
            logger.debug("%s.%s cannot be called: %s", self.name, target, reason)
            is_number = isinstance(failure, InvalidDataError)  # of the arguments: they themselves may fit
            invalid = InvalidDataError(str(failure) if is_number else f"{NOT_BOUND} {failure}")
            text = for_client(_not_invoked(method.name), invalid, connection.options.detailed_errors)
            raise CallRefusedError(text, f"the arguments do not fit: {reason}") from failure

    def _check_call(self, connection: HubConnection, method: HubMethod, message: CallMessage) -> None:
        """See that a method whose rule is no function may be called, and is called as what it is.

        Raises:
            CallRefusedError: no.

        """
        if method.authorize is True and connection.context.user is None:
            raise unauthorized(method.name)
        self._check_form(method, message)

    def _check_form(self, method: HubMethod, message: CallMessage) -> None:
        """See that a method is called as what it is: this is told only to those who may call it.

        Raises:
            CallRefusedError: it answers with a stream, or with none.
            HubException: it takes other streams.

        """
        name = method.name
        if method.is_stream is not isinstance(message, StreamInvocation):
            raise CallRefusedError(
                f"The client attempted to invoke the streaming '{name}' method with a non-streaming invocation."
                if method.is_stream
                else f"The client attempted to invoke the non-streaming '{name}' method with a streaming invocation.",
                "it answers with a stream, which is asked for otherwise" if method.is_stream else "it is no stream",
            )
        if len(message.stream_ids) != len(method.uploads):
            sent, expected = len(message.stream_ids), len(method.uploads)
            raise HubException(f"Client sent {sent} stream(s), Hub method expects {expected}.")


def _not_invoked(name: str) -> str:
    return f"Failed to invoke '{name}' due to an error on the server."


def _takes_turns(method: HubMethod | None, message: CallMessage) -> bool:
    """Say whether a call has to wait for its turn: one that is no stream in either direction."""
    return method is not None and not method.uploads and isinstance(message, Invocation)


async def _check_authorized(connection: HubConnection, method: HubMethod, arguments: list[Any]) -> None:
    invocation = HubInvocation(method.name, tuple(arguments)) if method.is_judged_by_call else None
    if not await is_authorized(method.authorize, connection.context, invocation):
        raise unauthorized(method.name)


def _too_many_streams(connection: HubConnection) -> HubException:
    return HubException(f"A client may have {connection.options.max_streams_per_connection} streams open at once.")


def _check_ids(message: CallMessage, longest: int) -> None:
    """Refuse ids that are there to fill the memory.

    Raises:
        InvalidDataError: one is too long.

    """
    if message.invocation_id is not None and len(message.invocation_id) > longest:
        raise InvalidDataError(f"An invocation id of more than {longest} characters is not accepted.")
    for stream_id in message.stream_ids:
        if len(stream_id) > longest:
            raise InvalidDataError(f"A stream id of more than {longest} characters is not accepted.")


def _answer_error(connection: HubConnection, message: CallMessage, error: str) -> None:
    if message.invocation_id is not None:
        connection.send(Completion(message.invocation_id, error=error))


def _close_uploads(connection: HubConnection, message: CallMessage, uploads: Sequence[Upload]) -> None:
    """End the streams that a call has not read to their end; their ids may be used again."""
    open_ones = connection.calls.uploads
    connection.calls.taken_up -= len(uploads)
    for stream_id, upload in zip(message.stream_ids, uploads, strict=False):
        upload.close()
        if open_ones.get(stream_id) is upload:
            del open_ones[stream_id]
