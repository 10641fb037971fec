"""PyCharm's own folders: where a lab's snippets are put as live templates, after the trainee has agreed."""

import os
import sys
from pathlib import Path

from labkit import companions
from labkit.errors import UsageError
from labkit.files import write_whole
from labkit.lab import Lab

_EDITIONS = ("PyCharm", "IntelliJIdea", "IdeaIC")


def folders() -> list[Path]:
    """The settings folders of PyCharm (and of IDEA, which has the same) on this machine, the newest version last."""
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming") / "JetBrains"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support" / "JetBrains"
    else:
        base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "JetBrains"
    found = base.iterdir() if base.is_dir() else ()
    return sorted(path for path in found if path.is_dir() and path.name.startswith(_EDITIONS))


def templates(lab: Lab) -> list[Path]:
    """The files that `install` writes: one for each PyCharm.

    Raises UsageError if there is none.
    """
    there = folders()
    if not there:
        raise UsageError(
            "There are no settings of PyCharm in your home folder.", "Start PyCharm once, then repeat the command."
        )
    name = "".join(letter if letter.isalnum() else "_" for letter in lab.title)
    return [folder / "templates" / f"{name}.xml" for folder in there]


def install(lab: Lab) -> None:
    """Write the lab's snippets into every PyCharm, in place of earlier ones of the same lab."""
    for path in templates(lab):
        write_whole(path, companions.live_templates(lab))
