"""The app under attack in a process of its own, which tells at `/state` what it holds.

Run with the WebSocket implementation that uvicorn is to use, and the app's options as JSON.
"""

import asyncio
import collections
import gc
import json
import logging
import os
import socket
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import psutil
import uvicorn

sys.path.insert(0, str(Path(__file__).parent))

from rooms import make_app  # type: ignore[import-not-found]

PROCESS = psutil.Process()


def user_of(scope: Any) -> str | None:
    """Find the user: a token is a user's name here."""
    tokens = parse_qs(scope["query_string"].decode("latin-1")).get("access_token")
    return tokens[0] if tokens else None


def state(signalr: Any) -> dict[str, Any]:
    """Count what there is."""
    gc.collect()
    objects = gc.get_objects()
    ours = collections.Counter(
        type(each).__name__ for each in objects if str(type(each).__module__).startswith("asgi_signalr")
    )
    manager = signalr._servers.to_serve().connections
    return {
        "connections": len(manager._connections),
        "negotiated": len(manager._negotiated),
        "tasks": len(asyncio.all_tasks()),
        "files": 0 if sys.platform == "win32" else PROCESS.num_fds(),  # Windows counts other handles as well
        "memory": PROCESS.memory_info().rss,
        "objects": len(objects),
        "ours": ours,
    }


def main() -> None:
    """Serve until the process is ended."""
    implementation, options = sys.argv[1], json.loads(sys.argv[2])
    if options.pop("debug", False):
        logging.basicConfig(level=logging.DEBUG)
    signalr = make_app(user=user_of, **options)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") != "/state":
            await signalr(scope, receive, send)
            return
        body = json.dumps(state(signalr)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nobody reads the access log, and a full pipe would block
    config = uvicorn.Config(app, ws=implementation, log_level="info", access_log=True, timeout_keep_alive=5)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
