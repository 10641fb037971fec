"""How fast servers hear each other through each backplane, beside a bare program and other libraries on the same store.

    uv run --with channels-redis --with "python-socketio" python benchmarks/backplanes.py [SECONDS]
    uv run python benchmarks/backplanes.py --large [SECONDS]

Two processes are two servers. First one sends 50 messages a second for some SECONDS (5), and the other one tells how
long each was on its way; then one sends as fast as it may for as long, and the other one counts. The entrants on one
store take turns in one run. What is not installed is left out and named. Without a peer's WebSockets, this is about the
backplane alone. With --large it is PostgreSQL only, with messages of 16 kB and 256 kB; it exits with 1 if one takes
more than twice as long as by the bare program, or fewer than half as many pass.
"""

import argparse
import asyncio
import importlib.util
import multiprocessing
import random
import statistics
import struct
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import bare_stores
from bare_stores import Joined
from stores import running

RATE = 50
SIZE = 256
LARGE = (16 * 1024, 256 * 1024)
LARGE_LIMIT = 2.0
ROUNDS = 3  # of those
WAITING = 1000  # messages that a sender may be ahead of what it has heard itself
WAITING_BYTES = 8 * 1024 * 1024  # and the bytes of them
Deliver = Callable[[bytes], None]


async def join_ours(url: str, deliver: Deliver) -> Joined:
    """Join by asgi-signalr's backplane."""
    from asgi_signalr.backplanes import open_backplane

    backplane = open_backplane(url)
    await backplane.start(deliver)
    return backplane.publish, backplane.stop


async def join_bare(url: str, deliver: Deliver) -> Joined:
    """Join by the shortest program on that store."""

    async def take(payload: bytes) -> None:
        deliver(payload)

    return await (bare_stores.join_redis if url.startswith("redis") else bare_stores.join_postgres)(url, take)


async def join_channels_redis(url: str, deliver: Deliver) -> Joined:
    """Join by Django Channels' layer: a group with a channel of each server."""
    from channels_redis.core import RedisChannelLayer

    layer = RedisChannelLayer(hosts=[url.rpartition("/")[0]], capacity=100_000)
    channel = await layer.new_channel()
    await layer.group_add("all", channel)

    async def read() -> None:
        while True:
            deliver((await layer.receive(channel))["payload"])

    task = asyncio.create_task(read())

    async def publish(payload: bytes) -> None:
        await layer.group_send("all", {"type": "tell", "payload": payload})

    async def leave() -> None:
        task.cancel()
        await layer.close_pools()

    return publish, leave


async def join_socketio_redis(url: str, deliver: Deliver) -> Joined:
    """Join by python-socketio's manager, up to where it would write to its own clients."""
    import socketio

    class Manager(socketio.AsyncRedisManager):  # type: ignore[misc,name-defined,unused-ignore]
        async def _handle_emit(self, message: dict[str, Any]) -> None:
            deliver(message["data"][0].encode("latin-1"))

    manager = Manager(url.rpartition("/")[0])
    server = socketio.AsyncServer(async_mode="asgi", client_manager=manager)
    manager.set_server(server)
    manager.initialize()
    await asyncio.sleep(0.5)  # until it listens

    async def publish(payload: bytes) -> None:
        await manager.emit("told", payload.decode("latin-1"), namespace="/")

    async def leave() -> None:
        manager.thread.cancel()

    return publish, leave


STORES: dict[str, dict[str, tuple[Callable[[str, Deliver], Awaitable[Joined]], str]]] = {
    "redis": {
        "a bare program": (join_bare, "redis"),
        "asgi-signalr": (join_ours, "redis"),
        "channels_redis": (join_channels_redis, "channels_redis"),
        "python-socketio": (join_socketio_redis, "socketio"),
    },
    "postgres": {"a bare program": (join_bare, "asyncpg"), "asgi-signalr": (join_ours, "asyncpg")},
    "nats": {"asgi-signalr": (join_ours, "nats")},
    "sqlite": {"asgi-signalr": (join_ours, "aiosqlite")},
}


def receive(store: str, entrant: str, url: str, results: Any, commands: Any) -> None:
    """Be the second server: tell how long messages were on their way, and how many came."""
    asyncio.run(_receive(store, entrant, url, results, commands))


async def _receive(store: str, entrant: str, url: str, results: Any, commands: Any) -> None:
    delays: list[float] = []

    def take(payload: bytes) -> None:
        delays.append(time.monotonic() - struct.unpack_from("d", payload)[0])

    _, leave = await STORES[store][entrant][0](url, take)
    results.put("ready")
    while (command := await asyncio.to_thread(commands.get)) != "leave":
        if command == "forget":
            delays.clear()
        results.put(list(delays))
    await leave()


async def measure(store: str, entrant: str, url: str, seconds: float, size: int = SIZE) -> tuple[float, float]:
    """Median milliseconds on the way at a calm rate, and messages a second at most, as the other server sees them."""
    text = random.Random(size).randbytes(size)  # nothing that a database could compress
    most_waiting = max(8, min(WAITING, WAITING_BYTES // size))
    context = multiprocessing.get_context("spawn")
    results, commands = context.Queue(), context.Queue()
    other = context.Process(target=receive, args=(store, entrant, url, results, commands), daemon=True)
    other.start()
    await asyncio.to_thread(results.get)
    heard = 0
    more = asyncio.Event()

    def take(_: bytes) -> None:
        nonlocal heard
        heard += 1
        more.set()

    publish, leave = await STORES[store][entrant][0](url, take)

    def payload() -> bytes:
        return struct.pack("d", time.monotonic()) + text[8:]

    for _ in range(round(seconds * RATE)):
        await publish(payload())
        await asyncio.sleep(1 / RATE)
    await asyncio.sleep(1)
    commands.put("tell")
    delays = await asyncio.to_thread(results.get)

    commands.put("forget")
    await asyncio.to_thread(results.get)
    heard, sent = 0, 0
    end = time.monotonic() + seconds

    async def send() -> None:
        nonlocal sent
        while time.monotonic() < end:
            while sent - heard >= most_waiting and time.monotonic() < end:
                more.clear()
                await asyncio.wait([asyncio.create_task(more.wait())], timeout=0.1)
            await publish(payload())
            sent += 1
            if sent % 50 == 0:
                await asyncio.sleep(0)

    await asyncio.gather(*(send() for _ in range(8)))
    commands.put("tell")
    came = len(await asyncio.to_thread(results.get))
    commands.put("leave")
    await leave()
    await asyncio.to_thread(other.join, 10)
    return statistics.median(delays) * 1000, came / seconds


def tell_all(seconds: float) -> None:
    """Measure every entrant on every store, and print each beside the bare program."""
    sys.stdout.write(f"{'store':<10}{'entrant':<18}{'median ms':>10}{'of bare':>9}{'msgs/s':>10}{'of bare':>9}\n")
    for store, entrants in STORES.items():
        bare: tuple[float, float] | None = None
        with running(store) as url:
            for entrant, (_, module) in entrants.items():
                if importlib.util.find_spec(module) is None:
                    sys.stdout.write(f"{store:<10}{entrant:<18}{'not installed':>19}\n")
                    continue
                delay, most = asyncio.run(measure(store, entrant, url, seconds))
                bare = bare or ((delay, most) if entrant == "a bare program" else None)
                beside = (f"{delay / bare[0]:.1f}", f"{most / bare[1]:.1f}") if bare else ("", "")
                sys.stdout.write(f"{store:<10}{entrant:<18}{delay:>10.2f}{beside[0]:>9}{most:>10.0f}{beside[1]:>9}\n")
                sys.stdout.flush()


def tell_large(seconds: float) -> bool:
    """Measure large messages through PostgreSQL, in turns; whether they keep up with those of the bare program."""
    keeps_up = True
    sys.stdout.write(f"{'kB':<6}{'entrant':<18}{'median ms':>10}{'msgs/s':>10}{'MB/s':>8}\n")
    for size in LARGE:
        measured: dict[str, list[tuple[float, float]]] = {entrant: [] for entrant in STORES["postgres"]}
        with running("postgres") as url:
            for _ in range(ROUNDS):
                for entrant, values in measured.items():
                    values.append(asyncio.run(measure("postgres", entrant, url, seconds, size)))
        medians = {
            entrant: [statistics.median(each) for each in zip(*values, strict=True)]
            for entrant, values in measured.items()
        }
        for entrant, (delay, most) in medians.items():
            sys.stdout.write(f"{size // 1024:<6}{entrant:<18}{delay:>10.2f}{most:>10.0f}{most * size / 1e6:>8.1f}\n")
        (bare_delay, bare_most), (delay, most) = medians["a bare program"], medians["asgi-signalr"]
        slower, fewer = delay / bare_delay, bare_most / most
        keeps_up &= max(slower, fewer) <= LARGE_LIMIT
        sys.stdout.write(f"{'':<6}{'of bare':<18}{slower:>10.2f}{1 / fewer:>10.2f}\n")
        sys.stdout.flush()
    return keeps_up


def main() -> int:
    """Measure, and print each entrant beside the bare program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seconds", nargs="?", type=float, default=5.0, help="of each measurement (default: 5)")
    parser.add_argument("--large", action="store_true", help="messages of 16 kB and 256 kB through PostgreSQL")
    options = parser.parse_args()
    if options.large:
        return 0 if tell_large(options.seconds) else 1
    tell_all(options.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
