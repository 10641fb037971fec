"""TCP ports of this machine: held until an app is started on them, and asked who listens there.

::

    with hold(2) as held:
        for port in held.ports:
            held.release(port)
            start(port)
"""

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from labkit.errors import MachineError, UsageError
from labkit.processes import TOKEN

if TYPE_CHECKING:
    import psutil  # type: ignore[import-untyped,unused-ignore]

HOST = "127.0.0.1"


class PortInUse(MachineError):  # noqa: N818  (a state of the machine, by its name)
    """Another program has the port."""


class Held:
    """Ports by the operating system's choice, which it gives to nobody else until they are released."""

    def __init__(self, sockets: list[socket.socket]) -> None:
        self._sockets: dict[int, socket.socket] = {each.getsockname()[1]: each for each in sockets}
        self.ports = list(self._sockets)

    def release(self, port: int) -> None:
        """Let go of a port, for whom it is meant; others are none of ours."""
        if port in self._sockets:
            self._sockets[port].close()


@contextmanager
def hold(count: int) -> Iterator[Held]:
    """Hold this many ports until the end of the block, or until they are released."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        yield Held(sockets)


def check_ports(first: int, count: int) -> None:
    """Make sure that nobody uses these ports.

    Raises PortInUse that says who has one and what to type, UsageError for numbers that are no ports.
    """
    if not 1 <= first <= 65536 - count:
        raise UsageError(
            f"{first} is no port for {count} instance(s).", f"Choose one from 1 to {65536 - count}, e.g. 8000."
        )
    for port in range(first, first + count):
        try:
            free = is_free(port)
        except PermissionError as error:
            raise MachineError(
                f"You may not use port {port}: {error.strerror}.", "Choose a port above 1023, e.g. --port 8000."
            ) from error
        if not free:
            raise in_use(port, count)


def is_free(port: int) -> bool:
    """Whether a server could listen on the port, and none does."""
    with socket.socket() as probe:
        if sys.platform == "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if isinstance(error, PermissionError) and os.name != "nt":  # where it means "somebody's own"
                raise
            return False
    # Some systems allow the address of one interface beside that of all.
    with socket.socket() as probe:
        probe.settimeout(0.25)
        return probe.connect_ex((HOST, port)) != 0


def in_use(port: int, count: int) -> PortInUse:
    """The error for a port that somebody has, with who it is and what to type."""
    who = _name(holder(port))
    others = (first for first in range(port + 1, min(port + 200, 65536 - count)))
    free = next((first for first in others if all(is_free(first + n) for n in range(count))), None)
    stop = "Stop it (Ctrl-C in its terminal)" if who else "Stop the program that has it"
    choice = f"choose another port: --port {free}" if free else "choose another port with --port"
    return PortInUse(f"Port {port} is in use{f' by {who}' if who else ''}.", f"{stop}, or {choice}")


def listens(process: "psutil.Process", port: int) -> bool:
    """Whether a process, or one that it has started, listens on the port, as far as the system tells."""
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.Error, OSError):
                if any(_is_at(port, connection) for connection in each.net_connections("tcp")):
                    return True
    return False


def holder(port: int) -> "psutil.Process | None":
    """Who listens on the port, as far as the system tells."""
    import psutil

    try:
        pids = [each.pid for each in psutil.net_connections("tcp") if each.pid and _is_at(port, each)]
        return psutil.Process(pids[0]) if pids else None
    except (psutil.Error, OSError):
        return None


def _is_at(port: int, connection: Any) -> bool:
    import psutil

    return bool(connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN)


def _name(process: "psutil.Process | None") -> str | None:
    """How a process is named for people."""
    import psutil

    try:
        name = f"{process.name()} (process {process.pid})" if process else None
    except (psutil.Error, OSError):
        return None
    if process and name:
        with contextlib.suppress(psutil.Error, OSError):
            if TOKEN in process.environ():
                name += ", an app that labkit runs"
    return name
