"""What an app tries that it must not: a helper inside of it tells, so that it can be named for it.

The sandbox keeps the app from it; this only tells. The helper (`templates/instance`) is in the app's own process: it
hears what Python code does there, not what other programs do, and code that takes care to can get round it.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from labkit.harmless import harmless, shortened

_LINE = re.compile(r"labkit: the app (.+)")


@dataclass(frozen=True)
class Watch:
    """Who is told of an app's deeds, each as a sentence; `neighbours` are folders that have the work of others."""

    neighbours: Sequence[Path]
    tell: Callable[[str], None]

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which the helper knows what to tell; an app's settings, in which `{port}` is filled in."""
        folders = [quote(str(each.resolve())) for each in self.neighbours]
        return {"LABKIT_WATCH": os.pathsep.join(["{port}", *folders])}

    def hear(self, number: int, line: str) -> None:
        """Take in a line of the log of the instance with that number."""
        if found := _LINE.fullmatch(line.strip()):
            self.tell(f"The app {shortened(harmless(found[1]), 200)}.")
