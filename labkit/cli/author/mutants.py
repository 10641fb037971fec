"""`labkit author mutants`: whether the checks tell wrong solutions from right ones, and say what is wrong."""

import platform
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from labkit.cli import show
from labkit.cli.author.options import chosen
from labkit.cli.options import LabOption
from labkit.cli.show import say, say_next
from labkit.console import Format, FormatOption, err, out, print_json
from labkit.errors import ExitCode, UsageError
from labkit.files import read_text, write_whole
from labkit.lab import find_lab
from labkit.workspace import lab_option

if TYPE_CHECKING:
    from labkit.author.matrix import Outcome
    from labkit.author.mutants import Solution

commands = typer.Typer()


@commands.command()
def mutants(
    exercise: Annotated[
        str | None,
        typer.Argument(metavar="EX", help="Only this exercise; all if left out.", show_default=False),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="TEXT", help="Only solutions with this text in their name or kind; repeatable."),
    ] = None,
    generic: Annotated[
        bool, typer.Option("--generic/--no-generic", help="Also the mutants that follow from the snippets.")
    ] = True,
    sample: Annotated[
        int | None,
        typer.Option(
            "--sample",
            min=1,
            metavar="N",
            help="Only N wrong and N right ones of each kind, the same ones every time.",
            show_default=False,
        ),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option("--part", metavar="K/N", help="Only the K-th of N parts.", show_default=False),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--keep",
            metavar="FILE",
            help="Keep what is found in this file, and go on from what is there.",
            show_default=False,
        ),
    ] = None,
    kept_only: Annotated[
        bool, typer.Option("--kept-only", help="With --keep, verify nothing: judge anew what the file has.")
    ] = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again", help="Verify those that are not as they should be once more, one by one, before they count."
        ),
    ] = False,
    workers: Annotated[int, typer.Option("--workers", min=1, help="How many are verified at the same time.")] = 2,
    list_only: Annotated[bool, typer.Option("--list", help="Only list them.")] = False,
    write: Annotated[
        Path | None, typer.Option("--write", metavar="FILE", help="Also write the figures into this page.")
    ] = None,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> int:
    """Verify wrong and right solutions, and see whether the checks are right about each.

    Wrong ones, mutants, have to be killed by the check that is meant to, which has to name the cause. Right ones,
    equivalents, have to pass. They are written in exercises/NAME/mutants/*.toml; those that follow from the snippets
    (each missing, each line of it missing, each name in it mistyped) come by themselves.

    All of them take long: each is verified like a trainee's workspace. --sample 1 tries some of every kind, for a
    change of the checks or for CI; before a release, run all. --keep FILE writes each verdict down at once: what was
    stopped is gone on with by the same command, --part 2/4 is a quarter of all, and --kept-only tells what is there so
    far. Remove the file after a change of the checks. With --again, a solution whose verdict was wrong by chance, on a
    machine that was too busy, is told and does not count; what is wrong twice does.

    The exit code is 0 if the checks are right about all of them, 1 if not.
    """
    from labkit.author import figures, matrix
    from labkit.author.generic import generic as of_snippets
    from labkit.author.kept import Kept
    from labkit.author.mutants import sample as sample_of
    from labkit.author.mutants import written

    the_lab = find_lab(lab or show.lab_folder_here())
    exercises = chosen(the_lab, exercise)
    solutions = [each for one in exercises for each in (*written(one), *(of_snippets(one) if generic else ()))]
    if only:
        solutions = [each for each in solutions if any(text in f"{each.kind}: {each.name}" for text in only)]
    of = len(solutions)
    solutions = sample_of(solutions, sample) if sample else solutions
    solutions = _part_of(solutions, part) if part else solutions
    if not solutions:
        raise UsageError("There is no such solution.", f"labkit author mutants --list{lab_option(the_lab)}")
    if kept_only and not keep:
        raise UsageError("--kept-only needs a file.", "Name it: --keep FILE")
    if write:
        figures.page(read_text(write), (), "")  # whether it has a place for them, before it takes long
    if list_only:
        _list(solutions, format)
        return int(ExitCode.OK)
    kept = Kept(keep) if keep else None
    began, outcomes = time.monotonic(), kept.of(solutions) if kept else []
    known = {id(each.solution) for each in outcomes}
    left = [] if kept_only else [each for each in solutions if id(each) not in known]
    for outcome in matrix.run(left, workers):
        if kept:
            kept.add(outcome)
        outcomes.append(outcome)
        _show_progress(outcome, f"{len(outcomes):>{len(str(len(solutions)))}}/{len(solutions)}")
    if again and not kept_only:
        for outcome in matrix.again(outcomes):
            if kept:
                kept.add(outcome)
            outcomes = [outcome if each.solution is outcome.solution else each for each in outcomes]
            _show_progress(outcome, "once more")
    seconds = time.monotonic() - began
    if write:
        count = f"{len(outcomes)} of {of}" if of > len(outcomes) else str(of)
        how = f"{workers} at a time, in {seconds / 60:.0f} minutes" if left else "kept from earlier runs"
        said = (
            f"{count} solutions, {how}, {date.today():%Y-%m-%d}, "
            f"Python {platform.python_version()}, {platform.system()}."
        )
        write_whole(write, figures.page(read_text(write), outcomes, said).encode("utf-8"))
    wrong = [each for each in outcomes if not each.holds]
    if format is Format.JSON:
        print_json(
            {
                "holds": not wrong,
                "seconds": round(seconds, 1),
                "figures": [row.__dict__ for row in figures.rows(outcomes)],
                "solutions": [each.to_json() for each in outcomes],
                "slow": [
                    {"name": each.solution.name, "times": round(ratio, 1)} for each, ratio in figures.slow(outcomes)
                ],
            }
        )
    else:
        _print(outcomes, seconds)
        if wrong:
            first, option = wrong[0].solution, lab_option(the_lab)
            say_next(f'labkit author mutants {first.exercise.id} --only "{first.name}"{option}   (only this one)')
    return int(ExitCode.NOT_DONE if wrong else ExitCode.OK)


def _part_of(solutions: "Sequence[Solution]", part: str) -> "list[Solution]":
    """The K-th of N parts, which are spread over all kinds."""
    number, _, count = part.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise UsageError(f"{part} is no part.", "Write it like --part 1/4, --part 2/4 and so on.")
    return list(solutions[int(number) - 1 :: int(count)])


def _list(solutions: "Sequence[Solution]", format: Format) -> None:
    if format is Format.JSON:
        print_json(
            {
                "solutions": [
                    {"exercise": each.exercise.id, "kind": each.kind, "name": each.name, "right": each.right}
                    for each in solutions
                ]
            }
        )
        return
    kind = None
    for each in solutions:
        if (each.exercise, each.kind) != kind:
            kind = (each.exercise, each.kind)
            say(f"[bold]{escape(each.exercise.id)}  {escape(each.kind)}[/]")
        say(f"  {'[green]right[/]' if each.right else '[red]wrong[/]'}  {escape(each.name)}")
    say(f"{sum(not each.right for each in solutions)} wrong, {sum(each.right for each in solutions)} right.")


def _show_progress(outcome: "Outcome", which: str) -> None:
    """Say on stderr what was found about one solution."""
    sign = "[green]✓[/]" if outcome.problem is None else "[yellow]~[/]" if outcome.holds else "[red]✗[/]"
    said = "" if outcome.problem is None else f" ({outcome.problem})"
    if not outcome.holds:
        # At once, because the last one may come an hour later.
        said += "".join(f"\n      {check.id}: {result.cause or result.seen}" for check, result in outcome.failed[:3])
    solution = outcome.solution
    err.print(
        f"[dim]{which}[/] {sign} {escape(solution.exercise.id)}  "
        f"{escape(solution.kind)}: {escape(solution.name)}{escape(said)}",
        soft_wrap=True,
    )


def _print(outcomes: "Sequence[Outcome]", seconds: float) -> None:
    from labkit.author import figures

    table = Table(box=None, padding=(0, 1), pad_edge=False)
    for number, heading in enumerate(figures.HEADINGS):
        table.add_column(heading, justify="left" if number < 2 else "right", overflow="fold")
    for row in figures.rows(outcomes):
        table.add_row(*map(escape, row.cells), style="bold" if row.kind == "all" else "")
    out.print(table)
    for outcome in outcomes:
        if outcome.problem:
            _print_problem(outcome)
    for outcome in outcomes:
        if outcome.unsteady:
            where, before = escape(outcome.solution.source), outcome.before
            say(f"[yellow]unsteady[/]  {escape(outcome.solution.name)}  [dim]{where}, at first {before}[/]")
    for outcome, ratio in figures.slow(outcomes):
        where = escape(outcome.solution.source)
        say(f"[yellow]slow[/]  {escape(outcome.solution.name)}  [dim]{where}, {ratio:.1f} times a right one[/]")
    wrong = sum(not each.holds for each in outcomes)
    say()
    style = "red" if wrong else "green"
    known = sum(each.holds and each.solution.known is not None for each in outcomes)
    also = f", {known} of them as known" if known else ""
    say(f"[bold {style}]{len(outcomes) - wrong} of {len(outcomes)} as they should be{also}[/], in {seconds:.0f} s.")


def _print_problem(outcome: "Outcome") -> None:
    solution = outcome.solution
    say()
    style = "yellow" if outcome.holds else "red"
    say(
        f"[bold {style}]{outcome.problem}[/]  [bold]{escape(solution.name)}[/]  "
        f"[dim]{escape(solution.source)}, {escape(solution.kind)}[/]"
    )
    if solution.known:
        _part("known", solution.known)
    if outcome.error:
        _part("error", outcome.error)
    if not solution.right and outcome.problem != "survived":
        _part("wanted", " ".join(filter(None, (solution.check, *outcome.named))) or " or ".join(solution.hints))
    for check, result in outcome.failed[:3]:
        _part("failed", f"{check.id}: {result.verdict}")
        for name in ("expected", "seen", "where", "cause", "next"):
            value = getattr(result, name)
            if value:
                _part(name, value)


def _part(name: str, value: str) -> None:
    first, *others = value.split("\n")
    say(f"  [dim]{name:>8}[/]  {escape(first)}")
    for line in others:
        say(f"            {escape(line)}")
