"""Replays what clients sent to a live ASP.NET Core, and writes down what this library answers, in the same notation.

A line of `recorded.jsonl` is one exchange over one WebSocket. Its `steps` are, in order, `["send", "text" | "hex",
data]`, a frame to the server, and `["see", line]`, the answer: `T …` is a text message without its separator, `B …
hex=…` a MessagePack message without its length, `CLOSE code 'reason'` and `EOF` the end, and `TIMEOUT …` says that
nothing came. The answer to the handshake is a line only where the exchange is about the handshake.
"""

import asyncio
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec
from asgi_signalr.protocols.messagepack import read_length, write_length

RECORDED = Path(__file__).with_name("recorded.jsonl")
PATIENCE = 10.0
"""Seconds within which an answer has to come that ASP.NET Core gave."""
QUIET = 0.05
"""Seconds in which nothing may come where nothing came."""

HANDSHAKE = "handshake: "
SEPARATOR = "\x1e"


@dataclass(frozen=True)
class Exchange:
    """One recorded exchange."""

    name: str
    path: str
    kind: str
    """How this library compared when it was recorded: `same`, or a letter that `differences.toml` explains."""
    steps: tuple[tuple[str, ...], ...]

    @property
    def seen(self) -> tuple[str, ...]:
        """The lines that ASP.NET Core answered; that a connection has ended is said by its CLOSE."""
        return tuple(step[1] for step in self.steps if step[0] == "see" and step[1] != "EOF")


def recorded() -> list[Exchange]:
    """All recorded exchanges."""
    lines = map(json.loads, RECORDED.read_text(encoding="utf-8").splitlines())
    return [Exchange(each["name"], each["path"], each["class"], tuple(map(tuple, each["steps"]))) for each in lines]


class Socket(Protocol):
    """A client's WebSocket, in this process or over a network."""

    async def send(self, data: str | bytes) -> None:
        """Send one frame; one that comes too late is lost."""

    async def receive(self) -> str | bytes | tuple[int, str]:
        """Wait for the next frame, or for the code and the reason of the end."""


class Transcript:
    """What comes back over one socket, line by line."""

    def __init__(self, socket: Socket, *, shows_handshake: bool) -> None:
        self._socket = socket
        self._shows_handshake = shows_handshake
        self._is_first = True
        self._text = ""
        self._bytes = bytearray()
        self._binary = False
        self.lines: list[str] = []
        self.asked: list[str] = []
        """The ids of the server's own calls, oldest first."""
        self.ended = False

    async def read(self) -> None:
        """Write down the lines of the next frame."""
        data = await self._socket.receive()
        if isinstance(data, tuple):
            code, reason = data
            self.lines.append(f"CLOSE {code} {reason!r}")
            self.ended = True
        elif self._is_first:
            self._is_first = False
            kind, payload = ("T", data.encode()) if isinstance(data, str) else ("B", bytes(data))
            answer, _, rest = payload.partition(SEPARATOR.encode())
            if self._shows_handshake:
                self.lines.append(f"{HANDSHAKE}{kind} {answer.decode()}")
            if rest:
                self._take(rest if isinstance(data, bytes) else rest.decode())
        else:
            self._take(data)

    def _take(self, data: str | bytes) -> None:
        if isinstance(data, str):
            *whole, self._text = (self._text + data).split(SEPARATOR)
            for each in whole:
                self.lines.append(f"T {each}")
                message = json.loads(each)
                self._note(message.get("type"), message.get("invocationId"))
            return
        self._bytes += data
        while (prefix := read_length(self._bytes)) is not None and len(self._bytes) >= sum(prefix):
            start, length = prefix
            body = bytes(self._bytes[start : start + length])
            del self._bytes[: start + length]
            self.lines.append(f"B {body.hex()}")
            message = _unpacked(body.hex())
            self._note(message[0], message[2] if len(message) > 2 else None)

    def _note(self, kind: object, invocation_id: object) -> None:
        if kind == 1 and isinstance(invocation_id, str):
            self.asked.append(invocation_id)


async def replay(exchange: Exchange, socket: Socket, *, is_different: bool = False) -> list[str]:
    """Send what the client sent, in order, and return the lines that came back.

    Before a frame is sent, as many lines are waited for as ASP.NET Core had answered by then. Where another answer is
    expected than ASP.NET Core's, it is waited for as well.
    """
    shows_handshake = any(line.startswith(HANDSHAKE) for line in exchange.seen)
    transcript = Transcript(socket, shows_handshake=shows_handshake)
    expected = 0
    quiet = False

    async def settle() -> None:
        while len(transcript.lines) < expected and not transcript.ended:
            await asyncio.wait_for(transcript.read(), PATIENCE)

    try:
        for kind, *rest in exchange.steps:
            if kind == "see":
                quiet |= rest[0].startswith("TIMEOUT")
                expected += not rest[0].startswith(("TIMEOUT", "EOF"))
                continue
            await settle()
            form, data = rest
            await socket.send(_with_real_id(bytes.fromhex(data) if form == "hex" else data, transcript.asked))
        await settle()
    except TimeoutError:
        transcript.lines.append("TIMEOUT")
        return transcript.lines
    nothing = ["TIMEOUT"] if quiet else []
    try:
        while not transcript.ended:
            is_to_come = is_different and equal(exchange.seen, transcript.lines + nothing)
            await asyncio.wait_for(transcript.read(), PATIENCE if is_to_come else QUIET)
    except TimeoutError:
        transcript.lines += nothing
    return transcript.lines


def _with_real_id(data: str | bytes, asked: list[str]) -> str | bytes:
    """Put the id of the server's latest call where the recorded client answered with the one that it was given."""
    if not asked:
        return data
    if isinstance(data, str):
        return re.sub(r'"invocationId":"s\d+"', f'"invocationId":"{asked[-1]}"', data)
    start, _ = read_length(data) or (0, 0)
    message = msgspec.msgpack.decode(data[start:])
    if message[0] != 3 or not re.fullmatch(r"s\d+", message[2]):
        return data
    message[2] = asked[-1]
    body = msgspec.msgpack.encode(message)
    return write_length(len(body)) + body


# Comparing.


def equal(expected: Iterable[str], seen: Iterable[str]) -> bool:
    """Tell whether two transcripts say the same.

    The order of properties does not matter, and an error is the same if it begins with the recorded text: what this
    library adds helps. Ids of connections and of the server's calls are its own.
    """
    left, right = list(expected), list(seen)
    return len(left) == len(right) and all(map(_same, left, right))


def _same(expected: str, seen: str) -> bool:
    kind = expected.partition(" ")[0]
    if kind == "TIMEOUT" or expected == seen:
        return seen.partition(" ")[0] == kind
    if kind != seen.partition(" ")[0]:
        return False
    if kind == "B":
        decoded, _, body = expected[2:].partition(" hex=")
        message = _unpacked(seen[2:])
        if not re.fullmatch("([0-9a-f]{2})+", body):  # recorded only as it reads
            return _alike(decoded, repr(message), "")
        return body == seen[2:] or _alike(_named(_unpacked(body)), _named(message), "")
    if kind in ("T", HANDSHAKE.strip()):
        return _alike(_parsed(expected), _parsed(seen), "")
    return False


class _Number(str):
    """A number as it was written: its digits are part of what is compared."""

    __slots__ = ()


def _parsed(line: str) -> Any:
    text = line.removeprefix(HANDSHAKE)[2:]
    try:
        return json.loads(text, parse_int=_Number, parse_float=_Number, parse_constant=_Number)
    except ValueError:
        return text


def _unpacked(body: str) -> Any:
    try:
        return msgspec.msgpack.decode(bytes.fromhex(body))
    except ValueError:  # a time beyond Python's
        return [body]


def _named(message: list[Any]) -> Any:
    """Give the items of a MessagePack message the names that they have in JSON."""
    names: tuple[str, ...] = {3: ("type", "headers", "invocationId", "kind", "result")}.get(message[0], ())
    if message[0] == 7:
        names = ("type", "error", "allowReconnect")
    if message[0] == 3 and message[3] == 1:
        names = ("type", "headers", "invocationId", "kind", "error")
    if message[0] == 1:
        names = ("type", "headers", "invocationId", "target", "arguments", "streamIds")
    return dict(zip(names, message, strict=False)) if names else message


def _alike(expected: Any, seen: Any, name: str) -> bool:
    if type(expected) is not type(seen):
        return False
    if isinstance(expected, dict):
        return expected.keys() == seen.keys() and all(_alike(expected[key], seen[key], key) for key in expected)
    if isinstance(expected, list):
        return len(expected) == len(seen) and all(map(_alike, expected, seen, [name] * len(seen)))
    if isinstance(expected, str) and type(expected) is str:
        if name == "error" or _is_error(expected):
            return bool(seen.startswith(expected))
        pattern = re.escape(expected)
        for placeholder, what in _PLACEHOLDERS.items():
            pattern = pattern.replace(re.escape(placeholder), what)
        return re.fullmatch(pattern, seen, re.DOTALL) is not None
    return bool(expected == seen)


_is_error: Callable[[str], Any] = re.compile(r"[A-Za-z]*(Exception|Error): ").match
_PLACEHOLDERS = {"<id>": r".+", "<22>": r".{22}", "s#": r".+"}
