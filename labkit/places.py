"""Where labkit keeps files of its own, whatever lab is played; `$LABKIT_HOME` moves them all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from labkit.errors import MachineError
from labkit.files import write_whole

ADVICE = "Free some disk space, or set LABKIT_HOME to a folder that you may write to."
"""What to do if they cannot be written."""


def data_folder() -> Path:
    """For what lasts: the lab's PostgreSQL.

    Raises MachineError if this account has no home folder.
    """
    moved = os.environ.get("LABKIT_HOME")
    if moved:
        return Path(moved).absolute()
    import platformdirs

    with at_home():
        return Path(platformdirs.user_data_dir("labkit", appauthor=False)).expanduser()


def cache_folder() -> Path:
    """For what can be made again.

    Raises MachineError if this account has no home folder.
    """
    if os.environ.get("LABKIT_HOME"):
        return data_folder() / "cache"
    import platformdirs

    with at_home():
        return Path(platformdirs.user_cache_dir("labkit", appauthor=False)).expanduser()


def identity() -> str:
    """A text that tells this data folder from every other, here and on other machines; made once, and kept there.

    Raises MachineError if the folder cannot be written.
    """
    path = data_folder() / "identity"
    try:
        with suppress(FileNotFoundError):
            if known := path.read_text(encoding="utf-8").strip():
                return known
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, f"{secrets.token_hex(8)}\n".encode())
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        advice = "Set LABKIT_HOME to a folder that you may write to."
        raise MachineError(f"Cannot write {path}: {error.strerror or error}.", advice) from error


def state_folder() -> Path:
    """For what labkit remembers from one command to the next, such as where the workspaces are.

    Raises MachineError if this account has no home folder.
    """
    if os.environ.get("LABKIT_HOME"):
        return data_folder()
    import platformdirs

    with at_home():
        return Path(platformdirs.user_state_dir("labkit", appauthor=False)).expanduser()


@contextmanager
def at_home() -> Iterator[None]:
    """Say what to do where an account has no home folder, as in a container; Python raises RuntimeError there."""
    try:
        yield
    except RuntimeError as error:
        raise MachineError("This account has no home folder.", "Set HOME to a folder that you may write to.") from error
