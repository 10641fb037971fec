"""How the ASGI servers of the benchmark are started: uvicorn with uvloop on a free port, which is said on stdout."""

import socket
from typing import Any

import uvicorn


def serve(app: Any, ws: str = "websockets-sansio") -> None:
    """Serve an ASGI app until this process is ended."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(app, ws=ws, loop="uvloop", log_level="warning", ws_ping_interval=None, lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])
