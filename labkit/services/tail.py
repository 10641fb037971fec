"""The lab's own command that shows an application's messages as they arrive."""

from pathlib import Path

from labkit.lab import Database
from labkit.services.postgres.server import Server, without_password


def tail_command(settings: Database, url: str, folder: Path) -> list[str]:
    """The command that shows an application's messages in the database of a URL as they arrive, run in this folder.

    The password goes by the environment (`tail_environment`): a command line is seen by everybody on the machine.
    """
    from labkit.instances import interpreter

    values = {"{python}": str(interpreter(folder)), "{url}": without_password(url)}
    return [values.get(word, word) for word in settings.tail]


def tail_environment(settings: Database, url: str) -> dict[str, str]:
    """The environment of that command."""
    own = {settings.tail_variable: url} if settings.tail_variable else {}
    return {**Server(url).environment(), **own}
