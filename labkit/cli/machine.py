"""The commands setup and doctor."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from labkit import machine
from labkit.cli import show
from labkit.cli.options import LabOption
from labkit.cli.show import say, say_next
from labkit.console import Format, FormatOption, err, out, print_json, working
from labkit.errors import ExitCode
from labkit.lab import Lab, find_lab
from labkit.machine import Check, Finding, State
from labkit.workspace import lab_option

commands = typer.Typer()

_SIGNS = {
    State.OK: ("✓", "green"),
    State.REPAIRED: ("✓", "green"),
    State.ADVICE: ("·", "yellow"),
    State.PROBLEM: ("✗", "red"),
}


@commands.command()
def setup(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before something is downloaded.")] = False,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> int:
    """Check this machine and repair what is missing: run it once, best before the day of the lab.

    It looks at Python, labkit's packages, the browser, PostgreSQL, ports, disk space and folders, and fetches a
    browser if there is none. Without a terminal it does not ask. The exit code is 3 if a problem is left.
    """
    the_lab = find_lab(lab)
    checks = machine.checks(the_lab, Path.cwd())
    findings = _look(checks)
    # What is merely made ready for later costs nothing: it is done although no check failed.
    mended = [
        _mend(check, finding, yes or format is Format.JSON)
        if check.repair and (finding.state is State.PROBLEM or not check.cost)
        else finding
        for check, finding in zip(checks, findings, strict=True)
    ]
    return _report(the_lab, mended, format)


@commands.command()
def doctor(
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> int:
    """Check this machine and change nothing: what is there, what is missing, what to type.

    `labkit doctor --format json` gives an instructor the same, without personal data. The exit code is 3 if there is
    a problem.
    """
    the_lab = find_lab(lab)
    return _report(the_lab, _look(machine.checks(the_lab, Path.cwd())), format)


def _look(checks: list[Check]) -> list[Finding]:
    if not err.is_terminal:
        with working("Checking this machine"):
            return machine.look(checks)
    left = [check.name for check in checks]
    with err.status("Checking this machine") as status:

        def done(finding: Finding) -> None:
            left.remove(finding.name)
            status.update(f"Checking this machine: {', '.join(left)}")

        return machine.look(checks, done)


def _mend(check: Check, finding: Finding, yes: bool) -> Finding:
    """Repair it; asks a person first if that costs a download."""
    problem = finding.state is State.PROBLEM
    if problem:
        err.print(f"[red]{escape(check.name)}:[/] {escape(finding.seen)}", soft_wrap=True)
    if check.cost and not yes and show.asks() and not typer.confirm(f"Download {check.cost}?", default=True, err=True):
        return finding
    mended = machine.repair(check, lambda line: err.print(f"  [dim]{escape(line)}[/]", soft_wrap=True))
    if not problem and mended.state is State.REPAIRED:
        return finding
    return mended


def _report(lab: Lab, findings: list[Finding], format: Format) -> int:
    counts = machine.summary(findings)
    ready = not counts[State.PROBLEM]
    if format is Format.JSON:
        print_json(
            {
                "ready": ready,
                "machine": machine.facts(),
                "checks": [finding.to_json() for finding in findings],
            }
        )
        return ExitCode.OK if ready else ExitCode.MACHINE
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for finding in findings:
        sign, style = _SIGNS[finding.state]
        seen = Text(finding.seen, overflow="fold")  # a path that is cut is of no use
        table.add_row(f"[{style}]{sign}[/]", escape(finding.name), f"[{style}]{finding.state}[/]", seen)
    out.print(table)
    say()
    for finding in findings:
        if finding.next:
            say(f"[bold]{escape(finding.name)}[/]: {escape(finding.next)}")
    if not ready:
        many = counts[State.PROBLEM]
        say(f"[red]This machine is not ready: {many} problem{'s' if many > 1 else ''}.[/] What to do stands above.")
        return ExitCode.MACHINE
    say("[green]This machine is ready.[/]")
    if lab.exercises:
        say_next(f"labkit start {lab.exercises[0].id}{lab_option(lab)}")
    return ExitCode.OK
