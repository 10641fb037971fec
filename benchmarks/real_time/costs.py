"""Where the costs of messages, connections and their memory lie: `uv run python benchmarks/real_time/costs.py`.

What `benchmarks/real_time` compares, taken apart: the processor time of a delivery in the kernel and in the program,
beside picows, the floor and the least that is a hub in Python; that of a call, beside that least program, with ASGI and
without; that of connecting a client, with and without Python's garbage collector, and whose code spends it; and who has
allocated what an idle connection takes. Nothing is required here; it shows what could still be saved, and where.
"""

import argparse
import cProfile
import gc
import json
import subprocess
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import load
import psutil
from entrants import ADAPTER, FLOOR, PEERS, PICOWS, PLAIN, STARLETTE, Entrant
from machine import LOAD_CORE, SERVER_CORE, allow_open_files, pin, running

WARM_UP = 0.3
COLUMNS = "in brackets, of these in the program; the rate, of the first one's"
UVLOOP = Entrant("uvloop", "a transport.write() each, on uvloop", "uvloop_writes.py", load.PLAIN)
LEAST = Entrant("least", "the least on uvloop", "bare_uvloop.py", load.SIGNALR)
BARE = Entrant("bare", "the least on ASGI", "bare_asgi.py", load.SIGNALR)


def main() -> None:
    """Measure, and print four tables."""
    parser = argparse.ArgumentParser(prog="benchmarks/real_time/costs.py", description=__doc__)
    parser.add_argument(
        "what", nargs="?", choices=("deliveries", "calls", "connecting", "memory"), help="only one of the tables"
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement of messages (default: 1)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each server has its turn (default: 5)")
    parser.add_argument("--clients", type=int, default=5000, help="to connect (default: 5000)")
    parser.add_argument("--serve", choices=tuple(SERVERS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    allow_open_files(options.clients + 1000)
    pin(0, LOAD_CORE)
    if options.what in (None, "deliveries"):
        tell_deliveries(options.seconds, options.rounds)
    if options.what in (None, "calls"):
        tell_calls(options.seconds, options.rounds)
    if options.what in (None, "connecting"):
        tell_connecting(options.clients, options.rounds)
    if options.what in (None, "memory"):
        tell_memory(options.clients)


# A delivery, and a call.


def tell_deliveries(seconds: float, rounds: int) -> None:
    """Tell how much of a delivery, one broadcast at a time, is the kernel's affair."""
    entrants = [each for each in (FLOOR, UVLOOP, LEAST, PICOWS, ADAPTER) if each.missing is None]
    print(f"µs of processor time for a delivery, one broadcast at a time; {COLUMNS}")
    for number in (100, 1000, 5000):
        _tell(entrants, number, rounds, lambda clients, time: clients.fan_out(time, one_at_a_time=True), seconds)


def tell_calls(seconds: float, rounds: int) -> None:
    """Tell what a call costs, alone and with others: of a `def` and an `async def` method, and at the least."""
    at_once = [
        replace(each, name=f"{each.name}, {how}", dialect=load.SIGNALR_AT_ONCE)
        for each, how in ((LEAST, "no task"), (BARE, "no task"), (PLAIN, "def"), (ADAPTER, "def"))
    ]
    waiting = [
        replace(each, name=f"{each.name}, {how}")
        for each, how in ((LEAST, "a task each"), (BARE, "a task each"), (PLAIN, "async def"), (ADAPTER, "async def"))
    ]
    print(f"µs of processor time for a call; {COLUMNS}")
    for number in (1, 100):
        asked = partial(load.Clients.echo, connections=number)
        _tell([PICOWS, STARLETTE, *at_once, *waiting], number, rounds, asked, seconds)


Run = Callable[[load.Clients, float], tuple[int, float]]


def _tell(entrants: list[Entrant], number: int, rounds: int, run: Run, seconds: float) -> None:
    costs: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for entrant in entrants:
            costs.setdefault(entrant.name, []).append(_cost(entrant, number, run, seconds))
    first: float | None = None
    for name, measured in costs.items():
        whole, own = (median(each) for each in zip(*measured, strict=True))
        first = first or whole
        print(f"{number:>6} clients  {name:<36}{whole:>7.2f} ({own:.2f}){first / whole:>8.2f}")


def _cost(entrant: Entrant, number: int, run: Run, seconds: float) -> tuple[float, float]:
    with running(entrant) as server, load.Clients(server.port, entrant.dialect) as clients:
        clients.connect(number)
        run(clients, WARM_UP)
        process = psutil.Process(server.pid)
        before, times = server.cpu_seconds(), process.cpu_times()
        messages, _ = run(clients, seconds)
        after = process.cpu_times()
        # The whole is exact; how it is divided the kernel knows in steps.
        user, system = after.user - times.user, after.system - times.system
        whole = (server.cpu_seconds() - before) / messages * 1e6
        return whole, whole * user / ((user + system) or 1)


# A client that connects.


def tell_connecting(number: int, rounds: int) -> None:
    """Tell what it costs to connect a client, how much of that is the garbage collector's, and whose the rest is."""
    print(f"ms of processor time to connect one of {number:,} clients")
    for entrant in (PICOWS, LEAST, STARLETTE, BARE, PLAIN, ADAPTER):
        cost = median(_connecting(entrant, number) for _ in range(rounds))
        print(f"  {entrant.name:<50}{cost:>6.3f}")
    measured = [_watched("collected", number) for _ in range(rounds)]
    print(f"  of that, in the collector:{'':<25}{median(each['collector'] for each in measured) / number * 1e3:>6.3f}")
    measured = [_watched("uncollected", number) for _ in range(rounds)]
    print(f"  the adapter after gc.disable():{'':<20}{median(each['cpu'] for each in measured) / number * 1e3:>6.3f}")
    spent = _watched("profiled", number)["time"]
    print("  of the adapter's time in Python, by whose code (with a profiler, which makes calls dearer):")
    for name, seconds in sorted(spent.items(), key=lambda each: -each[1]):
        if (share := seconds / sum(spent.values())) >= 0.02:
            print(f"    {name:<48}{share:>6.0%}")


def _connecting(entrant: Entrant, number: int) -> float:
    with running(entrant) as server, load.Clients(server.port, entrant.dialect) as clients:
        clients.connect(100)
        before = server.cpu_seconds()
        clients.connect(number + 100)
        return (server.cpu_seconds() - before) / number * 1000


# The memory of an idle connection.


def tell_memory(number: int) -> None:
    """Tell who has allocated what an idle connection takes."""
    print(f"kB of an idle connection, of {number:,}, as the system counts them")
    for entrant in (PICOWS, STARLETTE, PLAIN, ADAPTER):
        with running(entrant) as server, load.Clients(server.port, entrant.dialect) as clients:
            clients.connect(100)
            before = server.memory()
            clients.connect(number + 100)
            print(f"  {entrant.name:<50}{(server.memory() - before) / number / 1000:>8.1f}")
    report = _watched("traced", number)
    print(f"bytes of an idle connection, of {number:,}, by whose code has allocated them")
    for name, size in sorted(report["memory"].items(), key=lambda each: -each[1]):
        if size >= number:
            print(f"  {name:<50}{size / number:>8.0f}")
    print(f"  {'all of Python':<50}{sum(report['memory'].values()) / number:>8.0f}")


# The server that is watched.

SERVERS = ("collected", "uncollected", "profiled", "traced")


def serve(how: str) -> None:
    """Serve the benchmark's hub through the adapter; each line of input is answered with a report."""
    sys.path.insert(0, str(PEERS))
    from asgi_signalr_hub import signalr
    from serving import serve as run

    if how == "uncollected":
        gc.disable()
    spent, began = 0.0, 0.0

    def watch(phase: str, _: dict[str, int]) -> None:
        nonlocal spent, began
        if phase == "start":
            began = time.process_time()
        else:
            spent += time.process_time() - began

    gc.callbacks.append(watch)
    # What is written in C is counted to whoever has called it.
    profiler = cProfile.Profile(time.thread_time, builtins=False)

    def answer() -> None:
        before: tracemalloc.Snapshot | None = None
        for _ in sys.stdin:
            memory: Counter[str] = Counter()
            spent_by: Counter[str] = Counter()
            if how == "profiled":
                for entry in profiler.getstats():
                    spent_by[_room(entry.code.co_filename)] += entry.inlinetime
            if how == "traced":
                gc.collect()
                snapshot = tracemalloc.take_snapshot()
                if before is not None:
                    for each in snapshot.compare_to(before, "lineno"):
                        memory[_whose(each.traceback[0].filename, each.traceback[0].lineno)] += each.size_diff
                before = snapshot
            report = {"collector": spent, "cpu": time.process_time(), "memory": memory, "time": spent_by}
            print(json.dumps(report), flush=True)

    threading.Thread(target=answer, daemon=True).start()
    if how == "traced":
        tracemalloc.start()
    elif how == "profiled":
        profiler.enable()
    run(signalr, "asgi_signalr.servers.uvicorn:WebSocketProtocol")


def _whose(filename: str, line: int) -> str:
    path = Path(filename)
    for package in ("asgi_signalr", "uvicorn", "websockets"):
        if package in path.parts:
            return "/".join(path.parts[path.parts.index(package) :])
    return f"{path.parent.name}/{path.name}:{line}" if path.parent.name == "asyncio" else path.name


def _room(filename: str) -> str:
    """Name the package that a file is of; of this library the room."""
    path = Path(filename)
    for package in ("asgi_signalr", "uvicorn", "websockets"):
        if package in path.parts:
            inside = path.parts[path.parts.index(package) :]
            return "/".join(inside[:2]) if package == "asgi_signalr" else package
    return "the standard library"


def _watched(how: str, number: int) -> dict:
    """Connect clients to the watched server, and take the difference between two reports."""
    command = [sys.executable, __file__, "--serve", how]
    with _started(command) as process, load.Clients(int(_line(process)), ADAPTER.dialect) as clients:
        clients.connect(100)
        before = _report(process)
        clients.connect(number + 100)
        after = _report(process)
    return {key: after[key] - before[key] if isinstance(after[key], float) else after[key] for key in after}


@contextmanager
def _started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        pin(process.pid, SERVER_CORE)
        yield process
    finally:
        process.kill()
        process.wait()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def _report(process: subprocess.Popen[str]) -> dict:
    assert process.stdin is not None
    process.stdin.write("report\n")
    process.stdin.flush()
    return json.loads(_line(process))


if __name__ == "__main__":
    main()
