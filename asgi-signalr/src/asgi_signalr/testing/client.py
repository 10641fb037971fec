"""The client's half of the conversation, in the words of the official clients where they have one."""

import asyncio
import inspect
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Coroutine, Mapping
from typing import Any, Literal, Self, TypeVar, overload

from msgspec import UNSET

from asgi_signalr.errors import HubException
from asgi_signalr.messages import (
    CancelInvocation,
    Close,
    Completion,
    Invocation,
    Message,
    StreamInvocation,
    StreamItem,
)
from asgi_signalr.protocols import HubProtocol
from asgi_signalr.protocols.json import JsonHubProtocol
from asgi_signalr.protocols.messagepack import MessagePackHubProtocol
from asgi_signalr.testing.asgi import ASGIApp
from asgi_signalr.testing.base import BaseClient
from asgi_signalr.testing.hub_connection import ClientHubConnection

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class TestClient(BaseClient[ClientHubConnection]):
    """A client of one hub, connected within `async with`.

    Args:
        app: any ASGI application that has `SignalR` somewhere.
        path: the hub's path in that application, such as `/signalr/chat`.
        user: who is signed in: put into the scope as `scope["user"]`, where authentication leaves it.
        headers: further headers of the requests.
        query: further parameters of the query string.
        access_token: sent as the official clients send theirs: as a bearer token to negotiate, and as the
            parameter `access_token` for the WebSocket.
        protocol: `"json"` or `"messagepack"`, or the object of a protocol of one's own.
        skip_negotiation: whether to open the WebSocket directly, as `skipNegotiation: true` does; there is no
            `connection_id` then.
        stateful_reconnect: whether to ask for a connection that outlives its WebSocket, see `reconnect`.
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
        protocol: Literal["json", "messagepack"] | HubProtocol = "json",
        skip_negotiation: bool = False,
        stateful_reconnect: bool = False,
        timeout: float = 5,
    ) -> None:
        connection = ClientHubConnection(
            app,
            path,
            user=user,
            headers=headers,
            query=query,
            access_token=access_token,
            protocol=_protocol(protocol),
            timeout=timeout,
            stateful_reconnect=stateful_reconnect,
            on_message=self._take,
        )
        super().__init__(connection)
        self._skip_negotiation = skip_negotiation
        self._ids = 0
        self._completions: dict[str, Completion | None] = {}
        self._items: dict[str, deque[Any]] = {}
        self._handlers: dict[str, Callable[..., Any]] = {}
        self._calls: dict[str, deque[list[Any]]] = {}
        self._called: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._uploads: dict[str, list[asyncio.Task[None]]] = {}

    # Connecting and closing.

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            RefusedError: the server does not accept the connection.
            RedirectedError: it sends the client elsewhere.
            NegotiateError: it answers the negotiation with an error, or offers no WebSockets.
            HandshakeError: the server does not speak the protocol.

        """
        await self._connection.open(skip_negotiation=self._skip_negotiation)
        await self._connection.shake_hands()
        return self

    async def close(self, error: str | None = None) -> None:
        """Say good-bye, and wait until the server is done with the connection: `on_disconnected` has run by then.

        Args:
            error: the reason that `on_disconnected` is told.

        Raises:
            TimeoutError: the application is not done in time.

        """
        self._cancel_tasks()
        if self._connection.end is None and not self._connection.is_lost:
            self._connection.write(Close(error))
            await self._connection.ended()  # the server says good-bye, too, and closes
        await self._connection.leave(1000)

    async def drop(self) -> None:
        """Lose the WebSocket without a word, and wait until the server is done with it.

        That is the end of the connection, unless it is stateful: then the client may `reconnect`.

        Raises:
            TimeoutError: the application is not done in time.

        """
        if self._connection.is_stateful:
            self._connection.is_lost = True
        else:
            self._cancel_tasks()
        await self._connection.leave(1006)

    async def reconnect(self) -> None:
        """Bring another WebSocket for a stateful connection that was dropped; what was missed comes now.

        Raises:
            RefusedError: the server does not know the connection any more.
            RuntimeError: the connection was not dropped, or is not stateful.

        """
        if not self._connection.is_lost:
            raise RuntimeError("Only a stateful connection can reconnect, after `drop`.")
        await self._connection.resume()

    async def closed(self) -> Close:
        """Wait until the server has ended the connection; its `error` and `allow_reconnect` say how.

        Raises:
            TimeoutError: the connection is still open.

        """
        await self._connection.until(lambda: self._connection.end, "The connection was not closed")
        return self._connection.close or Close()

    def _cancel_tasks(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()

    # Calling the server.

    @overload
    async def invoke(self, method: str, *arguments: Any, returns: type[T]) -> T: ...

    @overload
    async def invoke(self, method: str, *arguments: Any, returns: Any = ...) -> Any: ...

    async def invoke(self, method: str, *arguments: Any, returns: Any = Any) -> Any:
        """Call a method of the hub and wait for its result.

        Args:
            method: its name.
            *arguments: asynchronous iterators among them are sent as streams, item by item.
            returns: the type that the result is turned into; without it, it is what the protocol makes of it.

        Raises:
            HubException: the server answered with an error; its text is what the server sent.
            ClosedError: the connection ended first.
            TimeoutError: there was no answer in time.

        """
        invocation_id = self._next_id()
        plain, streams = self._split(arguments)
        self._connection.write(Invocation(method, plain, invocation_id, tuple(streams)))
        self._completions[invocation_id] = None
        self._upload(streams, invocation_id)
        try:
            completion = await self._connection.until(
                lambda: self._completions[invocation_id], f"invoke({method!r}) was not answered"
            )
        finally:
            self._forget(invocation_id)
        if completion.error is not None:
            raise HubException(completion.error)
        return self._converted(None if completion.result is UNSET else completion.result, returns)

    async def send(self, method: str, *arguments: Any) -> None:
        """Call a method of the hub without waiting for it; nothing ever tells whether it failed.

        Args:
            method: its name.
            *arguments: asynchronous iterators among them are sent as streams, item by item.

        Raises:
            ClosedError: the connection has ended.

        """
        plain, streams = self._split(arguments)
        self._connection.write(Invocation(method, plain, None, tuple(streams)))
        self._upload(streams, None)
        await self._connection.room()

    @overload
    def stream(self, method: str, *arguments: Any, returns: type[T]) -> AsyncGenerator[T, None]: ...

    @overload
    def stream(self, method: str, *arguments: Any, returns: Any = ...) -> AsyncGenerator[Any, None]: ...

    def stream(self, method: str, *arguments: Any, returns: Any = Any) -> AsyncGenerator[Any, None]:
        """Call a method that answers with a stream, at once, and give its items as they come.

        Leaving the loop early cancels the stream; `contextlib.aclosing` does so at a certain moment.

        Args:
            method: its name.
            *arguments: asynchronous iterators among them are sent as streams, item by item.
            returns: the type that each item is turned into.

        Raises:
            HubException: in the loop, if the server ended the stream with an error.
            ClosedError: in the loop, if the connection ended first.
            TimeoutError: in the loop, if no item came in time.

        """
        invocation_id = self._next_id()
        plain, streams = self._split(arguments)
        self._connection.write(StreamInvocation(method, plain, invocation_id, tuple(streams)))
        self._completions[invocation_id] = None
        self._items[invocation_id] = deque()
        self._upload(streams, invocation_id)
        return self._read_stream(method, invocation_id, returns)

    async def _read_stream(self, method: str, invocation_id: str, returns: Any) -> AsyncGenerator[Any, None]:
        items = self._items[invocation_id]
        what = f"stream({method!r}) had neither an item nor an end"
        try:
            while True:
                end = await self._connection.until(lambda: bool(items) or self._completions[invocation_id], what)
                if not isinstance(end, Completion):
                    yield self._converted(items.popleft(), returns)
                elif end.error is not None:
                    raise HubException(end.error)
                else:
                    return
        finally:
            if self._completions[invocation_id] is None and not self.is_closed:
                self._connection.write(CancelInvocation(invocation_id))
            self._forget(invocation_id)

    def _next_id(self) -> str:
        self._ids += 1
        return str(self._ids)

    def _converted(self, value: Any, to: Any) -> Any:
        return value if to is Any else self._connection.protocol.convert(value, to)

    def _forget(self, invocation_id: str) -> None:
        """Be done with a call: what still comes for it is passed over, and its uploads end."""
        self._completions.pop(invocation_id, None)
        self._items.pop(invocation_id, None)
        for task in self._uploads.pop(invocation_id, ()):
            task.cancel()

    # Streams to the server.

    def _split(self, arguments: tuple[Any, ...]) -> tuple[list[Any], dict[str, AsyncIterable[Any]]]:
        """Tell the plain arguments from the streams, and give each stream an id."""
        streams = {self._next_id(): each for each in arguments if isinstance(each, AsyncIterable)}
        return [each for each in arguments if not isinstance(each, AsyncIterable)], streams

    def _upload(self, streams: dict[str, AsyncIterable[Any]], invocation_id: str | None) -> None:
        tasks = [self._start(self._send_stream(name, stream)) for name, stream in streams.items()]
        if invocation_id is not None:
            self._uploads[invocation_id] = tasks

    async def _send_stream(self, stream_id: str, stream: AsyncIterable[Any]) -> None:
        error = None
        try:
            async for item in stream:
                if self.is_closed:
                    return
                self._connection.write(StreamItem(stream_id, item))
                await self._connection.room()
                await asyncio.sleep(0)  # a stream that never waits is not to keep the server from its turn
        except Exception as failure:  # noqa: BLE001  (the test's own; the server is told, as the official clients do)
            error = str(failure) or type(failure).__name__
        if not self.is_closed:
            self._connection.write(Completion(stream_id, error=error))

    # What the server calls.

    @overload
    def on(self, method: str) -> Callable[[F], F]: ...

    @overload
    def on(self, method: str, handler: F) -> F: ...

    def on(self, method: str, handler: F | None = None) -> F | Callable[[F], F]:
        """Have a function, `def` or `async def`, called whenever the server calls a method; also as a decorator.

        What it returns is the answer, if the server waits for one, and so is what it raises. If nobody waits, what
        it raises is raised in the test: by the next wait, or when the client closes. May be used before connecting.

        A method has one handler. Calls of methods that have none wait for `next`.
        """
        if handler is None:
            return lambda function: self.on(method, function)
        self._handlers[method.lower()] = handler
        return handler

    async def next(self, method: str) -> list[Any]:
        """Wait for the next call of a method that has no handler; returns its arguments.

        Calls are kept until they are asked for, each method's in their order. A server that waits for a result
        of such a call is told that there is none.

        Raises:
            ClosedError: the connection ended first.
            TimeoutError: there was no such call in time; the message says what was called instead.
            RuntimeError: the method has a handler, which takes its calls.

        """
        calls = self._calls.setdefault(method.lower(), deque())
        if not calls and method.lower() in self._handlers:
            raise RuntimeError(
                f"Calls of {method!r} go to the handler that on({method!r}) has set, so next({method!r}) would wait "
                "for ever. Look at what the handler is given, or set none."
            )

        def instead() -> str:
            return ", ".join(f"{name} ({count} in all)" for name, count in self._called.items()) or "nothing"

        return await self._connection.until(
            lambda: calls.popleft() if calls else None,
            f"The server has not called {method!r}",
            lambda: f"; it has called {instead()}",
        )

    def _take(self, message: Message) -> None:
        match message:
            case Invocation():
                self._called_by_server(message)
            case StreamItem(invocation_id, item) if invocation_id in self._items:
                self._items[invocation_id].append(item)
            case Completion(invocation_id) if invocation_id in self._completions:
                self._completions[invocation_id] = message
            case _:
                pass  # pings, and what comes too late

    def _called_by_server(self, invocation: Invocation) -> None:
        self._called[invocation.target] += 1
        handler = self._handlers.get(invocation.target.lower())
        if handler is None:
            self._calls.setdefault(invocation.target.lower(), deque()).append(invocation.arguments)
            if invocation.invocation_id is not None:
                error = "Client didn't provide a result."
                self._connection.write(Completion(invocation.invocation_id, error=error))
            return
        try:
            result = handler(*invocation.arguments)
        except Exception as failure:  # noqa: BLE001  (the test's own)
            self._answer(invocation, None, failure)
            return
        if inspect.isawaitable(result):
            self._start(self._wait_and_answer(invocation, result))
        else:
            self._answer(invocation, result, None)

    async def _wait_and_answer(self, invocation: Invocation, result: Awaitable[Any]) -> None:
        try:
            self._answer(invocation, await result, None)
        except Exception as failure:  # noqa: BLE001  (the test's own)
            self._answer(invocation, None, failure)

    def _answer(self, invocation: Invocation, result: Any, failure: Exception | None) -> None:
        """Tell the server what a handler returned or raised; the test hears of what nobody else waits for."""
        if invocation.invocation_id is None:
            if failure is not None:
                self._connection.fail(failure)
        elif not self.is_closed:
            error = None if failure is None else str(failure) or type(failure).__name__
            self._connection.write(Completion(invocation.invocation_id, result, error))

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._connection.fail(error)


_PROTOCOLS: Mapping[str, HubProtocol] = {"json": JsonHubProtocol(), "messagepack": MessagePackHubProtocol()}


def _protocol(protocol: str | HubProtocol) -> HubProtocol:
    if not isinstance(protocol, str):
        return protocol
    if protocol not in _PROTOCOLS:
        raise ValueError(f"There is no protocol {protocol!r}; one's own is passed as an object.")
    return _PROTOCOLS[protocol]
