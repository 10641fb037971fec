"""How a grading looks at the terminal: while it goes on, and in the end."""

import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.markup import escape
from rich.table import Table

from labkit.cli.show import say
from labkit.console import err, out
from labkit.harmless import harmless

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from labkit.grading.class_report import ClassReport
    from labkit.grading.classes import Class
    from labkit.grading.crew import News
    from labkit.grading.grades import Grade

_SIGNS = {True: ("✓", "green"), False: ("✗", "red")}


def show(told: "ClassReport", seconds: float) -> None:
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
    _say_receipts(told.grades)
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


def _say_receipts(grades: "Sequence[Grade]") -> None:
    """How many stand by their receipts, and of how many that was tried."""
    from labkit.grading.grades import Standing

    counts = Counter(grade.receipt for grade in grades if grade.receipt)
    if counts:
        tried = counts[Standing.CONFIRMED] + counts[Standing.CONTRADICTED]
        say()
        say(
            f"Receipts: {counts[Standing.TAKEN]} taken for verdicts, {tried} checked anew, "
            f"{counts[Standing.CONTRADICTED]} of which say something else."
        )


def _print_remarks(graded: "Sequence[tuple[str, Grade]]") -> None:
    from labkit.grading.grades import Standing

    for name, grade in graded:
        if grade.remark and grade.receipt is not Standing.TAKEN:  # of those, `_say_receipts` tells the number
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
