"""Who has sent a message that a backplane keeps: a UUID, which carries the server's name if it has one.

The bits of a version 8 UUID are the application's to define (RFC 9562, 5.8). Here they are up to fourteen letters of
the name, as a number of base 41, and 46 random bits, by which two servers of one name differ.
"""

import os
import re
import secrets
from uuid import UUID, uuid4

VARIABLE = "ASGI_SIGNALR_SERVER"
"""The environment variable that names this server, for those who look at its messages: `web-1`, for example."""

_LETTERS = "\0abcdefghijklmnopqrstuvwxyz0123456789 -._"
_LENGTH = 14
_RANDOM_BITS = 46


def new() -> UUID:
    """A sender of its own for a backplane of this process."""
    name = re.sub(r"[^a-z0-9 ._-]", "-", os.environ.get(VARIABLE, "").strip().lower())[:_LENGTH]
    return _named(name) if name else uuid4()


def name_of(sender: UUID) -> str | None:
    """The name of the server that has sent a message; None if it has none."""
    if sender.version != 8:
        return None
    number = (sender.int >> 80 << 74 | (sender.int >> 64 & 0xFFF) << 62 | sender.int & (1 << 62) - 1) >> _RANDOM_BITS
    name = ""
    while number:
        number, letter = divmod(number, len(_LETTERS))
        name = _LETTERS[letter] + name
    return name


def _named(name: str) -> UUID:
    number = 0
    for letter in name:
        number = number * len(_LETTERS) + _LETTERS.index(letter)
    bits = number << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    return UUID(int=bits >> 74 << 80 | 8 << 76 | (bits >> 62 & 0xFFF) << 64 | 2 << 62 | bits & (1 << 62) - 1)
