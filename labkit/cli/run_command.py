"""The command run."""

import contextlib
import queue
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from labkit import desktop, forwarding, snippets, usage
from labkit.cli import following, show
from labkit.cli.options import ExerciseArgument, LabOption, Solution, SolutionOption
from labkit.cli.show import say
from labkit.console import err, out, working
from labkit.errors import ExitCode, Interrupted, LabError, UsageError
from labkit.lab import Exercise, find_lab
from labkit.workspace import Workspace

if TYPE_CHECKING:
    from labkit.cli.run_front import Front
    from labkit.cli.run_screen import Screen
    from labkit.instances import Instance, Instances

commands = typer.Typer()

_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red")

_NO_DISPLAY = "There is no display here: open the address in a browser of your own."

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
    workspace: Workspace | None
    backplane: str = "postgres"

    @property
    def own(self) -> bool:
        """Whether it is a trainee's."""
        return self.workspace is not None


@commands.command("run")
def run(
    exercise: ExerciseArgument = None,
    solution: SolutionOption = None,
    instances: Annotated[
        int | None, typer.Option("--instances", min=1, max=20, help="How many; the exercise's own number if left out.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            help="The first instance's port, the others get the next ones; with --balancer its own. A free one if left "
            "out.",
        ),
    ] = None,
    open_: Annotated[
        bool | None, typer.Option("--open/--no-open", help="Open the pages in your browser; the default on a terminal.")
    ] = None,
    log: Annotated[
        bool, typer.Option("--log", help="Show all that the app logs, each request too, not only what stands out.")
    ] = False,
    backplane: Annotated[
        str | None,
        typer.Option(
            "--backplane",
            metavar="NAME",
            help="What joins the instances: postgres, redis, nats or sqlite; what the app declares if left out. "
            "labkit doctor tells which of them are here; for Windows there is no redis.",
            show_default=False,
        ),
    ] = None,
    balancer: Annotated[
        bool,
        typer.Option("--balancer", help="Put a load balancer in front: one address, which stands for all instances."),
    ] = False,
    rolling: Annotated[
        float | None,
        typer.Option(
            "--rolling",
            metavar="SECONDS",
            min=1,
            help="With --balancer: kill one instance after the other, with this much time in between.",
        ),
    ] = None,
    reload: Annotated[bool, typer.Option("--reload", help="Restart by itself whenever you save a file.")] = False,
    lab: LabOption = None,
) -> int:
    """Run the app of your workspace, one process for each instance, until you press Ctrl-C.

    On a terminal each instance's address stays in sight, above it what the app says for itself; o opens the pages, r
    restarts, q stops, and whenever you save a file you are told what to do to see it. Without a terminal the log is
    printed, line by line. What the exercise needs beside the app, PostgreSQL for example, is started too, or with
    --backplane what may stand in for it; the app's code stays as it is. With --solution the lab's own begin or end
    runs, with data that is thrown away.

    With --balancer you use the app as its visitors do who have one address: a reverse proxy, Caddy, sends each of them
    to an instance and keeps them there. The response header X-Served-By names the instance, and the log tells which one
    served which page. On a terminal k 2 kills instance 2, without asking it, and 5 seconds later it is started again;
    --rolling SECONDS does so to each in turn. An open page goes on with another one.
    """
    if rolling and not balancer:
        raise UsageError("--rolling kills instances behind a load balancer.", "labkit run --balancer --rolling 20")
    ready = False
    front: Front | None = None
    lines: _Lines = queue.SimpleQueue()
    try:
        if balancer:
            from labkit import balancer as proxy

            proxy.find()  # before anything else is started

        with ExitStack() as stack:
            subject = _joined(stack.enter_context(_subject(lab, exercise, solution)), backplane)
            count = instances or subject.exercise.app.instances
            note = stack.enter_context(usage.noted(subject.folder)) if subject.workspace else _nobody
            server = _database(stack, subject, port, count)
            running = _Instances(subject, count, None if balancer else port, server, lines, note)
            stack.callback(running.stop)
            running.start()
            if balancer:
                from labkit.cli import run_front

                ports = [each.port for each in running.now.list]
                home, folder = subject.exercise.app.home, subject.data / "balancer"
                front = stack.enter_context(run_front.opened(ports, home, folder, port=port, rolling=rolling))
            ready = True
            if subject.workspace:
                following.note(subject.exercise, subject.workspace, "run")
            if reload or (out.is_terminal and show.asks()):
                _attend(running, front, lines, log, reload, open_)
            else:
                _announce(running, front)
                by_itself = open_ is None and out.is_terminal and desktop.opens_pages()
                if (open_ or by_itself) and (said := _open_pages(_pages(running, front))):
                    err.print(said)
                _follow(running, front, lines)
    except KeyboardInterrupt:
        if not ready:
            raise Interrupted("Interrupted before the app was ready. Nothing of it runs any more.") from None
    except LabError as error:
        for line in getattr(error, "log_tail", "").splitlines():
            err.print(Text(f"    {line}", style="dim"), soft_wrap=True)
        raise
    say("Stopped: nothing of it runs any more.")
    if subject.workspace and out.is_terminal:
        following.say_following(find_lab(lab), following.look(subject.exercise, subject.workspace))
    return ExitCode.OK


def _nobody(ports: Sequence[int]) -> None:
    """Tell nobody of the instances of a solution: it is no trainee's work."""


class _Instances:
    """The instances of the app, which can be started again on the same ports; `note` hears where they answer."""

    def __init__(
        self,
        subject: _Subject,
        count: int,
        port: int | None,
        server: str | None,
        lines: _Lines,
        note: Callable[[Sequence[int]], None],
    ) -> None:
        self.subject = subject
        self._count = count
        self._port = port
        self._server = server
        self._lines = lines
        self._note = note
        self._ports: list[int] = []
        self._stack = ExitStack()
        self._now: Instances | None = None

    @property
    def now(self) -> "Instances":
        """Those that run; there are some after `start`."""
        assert self._now is not None  # noqa: S101  (for mypy)
        return self._now

    @property
    def up(self) -> "Instances | None":
        """The same, if they run."""
        return self._now

    def start(self) -> None:
        """Start them, and stop those that run."""
        from labkit import instances as engine
        from labkit.verify.causes import saying_why

        self.stop()
        subject = self.subject
        why = saying_why(subject.exercise, subject.folder) if subject.own else contextlib.nullcontext()
        what = f"{self._count} instances" if self._count > 1 else "the app"
        with working(f"Starting {what}") if not self._ports else contextlib.nullcontext(), why:
            self._now = self._stack.enter_context(
                engine.running(
                    subject.exercise.app,
                    subject.folder,
                    data=subject.data,
                    secret=subject.secret,
                    id=subject.id,
                    count=self._count,
                    database_server=self._server,
                    first_port=self._port,
                    same_ports=self._ports or None,
                    logs=subject.logs,
                    on_line=lambda number, line: self._lines.put((number, line)),
                )
            )
        self._ports = [each.port for each in self._now.list]
        self._note(self._ports)

    def forget_lines(self) -> None:
        """Drop what was logged and not shown: an error has said it."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._lines.get_nowait()

    def stop(self) -> None:
        """Stop them, if they run."""
        if self._now is not None:
            self._note(())
        self._now = None
        self._stack.close()


def _attend(
    running: _Instances, front: "Front | None", lines: _Lines, log: bool, reload: bool, wanted: bool | None
) -> None:
    """Show what becomes of the app, and do what keys and saved files ask for, until it is to stop."""
    from labkit import keys, saves
    from labkit.cli.run_screen import Screen

    subject = running.subject
    exercise = subject.exercise
    with (
        saves.watched(subject.folder) as saved,
        keys.reader() as pressed,
        Screen(exercise.title, subject.folder, log) as screen,
    ):
        _show(running, front, screen)
        server = _watch(subject, screen.note)
        if subject.own:
            for path, line, text in snippets.unfilled(subject.folder):
                screen.tell(f"{text} in {path}, line {line}, is a placeholder: write your own value in its place.")
        if wanted is not False and not desktop.opens_pages():
            screen.tell(_NO_DISPLAY)
        elif wanted is not False:
            screen.tell(_open_pages(_pages(running, front)))
        while True:
            with contextlib.suppress(queue.Empty):
                screen.line(*lines.get(timeout=0.1))
                continue  # first all that is said
            if server is not None:
                server.look()
            key, files = pressed(), saved()
            if key == "q":
                return
            if front is not None and not _look_behind(running, front, screen, key):
                continue
            if key == "o" and running.up:
                screen.tell(_open_pages(_pages(running, front)) if desktop.opens_pages() else _NO_DISPLAY)
            if key == "r" or (files and (reload or not running.up)):
                _restart(running, front, screen)
            elif files:
                screen.tell(_advice(files))
            dead = running.now.poll() if running.up else None
            if dead:
                status, tail = running.now.exit_status(dead), running.now.tail(dead, lines=10)
                alone = len(running.now.list) == 1
                running.stop()
                screen.ended(_died(dead, status, tail, alone))


def _look_behind(running: _Instances, front: "Front", screen: "Screen", key: str | None) -> bool:
    """Show what goes on behind the balancer, and do what a key says; whether the instances run as they should."""
    try:
        front.look(running.up, screen.served)
        front.press(running.up, key)
    except LabError as error:
        running.stop()
        screen.ended(error)
        return False
    if running.up:
        screen.behind(front.states(running.up))
    return True


def _show(running: _Instances, front: "Front | None", screen: "Screen") -> None:
    behind = front.states(running.now) if front is not None else ()
    screen.runs(_pages(running, front), [each.log for each in running.now.list], behind)


def _pages(running: _Instances, front: "Front | None") -> list[str]:
    """Where one sees the app: the balancer's address, else that of each instance."""
    if front is not None:
        return [front.page]
    return [_page(running.subject.exercise, each) for each in running.now.list]


def _restart(running: _Instances, front: "Front | None", screen: "Screen") -> None:
    """Start the app anew; if it does not start any more, say why and go on."""
    screen.tell("Restarting …")
    try:
        running.start()
    except LabError as error:
        running.forget_lines()
        screen.ended(error)
    else:
        _show(running, front, screen)
        screen.tell(f"Restarted at {time.strftime('%H:%M:%S')}.")


def _advice(files: list[str]) -> str:
    """What to do to see files that were saved."""
    names = files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
    was = "was" if len(files) == 1 else "were"
    if any(file.endswith((".py", ".toml")) for file in files):
        return f"{names} {was} saved: restart to see it: press r"
    return f"{names} {was} saved: reload the page to see it, or restart: press r"


@contextmanager
def _subject(lab_folder: Path | None, exercise: str | None, solution: Solution | None) -> Iterator[_Subject]:
    """What the command line means: a workspace, or the lab's own begin or end with data in a temporary folder."""
    if solution is None:
        _, chosen, found = show.subject(lab_folder, exercise)
        yield _Subject(chosen, found.folder, found.data, found.data / "logs", found.secret, found.id, found)
        return
    from labkit.places import cache_folder

    lab = find_lab(lab_folder)
    chosen = lab.exercise(exercise) if exercise else show.subject(lab_folder, None)[1]
    logs = cache_folder() / "logs" / f"{chosen.name}-{solution}"
    with tempfile.TemporaryDirectory(prefix="labkit-", ignore_cleanup_errors=True) as data:
        # An id of its own: a browser that is logged in to a workspace's app stays so.
        yield _Subject(chosen, chosen.solution(solution), Path(data), logs, secrets.token_hex(32), str(solution), None)


def _joined(subject: _Subject, backplane: str | None) -> _Subject:
    """The subject with the backplane that is named, else with the one that the app declares."""
    from labkit import services

    database = subject.exercise.database
    declared = services.declared(database, subject.folder) if database else "postgres"
    return replace(subject, backplane=backplane or declared)


def _database(stack: ExitStack, subject: _Subject, port: int | None, count: int) -> str | None:
    """Start PostgreSQL, if the exercise needs it, and tell its URL; `stack` stops it."""
    from labkit.ports import check_ports

    if port is not None:
        check_ports(port, count)
    if subject.backplane != "postgres":
        from labkit import services

        app = subject.folder if subject.own else None
        service = services.choose(subject.backplane, subject.exercise.database, subject.exercise.id, app)
        with working(f"Starting {service.title}"):
            url = stack.enter_context(service.running(subject.data))
        say(f"{service.title} joins the instances.")
        return url
    if not subject.exercise.database:
        return None
    with working("Starting PostgreSQL"):
        return stack.enter_context(_server(subject))


@contextmanager
def _server(subject: _Subject) -> Iterator[str]:
    """The database server's URL: the lab's own; for the lab's solutions a temporary one that has their databases.

    On the lab's own server these databases would do a step of the exercise for the trainee.
    """
    from labkit.services.postgres.keeper import temporary_server
    from labkit.services.postgres.lab_server import find_server

    if subject.own:
        with find_server().running() as server:
            yield server.url
        return
    with temporary_server() as server:
        if subject.folder == subject.exercise.end:
            for name in subject.exercise.database.solution if subject.exercise.database else ():
                server.create_database(name)
        yield server.url


def _announce(running: _Instances, front: "Front | None") -> None:
    """Say where the instances are, and what stands out."""
    subject = running.subject
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    if front is not None:
        count = len(running.now.list)
        table.add_row(Text(front.page, style="bold"), f"a load balancer, {count} instances behind it")
    for instance in running.now.list if front is None else ():
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


def _open_pages(pages: list[str]) -> str:
    """Open the pages; what to say about it, nothing if they open."""
    opened = desktop.open_pages(pages)
    return "" if opened else "No browser could be opened: open the address yourself."


def _follow(every: _Instances, front: "Front | None", lines: _Lines) -> None:
    """Print the log until Ctrl-C, and what becomes of the database server; raise LabError if an instance dies."""
    running = every.now
    server = _watch(every.subject, err.print)
    while True:
        with contextlib.suppress(queue.Empty):
            # In steps, so that a death is seen, and so that Ctrl-C is on Windows.
            _print_line(*lines.get(timeout=0.2))
        if server is not None:
            server.look()
        if front is not None:
            front.look(running, _print_line)
        dead = running.poll()
        if dead:
            tail = running.tail(dead, lines=10)
            status = running.exit_status(dead)
            _print_waiting(lines)
            raise _died(dead, status, tail, alone=len(running.list) == 1)


def _watch(subject: _Subject, say: Callable[[str], None]) -> "_Watch | None":
    """Watch the server that labkit has for a workspace's instances, if they need one."""
    if not subject.own or subject.exercise.database is None:
        return None
    if subject.backplane == "postgres":
        from labkit.services.postgres.lab_server import find_server

        restart = f"{show.form('labkit db start')}, in a second terminal, starts it again"
        return _Watch("PostgreSQL", find_server().existing, restart, say)
    from labkit import services

    service = services.find(subject.backplane)
    restart = "Stop the app, then repeat the command: it starts both."
    return _Watch(service.title, lambda: service.existing(subject.data), restart, say)


class _Watch:
    """Tells when a server ends, and when it is back: the instances say no more than that they miss it."""

    def __init__(self, title: str, existing: Callable[[], object], restart: str, say: Callable[[str], None]) -> None:
        self._title = title
        self._existing = existing
        self._restart = restart
        self._say = say
        self._was_up = True
        self._next_look = 0.0

    def look(self) -> None:
        """Look at most once a second."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + 1
        is_up = self._existing() is not None
        if is_up != self._was_up:
            self._was_up = is_up
            if is_up:
                self._say(f"[yellow]note:[/] {self._title} runs again; the instances reconnect by themselves.")
            else:
                self._say(
                    f"[yellow]note:[/] {self._title} has ended, and the instances reach it no more.\n"
                    f"next: {self._restart}"
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
    return forwarding.page(instance.url + exercise.app.home)
