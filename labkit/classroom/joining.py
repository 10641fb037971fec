"""A trainee's side of a class board: tells it, again and again, how far the workspace is, and nothing else."""

import asyncio
import ipaddress
import itertools
import json
import os
import re
import secrets
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

from labkit import documents, verdicts, workspace
from labkit.classroom import certificate
from labkit.classroom.room import MOST_TEXT
from labkit.errors import MachineError, UsageError
from labkit.files import write_whole
from labkit.harmless import harmless, shortened
from labkit.lab import Exercise, id_of
from labkit.report.work import since_begin
from labkit.workspace import Workspace

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

LOOKING = 0.5
"""Seconds between two looks at the workspace."""

SHOWING = 10.0
"""Seconds after which a machine shows that it is still there."""

PATIENCE = 10.0
"""Seconds that the board has to answer, and between two tries at most."""

TRYING = 30.0
"""Seconds after which a board that has never answered is given up; one that has is waited for until Ctrl-C."""

_END = "\x1e"


class Invitation:
    """What a trainee has from the board: its address and the join code; `ca` is a certificate that vouches for it.

    Raises UsageError for what is no address, or a `ca` that cannot be read.
    """

    def __init__(self, url: str, code: str, ca: Path | None = None) -> None:
        self.url = url
        self.fingerprint = code.strip().upper().partition("-")[2]
        """The fingerprint in the code, if the board has made its own certificate."""
        parts = urlsplit(url if "://" in url else f"http://{url}")
        schemes = {"http": "ws", "https": "wss"}
        if parts.scheme not in schemes or not parts.hostname or not _has_port(parts):
            raise UsageError(f"{url} is no address of a board.", "labkit class join http://HOST:PORT CODE")
        if self.fingerprint and parts.scheme == "http":
            raise UsageError("This code is that of an https board.", f"labkit class join https://{parts.netloc} {code}")
        self.address = urlunsplit((schemes[parts.scheme], parts.netloc, "/signalr/join", "", ""))
        self.tls = self._context(ca) if parts.scheme == "https" else None

    @property
    def is_near(self) -> bool:
        """Whether the board is in the trainee's own network, to which no proxy leads."""
        host = urlsplit(self.address).hostname or ""
        try:
            return not ipaddress.ip_address(host).is_global
        except ValueError:
            return "." not in host or host.endswith(".local")

    def _context(self, ca: Path | None) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=ca)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"{ca} is no certificate: {error}.", "Name a file in PEM: --ca FILE") from error
        if self.fingerprint:  # which `check` compares, before anything is sent
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def check(self, session: ssl.SSLObject) -> None:
        """Refuse a server that is not the one of the code's fingerprint."""
        if self.fingerprint:
            found = certificate.fingerprint(session.getpeercert(binary_form=True) or b"")
            if not secrets.compare_digest(found.encode(), self.fingerprint.encode()):
                raise UsageError(
                    "This is not the board that the code is of: its certificate is another one.",
                    "Look at the code on the board again; if it is right, tell your instructor.",
                )


def hand(here: Workspace, up: bool) -> None:
    """Raise a hand, or take it down: whatever joins the class tells it."""
    _remember(here, {**_remembered(here), "hand": up})


def failure(here: Workspace) -> str | None:
    """The failure that comes first, as its text is sent: the check, what it expected and saw, where, and why."""
    found = verdicts.failures(here.folder)
    if not found:
        return None
    task, said = next(iter(found.items()))
    parts = [(name, said[name]) for name in ("expected", "seen", "where", "cause", "next") if said.get(name)]
    folder = str(here.folder)
    lines = [
        f"{task}  {said['title']} ({said['verdict']}, {said['when']})",
        *(f"{name}: {value}" for name, value in parts),
    ]
    return _sendable("\n".join(lines).replace(folder, here.folder.name))


def send(here: Workspace, text: str | None) -> None:
    """Send a failure, or take it back with None: whatever joins the class tells it."""
    _remember(here, {**_remembered(here), "failure": text})


_CLOSED = "it has been closed, unless it opens again"


class Sender:
    """What is told of a workspace: ids of tasks and checks, verdicts, times, and the name if one is given.

    With `shares`, the lines that differ from that exercise's begin as well, as they were at the last verdict.
    """

    def __init__(self, here: Workspace, code: str, name: str | None, shares: Exercise | None = None) -> None:
        self._here = here
        self._code = code.strip().partition("-")[0]
        self._name = harmless(name) if name else None
        self._shares = shares
        self._id: str | None = None
        self._told: dict[str, Any] | None = None
        self._work: str | None = None

    def refuse_if_gone(self) -> None:
        """Raise MachineError if the workspace was deleted, or moved: nothing of it can be told any more."""
        if workspace.around(self._here.folder) != self._here.folder.resolve():
            raise MachineError(
                f"The workspace is no longer there: {self._here.folder}.",
                "Go to where it is now, and join again: labkit class join URL CODE",
            )

    def message(self) -> dict[str, Any]:
        """All that is sent, as it is now; raises MachineError if there is no workspace any more."""
        self.refuse_if_gone()
        known = _remembered(self._here)
        if self._id is None:  # written once: a folder that is being deleted is not written to
            self._id = str(known.get("id") or secrets.token_urlsafe(24))
            _remember(self._here, {**known, "id": self._id})
        tasks = verdicts.read(self._here.folder)
        if self._shares and tasks != self._told:
            self._work = _sendable(since_begin(self._shares.begin, self._here.folder))
        self._told = tasks
        return {
            "code": self._code,
            "id": self._id,
            "name": self._name,
            "exercise": id_of(self._here.exercise_name),
            "hand": bool(known.get("hand")),
            "failure": known.get("failure"),
            "work": self._work,
            "tasks": {
                id_: {
                    "passed": bool(task.get("passed")),
                    "when": str(task.get("when")),
                    "checks": [{"id": each["id"], "verdict": each["verdict"]} for each in task.get("checks", ())],
                }
                for id_, task in tasks.items()
            },
        }


def join(invitation: Invitation, sender: Sender, say: Callable[[str], None]) -> None:
    """Tell the board until Ctrl-C; a network that is lost is waited for, and the whole told again.

    Raises UsageError if the board refuses, or is not the one of the invitation; MachineError if none has answered in
    `TRYING` seconds, or the workspace has gone.
    """
    # One loop, no threads: two of them at one TLS connection, one reading and one writing, may wait for each other.
    asyncio.run(_join(invitation, sender, say))


async def _join(invitation: Invitation, sender: Sender, say: Callable[[str], None]) -> None:
    first_pause = 0.5
    began, pause, is_in, was_in = time.monotonic(), first_pause, False, False

    def take_in(number: int) -> None:
        nonlocal pause, is_in, was_in
        if not is_in:
            say(f"You are number {number} of the class.")
        pause, is_in, was_in = first_pause, True, True

    while True:
        sender.refuse_if_gone()
        try:
            await _tell(invitation, sender, take_in)
        except ssl.SSLCertVerificationError as error:
            raise UsageError(
                f"This machine does not trust the board's certificate: {error.verify_message}.",
                "Ask your instructor for the file of the certificate: labkit class join URL CODE --ca FILE",
            ) from error
        except (OSError, EOFError, TimeoutError) as error:
            reason = _reason(error)
            if not was_in and time.monotonic() - began > TRYING:
                raise MachineError(
                    f"No board answers at {invitation.url}: {reason}.",
                    "Compare the address with the one on the board, and look whether this machine is in its network; "
                    "then labkit class join URL CODE",
                ) from error
            if is_in or pause == first_pause:
                say(f"The board cannot be reached ({reason}); trying again …")
            is_in = False
            await asyncio.sleep(pause)
            pause = min(pause * 2, PATIENCE)


async def _tell(invitation: Invitation, sender: Sender, take_in: Callable[[int], None]) -> None:
    """Connect, and tell on each change; `take_in` gets the number each time that the board has taken it in.

    Raises OSError, EOFError or TimeoutError once the connection is lost.
    """
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed, WebSocketException

    try:
        async with connect(
            invitation.address,
            ssl=invitation.tls,
            proxy=None if invitation.is_near else True,
            open_timeout=PATIENCE,
            close_timeout=1,
        ) as board:
            if session := board.transport.get_extra_info("ssl_object"):
                invitation.check(session)
            await _send(board, {"protocol": "json", "version": 1})
            json.loads((await _received(board)).split(_END)[0])
            last: dict[str, Any] | None = None
            shown = time.monotonic()
            for call in itertools.count(1):
                now = sender.message()
                if now != last:
                    await _send(board, {"type": 1, "invocationId": str(call), "target": "tell", "arguments": [now]})
                    take_in(await _answer(board, str(call)))
                    last = now
                if time.monotonic() - shown > SHOWING:
                    await _send(board, {"type": 6})
                    shown = time.monotonic()
                await _listen(board)
    except ConnectionClosed as error:
        raise EOFError(_CLOSED if error.rcvd else "the connection was lost") from error
    except (WebSocketException, json.JSONDecodeError) as error:  # of another program, or of no hub
        raise EOFError(str(error)) from error


async def _send(board: "ClientConnection", record: dict[str, Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        await board.send(json.dumps(record, ensure_ascii=False) + _END)


async def _received(board: "ClientConnection", seconds: float = PATIENCE) -> str:
    """The next text of the board; raises TimeoutError if there is none in these seconds."""
    async with asyncio.timeout(seconds):
        return str(await board.recv())


async def _answer(board: "ClientConnection", call: str) -> int:
    until = time.monotonic() + PATIENCE
    while True:
        for text in (await _received(board, until - time.monotonic())).split(_END):
            record = json.loads(text) if text else {}
            if record.get("type") == 7:
                raise EOFError(record.get("error") or _CLOSED)
            if record.get("type") == 3 and record.get("invocationId") == call:
                if "error" in record:
                    # As the library says what a HubException is about.
                    reason = str(record["error"]).rpartition("HubException: ")[2]
                    raise UsageError(reason, "labkit class join URL CODE")
                return int(record["result"]["number"])


async def _listen(board: "ClientConnection") -> None:
    """Wait a moment for what the board says; all that matters is that it has not ended."""
    try:
        said = await _received(board, LOOKING)
    except TimeoutError:
        return
    if any(text and json.loads(text).get("type") == 7 for text in said.split(_END)):
        raise EOFError(_CLOSED)


def _reason(error: OSError | EOFError) -> str:
    """Why there is no connection, in the system's words if there are any."""
    if isinstance(error, TimeoutError):
        return "no answer"
    if isinstance(error, ssl.SSLError):
        return "it answers without TLS, as a board at http:// does" if error.reason in _PLAIN else str(error.reason)
    if isinstance(error, socket.gaierror):
        return str(error.strerror)
    # Where a name has several addresses, asyncio joins what was said of each, and has no number of its own.
    joined = _NUMBER.search(str(error))
    number = getattr(error, "errno", None) or (int(joined[1]) if joined else None)
    if number:
        return os.strerror(number)
    return str(error) or type(error).__name__


_NUMBER = re.compile(r"\[Errno (\d+)\]")

_PLAIN = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST")
"""How OpenSSL calls an answer that is no TLS."""


def _has_port(parts: SplitResult) -> bool:
    """Whether its port, if there is one, is a port."""
    try:
        return parts.port != 0
    except ValueError:
        return False


def _sendable(text: str) -> str:
    return shortened(harmless(text), MOST_TEXT)


def _remembered(here: Workspace) -> dict[str, Any]:
    try:
        known = documents.read_json(_path(here))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _remember(here: Workspace, known: dict[str, Any]) -> None:
    with here.changing():
        write_whole(_path(here), json.dumps(known).encode(), mode=0o600)


def _path(here: Workspace) -> Path:
    return here.folder / ".labkit" / "class.json"
