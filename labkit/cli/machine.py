"""The commands setup and doctor."""

import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from labkit import language, machine, workspace
from labkit.cli import show
from labkit.cli.options import LabOption
from labkit.cli.show import say, say_next
from labkit.console import Format, FormatOption, err, out, print_json, working
from labkit.errors import ExitCode, MachineError, UsageError
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
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", metavar="FILE", help="Instead, make an archive for machines without a network."),
    ] = None,
    targets: Annotated[
        str | None,
        typer.Option(
            "--for", metavar="MACHINES", help="With --bundle: windows-x64,macos-arm64,… (this one if left out)."
        ),
    ] = None,
    pythons: Annotated[
        str | None,
        typer.Option("--python", metavar="VERSIONS", help="With --bundle: 3.12,3.13,… (this one if left out)."),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", metavar="FILE", help="First install labkit from a bundle, without a network."),
    ] = None,
    pycharm: Annotated[
        bool,
        typer.Option("--pycharm", help="Instead, put the lab's snippets into PyCharm, as live templates; asks first."),
    ] = False,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> int:
    """Check this machine and repair what is missing: run it once, best before the day of the lab.

    It looks at Python, labkit's packages, the browser, PostgreSQL, ports, disk space and folders, and fetches a
    browser if there is none. Without a terminal it does not ask. The exit code is 3 if a problem is left.

    At the end stands a readiness code, for whoever prepares the class: `labkit doctor --code CODE` reads it.

    **Without a network**: `labkit setup --bundle FILE` packs all that the lab needs into one archive. On the other
    machines `python FILE` makes an environment with labkit in the current folder.
    """
    the_lab = find_lab(lab)
    if bundle is None and (targets or pythons):
        raise UsageError("--for and --python say what a bundle is for.", "labkit setup --bundle FILE --for MACHINES")
    if bundle is not None:
        _bundle(the_lab, bundle, targets, pythons, format)
        return ExitCode.OK
    if pycharm:
        _live_templates(the_lab, yes)
        return ExitCode.OK
    if source is not None:
        return _install(source, yes, lab, format)
    checks = machine.checks(the_lab, Path.cwd())
    findings = _look(checks)
    # What is merely made ready for later costs nothing: it is done although no check failed.
    mended = [
        _mend(check, finding, yes or format is Format.JSON)
        if check.repair and (finding.state is State.PROBLEM or not check.cost)
        else finding
        for check, finding in zip(checks, findings, strict=True)
    ]
    return _report(the_lab, mended, format, coded=True)


@commands.command()
def doctor(
    code: Annotated[
        str | None, typer.Option("--code", metavar="CODE", help="Instead, read the readiness code of another machine.")
    ] = None,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> int:
    """Check this machine and change nothing: what is there, what is missing, what to type.

    `labkit doctor --format json` gives an instructor the same, without personal data. The exit code is 3 if there is
    a problem.
    """
    if code is not None:
        return _read_code(code, format)
    the_lab = find_lab(lab)
    return _report(the_lab, _look(machine.checks(the_lab, Path.cwd())), format)


def _bundle(lab: Lab, file: Path, targets: str | None, pythons: str | None, format: Format) -> None:
    from labkit import bundle

    made = bundle.make(
        lab,
        file,
        _listed(targets),
        _listed(pythons),
        lambda line: err.print(escape(line), style="dim" if line.startswith(" ") else None, soft_wrap=True),
    )
    if format is Format.JSON:
        print_json(
            {
                "bundle": str(made.file),
                "targets": made.targets,
                "python": made.pythons,
                "wheels": made.wheels,
                "bytes": made.size,
            }
        )
        return
    where = f"{', '.join(made.targets)} with Python {', '.join(made.pythons)}"
    say(f"[bold]{escape(str(made.file))}[/] has all that the lab needs ({made.size / 1e6:.0f} MB): for {where}.")
    say("A browser is not in it; its BROWSER.txt says how to get one.")
    say_next(f"on the other machine, in a folder for the lab: python {made.file.name}")


def _live_templates(lab: Lab, yes: bool) -> None:
    from labkit import pycharm

    paths = pycharm.templates(lab)
    show.confirm(f"Put the lab's snippets into {', '.join(map(str, paths))}?", yes)
    pycharm.install(lab)
    for path in paths:
        say(f"Wrote {escape(str(path))}")
    say_next("start PyCharm anew; in the editor type a snippet's name, ex1-… for example, and press Tab")


def _listed(words: str | None) -> list[str]:
    return [word.strip() for word in (words or "").split(",") if word.strip()]


def _install(source: Path, yes: bool, lab: Path | None, format: Format) -> int:
    """Install the bundle's labkit in place of this one, which then goes on."""
    from labkit import bootstrap

    try:
        bootstrap.install(source, Path(sys.executable))
    except bootstrap.Refusal as refusal:
        raise MachineError(str(refusal), refusal.next) from refusal
    options = [*(["--yes"] if yes else []), *(["--lab", str(lab)] if lab else []), "--format", format.value]
    return subprocess.run([sys.executable, "-m", "labkit", "setup", *options]).returncode


def _read_code(code: str, format: Format) -> int:
    from labkit import readiness

    read = readiness.read(code)
    exit_code = ExitCode.OK if read.ready else ExitCode.MACHINE
    if format is Format.JSON:
        print_json(
            {
                "ready": read.ready,
                "labkit": read.labkit,
                "system": read.system,
                "architecture": read.machine,
                "python": read.python,
                "day": read.day.isoformat(),
                "checks": read.checks,
            }
        )
        return exit_code
    say(f"labkit {read.labkit}, {read.system}, {read.machine}, Python {read.python}, on {read.day:%d %B %Y}")
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, state in read.checks.items():
        sign, style = _SIGNS[state]
        table.add_row(f"[{style}]{sign}[/]", show.shown(name), f"[{style}]{show.shown(state)}[/]")
    out.print(table)
    wrong = [name for name, state in read.checks.items() if state is State.PROBLEM]
    if wrong:
        say(f"[red]That machine was not ready: {', '.join(wrong)}.[/]")
        say_next("on that machine: labkit doctor   (says what to do)")
    else:
        say("[green]That machine was ready.[/]")
    return exit_code


def _look(checks: list[Check]) -> list[Finding]:
    if not err.is_terminal:
        with working("Checking this machine"):
            return machine.look(checks)
    left = [check.name for check in checks]
    with working("Checking this machine") as update:

        def done(finding: Finding) -> None:
            left.remove(finding.name)
            update(f"Checking this machine: {', '.join(map(language.translated, left))}")

        return machine.look(checks, done)


def _mend(check: Check, finding: Finding, yes: bool) -> Finding:
    """Repair it; asks a person first if that costs a download."""
    problem = finding.state is State.PROBLEM
    if problem:
        err.print(f"[red]{show.shown(check.name)}:[/] {show.shown(finding.seen)}", soft_wrap=True)
    if (
        check.cost
        and not yes
        and show.asks()
        and not typer.confirm(show.wrapped(f"Download {check.cost}?", 8), default=True, err=True)
    ):
        return finding
    mended = machine.repair(check, lambda line: err.print(f"  [dim]{show.shown(line)}[/]", soft_wrap=True))
    if not problem and mended.state is State.REPAIRED:
        return finding
    return mended


def _report(lab: Lab, findings: list[Finding], format: Format, coded: bool = False) -> int:
    from labkit import readiness

    counts = machine.summary(findings)
    code = readiness.code(findings, date.today())
    ready = not counts[State.PROBLEM]
    if format is Format.JSON:
        print_json(
            {
                "ready": ready,
                "code": code,
                "machine": machine.facts(),
                "checks": [finding.to_json() for finding in findings],
            }
        )
        return ExitCode.OK if ready else ExitCode.MACHINE
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for finding in findings:
        sign, style = _SIGNS[finding.state]
        seen = Text(language.translated(finding.seen), overflow="fold")  # a path that is cut is of no use
        state = show.shown(finding.state)
        table.add_row(f"[{style}]{sign}[/]", show.shown(finding.name), f"[{style}]{state}[/]", seen)
    out.print(table)
    say()
    for finding in findings:
        if finding.next:
            say(f"[bold]{show.shown(finding.name)}[/]: {show.shown(finding.next)}")
    if not ready:
        many = counts[State.PROBLEM]
        say(f"[red]This machine is not ready: {many} problem{'s' if many > 1 else ''}.[/] What to do stands above.")
        if coded:
            say(f"readiness code: [bold]{code}[/]")
        return ExitCode.MACHINE
    say("[green]This machine is ready.[/]")
    if coded:
        say(f"readiness code: [bold]{code}[/]   [dim](for whoever prepares the class)[/]")
    if lab.exercises:
        begun = workspace.around(Path.cwd()) is not None
        say_next("labkit next" if begun else f"labkit start {lab.exercises[0].id}{lab_option(lab)}")
    return ExitCode.OK
