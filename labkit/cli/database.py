"""The commands of `labkit db`: the lab's PostgreSQL server, and a look into it."""

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from labkit import workspace
from labkit.cli import following, show
from labkit.cli.options import BackplaneOption, LabOption
from labkit.cli.show import say, say_next
from labkit.console import Format, FormatOption, err, out, print_json, working
from labkit.errors import ExitCode, UsageError, unknown
from labkit.lab import Database, find_lab
from labkit.tree import argument

if TYPE_CHECKING:
    from labkit import services
    from labkit.services.postgres.lab_server import LabServer
    from labkit.services.postgres.server import Server
    from labkit.services.tables import Rows
    from labkit.services.tables import Table as Kept

commands = typer.Typer(
    no_args_is_help=True,
    help="The lab's PostgreSQL server: start and stop it, create databases, look into them.\n\n"
    "It is a real PostgreSQL of your own: it listens on this machine only, with a random password that labkit gives "
    "to your app. Commands start it when they need it and stop it afterwards; after **labkit db start** it stays "
    "until **labkit db stop**. Its databases last in any case.\n\n"
    "LABKIT_DATABASE_SERVER=postgresql://USER:PASSWORD@HOST:PORT names another server to use instead.",
)

DatabaseArgument = Annotated[
    str | None,
    typer.Argument(metavar="NAME", help="The database; may be left out if there is only one.", show_default=False),
]


@commands.command()
def start(format: FormatOption = Format.TEXT) -> None:
    """Start the server; it stays until **labkit db stop**.

    If it runs already, it stays as well. No other command leaves it running.
    """
    lab_server = _find()
    with working("Starting PostgreSQL"):
        server = lab_server.start()
    _report(lab_server, server, format, deed="db start")


@commands.command()
def stop(format: FormatOption = Format.TEXT) -> None:
    """Stop the server; its databases are kept.

    Whatever uses it at this moment loses its connection.
    """
    ran = _find().stop()
    if format is Format.JSON:
        print_json({"running": False, "stopped": ran})
        return
    say("The lab's PostgreSQL server is stopped; its databases are kept." if ran else "It was not running.")
    say_next(following.after("db stop", "labkit db start   (starts it again)"))


@commands.command()
def status(
    show_password: Annotated[
        bool, typer.Option("--show-password", help="Show the address with the password, for other programs.")
    ] = False,
    format: FormatOption = Format.TEXT,
) -> None:
    """Show whether the server runs, its address, its databases, and where its log is."""
    lab_server = _find()
    _report(lab_server, lab_server.existing(), format, show_password)


@commands.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new database: letters, digits, - and _.")],
    format: FormatOption = Format.TEXT,
) -> None:
    """Create an empty database.

    An application that uses it makes its own tables there. An existing database is never touched. In a workspace its
    name is noted in lab-workspace.toml, which git and a zip carry, so that the step counts as done elsewhere as well.
    """
    from labkit.services.postgres.server import check_name

    check_name(name)
    here = workspace.around(Path.cwd())
    own = workspace.read(here) if here else None
    noted = [each.name for each in own.record.databases] if own else []
    with _using(_find()) as server:
        # One that exists is this workspace's as well, if it has none of that name yet.
        is_new = own is None or name in noted or name not in server.databases()
        if is_new:
            server.create_database(name)
        can_listen = server.can_listen(name)
    if own:
        own.note_database(name, datetime.now(UTC))
    coming = following.after("db create", f"labkit db shell {name}")
    if format is Format.JSON:
        print_json({"database": name, "created": is_new, "can_listen": can_listen, "next": coming})
        return
    if is_new:
        say(f"Created the database [bold]{escape(name)}[/] on {escape(server.address)}.")
    else:
        say(f"The database [bold]{escape(name)}[/] exists already; from now on this workspace counts it as its own.")
    if can_listen:
        say("This server can push: LISTEN and NOTIFY work in it.")
    else:
        say("This server refuses LISTEN: applications can only look again and again for news there.")
    say_next(coming)


@commands.command()
def drop(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The database to remove, with all that is in it.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    format: FormatOption = Format.TEXT,
) -> None:
    """Remove a database, for example one whose name was mistyped; asks first. Nothing brings it back."""
    with _using(_find()) as server:
        database = _database(server, name)
        show.confirm(f"Remove the database {database} with all that is in it?", yes)
        server.drop_database(database)
        left = server.databases()
    coming = f"labkit db shell {left[0]}" if left else "labkit db create NAME"
    if format is Format.JSON:
        print_json({"database": database, "dropped": True, "databases": left, "next": coming})
        return
    say(f"Removed the database [bold]{escape(database)}[/].")
    say_next(coming)


@commands.command()
def shell(name: DatabaseArgument = None) -> None:
    """Open PostgreSQL's own shell, psql, on a database. `\\q` leaves it, `\\?` lists its commands.

    **Try LISTEN and NOTIFY** with two shells, in two terminals:

    1. in the first: `LISTEN doorbell;`
    2. in the second: `NOTIFY doorbell, 'Hello';`
    3. in the first: `;` (psql reports notifications after it has been given something to do)

    SQL on standard input works as well: `echo "SELECT version()" | labkit db shell NAME`
    """
    with _using(_find()) as server:
        database = _database(server, name)
        result = server.shell(database)
    following.after("db shell", "")
    if result:
        raise typer.Exit(ExitCode.MACHINE if result == 2 else ExitCode.NOT_DONE)


@commands.command()
def tables(
    name: DatabaseArgument = None,
    table: Annotated[
        str | None,
        typer.Argument(metavar="TABLE", help="Show the rows of this table, e.g. public.orders.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="At most so many rows, the newest.")] = 20,
    backplane: BackplaneOption = None,
    lab: LabOption = None,
    format: FormatOption = Format.TEXT,
) -> None:
    """List the tables of a database with how many rows they have; or, with TABLE, show its rows.

    Of another service, which **labkit run** has started, it lists what that has in their place: keys, streams, or the
    tables of a file.
    """
    from labkit.services.postgres import tables

    backplane = backplane or _declared(lab)
    if backplane != "postgres":
        _look_into_service(backplane, name, table, limit, lab, format)
        return
    with _using(_find()) as server:
        if name and table is None and "." in name and name not in server.databases():
            name, table = None, name
        database = _database(server, name)
        if table is None:
            found = tables.tables(server, database)
        else:
            content = tables.rows(server, database, table, limit)
    if table is None:
        _print_tables(database, found, format)
    else:
        following.after("db tables", "")
        _print_rows(database, content, format)


@commands.command(context_settings={"ignore_unknown_options": True})
def tail(
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME] [OPTION]...",
            help="The database, and options for the lab's own tool, e.g. --help.",
            show_default=False,
        ),
    ] = None,
    backplane: BackplaneOption = None,
    lab: LabOption = None,
) -> None:
    """Show an application's messages as they arrive in a database, decoded. Ctrl-C ends it.

    The tool is the one that the exercise names; options that labkit does not know go to it, for example --once.
    """
    from labkit.services.tail import tail_command, tail_environment

    backplane = backplane or _declared(lab)
    given = list(arguments or ())
    name = given.pop(0) if given and not given[0].startswith("-") else None
    settings, folder = _tail_tool(lab)
    with contextlib.ExitStack() as stack:
        if backplane == "postgres":
            server = stack.enter_context(_using(_find()))
            url = server.database_url(_database(server, name))
        else:
            _, url, database = _of_service("tail", backplane, name, lab)
            url = f"{url}/{database}"
        if not {"--once", "--help", "-h"} & set(given):
            err.print("[dim]Messages are shown as they come; waiting for more. Ctrl-C ends it.[/]")
        command = [*tail_command(settings, url, folder), *given]
        following.after("db tail", "")  # Ctrl-C ends it, after which there is nobody to remember it
        result = subprocess.run(command, cwd=folder, env=tail_environment(settings, url)).returncode
    if result:
        raise typer.Exit(ExitCode.INTERRUPTED if result == ExitCode.INTERRUPTED else ExitCode.NOT_DONE)


def _find() -> "LabServer":
    from labkit.services.postgres.lab_server import find_server

    return find_server()


@contextlib.contextmanager
def _using(lab_server: "LabServer") -> "Iterator[Server]":
    """The server while a command needs it: as it runs, else started and stopped again."""
    with contextlib.ExitStack() as stack:
        if lab_server.existing():
            server = stack.enter_context(lab_server.running())
        else:
            with working("Starting PostgreSQL"):
                server = stack.enter_context(lab_server.running())
        yield server


def _database(server: "Server", name: str | None) -> str:
    """The database of that name, else the only one."""
    known = server.databases()
    if name is not None:
        if name not in known:
            raise unknown("database", name, known, f"labkit db create {name}")
        return name
    if not known:
        raise UsageError("There is no database yet.", "labkit db create NAME")
    if len(known) > 1:
        raise UsageError(f"Say which database: {', '.join(known)}.", f"… {known[0]}")
    return known[0]


def _declared(lab_folder: Path | None) -> str:
    """The name of the service that the workspace's app declares, which `labkit run` takes; elsewhere PostgreSQL."""
    from labkit import services

    if (here := workspace.around(Path.cwd())) is None:
        return "postgres"
    database = find_lab(lab_folder).exercise(workspace.read(here).exercise_name).database
    return services.declared(database, here) if database else "postgres"


def _look_into_service(
    backplane: str, name: str | None, table: str | None, limit: int, lab: Path | None, format: Format
) -> None:
    """What `db tables` does for a service in PostgreSQL's place."""
    from labkit.services.tables import choose

    service, url, database = _of_service("tables", backplane, name if table else None, lab, name)
    found = service.tables(url, database)
    if table is None and name != database:
        table = name
    if table is None:
        _print_tables(
            database, found, format, lambda each: f"{database} {argument(Path(each))} --backplane {backplane}"
        )
        return
    chosen = choose(found, table, f"labkit db tables --backplane {backplane}")
    content = service.rows(url, database, chosen.name, limit)
    following.after("db tables", "")
    _print_rows(database, content, format)


def _of_service(
    command: str, backplane: str, name: str | None, lab_folder: Path | None, instead: str | None = None
) -> "tuple[services.Service, str, str]":
    """What the workspace's `labkit run` has started, its URL, and the database: the named one, else the code's.

    Without either it is the one named `instead`.
    """
    from labkit import services
    from labkit.verify.databases import named

    here = workspace.around(Path.cwd())
    if here is None:
        raise UsageError("This is no workspace.", "cd into one, where labkit run runs")
    found = workspace.read(here)
    exercise = find_lab(lab_folder).exercise(found.exercise_name)
    service = services.choose(backplane, exercise.database, exercise.id, None)
    url = service.existing(found.data)
    if url is None:
        raise UsageError(
            f"{service.title} does not run for this workspace.",
            f"labkit run --backplane {backplane}, in another terminal, starts it",
        )
    database = name or (named(exercise, exercise.database, here) if exercise.database else None) or instead
    if database is None:
        raise UsageError(
            "The code does not name a database yet.",
            f"labkit db {command} NAME --backplane {backplane}, with the one you mean",
        )
    return service, url, database


def _tail_tool(lab_folder: Path | None) -> tuple[Database, Path]:
    """The [database] table that names the tool, and the folder to run it in: the workspace here, else the lab."""
    lab = find_lab(lab_folder)
    here = workspace.around(Path.cwd())
    if here:
        exercise = lab.exercise(workspace.read(here).exercise_name)
        if exercise.database and exercise.database.tail:
            return exercise.database, here
    having = [exercise for exercise in lab.exercises if exercise.database and exercise.database.tail]
    if len(having) == 1 and having[0].database:
        return having[0].database, Path.cwd()
    if not having:
        raise UsageError(f"No exercise of the lab “{lab.title}” names a tool that shows messages.", "labkit db tables")
    ids = " or ".join(exercise.id for exercise in having)
    raise UsageError(f"This lab has such a tool for {ids}: go to a workspace of the one you mean.", "labkit list")


def _report(
    lab_server: "LabServer", server: "Server | None", format: Format, show_password: bool = False, deed: str = ""
) -> None:
    state = lab_server.status()
    databases = server.databases() if server and state.running else []
    if not state.running:
        coming = "labkit db start"
    elif not databases:
        coming = following.after(deed, "labkit db create NAME")
    else:
        coming = following.after(deed, f"labkit db shell {databases[0]}")
    address = (server.url if show_password else server.address) if server else None
    if format is Format.JSON:
        print_json(
            {
                "running": state.running,
                "stays": state.stays,
                "url": address,
                "databases": databases,
                "data": state.home,
                "log": state.log,
                "next": coming,
            }
        )
        return
    if state.running:
        until = "until labkit db stop" if state.stays else "as long as a command uses it"
        say(f"PostgreSQL is [bold green]running[/] at {escape(str(address))}, {until}.")
        say(f"databases  {escape(', '.join(databases)) or '(none yet)'}")
    else:
        say("PostgreSQL is [bold]not running[/]. Commands start it when they need it, and stop it afterwards.")
    if state.home:
        say(f"data       {escape(str(state.home))}")
        say(f"log        {escape(str(state.log))}")
    say_next(coming)


def _print_tables(
    database: str, found: "list[Kept]", format: Format, typed: Callable[[str], str] | None = None
) -> None:
    """Print what tables there are; `typed` is what follows `labkit db tables` to see the one of a name."""
    from labkit.services.tables import FIRST_TABLES, NO_TABLES

    typed = typed or (lambda name: f"{database} {name}")
    busiest = max(found, key=lambda each: each.rows, default=None)
    if busiest is None:  # looking was in vain: the step is still to be done
        coming = FIRST_TABLES
    else:
        coming = following.after("db tables", f"labkit db tables {typed(busiest.name)}")
    if format is Format.JSON:
        print_json(
            {
                "database": database,
                "tables": [{"table": each.name, "rows": each.rows} for each in found],
                "next": coming,
            }
        )
        return
    if not found:
        say(NO_TABLES)
    else:
        grid = Table(box=None, pad_edge=False)
        grid.add_column(show.shown("table"), overflow="fold")
        grid.add_column(show.shown("rows"), justify="right")
        for each in found:
            grid.add_row(Text(each.name), str(each.rows))
        out.print(grid)
    say_next(coming)


def _print_rows(database: str, content: "Rows", format: Format) -> None:
    if format is Format.JSON:
        print_json(
            {
                "database": database,
                "table": content.table,
                "columns": content.columns,
                "rows": content.rows,
                "total": content.total,
            }
        )
        return
    _print_grid(content.columns, content.rows)
    shown = len(content.rows)
    say(
        f"[dim]{content.total} rows[/]"
        if shown == content.total
        else f"[dim]the last {shown} of {content.total} rows[/]"
    )


def _print_grid(columns: list[str], rows: list[dict[str, str]]) -> None:
    """As a table where that fits, else one value a line, as psql does."""
    widths = [max(map(len, [column, *(row[column] for row in rows)])) for column in columns]
    if sum(widths) + 2 * len(widths) <= out.width:
        grid = Table(*columns, box=None, pad_edge=False)
        for row in rows:
            grid.add_row(*(Text(row[column]) for column in columns))
        out.print(grid)
        return
    longest = max(map(len, columns))
    for row in rows:
        for column in columns:
            show.item(f"{escape(column):<{longest}}  ", escape(row[column]))
        say()
