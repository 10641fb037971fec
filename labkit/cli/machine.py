"""The commands setup,doctor."""

import typer

commands = typer.Typer()
