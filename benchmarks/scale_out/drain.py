"""Clients that hear and say nothing: `python drain.py ENTRANT PORT NUMBER`; says `ready` when all are connected."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "real_time"))

from load import PLAIN, READ, SIGNALR, SOCKET_IO, Clients

DIALECTS = {"asgi-signalr": SIGNALR, "python-socketio": SOCKET_IO, "channels": PLAIN, "bare": PLAIN}
"""How each entrant is talked to."""

if __name__ == "__main__":
    entrant, port, number = sys.argv[1:]
    with Clients(int(port), DIALECTS[entrant]) as clients:
        clients.connect(int(number))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            for fd in clients._poll(1.0):
                clients._receive[fd](READ)
