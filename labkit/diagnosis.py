"""Why a trainee's app does not start, from its log, in words for a learner. Nothing here runs the app's code."""

import importlib.util
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from labkit import javascript, snippets
from labkit.errors import LabError, MachineError

TAIL = 20
"""How many of the log's last lines an error carries."""

_FRAME = re.compile(r'^\s*File "(?P<path>.+?)", line (?P<line>\d+)(?P<dump> in .+)?')
_ERROR = re.compile(r"^(?P<type>[A-Za-z_][\w.]*)(?:: (?P<text>.*))?$")
_NEVER_AWAITED = re.compile(r"(?P<path>.+):(?P<line>-?\d+): RuntimeWarning: (?P<text>coroutine .+ was never awaited)")
_TRACEBACK = re.compile(r"^(?:\+ )?(?:Exception Group )?Traceback \(most recent call last\)")
_CHAIN = re.compile(r"^(?:During handling of the above exception|The above exception was the direct cause)")
_UNHANDLED = re.compile(
    # uvicorn and hypercorn, Flask, Django, Python's own http.server, threads and asyncio
    r"Exception in ASGI application|Error in ASGI Framework|Exception on \S+ \[[A-Z]+\]|Internal Server Error: /"
    r"|Exception occurred during processing of request|Exception in thread |Exception in callback "
    r"|Task exception was never retrieved|Unhandled exception"
)
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
_GROUP = re.compile(r"^ +\| ?")
_DISK = re.compile(
    r"No space left on device|There is not enough space on the disk|disk is full|Read-only file system"
    r"|attempt to write a readonly database|Disk quota exceeded"
)
_MISSING = re.compile(r"No module named '?(?P<name>[\w.]+)'?")
_SHADOWED = re.compile(r"'(?P<module>\w+)' (?:\(|has no attribute|is not a package)")
_NO_FILE = re.compile(
    r"can't open file '(?P<python>[^']+)'|^Error: Cannot find module '(?P<node>/[^']+|[A-Za-z]:[^']+)'$"
)
_NOT_FOUND = re.compile(r"Cannot find (?:module|package) ")


@dataclass(frozen=True)
class Place:
    """A line of the app's own code: `path` is relative to the app folder, with forward slashes."""

    path: str
    line: int
    source: str

    def __str__(self) -> str:
        """Return it as an editor's terminal makes a link of it: `shop/cart.py:12`."""
        return f"{self.path}:{self.line}"

    @property
    def spoken(self) -> str:
        """The place as a person says it."""
        return f"{self.path}, line {self.line}"

    @property
    def quoted(self) -> str:
        """The source line on a line of its own; nothing if the file does not have it."""
        return f"\n    {self.line} | {self.source}" if self.source else ""


@dataclass(frozen=True)
class Raised:
    """An exception, or a warning, in a log; `place` is the innermost line of the app's own code that led to it."""

    type: str
    text: str
    place: Place | None

    def __str__(self) -> str:
        """Return it as Python prints it."""
        return f"{self.type}: {self.text}" if self.text else self.type


class AppDidNotStart(LabError):  # noqa: N818  (a fact, as verify reports it)
    """The app in a workspace does not come up.

    Its `reason` is one of: syntax error, import error, exception, missing file, exited, hung, answered 500 (or another
    status).
    `where` is the line of the app's own code, like `shop/cart.py:12`, where it is known; `raised` is the exception;
    `file` is the one that the app's command names, if that is missing.
    """

    def __init__(self, reason: str, message: str, next: str, where: str | None, log_tail: str) -> None:
        super().__init__(message, next)
        self.reason = reason
        self.where = where
        self.log_tail = log_tail
        self.raised: Raised | None = None
        self.file: str | None = None


def last_exception(lines: Sequence[str], folder: Path) -> Raised | None:
    """The last exception in the log of the app in `folder`."""
    return next((raised for raised, _ in reversed(_exceptions(lines, folder))), None)


def unhandled(lines: Sequence[str], folder: Path, headings: re.Pattern[str] | None = None) -> list[Raised]:
    """The exceptions in a log that nothing has handled, by what servers (and `headings`) say before the traceback.

    A traceback that the app itself has logged, after it caught the exception, is none of them.
    """
    return [
        raised
        for raised, heading in _exceptions(lines, folder)
        if _UNHANDLED.search(heading) or (headings and headings.search(heading))
    ]


def _exceptions(lines: Sequence[str], folder: Path) -> list[tuple[Raised, str]]:
    """The exceptions in a log, each with the lines before its traceback; of a chain the last."""
    found: list[tuple[Raised, str]] = []
    heading: list[str] = []
    frames: list[tuple[str, int]] = []
    is_chained = is_said = False
    for raw in lines:
        line = _GROUP.sub("", _ESCAPES.sub("", raw))
        frame = _FRAME.match(line)
        if is_said and line and not line[0].isspace():
            is_said = False
        if frame and is_said:
            # Some exceptions name the function that they are about, which has returned by then.
            own = _innermost([(frame["path"], int(frame["line"]))], folder)
            found[-1] = (replace(found[-1][0], place=own or found[-1][0].place), found[-1][1])
        elif frame:
            frames.append((frame["path"], int(frame["line"])))
        elif _CHAIN.match(line):
            is_chained = bool(found)
        elif frames and line and not line[0].isspace():
            error = _ERROR.match(line)
            if error:
                # One exception may lead to the next: the last is what ended the app, the first knows where.
                before = found.pop() if is_chained else None
                place = _innermost(frames, folder) or (before[0].place if before else None)
                raised = Raised(error["type"].rsplit(".", 1)[-1], error["text"] or "", place)
                found.append((raised, before[1] if before else "\n".join(heading[-3:])))
                heading, is_chained, is_said = [], False, True
            frames = []
        elif line.strip() and not line[0].isspace() and not _TRACEBACK.match(line):
            heading.append(line)
    return found


def never_awaited(lines: Sequence[str], folder: Path) -> Raised | None:
    """Python's last warning of a call without `await` in the log of the app in `folder`."""
    found = [match for line in lines if (match := _NEVER_AWAITED.match(_ESCAPES.sub("", line)))]
    if not found:
        return None
    place = _innermost([(found[-1]["path"], int(found[-1]["line"]))], folder)
    # Python warns where the coroutine was thrown away: that may be no line (-1), or no file (sys:1).
    return Raised("RuntimeWarning", found[-1]["text"], place if place and place.source else None)


def place(folder: Path, path: str, line: int) -> Place:
    """A line of a file of the app in `folder`."""
    return Place(path, line, _line(folder / path, line))


def missing_file(said: str, app: Path, begin: Path) -> str | None:
    """The file of begin that an app lacks and whose module an import error misses."""
    found = re.search(r"(?:No module named|Could not import module) [\"']([\w.]+)[\"']", said)
    path = found[1].replace(".", "/") if found else ""
    names = (f"{path}.py", f"{path}/__init__.py")
    return next((name for name in names if (begin / name).is_file() and not (app / name).exists()), None)


def ended(name: str, status: int, lines: Sequence[str], folder: Path, log: Path) -> LabError:
    """The error for an app that ended with this exit status before it answered; a MachineError if the disk is why."""
    if absent := _absent_program(name, lines, folder):
        return absent
    raised = last_exception(lines, folder) or _thrown(lines, folder)
    if raised is None:
        return _ended_silently(name, status, lines, folder, log)
    if _DISK.search(raised.text):
        return MachineError(
            f"{name} cannot write its data: {raised}.",
            f"Free some disk space, or work in a folder that you may write to, then repeat the command: {log.parent}",
        )
    if shadowing := _shadowing(name, raised, lines, folder):
        return shadowing
    place = raised.place
    if raised.type in ("SyntaxError", "IndentationError", "TabError"):
        text = f": {raised.text}" if raised.text else ""
        at = f" in {place.spoken}" if place else ""
        message = f"{name} does not start: there is a syntax error{at}{text}."
        advice = f"Mend {place} (the fault may stand a line above it), save the file and repeat the command."
        reason = "syntax error"
    elif raised.type in ("ImportError", "ModuleNotFoundError") or _NOT_FOUND.match(raised.text):
        at = f" in {place.spoken}" if place else ""
        message = f"{name} does not start: an import fails{at}: {raised.text}."
        advice = f"Correct the name in the import at {place}, or add what it names, and repeat the command."
        reason = "import error"
    else:
        at = f" in {place.spoken}" if place else ""
        message = f"{name} does not start: an exception{at}: {raised}."
        advice = f"Mend {place}, save the file and repeat the command."
        reason = "exception"
    if place is None:
        advice = f"Read the whole log: {log}"
    error = _error(reason, message, advice, place, lines, folder)
    error.raised = raised
    return error


def _shadowing(name: str, raised: Raised, lines: Sequence[str], folder: Path) -> AppDidNotStart | None:
    """The error for an app whose file has the name of a module, of Python's or of a package, that something imports."""
    found = _SHADOWED.search(raised.text)
    module = found["module"] if found else ""
    file = f"{module}.py"
    if not module or not (folder / file).is_file():
        return None
    if module not in sys.stdlib_module_names and importlib.util.find_spec(module) is None:
        return None
    message = f"{name} does not start: {file} has the name of another module, whose place it takes: {raised}."
    at = place(folder, file, 1)
    return _error("import error", message, f"Rename {file}, and repeat the command.", at, lines, folder)


def _thrown(lines: Sequence[str], folder: Path) -> Raised | None:
    """The error that ended a program of Node.js."""
    found = javascript.thrown([_ESCAPES.sub("", line) for line in lines], folder)
    if found is None:
        return None
    type_, text, at = found
    return Raised(type_, text, _innermost([at], folder) if at else None)


def _absent_program(name: str, lines: Sequence[str], folder: Path) -> AppDidNotStart | None:
    """The error for an app whose command names a file of its own that is not there."""
    for line in lines:
        match = _NO_FILE.search(_ESCAPES.sub("", line))
        path = Path(match["python"] or match["node"]) if match else None
        home = folder.resolve()
        if path is None or not path.is_absolute() or not path.resolve().is_relative_to(home) or path.exists():
            continue
        file = path.resolve().relative_to(home).as_posix()
        advice = (
            f"Bring {file} back: labkit reset {file}. If it never was there, "
            "the lab's author corrects `command` in exercise.toml."
        )
        error = _error(
            "missing file",
            f"{name} does not start: its command names {file}, which is not there.",
            advice,
            None,
            lines,
            folder,
        )
        error.file = file
        return error
    return None


def _ended_silently(name: str, status: int, lines: Sequence[str], folder: Path, log: Path) -> AppDidNotStart:
    """The error for an app that ended without an exception."""
    said = next((line.strip() for line in reversed(lines) if line.strip()), "")
    missing = _MISSING.search(said)
    if missing and (folder / ".venv").is_dir():
        advice = (
            f"{folder / '.venv'} lacks a package: run `uv sync` in {folder}, "
            f"or remove the folder .venv, and labkit's own Python runs the app."
        )
        return _error("import error", f"{name} does not start: {said}.", advice, None, lines, folder)
    if missing or "Could not import module" in said:
        advice = f"Is the module that it names there, in {folder}, and spelled the same?"
        return _error("import error", f"{name} does not start: {said.rstrip('.')}.", advice, None, lines, folder)
    how = f"with exit code {status}" if status >= 0 else f"by signal {-status}"
    words = f" It said last: {said}" if said else " It said nothing."
    advice = (
        "An app has to keep running: look for an exit(), or for a condition, that ends it while it starts. "
        f"The whole log: {log}"
    )
    return _error("exited", f"{name} ended {how} before it was ready.{words}", advice, None, lines, folder)


def hung(name: str, url: str, seconds: float, listens: bool, place: Place | None, log: "Log") -> AppDidNotStart:
    """The error for an app that runs but does not answer in time."""
    what = "accepts connections, but does not answer" if listens else "runs, but does not answer"
    message = f"{name} {what}: no reply from {url} within {seconds:g} s."
    if place:
        message += f" It waits in {place.spoken}."
        advice = f"Look at {place}: what does it wait for? Mend it, save the file and repeat the command."
    else:
        advice = (
            "Look for a loop without an end, or for a wait, in what runs while the app starts. "
            f"The whole log: {log.path}"
        )
    return _error("hung", message, advice, place, log.lines, log.folder)


def unexplained(name: str, error: Exception, log: "Log") -> AppDidNotStart:
    """The error for an app of which no more can be found out, as it has removed its own folder for example."""
    tail = "\n".join(log.lines[-TAIL:])
    return AppDidNotStart(
        "exited",
        f"{name} does not start, and why could not be found out: {error}",
        f"Does it change or remove its own files while it starts? The whole log: {log.path}",
        None,
        tail,
    )


def answered(name: str, url: str, status: int, log: "Log") -> AppDidNotStart:
    """The error for an app that answers, but not with 200."""
    raised = last_exception(log.lines, log.folder) if status >= 500 else None
    place = raised.place if raised else None
    message = f"{name} starts, but answers {status} to GET {url}."
    if raised:
        message += f" The exception{f' in {place.spoken}' if place else ''}: {raised}."
    if place:
        advice = f"Mend {place}, save the file and repeat the command."
    elif status >= 500:
        advice = f"Read the whole log: {log.path}"
    else:
        advice = "labkit asks this address whether the app is ready: is its route still there, open to everyone?"
    return _error(f"answered {status}", message, advice, place, log.lines, log.folder)


@dataclass(frozen=True)
class Log:
    """The log of an app: its lines so far, and the file that has all of them."""

    lines: Sequence[str]
    path: Path
    folder: Path


def _error(
    reason: str, message: str, advice: str, place: Place | None, lines: Sequence[str], folder: Path
) -> AppDidNotStart:
    """Put the error together, with the source line, and with a placeholder that was left, if that is the cause."""
    tail = "\n".join(lines[-TAIL:])
    for path, number, text in snippets.unfilled(folder):
        if text in tail or (place and (path, number) == (place.path, place.line)):
            advice = f"{text} in {path}, line {number}, is a placeholder: write your own value in its place."
            place = place or Place(path, number, _line(folder / path, number))
            break
    return AppDidNotStart(
        reason, message + (place.quoted if place else ""), advice, str(place) if place else None, tail
    )


def _innermost(frames: Sequence[tuple[str, int]], folder: Path) -> Place | None:
    """The last of the frames that is in the app's own code."""
    home = folder.resolve()
    for name, number in reversed(frames):
        path = (home / name).resolve()
        if name.startswith("<"):  # no file, but a part of Python: <frozen importlib._bootstrap>
            continue
        if not path.is_relative_to(home) or {".venv", "site-packages"} & set(path.relative_to(home).parts):
            continue
        return Place(path.relative_to(home).as_posix(), number, _line(path, number))
    return None


def _line(path: Path, number: int) -> str:
    """A line of a file with its indentation; nothing if there is none."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return lines[number - 1].rstrip() if 0 < number <= len(lines) else ""
