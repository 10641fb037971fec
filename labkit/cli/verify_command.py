"""The command verify."""

import contextlib
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Self

import typer
from rich.markup import escape
from rich.table import Table

from labkit import tree, verdicts
from labkit.cli.options import ExerciseArgument, LabOption, Solution, SolutionOption
from labkit.console import Format, FormatOption, err, out, print_json
from labkit.errors import LabError, MachineError
from labkit.lab import Exercise, Lab, find_lab
from labkit.verify import subject as subjects
from labkit.verify.report import Check, Report, Result, Verdict

if TYPE_CHECKING:
    from rich.live import Live

    from labkit.verify.run import Progress

commands = typer.Typer()

SIGNS = {
    Verdict.PASSED: ("✓", "green"),
    Verdict.NOT_DONE: ("✗", "red"),
    Verdict.TIMED_OUT: ("✗", "red"),
    Verdict.ENVIRONMENT: ("!", "yellow"),
    Verdict.CHECKER: ("!", "yellow"),
    Verdict.SKIPPED: ("-", "dim"),
}


@commands.command()
def verify(
    exercise: ExerciseArgument = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", metavar="T", help="Only this task: 2, EX.2 or its title's beginning.")
    ] = None,
    solution: SolutionOption = None,
    headed: Annotated[bool, typer.Option("--headed", help="Show the browser while it works.")] = False,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> int:
    """Check your work: run the app and use it in a real browser, task by task.

    A copy of your workspace is checked, on ports and databases of its own, so `labkit run` may go on beside it.
    The exit code is 0 if everything passed, 1 if something is not done, 3 if the machine is at fault, 4 if labkit is.

    For each check that fails you see what was expected, what was seen, where, the likely cause, and what to do next.
    """
    the_lab = find_lab(lab)
    subject = subjects.find(the_lab, Path.cwd(), exercise, solution.value if solution else None)
    tasks = list(dict.fromkeys(subject.exercise.task(each) for each in task or ()))
    if format is Format.TEXT:
        out.print(escape(subject.said), soft_wrap=True)
    if solution is Solution.END:
        _note_stale_end(the_lab, subject.exercise)
    from labkit.verify import run

    digest = tree.digest(subject.folder)
    with Shown() as shown:
        report = run.verify(subject, tasks, headed, shown.progress)
    if subject.workspace:
        with contextlib.suppress(OSError, MachineError):  # a workspace that takes no file is verified all the same
            verdicts.remember(subject.folder, report, digest, datetime.now())
    if format is Format.JSON:
        print_json(report.to_json())
    else:
        _print(report)
    return int(report.exit_code)


def _note_stale_end(lab: Lab, exercise: Exercise) -> None:
    """Tell an author on stderr that what is verified is not what begin and the snippets make."""
    from labkit import content, workspace

    try:
        stale = bool(content.remade(lab, [exercise]).files)
    except LabError:  # the test of the lab's content tells what does not fit
        stale = True
    if stale:
        err.print(
            "[dim]note: end is not what begin and the snippets make; "
            f"next: labkit author end {exercise.id}{escape(workspace.lab_option(lab))}[/]",
            soft_wrap=True,
        )


class Shown:
    """Shows on stderr how the run goes on: a table that grows on a terminal, a line per check elsewhere."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        self._results: dict[str, Result] = {}
        self._what = ""
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if err.is_terminal:
            from rich.live import Live

            self._live = Live(console=err, transient=True, get_renderable=self._table, refresh_per_second=8)
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    @property
    def progress(self) -> "Progress":
        """What the run reports to."""
        from labkit.verify.run import Progress

        shown = self

        class Shows(Progress):
            def working(self, what: str) -> None:
                shown._working(what)

            def collected(self, checks: Sequence[Check]) -> None:
                shown._checks = {check.id: check for check in checks}

            def started(self, check: Check) -> None:
                shown._what = check.title

            def finished(self, check: Check, result: Result) -> None:
                shown._finished(check, result)

        return Shows()

    def _working(self, what: str) -> None:
        self._what = what
        if not self._live:
            err.print(f"{escape(what)} …", soft_wrap=True)

    def _finished(self, check: Check, result: Result) -> None:
        self._results[check.id] = result
        self._what = ""
        if not self._live:
            sign, _ = SIGNS[result.verdict]
            said = "" if result.verdict is Verdict.PASSED else f" ({result.verdict})"
            err.print(f"{sign} {escape(check.task)}  {escape(check.title)}{said}", soft_wrap=True)

    def _table(self) -> Table:
        from rich.spinner import Spinner

        table = Table(box=None, show_header=False, padding=(0, 1))
        for check in self._checks.values():
            result = self._results.get(check.id)
            if result:
                sign, style = SIGNS[result.verdict]
                table.add_row(f"[{style}]{sign}[/]", escape(check.title))
            elif check.title == self._what:
                table.add_row(Spinner("dots"), escape(check.title))
            else:
                table.add_row("[dim]·[/]", f"[dim]{escape(check.title)}[/]")
        if self._what and self._what not in {check.title for check in self._checks.values()}:
            table.add_row(Spinner("dots"), f"{escape(self._what)} …")
        return table


def _print(report: Report) -> None:
    for task in report.tasks:
        out.print()
        out.print(f"[bold]{escape(task.id)}  {escape(task.title)}[/]", soft_wrap=True)
        for check, result in task.checks:
            sign, style = SIGNS[result.verdict]
            said = "" if result.verdict is Verdict.PASSED else f"  [{style}]{result.verdict}[/]"
            reason = f" [dim]({escape(result.cause)})[/]" if result.verdict is Verdict.SKIPPED and result.cause else ""
            out.print(f"  [{style}]{sign}[/] {escape(check.title)}{said}{reason}", soft_wrap=True)
    kept = _evidence_folder(report)
    for check, result in report.results:
        if result.verdict not in (Verdict.PASSED, Verdict.SKIPPED):
            _print_failure(check, result, kept)
    out.print()
    passed = sum(result.verdict is Verdict.PASSED for _, result in report.results)
    style = "green" if report.passed else "red"
    out.print(
        f"[bold {style}]{passed} of {len(report.results)} checks passed[/], in {report.duration:.1f} s.", soft_wrap=True
    )
    if kept:
        out.print(
            f"[dim]evidence:[/] {escape(str(kept))} [dim](screenshots, traces, console, WebSockets, logs)[/]",
            soft_wrap=True,
        )
    advice = next((result.next for _, result in report.results if result.next), None)
    if advice:
        out.print(f"[dim]next:[/] {escape(advice)}", soft_wrap=True)


def _evidence_folder(report: Report) -> Path | None:
    """The folder that all the evidence of this run is in."""
    folders = {str(Path(path).parent) for _, result in report.results for path in result.evidence}
    return Path(os.path.commonpath(folders)) if folders else None


def _print_failure(check: Check, result: Result, kept: Path | None) -> None:
    _, style = SIGNS[result.verdict]
    out.print()
    out.print(
        f"[bold {style}]{result.verdict}[/]  [bold]{escape(check.title)}[/]  [dim]{escape(check.id)}[/]", soft_wrap=True
    )
    for name in ("expected", "seen", "where", "cause", "next"):
        value = getattr(result, name)
        if value:
            _print_part(name, value)
    parts = [Path(path).relative_to(kept).parts for path in result.evidence] if kept else []
    if parts:
        # Of a folder only its name: the one line at the end says where it is.
        _print_part("evidence", ", ".join(dict.fromkeys(f"{first}/" if rest else first for first, *rest in parts)))


def _print_part(name: str, value: str) -> None:
    # Not wrapped: paths and commands are to be clicked on and copied.
    first, *others = value.split("\n")
    out.print(f"  [dim]{name:>8}[/]  {escape(first)}", soft_wrap=True)
    for line in others:
        out.print(f"            {escape(line)}", soft_wrap=True)
