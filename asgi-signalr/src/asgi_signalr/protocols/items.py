"""The items of a MessagePack message, where they begin and end, without reading what they say.

A decoder refuses a whole message for one value in it, and rounds times. So a message with such a value is looked at
item by item: the rest of it is read, and its times are cut to whole microseconds where they stand.
"""

import re
import struct

_FINE_TIME = re.compile(rb"\xd7\xff|\xc7\x0c\xff", re.DOTALL)

# How many bytes follow the first one, or how many bytes of a length.
_FIXED = {0xC0: 0, 0xC2: 0, 0xC3: 0, 0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
_FIXED |= {0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8, 0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17}
_SIZED = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_EXTENDED = {0xC7: 1, 0xC8: 2, 0xC9: 4}
_ARRAYS = {0xDC: 2, 0xDD: 4}
_MAPS = {0xDE: 2, 0xDF: 4}


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


def items_of(body: bytes | bytearray) -> list[bytes]:
    """Take a message apart into its items, each still encoded.

    Raises:
        ValueError: it is no array, malformed or cut off, or more follows it.

    """
    first = body[0] if body else 0
    if first & 0xF0 == 0x90:
        count, at = first & 0x0F, 1
    elif first in _ARRAYS:
        count, at = int.from_bytes(body[1 : 1 + _ARRAYS[first]]), 1 + _ARRAYS[first]
    else:
        raise ValueError("it is no array")
    items = []
    for _ in range(count):
        end = item_after(body, at)
        items.append(bytes(body[at:end]))
        at = end
    if at != len(body):
        raise ValueError("more follows it")
    return items


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
