"""How fast the clients of one server hear what a client of another one has sent, with each library and store.

    uv run --with channels-redis --with channels-postgres --with python-socketio python benchmarks/scale_out [SECONDS]
    uv run python benchmarks/scale_out --chart FILE [--store redis] [SECONDS]

Two servers, 100 clients on each. One client asks its server 50 times a second for a message to all, and one of the
*other* server's clients tells how long each took from the ask. Then as many as can be are asked for, 64 of them under
way, and that client counts. With `--chart` it is asgi-signalr alone, with 1, 2, 4 and 8 servers of one client each and
messages of 256 B, 16 kB and 256 kB, drawn into FILE. The exit code is 1 if a limit is missed.
"""

import argparse
import importlib.util
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "real_time"))

from drain import DIALECTS
from load import READ, Clients
from stores import running

from labkit import services
from labkit.lab import Kind
from labkit.measuring import Measured, chart

RATE = 50
CLIENTS = 100
UNDER_WAY = 64
SERVERS = (1, 2, 4, 8)
SIZES = {"256 B": 256, "16 kB": 16_000, "256 kB": 256_000}

STORES = {
    "redis": {"bare": "redis", "asgi-signalr": "redis", "python-socketio": "socketio", "channels": "channels_redis"},
    "postgres": {"bare": "asyncpg", "asgi-signalr": "asyncpg", "channels": "channels_postgres"},
}


@contextmanager
def server(entrant: str, url: str, size: int) -> Iterator[int]:
    """Run a server in a process of its own; yields its port."""
    command = [sys.executable, str(Path(__file__).parent / "apps.py"), entrant, url, str(size)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield int(first_line(process, f"the server of {entrant}"))
    finally:
        process.kill()
        process.wait()


def first_line(process: "subprocess.Popen[str]", what: str) -> str:
    """What a process says when it is ready.

    Raises:
        SystemExit: it has ended before.

    """
    assert process.stdout is not None  # it is a pipe
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"{what} ended with exit code {process.wait()} before all were ready: see what stands above.")
    return line


@contextmanager
def listeners(ports: list[int], entrant: str, number: int) -> Iterator[None]:
    """Have so many clients on each server, in a process for each."""
    program = str(Path(__file__).parent / "drain.py")
    processes = []
    try:
        for port in ports if number else ():
            command = [sys.executable, program, entrant, str(port), str(number)]
            processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        for each in processes:
            first_line(each, f"the clients of {entrant}")
        yield
    finally:
        for each in processes:
            each.kill()
            each.wait()


def meet(sender: Clients, hearer: Clients) -> None:
    """Wait until the hearer's server hears the sender's."""
    until = time.monotonic() + 30
    while True:
        sender.ask()
        heard = 0
        wait = time.monotonic() + 0.5
        while time.monotonic() < wait:
            heard += sum(hearer._receive[fd](READ).count(b"|") for fd in hearer._poll(0.1))
        if heard:
            while ready := list(hearer._poll(1.0)):  # what was asked for before comes late, if the servers are slow
                for fd in ready:
                    hearer._receive[fd](READ)
            return
        if time.monotonic() > until:
            raise SystemExit("The servers do not hear each other: see what stands above.")


def asked(sender: Clients, hearer: Clients, seconds: float) -> tuple[list[float], float]:
    """Seconds from asks at a calm rate to the other server's client, and broadcasts a second at most."""
    meet(sender, hearer)
    _empty(sender)
    delays = []
    for _ in range(round(seconds * RATE)):
        begun = time.perf_counter()
        sender.ask()
        hearer.take(1)
        delays.append(time.perf_counter() - begun)
        _empty(sender)
        time.sleep(max(0.0, 1 / RATE - (time.perf_counter() - begun)))
    begun, sent, taken = time.perf_counter(), 0, 0
    while (now := time.perf_counter()) < begun + seconds:
        while sent - taken < UNDER_WAY:
            sender.ask()
            sent += 1
        taken += sum(hearer._receive[fd](READ).count(b"|") for fd in hearer._poll(0.2))
        _empty(sender)
    rate = taken / (now - begun)
    hearer.take(sent - taken)
    return delays, rate


def _empty(clients: Clients) -> None:
    """Read what has come, so that it does not hold its server up."""
    for fd in clients._poll(0):
        clients._receive[fd](READ)


def measure(entrant: str, url: str, count: int, clients: int, size: int, seconds: float) -> tuple[list[float], float]:
    """Run so many servers, and measure."""
    with ExitStack() as stack:
        ports = [stack.enter_context(server(entrant, url, size)) for _ in range(count)]
        before = (clients - 1) // 2  # who hears is neither the first client that is written to, nor the last
        stack.enter_context(listeners(ports, entrant, before))
        dialect = DIALECTS[entrant]
        sender, hearer = [stack.enter_context(Clients(port, dialect)) for port in (ports[0], ports[-1])]
        for each in (sender, hearer):
            each.connect(1)
        stack.enter_context(listeners(ports, entrant, clients - 1 - before))
        return asked(sender, hearer, seconds)


def compare(seconds: float) -> bool:
    """Print every entrant on every store beside the bare program; whether the limits hold."""
    holds = True
    sys.stdout.write(f"{'store':<10}{'entrant':<18}{'median ms':>10}{'of bare':>9}{'broadcasts/s':>14}{'of bare':>9}\n")
    for store, entrants in STORES.items():
        found: dict[str, tuple[float, float]] = {}
        with running(store) as url:
            for entrant, module in entrants.items():
                if importlib.util.find_spec(module) is None:
                    sys.stdout.write(f"{store:<10}{entrant:<18}{'not installed':>19}\n")
                    continue
                try:
                    delays, rate = measure(entrant, url, 2, CLIENTS, 256, seconds)
                except AssertionError as error:  # it has delivered what nobody had asked for
                    sys.stdout.write(f"{store:<10}{entrant:<18}left out: {error}\n")
                    continue
                delay = statistics.median(delays) * 1000
                found[entrant] = delay, rate
                beside = f"{delay / found['bare'][0]:>9.2f}{rate:>14.0f}{rate / found['bare'][1]:>9.1f}"
                sys.stdout.write(f"{store:<10}{entrant:<18}{delay:>10.2f}{beside}\n")
                sys.stdout.flush()
        holds = _judge(store, found) and holds
    return holds


def _judge(store: str, found: dict[str, tuple[float, float]]) -> bool:
    ours, bare = found["asgi-signalr"], found["bare"]
    libraries = [each for name, each in found.items() if name not in ("asgi-signalr", "bare")]
    limits = [("latency, of the bare program's", ours[0] / bare[0], 1.5, True)]
    if libraries:
        limits += [
            ("latency, of the best library's", ours[0] / min(each[0] for each in libraries), 0.5, True),
            ("broadcasts/s, of the best library's", ours[1] / max(each[1] for each in libraries), 2.0, False),
        ]
    for what, ratio, limit, is_most in limits:
        holds = ratio <= limit if is_most else ratio >= limit
        sign, bound = "ok" if holds else "MISSED", "at most" if is_most else "at least"
        sys.stdout.write(f"{store:<10}{what:<38}{ratio:>6.2f}   {bound} {limit:g}: {sign}\n")
    return all(ratio <= limit if is_most else ratio >= limit for _, ratio, limit, is_most in limits)


def draw(store: str, file: Path, seconds: float) -> None:
    """Draw asgi-signalr alone, with more servers and larger messages."""
    figures = []
    with running(store) as url:
        for title, size in SIZES.items():
            for count in SERVERS:
                delays, rate = measure("asgi-signalr", url, count, 1, size, seconds)
                ordered = sorted(delays)
                late = ordered[int(len(ordered) * 0.99)]
                kind = Kind(title, f"messages of {title}", RATE, by_clients=False)
                figures.append(Measured(kind, count, None, rate, statistics.median(delays), late, 0.0))
                sys.stdout.write(
                    f"{title:<8}{count} servers {statistics.median(delays) * 1000:>9.2f} ms {rate:>9.0f} messages/s\n"
                )
                sys.stdout.flush()
    notes = [
        f"asgi-signalr on {services.find(store).title if store != 'postgres' else 'PostgreSQL'}, "
        f"{', '.join(map(str, SERVERS))} servers of one machine: they share its processors. "
        f"Time on the way at {RATE} messages a second, from the ask to a client of the last server.",
    ]
    file.write_text(chart.svg("One backplane, more servers, larger messages", notes, figures), encoding="utf-8")


def main() -> int:
    """Compare, or draw."""
    parser = argparse.ArgumentParser()
    parser.add_argument("seconds", nargs="?", type=float, default=4.0)
    parser.add_argument("--chart", type=Path)
    parser.add_argument("--store", choices=["redis", "postgres", "nats", "sqlite"], default="redis")
    given = parser.parse_args()
    if given.chart:
        draw(given.store, given.chart, given.seconds)
        return 0
    return 0 if compare(given.seconds) else 1


if __name__ == "__main__":
    sys.exit(main())
