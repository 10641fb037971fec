"""The backplane's stream in a service that stands in for PostgreSQL: read and written as one more server does it."""

import asyncio
import re
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from labkit.checking import WAIT, Databases

if TYPE_CHECKING:
    from asgi_signalr.backplanes.tables import Message

T = TypeVar("T")

SUGGESTED = "signalr"
"""The name that the manual gives the database, or the stream."""

_FIXED = re.compile(r"(?:use_backplane\(|open_backplane\(|backplane=)\s*[rRbBfF]*[\"']([a-z+]+)://")


def name_of(databases: Databases) -> str:
    """The stream's name: the one that the code has, if it can be read."""
    return databases.named or SUGGESTED


def url_of(databases: Databases, name: str = "") -> str:
    """The URL of a stream in the service, of the application's if no other one is named."""
    if databases.instead is None:
        raise TypeError("PostgreSQL runs itself")
    return f"{databases.instead.url}/{name or name_of(databases)}"


def extra_of(requirement: str) -> str:
    """The extra that a requirement names: redis for asgi-signalr[redis]."""
    return requirement.partition("[")[2].rstrip("]")


def kept(url: str) -> "list[Message] | None":
    """The messages of a stream, with their numbers; None if no server has made it."""
    from asgi_signalr.backplanes.tables import NothingYet
    from asgi_signalr.scaleout.tail import kept_messages

    try:
        return _run(kept_messages(url))
    except NothingYet:
        return None


def publish(url: str, payload: bytes) -> None:
    """Put a message into a stream."""
    _run(_publish(url, payload))


def reaches(url: str) -> bool:
    """Whether what one server puts into a stream reaches another one in time."""
    return _run(_reaches(url))


def fixed_scheme(app: Path) -> str | None:
    """The scheme of a backplane's address that the code has whole, so that no setting can say where it is."""
    found = (_FIXED.search(file.read_text(encoding="utf-8", errors="replace")) for file in sorted(app.rglob("*.py")))
    return next((match[1] for match in found if match), None)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Do something asynchronous: in a thread, since the browser's driver has the event loop of this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


async def _publish(url: str, payload: bytes) -> None:
    from asgi_signalr.backplanes import open_backplane

    backplane = open_backplane(url)
    await backplane.start(lambda _: None)
    try:
        await backplane.publish(payload)
    finally:
        await backplane.stop()


async def _reaches(url: str) -> bool:
    from asgi_signalr.backplanes import open_backplane

    one, other = open_backplane(url), open_backplane(url)
    received = asyncio.Event()
    await other.start(lambda _: received.set())
    await one.start(lambda _: None)
    try:
        await one.publish(b"")
        async with asyncio.timeout(WAIT):
            await received.wait()
    except TimeoutError:
        return False
    finally:
        await one.stop()
        await other.stop()
    return True
