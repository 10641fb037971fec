"""The command demo."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from labkit import insertion, tree, workspace
from labkit.cli.options import LabOption
from labkit.cli.show import say, say_next
from labkit.cli.verify_command import Shown
from labkit.console import Format, FormatOption, err, print_json, working
from labkit.errors import ExitCode, InternalError, MachineError
from labkit.lab import Exercise, Lab, find_lab
from labkit.verify.report import Report, Verdict
from labkit.workspace import Workspace, lab_option

if TYPE_CHECKING:
    from labkit.verify.subject import Subject

commands = typer.Typer()


@dataclass(frozen=True)
class Played:
    """One exercise of the demo: its workspace, and what verify said of it before and after the snippets."""

    exercise: Exercise
    workspace: Workspace
    before: Report
    after: Report
    differences: int

    @property
    def passed(self) -> bool:
        """Whether begin was not done yet, and the finished workspace passes and is what end is."""
        return self.before.exit_code is ExitCode.NOT_DONE and self.after.passed and not self.differences

    def to_json(self) -> dict[str, Any]:
        """The exercise's part of the report."""
        return {
            "exercise": self.exercise.id,
            "workspace": str(self.workspace.folder),
            "passed": self.passed,
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "differences_from_end": self.differences,
        }


@commands.command()
def demo(
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Where to make the workspaces; a new temporary folder else.")
    ] = None,
    headed: Annotated[bool, typer.Option("--headed", help="Show the browser while it works.")] = False,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> int:
    """Play the whole lab: make each workspace, insert the snippets, run the app and verify it in a real browser.

    Each exercise is verified twice: as a trainee gets it, which has to fail, and with its snippets inserted, which has
    to pass. The workspaces stay, so you can look at them afterwards; your own workspaces and databases are not touched.
    """
    began = time.monotonic()
    the_lab = find_lab(lab)
    where = _make(folder)
    pictures = where / "screenshots"
    if format is Format.TEXT:
        say(f"[bold]{escape(the_lab.title)}[/]: the whole lab, played in {escape(str(where))}")
    _get_ready(the_lab, headed)
    with _own_databases(where):
        played = [_play(the_lab, exercise, where, pictures, headed, format) for exercise in the_lab.exercises]
    seconds = time.monotonic() - began
    passed = all(each.passed for each in played)
    if format is Format.JSON:
        print_json(
            {
                "passed": passed,
                "duration_s": round(seconds, 1),
                "folder": str(where),
                "screenshots": [str(path) for path in sorted(pictures.rglob("*.png"))],
                "exercises": [each.to_json() for each in played],
            }
        )
    else:
        _summarise(the_lab, played, where, pictures, seconds)
    if passed:
        return ExitCode.OK
    return int(next((each.after.exit_code for each in played if not each.after.passed), ExitCode.INTERNAL))


def _make(folder: Path | None) -> Path:
    try:
        if folder is None:
            return Path(tempfile.mkdtemp(prefix="labkit-demo-")).resolve()
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(
            f"Cannot make {folder or 'a temporary folder'}: {error.strerror or error}.",
            "Name a folder that you may write to: labkit demo DIR",
        ) from error
    return folder.resolve()


def _get_ready(lab: Lab, headed: bool) -> None:
    """Get the browser first: its download is what may take long or fail."""
    from labkit import browser

    with working("Looking for a browser"):
        browser.find(install=True, say=lambda line: err.print(f"  {escape(line)}", soft_wrap=True), headless=not headed)


@contextmanager
def _own_databases(folder: Path) -> Iterator[None]:
    """A database server of the demo's own: on the user's, its databases would do a step of theirs."""
    before = {name: os.environ.pop(name, None) for name in ("LABKIT_HOME", "LABKIT_DATABASE_SERVER")}
    os.environ["LABKIT_HOME"] = str(folder / "home")
    try:
        yield
    finally:
        os.environ.pop("LABKIT_HOME")
        os.environ.update({name: value for name, value in before.items() if value is not None})


def _play(lab: Lab, exercise: Exercise, folder: Path, pictures: Path, headed: bool, format: Format) -> Played:
    from labkit.verify.subject import Subject

    tell: Callable[[str], None] = say if format is Format.TEXT else lambda line: None
    tell(f"\n[bold]{exercise.id}  {escape(exercise.title)}[/]")
    made = workspace.create(lab, exercise, folder / exercise.name)
    tell(f"[dim]$[/] labkit start {exercise.id} [dim]→ {escape(str(made.folder))}[/]")
    subject = Subject(exercise, made.folder, "workspace", made)
    tell("[dim]$[/] labkit verify [dim](nothing is done yet, so it has to fail)[/]")
    before = _verify(subject, headed)
    if before.exit_code is not ExitCode.NOT_DONE:
        raise InternalError(
            f"{exercise.id}'s begin should not be done yet, but verify says: {_said(before)}.",
            f"labkit verify {exercise.id} --solution begin{lab_option(lab)}",
        )
    tell(f"  {_said(before)}, as it has to be.")
    if exercise.database:
        _create_databases(made, exercise.database.solution, tell)
    for name in exercise.snippets:
        change = insertion.insert(made.folder, exercise, [name])
        made.apply(change)
        places = ", ".join(f"{insertion.path}:{insertion.line}" for insertion in change.insertions)
        tell(f"[dim]$[/] labkit snippet insert {name} [dim]→ {escape(places)}[/]")
    tell("[dim]$[/] labkit verify")
    after = _verify(subject, headed, pictures / exercise.id)
    differences = workspace.compare(made.folder, exercise.end)
    same = "and is end, byte for byte" if not differences else f"but {len(differences)} files differ from end"
    tell(f"  {_said(after)}; the workspace was verified itself, {same}.")
    return Played(exercise, made, before, after, len(differences))


def _create_databases(made: Workspace, names: tuple[str, ...], tell: Callable[[str], None]) -> None:
    from labkit.services.postgres.lab_server import find_server

    with working("Starting the lab's PostgreSQL"), find_server().running() as server:
        for name in names:
            server.create_database(name)
            made.note_database(name, datetime.now(UTC))
    for name in names:  # now that the line of what goes on is gone
        tell(f"[dim]$[/] labkit db create {escape(name)}")


def _verify(subject: "Subject", headed: bool, pictures: Path | None = None) -> Report:
    from labkit.verify import run

    with Shown() as shown:
        return run.verify(subject, headed=headed, progress=shown.progress, pictures=pictures)


def _said(report: Report) -> str:
    results = [result for _, result in report.results]
    passed = sum(result.verdict is Verdict.PASSED for result in results)
    return f"{passed} of {len(results)} checks passed, in {report.duration:.1f} s"


def _summarise(lab: Lab, played: list[Played], where: Path, pictures: Path, seconds: float) -> None:
    from rich.table import Table

    from labkit.console import out

    table = Table(title="What was verified: how many checks pass", title_justify="left", title_style="bold")
    table.add_column("task")
    table.add_column("")
    table.add_column("begin", justify="right")
    table.add_column("with the snippets", justify="right")
    for each in played:
        for before, after in zip(each.before.tasks, each.after.tasks, strict=True):
            table.add_row(after.id, escape(after.title), _count(before.checks), _count(after.checks))
        table.add_row("", "[dim]time", f"[dim]{each.before.duration:.1f} s", f"[dim]{each.after.duration:.1f} s")
        table.add_section()
    say()
    out.print(table)
    passed = all(each.passed for each in played)
    say(
        f"[bold {'green' if passed else 'red'}]{'The whole lab works on this machine' if passed else 'Not all is well'}"
        f"[/], in {seconds:.0f} s."
    )
    say(f"[dim]workspaces: [/] {escape(str(where))}")
    say(f"[dim]screenshots:[/] {escape(str(pictures))} ({len(list(pictures.rglob('*.png')))} pictures)")
    failed = next((each for each in played if not each.passed), None)
    if failed:
        say_next(f"cd {tree.argument(failed.workspace.folder)} && labkit verify")
    else:
        say_next(f"labkit start {lab.exercises[0].id}{lab_option(lab)} (to do it yourself)")


def _count(checks: Any) -> str:
    passed = sum(result.verdict is Verdict.PASSED for _, result in checks)
    style = "green" if passed == len(checks) else "red"
    return f"[{style}]{passed} of {len(checks)}[/]"
