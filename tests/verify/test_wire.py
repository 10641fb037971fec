"""A wire shows what goes over it, holds it back, and can be cut; nobody at either end can tell."""

import http.client
import http.server
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import ServerConnection, serve

from labkit.wire import Exchange, Message, Wire


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.close()


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back each message, after the word that it begins with if it has several."""

    def answer(connection: ServerConnection) -> None:
        for message in connection:
            for word in message.split() if isinstance(message, str) else [message]:
                connection.send(word)

    with serve(answer, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.socket.getsockname()[1]
        server.shutdown()


@pytest.fixture
def site() -> Iterator[int]:
    """The port of a server with pages."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream" if self.path == "/events" else "text/plain")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in (b"data: one\n", b"\ndata: two\n\n", b""):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(201)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def reach(wire: Wire, port: int) -> socket.socket:
    """A connection to that port over the wire, as a browser makes it."""
    proxy = int(wire.proxy["server"].rpartition(":")[2])
    made = socket.create_connection(("127.0.0.1", proxy), timeout=10)
    made.sendall(b"\x05\x01\x00")
    assert made.recv(2) == b"\x05\x00"
    made.sendall(b"\x05\x01\x00\x01" + socket.inet_aton("127.0.0.1") + struct.pack(">H", port))
    assert made.recv(10)[:2] == b"\x05\x00"
    return made


def talk(wire: Wire, port: int) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{port}/talk?room=1", sock=reach(wire, port))


def is_websocket(exchange: Exchange) -> bool:
    return exchange.is_websocket


def held_word(message: Message) -> str | None:
    return "(later)" if message.data in ("one", "two", "three") else None


def test_requests_and_answers_are_seen_whole(wire: Wire, site: int) -> None:
    client = http.client.HTTPConnection("127.0.0.1", site)
    client.sock = reach(wire, site)
    answers = []
    for method, path, body in (("GET", "/page?a=b", None), ("POST", "/form", b"x=1"), ("GET", "/events", None)):
        client.request(method, path, body)
        answers.append(client.getresponse().read())

    assert answers == [b"data: one\n\ndata: two\n\n", b"x=1", b"data: one\n\ndata: two\n\n"]
    seen = [(each.method, each.target, each.body, each.status, each.answer) for each in wire.exchanges]
    assert seen == [
        ("GET", "/page?a=b", b"", 200, answers[0]),
        ("POST", "/form", b"x=1", 201, b"x=1"),
        ("GET", "/events", b"", 200, b""),
    ]
    assert [each.data for each in wire.exchanges[2].messages] == ["one", "two"]
    assert all(each.ended and each.ended >= each.began for each in wire.exchanges)


@pytest.mark.parametrize("text", ["short", "long " * 30_000, b"\x00\xff"])
def test_messages_of_a_websocket_are_seen_both_ways(wire: Wire, echo: int, text: str | bytes) -> None:
    with talk(wire, echo) as client:
        client.send(text)
        words = text.split() if isinstance(text, str) else [text]
        assert [client.recv(timeout=10) for _ in words] == words
    (exchange,) = wire.exchanges
    assert (exchange.path, exchange.is_websocket, exchange.status) == ("/talk", True, 101)
    assert [each.data for each in exchange.messages if not each.from_server] == [text]
    assert [each.data for each in exchange.messages if each.from_server] == words


def test_what_is_held_comes_with_the_release_in_another_order_if_asked(wire: Wire, echo: int) -> None:
    with talk(wire, echo) as client:
        client.send("zero")
        assert client.recv(timeout=10) == "zero"
        wire.hold(is_websocket, held_word)

        client.send("one two go three")
        assert [client.recv(timeout=10) for _ in range(4)] == ["(later)", "(later)", "go", "(later)"]
        assert wire.held == 3
        wire.release(lambda messages: messages[::-1])

        assert [client.recv(timeout=10) for _ in range(3)] == ["three", "two", "one"]
        client.send("one more")
        assert [client.recv(timeout=10) for _ in range(2)] == ["one", "more"]


def test_all_of_an_exchange_can_be_held(wire: Wire, echo: int) -> None:
    with talk(wire, echo) as client:
        wire.hold(is_websocket)
        client.send("one two")
        with pytest.raises(TimeoutError):
            client.recv(timeout=0.05)
        wire.release()
        assert [client.recv(timeout=10) for _ in range(2)] == ["one", "two"]


def test_a_wire_that_is_cut_ends_connections_and_makes_none_until_it_is_mended(wire: Wire, echo: int) -> None:
    with talk(wire, echo) as client:
        wire.cut()
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=10)
    with pytest.raises((OSError, AssertionError)):
        reach(wire, echo)
    assert wire.refused == 1
    wire.mend()
    with talk(wire, echo) as client:
        client.send("again")
        assert client.recv(timeout=10) == "again"


def test_a_port_that_nobody_listens_at_is_refused(wire: Wire) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(AssertionError):
            reach(wire, free.getsockname()[1])
