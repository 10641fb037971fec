"""The chart: bars, drawn as SVG. Rates are those of a core that the server has to itself."""

from html import escape

from entrants import ALL, OURS
from sessions import Figures

WIDTH, LEFT, RIGHT, BAR, GAP, TOP = 760, 210, 90, 20, 8, 44
PANELS = (
    ("fan-out 1,000", "Deliveries per second of one core, one message to 1,000 clients"),
    ("one at a time", "The same, each asked for when everybody has had the last one"),
    ("4 in a tick", "The same, four messages in one tick of the loop"),
    ("echo 100", "Calls per second of one core, 100 connections"),
)


def draw(figures: Figures) -> str:
    """Draw the rates of every server, best first."""
    y, parts = 16, []
    for metric, title in PANELS:
        costs = [(each, figures.median(each.key, f"{metric}, CPU s per 1M")) for each in ALL]
        rates = [(each, 1e6 / cost) for each, cost in costs if cost]
        rates.sort(key=lambda pair: -pair[1])
        most = max((rate for _, rate in rates), default=1.0)
        parts.append(f'<text x="12" y="{y + 14}" font-weight="bold">{escape(title)}</text>')
        top = y + 28
        for number, (each, rate) in enumerate(rates):
            at = top + number * (BAR + GAP)
            width = (WIDTH - LEFT - RIGHT) * rate / most
            colour = "#2a6fbb" if each in OURS else "#b8bec6"
            parts.append(f'<text x="{LEFT - 10}" y="{at + 15}" text-anchor="end">{escape(each.name)}</text>')
            parts.append(f'<rect x="{LEFT}" y="{at}" width="{width:.1f}" height="{BAR}" rx="2" fill="{colour}"/>')
            parts.append(f'<text x="{LEFT + width + 8:.1f}" y="{at + 15}">{rate:,.0f}</text>')
        y = top + len(rates) * (BAR + GAP) + TOP - 20
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" role="img" '
        'aria-label="Deliveries and calls per second of each server" '
        'font-family="system-ui, sans-serif" font-size="13" fill="#24292f">'
    )
    return "\n".join([head, f'<rect width="{WIDTH}" height="{y}" fill="#ffffff"/>', *parts, "</svg>", ""])
