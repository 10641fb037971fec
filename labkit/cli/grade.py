"""The command grade."""

import tempfile
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, closing
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from labkit import sandbox
from labkit.cli import grade_screen
from labkit.cli.options import LabOption
from labkit.cli.show import say, say_next
from labkit.console import Format, FormatOption, err, print_json, working
from labkit.errors import Interrupted, UsageError
from labkit.files import write_whole
from labkit.grading.feedback import Feedback
from labkit.lab import Lab, find_lab
from labkit.tree import argument, nearby
from labkit.workspace import lab_option

if TYPE_CHECKING:
    from labkit.grading.classes import Class
    from labkit.grading.crew import News, Order
    from labkit.grading.grades import Grade
    from labkit.grading.limits import Limits

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
    branches: Annotated[
        str | None,
        typer.Option(
            "--branches",
            metavar="PATTERN",
            help="DIR is a Git repository with a branch for each trainee: `'work/*'`, `'*'`.",
        ),
    ] = None,
    one: Annotated[
        bool, typer.Option("--one", help="DIR is one submission, whatever is in it: for a job of its own, see --out.")
    ] = False,
    out_file: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="With --one: write the grade (.json), or all of it (.zip), into FILE."
        ),
    ] = None,
    collect: Annotated[
        bool, typer.Option("--collect", help="Grade nothing: make one report of the results and --out zips in DIR.")
    ] = False,
    recheck: Annotated[
        str | None,
        typer.Option(
            "--recheck",
            metavar="PERCENT",
            help="Take receipts (of `labkit verify --receipt`) for verdicts, and check this share of them anew: 20%.",
        ),
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(
            "--dask",
            metavar="ADDRESS",
            help="Have the workers of a running dask.distributed cluster grade: tcp://HOST:8786.",
        ),
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
    from labkit.grading import class_report, classes, comparison, crew, gradebook, rechecking, roster
    from labkit.grading.grades import exit_code
    from labkit.grading.limits import Limits
    from labkit.grading.results import Results, default_folder

    the_lab = find_lab(lab)
    chosen = the_lab.exercise(exercise) if exercise else None
    _check_options(places, one, out_file, collect, branches)
    side_by_side = crew.check_jobs(jobs)
    share = rechecking.share(recheck) if recheck else 1.0
    people = roster.read(roster_file) if roster_file else []
    earlier = comparison.read(compare) if compare else None
    if report_to:
        class_report.refuse(report_to)
    began = time.monotonic()
    with ExitStack() as stack:
        if one and results is None:
            results = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="labkit-"))) / "results"
        kept = Results(results or default_folder(places[0]))
        stack.enter_context(kept.writing())
        with working("Looking for submissions"):
            found = (
                classes.collect(places, kept)
                if collect
                else classes.gather(
                    the_lab, places, chosen, kept, again, report_to is not None, branches, one, recheck is not None
                )
            )
        if not found.size:
            raise UsageError(
                f"There is no workspace in {' and '.join(map(nearby, places))}.",
                "Name the folder that has a folder or a zip for each trainee.",
            )
        if format is Format.TEXT:
            if not_enforced := sandbox.lacking():
                err.print(f"[dim]{escape(not_enforced)}[/]", soft_wrap=True)
            how = f"by the cluster at {dask}" if dask else f"{min(side_by_side, len(found.orders))} at a time"
            _say_beginning(found, how, kept.folder)
        grades = list(found.known)
        news = crew.News()
        with grade_screen.Shown(found, news) as shown:
            try:
                hands = _hands(the_lab, dask, side_by_side, Limits(seconds=limit), news)
                # Closed here, not some time later: then nothing of it runs any more.
                with closing(rechecking.graded(found.orders, found.receipts, share, hands)) as grading:
                    for graded in grading:
                        kept.put(graded)
                        grades.append(graded)
                        shown.graded(graded)
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
            grade_screen.show(told, time.monotonic() - began)
            for name, file in (("gradebook", gradebook_to), ("report", page)):
                if file:
                    say(f"[dim]{name}:[/] {escape(nearby(file))}")
            _say_next(the_lab, grades, places)
        if out_file:
            kept.write(grades[0], out_file)
    return int(exit_code(grades, strict))


def _hands(
    lab: Lab, dask: str | None, jobs: int, limits: "Limits", news: "News"
) -> "Callable[[Sequence[Order]], Generator[Grade, None, None]]":
    """Whoever grades: this machine's crew, or a cluster."""
    if dask:
        from labkit.grading import cluster

        return partial(cluster.grade, lab, address=dask, limits=limits, news=news)
    from labkit.grading import crew

    return partial(crew.grade, lab, jobs=jobs, limits=limits, news=news)


def _check_options(
    places: Sequence[Path], one: bool, out_file: Path | None, collect: bool, branches: str | None
) -> None:
    """Refuse what does not go together."""
    if (one or out_file) and not (one and out_file):
        raise UsageError("--one and --out go together.", f"labkit grade --one {argument(places[0])} --out grade.json")
    if one and (len(places) > 1 or collect or branches):
        raise UsageError("--one takes one submission.", f"labkit grade --one {argument(places[0])} --out grade.json")
    if collect and branches:
        raise UsageError("--collect takes results, --branches a repository.", "Leave one of them out.")
    if out_file and out_file.suffix not in (".json", ".zip"):
        raise UsageError(f"{out_file} is to end in .json or .zip.", "labkit grade --one DIR --out grade.zip")


def _say_beginning(found: "Class", how: str, folder: Path) -> None:
    many = f"{found.size} submission{'s' if found.size > 1 else ''}"
    parts = [f"Grading {many}"]
    if found.again:
        parts.append(f"{found.again} of them as they were graded before")
    if found.receipts:
        parts.append(f"{len(found.receipts)} with a receipt")
    if len(found.orders) > 1 and how != "1 at a time":
        parts.append(how)
    say(f"{', '.join(parts)}. Grades: {escape(nearby(folder))}")


def _say_next(lab: Lab, grades: "Sequence[Grade]", places: Sequence[Path]) -> None:
    if any(not each.outcome.is_settled for each in grades):
        command = f"labkit grade {' '.join(map(argument, places))}{lab_option(lab)}"
        say_next(f"{command}   (tries those without a verdict again)")
