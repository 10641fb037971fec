"""The command run."""

import contextlib
import os
import queue
import secrets
import sys
import tempfile
import time
import webbrowser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from labkit import snippets
from labkit.cli import show
from labkit.cli.options import ExerciseArgument, LabOption, Solution, SolutionOption
from labkit.cli.show import say
from labkit.console import err, out, working
from labkit.errors import ExitCode, Interrupted, LabError
from labkit.lab import Exercise, find_lab

if TYPE_CHECKING:
    from labkit.instances import Instance, Instances

commands = typer.Typer()

_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red")

_Lines = queue.SimpleQueue[tuple[int, str]]


@dataclass(frozen=True)
class _Subject:
    """What runs: an app folder, with what its instances are given."""

    exercise: Exercise
    folder: Path
    data: Path
    logs: Path
    secret: str
    id: str
    own: bool


@commands.command("run")
def run(
    exercise: ExerciseArgument = None,
    solution: SolutionOption = None,
    instances: Annotated[
        int | None, typer.Option("--instances", min=1, max=20, help="How many; the exercise's own number if left out.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", help="The first instance's port; the others get the next ones. A free one if left out."),
    ] = None,
    open_: Annotated[
        bool | None, typer.Option("--open/--no-open", help="Open the pages in your browser; the default on a terminal.")
    ] = None,
    lab: LabOption = None,
) -> int:
    """Run the app of your workspace, one process for each instance, until you press Ctrl-C.

    Each instance's address is shown, then its log, line by line. What the exercise needs beside the app, PostgreSQL
    for example, is started too. With --solution the lab's own begin or end runs, with data that is thrown away.
    """
    ready = False
    lines: _Lines = queue.SimpleQueue()
    try:
        with ExitStack() as stack:
            subject = stack.enter_context(_subject(lab, exercise, solution))
            count = instances or subject.exercise.app.instances
            running = _start(stack, subject, count, port, lines)
            ready = True
            _announce(subject, running)
            _open_pages(subject.exercise, running, open_)
            _follow(running, lines, subject)
    except KeyboardInterrupt:
        if not ready:
            raise Interrupted("Interrupted before the app was ready. Nothing of it runs any more.") from None
    except LabError as error:
        for line in getattr(error, "log_tail", "").splitlines():
            err.print(Text(f"    {line}", style="dim"), soft_wrap=True)
        raise
    say("Stopped: nothing of it runs any more.")
    return ExitCode.OK


@contextmanager
def _subject(lab_folder: Path | None, exercise: str | None, solution: Solution | None) -> Iterator[_Subject]:
    """What the command line means: a workspace, or the lab's own begin or end with data in a temporary folder."""
    if solution is None:
        _, chosen, found = show.subject(lab_folder, exercise)
        yield _Subject(chosen, found.folder, found.data, found.data / "logs", found.secret, found.id, own=True)
        return
    from labkit.places import cache_folder

    lab = find_lab(lab_folder)
    chosen = lab.exercise(exercise) if exercise else show.subject(lab_folder, None)[1]
    logs = cache_folder() / "logs" / f"{chosen.name}-{solution}"
    with tempfile.TemporaryDirectory(prefix="labkit-", ignore_cleanup_errors=True) as data:
        # An id of its own: a browser that is logged in to a workspace's app stays so.
        yield _Subject(
            chosen, chosen.solution(solution), Path(data), logs, secrets.token_hex(32), str(solution), own=False
        )


def _start(stack: ExitStack, subject: _Subject, count: int, port: int | None, lines: _Lines) -> "Instances":
    """Start PostgreSQL, if the exercise needs it, and the instances; `stack` stops them."""
    from labkit import instances as engine

    if port is not None:
        engine.check_ports(port, count)
    server = None
    if subject.exercise.database:
        with working("Starting PostgreSQL"):
            server = stack.enter_context(_server(subject))
    what = f"{count} instances" if count > 1 else "the app"
    with working(f"Starting {what}"), _saying_why(subject):
        return stack.enter_context(
            engine.running(
                subject.exercise.app,
                subject.folder,
                data=subject.data,
                secret=subject.secret,
                id=subject.id,
                count=count,
                database_server=server,
                first_port=port,
                logs=subject.logs,
                on_line=lambda number, line: lines.put((number, line)),
            )
        )


@contextmanager
def _saying_why(subject: _Subject) -> Iterator[None]:
    """Say of a workspace's app that does not start what its files tell of the cause, as verify does."""
    from labkit.diagnosis import AppDidNotStart
    from labkit.verify.causes import Facts, missing_code, of_start

    try:
        yield
    except AppDidNotStart as error:
        if subject.own:
            texts = {name: each.text for name, each in subject.exercise.snippets.items()}
            todo, _ = missing_code(subject.exercise, subject.folder)
            found = of_start(Facts(subject.folder, subject.exercise.begin, texts, todo), error)
            error.message, error.next = found.cause, found.next
        raise


@contextmanager
def _server(subject: _Subject) -> Iterator[str]:
    """The database server's URL: the lab's own; for the lab's solutions a temporary one that has their databases.

    On the lab's own server these databases would do a step of the exercise for the trainee.
    """
    from labkit import postgres

    if subject.own:
        with postgres.find_server().running() as server:
            yield server.url
        return
    with postgres.temporary_server() as server:
        if subject.folder == subject.exercise.end:
            for name in subject.exercise.database.solution if subject.exercise.database else ():
                server.create_database(name)
        yield server.url


def _announce(subject: _Subject, running: "Instances") -> None:
    """Say where the instances are, and what stands out."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for instance in running.list:
        number = Text(f"{instance.number}", style=_colour(instance.number))
        table.add_row(number, Text(_page(subject.exercise, instance), style="bold"))
    which = escape(str(subject.folder))
    say(f"[bold]{escape(subject.exercise.title)}[/] runs, from {which}")
    out.print(table)
    say("[dim]Ctrl-C stops it.[/]")
    if subject.own:
        for path, line, text in snippets.unfilled(subject.folder):
            place = escape(f"{path}, line {line}")
            err.print(
                f"[yellow]note:[/] {escape(text)} in {place}, is a placeholder: write your own value in its place."
            )


def _open_pages(exercise: Exercise, running: "Instances", wanted: bool | None) -> None:
    if wanted is False or (wanted is None and not (out.is_terminal and _has_desktop())):
        return
    for instance in running.list:
        if not webbrowser.open(_page(exercise, instance)):
            err.print("No browser could be opened: open the address yourself.")
            return


def _follow(running: "Instances", lines: _Lines, subject: _Subject) -> None:
    """Print the log until Ctrl-C, and what becomes of the database server; raise LabError if an instance dies."""
    server = _Watch() if subject.own and subject.exercise.database else None
    while True:
        with contextlib.suppress(queue.Empty):
            # In steps, so that a death is seen, and so that Ctrl-C is on Windows.
            _print_line(*lines.get(timeout=0.2))
        if server is not None:
            server.look()
        dead = running.poll()
        if dead:
            tail = running.tail(dead, lines=10)
            status = running.exit_status(dead)
            _print_waiting(lines)
            raise _died(dead, status, tail, alone=len(running.list) == 1)


class _Watch:
    """Tells when the database server ends, and when it is back: the instances say no more than that they miss it."""

    def __init__(self) -> None:
        from labkit import postgres

        self._server = postgres.find_server()
        self._was_up = True
        self._next_look = 0.0

    def look(self) -> None:
        """Look at most once a second."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + 1
        is_up = self._server.existing() is not None
        if is_up != self._was_up:
            self._was_up = is_up
            if is_up:
                err.print("[yellow]note:[/] PostgreSQL runs again; the instances reconnect by themselves.")
            else:
                err.print(
                    "[yellow]note:[/] PostgreSQL has ended, and the instances reach it no more.\n"
                    "next: labkit db start, in a second terminal, starts it again"
                )


def _died(instance: "Instance", status: int | None, tail: str, alone: bool) -> LabError:
    how = f"by signal {-status}" if status is not None and status < 0 else f"with exit code {status}"
    who = "The app" if alone else f"Instance {instance.number}"
    rest = "" if alone else " The others are stopped."
    last = "\n".join(f"    {line}" for line in tail.splitlines()) or "    (none)"
    return LabError(
        f"{who} ended {how}.{rest} Its last lines:\n{last}",
        f"Mend what they name, then repeat the command. The whole log: {instance.log}",
    )


def _print_waiting(lines: _Lines) -> None:
    """Print what has been logged so far."""
    with contextlib.suppress(queue.Empty):
        while True:
            _print_line(*lines.get_nowait())


def _print_line(number: int, line: str) -> None:
    out.print(Text.assemble((f"{number} | ", _colour(number)), line), soft_wrap=True)


def _colour(number: int) -> str:
    return _COLOURS[(number - 1) % len(_COLOURS)]


def _page(exercise: Exercise, instance: "Instance") -> str:
    return instance.url + exercise.app.home


def _has_desktop() -> bool:
    """Whether a browser would open in a window, and not in this very terminal."""
    if sys.platform in ("win32", "darwin"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME", "BROWSER"))
