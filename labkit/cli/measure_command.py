"""The command measure."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from labkit.cli import show
from labkit.cli.options import BackplaneOption, ExerciseArgument, LabOption, SolutionOption
from labkit.cli.show import say
from labkit.console import Format, FormatOption, out, print_json, working
from labkit.errors import ExitCode, Interrupted, UsageError
from labkit.lab import Exercise, find_lab
from labkit.language import translated
from labkit.measuring import Measured, Plan, chart
from labkit.tree import argument

commands = typer.Typer()

MOST_INSTANCES = 20

BUSY = 0.9
"""The share of the processors above which it is the machine that limits what is measured."""


@commands.command()
def measure(
    exercise: ExerciseArgument = None,
    solution: SolutionOption = None,
    instances: Annotated[
        str | None,
        typer.Option(
            "--instances",
            metavar="N,N…",
            help="With how many instances in turn; the exercise's own numbers if left out.",
            show_default=False,
        ),
    ] = None,
    clients: Annotated[int, typer.Option("--clients", min=1, max=500, help="How many at each instance.")] = 10,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.5, max=60, help="For how long each figure is measured.")
    ] = 3.0,
    backplane: BackplaneOption = None,
    svg: Annotated[
        Path | None,
        typer.Option("--svg", metavar="FILE", help="Draw the chart into FILE as well.", show_default=False),
    ] = None,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> int:
    """Measure how many messages a second reach the app's clients, and how late, with ever more instances.

    Your app runs with 1, 2, 4 instances in turn (or those of --instances), joined by its backplane, with clients at
    each of them that send and hear over real connections. Of each kind of messages you see how many a second were to be
    sent and how many arrived at each client, and how long the middle one was on its way, and the slowest of a hundred.
    It takes about a minute.

    Everything runs on this machine and shares its processors; how busy they were is said. It has data, databases and
    servers of its own, so `labkit run` may go on beside it, but takes part of the machine.
    """
    from labkit import services
    from labkit.measuring import run
    from labkit.verify import subject as subjects
    from labkit.verify.causes import saying_why

    the_lab = find_lab(lab)
    subject = subjects.find(the_lab, Path.cwd(), exercise, solution.value if solution else None)
    chosen = subject.exercise
    measurement = run.check(chosen)
    plan = Plan(_numbers(instances) or measurement.instances, clients, seconds)
    own = subject.folder if subject.workspace else None
    service = backplane or (services.declared(chosen.database, subject.folder) if chosen.database else "postgres")
    if chosen.database is not None or backplane:
        services.choose(service, chosen.database, chosen.id, own)
    if svg is not None and (svg.is_dir() or not svg.absolute().parent.is_dir()):
        raise UsageError(f"{svg} cannot be a file: it is a folder, or has none.", f"--svg {argument(Path(svg.name))}")
    if format is Format.TEXT:
        whose = "the workspace" if subject.workspace else f"the lab's own {subject.kind}"
        say(f"Measuring [bold]{show.shown(chosen.title)}[/]: {whose}, in {escape(str(subject.folder))}")
    joined = services.find(service).title if chosen.database else None
    why = saying_why(chosen, subject.folder) if subject.workspace else contextlib.nullcontext()
    figures: list[Measured] = []
    total = len(plan.instances) * len(measurement.kinds)
    try:
        with working("Measuring the app") as tell, why:

            def progress(part: str) -> None:
                tell(f"{part}   ({len(figures)}/{total})")

            for figure in run.measure(chosen, subject.folder, measurement, plan, service, progress):
                figures.append(figure)
                if format is Format.TEXT and not out.is_terminal:
                    _say_figure(figure)
    except KeyboardInterrupt:
        if figures and format is Format.TEXT and out.is_terminal:
            _show(figures, _notes(plan, joined, figures))
        raise Interrupted("Interrupted before all was measured. Nothing of it runs any more.") from None
    notes = _notes(plan, joined, figures)
    if svg is not None:
        from labkit.files import write_whole

        write_whole(svg.absolute(), chart.svg(translated(chosen.title), notes, figures).encode())
    if format is Format.JSON:
        print_json(_document(chosen, subject.kind, service if joined else None, plan, figures, svg))
        return ExitCode.OK
    if out.is_terminal:
        _show(figures, notes)
    else:
        for note in notes:
            say(note)
    if svg is not None:
        out.print(f"[dim]chart:[/] {escape(str(svg.absolute()))}", soft_wrap=True)
    return ExitCode.OK


def _numbers(text: str | None) -> tuple[int, ...]:
    """The numbers of `1,2,4`, each once and in their order."""
    if text is None:
        return ()
    numbers = [int(each) if each.strip().isdecimal() else 0 for each in text.split(",")]
    if not all(1 <= number <= MOST_INSTANCES for number in numbers):
        raise UsageError(f"“{text}” is no list of numbers from 1 to {MOST_INSTANCES}.", "--instances 1,2,4")
    return tuple(sorted(set(numbers)))


def _notes(plan: Plan, joined: str | None, figures: Sequence[Measured]) -> list[str]:
    """What has to be known to read the figures."""
    cores, busy = os.cpu_count() or 1, max((each.busy for each in figures), default=0.0)
    means = translated(f"joined by {joined}") if joined else translated("with nothing that joins them")
    notes = [
        translated(f"{plan.clients} clients at each instance, {plan.seconds:g} s for each figure, {means}."),
        translated(f"All of it shared this machine: {cores} processors, at most {busy:.0%} busy."),
    ]
    if busy >= BUSY:
        notes.append(translated("Where fewer arrived than were wanted, the machine was the limit, too."))
    return notes


def _show(figures: Sequence[Measured], notes: Sequence[str]) -> None:
    """Draw the figures as bars."""
    latest = chart.slowest(figures)
    room = max((min(out.width, 110) - 44) // 2, 4)
    say(f"[dim]{show.shown(chart.MESSAGES)}  ·  {show.shown(chart.TIMES)}[/]")
    for panel in chart.by_kind(figures):
        kind = panel[0].kind
        most = chart.most(panel)
        say(f"[bold]{show.shown(kind.title)}[/] [dim]{show.shown(chart.sender(kind))}[/]")
        grid = _grid(room)
        for each in panel:
            arrived = chart.bar(each.arrived, most, room)
            missing = "░" * (len(chart.bar(each.wanted or 0, most, room)) - len(arrived))
            grid.add_row(
                Text(str(each.instances)),
                Text.assemble((arrived, "cyan"), (missing, "dim")),
                Text(chart.rate(each)),
                Text(chart.bar(each.median or 0.0, latest, room), style="magenta"),
                Text(f"{chart.time(each.median)}, {chart.time(each.late)}"),
            )
        out.print(grid)
    for note in notes:
        say(f"[dim]{escape(note)}[/]")


def _grid(room: int) -> Table:
    """A row has the number of instances, a bar and its figures, and the same again."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", width=3)
    grid.add_column(width=room)
    grid.add_column(justify="right", width=13)
    grid.add_column(width=room)
    grid.add_column(justify="right", width=17)
    return grid


def _say_figure(figure: Measured) -> None:
    """Say one in a line, as soon as it is known."""
    median, late = chart.time(figure.median), chart.time(figure.late)
    kind, busy = show.shown(figure.kind.title), f"{figure.busy:.0%}"
    say(
        f"{kind}, instances: {figure.instances}; messages a second: {chart.rate(figure)}; "
        f"on the way: {median}, 99 of 100 within {late}; busy: {busy}"
    )


def _document(
    exercise: Exercise, kind: str, service: str | None, plan: Plan, figures: Sequence[Measured], svg: Path | None
) -> dict[str, object]:
    return {
        "exercise": exercise.id,
        "solution": kind,
        "backplane": service,
        "clients_per_instance": plan.clients,
        "seconds": plan.seconds,
        "processors": os.cpu_count(),
        "measured": [each.to_json() for each in figures],
        "svg": str(svg.absolute()) if svg else None,
    }
