"""What a search for a cause starts from, and what it finds."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from labkit import snippets, tree
from labkit.diagnosis import Place

SCRIPTS = (".js", ".mjs", ".html", ".htm", ".jinja", ".j2")
"""The endings of files that have a page's scripts in them."""


Side = Literal["page", "server"]
"""Where something is wrong: in what a browser runs, or in what the app does."""


@dataclass(frozen=True)
class Finding:
    """A likely cause, the line of the app's own code that it is at, and the smallest step that helps.

    `snippet` is the snippet whose code is missing, if that is the cause.
    """

    cause: str
    place: Place | None = None
    next: str | None = None
    snippet: str | None = None

    @classmethod
    def at(cls, place: Place, what: str, next: str | None = None) -> "Finding":
        """A cause that is told with its place and the quoted line; without advice, that line is to be mended."""
        return cls(f"{place}: {what}{place.quoted}", place, next or f"Mend {place}, save the file and verify again.")


@dataclass(frozen=True)
class ScriptError:
    """An error that no script of a page has caught; `frames` are URL and line (from 1), the innermost first."""

    page: str
    name: str
    text: str
    frames: tuple[tuple[str, int], ...] = ()

    def __str__(self) -> str:
        """Return it as the console of a browser shows it."""
        return f"{self.name}: {self.text}" if self.name else self.text


@dataclass(frozen=True)
class Answer:
    """What a page asked for, and the HTTP status that it got; `kind` is script, fetch, document and so on."""

    page: str
    method: str
    url: str
    status: int
    kind: str

    @property
    def path(self) -> str:
        """The path of the URL."""
        return unquote(urlsplit(self.url).path)


@dataclass(frozen=True)
class Said:
    """A warning or an error on a page's console, with the line (from 1) that it comes from."""

    text: str
    url: str
    line: int


@dataclass
class Seen:
    """What a browser context has seen."""

    errors: list[ScriptError] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    """The scripts that pages have loaded, and everything that was refused."""

    console: list[Said] = field(default_factory=list)

    pending: dict[int, "Request"] = field(default_factory=dict)
    """What was asked for and has no answer yet."""

    endless: "Dialog | None" = None
    """The last dialog of a page that was closed, because it opened one after the other."""


@dataclass(frozen=True)
class Dialog:
    """An alert or a question of a page; `kind` is alert, confirm or prompt."""

    page: str
    kind: str
    text: str


@dataclass(frozen=True)
class Request:
    """What a page asks for; `since` is when, by `time.monotonic`."""

    method: str
    url: str
    since: float


@dataclass(frozen=True)
class Facts:
    """What is known when a check has failed: the app, its logs, and what the check's browser contexts have seen.

    `snippets` are the texts of the exercise's snippets. `todo` are the TODO lines whose code is not there, name to
    `path:line`; `misplaced` is the code of snippets that is in the wrong place, by name. `hanging` looks for an
    answer that does not come because the app hangs. `ask` evaluates
    JavaScript, with an argument, in the page that has this URL; it returns None if there is no such page any more.
    `parse` has the browser parse a script; it returns the line (from 1) and the text of a syntax error. `side` is where
    the check has seen that something is wrong, if it has.
    """

    app: Path
    begin: Path
    snippets: Mapping[str, str] = field(default_factory=dict)
    todo: Mapping[str, str] = field(default_factory=dict)
    misplaced: Mapping[str, Finding] = field(default_factory=dict)
    logs: Sequence[Sequence[str]] = ()
    hanging: Callable[[], Finding | None] = lambda: None
    seen: Sequence[Seen] = ()
    ask: Callable[[str, str, Any], Any] = lambda url, script, argument: None
    parse: Callable[[str], tuple[int, str] | None] = lambda source: None
    side: Side | None = None

    @property
    def errors(self) -> list[ScriptError]:
        """The errors of all pages."""
        return [error for each in self.seen for error in each.errors]

    @property
    def answers(self) -> list[Answer]:
        """The answers that all pages got."""
        return [answer for each in self.seen for answer in each.answers]

    @property
    def console(self) -> list[Said]:
        """What all pages said."""
        return [said for each in self.seen for said in each.console]

    @cached_property
    def files(self) -> dict[str, str]:
        """The app's text files, by their paths."""
        return _texts(self.app)

    @cached_property
    def original(self) -> dict[str, str]:
        """The text files of begin."""
        return _texts(self.begin)

    @cached_property
    def finished(self) -> dict[str, str]:
        """The text files of the exercise when all of it is done, as the manual has them; none if the lab has no end."""
        return _texts(self.begin.parent / "end")

    @cached_property
    def homes(self) -> dict[str, str]:
        """The file that each snippet belongs into, by the TODO lines of begin."""
        return {todo.name: todo.path for todo in snippets.todo_lines(self.begin)} if self.begin.is_dir() else {}

    @property
    def changed(self) -> list[str]:
        """The files that are not as they were in begin."""
        return [path for path, text in self.files.items() if self.original.get(path) != text]

    def place(self, path: str, line: int) -> Place:
        """A line (from 1) of one of the app's files."""
        lines = self.files.get(path, "").split("\n")
        return Place(path, line, lines[line - 1].rstrip() if 0 < line <= len(lines) else "")

    def places(self, pattern: str | re.Pattern[str], endings: tuple[str, ...] = ()) -> Iterator[Place]:
        """The lines that have this pattern in them, in files with one of these endings."""
        for path, text in self.files.items():
            if not endings or path.endswith(endings):
                for number, line in enumerate(text.split("\n"), start=1):
                    if re.search(pattern, line):
                        yield Place(path, number, line.rstrip())

    def file_of(self, url: str, original: bool = False) -> str | None:
        """The app's file (or begin's) that a URL serves: of equal name, and alike in as many folders as can be."""
        wanted = unquote(urlsplit(url).path).strip("/").split("/")
        best, most = None, 0
        for path in self.original if original else self.files:
            alike = 0
            for mine, theirs in zip(reversed(path.split("/")), reversed(wanted), strict=False):
                if mine != theirs:
                    break
                alike += 1
            if alike > most:
                best, most = path, alike
        return best

    def place_of(self, url: str, line: int) -> Place | None:
        """The line of the app's own code that is at this line of what a URL serves; a template's by its text."""
        path = self.file_of(url)
        if path:
            return self.place(path, line)
        text = self.ask(url, _LINE, [url, line])
        if not isinstance(text, str) or not text.strip():
            return None
        return next(self.places(re.escape(text.strip()), SCRIPTS), None)


_LINE = """async ([url, line]) => (await (await fetch(url)).text()).split("\\n")[line - 1]"""


def _texts(folder: Path) -> dict[str, str]:
    found = {}
    for path in tree.code_files(folder) if folder.is_dir() else ():
        text = tree.text(tree.read(folder / path))
        if text is not None:
            found[path] = text.replace("\r\n", "\n")
    return found
