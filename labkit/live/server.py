"""Runs a live page's app on a port of this machine, until it is told to end."""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from labkit.errors import MachineError
from labkit.ports import HOST, check_ports

TICK = 5.0
"""Seconds between two looks at what uvicorn looks at ten times a second, of which an idle page needs nothing."""


def listen(port: int | None, preferred: int | None = None, host: str = HOST) -> socket.socket:
    """Take a port of the loopback interface, or of `host`: this one, else the preferred one if it is free, else any.

    Raises MachineError (PortInUse) that says who has it, UsageError for a number that is no port.
    """
    if port is not None:
        check_ports(port, 1)
    for candidate in [port] if port is not None else [*([preferred] if preferred else []), 0]:
        taken = socket.socket()
        if os.name != "nt":  # where the same option would let two servers have one port
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((host, candidate))
            taken.listen(128)
            return taken
        except OSError as error:
            taken.close()
            refused = error
    raise MachineError(f"Cannot listen on {host}: {refused.strerror or refused}.", "Choose another --port.")


def serve(
    app: ASGIApp, listener: socket.socket, on_ready: Callable[[], None], tls: tuple[Path, Path] | None = None
) -> None:
    """Serve until Ctrl-C or another request to end; `on_ready` is called once requests are answered.

    `tls` are the files of a certificate and its key.
    """
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # what fails is said by the page's own parts

    class Server(uvicorn.Server):
        _loop: asyncio.AbstractEventLoop
        _to_end: asyncio.Event

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if not self.should_exit:
                on_ready()

        async def main_loop(self) -> None:
            self._loop, self._to_end = asyncio.get_running_loop(), asyncio.Event()
            while not await self.on_tick(0):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._to_end.wait(), TICK)

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            super().handle_exit(sig, frame)
            with contextlib.suppress(AttributeError):  # it is still starting
                self._loop.call_soon_threadsafe(self._to_end.set)

    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=2,
        timeout_keep_alive=30,
        ssl_certfile=tls[0] if tls else None,
        ssl_keyfile=tls[1] if tls else None,
    )
    with contextlib.suppress(KeyboardInterrupt):
        Server(config).run(sockets=[listener])
