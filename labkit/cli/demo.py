"""The commands demo."""

import typer

commands = typer.Typer()
