"""A server in this process that watches itself, and clients that may do anything to it.

Time is the test's own: the event loop's clock stands still while there is work, and jumps to the next timer when
there is none. So time-outs of many seconds take no time, and a run can be repeated exactly.
"""

import asyncio
import collections
import json
import logging
import selectors
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import msgspec
from asgi_signalr.transports.websockets import EXTENSION, no_fast_path

T = TypeVar("T")

SEPARATOR = "\x1e"
HOST = "app.test"
HOUR = 3600.0


class _Selector(selectors.DefaultSelector):
    """Waits for nothing: where there is only time to wait for, the clock is put forward."""

    skipped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise AssertionError("Everything waits, and nothing will ever happen.")
            self.skipped += max(0.0, timeout)
        return ready


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only where everybody waits for it. It remembers what went wrong in it."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)
        self.mishaps: list[str] = []
        self.set_exception_handler(lambda _, context: self.mishaps.append(_mishap(context)))

    def time(self) -> float:
        return 1000.0 + self._clock.skipped

    @property
    def timers(self) -> list[asyncio.TimerHandle]:
        return [each for each in self._scheduled if not each.cancelled()]  # type: ignore[attr-defined]


def _mishap(context: dict[str, Any]) -> str:
    return f"{context['message']}: {context.get('exception')!r} in {context.get('task') or context.get('handle')}"


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop with a clock of its own, and see that nothing went wrong behind its back."""
    with asyncio.Runner(loop_factory=Loop) as runner:
        result = runner.run(main)
        loop = runner.get_loop()
        assert isinstance(loop, Loop)
        assert loop.mishaps == []
        return result


class GoneError(OSError):
    """What a server raises in `send` when the client has gone."""


class ViolationError(AssertionError):
    """The app has broken the rules of ASGI."""


class Exchange:
    """One request of one user, on a server that is strict about ASGI; what comes back is kept."""

    def __init__(self, app: Any, kind: str, url: str, user: str | None, headers: Any = (), **more: Any) -> None:
        path, _, query = url.partition("?")
        self.user = user
        self.url = url
        self.headers = {"host": HOST, **dict(headers)}
        self.scope = {
            "type": kind,
            "path": path,
            "root_path": "",
            "query_string": query.encode("latin-1", "replace"),
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers.items()],
            "extensions": {"websocket.http.response": {}},
            "user": user,
        } | more
        self.told: asyncio.Queue[Any] = asyncio.Queue()
        self.events: list[Any] = []
        self.gone = False
        self.stuck: asyncio.Event | None = None
        self._heard = asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(app(self.scope, self._tell, self._take))

    async def _tell(self) -> Any:
        event = await self.told.get()
        if isinstance(event, Exception):
            raise event
        return event

    async def _take(self, event: Any) -> None:
        if self.stuck is not None:
            await self.stuck.wait()
        self._check(event)
        if self.gone:
            self._lost()
            return
        self.events.append(event)
        self._heard.set()

    def _check(self, event: Any) -> None:
        raise NotImplementedError

    def _lost(self) -> None:
        """Act as servers do when something is sent to a client that has gone."""

    def stall(self) -> None:
        """Read nothing more, for now."""
        self.stuck = self.stuck or asyncio.Event()

    def go_on(self) -> None:
        """Read again."""
        if self.stuck is not None:
            self.stuck.set()
            self.stuck = None

    async def hear(self, enough: Callable[[], T | None]) -> T:
        """Wait until what has come back is enough."""
        while (result := enough()) is None:
            if self.task.done():
                raise AssertionError(f"The app has returned; it has sent {self.events}.")
            self._heard.clear()
            waiter = asyncio.ensure_future(self._heard.wait())
            await asyncio.wait({waiter, self.task}, return_when=asyncio.FIRST_COMPLETED)
            waiter.cancel()
        return result

    @property
    def outcome(self) -> BaseException | None:
        """What has left the app that should not have."""
        if not self.task.done() or self.task.cancelled():
            return None
        error = self.task.exception()
        return None if isinstance(error, GoneError) else error

    @property
    def output(self) -> bytes:
        """Everything that this client could read."""
        return b"\n".join(self._readable())

    def _readable(self) -> Iterator[bytes]:
        for event in self.events:
            for value in event.values():
                if isinstance(value, str):
                    yield value.encode()
                elif isinstance(value, bytes):
                    yield value
                elif isinstance(value, list | tuple):
                    yield from (name + b": " + text for name, text in value)


class Http(Exchange):
    """One HTTP request; its body may come in portions, and late."""

    def __init__(
        self, app: Any, method: str, url: str, user: str | None = None, headers: Any = (), body: bytes | None = b""
    ) -> None:
        super().__init__(app, "http", url, user, headers, method=method)
        self.method = method
        self._started = self._finished = False
        self._sent = 0
        if body is not None:
            self.post(body)

    def post(self, portion: bytes, *, more: bool = False) -> None:
        """Send some of the body."""
        self.told.put_nowait({"type": "http.request", "body": portion, "more_body": more})

    def leave(self) -> None:
        """Go, whether there was an answer or not."""
        if not self.gone:
            self.gone = True
            self.told.put_nowait({"type": "http.disconnect"})
        self.go_on()

    def _check(self, event: Any) -> None:
        if event["type"] == "http.response.start":
            if self._started:
                raise ViolationError("The answer was begun twice.")
            self._started = True
            _check_headers(event["headers"])
            lengths = [int(value) for name, value in event["headers"] if name == b"content-length"]
            self._length = lengths[0] if lengths else None
        elif event["type"] == "http.response.body":
            if not self._started or self._finished:
                raise ViolationError("A body without an answer, or after its end.")
            self._sent += len(event.get("body", b""))
            self._finished = not event.get("more_body", False)
            if self._finished:
                if self._length not in (None, self._sent) and self.method != "HEAD":
                    raise ViolationError(f"{self._sent} bytes were announced as {self._length}.")
                self.told.put_nowait({"type": "http.disconnect"})
        else:
            raise ViolationError(event["type"])

    @property
    def status(self) -> int | None:
        """The answer's status, once it has begun."""
        return self.events[0]["status"] if self.events else None

    @property
    def body(self) -> bytes:
        """The answer's body, as far as it has come."""
        return b"".join(event.get("body", b"") for event in self.events[1:])

    async def answered(self) -> int:
        """Wait for the whole answer."""
        await asyncio.wait({self.task})
        assert self.outcome is None, self.outcome
        assert self.status is not None
        return self.status


class Socket(Exchange):
    """One WebSocket."""

    def __init__(self, app: Any, url: str, user: str | None = None, headers: Any = ()) -> None:
        super().__init__(app, "websocket", url, user, headers, subprotocols=[])
        self._state = "new"
        self.told.put_nowait({"type": "websocket.connect"})

    def send(self, data: str | bytes) -> None:
        """Send a frame of the kind that the data is."""
        if not self.gone:
            kind = "text" if isinstance(data, str) else "bytes"
            self.told.put_nowait({"type": "websocket.receive", kind: data})

    def leave(self, code: int = 1006) -> None:
        """Close, or just vanish."""
        if not self.gone:
            self.gone = True
            self.told.put_nowait({"type": "websocket.disconnect", "code": code})
        self.go_on()

    def _lost(self) -> None:
        raise GoneError

    def _check(self, event: Any) -> None:
        allowed = {
            "new": ("websocket.accept", "websocket.close", "websocket.http.response.start"),
            "open": ("websocket.send", "websocket.close"),
            "refused": ("websocket.http.response.body",),
            "closed": (),
        }
        kind = event["type"]
        if kind not in allowed[self._state]:
            raise ViolationError(f"{kind} is sent to a WebSocket that is {self._state}.")
        if kind == "websocket.accept":
            self._state = "open"
        elif kind == "websocket.http.response.start":
            self._state = "refused"
            _check_headers(event["headers"])
        elif kind != "websocket.send":
            self._state = "closed"
            self.told.put_nowait({"type": "websocket.disconnect", "code": event.get("code", 1000)})

    @property
    def is_open(self) -> bool:
        """Whether it has been accepted, and neither side has closed it."""
        return self._state == "open" and not self.gone

    @property
    def frames(self) -> list[str | bytes]:
        """The frames that have come."""
        return [
            event["text"] if event.get("text") is not None else event["bytes"]
            for event in self.events
            if event["type"] == "websocket.send"
        ]

    async def accepted(self) -> "Socket":
        """Wait until the WebSocket is taken."""
        await self.hear(lambda: self.events or None)
        assert self.events[0]["type"] == "websocket.accept", self.events
        return self


class DirectSocket(Socket):
    """A WebSocket of a server that offers a way past ASGI: frames are written, and messages come by a call."""

    def __init__(self, app: Any, url: str, user: str | None = None, headers: Any = ()) -> None:
        self._incoming: collections.deque[str | bytes | int] = collections.deque()
        self._on_message: Callable[[bytes, bool], None] | None = None
        self._on_closed: Callable[[int], None] | None = None
        self.fast_path: Callable[[bytes], bool] = no_fast_path
        self._is_paused = False
        super().__init__(app, url, user, headers)
        self.scope["extensions"][EXTENSION] = self

    @property
    def blocked(self) -> bool:
        """Whether nothing may be written."""
        return self.stuck is not None or not self.is_open

    def write(self, frames: bytes) -> None:
        """Take whole frames."""
        if self.blocked:
            raise ViolationError("Something is written to a WebSocket that is blocked.")
        while frames:
            size, at = frames[1], 2
            if size > 125:
                at = 4 if size == 126 else 10
                size = int.from_bytes(frames[2:at], "big")
            data = frames[at : at + size]
            assert len(data) == size
            kind = {0x81: "text", 0x82: "bytes"}[frames[0]]
            self.events.append({"type": "websocket.send", kind: data.decode() if kind == "text" else data})
            frames = frames[at + size :]
        self._heard.set()

    async def drained(self) -> None:
        """Wait until something may be written."""
        if self.stuck is not None:
            await self.stuck.wait()
        if not self.is_open:
            raise GoneError

    def refuse_compression(self) -> None:
        """Agree to nothing."""

    def receive_with(self, on_message: Callable[[bytes, bool], None], on_closed: Callable[[int], None]) -> None:
        """Hand over what comes."""
        self._on_message, self._on_closed = on_message, on_closed
        self._hand_over_soon()

    def pause_reading(self) -> None:
        """Take nothing in."""
        self._is_paused = True

    def resume_reading(self) -> None:
        """Take something in again."""
        self._is_paused = False
        self._hand_over_soon()

    def send(self, data: str | bytes) -> None:
        """Send a frame of the kind that the data is."""
        if not self.gone:
            self._incoming.append(data)
            self._hand_over_soon()

    def leave(self, code: int = 1006) -> None:
        """Close, or just vanish."""
        if not self.gone:
            super().leave(code)
            self._incoming.append(code)
            self._hand_over_soon()

    def _hand_over_soon(self) -> None:
        self.task.get_loop().call_soon(self._hand_over)

    def _hand_over(self) -> None:
        while self._incoming and self._on_message is not None and self._on_closed is not None:
            if self._is_paused and not self.gone:
                return
            each = self._incoming.popleft()
            if isinstance(each, int):
                self._on_closed(each)
                continue
            data = each.encode() if isinstance(each, str) else each
            if not self.fast_path(data):
                self._on_message(data, isinstance(each, str))


def _check_headers(headers: Any) -> None:
    for name, value in headers:
        if name != name.lower() or any(each in name + value for each in b"\r\n\0"):
            raise ViolationError(f"The header {name!r}: {value!r}")


# The messages of a client, in either encoding.


def text_of(*messages: Any) -> str:
    """Write JSON messages."""
    return "".join(json.dumps(each) + SEPARATOR for each in messages)


def varint(length: int) -> bytes:
    """Write the length of a MessagePack message."""
    prefix = bytearray()
    while length >= 0x80:
        prefix.append(length & 0x7F | 0x80)
        length >>= 7
    prefix.append(length)
    return bytes(prefix)


def packed(*messages: Any) -> bytes:
    """Write MessagePack messages."""
    return b"".join(varint(len(body)) + body for body in map(msgspec.msgpack.encode, messages))


def handshake(protocol: str = "json", version: int = 1) -> str:
    """Write the request of a handshake."""
    return text_of({"protocol": protocol, "version": version})


_PROPERTIES = {
    1: {"type", "target", "arguments", "invocationId"},
    2: {"type", "invocationId", "item"},
    3: {"type", "invocationId", "result", "error"},
    6: {"type"},
    7: {"type", "error", "allowReconnect"},
    8: {"type", "sequenceId"},
    9: {"type", "sequenceId"},
}


def read_json(data: bytes | str) -> list[dict[str, Any]]:
    """Read whole messages of a server, as strictly as the official client, or more."""
    text = data.decode() if isinstance(data, bytes) else data
    assert text.endswith(SEPARATOR), text[-100:]
    messages = [json.loads(each, parse_constant=_no_constant) for each in text.split(SEPARATOR)[:-1]]
    for message in messages:
        if "type" in message:
            assert set(message) <= _PROPERTIES[message["type"]], message
            assert "invocationId" not in message or message["invocationId"], message
            assert not ("result" in message and "error" in message), message
            assert message.get("error", "?"), message
            assert message["type"] != 2 or "item" in message, message
        else:
            assert set(message) <= {"error"}, message
    return messages


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} is no JSON.")


_SIZES = {1: (6,), 2: (4,), 3: (4, 5), 6: (1,), 7: (3,), 8: (2,), 9: (2,)}


def read_messagepack(data: bytes) -> list[Any]:
    """Read whole messages of a server."""
    messages = []
    while data:
        length = at = 0
        while True:
            length |= (data[at] & 0x7F) << 7 * at
            at += 1
            if data[at - 1] < 0x80:
                break
        assert len(data) >= at + length, data
        message = msgspec.msgpack.decode(data[at : at + length])
        assert len(message) in _SIZES[message[0]], message
        messages.append(message)
        data = data[at + length :]
    return messages


# What is left of clients that have gone.


# What belongs to the server itself: its hubs, who listens to it, what it has counted.
ITS_OWN = (
    "_by_address",
    "_functions",
    "_local_hubs",
    "_options",
    "_presence",
    "protocols",
    "_servers",
    "options",
    "receivers",
    "refused",
)


def remains(root: Any) -> dict[str, int]:
    """Count what every container that belongs to a server holds, by the path that leads there."""
    found: dict[str, int] = {}
    _count(root, type(root).__name__, found, set())
    return {path: size for path, size in found.items() if size and not path.endswith(ITS_OWN)}


def _count(value: Any, path: str, found: dict[str, int], seen: set[int]) -> None:
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, dict | set | list | collections.deque | asyncio.Queue):
        found[path] = value.qsize() if isinstance(value, asyncio.Queue) else len(value)
        for name, each in value.items() if isinstance(value, dict) else ():
            _count(each, f"{path}[{name if isinstance(name, str) and name.isalpha() else '…'}]", found, seen)
    elif type(value).__module__.startswith("asgi_signalr") and not isinstance(value, type):
        names = [name for each in type(value).__mro__ for name in getattr(each, "__slots__", ())]
        for name in [*vars(value), *names] if hasattr(value, "__dict__") else names:
            if name not in ("_options", "_presence", "_protocols", "options"):
                _count(getattr(value, name, None), f"{path}.{name}", found, seen)


class Log(logging.Handler):
    """Keeps what is logged, and keeps it from everybody else."""

    def __init__(self, level: int = logging.WARNING) -> None:
        super().__init__(level)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def lines(self) -> list[str]:
        """What is logged, as text."""
        formatter = logging.Formatter("%(levelname)s %(name)s %(message)s")
        return [formatter.format(each) for each in self.records]

    def __enter__(self) -> "Log":
        for name in ("asgi_signalr", "asyncio"):
            logging.getLogger(name).addHandler(self)
            logging.getLogger(name).propagate = False
        return self

    def __exit__(self, *_: object) -> None:
        for name in ("asgi_signalr", "asyncio"):
            logging.getLogger(name).removeHandler(self)
            logging.getLogger(name).propagate = True
