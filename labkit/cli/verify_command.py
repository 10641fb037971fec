"""The commands verify."""

import typer

commands = typer.Typer()
