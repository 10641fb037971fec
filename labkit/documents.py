"""JSON and TOML files, read with an end to everything: whoever has made them may have meant harm, or had an accident.

Whatever is wrong with one is a ValueError, which says what.
"""

import json
import os
import stat
import tomllib
from pathlib import Path
from typing import Any

MOST = 1_000_000
"""How many bytes such a file may have."""

_MOST_DOTS = 64
"""How many dots a key of TOML may have: tomllib takes a square of their number of steps."""


def read(path: Path) -> bytes:
    """The content of a plain file of at most `MOST` bytes; a link is not followed, and a pipe not waited for.

    Raises OSError if it is not there or cannot be read, ValueError for anything else.
    """
    if path.is_symlink():
        raise ValueError("it is a link")
    if not path.is_file() and path.exists():
        raise ValueError("it is no file")
    with os.fdopen(os.open(path, os.O_RDONLY | _FLAGS), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # it has just been replaced
            raise ValueError("it is no file")
        content = file.read(MOST + 1)
    if len(content) > MOST:
        raise ValueError(f"it has more than {MOST:,} bytes")
    return content


_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def parse_json(text: str | bytes) -> Any:
    """What a text in JSON says. Raises ValueError."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_json(path: Path) -> Any:
    """What a file in JSON says. Raises OSError, ValueError."""
    return parse_json(read(path))


def json_of(document: Any) -> bytes:
    """A document as JSON in UTF-8; what UTF-8 cannot have, bytes of a file's name that are no text, is escaped."""
    text = json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n"
    return text.encode("utf-8", "backslashreplace")


def parse_toml(text: str) -> dict[str, Any]:
    """What a text in TOML says. Raises ValueError."""
    for number, line in enumerate(text.split("\n"), start=1):
        # What stands before an equals sign, or in the brackets of a heading, is a key.
        keys = line.split("=") if line.lstrip().startswith("[") else line.split("=")[:-1]
        if any(key.count(".") > _MOST_DOTS for key in keys):
            raise ValueError(f"a key has more than {_MOST_DOTS} dots (at line {number})")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_toml(path: Path) -> dict[str, Any]:
    """What a file in TOML says. Raises OSError, ValueError."""
    return parse_toml(read(path).decode("utf-8-sig").replace("\r\n", "\n"))
