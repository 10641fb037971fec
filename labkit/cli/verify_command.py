"""The command verify."""

import contextlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Self

import typer
from rich.markup import escape
from rich.table import Table

from labkit import desktop, invocation, sandbox, tree, verdicts
from labkit.chapter import Task
from labkit.cli import completing, following, show, verdict
from labkit.cli.options import ExerciseArgument, LabOption, Solution, SolutionOption
from labkit.cli.verdict import SIGNS
from labkit.console import Format, FormatOption, err, out, print_json, working
from labkit.errors import ExitCode, LabError, MachineError, UsageError
from labkit.lab import Exercise, Lab, find_lab
from labkit.verify import subject as subjects
from labkit.verify.report import Check, Report, Result, Verdict

if TYPE_CHECKING:
    from rich.live import Live

    from labkit.verify.run import Progress
    from labkit.verify.warm import Warm

commands = typer.Typer()


@commands.command()
def verify(
    exercise: ExerciseArgument = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            metavar="T",
            help="Only this task: 2, EX.2 or its title's beginning.",
            autocompletion=completing.tasks,
        ),
    ] = None,
    solution: SolutionOption = None,
    headed: Annotated[bool, typer.Option("--headed", help="Show the browser while it works.")] = False,
    report_to: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="DIR",
            help="Write a report into DIR: index.html, one page with what the browser showed and what happened before, "
            "the logs and your changes; junit.xml for CI; report.json.",
            show_default=False,
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Tell about every check all that is known.")] = False,
    receipt: Annotated[
        bool,
        typer.Option("--receipt", help="Sign the verdicts, and put them into the workspace for whoever grades it."),
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Verify again on every save what it can affect, until Ctrl-C.")
    ] = False,
    balancer: Annotated[
        bool,
        typer.Option("--balancer", help="Go to the instances through a load balancer, as `run --balancer` has it."),
    ] = False,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> int:
    """Check your work: run the app and use it in a real browser, task by task.

    A copy of your workspace is checked, on ports and databases of its own, so `labkit run` may go on beside it.
    The exit code is 0 if everything passed, 1 if something is not done, 3 if the machine is at fault, 4 if labkit is.

    Of the check that comes next you see what was expected, what was seen, where, the likely cause, and what to do; with
    --all of each that fails.

    With --receipt the verdicts are signed and put into the workspace, as lab-receipt.json, which `labkit pack` and git
    carry. Whoever grades the work may begin with them, and checks some anew: the key lies on your machine, so that they
    are no proof.

    With --balancer the checks reach each instance by a reverse proxy, which shows whether the app works behind one.

    With --watch it goes on: whenever a file is saved, the tasks that this can affect are verified again, with the
    browser that is open already. Ctrl-C ends it, with the exit code 0 once there was a verdict.
    """
    if watch and (solution or report_to or receipt or format is Format.JSON):
        raise UsageError("--watch goes with your own work, and tells it as text.", "labkit verify --watch")
    if watch and balancer:
        raise UsageError("--balancer goes with one run, not with --watch.", "labkit verify --balancer")
    if balancer:
        from labkit import balancer as proxy

        proxy.find()
    if receipt and (solution or task):
        raise UsageError("A receipt is about your own work on all tasks.", "labkit verify --receipt")
    if headed and not desktop.has_display():
        raise MachineError(
            "There is no display here to show a browser on: neither DISPLAY nor WAYLAND_DISPLAY is set.",
            "Leave --headed out: the browser then works unseen, and keeps pictures of what it saw.",
        )
    the_lab = find_lab(lab)
    subject = subjects.find(the_lab, Path.cwd(), exercise, solution.value if solution else None)
    tasks = list(dict.fromkeys(subject.exercise.task(each) for each in task or ()))
    if report_to:
        _refuse_as_report(report_to, subject)
    if format is Format.TEXT:
        out.print(show.shown(subject.said), soft_wrap=True)
    if not_enforced := sandbox.lacking():
        err.print(f"[dim]{show.shown(not_enforced)}[/]", soft_wrap=True)
    if watch:
        _watch(the_lab, subject, tasks, headed, everything)
        if out.is_terminal:  # which has just shown ^C
            out.print()
        out.print("Stopped watching: nothing of it runs any more.")
        return ExitCode.OK
    if solution:
        _note_checks(subject.exercise)
    if solution is Solution.END:
        _note_stale_end(the_lab, subject.exercise)
    digest = tree.digest(subject.folder) if receipt else ""
    report = _run(subject, tasks, headed, keep=report_to is not None, balanced=balancer)
    signed = _sign(the_lab, subject, report, digest) if receipt else None
    page = _write_report(report_to, the_lab, subject, report) if report_to else None
    if format is Format.JSON:
        files = {"report": page, "receipt": signed}
        print_json({**report.to_json(), **{name: str(file) for name, file in files.items() if file}})
    else:
        verdict.show(report, everything)
        if page:
            out.print(f"[dim]report:[/] {escape(str(page))}", soft_wrap=True)
        if signed:
            out.print(f"[dim]receipt:[/] {escape(str(signed))}  [dim]next:[/] labkit pack", soft_wrap=True)
        if subject.workspace:
            _say_following(the_lab, subject, report)
    return int(report.exit_code)


def _run(
    subject: subjects.Subject,
    tasks: list[Task],
    headed: bool,
    *,
    keep: bool = False,
    warm: "Warm | None" = None,
    balanced: bool = False,
) -> Report:
    """Run the checks, show how that goes on, and remember the verdicts; with `keep`, evidence of what passed, too."""
    from labkit.verify import run

    digest = tree.digest(subject.folder)
    with Shown() as shown:
        report = run.verify(subject, tasks, headed, shown.progress, everything=keep, warm=warm, balanced=balanced)
    if subject.workspace:
        with contextlib.suppress(OSError, MachineError):  # a workspace that takes no file is verified all the same
            verdicts.remember(subject.folder, report, digest, datetime.now())
    return report


def _sign(lab: Lab, subject: subjects.Subject, report: Report, digest: str) -> Path | None:
    """Sign the verdicts on files of that digest; None, and a word about it, where they say nothing about the work."""
    from labkit import receipts

    if report.exit_code not in (ExitCode.OK, ExitCode.NOT_DONE):
        err.print("No receipt: that was not about your work.")
    elif tree.digest(subject.folder) != digest:
        err.print("No receipt: files were saved meanwhile. Repeat the command.")
    else:
        return receipts.write(subject.folder, lab, subject.exercise, report, digest, datetime.now())
    return None


def _watch(lab: Lab, subject: subjects.Subject, tasks: list[Task], headed: bool, everything: bool) -> None:
    """Verify, and again on every save, until Ctrl-C or until the folder is gone.

    Raises KeyboardInterrupt if there was no verdict yet: later Ctrl-C is the way to end it.
    """
    from labkit import watching
    from labkit.verify.warm import Warm

    chosen = tasks or list(subject.exercise.tasks)

    def verify_now(these: list[Task], warm: Warm) -> bool:
        """Verify some tasks; whether that could be done. What is saved meanwhile comes as a save of its own."""
        digest = watching.settled(subject.folder)
        try:
            report = _run(subject, these, headed, warm=warm)
        except LabError as error:
            err.print(f"[bold red]{show.shown(error.message)}[/]", soft_wrap=True)
            if error.next:
                err.print(f"[dim]next:[/] {escape(invocation.here(error.next))}", soft_wrap=True)
            return False
        verdict.show(report, everything)
        if tree.digest(subject.folder) != digest:
            out.print("[yellow]Files were saved meanwhile: this is the verdict on what was there before.[/]")
        elif report.passed and len(these) == len(chosen):
            _say_following(lab, subject, report)
        return True

    left: set[str] = set()
    had_verdict = False
    with Warm() as warm:
        try:
            batches = watching.saves_of_app(subject.folder)
            next(batches)
            had_verdict = verified = verify_now(chosen, warm)
            while True:
                out.print("[dim]Waiting for your next save, which verifies again; Ctrl-C ends it.[/]")
                if verified:
                    warm.prepare(subject)
                files = next(batches, None)
                if files is None:
                    raise UsageError(f"{subject.folder} is gone.", f"labkit start {subject.exercise.id}")
                left |= files
                these = [each for each in watching.affected(subject.exercise, left) if each in chosen]
                saved = escape(", ".join(sorted(files)))
                out.print(f"\n[bold]{datetime.now():%H:%M:%S}[/]  saved: {saved}", soft_wrap=True)
                if not verified:  # the last run could not be done: nothing is known of any task
                    these = chosen
                if not these:
                    out.print("[dim]No task that you named can be affected.[/]")
                    continue
                others = [each.id for each in chosen if each not in these]
                if others:
                    out.print(f"[dim]not verified again: {', '.join(others)}[/]", soft_wrap=True)
                verified = verify_now(these, warm)
                had_verdict |= verified
                if verified:
                    left.clear()
        except KeyboardInterrupt:
            if not had_verdict:
                raise


def _refuse_as_report(folder: Path, subject: subjects.Subject) -> None:
    """Find out before the run, not after it, that a folder cannot take a report."""
    whole = folder.resolve()
    if whole.exists() and not whole.is_dir():
        raise UsageError(f"{folder} is a file: a report needs a folder.", "labkit verify --report DIR")
    if whole.is_relative_to(subject.folder.resolve()):
        raise UsageError(
            f"{folder} lies in the app that is verified, and would become a part of it.",
            "Name a folder outside, for example --report ../report",
        )


def _write_report(folder: Path, lab: Lab, subject: subjects.Subject, report: Report) -> Path:
    from labkit import report as reports

    with working("Writing the report"):
        return reports.write(folder, report, reports.Heading.of(lab, subject, datetime.now().astimezone()))


def _say_following(lab: Lab, subject: subjects.Subject, report: Report) -> None:
    """Say what comes after tasks that passed; after others the verdict has said it."""
    if not subject.workspace:
        return
    found = following.look(subject.exercise, subject.workspace)
    if report.passed:
        if not found.is_finished:
            numbers = " and ".join(task.id.rpartition(".")[2] for task in report.tasks)
            out.print(f"[green]Task{'s' if len(report.tasks) > 1 else ''} {numbers}: well done.[/]")
        following.say_following(lab, found)


def _note_checks(exercise: Exercise) -> None:
    """Tell an author on stderr what is wrong with the checks, though they can be run."""
    from labkit import content

    for problem in content.check_problems(exercise):
        err.print(f"[dim]note: {escape(problem)}[/]", soft_wrap=True)


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
            err.print(f"{show.shown(what)} …", soft_wrap=True)

    def _finished(self, check: Check, result: Result) -> None:
        self._results[check.id] = result
        self._what = ""
        if not self._live:
            sign, _ = SIGNS[result.verdict]
            said = "" if result.verdict is Verdict.PASSED else f" ({show.shown(result.verdict)})"
            err.print(f"{sign} {escape(check.task)}  {show.shown(check.title)}{said}", soft_wrap=True)

    def _table(self) -> Table:
        """A line for each check, as many as the terminal has room for: a taller one would leave lines behind."""
        from rich.spinner import Spinner

        table = Table(box=None, show_header=False, padding=(0, 1))
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, overflow="ellipsis")
        checks = list(self._checks.values())
        in_hand = next((n for n, check in enumerate(checks) if check.id not in self._results), len(checks))
        room = max(err.height - 3, 1)
        first = max(0, min(in_hand - room // 2, len(checks) - room))
        for check in checks[first : first + room]:
            result = self._results.get(check.id)
            if result:
                sign, style = SIGNS[result.verdict]
                table.add_row(f"[{style}]{sign}[/]", show.shown(check.title))
            elif check.title == self._what:
                table.add_row(Spinner("dots"), show.shown(check.title))
            else:
                table.add_row("[dim]·[/]", f"[dim]{show.shown(check.title)}[/]")
        if self._what and self._what not in {check.title for check in checks}:
            table.add_row(Spinner("dots"), f"{show.shown(self._what)} …")
        return table
