"""The hub as it can be seen on the wire, whichever transport and protocol a page has chosen, and who may connect."""

import json
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from labkit.checking import RunningInstance
from labkit.wire import Exchange, Message, Wire

HUB = "/signalr/statistics"
"""Where the manual has the hub mapped."""

END = "\x1e"
"""What ends each of a hub's messages."""

INVOCATION, STREAM_ITEM = 1, 2

SPOKEN = 120
"""How many characters of a message are told."""

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class News:
    """What a hub has told a page: a call of one of its methods, or an item of a stream; `at` in seconds since 1970."""

    at: float
    target: str
    arguments: tuple[Any, ...]

    @property
    def content(self) -> tuple[str, str]:
        """The name and the arguments, to be compared."""
        return self.target, json.dumps(self.arguments, sort_keys=True, default=str)

    @property
    def spoken(self) -> str:
        """The message, as far as it fits into a line."""
        said = json.dumps(self.arguments, ensure_ascii=False, default=str)
        return f"{self.target} {said if len(said) <= SPOKEN else said[:SPOKEN] + ' …'}".strip()

    @property
    def numbers(self) -> dict[str, float]:
        """Every number in it, by where it is."""
        found: dict[str, float] = {}

        def walk(where: str, value: Any) -> None:
            if isinstance(value, dict | list | tuple):
                for name, each in value.items() if isinstance(value, dict) else enumerate(value):
                    walk(f"{where}/{name}", each)
            elif isinstance(value, int | float):
                found[where] = float(value)

        walk("", self.arguments)
        return found

    def says(self, wanted: Mapping[str, float]) -> bool | None:
        """Whether it has these numbers under their names; None if it has other names."""
        found = {at.rpartition("/")[2]: number for at, number in self.numbers.items()}
        if not wanted.keys() <= found.keys():
            return None
        return all(abs(found[name] - number) < 0.051 for name, number in wanted.items())

    def may_have(self, wanted: Sequence[float]) -> bool:
        """Whether each of these numbers is in it, or it has no numbers at all: then the page has to ask for them."""
        found = [float(each) for each in _NUMBER.findall(self.content[1])]
        return not found or all(any(abs(each - one) < 0.051 for each in found) for one in wanted)


def lacks(news: Iterable[News], wanted: Iterable[str]) -> bool:
    """Whether some of these names are in the messages, and others are not."""
    found = {at.rpartition("/")[2] for each in news for at in each.numbers}
    return not found.isdisjoint(wanted) and not found.issuperset(wanted)


@dataclass
class HubConnection:
    """A connection to a hub, over however many requests."""

    path: str
    query: str
    is_open: bool = False
    ended: bool = False
    news: list[News] = field(default_factory=list)


def connections(wire: Wire) -> list[HubConnection]:
    """The connections to hubs that were made over a wire: those that began with a handshake of SignalR."""
    found: list[HubConnection] = []
    by_id: dict[tuple[str, str], HubConnection] = {}
    for exchange in list(wire.exchanges):
        id_ = _id(exchange)
        if exchange.is_websocket:
            sent = next((each.data for each in list(exchange.messages) if not each.from_server), None)
            if sent is not None and _is_handshake(sent):
                found.append(HubConnection(exchange.path, _query(exchange), ended=exchange.ended is not None))
                _take(found[-1], [each for each in list(exchange.messages) if each.from_server])
        elif exchange.method == "POST" and id_ and _is_handshake(exchange.body) and id_ not in by_id:
            by_id[id_] = HubConnection(exchange.path, _query(exchange))
            found.append(by_id[id_])
    for exchange in list(wire.exchanges):
        id_ = _id(exchange)
        if id_ in by_id and exchange.method == "GET":
            body = [Message(exchange.ended, exchange.answer, True)] if exchange.ended and exchange.answer else []
            _take(by_id[id_], list(exchange.messages) or body)
    return found


def is_of_hub(exchange: Exchange) -> bool:
    """Whether it is part of a connection to a hub; a WebSocket is known by its first message."""
    if exchange.is_websocket:
        return any(not each.from_server and _is_handshake(each.data) for each in list(exchange.messages[:3]))
    return exchange.method == "GET" and _id(exchange) is not None


def has_news(message: Message) -> bool:
    """Whether a hub tells something with it."""
    return any(kind in (INVOCATION, STREAM_ITEM) for kind, _, _ in _records(message.data))


def ping_instead(message: Message) -> str | bytes | None:
    """In place of news a ping, so that the page knows that its connection lives; None if there is no news in it."""
    if not has_news(message):
        return None
    return '{"type":6}' + END if isinstance(message.data, str) else b"\x02\x91\x06"


def newest_first(messages: Sequence[Message]) -> list[Message]:
    """What a hub has sent, with its news turned round and nothing else."""
    is_news = [has_news(message) for message in messages]
    turned = [message for message, is_one in zip(messages, is_news, strict=True) if is_one][::-1]
    return [turned.pop(0) if is_one else message for message, is_one in zip(messages, is_news, strict=True)]


def begun(wire: Wire) -> bool:
    """Whether a page has begun to connect to a hub."""
    return any(each.path.endswith("/negotiate") or each.is_websocket for each in list(wire.exchanges))


def refusals(wire: Wire) -> list[tuple[str, int]]:
    """The addresses below which a hub was asked for and which answered with an error."""
    return [
        (each.path, each.status)
        for each in list(wire.exchanges)
        if (each.path.endswith("/negotiate") or each.is_websocket) and each.status and each.status >= 400
    ]


def news_of(record: bytes | str, at: float = 0.0) -> list[News]:
    """The news in what a hub has sent."""
    return [
        News(at, str(each[1]), tuple(each[2]))
        for each in _records(record.encode() if isinstance(record, str) else record)
        if each[0] in (INVOCATION, STREAM_ITEM)
    ]


def _take(connection: HubConnection, messages: Iterable[Message]) -> None:
    for message in messages:
        for kind, target, arguments in _records(message.data):
            if kind == 0:
                connection.is_open = True
            elif kind in (INVOCATION, STREAM_ITEM):
                connection.news.append(News(message.at, target, tuple(arguments)))


@lru_cache(maxsize=4096)
def _is_handshake(data: str | bytes) -> bool:
    text = data if isinstance(data, str) else data.decode("latin-1")
    return '"protocol"' in text.partition(END)[0]


@lru_cache(maxsize=4096)
def _records(data: str | bytes) -> tuple[tuple[int, str, list[Any]], ...]:
    """The messages in a frame, each as `(type, target, arguments)`; a handshake's answer has type 0.

    Whoever waits asks again and again what a page was told.
    """
    return tuple(_read(data))


def _read(data: str | bytes) -> Iterator[tuple[int, str, list[Any]]]:
    raw = data.encode() if isinstance(data, str) else data
    while raw.startswith(b"{"):
        record, _, raw = raw.partition(END.encode())
        try:
            message = json.loads(record)
        except ValueError:
            return
        if "type" not in message:
            yield 0, "", []
        elif message["type"] == INVOCATION:
            yield INVOCATION, str(message.get("target")), list(message.get("arguments") or [])
        elif message["type"] == STREAM_ITEM:
            yield STREAM_ITEM, "", [message.get("item")]
        else:
            yield -1, "", []
    yield from _binary_records(raw)


def _binary_records(raw: bytes) -> Iterator[tuple[int, str, list[Any]]]:
    while raw:
        length = shift = used = 0
        while used < len(raw):
            byte, used = raw[used], used + 1
            length |= (byte & 127) << shift
            shift += 7
            if not byte & 128:
                break
        record, raw = raw[used : used + length], raw[used + length :]
        try:
            message = msgspec.msgpack.decode(record)
        except (msgspec.DecodeError, ValueError):
            return
        if not isinstance(message, list) or len(message) < 2:
            yield -1, "", []
        elif message[0] == INVOCATION and len(message) > 4:
            yield INVOCATION, str(message[3]), list(message[4] or [])
        elif message[0] == STREAM_ITEM and len(message) > 3:
            yield STREAM_ITEM, "", [message[3]]
        else:
            yield -1, "", []


def _id(exchange: Exchange) -> tuple[str, str] | None:
    """What joins the requests of a connection without a WebSocket."""
    id_ = _parts(exchange.target)[0]
    return (exchange.path, id_) if id_ else None


def _query(exchange: Exchange) -> str:
    """The page's own part of a hub's query."""
    return _parts(exchange.target)[1]


@lru_cache(maxsize=4096)
def _parts(target: str) -> tuple[str | None, str]:
    """A query's id, and the page's own part of it."""
    pairs = parse_qsl(urlsplit(target).query, keep_blank_values=True)
    own = [(key, value) for key, value in pairs if key not in ("id", "_")]
    return dict(pairs).get("id") or None, urlencode(own)


class Caller:
    """Somebody who asks the hub for a connection, as a browser does, but without a page."""

    def __init__(self, instance: RunningInstance, headers: dict[str, str], path: str, query: str = "") -> None:
        self.status: int | None = None
        """What the hub answered last; None if it did not."""
        self.is_connected = False
        self.news: list[News] = []
        self.url = f"{instance.url}{path}"
        self._instance = instance
        self._headers = headers
        self._path = path
        self._query = query

    def news_since(self, since: float) -> list[News]:
        """What the hub has told since then."""
        return [each for each in list(self.news) if each.at >= since]

    def negotiate(self) -> str | None:
        """Ask for a connection; its token, if the hub gives one."""
        import http.client

        parts = urlsplit(self._instance.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
        try:
            query = "&".join(filter(None, [self._query, "negotiateVersion=1"]))
            connection.request("POST", f"{self._path}/negotiate?{query}", headers=self._headers)
            answer = connection.getresponse()
            self.status = answer.status
            document = json.loads(answer.read()) if answer.status == 200 else {}
            return str(document.get("connectionToken") or document.get("connectionId") or "") or None
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def connect(self, token: str | None, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Open a WebSocket, and listen; whether the hub let it stay open to the end, or `until` came to hold."""
        from websockets.exceptions import InvalidStatus, WebSocketException
        from websockets.sync.client import connect

        query = "&".join(filter(None, [self._query, urlencode({"id": token}) if token else ""]))
        address = self._instance.url.replace("http", "ws", 1) + self._path + (query and f"?{query}")
        headers = {key: value for key, value in self._headers.items() if key != "User-Agent"}
        try:
            with connect(
                address,
                additional_headers=headers,
                user_agent_header=self._headers.get("User-Agent"),
                open_timeout=5,
                close_timeout=0.1,
                proxy=None,
            ) as socket:
                socket.send(json.dumps({"protocol": "json", "version": 1}) + END)
                deadline = time.monotonic() + seconds
                while (left := deadline - time.monotonic()) > 0 and not until():
                    try:
                        data = socket.recv(timeout=min(left, 0.1))
                    except TimeoutError:
                        continue
                    for kind, target, arguments in _records(data):
                        self.is_connected |= kind == 0
                        if kind in (INVOCATION, STREAM_ITEM):
                            self.news.append(News(time.time(), target, tuple(arguments)))
                return self.is_connected
        except InvalidStatus as error:
            self.status = error.response.status_code
        except (OSError, WebSocketException, TimeoutError):
            pass
        self.is_connected = False
        return False


@dataclass(frozen=True)
class Attempt:
    """How somebody who must not connect has tried to, and whether the hub let them."""

    how: str
    let_in: bool
    status: int | None


def try_as_strangers(
    instance: RunningInstance, headers: dict[str, str], cookie: str, path: str, query: str, stays: float = 0.5
) -> list[Attempt]:
    """Ask for connections in each way that a hub for signed-in users must refuse.

    `headers` are those of the browser, `cookie` is a user's. Someone is let in whom the hub lets stay for a while.
    """
    from concurrent.futures import ThreadPoolExecutor

    name, _, value = cookie.partition("=")
    forged = f"{name}={value[:-6]}{secrets.token_urlsafe(4)}"
    ways: list[tuple[str, dict[str, str], bool]] = [
        ("without a cookie", {}, True),
        ("by WebSocket directly, without a cookie", {}, False),
        ("with a cookie that the quiz never gave", {"Cookie": f"{name}={secrets.token_urlsafe(24)}"}, True),
        ("with a cookie whose signature is forged", {"Cookie": forged}, True),
        ("by WebSocket directly, with a cookie whose signature is forged", {"Cookie": forged}, False),
        (
            "from the page of another site, with a user's cookie",
            {"Cookie": cookie, "Origin": "http://other-site.example", "Sec-Fetch-Site": "cross-site"},
            False,
        ),
    ]

    def attempt(way: tuple[str, dict[str, str], bool]) -> Attempt:
        how, more, negotiates = way
        caller = Caller(instance, {**headers, "Origin": instance.url, **more}, path, query)
        token = caller.negotiate() if negotiates else None
        let_in = caller.connect(token, stays) if token or not negotiates else False
        return Attempt(how, let_in or bool(caller.news), caller.status)

    with ThreadPoolExecutor(len(ways)) as pool:
        return list(pool.map(attempt, ways))
