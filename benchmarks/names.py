"""What names without case cost: calls by other spellings of a method's name, and properties in other case.

uv run python benchmarks/names.py [ROUNDS]

In one process, in turns; prints medians beside the exact name. Exits with 1 if a spelling that clients use costs more
than LIMIT times as much on the fast path, which finds it in a table.
"""

import asyncio
import gc
import statistics
import sys
import time

from asgi_signalr import Hub, SignalR
from asgi_signalr.testing import TestClient

CALLS = 2_000
LIMIT = 1.1
NAMES = {"get_value": "as it is declared", "getValue": "camelCase", "GetValue": "PascalCase", "getvalue": "lower case"}
OTHER = "GETVALUE"


class Bench(Hub):
    def get_value(self, text: str) -> str:
        return text


def message(name: str) -> bytes:
    """Build a call without an id: there is no answer to be written."""
    return f'{{"type":1,"target":"{name}","arguments":["hello"]}}\x1e'.encode()


async def main() -> int:
    """Measure in turns, and compare."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    signalr = SignalR()
    signalr.hub("/bench")(Bench)
    seconds: dict[str, list[float]] = {name: [] for name in (*NAMES, OTHER)}
    async with TestClient(signalr, "/bench"):
        (connection,) = signalr._servers.to_serve().connections._connections
        await asyncio.sleep(0.1)
        fast = connection.transport.fast_path
        gc.disable()
        for _ in range(rounds):
            for name, taken in seconds.items():
                data = message(name)
                began = time.process_time()
                for _ in range(CALLS):
                    fast(data)
                taken.append(time.process_time() - began)
                await asyncio.sleep(0)
    exact = statistics.median(seconds["get_value"])
    held = True
    for name, taken in seconds.items():
        ratio = statistics.median(taken) / exact
        said = NAMES.get(name, "any other spelling, by the ordinary path")
        print(f"{name:12} {1e6 * statistics.median(taken) / CALLS:6.2f} µs  {ratio:5.2f}x  {said}")
        held &= ratio <= LIMIT or name == OTHER
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
