"""The commands of `labkit new`."""

import typer

commands = typer.Typer(no_args_is_help=True)


@commands.callback()
def group() -> None:
    """To be written."""
