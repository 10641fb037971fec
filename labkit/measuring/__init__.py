"""Measuring an app: how many messages a second reach its clients, and how late, with ever more instances.

`run` starts the instances, and beside each of them a `crew`: a process of the lab's own, which sends and hears as
clients do. What has been measured is drawn by `chart`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from labkit.lab import Kind


@dataclass(frozen=True)
class Plan:
    """What is to be measured: with each number of `instances`, `clients` at each of them, for so many `seconds`."""

    instances: tuple[int, ...]
    clients: int
    seconds: float


@dataclass(frozen=True)
class Measured:
    """One kind of messages with one number of instances.

    `wanted` is how many messages a second were to be sent, None for as many as can be, and `arrived` how many came, at
    each client; `median` and `late` are seconds on the way, of the middle message and of the one that 99 of 100 are
    faster than, None if none came. `busy` is the share of all processors of the machine that were at work, 0 to 1.
    """

    kind: Kind
    instances: int
    wanted: float | None
    arrived: float
    median: float | None
    late: float | None
    busy: float

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "kind": self.kind.name,
            "title": self.kind.title,
            "instances": self.instances,
            "wanted_per_s": self.wanted,
            "arrived_per_s": round(self.arrived, 1),
            "median_ms": _milliseconds(self.median),
            "p99_ms": _milliseconds(self.late),
            "busy": round(self.busy, 3),
        }


def summed(
    kind: Kind, instances: int, plan: Plan, heard: Sequence[int], delays: Sequence[float], busy: float
) -> Measured:
    """What the crews together have heard: `heard` messages each, of which `delays` are a sample, in seconds."""
    clients = plan.clients * instances
    sample = sorted(delays)
    return Measured(
        kind=kind,
        instances=instances,
        wanted=kind.wanted(clients),
        arrived=sum(heard) / clients / plan.seconds,
        median=quantile(sample, 0.5),
        late=quantile(sample, 0.99),
        busy=busy,
    )


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """The value that this share of them, 0 to 1, does not exceed; None of none."""
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else None


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 2)
