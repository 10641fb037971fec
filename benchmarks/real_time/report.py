"""The figures and the verdicts as tables for people, and as JSON for programs."""

import json
import platform
from importlib import metadata

from entrants import ALL
from requirements import Requirement
from rich.console import Console
from rich.table import Table
from sessions import Figures, Plan

# Of the tables in a file or a pipe, which knows none.
WIDTH = 180
COLUMNS = (
    "fan-out 100",
    "fan-out 1,000",
    "fan-out 5,000",
    "one at a time",
    "4 in a tick",
    "echo 1",
    "echo 100",
    "echo 100, def",
)
WEIGHTS = ("ms to connect", "kB per connection")


def show(figures: Figures, requirements: list[Requirement]) -> None:
    """Print both tables."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    columns = [each for each in COLUMNS if any(each in values for values in figures.values.values())]
    table = Table(title="Deliveries and calls per second (CPU seconds of the server per million)")
    table.add_column("server", no_wrap=True)
    for column in (*columns, *WEIGHTS):
        table.add_column(column, justify="right")
    for each in (each for each in ALL if each.key in figures.values):
        cells = [_cell(figures, each.key, column) for column in columns]
        weights = [figures.median(each.key, weight) for weight in WEIGHTS]
        table.add_row(each.name, *cells, *("" if each is None else f"{each:.2f}" for each in weights))
    console.print(table)
    verdicts = Table(title="Required, as ratios of medians")
    for column, side in (("what", "left"), ("required", "right"), ("seen", "right"), ("", "left")):
        verdicts.add_column(column, justify=side)  # type: ignore[arg-type]
    for requirement in requirements:
        sign = "≤" if requirement.at_most else "≥"
        seen = "not measured" if requirement.ratio is None else f"{requirement.ratio:.2f}{requirement.unit}"
        verdict = {True: "[green]holds", False: "[red]missed", None: ""}[requirement.holds]
        verdicts.add_row(requirement.text, f"{sign} {requirement.limit:g}{requirement.unit}", seen, verdict)
    console.print(verdicts)


def as_json(figures: Figures, requirements: list[Requirement], plan: Plan) -> str:
    """Encode everything that was measured."""
    return json.dumps(
        {
            "schema": 1,
            "machine": {"system": platform.system(), "python": platform.python_version(), "cpu": platform.machine()},
            "versions": {name: metadata.version(name) for name in ("asgi-signalr", "starlette", "uvicorn", "uvloop")},
            "plan": vars(plan) if hasattr(plan, "__dict__") else {},
            "figures": figures.values,
            "requirements": [
                {
                    "what": each.text,
                    "required": each.limit,
                    "at_most": each.at_most,
                    "seen": each.ratio,
                    "holds": each.holds,
                }
                for each in requirements
            ],
        },
        indent=1,
    )


def _cell(figures: Figures, key: str, metric: str) -> str:
    rate, cost = figures.median(key, metric), figures.median(key, f"{metric}, CPU s per 1M")
    return "" if rate is None or cost is None else f"{rate / 1000:.{0 if rate > 10_000 else 1}f}k ({cost:.1f})"
