"""The command guide."""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from labkit import forwarding
from labkit.cli.options import ExerciseArgument, LabOption
from labkit.cli.show import say
from labkit.console import err, out
from labkit.desktop import opens_pages
from labkit.errors import ExitCode
from labkit.lab import find_lab

commands = typer.Typer()


@commands.command()
def guide(
    exercise: ExerciseArgument = None,
    port: Annotated[int | None, typer.Option("--port", help="The page's port; a free one if left out.")] = None,
    open_: Annotated[
        bool | None, typer.Option("--open/--no-open", help="Open the page in your browser; the default on a terminal.")
    ] = None,
    host_name: Annotated[
        list[str] | None,
        typer.Option("--host-name", metavar="NAME", help="A name that a forwarding proxy (Codespaces) gives the page."),
    ] = None,
    lab: LabOption = None,
) -> int:
    """Open the lab in the browser: the chapters, with buttons that do what the text says.

    Read, press, see, be told. Each button shows the command that does the same at the terminal, and what you do there
    or in your editor shows on the page. The page is served on this machine only, until you press Ctrl-C.
    """
    the_lab = find_lab(lab)
    chosen = the_lab.exercise(exercise) if exercise else None
    from labkit.live import gate, keys, server
    from labkit.live.guide import Guide

    key = keys.read("guide", Path.cwd())
    listener = server.listen(port, preferred=key.port)
    own_port = int(listener.getsockname()[1])
    keys.keep("guide", Path.cwd(), keys.Key(key.token, own_port))
    the_guide = Guide(the_lab, Path.cwd(), key.token)
    host_name = host_name or [name for name in [forwarding.host(own_port)] if name]
    address = gate.address(own_port, the_guide.token, host_name[0] if host_name else None)
    if chosen:
        address += f"&exercise={chosen.id}"

    wants_window = out.is_terminal if open_ is None else open_

    def on_ready() -> None:
        say(f"[bold]{escape(the_lab.title)}[/]")
        say(f"  {escape(address)}")
        say(
            "[dim]The address lets whoever has it work in your name on this machine: keep it. Ctrl-C ends the guide.[/]"
        )
        if wants_window and not (opens_pages() and webbrowser.open(address)):
            err.print("No browser could be opened: open the address yourself.")

    server.serve(the_guide.app(own_port, tuple(host_name or ())), listener, on_ready)
    say("The guide has ended: nothing of it runs any more.")
    return ExitCode.OK
