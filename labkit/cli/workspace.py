"""The commands list,start,diff,reset,undo."""

import typer

commands = typer.Typer()
