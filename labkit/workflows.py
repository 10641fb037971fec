"""Workflows for CI servers: a trainee's repository is verified, or a whole class graded, a submission a job.

A container file does the latter where there is another server, or none.
"""

import json
import shlex
from collections.abc import Sequence
from enum import StrEnum
from importlib import resources
from pathlib import Path, PurePath

from labkit.errors import UsageError
from labkit.files import write_whole


class Server(StrEnum):
    """The CI servers that labkit writes workflows for; a container is for any other."""

    GITHUB = "github"
    GITLAB = "gitlab"
    CONTAINER = "container"


def path(server: Server, is_class: bool) -> str:
    """Where a server looks for the workflow, from the repository's top."""
    if server is Server.GITHUB:
        return f".github/workflows/{'class' if is_class else 'labkit'}.yml"
    return ".gitlab-ci.yml" if server is Server.GITLAB else "Containerfile"


def render(server: Server, is_class: bool, labkit: Sequence[str]) -> str:
    """The workflow as YAML, or the container file; `labkit` is what pip is to install: names, addresses or files.

    Raises UsageError for a container of a class: it grades one submission.
    """
    if server is Server.CONTAINER:
        return _container(is_class, labkit)
    name = f"{server}{'-class' if is_class else ''}.yml"
    text = (resources.files("labkit") / "templates" / "ci" / name).read_text(encoding="utf-8")
    command = f"python -m pip install {' '.join(map(shlex.quote, labkit))}"
    # A text of JSON is one of YAML and of Python as well.
    return text.replace("@INSTALL@", json.dumps(command, ensure_ascii=False))


def _container(is_class: bool, labkit: Sequence[str]) -> str:
    if is_class:
        raise UsageError("A container grades one submission: run it for each.", "Leave --class out.")
    text = (resources.files("labkit") / "templates" / "ci" / "container").read_text(encoding="utf-8")
    # What is beside the container file has to be brought in; it is installed from where that puts it.
    files = [each for each in labkit if each.endswith(".whl") and "://" not in each]
    copied = f"COPY {json.dumps([*files, '/wheels/'], ensure_ascii=False)}\n" if files else ""
    specs = [f"/wheels/{PurePath(each).name}" if each in files else each for each in labkit]
    command = f"python -m pip install --no-cache-dir {' '.join(map(shlex.quote, specs))}"
    return text.replace("@FILES@", copied).replace("@INSTALL@", command)


def write(repository: Path, server: Server, is_class: bool, labkit: Sequence[str]) -> Path:
    """Write the workflow into a repository; an earlier one of the same content stays.

    Raises UsageError if another one is there, MachineError if it cannot be written.
    """
    file = repository / path(server, is_class)
    content = render(server, is_class, labkit).encode()
    if file.exists() and file.read_bytes() != content:
        raise UsageError(f"{file} is there already, with something else in it.", "Rename it, and repeat the command.")
    write_whole(file, content)
    return file
