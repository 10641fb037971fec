"""The commands of `labkit author`, one module each: they examine a lab, and make what follows from the rest of it."""

import typer

from labkit.cli.author import check, end, mutants, pictures, steps, stress

commands = typer.Typer(
    no_args_is_help=True,
    help="For authors: make end, and the code in the chapters, anew after a change, and examine the lab. "
    "`labkit new` makes exercises and labs.",
)
for module in (end, steps, pictures, check, mutants, stress):
    commands.add_typer(module.commands)
