"""The items of a MessagePack message, where they begin and end, without reading what they say.

A decoder refuses a whole message for one value in it, and rounds times. So a message with such a value is looked at
item by item: the rest of it is read, and its times are cut to whole microseconds where they stand.
"""

import re
import struct
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from asgi_signalr.errors import InvalidDataError, NamedDataError
from asgi_signalr.messages import Unreadable

_decode = msgspec.msgpack.Decoder().decode

_FINE_TIME = re.compile(rb"\xd7\xff|\xc7\x0c\xff", re.DOTALL)

# How many bytes follow the first one, or how many bytes of a length.
_FIXED = {0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
_FIXED |= {0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8, 0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17}
_SIZED = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_EXTENDED = {0xC7: 1, 0xC8: 2, 0xC9: 4}
_ARRAYS = {0xDC: 2, 0xDD: 4}
_MAPS = {0xDE: 2, 0xDF: 4}

# What the first bytes from 0xC0 on are called (MessagePack's specification, as ASP.NET Core's library spells it).
_NAMES = (
    "nil",
    "(never used)",
    "false",
    "true",
    *("bin 8", "bin 16", "bin 32"),
    *("ext 8", "ext 16", "ext 32"),
    *("float 32", "float 64"),
    *("uint 8", "uint 16", "uint 32", "uint 64"),
    *("int 8", "int 16", "int 32", "int 64"),
    *("fixext 1", "fixext 2", "fixext 4", "fixext 8", "fixext 16"),
    *("str 8", "str 16", "str 32"),
    *("array 16", "array 32"),
    *("map 16", "map 32"),
)


def item_after(body: bytes | bytearray, at: int, times: list[int] | None = None) -> int:
    """Find the end of the item that begins at a place; notes where times with nanoseconds begin, if asked to.

    Raises:
        ValueError: it is malformed, or cut off.

    """
    pending = 1
    while pending:
        if at >= len(body):
            raise ValueError("Input data was truncated")
        first, start = body[at], at
        at += 1
        pending -= 1
        if first < 0x80 or first >= 0xE0:
            continue
        if first < 0x90:
            pending += 2 * (first & 0x0F)
        elif first < 0xA0:
            pending += first & 0x0F
        elif first < 0xC0:
            at += first & 0x1F
        elif first in _FIXED:
            at += _FIXED[first]
        elif first == 0xC1:
            raise ValueError(f"Invalid byte at {start}")
        else:
            width = (_SIZED.get(first) or _EXTENDED.get(first) or _ARRAYS.get(first) or _MAPS.get(first)) or 0
            size = int.from_bytes(body[at : at + width])
            at += width
            if first in _ARRAYS:
                pending += size
            elif first in _MAPS:
                pending += 2 * size
            else:
                at += size + (first in _EXTENDED)
        if times is not None and (body[start : start + 2] == b"\xd7\xff" or body[start : start + 3] == b"\xc7\x0c\xff"):
            times.append(start)
    if at > len(body):
        raise ValueError("Input data was truncated")
    return at


class Items:
    """The items of one message, read one after another: what stands behind a mistake is not looked at.

    As ASP.NET Core does it, with its words. What follows the items that are read is nobody's affair.

    Raises:
        InvalidDataError: what is asked for is missing, cut off or something else; by all methods.

    """

    def __init__(self, body: bytes | bytearray) -> None:
        self._body = bytes(body)
        self._at = 0
        self.count = self._message_head()
        """How many items the message says that it has."""

    def integer(self, name: str, bits: int = 32) -> int:
        """Read a whole number with a sign."""
        value = self._next()
        if type(value) is not int or not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
            raise InvalidDataError(f"Reading '{name}' as Int{bits} failed.")
        return value

    def boolean(self, name: str) -> bool:
        """Read a bool."""
        value = self._next()
        if type(value) is not bool:
            raise InvalidDataError(f"Reading '{name}' as Boolean failed.")
        return value

    def text(self, name: str) -> str | None:
        """Read a text; None where there is nil."""
        value = self._next()
        if value is not None and type(value) is not str:
            raise InvalidDataError(f"Reading '{name}' as String failed.")
        return value

    def filled(self, name: str, what: str) -> str:
        """Read a text that has to be there, and may not be empty."""
        value = self.text(name)
        if not value:
            raise InvalidDataError(f"Null or empty {what}.")
        return value

    def skip_headers(self) -> None:
        """Look whether the headers are as they should be; nothing in them means anything here."""
        names = set()
        for number in range(self._length("map", "headers")):
            name = self.text(f"headers[{number}].Key")
            if not name:
                raise InvalidDataError("Null or empty key in header.")
            if not self.text(f"headers[{number}].Value"):
                raise InvalidDataError("Null or empty value in header.")
            if name in names:
                raise NamedDataError(
                    "ArgumentException", f"An item with the same key has already been added. Key: {name}"
                )
            names.add(name)

    def arguments(self) -> list[Any]:
        """Read the arguments of a call; `Unreadable` if they are not what they should be, which fails the call."""
        start = self._at
        try:
            count = self._length("array", "arguments")
        except InvalidDataError as error:
            return Unreadable(error)
        try:
            self._at = item_after(self._body, start)
            arguments: list[Any] = _decode(self._body[start : self._at])
        except (ValueError, RecursionError) as error:
            return Unreadable(ValueError(str(error)), count)
        return arguments

    def value(self, name: str) -> Any:
        """Read a value; `Unreadable` if it is missing, malformed, or nothing that can be read."""
        try:
            return _decode(self._raw())
        except InvalidDataError:
            return Unreadable(InvalidDataError(f"Reading '{name}' failed."))
        except (ValueError, RecursionError) as error:
            return Unreadable(ValueError(str(error)))

    def result(self) -> Any:
        """Read a result, which has to be there; `Unreadable` if it is nothing that can be read."""
        if self._at >= len(self._body):
            raise _past_the_end()
        return self.value("result")

    def stream_ids(self) -> tuple[str, ...]:
        """Read the ids of the streams that belong to a call; a client from before there were some sends none."""
        if self.count < 6:
            return ()
        ids = []
        for _ in range(self._length("array", "streamIds")):
            first = self._body[self._at] if self._at < len(self._body) else None
            value = self._next()
            if value is not None and type(value) is not str:
                raise _past_the_end() if first is None else _unexpected(first)
            if not value:
                raise InvalidDataError("Null or empty value in streamIds received.")
            ids.append(value)
        return tuple(ids)

    def _raw(self) -> bytes:
        start = self._at
        try:
            self._at = item_after(self._body, start)
        except ValueError as error:
            raise InvalidDataError(str(error)) from None
        return self._body[start : self._at]

    def _next(self) -> Any:
        """Read a scalar; what is none of them, or not whole, is `UNSET`. Text that is no UTF-8 is mended."""
        try:
            raw = self._raw()
            return _decode(raw)
        except InvalidDataError:
            return UNSET
        except (ValueError, RecursionError):
            first = raw[0]
            if 0xA0 <= first < 0xC0 or first in (0xD9, 0xDA, 0xDB):
                return raw[1 + _SIZED.get(first, 0) :].decode("utf-8", "replace")
            return UNSET

    def _length(self, kind: str, name: str) -> int:
        """Read how long an array or a map is: what it has to hold must fit into what is left."""
        found = self._head(_ARRAYS if kind == "array" else _MAPS, 0x90 if kind == "array" else 0x80)
        if found is None or found * (1 if kind == "array" else 2) > len(self._body) - self._at:
            raise InvalidDataError(f"Reading {kind} length for '{name}' failed.")
        return found

    def _head(self, wide: Mapping[int, int], short: int) -> int | None:
        body, at = self._body, self._at
        if at >= len(body):
            return None
        first = body[at]
        if first & 0xF0 == short:
            self._at += 1
            return first & 0x0F
        if first not in wide or at + 1 + wide[first] > len(body):
            return None
        self._at += 1 + wide[first]
        return int.from_bytes(body[at + 1 : self._at])

    def _message_head(self) -> int:
        count = self._head(_ARRAYS, 0x90)
        if count is None and self._body and self._body[0] not in _ARRAYS:
            raise _unexpected(self._body[0])
        if count is None or count > len(self._body) - self._at:
            raise _past_the_end()
        return count


def _past_the_end() -> NamedDataError:
    return NamedDataError("EndOfStreamException", "Attempted to read past the end of the stream.")


def _unexpected(first: int) -> NamedDataError:
    """Say what an item is that is something else than it should be, by its first byte."""
    known = (
        ("positive fixint", 0x80),
        ("fixmap", 0x90),
        ("fixarray", 0xA0),
        ("fixstr", 0xC0),
        *((name, 0xC1 + at) for at, name in enumerate(_NAMES)),
        ("negative fixint", 0x100),
    )
    name = next(name for name, end in known if first < end)
    return NamedDataError("MessagePackSerializationException", f"Unexpected msgpack code {first} ({name}) encountered.")


def with_cut_times(body: bytes | bytearray) -> bytes | bytearray:
    """Cut the times of a message to whole microseconds: a decoder rounds them."""
    if _FINE_TIME.search(body) is None:
        return body
    times: list[int] = []
    try:
        item_after(body, 0, times)
    except ValueError:  # the decoder says so as well
        return body
    cut = bytearray(body)
    for at in times:
        if cut[at] == 0xD7:
            (packed,) = struct.unpack_from(">Q", cut, at + 2)
            nanoseconds = packed >> 34
            struct.pack_into(">Q", cut, at + 2, packed - (nanoseconds % 1000 << 34))
        else:
            (nanoseconds,) = struct.unpack_from(">I", cut, at + 3)
            struct.pack_into(">I", cut, at + 3, nanoseconds - nanoseconds % 1000)
    return cut
