"""Where an app's calls are: asked of a running instance, which a helper inside of it answers (templates/instance)."""

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from labkit.files import read_safely

HELPER = Path(__file__).parent / "templates" / "instance"
"""What Python runs first in an instance."""

PATIENCE = 3.0
"""How many seconds an instance has to answer."""


@dataclass(frozen=True)
class Frame:
    """A call: its file, line (from 1) and function, and whether that is middleware, which passes requests on."""

    path: str
    line: int
    function: str
    passes_on: bool = False


_MOST = 5_000_000
"""How many bytes of an answer are read."""

_NO_WAIT = getattr(os, "O_NONBLOCK", 0)

Stack = tuple[Frame, ...]
"""Calls, the outermost first."""


def variables(log: Path, given: Mapping[str, str]) -> Mapping[str, str]:
    """The environment variables by which an instance with this log can be asked, besides those that it is given."""
    path = os.pathsep.join(filter(None, [str(HELPER), given.get("PYTHONPATH")]))
    return {"PYTHONPATH": path, "LABKIT_STACKS": str(_request(log).absolute())}


def ask(log: Path, seconds: float = PATIENCE) -> list[Stack]:
    """The stacks of the instance with this log; none if it does not answer, because it is no Python for example."""
    request = _request(log)
    answer = request.with_name(f"{request.name}.answer")
    with contextlib.suppress(OSError):
        answer.unlink(missing_ok=True)
        os.close(os.open(request, os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | _NO_WAIT, 0o600))
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if answer.is_file():
                return _read(read_safely(answer, _MOST).decode("utf-8", "replace"))
            time.sleep(0.02)
        request.unlink(missing_ok=True)
    return []


def own(stack: Stack, folder: Path) -> Frame | None:
    """The innermost call of a stack that is in the app's own code, middleware left out; its path is relative."""
    home = folder.resolve()
    for frame in reversed(stack):
        path = (home / frame.path).resolve()
        if frame.passes_on or frame.path.startswith("<") or not path.is_relative_to(home):
            continue
        relative = path.relative_to(home)
        if not {".venv", "site-packages"} & set(relative.parts):
            return Frame(relative.as_posix(), frame.line, frame.function)
    return None


def serves(stack: Stack, folder: Path) -> bool:
    """Whether a server has called the app's code: a task that the app has begun by itself may wait for ever."""
    home = folder.resolve()
    first = stack[0].path if stack else ""
    return bool(stack) and (first.startswith("<") or not (home / first).resolve().is_relative_to(home))


def hanging(log: Path, folder: Path) -> Frame | None:
    """The line of the app's own code that a request, or the whole server, hangs in: it is there on two looks."""
    seen: set[Frame] = set()
    for _ in range(2):
        stacks = ask(log)
        if not stacks:
            break
        frames = [own(stack, folder) for stack in stacks if serves(stack, folder)]
        again = [frame for frame in frames if frame in seen]
        if again:
            return again[0]
        seen = {frame for frame in frames if frame}
    return None


def _request(log: Path) -> Path:
    return log.with_suffix(".stacks")


def _read(text: str) -> list[Stack]:
    stacks = []
    for block in text.split("\n\n"):
        frames = []
        for line in filter(None, block.split("\n")):
            parts = line.split("\t")
            if len(parts) == 4 and parts[1].isdecimal() and "\0" not in parts[0]:  # else the app has written it
                frames.append(Frame(parts[0], int(parts[1]), parts[2], bool(parts[3])))
        if frames:
            stacks.append(tuple(frames))
    return stacks
