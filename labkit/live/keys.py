"""The key of a live page, which outlives its server: started anew, the page comes back by itself."""

import contextlib
import hashlib
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from labkit import documents
from labkit.places import data_folder


@dataclass(frozen=True)
class Key:
    """The token of the person at this machine, and the port at which the page was last; None if there was none."""

    token: str
    port: int | None


def read(page: str, folder: Path) -> Key:
    """The key of a page about a folder: as it was, else a new one."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        document = documents.read_json(_path(page, folder))
        token, port = document["token"], document["port"]
        if isinstance(token, str) and len(token) >= 32 and isinstance(port, int) and 0 < port < 65536:
            return Key(token, port)
    return Key(secrets.token_urlsafe(32), None)


def keep(page: str, folder: Path, key: Key) -> None:
    """Remember the key, for nobody else to read; where that cannot be done, the next one is new."""
    path = _path(page, folder)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{secrets.token_hex(4)}.tmp")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({"token": key.token, "port": key.port}, file)
        temporary.replace(path)


def _path(page: str, folder: Path) -> Path:
    digest = hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogateescape")).hexdigest()
    return data_folder() / "pages" / f"{page}-{digest[:16]}.json"
