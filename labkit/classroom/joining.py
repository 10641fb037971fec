"""A trainee's side of a class board: tells it, again and again, how far the workspace is, and nothing else."""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from labkit import verdicts
from labkit.errors import UsageError
from labkit.files import write_whole
from labkit.lab import id_of
from labkit.workspace import Workspace

LOOKING = 0.5
"""Seconds between two looks at the workspace."""

SHOWING = 10.0
"""Seconds after which a machine shows that it is still there."""

PATIENCE = 10.0
"""Seconds that the board has to answer, and between two tries at most."""

_END = "\x1e"


def hand(here: Workspace, up: bool) -> None:
    """Raise a hand, or take it down: whatever joins the class tells it."""
    _remember(here, {**_remembered(here), "hand": up})


def message(here: Workspace, code: str, name: str | None) -> dict[str, Any]:
    """All that is sent: ids of tasks and checks, verdicts, times, the name if one is given; no code."""
    known = _remembered(here)
    if "id" not in known:
        known = {**known, "id": secrets.token_urlsafe(24)}
        _remember(here, known)
    return {
        "code": code,
        "id": known["id"],
        "name": name,
        "exercise": id_of(here.exercise_name),
        "hand": bool(known.get("hand")),
        "tasks": {
            id_: {
                "passed": bool(task.get("passed")),
                "when": str(task.get("when")),
                "checks": [{"id": each["id"], "verdict": each["verdict"]} for each in task.get("checks", ())],
            }
            for id_, task in verdicts.read(here.folder).items()
        },
    }


def join(here: Workspace, url: str, code: str, name: str | None, say: Callable[[str], None]) -> None:
    """Tell the board until Ctrl-C; a network that is lost is waited for, and the whole told again.

    Raises UsageError if the board refuses, or the address is none.
    """
    address = _address(url)
    pause, was_in = 0.5, False
    while True:
        try:
            for number in _told(here, address, code, name):
                if not was_in:
                    say(f"You are number {number} of the class.")
                was_in, pause = True, 0.5
        except (OSError, EOFError, TimeoutError) as error:
            if was_in or pause == 0.5:
                say(f"The board cannot be reached ({error or type(error).__name__}); trying again …")
            was_in = False
            time.sleep(pause)
            pause = min(pause * 2, PATIENCE)


def _told(here: Workspace, address: str, code: str, name: str | None) -> Iterator[int]:
    """Connect, and tell on each change; yields the number each time that the board has taken it in.

    Raises OSError, EOFError or TimeoutError once the connection is lost.
    """
    from websockets.exceptions import WebSocketException
    from websockets.sync.client import connect

    try:
        with connect(address, open_timeout=PATIENCE, close_timeout=1) as socket:
            socket.send(json.dumps({"protocol": "json", "version": 1}) + _END)
            json.loads(str(socket.recv(timeout=PATIENCE)).split(_END)[0])
            last: dict[str, Any] | None = None
            shown = time.monotonic()
            for call in _numbers():
                now = message(here, code, name)
                if now != last:
                    call_text = {"type": 1, "invocationId": str(call), "target": "tell", "arguments": [now]}
                    socket.send(json.dumps(call_text) + _END)
                    yield _answer(socket, str(call))
                    last = now
                if time.monotonic() - shown > SHOWING:
                    socket.send(json.dumps({"type": 6}) + _END)
                    shown = time.monotonic()
                _listen(socket)
    except WebSocketException as error:
        raise EOFError(str(error)) from error


def _numbers() -> Iterator[int]:
    number = 0
    while True:
        number += 1
        yield number


def _answer(socket: Any, call: str) -> int:
    until = time.monotonic() + PATIENCE
    while True:
        for text in str(socket.recv(timeout=max(until - time.monotonic(), 0))).split(_END):
            record = json.loads(text) if text else {}
            if record.get("type") == 7:
                raise EOFError(record.get("error") or "the board has been closed")
            if record.get("type") == 3 and record.get("invocationId") == call:
                if "error" in record:
                    # As the library says what a HubException is about.
                    reason = str(record["error"]).rpartition("HubException: ")[2]
                    raise UsageError(reason, "labkit class join URL CODE")
                return int(record["result"]["number"])


def _listen(socket: Any) -> None:
    """Wait a moment for what the board says; all that matters is that it has not ended."""
    try:
        said = str(socket.recv(timeout=LOOKING))
    except TimeoutError:
        return
    if any(text and json.loads(text).get("type") == 7 for text in said.split(_END)):
        raise EOFError("the board has been closed")


def _address(url: str) -> str:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    schemes = {"http": "ws", "https": "wss"}
    if parts.scheme not in schemes or not parts.hostname:
        raise UsageError(f"{url} is no address of a board.", "labkit class join http://HOST:PORT CODE")
    return urlunsplit((schemes[parts.scheme], parts.netloc, "/signalr/join", "", ""))


def _remembered(here: Workspace) -> dict[str, Any]:
    try:
        known = json.loads(_path(here).read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _remember(here: Workspace, known: dict[str, Any]) -> None:
    with here.changing():
        write_whole(_path(here), json.dumps(known).encode(), mode=0o600)


def _path(here: Workspace) -> Path:
    return here.folder / ".labkit" / "class.json"
