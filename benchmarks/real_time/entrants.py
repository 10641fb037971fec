"""Who takes part: each server is a program of its own in `peers/`, run by an environment with what it needs."""

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import load

PEERS = Path(__file__).parent / "peers"
WS = "ws@8.23.0"


@dataclass(frozen=True)
class Entrant:
    """One server, as it is started and talked to."""

    key: str
    name: str
    program: str
    dialect: load.Dialect
    arguments: tuple[str, ...] = ()

    @property
    def missing(self) -> str | None:
        """Name the program that this machine does not have and the server needs; None: it can take part."""
        needed = {".c": ("cc",), ".mjs": ("node", "npm")}.get(Path(self.program).suffix, ())
        return next((program for program in needed if shutil.which(program) is None), None)

    def command(self) -> list[str]:
        """Say how to start it; what it runs in is made if it is not there: by uv (PEP 723), by cc, or by npm."""
        program = PEERS / self.program
        if program.suffix == ".c":
            return [_compiled(program), _news()]
        if program.suffix == ".mjs":
            return ["node", _with_ws(program), _news()]
        return [_interpreter(program), str(program), *self.arguments]


@cache
def _workshop() -> Path:
    return Path(tempfile.mkdtemp(prefix="real-time-"))


def _news() -> str:
    sys.path.insert(0, str(PEERS))
    from payload import as_json

    return as_json()


@cache
def _compiled(program: Path) -> str:
    made = _workshop() / program.stem
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", made, program], check=True)
    return str(made)


@cache
def _with_ws(program: Path) -> str:
    subprocess.run(["npm", "install", "--silent", "--prefix", _workshop(), WS], check=True)
    return str(shutil.copy(program, _workshop()))


def _interpreter(program: Path) -> str:
    if "# /// script" not in program.read_text("utf-8"):
        return sys.executable
    python = getattr(sys, "_base_executable", sys.executable)  # the same one for all of them
    subprocess.run(["uv", "sync", "--quiet", "--python", python, "--script", program], check=True)
    found = subprocess.run(["uv", "python", "find", "--script", program], check=True, capture_output=True, text=True)
    return found.stdout.strip()


PICOWS = Entrant("picows", "picows (the ceiling)", "picows_core.py", load.PLAIN)
FLOOR = Entrant("floor", "a write() each, in C (the floor)", "floor.c", load.PLAIN)
NODE_WS = Entrant("ws", "Node's ws", "node_ws.mjs", load.PLAIN)
ADAPTER = Entrant("adapter", "asgi-signalr, adapter", "asgi_signalr_hub.py", load.SIGNALR, ("--adapter",))
STARLETTE = Entrant("starlette", "Starlette loop", "starlette_loop.py", load.PLAIN)
PLAIN = Entrant("plain", "asgi-signalr", "asgi_signalr_hub.py", load.SIGNALR)
AIOSIGNALR = Entrant("aiosignalr", "aiosignalr", "aiosignalr_hub.py", load.SIGNALR)
SOCKET_IO = Entrant("socketio", "python-socketio", "socketio_server.py", load.SOCKET_IO)
CHANNELS = Entrant("channels", "Django Channels, in memory", "channels_consumer.py", load.PLAIN)

# The first six are compared closely. The others do not wait for their turn: one closes silent clients after 30 s.
GROUPS = ((FLOOR, PICOWS, ADAPTER, NODE_WS, STARLETTE, PLAIN), (AIOSIGNALR,), (SOCKET_IO,), (CHANNELS,))
ALL = tuple(each for group in GROUPS for each in group)
OURS = (ADAPTER, PLAIN)
