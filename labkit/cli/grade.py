"""The command grade."""

import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Self

import typer
from rich.markup import escape
from rich.table import Table

from labkit.cli.options import LabOption
from labkit.cli.show import say, say_next
from labkit.console import Format, FormatOption, err, out, print_json, working
from labkit.errors import Interrupted, UsageError
from labkit.files import write_whole
from labkit.grading.feedback import Feedback
from labkit.harmless import harmless
from labkit.lab import Lab, find_lab
from labkit.tree import argument, nearby
from labkit.workspace import lab_option

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from labkit.grading.class_report import ClassReport
    from labkit.grading.classes import Class
    from labkit.grading.crew import News
    from labkit.grading.grades import Grade

commands = typer.Typer()


@commands.command()
def grade(
    places: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR…",
            help="Folders with workspaces below them, or zip and tar files of workspaces (those of `labkit pack`).",
            show_default=False,
        ),
    ],
    exercise: Annotated[
        str | None,
        typer.Option(
            "--exercise", metavar="EX", help="Grade only work on this exercise; also work whose record is lost."
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", "-j", metavar="N", help="How many at a time; as many as cores and memory allow if left out."
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            "--results",
            metavar="DIR",
            help="Where the grades are kept; beside the first DIR, named DIR-grades, if left out.",
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Grade everything anew, also work that has not changed since it was graded.")
    ] = False,
    limit: Annotated[
        float, typer.Option("--limit", metavar="SECONDS", min=1, help="How long one submission may take.")
    ] = 300,
    roster_file: Annotated[
        Path | None,
        typer.Option(
            "--roster",
            metavar="FILE.csv",
            help="The class's list: name,e-mail,folder. Who has handed in nothing is named.",
        ),
    ] = None,
    gradebook_to: Annotated[
        Path | None,
        typer.Option("--gradebook", metavar="FILE.csv", help="Write a line for each trainee into FILE.csv."),
    ] = None,
    report_to: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="DIR",
            help="Write a report into DIR, or into one DIR.zip: index.html with all trainees and tasks, a page for "
            "each of them, gradebook.csv, report.json, junit.xml.",
            show_default=False,
        ),
    ] = None,
    feedback: Annotated[
        Feedback,
        typer.Option(
            "--feedback", help="How much the trainees' pages tell: also causes, only hints, or only verdicts."
        ),
    ] = Feedback.FULL,
    compare: Annotated[
        Path | None,
        typer.Option("--compare", metavar="EARLIER", help="Put first what has changed since an earlier --report."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if a submission has not passed; else 0 once all are graded.")
    ] = False,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> int:
    """Verify the work of a whole class, as many at a time as this machine bears.

    A folder has one folder, zip or tar file for each trainee, with a workspace in it; its record says which exercise it
    is. Each submission is verified like a workspace of its own: a copy, databases, ports, and limits of its own. What
    one of them does costs the others nothing.

    Each grade is kept as soon as it stands. The same command goes on where it was interrupted, and grades anew what has
    changed since. Faults of the machine are tried twice, and never count against a trainee.

    The exit code is 0 if every submission has a verdict, whatever it is; 3 if the machine, 4 if labkit is at fault.
    """
    from labkit.grading import class_report, classes, comparison, crew, gradebook, roster
    from labkit.grading.grades import exit_code
    from labkit.grading.limits import Limits
    from labkit.grading.results import Results, default_folder

    the_lab = find_lab(lab)
    chosen = the_lab.exercise(exercise) if exercise else None
    side_by_side = crew.check_jobs(jobs)
    people = roster.read(roster_file) if roster_file else []
    earlier = comparison.read(compare) if compare else None
    if report_to:
        class_report.refuse(report_to)
    kept = Results(results or default_folder(places[0]))
    began = time.monotonic()
    with kept.writing():
        with working("Looking for submissions"):
            found = classes.gather(the_lab, places, chosen, kept, again, everything=report_to is not None)
        if not found.size:
            raise UsageError(
                f"There is no workspace in {' and '.join(map(nearby, places))}.",
                "Name the folder that has a folder or a zip for each trainee.",
            )
        if format is Format.TEXT:
            _say_beginning(found, min(side_by_side, len(found.orders)), kept.folder)
        grades = list(found.known)
        news = crew.News()
        with Shown(found, news) as shown:
            try:
                for one in crew.grade(the_lab, found.orders, side_by_side, Limits(seconds=limit), news):
                    kept.put(one)
                    grades.append(one)
                    shown.graded(one)
            except KeyboardInterrupt:
                raise Interrupted(
                    f"Interrupted: {len(grades)} of {found.size} submissions are graded, and nothing of that is lost.",
                    f"Repeat the command; it goes on with the {found.size - len(grades)} that are left.",
                ) from None
    grades.sort(key=lambda each: (each.exercise or "", each.name.lower()))
    told = class_report.ClassReport(
        the_lab,
        roster.rows(grades, people),
        datetime.now().astimezone(),
        feedback,
        comparison.changes(grades, earlier) if earlier else None,
        str(compare) if compare else None,
    )
    if gradebook_to:
        write_whole(gradebook_to, gradebook.render(the_lab, told.rows))
    page = None
    if report_to:
        with working("Writing the report"):
            page = class_report.write(report_to, told)
    if format is Format.JSON:
        files = {"report": page, "gradebook": gradebook_to, "results": kept.folder}
        print_json({**told.to_json(), **{name: str(file) for name, file in files.items() if file}})
    else:
        _print(told, time.monotonic() - began)
        for name, file in (("gradebook", gradebook_to), ("report", page)):
            if file:
                say(f"[dim]{name}:[/] {escape(nearby(file))}")
        _say_next(the_lab, grades, places)
    return int(exit_code(grades, strict))


def _say_beginning(found: "Class", side_by_side: int, folder: Path) -> None:
    many = f"{found.size} submission{'s' if found.size > 1 else ''}"
    parts = [f"Grading {many}"]
    if found.again:
        parts.append(f"{found.again} of them as they were graded before")
    if side_by_side > 1:
        parts.append(f"{side_by_side} at a time")
    say(f"{', '.join(parts)}. Grades: {escape(nearby(folder))}")


def _say_next(lab: Lab, grades: "Sequence[Grade]", places: Sequence[Path]) -> None:
    if any(not each.outcome.is_verdict for each in grades):
        command = f"labkit grade {' '.join(map(argument, places))}{lab_option(lab)}"
        say_next(f"{command}   (tries those without a verdict again)")


# The end.

_SIGNS = {True: ("✓", "green"), False: ("✗", "red")}


def _print(told: "ClassReport", seconds: float) -> None:
    """A table for each exercise: a row for each trainee, a column for each task."""
    from labkit.grading.class_page import state
    from labkit.grading.classes import identical

    for exercise in told.lab.exercises:
        these = [(row.name, row.grade) for row in told.rows if row.grade and row.grade.exercise == exercise.id]
        if not these:
            continue
        say()
        say(f"[bold]{escape(exercise.id)}  {escape(exercise.title)}[/]")
        table = Table(box=None, padding=(0, 1), pad_edge=False, show_edge=False)
        table.add_column("")
        table.add_column("", overflow="ellipsis", no_wrap=True, max_width=40)
        for task in exercise.tasks:
            table.add_column(task.id.rpartition(".")[2], justify="center")
        table.add_column("points", justify="right")
        table.add_column("checks", justify="right")
        for name, grade in these:
            passed, of = grade.checks_passed
            table.add_row(
                _sign(grade),
                escape(harmless(name)),
                *(_task_sign(grade, task.id) for task in exercise.tasks),
                f"{grade.points(exercise)}/{exercise.possible_points}",
                f"{passed}/{of}" if of else "",
            )
        out.print(table)
        _print_remarks(these)
    known = [exercise.id for exercise in told.lab.exercises]
    others = [(row.name, row.grade) for row in told.rows if row.grade and row.grade.exercise not in known]
    if others:
        say()
        _print_remarks(others)
    if missing := [row.name for row in told.rows if row.grade is None]:
        say()
        say(f"Nothing was handed in by {escape(harmless(_listed(missing)))}.")
    for group in identical(told.grades):
        say()
        say(
            f"{escape(harmless(_listed([each.name for each in group])))} have the same lines of their own. "
            "There may be good reasons: look at both before you conclude anything."
        )
    if told.changes is not None:
        names = {row.grade.key: row.name for row in told.rows if row.grade}
        say()
        say(f"[bold]Changed since {escape(told.earlier or '')}[/]{'' if told.changes else ': nothing.'}")
        for change in told.changes:
            say(f"  {escape(harmless(names[change.key]))}: {change.words}")
    say()
    counts = Counter(state(each) for each in told.grades)
    many = f"{len(told.grades)} submission{'s' if len(told.grades) > 1 else ''}"
    said = ", ".join(f"{count} {name}" for name, count in counts.most_common())
    say(f"[bold]{many}[/]: {said}; in {_duration(seconds)}.")


def _listed(names: Sequence[str]) -> str:
    """Names in a sentence."""
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _print_remarks(graded: "Sequence[tuple[str, Grade]]") -> None:
    for name, grade in graded:
        if grade.remark:
            say(f"[yellow]![/] [bold]{escape(harmless(name))}[/]: {escape(harmless(grade.remark))}")


def _sign(grade: "Grade") -> str:
    from labkit.grading.grades import Outcome

    if grade.outcome is Outcome.VERIFIED:
        sign, style = _SIGNS[grade.passed]
        return f"[{style}]{sign}[/]"
    return "[yellow]![/]"


def _task_sign(grade: "Grade", id_: str) -> str:
    task = next((each for each in grade.tasks if each.id == id_), None)
    if task is None:
        return "[dim]-[/]"
    sign, style = _SIGNS[grade.passes(task)]
    return f"[{style}]{sign}[/]"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


class Shown:
    """Shows on stderr how the grading goes on: a bar with the time left on a terminal, a line per grade elsewhere."""

    def __init__(self, found: "Class", news: "News") -> None:
        self._left = len(found.orders)
        self._names = {order.begun.key: order.begun.name for order in found.orders}
        self._news = news
        self._done = 0
        self._began = time.monotonic()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if err.is_terminal and self._left:
            from rich.live import Live

            self._live = Live(console=err, transient=True, get_renderable=self._rendered, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def graded(self, grade: "Grade") -> None:
        """A submission is graded."""
        self._done += 1
        passed, of = grade.checks_passed
        said = f"{passed} of {of} checks" if of else grade.outcome.value
        line = f"{_sign(grade)} {escape(harmless(grade.name))}  {escape(grade.exercise or '')}  {said}"
        err.print(f"{line}  [dim]{grade.seconds:.0f} s[/]", soft_wrap=True)

    def _rendered(self) -> "RenderableType":
        from rich.console import Group
        from rich.progress_bar import ProgressBar

        parts = {key: done / total if total else 0.0 for key, (done, total) in dict(self._news.working).items()}
        completed = min(self._done + sum(parts.values()), float(self._left))
        line = Table.grid(padding=(0, 1))
        line.add_row(
            ProgressBar(total=self._left, completed=completed, width=30),
            f"{self._done} of {self._left}",
            f"[dim]{self._time_left(completed)}[/]",
        )
        names = ", ".join(
            f"{harmless(self._names[key])} ({done}/{total})" if total else harmless(self._names[key])
            for key, (done, total) in sorted(dict(self._news.working).items())
        )
        return Group(line, f"[dim]{escape(names)}[/]")

    def _time_left(self, completed: float) -> str:
        elapsed = time.monotonic() - self._began
        if completed < 0.5 or elapsed < 5:
            return ""
        return f"about {_duration(max(elapsed / completed * (self._left - completed), 1))} left"
