"""The shortest programs that join servers through a store, beside which backplanes are measured.

A server joins with a URL and a function that is given each message; it gets two functions, by which it publishes one
and leaves again. Nothing is caught up, retried or checked.
"""

import asyncio
from collections.abc import Awaitable, Callable

Deliver = Callable[[bytes], Awaitable[None]]
Publish = Callable[[bytes], Awaitable[None]]
Joined = tuple[Publish, Callable[[], Awaitable[None]]]

_KEPT = 100_000  # entries of Redis' stream


async def join_redis(url: str, deliver: Deliver) -> Joined:
    """XADD, and XREAD that waits."""
    from redis.asyncio import Redis

    url = url.rpartition("/")[0]
    sender, receiver = Redis.from_url(url, protocol=2), Redis.from_url(url, protocol=2)
    newest = await receiver.xrevrange("bare", count=1)

    async def read() -> None:
        last = newest[0][0] if newest else b"0"
        while True:
            for _, entries in await receiver.xread({"bare": last}, count=500, block=1000):
                for number, fields in entries:
                    last = number
                    await deliver(fields[b"p"])

    task = asyncio.create_task(read())

    async def publish(payload: bytes) -> None:
        await sender.xadd("bare", {"p": payload}, maxlen=_KEPT, approximate=True)

    async def leave() -> None:
        task.cancel()
        await sender.aclose()
        await receiver.aclose()

    return publish, leave


async def join_postgres(url: str, deliver: Deliver) -> Joined:
    """An INSERT, and a NOTIFY that rings."""
    import asyncpg

    sender, receiver = await asyncpg.connect(url), await asyncpg.connect(url)
    # Until the transaction ends: a lock that is let go of before the table can be seen helps nobody.
    await sender.execute(
        "SELECT pg_advisory_xact_lock(1); CREATE TABLE IF NOT EXISTS bare (id bigserial PRIMARY KEY, payload bytea)"
    )
    bell = asyncio.Event()
    await receiver.add_listener("bare", lambda *_: bell.set())
    newest = await receiver.fetchval("SELECT coalesce(max(id), 0) FROM bare")

    async def read() -> None:
        last = newest
        while True:
            await bell.wait()
            bell.clear()
            for row in await receiver.fetch("SELECT id, payload FROM bare WHERE id > $1 ORDER BY id", last):
                last = row["id"]
                await deliver(row["payload"])

    task = asyncio.create_task(read())
    statement = await sender.prepare(
        "WITH it AS (INSERT INTO bare (payload) VALUES ($1) RETURNING id) SELECT pg_notify('bare', id::text) FROM it"
    )
    lock = asyncio.Lock()  # a connection does one thing at a time

    async def publish(payload: bytes) -> None:
        async with lock:
            await statement.fetch(payload)

    async def leave() -> None:
        task.cancel()
        sender.terminate()
        receiver.terminate()

    return publish, leave
