"""What has been measured, drawn: bars of a terminal, and an SVG that reads in light and dark."""

from collections.abc import Sequence
from html import escape
from itertools import groupby
from pathlib import Path

from labkit.lab import Kind
from labkit.language import marked, translated
from labkit.measuring import Measured

_EIGHTHS = " ▏▎▍▌▋▊▉"

WIDTH, LEFT, PANEL, GAP = 900, 30, 270, 20
"""Of the SVG, in pixels: its width, its left margin, a panel for a kind, and the gap between two."""
_BAR, _ROW, _NUMBER = 16, 26, 26
_STYLE = Path(__file__).parent.parent / "templates" / "chart" / "chart.css"

MESSAGES, TIMES = marked("messages/s by instances: arrived / wanted", "on the way: median, 99 of 100")


def bar(value: float, most: float, width: int) -> str:
    """A bar of so many columns of a terminal for the value `most`, and of a share of them for less."""
    eighths = round(min(value / most, 1) * width * 8) if most > 0 else 0
    if value > 0:
        eighths = max(eighths, 1)  # what is there is seen
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def time(seconds: float | None) -> str:
    """A time with two digits that say something: `1.2 ms`, `12 ms`, `1.2 s`."""
    if seconds is None:
        return "-"
    if seconds >= 0.9995:
        return f"{seconds:.1f} s"
    value = seconds * 1000
    return f"{value:.1f} ms" if value < 9.95 else f"{value:.0f} ms"


def rate(figure: Measured) -> str:
    """How many messages a second arrived, of those wanted."""
    return f"{figure.arrived:,.0f}" + (f" / {figure.wanted:,.0f}" if figure.wanted is not None else "")


def most(panel: Sequence[Measured]) -> float:
    """The most messages a second of a kind, which its longest bar stands for."""
    return max((max(each.wanted or 0, each.arrived) for each in panel), default=0.0)


def sender(kind: Kind) -> str:
    """How many messages of a kind are sent, and of whom."""
    return f"{kind.rate} a second of each client" if kind.by_clients else f"{kind.rate} a second in all"


def slowest(figures: Sequence[Measured]) -> float:
    """The longest time among them, in seconds."""
    return max((each.late or 0.0 for each in figures), default=0.0)


def by_kind(figures: Sequence[Measured]) -> list[list[Measured]]:
    """The figures of each kind, in the order of the kinds, with ever more instances."""
    order = list(dict.fromkeys(each.kind.name for each in figures))
    ordered = sorted(figures, key=lambda each: (order.index(each.kind.name), each.instances))
    return [list(group) for _, group in groupby(ordered, key=lambda each: each.kind.name)]


def svg(title: str, notes: Sequence[str], figures: Sequence[Measured]) -> str:
    """Draw the figures: a panel for each kind, with a row for each number of instances, messages above, times below.

    Times have one scale in all panels, messages have one in each.
    """
    panels = by_kind(figures)
    rows = max((len(panel) for panel in panels), default=0)
    top, block = 62, rows * _ROW + 34
    height = top + 46 + 2 * block + 18 * len(notes) + 12
    width = max(LEFT * 2 + len(panels) * (PANEL + GAP) - GAP, 600)
    parts = [f'<text class="title" x="{LEFT}" y="34">{escape(title)}</text>']
    for number, panel in enumerate(panels):
        parts += _panel(panel, LEFT + number * (PANEL + GAP), top, block, slowest(figures))
    for number, note in enumerate(notes):
        y = top + 46 + 2 * block + 18 * number + 4
        parts.append(f'<text class="small" x="{LEFT}" y="{y}">{escape(note)}</text>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    ground = f'<rect class="ground" width="{width}" height="{height}"/>'
    lines = [
        f'{head} role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{_STYLE.read_text(encoding='utf-8')}</style>",
        ground,
    ]
    return "\n".join([*lines, *parts, "</svg>", ""])


def _panel(panel: Sequence[Measured], x: int, y: int, block: int, latest: float) -> list[str]:
    kind = panel[0].kind
    parts = [
        f'<text class="kind" x="{x}" y="{y + 8}">{escape(kind.title)}</text>',
        f'<text class="small" x="{x}" y="{y + 26}">{escape(translated(sender(kind)))}</text>',
    ]
    bars, room = x + _NUMBER, PANEL - _NUMBER - 116
    longest = most(panel)
    for row, heading in enumerate((MESSAGES, TIMES)):
        at = y + 52 + row * block
        parts.append(f'<text class="small" x="{x}" y="{at}">{escape(translated(heading))}</text>')
        for number, each in enumerate(panel):
            line = at + 10 + number * _ROW
            middle = line + _BAR - 3
            parts.append(f'<text class="end" x="{bars - 8}" y="{middle}">{each.instances}</text>')
            if row == 0:
                parts.append(_rect("wanted", bars, line, room * _share(each.wanted or 0, longest)))
                parts.append(_rect("arrived", bars, line, room * _share(each.arrived, longest)))
                said, end = rate(each), room * _share(max(each.wanted or 0, each.arrived), longest)
            else:
                end = room * _share(each.late or 0, latest)
                half = line + _BAR / 2
                parts.append(_rect("median", bars, line, room * _share(each.median or 0, latest)))
                parts.append(f'<line class="late" x1="{bars}" y1="{half}" x2="{bars + end:.1f}" y2="{half}"/>')
                said = f"{time(each.median)}, {time(each.late)}"
            parts.append(f'<text class="small" x="{bars + end + 6:.1f}" y="{middle}">{escape(said)}</text>')
    return parts


def _share(value: float, most: float) -> float:
    return min(value / most, 1.0) if most > 0 else 0.0


def _rect(style: str, x: float, y: float, width: float) -> str:
    return f'<rect class="{style}" x="{x}" y="{y}" width="{max(width, 1):.1f}" height="{_BAR}" rx="2"/>'
