"""The two streams of the command line: text for people on a terminal or in a pipe, JSON for programs."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.text import Text

from labkit import documents, language

PLAIN = "LABKIT_PLAIN"
"""The environment variable that asks for plain lines, for a screen reader for example, as `--plain` does."""


class OutputError(OSError):
    """What is said cannot be written, as where a disk is full."""


class _Console(Console):
    """Wraps at words on a terminal, where it would break them; elsewhere a line stays one line.

    `FORCE_COLOR` is about colours: it makes no terminal of a log. A plain one is no terminal: no colours, boxes or
    columns, and nothing that moves or is replaced.
    """

    def __init__(self, stderr: bool = False) -> None:
        self._is_plain = bool(os.environ.get(PLAIN))
        without = self._is_plain or bool(os.environ.get("NO_COLOR"))
        colours: Literal["standard", "auto"] = "standard" if os.environ.get("FORCE_COLOR") and not without else "auto"
        # No emoji: a path with “:key:” in it is printed as it is.
        super().__init__(stderr=stderr, highlight=False, emoji=False, color_system=colours, no_color=without or None)

    @property
    def is_terminal(self) -> bool:
        """Whether somebody sees the lines come, and lines can be written anew."""
        try:
            return not self._is_plain and self.file.isatty()
        except (AttributeError, ValueError):  # no stream, or one that is closed
            return False

    def print(self, *objects: Any, soft_wrap: bool | None = None, **options: Any) -> None:
        """Print as Rich does, in the reader's language; a soft wrap is a terminal's own, and kept elsewhere only."""
        objects = tuple(_translated(each) for each in objects)
        try:
            super().print(*objects, soft_wrap=bool(soft_wrap) and not self.is_terminal, **options)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(error.errno, error.strerror) from error


def _translated(shown: Any) -> Any:
    """What is shown, if it is a message: text with styles of its own is an app's, or was translated piece by piece."""
    if isinstance(shown, str):
        return language.translated(shown)
    if isinstance(shown, Text) and not shown.spans and (text := language.translated(shown.plain)) != shown.plain:
        return Text(text, style=shown.style)
    return shown


out = _Console()
err = _Console(stderr=True)


class Format(StrEnum):
    """How a command reports."""

    TEXT = "text"
    JSON = "json"


FormatOption = Annotated[
    Format, typer.Option("--format", help="text for people; json for programs (one document on stdout).")
]


def print_json(document: dict[str, Any]) -> None:
    """Write one JSON document to stdout, with the schema's number first; in UTF-8, whatever stdout's encoding is."""
    sys.stdout.buffer.write(documents.json_of({"schema": 1, **document}))
    sys.stdout.flush()


@contextmanager
def working(what: str) -> Iterator[Callable[[str], None]]:
    """Show on stderr that something goes on: a spinner on a terminal, one plain line elsewhere.

    Yields what tells which part of it goes on now, which the spinner shows.
    """
    if err.is_terminal:
        with err.status(language.translated(what)) as status:
            yield lambda part: status.update(language.translated(part))
    else:
        err.print(f"{language.translated(what)} …")
        yield lambda part: None
