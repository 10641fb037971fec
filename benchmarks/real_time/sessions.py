"""What is measured: one session of one server, from its start to its end."""

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median, quantiles

import load
from entrants import OURS, PICOWS, Entrant
from machine import Server, running

WARM_UP = 0.15
IN_A_TICK = 4


@dataclass(frozen=True)
class Plan:
    """How long and how much."""

    rounds: int
    seconds: float
    """Of each measurement."""
    many: int
    """The most clients; idle ones, for the memory."""
    samples: int
    """Broadcasts at 10/s."""


QUICK = Plan(rounds=2, seconds=0.3, many=1000, samples=60)
FULL = Plan(rounds=11, seconds=0.4, many=5000, samples=200)


@dataclass
class Figures:
    """All that was measured, by entrant and metric: one value for each round."""

    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, entrant: str, metric: str, value: float) -> None:
        self.values.setdefault(entrant, {}).setdefault(metric, []).append(value)

    def median(self, entrant: str, metric: str) -> float | None:
        values = self.values.get(entrant, {}).get(metric)
        return median(values) if values else None


def session(entrant: Entrant, plan: Plan, figures: Figures, *, last: bool) -> None:
    """Start a server and take its figures; what needs no repetition only in the last round."""
    with running(entrant) as server:
        clients = load.Clients(server.port, entrant.dialect)
        gc.collect()
        gc.disable()  # the load generator's own pauses are none of the servers'
        try:
            _take_figures(entrant, server, clients, plan, figures, last=last)
        finally:
            gc.enable()
            clients.close()
    if entrant in OURS:
        _offer_deflate(entrant, plan, figures)


def _take_figures(
    entrant: Entrant, server: Server, clients: load.Clients, plan: Plan, figures: Figures, *, last: bool
) -> None:
    def rate(metric: str, run: Callable[[float], tuple[int, float]]) -> None:
        _rate(entrant, server, metric, run, plan, figures)

    clients.connect(100)
    empty = server.memory()
    rate("fan-out 100", clients.fan_out)
    rate("echo 1", lambda seconds: clients.echo(seconds, 1))
    rate("echo 100", lambda seconds: clients.echo(seconds, 100))
    if entrant in OURS:
        clients.use(load.SIGNALR_AT_ONCE)
        rate("echo 100, def", lambda seconds: clients.echo(seconds, 100))
        clients.use(entrant.dialect)
    clients.connect(1000)
    if plan.many == 1000:
        figures.add(entrant.key, "kB per connection", (server.memory() - empty) / 900 / 1000)
    rate("fan-out 1,000", clients.fan_out)
    rate("4 in a tick", lambda seconds: clients.fan_out(seconds, IN_A_TICK))
    if not last:
        return
    if entrant in (*OURS, PICOWS):
        seconds = clients.latencies(plan.samples, 0.1)
        figures.add(entrant.key, "ms, median at 10/s", median(seconds) * 1000)
        figures.add(entrant.key, "ms, p99 at 10/s", quantiles(seconds, n=100)[98] * 1000)
    if plan.many > 1000:
        before = server.memory()
        clients.connect(plan.many)
        figures.add(entrant.key, "kB per connection", (server.memory() - before) / (plan.many - 1000) / 1000)
        rate(f"fan-out {plan.many:,}", clients.fan_out)


def _offer_deflate(entrant: Entrant, plan: Plan, figures: Figures) -> None:
    """Measure it again with clients that offer compression, as browsers do."""
    with running(entrant) as server:
        clients = load.Clients(server.port, entrant.dialect, offer_deflate=True)
        try:
            clients.connect(1000)
            _rate(entrant, server, "fan-out 1,000, deflate offered", clients.fan_out, plan, figures)
        finally:
            clients.close()


def _rate(
    entrant: Entrant,
    server: Server,
    metric: str,
    run: Callable[[float], tuple[int, float]],
    plan: Plan,
    figures: Figures,
) -> None:
    run(WARM_UP)
    before = server.cpu_seconds()
    number, seconds = run(plan.seconds)
    spent = server.cpu_seconds() - before
    figures.add(entrant.key, metric, number / seconds)
    figures.add(entrant.key, f"{metric}, CPU s per 1M", spent / number * 1e6)
    figures.add(entrant.key, f"{metric}, load on the core", spent / seconds)
