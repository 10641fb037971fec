"""The official browser client, carried unchanged and served beside the hubs, so that both always match.

`signalr.js` is the client, `signalr-protocol-msgpack.js` its MessagePack protocol, to be loaded after it; each is there
as `.min.js`, too. VERSION.json says where they are from, and under which licences they are.
"""

import base64
import hashlib
import html
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from urllib.parse import urlsplit

SCRIPTS = (
    "signalr.js",
    "signalr.min.js",
    "signalr-protocol-msgpack.js",
    "signalr-protocol-msgpack.min.js",
)


@dataclass(frozen=True)
class Script:
    """A script as it is served."""

    body: bytes
    etag: str
    """The header's value, quotes included."""
    integrity: str
    """What a page may pin: Subresource Integrity, `sha384-…`."""


@cache
def script(name: str) -> Script:
    """Read a script of the client, once.

    Raises:
        LookupError: there is none of this name.

    """
    if name not in SCRIPTS:
        raise LookupError(f"The client has no script {name!r}; it has {', '.join(SCRIPTS)}.")
    body = files(__name__).joinpath(name).read_bytes()
    integrity = base64.b64encode(hashlib.sha384(body).digest()).decode()
    return Script(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"', f"sha384-{integrity}")


@cache
def version() -> str:
    """Say which version of the official client this is, such as `10.0.11`."""
    return str(json.loads(files(__name__).joinpath("VERSION.json").read_bytes())["version"])


def script_tag(url: str) -> str:
    """Write the tag that loads a script, pinned to this very version: a browser runs nothing else from that address.

    Args:
        url: where the page finds the script, such as `/signalr/signalr.js`; its last part is the script's name.

    Raises:
        LookupError: there is no such script.

    """
    integrity = script(urlsplit(url).path.rpartition("/")[2]).integrity
    return f'<script src="{html.escape(url)}" integrity="{integrity}" crossorigin="anonymous"></script>'
