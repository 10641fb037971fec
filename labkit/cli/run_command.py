"""The commands run."""

import typer

commands = typer.Typer()
