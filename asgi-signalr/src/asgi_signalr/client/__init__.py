"""The official browser client, carried unchanged and served beside the hubs, so that both always match."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

SCRIPTS = ("signalr.js", "signalr.min.js")


@dataclass(frozen=True)
class Script:
    """A script as it is served."""

    body: bytes
    etag: str


@cache
def script(name: str) -> Script:
    """Read a script of the client, once."""
    body = files(__name__).joinpath(name).read_bytes()
    return Script(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
