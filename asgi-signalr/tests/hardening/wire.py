"""Clients on real sockets, down to the single byte; and the server that they connect to, in its own process."""

import asyncio
import contextlib
import itertools
import json
import socket
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .harness import SEPARATOR, handshake, packed, read_json, read_messagepack, text_of

PATIENCE = 60.0
UPGRADE = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n".format(
    "AAAAAAAAAAAAAAAAAAAAAA=="
)
TEXT, BINARY, CLOSE = 1, 2, 8


class Server:
    """The app, served by uvicorn in another process."""

    def __init__(self, implementation: str, log: Path, **options: Any) -> None:
        self.log = log
        command = [sys.executable, str(Path(__file__).parent / "served.py"), implementation, json.dumps(options)]
        with log.open("wb") as stderr:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def stop(self) -> None:
        """End the process."""
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def complaints(self) -> list[str]:
        """What it has logged of the app's failures; what uvicorn says about its clients is another matter."""
        failures = ("Exception in ASGI application", "never retrieved", "asgi_signalr", "was never awaited")
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if any(each in line for each in failures)]

    async def state(self) -> dict[str, Any]:
        """Ask what it holds."""
        status, body = await request(self.port, "GET", "/state")
        assert status == 200
        return dict(json.loads(body))

    async def state_when(self, holds: Callable[[dict[str, Any]], bool], patience: float = PATIENCE) -> dict[str, Any]:
        """Wait until what it holds is as it should be."""
        end = time.monotonic() + patience
        while not holds(state := await self.state()):
            if time.monotonic() > end:
                pytest.fail(f"The server still holds {state}")
            await asyncio.sleep(0.1)  # it is asked again, there is nothing to be told by
        return state


@contextlib.contextmanager
def serving(implementation: str, folder: Path, **options: Any) -> Iterator[Server]:
    """Serve the app for a while."""
    server = Server(implementation, folder / "server.log", **options)
    try:
        yield server
    finally:
        server.stop()


async def tcp(port: int, *, buffer: int | None = None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection; one with a small buffer stops its sender soon if it does not read."""
    client = socket.socket()
    if buffer is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    client.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
        return await asyncio.open_connection(sock=client, limit=1 << 20)
    except BaseException:
        client.close()
        raise


def reset(writer: asyncio.StreamWriter) -> None:
    """Vanish: the other side gets a RST, at most."""
    client = writer.get_extra_info("socket")
    linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
    with contextlib.suppress(OSError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


def head(method: str, url: str, *lines: str, length: int | None = None) -> bytes:
    """Write the head of a request."""
    sized = [] if length is None else [f"Content-Length: {length}"]
    return "\r\n".join([f"{method} {url} HTTP/1.1", "Host: app.test", *lines, *sized, "\r\n"]).encode()


async def request(port: int, method: str, url: str, body: bytes = b"", *lines: str) -> tuple[int, bytes]:
    """Send a request on a connection of its own; returns the answer's status and body."""
    reader, writer = await tcp(port)
    try:
        writer.write(head(method, url, "Connection: close", *lines, length=len(body)) + body)
        status, _ = await answer(reader)
        return status, await reader.read()
    finally:
        writer.close()


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """Read the head of an answer."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
    return int(lines[0].split()[1]), headers


async def negotiate(port: int, path: str = "/room", user: str | None = None) -> str:
    """Negotiate a connection; returns its secret token."""
    token = "" if user is None else f"&access_token={user}"
    status, body = await request(port, "POST", f"{path}/negotiate?negotiateVersion=1{token}")
    assert status == 200, body
    return str(json.loads(body)["connectionToken"])


def frame(data: bytes, kind: int = TEXT) -> bytes:
    """Write a client's frame; its mask changes nothing."""
    size = len(data)
    if size < 126:
        return struct.pack("!BB4x", 0x80 | kind, 0x80 | size) + data
    if size < 0x10000:
        return struct.pack("!BBH4x", 0x80 | kind, 0xFE, size) + data
    return struct.pack("!BBQ4x", 0x80 | kind, 0xFF, size) + data


class Gone(Exception):  # noqa: N818  (a turn of events, no error)
    """The server has closed the connection."""


class Client:
    """A client that behaves, until it is told otherwise."""

    def __init__(self, port: int, protocol: str = "json", user: str | None = None) -> None:
        self.port = port
        self.protocol = protocol
        self.user = "" if user is None else f"&access_token={user}"
        self.writer: asyncio.StreamWriter
        self.reader: asyncio.StreamReader
        self._ids = itertools.count(1)

    async def open(self, *, buffer: int | None = None) -> "Client":
        """Connect, and shake hands."""
        raise NotImplementedError

    async def send(self, data: bytes) -> None:
        """Send encoded messages."""
        raise NotImplementedError

    async def receive(self) -> bytes:
        """Wait for encoded messages."""
        raise NotImplementedError

    async def close(self) -> None:
        """Go, in good order."""
        self.writer.close()

    def vanish(self) -> None:
        """Go, without a word."""
        reset(self.writer)

    async def invoke(self, target: str, *arguments: Any, wait: bool = True) -> str | None:
        """Call a method; returns the id of the call, if there is one."""
        call = f"c{next(self._ids)}" if wait else None
        if self.protocol == "json":
            message = {"type": 1, "target": target, "arguments": arguments} | ({"invocationId": call} if call else {})
            await self.send(text_of(message).encode())
        else:
            await self.send(packed([1, {}, call, target, arguments, []]))
        return call

    async def messages(self) -> AsyncIterator[tuple[int, Any, Any]]:
        """Go through what comes: each message's type, its target or id, and its arguments or its result."""
        while True:
            data = await self.receive()
            for message in read_json(data) if self.protocol == "json" else read_messagepack(data):
                if isinstance(message, list):
                    if message[0] == 1:
                        yield 1, message[3], message[4]
                    elif message[0] == 3:
                        yield 3, message[2], message[4] if len(message) > 4 else None
                elif message.get("type") == 1:
                    yield 1, message["target"], message["arguments"]
                elif message.get("type") == 3:
                    yield 3, message["invocationId"], message.get("result", message.get("error"))

    async def call(self, target: str, *arguments: Any) -> Any:
        """Call a method and wait for its result; what else comes meanwhile is passed over."""
        call = await self.invoke(target, *arguments)
        async with asyncio.timeout(PATIENCE):
            async for kind, name, value in self.messages():
                if (kind, name) == (3, call):
                    return value
        raise Gone


class WebSocket(Client):
    """A client with a WebSocket."""

    async def open(self, *, buffer: int | None = None) -> "WebSocket":
        """Connect, and shake hands."""
        self.url = f"/room?id={await negotiate(self.port, user=self.user.partition('=')[2] or None)}"
        await self.upgrade(self.url, buffer)
        await self.send_frame(handshake(self.protocol).encode())
        assert await self.receive() == b"{}" + SEPARATOR.encode()
        return self

    async def upgrade(self, url: str, buffer: int | None = None) -> None:
        """Open the WebSocket."""
        self.reader, self.writer = await tcp(self.port, buffer=buffer)
        self.writer.write(head("GET", url + self.user, UPGRADE.rstrip()))
        status, _ = await answer(self.reader)
        if status != 101:
            raise Gone(status)

    async def send_frame(self, data: bytes, kind: int = TEXT) -> None:
        """Send a frame."""
        self.writer.write(frame(data, kind))
        await self.writer.drain()

    async def send(self, data: bytes) -> None:
        await self.send_frame(data, TEXT if self.protocol == "json" else BINARY)

    async def receive(self) -> bytes:
        try:
            while True:
                first, second = await self.reader.readexactly(2)
                size = second & 0x7F
                if size > 125:
                    size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
                data = await self.reader.readexactly(size)
                if first & 0x0F == CLOSE:
                    raise Gone(data)
                if first & 0x0F in (TEXT, BINARY):
                    return data
                if first & 0x0F == 9:
                    self.writer.write(frame(data, 10))
        except (asyncio.IncompleteReadError, OSError) as error:
            raise Gone(str(error)) from error

    async def close(self) -> None:
        self.writer.write(frame(struct.pack("!H", 1000), CLOSE))
        await super().close()


class _Posting(Client):
    """A client that posts what it says."""

    url: str

    async def send(self, data: bytes) -> None:
        status, body = await request(self.port, "POST", self.url, data)
        if status != 200:
            raise Gone(status, body)


class Events(_Posting):
    """A client of Server-Sent Events."""

    async def open(self, *, buffer: int | None = None) -> "Events":
        self.url = f"/room?id={await negotiate(self.port, user=self.user.partition('=')[2] or None)}{self.user}"
        self.reader, self.writer = await tcp(self.port, buffer=buffer)
        self.writer.write(head("GET", self.url, "Accept: text/event-stream"))
        status, _ = await answer(self.reader)
        if status != 200:
            raise Gone(status)
        assert await self._event() == b":\r\n"
        await self.send(handshake().encode())
        assert await self.receive() == b"{}" + SEPARATOR.encode()
        return self

    async def _event(self) -> bytes:
        try:
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            data = await self.reader.readexactly(size + 2)
        except (asyncio.IncompleteReadError, OSError) as error:
            raise Gone(str(error)) from error
        if not size:
            raise Gone("The stream has ended.")
        return data[:-2]

    async def receive(self) -> bytes:
        event = await self._event()
        assert event.startswith(b"data: ") and event.endswith(b"\r\n\r\n"), event
        return event[6:-4]


class Polls(_Posting):
    """A client of long polling; all polls go over one connection."""

    _early = b""  # what has come with the handshake's answer

    async def open(self, *, buffer: int | None = None) -> "Polls":
        self.url = f"/room?id={await negotiate(self.port, user=self.user.partition('=')[2] or None)}{self.user}"
        self.reader, self.writer = await tcp(self.port, buffer=buffer)
        assert await self._poll() == b""
        await self.send(handshake(self.protocol).encode())
        answer_, _, self._early = (await self.receive()).partition(SEPARATOR.encode())
        assert answer_ == b"{}"
        return self

    async def _poll(self) -> bytes:
        try:
            self.writer.write(head("GET", self.url))
            status, headers = await answer(self.reader)
            if status != 200:
                raise Gone(status)
            return await self.reader.readexactly(int(headers["content-length"]))
        except (asyncio.IncompleteReadError, OSError) as error:
            raise Gone(str(error)) from error

    async def receive(self) -> bytes:
        data, self._early = self._early, b""
        while not data:
            data = await self._poll()
        return data

    async def close(self) -> None:
        await super().close()
        await request(self.port, "DELETE", self.url)


def raise_file_limit(wanted: int) -> int:
    """Allow this process, and those it starts, so many open files; returns how many it may have."""
    if sys.platform == "win32":
        return wanted
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
