"""asgi-signalr beside its peers: `uv run python benchmarks/real_time`.

Every server runs on one core, the load generator on another. They take turns, those that are close to each other from
one measurement to the next; ratios of medians count. Exits with 1 if a required ratio is missed.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import chart
import report
from entrants import ALL, GROUPS, OURS
from machine import LOAD_CORE, allow_open_files, pin
from requirements import judge
from sessions import FULL, QUICK, Figures, session, session_alone

IMAGE = Path(__file__).parents[2] / "asgi-signalr" / "docs" / "images" / "fan-out.svg"


def main() -> int:
    """Measure, compare, draw."""
    parser = argparse.ArgumentParser(prog="benchmarks/real_time", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about a minute: fewer rounds, no 5,000 clients, no chart")
    parser.add_argument("--rounds", type=int, help="how often each server has its turn")
    parser.add_argument("--only", action="append", choices=[each.key for each in ALL], help="only this server")
    parser.add_argument("--json", type=Path, help="write everything that was measured to this file")
    parser.add_argument("--chart", type=Path, help=f"draw the chart into this file (default: {IMAGE.name} in the docs)")
    options = parser.parse_args()
    plan = QUICK if options.quick else FULL
    if options.rounds:
        plan = replace(plan, rounds=options.rounds)
    asked = [each for each in ALL if not options.only or each.key in options.only]
    entrants = [each for each in asked if each.missing is None]
    for entrant in asked:
        if entrant.missing is not None:
            print(f"{entrant.name} is left out: there is no {entrant.missing} here.", file=sys.stderr)
    files = max(plan.many, 1000 * len(ALL)) + 100
    if allow_open_files(files) < files:
        parser.error(f"{files} files have to be open at a time, and the system allows fewer: see `ulimit -n`.")
    pin(0, LOAD_CORE)
    figures = Figures()
    for number in range(1, plan.rounds + 1):
        for group in GROUPS:
            taking_part = [each for each in group if each in entrants]
            if taking_part:
                names = ", ".join(each.name for each in taking_part)
                print(f"round {number} of {plan.rounds}: {names}", file=sys.stderr)
                session(taking_part, plan, figures)
    for entrant in entrants:
        print(f"alone: {entrant.name}", file=sys.stderr)
        try:
            session_alone(entrant, plan, figures)
        except TimeoutError as error:  # a channel layer drops what does not fit, and it never comes
            if entrant in OURS:
                raise
            print(f"{entrant.name} has lost messages: {error}", file=sys.stderr)
    requirements = judge(figures)
    report.show(figures, requirements)
    if options.json:
        options.json.write_text(report.as_json(figures, requirements, plan), "utf-8")
    image = options.chart or (IMAGE if not options.quick and not options.only else None)
    if image:
        image.write_text(chart.draw(figures), "utf-8")
        print(f"The chart is {image}.", file=sys.stderr)
    return 0 if all(each.holds is not False for each in requirements) else 1


if __name__ == "__main__":
    sys.exit(main())
