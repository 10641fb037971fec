"""The branches of a Git repository, where each trainee has one."""

import fnmatch
import shutil
import subprocess
from pathlib import Path

from labkit import tree
from labkit.errors import MachineError, UsageError


def of(repository: Path, pattern: str) -> list[tuple[str, str]]:
    """The branches whose names have the pattern (`*` is any text), each with its commit; those that it tracks, too.

    A branch that is here and on the server counts once, as it is here.

    Raises:
        UsageError: there is no repository, or no such branch.
        MachineError: there is no git on this machine.
    """
    lines = _git(repository, "for-each-ref", "--format=%(refname)\t%(objectname)", "refs/heads", "refs/remotes")
    found: dict[str, str] = {}
    for line in lines.decode("utf-8", "replace").splitlines():
        reference, commit = line.split("\t")
        _, kind, name = reference.split("/", 2)
        if kind == "remotes":
            name = name.partition("/")[2]
        if name != "HEAD" and fnmatch.fnmatchcase(name, pattern):
            found.setdefault(name, commit)
    if not found:
        raise UsageError(f"{repository} has no branch “{pattern}”.", f"git -C {repository} branch --all   shows them")
    return sorted(found.items())


def save(repository: Path, commit: str, archive: Path) -> None:
    """Write what a commit has into a tar file."""
    _git(repository, "archive", "--format=tar", f"--output={archive}", commit)


def _git(repository: Path, *arguments: str) -> bytes:
    git = shutil.which("git")
    if git is None:
        raise MachineError("There is no git on this machine.", "Install git, or name folders in place of a repository.")
    done = subprocess.run([git, "-C", str(repository), *arguments], capture_output=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        text = done.stderr.decode("utf-8", "replace").strip()
        if "dubious ownership" in text:
            path = tree.quoted(str(repository.resolve()))
            raise UsageError(
                f"{repository} belongs to another account, and git does not open it.",
                f"git config --global --add safe.directory {path}   (if you trust it)",
            )
        said = text.splitlines()
        raise UsageError(f"{repository}: git says: {said[-1] if said else done.returncode}", "Name a Git repository.")
    return done.stdout
