"""What a run of the checks found, printed: what comes next in full, the rest in one line each."""

import os
import textwrap
from pathlib import Path

from rich.markup import escape

from labkit import invocation, language
from labkit.cli.show import item, shown
from labkit.console import out
from labkit.verify.report import Check, Report, Result, TaskReport, Verdict

SIGNS = {
    Verdict.PASSED: ("✓", "green"),
    Verdict.NOT_DONE: ("✗", "red"),
    Verdict.TIMED_OUT: ("✗", "red"),
    Verdict.ENVIRONMENT: ("!", "yellow"),
    Verdict.CHECKER: ("!", "yellow"),
    Verdict.SKIPPED: ("-", "dim"),
}

_PARTS = language.marked("expected", "seen", "where", "cause", "next", "evidence")
_LINES = 24
"""How many lines a terminal has at the least; what does not fit is scrolled away."""


def show(report: Report, everything: bool = False) -> None:
    """Print a run; with `everything` each check with all that is known about it, as long as that may be."""
    failed = [(check, result) for check, result in report.results if not _is_calm(result)]
    kept = _evidence_folder(report)
    if everything or not failed:
        for task in report.tasks:
            _print_task(task, passed_too=True)
        for check, result in failed:
            _print_failure(check, result, kept)
    else:
        _print_short(report, *failed[0])
    out.print()
    passed = sum(result.verdict is Verdict.PASSED for _, result in report.results)
    style = "green" if report.passed else "red"
    rest = "" if everything or len(failed) < 2 else f"  [dim]{_form('labkit verify --all')} tells about all[/]"
    out.print(
        f"[bold {style}]{passed} of {len(report.results)} checks passed[/], in {report.duration:.1f} s.{rest}",
        soft_wrap=True,
    )
    if kept and everything:
        out.print(
            f"[dim]evidence:[/] {escape(str(kept))} [dim](screenshots, traces, console, WebSockets, logs)[/]",
            soft_wrap=True,
        )
    elif kept:
        place = os.path.relpath(kept) if kept.is_relative_to(Path.cwd()) else str(kept)
        out.print(f"[dim]evidence:[/] {escape(place)}", soft_wrap=True)
    advice = next((result.next for _, result in report.results if result.next), None)
    if advice:
        out.print(f"[dim]next:[/] {escape(invocation.here(advice))}", soft_wrap=True)


def _is_calm(result: Result) -> bool:
    return result.verdict in (Verdict.PASSED, Verdict.SKIPPED)


def _form(text: str) -> str:
    return escape(invocation.here(text))


def _print_short(report: Report, first: Check, found: Result) -> None:
    """A line for each task, for each check that failed, too, as far as one screen has room; the first one in full."""
    room = _LINES - 6 - len(_parts(found)) - len(report.tasks)
    for task in report.tasks:
        failed = [check for check, result in task.checks if result.verdict is not Verdict.PASSED]
        is_listed = 0 < len(failed) <= room
        if is_listed:
            room -= len(failed)
            _print_task(task, passed_too=False)
        else:
            sign, style = SIGNS[Verdict.NOT_DONE if failed else Verdict.PASSED]
            done = len(task.checks) - len(failed)
            out.print(
                _short(
                    f"[{style}]{sign}[/] [bold]{escape(task.id)}[/]  ", task.title, f"  {done} of {len(task.checks)}"
                )
            )
    _print_failure(first, found, None)


def _print_task(task: TaskReport, passed_too: bool) -> None:
    if passed_too:
        out.print()
    out.print(f"[bold]{escape(task.id)}  {shown(task.title)}[/]", soft_wrap=True)
    for check, result in task.checks:
        if result.verdict is Verdict.PASSED and not passed_too:
            continue
        sign, style = SIGNS[result.verdict]
        said = "" if result.verdict is Verdict.PASSED else f"  [{style}]{shown(result.verdict)}[/]"
        reason = f" [dim]({shown(result.cause)})[/]" if result.verdict is Verdict.SKIPPED and result.cause else ""
        if result.verdict is Verdict.PASSED and result.seen:
            reason = f" [dim]({shown(result.seen)})[/]"
        if passed_too:
            item(f"  [{style}]{sign}[/] ", f"{shown(check.title)}{said}{reason}")
        else:
            out.print(_short(f"  [{style}]{sign}[/] ", check.title, said), soft_wrap=True)


def _short(before: str, text: str, after: str) -> str:
    """One line; on a terminal the text is cut at a word, so that it fits."""
    if out.is_terminal:
        from rich.text import Text

        room = out.width - Text.from_markup(before + after).cell_len
        text = textwrap.shorten(language.translated(text), max(room, 20), placeholder=" …")
    return f"{before}{escape(text)}{after}"


def _evidence_folder(report: Report) -> Path | None:
    """The folder that all the evidence of this run is in."""
    folders = {str(Path(path).parent) for _, result in report.results for path in result.evidence}
    return Path(os.path.commonpath(folders)) if folders else None


def _print_failure(check: Check, result: Result, kept: Path | None) -> None:
    _, style = SIGNS[result.verdict]
    out.print()
    out.print(f"[bold {style}]{shown(result.verdict)}[/]  [bold]{shown(check.title)}[/]", soft_wrap=True)
    for name, value in _parts(result):
        _print_part(name, value)
    if kept:
        if result.next:
            _print_part("next", invocation.here(result.next))
        # Of a folder only its name: the one line at the end says where it is.
        parts = [Path(path).relative_to(kept).parts for path in result.evidence]
        names = dict.fromkeys(f"{first}/" if rest else first for first, *rest in parts)
        if names:
            _print_part("evidence", ", ".join(names))


def _parts(result: Result) -> list[tuple[str, str]]:
    return [(name, value) for name in _PARTS[:4] if (value := getattr(result, name))]


def _print_part(name: str, value: str) -> None:
    first, *others = language.translated(value).split("\n")
    item(f"  [dim]{language.translated(name):>8}[/]  ", escape(first))
    for line in others:
        item(" " * 12, escape(line))
