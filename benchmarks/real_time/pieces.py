"""Of what a call consists: `uv run python benchmarks/real_time/pieces.py`.

No server, no socket and no other process: a client of the benchmark's hub whose frames go nowhere. So it shows the
library's own part of a call with the adapter, in nanoseconds, and what of that its pieces take by themselves: reading
the call, a hub and a context of its own, writing the answer; and what an `async def` method adds to that. It prints
only, and has no limit.
"""

import argparse
import asyncio
import contextlib
import sys
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Callable
from contextvars import copy_context
from pathlib import Path
from time import process_time
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).parent / "peers"))
from asgi_signalr.hubs.calls import Call
from asgi_signalr.messages import Completion
from asgi_signalr.protocols.json import JsonHubProtocol
from asgi_signalr.transports.payload import frame_of
from asgi_signalr.transports.websockets import EXTENSION, no_fast_path
from asgi_signalr_hub import Bench, signalr

# Calls in one tick of the event loop, as if so many clients had called.
IN_A_TICK = 100
MESSAGE = '{"type":1,"target":"%s","arguments":["' + 63 * "x" + '|"],"invocationId":"1"}\x1e'


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(prog="benchmarks/real_time/pieces.py", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="how often each piece has its turn (default: 20)")
    parser.add_argument("--ticks", type=int, default=50, help=f"of {IN_A_TICK} in each turn (default: 50)")
    options = parser.parse_args()
    for name, nanoseconds in uvloop.run(measure(options.rounds, options.ticks)).items():
        print(f"{name:<60}{nanoseconds:>7.0f} ns")


async def measure(rounds: int, ticks: int) -> dict[str, float]:
    """Measure each piece by the best of its turns: whatever disturbs them only makes them longer."""
    direct = await connected()
    fast_path = direct.fast_path
    (connection,) = signalr._servers.to_serve().connections._connections
    def_call, async_call = (MESSAGE % "echo_at_once").encode(), (MESSAGE % "echo").encode()
    protocol, loop = JsonHubProtocol(), asyncio.get_running_loop()
    read, write, calls = protocol.parse_invocation, protocol.writer(str), connection.calls
    text = read(def_call, 1 << 15).arguments[0]  # type: ignore[union-attr]
    completion = Completion("1", text)
    answer = write(completion)
    echo, at_once = Bench.echo, Bench.echo_at_once
    spare = asyncio.ensure_future(asyncio.sleep(3600))

    def make_hub() -> Any:
        hub = Bench()
        hub._hub_connection = connection
        return hub

    hub = make_hub()

    def run_coroutine() -> None:
        try:
            echo(hub, text).send(None)
        except StopIteration:
            return

    def begin_and_end() -> None:
        Call(calls, "1", holds_turn=True).end()

    def enter_and_leave() -> None:
        _enter_task(loop, spare)
        _leave_task(loop, spare)

    pieces: dict[str, Callable[[], object]] = {
        "a call of a `def` method": lambda: fast_path(def_call),
        "  reading it": lambda: read(def_call, 1 << 15),
        "  a hub": make_hub,
        "  a context, and the method": lambda: copy_context().run(at_once, hub, text),
        "  writing its result": lambda: write(Completion("1", text)),
        "  a frame for it": lambda: frame_of(answer, False),
        "a call of an `async def` method": lambda: fast_path(async_call),
        "  a coroutine, run to its end, in place of the method": run_coroutine,
        "  a task entered and left": enter_and_leave,
        "  what can be cancelled and has a turn": begin_and_end,
        "a coroutine in a task of its own, by asyncio": lambda: asyncio.create_task(echo(hub, text)),
    }
    best = dict.fromkeys(pieces, float("inf"))
    for _ in range(rounds):
        for name, piece in pieces.items():
            best[name] = min(best[name], await _seconds(piece, ticks) / ticks / IN_A_TICK)
    nothing = await _seconds(lambda: None, ticks) / ticks / IN_A_TICK
    spare.cancel()
    return {name: (seconds - nothing) * 1e9 for name, seconds in best.items()}


async def _seconds(piece: Callable[[], object], ticks: int) -> float:
    """Take the time of a piece as calls are made with the adapter: many in a tick, within no task."""
    loop = asyncio.get_running_loop()

    def tick(done: asyncio.Future[None]) -> None:
        for _ in range(IN_A_TICK):
            piece()
        done.set_result(None)

    began = process_time()
    for _ in range(ticks):
        done = loop.create_future()
        loop.call_soon(tick, done)
        await done
    return process_time() - began


class Nowhere:
    """A server's way past ASGI that leads nowhere."""

    blocked = False
    fast_path: Callable[[bytes], bool] = staticmethod(no_fast_path)
    on_message: Callable[[bytes, bool], None] | None = None

    def refuse_compression(self) -> None:
        pass

    def receive_with(self, on_message: Callable[[bytes, bool], None], _on_closed: Callable[[int], None]) -> None:
        self.on_message = on_message

    def write(self, _frame: bytes) -> None:
        pass


async def connected() -> Nowhere:
    """Connect a client to the hub, and wait until it may call."""
    direct = Nowhere()
    scope = {
        "type": "websocket",
        "path": "/hub",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "extensions": {EXTENSION: direct},
    }

    async def receive() -> dict[str, Any]:
        if direct.on_message is not None:
            await asyncio.Event().wait()
        return {"type": "websocket.connect"}

    async def send(_event: Any) -> None:
        pass

    _tasks.append(asyncio.create_task(signalr(scope, receive, send)))
    while direct.on_message is None:  # noqa: ASYNC110  (it takes a few ticks)
        await asyncio.sleep(0)
    direct.on_message(b'{"protocol":"json","version":1}\x1e', True)
    for _ in range(100):
        await asyncio.sleep(0)
    assert direct.fast_path is not no_fast_path
    return direct


_tasks: list[asyncio.Task[None]] = []

if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        main()
