"""Who takes part: each server is a program of its own in `peers/`, run by an environment with what it needs."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import load

PEERS = Path(__file__).parent / "peers"


@dataclass(frozen=True)
class Entrant:
    """One server, as it is started and talked to."""

    key: str
    name: str
    program: str
    dialect: load.Dialect
    arguments: tuple[str, ...] = ()

    def command(self) -> list[str]:
        """Say how to start it; a peer's environment is made if it is not there (PEP 723, by uv)."""
        program = PEERS / self.program
        return [_interpreter(program), str(program), *self.arguments]


def _interpreter(program: Path) -> str:
    if "# /// script" not in program.read_text("utf-8"):
        return sys.executable
    python = getattr(sys, "_base_executable", sys.executable)  # the same one for all of them
    subprocess.run(["uv", "sync", "--quiet", "--python", python, "--script", program], check=True)
    found = subprocess.run(["uv", "python", "find", "--script", program], check=True, capture_output=True, text=True)
    return found.stdout.strip()


PICOWS = Entrant("picows", "picows (the ceiling)", "picows_core.py", load.PLAIN)
ADAPTER = Entrant("adapter", "asgi-signalr, adapter", "asgi_signalr_hub.py", load.SIGNALR, ("--adapter",))
STARLETTE = Entrant("starlette", "Starlette loop", "starlette_loop.py", load.PLAIN)
PLAIN = Entrant("plain", "asgi-signalr", "asgi_signalr_hub.py", load.SIGNALR)
AIOSIGNALR = Entrant("aiosignalr", "aiosignalr", "aiosignalr_hub.py", load.SIGNALR)
SOCKET_IO = Entrant("socketio", "python-socketio", "socketio_server.py", load.SOCKET_IO)
CHANNELS = Entrant("channels", "Django Channels, in memory", "channels_consumer.py", load.PLAIN)

# The first four are compared closely. The others do not wait for their turn: one closes silent clients after 30 s.
GROUPS = ((PICOWS, ADAPTER, STARLETTE, PLAIN), (AIOSIGNALR,), (SOCKET_IO,), (CHANNELS,))
ALL = tuple(each for group in GROUPS for each in group)
OURS = (ADAPTER, PLAIN)
