"""What several commands say in the same way."""

import sys
import textwrap
from pathlib import Path

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from labkit import __version__, changes, invocation, known, language, workspace
from labkit.console import err, out
from labkit.errors import LabError, UsageError
from labkit.lab import Exercise, Lab, find_lab
from labkit.workspace import Workspace


def subject(lab_folder: Path | None, exercise: str | None) -> tuple[Lab, Exercise, Workspace]:
    """The lab, the exercise and the workspace that a command is about; says on stderr if an older labkit made it."""
    lab = find_lab(lab_folder)
    found = workspace.find(lab, Path.cwd(), lab.exercise(exercise) if exercise else None)
    if found.adopted and (found.folder / ".labkit").is_dir():  # it is not where nothing can be written
        name = escape(found.folder.name)
        err.print(
            f"[dim]note: {name} came without its .labkit: labkit made a new one, in which the app has no data.[/]"
        )
    if found.made_by != __version__:
        err.print(
            f"[dim]note: {escape(found.folder.name)} was made by labkit {escape(str(found.made_by))}, "
            f"this is {__version__}. Go on; if a snippet does not fit, start afresh in another folder.[/]"
        )
    known.remember(found.folder, found.exercise_name, lab.folder)
    return lab, lab.exercise(found.exercise_name), found


def lab_folder_here() -> Path:
    """The lab at or above the current folder: a lab that one is not in is never changed."""
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / "lab.toml").is_file():
            return folder
    raise UsageError(
        "There is no lab here to change.", "cd into a lab, name one with --lab DIR, or: labkit new lab NAME"
    )


def say(line: str = "") -> None:
    """Print one line of markup; a terminal gets it wrapped at words."""
    out.print(line, soft_wrap=True)


def say_next(command: str) -> None:
    """Print what to type next, in the form in which it works here."""
    say(f"[dim]next:[/] {escape(form(command))}")


def form(text: str) -> str:
    """An advice with labkit as it has to be called here."""
    return invocation.here(text)


def item(mark: str, text: str) -> None:
    """Print an item of a list; on a terminal its further lines stand below its text."""
    mark, text = language.translated(mark), language.translated(text)
    if not out.is_terminal:
        say(f"{mark}{text}")
        return
    grid = Table.grid()
    grid.add_column(width=Text.from_markup(mark).cell_len)
    grid.add_column(overflow="fold")
    grid.add_row(Text.from_markup(mark), Text.from_markup(text))
    out.print(grid)


def shown(text: str) -> str:
    """A text of the lab's or of a check's in the reader's language, for a line of markup."""
    return escape(language.translated(text))


def plain(text: str) -> None:
    """Print code as it is, without markup or wrapping."""
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


def diff(text: str) -> None:
    """Print a unified diff: coloured on a terminal, the plain bytes of it elsewhere."""
    if not out.is_terminal:
        sys.stdout.write(text)
        return
    for line in text.splitlines():
        out.print(Text(line, style=_style(line)), soft_wrap=True)


def side_by_side(path: str, left: str, right: str, heads: tuple[str, str]) -> None:
    """Print two texts in columns of the same width, what differs marked and coloured: `-` goes, `+` comes."""
    width = max(out.width - 1, 60) // 2
    grid = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), title=path, title_justify="left", title_style="bold")
    for head in heads:
        grid.add_column("", justify="right", style="dim", width=4)
        grid.add_column(head, width=width - 6, overflow="fold", header_style="dim")
    for pair in changes.pairs(left, right):
        if pair is None:
            grid.add_row("", Text("…", style="dim"), "", Text("…", style="dim"))
            continue
        style = ("", "") if pair.is_same else ("red", "green")
        mark = (" ", " ") if pair.is_same else ("-", "+")
        cells: list[Text] = []
        for side, colour, sign in zip((pair.left, pair.right), style, mark, strict=True):
            number, line = side or ("", "")
            shown = _folded(f"{sign}{line}", width - 6) if side else ""
            cells += [Text(str(number)), Text(shown, style=colour)]
        grid.add_row(*cells)
    out.print(grid)
    out.print()


def _folded(line: str, width: int) -> str:
    """A line of code in a narrow column: what follows is further in than where it began, so that it still reads."""
    line = line.expandtabs(4)
    further = " " * min(len(line) - len(line[1:].lstrip()) + 2, width // 2)
    return "\n".join(textwrap.wrap(line, width, subsequent_indent=further, break_on_hyphens=False)) or line


def confirm(question: str, yes: bool) -> None:
    """Ask before something is replaced, and stop unless the answer is yes; without a terminal, --yes must be given."""
    if yes:
        return
    if not asks():
        raise UsageError(f"{question} There is no terminal to ask on; nothing was changed.", "Add --yes to say yes.")
    if not typer.confirm(wrapped(question, len(" [y/N]: "))):
        raise LabError("Nothing was changed.")


def wrapped(text: str, room: int = 0) -> str:
    """A text that is asked, not printed, with its lines ended at words; `room` columns stay free for an answer."""
    text = language.translated(text)
    if not out.is_terminal:
        return text
    return textwrap.fill(text, max(out.width - room, 20), break_long_words=False, break_on_hyphens=False)


def asks() -> bool:
    """Whether there is a person at a terminal to answer a question."""
    return sys.stdin.isatty()


def _style(line: str) -> str:
    if line.startswith(("+++", "---")):
        return "bold"
    return {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
