"""What is measured: one session of the servers that are compared closely, or of one other, from start to end."""

import gc
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median, quantiles

import load
from entrants import GROUPS, OURS, PICOWS, Entrant
from machine import Server, running

WARM_UP = 0.15
# Calls are what is compared most closely: in short turns, so that whatever disturbs the machine meets all of them.
CALL_TURNS = 4
IN_A_TICK = 4


@dataclass(frozen=True)
class Plan:
    """How long and how much."""

    rounds: int
    seconds: float
    """Of each measurement, in all turns of a round."""
    many: int
    """The most clients; idle ones, for the memory."""
    samples: int
    """Broadcasts at 10/s."""


QUICK = Plan(rounds=2, seconds=0.3, many=1000, samples=60)
FULL = Plan(rounds=11, seconds=0.4, many=5000, samples=200)


Run = Callable[[load.Clients, float], tuple[int, float]]
"""Keeps a server busy for some seconds; returns what it has delivered or answered, and the seconds."""


@dataclass
class Figures:
    """All that was measured, by entrant and metric: one value for each turn."""

    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, entrant: str, metric: str, value: float) -> None:
        self.values.setdefault(entrant, {}).setdefault(metric, []).append(value)

    def median(self, entrant: str, metric: str) -> float | None:
        values = self.values.get(entrant, {}).get(metric)
        return median(values) if values else None


@dataclass
class Side:
    """One server, and its clients."""

    entrant: Entrant
    server: Server
    clients: load.Clients


def session(entrants: Sequence[Entrant], plan: Plan, figures: Figures) -> None:
    """Start some servers and take their figures in turns."""
    with ExitStack() as stack:

        def side(entrant: Entrant, *, offer_deflate: bool = False) -> Side:
            server = stack.enter_context(running(entrant))
            clients = load.Clients(server.port, entrant.dialect, offer_deflate=offer_deflate)
            return Side(entrant, server, stack.enter_context(clients))

        sides = [side(each) for each in entrants]
        # Once more with clients that offer compression, as browsers do.
        deflating = [side(each, offer_deflate=True) for each in entrants if each in OURS]
        gc.collect()
        gc.disable()  # the load generator's own pauses are none of the servers'
        stack.callback(gc.enable)
        _take_figures(sides, deflating, plan, figures)


def session_alone(entrant: Entrant, plan: Plan, figures: Figures) -> None:
    """Start one server and take the figures that need no repetition, but nothing else on its core."""
    with running(entrant) as server, load.Clients(server.port, entrant.dialect) as clients:
        clients.connect(100)
        empty, spent = server.memory(), server.cpu_seconds()
        clients.connect(1000)
        if plan.many == 1000:
            _weigh(entrant, server, empty, spent, 900, figures)
        if entrant in (*OURS, PICOWS):
            clients.fan_out(WARM_UP)
            seconds = clients.latencies(plan.samples, 0.1)
            figures.add(entrant.key, "ms, median at 10/s", median(seconds) * 1000)
            figures.add(entrant.key, "ms, p99 at 10/s", quantiles(seconds, n=100)[98] * 1000)
        if plan.many > 1000:
            before, spent = server.memory(), server.cpu_seconds()
            clients.connect(plan.many)
            _weigh(entrant, server, before, spent, plan.many - 1000, figures)
            side = Side(entrant, server, clients)
            _rate(side, f"fan-out {plan.many:,}", load.Clients.fan_out, plan, figures)
            if entrant in GROUPS[0]:
                _rate(side, f"one at a time to {plan.many:,}", _one_at_a_time, plan, figures)


def _weigh(entrant: Entrant, server: Server, memory: int, spent: float, connections: int, figures: Figures) -> None:
    figures.add(entrant.key, "ms to connect", (server.cpu_seconds() - spent) / connections * 1000)
    figures.add(entrant.key, "kB per connection", (server.memory() - memory) / connections / 1000)


def _take_figures(sides: Sequence[Side], deflating: Sequence[Side], plan: Plan, figures: Figures) -> None:
    def rate(metric: str, run: Run, of: Sequence[Side] = sides, turns: int = 1) -> None:
        for side in of:
            _rate(side, metric, run, plan, figures, turns)

    ours = [side for side in sides if side.entrant in OURS]
    _connect(sides, 100)
    rate("fan-out 100", load.Clients.fan_out)
    rate("one at a time to 100", _one_at_a_time)
    rate("16 outstanding to 100", lambda clients, seconds: clients.fan_out(seconds, outstanding=16))
    rate("echo 1", lambda clients, seconds: clients.echo(seconds, 1))
    for _ in range(CALL_TURNS):
        rate("echo 100", lambda clients, seconds: clients.echo(seconds, 100), turns=CALL_TURNS)
        for side in ours:
            side.clients.use(load.SIGNALR_AT_ONCE)
        rate("echo 100, def", lambda clients, seconds: clients.echo(seconds, 100), ours, CALL_TURNS)
        for side in ours:
            side.clients.use(side.entrant.dialect)
    _connect([*sides, *deflating], 1000)
    rate("fan-out 1,000", load.Clients.fan_out)
    rate("one at a time", _one_at_a_time)
    rate("fan-out 1,000, deflate offered", load.Clients.fan_out, deflating)
    rate("4 in a tick", lambda clients, seconds: clients.fan_out(seconds, IN_A_TICK))


def _one_at_a_time(clients: load.Clients, seconds: float) -> tuple[int, float]:
    return clients.fan_out(seconds, one_at_a_time=True)


def _connect(sides: Sequence[Side], number: int) -> None:
    for side in sides:
        side.clients.connect(number)


def _rate(side: Side, metric: str, run: Run, plan: Plan, figures: Figures, turns: int = 1) -> None:
    run(side.clients, WARM_UP / turns)
    before, writes = side.server.cpu_seconds(), side.server.writes()
    number, seconds = run(side.clients, plan.seconds / turns)
    spent, written = side.server.cpu_seconds() - before, side.server.writes()
    if writes is not None and written is not None:
        figures.add(side.entrant.key, f"{metric}, writes", (written - writes) / number)
    figures.add(side.entrant.key, metric, number / seconds)
    figures.add(side.entrant.key, f"{metric}, CPU s per 1M", spent / number * 1e6)
    figures.add(side.entrant.key, f"{metric}, load on the core", spent / seconds)
