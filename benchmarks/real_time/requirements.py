"""What asgi-signalr promises, as ratios of the medians of one run."""

from dataclasses import dataclass

from sessions import Figures

SERVERS = {"plain": "any ASGI server", "adapter": "the adapter"}


@dataclass(frozen=True)
class Requirement:
    """A figure compared with another one."""

    text: str
    limit: float
    ratio: float | None
    """None: one of the two was not measured."""
    at_most: bool = False
    unit: str = ""

    @property
    def holds(self) -> bool | None:
        if self.ratio is None:
            return None
        return self.ratio <= self.limit if self.at_most else self.ratio >= self.limit


def judge(figures: Figures) -> list[Requirement]:
    """Compare the figures.

    Rates are compared as work per second of the server's core: the same as work per second, where the server has the
    core to itself and the load generator keeps it busy, but not disturbed where it has not.
    """
    fan, tick, echo = "fan-out 1,000", "4 in a tick", "echo 100"
    return [
        _rate(figures, "plain", "starlette", fan, 0.9),
        _rate(figures, "plain", "aiosignalr", fan, 3),
        _rate(figures, "adapter", "picows", fan, 0.8),
        _rate(figures, "adapter", "aiosignalr", fan, 5),
        _rate(figures, "adapter", "socketio", fan, 8),
        _rate(figures, "adapter", "picows", tick, 2),
        # A method that awaits nothing, as what the peers do awaits nothing.
        _rate(figures, "plain", "starlette", f"{echo}, def", 0.9, than=echo),
        _rate(figures, "adapter", "picows", f"{echo}, def", 0.8, than=echo),
        _rate(figures, "adapter", "adapter", f"{fan}, deflate offered", 0.9, than=fan),
        # One broadcast at a time, where nothing can be joined; and many, where much can.
        _rate(figures, "adapter", "floor", "one at a time", 1 / 1.3),
        _rate(figures, "adapter", "floor", "one at a time to 100", 1 / 1.3),
        _rate(figures, "adapter", "picows", "one at a time", 0.95),
        _rate(figures, "adapter", "picows", "one at a time to 100", 0.95),
        _rate(figures, "adapter", "picows", "16 outstanding to 100", 1.3),
        _at_most(
            figures, "adapter", "16 outstanding to 100, writes", 0.6, "writes for a delivery, 16 outstanding to 100"
        ),
        _rate(figures, "adapter", "floor", "one at a time to 5,000", 1 / 1.3),
        _rate(figures, "adapter", "picows", "one at a time to 5,000", 0.95),
        _rate(figures, "plain", "starlette", "echo 1", 0.9),
        _rate(figures, "adapter", "adapter", f"{echo}", 0.8, than=f"{echo}, def"),
        _rate(figures, "plain", "plain", f"{echo}", 0.8, than=f"{echo}, def"),
        _tail(figures, "plain"),
        _tail(figures, "adapter"),
        _at_most(figures, "adapter", "ms to connect", 0.4, "CPU to connect a client", " ms"),
        _at_most(figures, "adapter", "kB per connection", 16, "memory per connection", " kB"),
        _memory(figures, "plain", "starlette", 4),
        _memory(figures, "adapter", "starlette", 4),
        _memory(figures, "plain", "socketio", 0),
        _memory(figures, "adapter", "socketio", 0),
    ]


def _rate(figures: Figures, ours: str, theirs: str, metric: str, limit: float, than: str | None = None) -> Requirement:
    cost = figures.median(ours, f"{metric}, CPU s per 1M")
    other = figures.median(theirs, f"{than or metric}, CPU s per 1M")
    peer = (than or "itself") if ours == theirs else theirs
    text = f"{metric}: {SERVERS[ours]} / {peer}"
    return Requirement(text, limit, other / cost if cost and other else None)


def _at_most(figures: Figures, ours: str, metric: str, limit: float, text: str, unit: str = "") -> Requirement:
    return Requirement(f"{text}: {SERVERS[ours]}", limit, figures.median(ours, metric), at_most=True, unit=unit)


def _tail(figures: Figures, ours: str) -> Requirement:
    p99, usual = figures.median(ours, "ms, p99 at 10/s"), figures.median(ours, "ms, median at 10/s")
    text = f"a broadcast at 10/s: p99 / median, {SERVERS[ours]}"
    return Requirement(text, 3, p99 / usual if p99 and usual else None, at_most=True)


def _memory(figures: Figures, ours: str, theirs: str, limit: float) -> Requirement:
    size, other = figures.median(ours, "kB per connection"), figures.median(theirs, "kB per connection")
    text = f"memory per connection: {SERVERS[ours]} - {theirs}"
    more = size - other if size is not None and other is not None else None
    return Requirement(text, limit, more, at_most=True, unit=" kB")
