"""What a person at a terminal sees while the app runs: its address, what it says, and what becomes of it."""

import re
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Group
from rich.live import Live
from rich.text import Text

from labkit import diagnosis, invocation, language, tree
from labkit.console import out
from labkit.errors import LabError

_COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "red")
_SERVERS_OWN = re.compile(r'^INFO: {4,}|"(?:[A-Z]+) \S+ HTTP/[\d.]+" [1-4]\d\d\b')
"""What a web server says of its own work: its start, and each request that it has answered well."""

_HEADING = re.compile(r"^ERROR: {4,}Exception in ASGI application")
_TRACEBACK = re.compile(r"^\s*(?:[+|] )?\s*(?:Exception Group )?Traceback \(most recent call last\)")
_RAISED = re.compile(r"^[A-Za-z_][\w.]*(?:: .*)?$")
_WORSE = re.compile(r"^(?:WARNING|ERROR|CRITICAL)\b", re.IGNORECASE)


def colour(number: int) -> str:
    """The colour of an instance, by its number from 1."""
    return _COLOURS[(number - 1) % len(_COLOURS)]


class Screen:
    """The lines above, and a block below them that stays in sight."""

    def __init__(self, title: str, folder: Path, everything: bool) -> None:
        self._title = title
        self._folder = folder
        self._everything = everything
        self._addresses: Sequence[str] = ()
        self._logs: Sequence[Path] = ()
        self._behind: Sequence[str] = ()
        self._news = ""
        self._raised: dict[int, list[str]] = {}
        self._live = Live(self._block(), console=out, auto_refresh=False, transient=True, vertical_overflow="visible")

    def __enter__(self) -> Self:
        if out.is_terminal:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()

    def runs(self, addresses: Sequence[str], logs: Sequence[Path], behind: Sequence[str] = ()) -> None:
        """The app is ready at these addresses; at a balancer's, if it says what the instances `behind` it do."""
        self._addresses, self._logs, self._behind = addresses, logs, behind
        self._raised.clear()
        self.tell("")

    def behind(self, states: Sequence[str]) -> None:
        """This is what the instances behind the balancer do now."""
        if states != self._behind:
            self._behind = states
            if out.is_terminal:
                self._live.update(self._block(), refresh=True)

    def served(self, number: int, what: str) -> None:
        """Print which instance has served what."""
        self._print(number, Text(what, style="dim"))

    def tell(self, news: str) -> None:
        """Show this below the addresses, in place of what was there."""
        self._news = news
        if out.is_terminal:
            self._live.update(self._block(), refresh=True)
        elif news:
            out.print(Text(language.translated(news)))

    def note(self, markup: str) -> None:
        """Print this above the block, where it stays."""
        out.print(markup)

    def ended(self, error: LabError) -> None:
        """The app does not run: say why, and wait for what is done about it."""
        self._addresses = ()
        out.print(Text(language.translated(error.message), style="bold red"))
        if error.next:
            out.print(Text.assemble((language.translated("next: "), "dim"), invocation.here(error.next)))
        self.tell("It does not run. r tries again, as soon as you have saved; q ends.")

    def line(self, number: int, line: str) -> None:
        """Take in a line of an instance's log."""
        if self._everything:
            self._print(number, Text(line))
            return
        if number in self._raised:
            self._raised[number].append(line)
            if _RAISED.match(line):
                self._exception(number)
        elif _TRACEBACK.match(line):
            self._raised[number] = [line]
        elif line.strip() and not _SERVERS_OWN.search(line) and not _HEADING.match(line):
            self._print(number, Text(line, style="yellow" if _WORSE.match(line) else ""))

    def _exception(self, number: int) -> None:
        """An exception's place first: the log has the rest."""
        raised = diagnosis.last_exception(self._raised.pop(number), self._folder)
        if raised is None:
            return
        place = raised.place
        said = Text.assemble(("error ", "bold red"), (f"{place}  " if place else "", "bold"), str(raised))
        self._print(number, said)
        if place and place.source:
            self._print(number, Text(f"    {place.line} | {place.source}", style="dim"))
        if number <= len(self._logs):
            self._print(number, Text(f"    the whole of it: {tree.nearby(self._logs[number - 1])}", style="dim"))

    def _print(self, number: int, text: Text) -> None:
        out.print(Text.assemble((f"{number} | ", colour(number)), text), soft_wrap=True)

    def _block(self) -> Group:
        runs = language.translated(" runs") if self._addresses else ""
        head = Text.assemble((self._title, "bold"), runs)
        lines = [head]
        for number, address in enumerate(self._addresses, start=1):
            mark = ("    ", "") if self._behind else (f" {number}  ", colour(number))
            lines.append(Text.assemble(mark, (address, "bold")))
        if self._addresses and self._behind:
            states = [(f" {n}  {language.translated(state)}  ", colour(n)) for n, state in enumerate(self._behind, 1)]
            lines.append(Text.assemble("   ", *states))
        opens = "o opens it · " if len(self._addresses) == 1 else "o opens them · " if self._addresses else ""
        kills = "k 1 kills instance 1 · " if self._addresses and self._behind else ""
        lines.append(Text(language.translated(f"{opens}{kills}r restarts · q stops"), style="dim"))
        if self._news:
            lines.append(Text(language.translated(self._news), style="yellow"))
        return Group(*lines)
