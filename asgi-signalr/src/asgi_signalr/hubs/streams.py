"""Streams of a hub method: items that a client sends, and items that a method answers with."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Coroutine, Generator
from typing import Any

from asgi_signalr.errors import HubException, InvalidDataError, for_client


def is_stream_of_items(value: Any) -> bool:
    """Say whether a stream method has returned what can be iterated over."""
    return isinstance(value, AsyncIterable | Generator)


async def items_of(stream: Any) -> AsyncGenerator[Any, None]:
    """Iterate over what a stream method has returned; closes it in the end, wherever that is.

    Raises:
        TypeError: it is no iterator.

    """
    if isinstance(stream, AsyncIterable):
        items = aiter(stream)
        try:
            async for item in items:
                yield item
        finally:
            if isinstance(items, AsyncGenerator):
                await items.aclose()
    elif isinstance(stream, Generator):
        try:
            for item in stream:
                yield item
        finally:
            stream.close()
    else:
        raise TypeError(f"The method has returned {type(stream).__name__}, which is no asynchronous iterator.")


class Upload(AsyncIterator[Any]):
    """A stream that a client sends: an argument of a hub method, which iterates over it.

    It holds some items (`stream_buffer_capacity`); a client that sends more is not read from until the method has
    taken one.
    """

    def __init__(self, capacity: int, convert: Callable[[Any], Any], *, detailed_errors: bool = False) -> None:
        self._capacity = capacity
        self._convert = convert
        self._detailed_errors = detailed_errors
        self._items: deque[Any] = deque()
        self._error: Exception | None = None
        self._has_ended = False
        self._readable = asyncio.Event()
        self._writable = asyncio.Event()

    def put(self, item: Any) -> Coroutine[Any, Any, object] | None:
        """Take an item that has arrived; the awaitable that is returned, if any, comes before anything more is read.

        Raises:
            HubException: it does not fit the stream's type. The stream has ended with this error.

        """
        if self._has_ended:
            return None
        try:
            value = self._convert(item)
        except Exception as error:  # a type's own validation may raise anything
            text = for_client("Failed to bind Stream message.", InvalidDataError(str(error)), self._detailed_errors)
            failure = HubException(text)
            self.end(failure)
            raise failure from error
        self._items.append(value)
        self._readable.set()
        if len(self._items) <= self._capacity:
            return None
        self._writable.clear()
        return self._writable.wait()

    def end(self, error: Exception | None = None) -> None:
        """End the stream behind what has arrived: in good order, or with an error that its reader is to get."""
        if not self._has_ended:
            self._has_ended = True
            self._error = error
            self._readable.set()
            self._writable.set()

    def close(self) -> None:
        """End the stream, and forget what has arrived: nobody reads it any more."""
        self._items.clear()
        self.end()

    async def __anext__(self) -> Any:
        while not self._items:
            if self._has_ended:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            self._readable.clear()
            await self._readable.wait()
        item = self._items.popleft()
        if len(self._items) <= self._capacity:
            self._writable.set()
        return item
