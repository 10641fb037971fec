"""The class board: trainees' machines tell it their verdicts, one page shows them, and nothing is kept."""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator
from datetime import datetime
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
from asgi_signalr import Hub, HubException, SignalR
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from labkit import language
from labkit.classroom.room import Room, Told
from labkit.errors import LabError
from labkit.live import pages
from labkit.live.gate import Gate

STATIC = Path(__file__).parent / "static"

SETTLING = 0.1
"""Seconds in which news are collected before they are sent."""

REMINDING = 15.0
"""Seconds after which the board is sent again without any news: who is stuck depends on the time."""


MOST_BYTES = 512 * 1024
"""How long a message of a trainee's machine may be: verdicts, a failure, and the work of one who shares it."""


class Board:
    """The board of a room; whoever has the `token` sees it, whoever has the room's code is on it.

    `address` is what trainees join; `fingerprint` that of the board's own certificate, if it has made one. Without
    `names` the board shows numbers alone.
    """

    def __init__(self, room: Room, token: str, address: str, fingerprint: str = "", names: bool = True) -> None:
        self.room = room
        self._address = address
        self._fingerprint = fingerprint
        self._names = names
        self._token = token
        self._signalr = SignalR(
            max_message_size=MOST_BYTES, user=lambda scope: "the instructor" if self._knows(scope) else None
        )
        self._gate: Gate | None = None
        self._connections: dict[str, str] = {}
        self._due = asyncio.Event()
        self._board_hub = self._make_hubs()

    def app(self, port: int, host_names: tuple[str, ...] = ()) -> ASGIApp:
        """The ASGI app that serves the board on this port."""
        routes = [
            Route("/", self._page),
            Route("/api/remove", self._remove, methods=["POST"]),
            Route("/api/close", self._close, methods=["POST"]),
            Route("/signalr.js", self._client),
            Route("/texts.js", self._texts),
            Route("/icon.svg", self._icon),
            Mount("/static", StaticFiles(directory=STATIC)),
            Mount("/signalr", self._signalr),
        ]
        app = Starlette(routes=routes, lifespan=self._lifespan)
        guarded = ("/api/", "/signalr/board")
        self._gate = Gate(app, port=port, token=self._token, guarded=guarded, host_names=host_names)
        return self._gate

    def to_json(self) -> dict[str, Any]:
        """The board for programs."""
        state = self.room.to_json(_now())
        if not self._names:
            state["trainees"] = [{**each, "name": None} for each in state["trainees"]]
        return {**state, "code": self.invite(state["code"]), "address": self._address}

    def shown(self) -> dict[str, Any]:
        """The board in the reader's language."""
        state = self.to_json()
        tasks = [{**each, "title": language.translated(each["title"])} for each in state["tasks"]]
        return {**state, "title": language.translated(state["title"]), "tasks": tasks}

    def invite(self, code: str | None) -> str | None:
        """The code as trainees type it: with the fingerprint, if there is one."""
        return "-".join(filter(None, (code, self._fingerprint))) if code else None

    def _knows(self, scope: Any) -> bool:
        return self._gate is not None and self._gate.knows(scope)

    def _make_hubs(self) -> type[Hub]:
        board = self

        @self._signalr.hub("/board", authorize=True)
        class BoardHub(Hub):
            """The board's pages are connected to it."""

            async def everything(self) -> dict[str, Any]:
                """The board, for a page that has just been opened or has been away."""
                return board.shown()

            async def opened(self, number: int) -> dict[str, Any]:
                """What a trainee has sent beside the verdicts; the board itself shows none of it to the class."""
                return board.room.opened(number)

        @self._signalr.hub("/join")
        class JoinHub(Hub):
            """Trainees' machines are connected to it; what they are told is their number."""

            async def tell(self, told: dict[str, Any]) -> dict[str, Any]:
                """Take in all that a machine tells of its trainee, each time the whole of it."""
                try:
                    message = msgspec.convert(told, Told)
                    trainee = board.room.tell(message, _now())
                except msgspec.ValidationError as error:
                    raise HubException(f"This is none of labkit's messages: {error}") from error
                except LabError as error:
                    raise HubException(error.message) from error
                board._connections[self.context.connection_id] = message.id
                board._due.set()
                return {"number": trainee.number, "name": trainee.name}

            async def on_disconnected(self, error: Exception | None) -> None:
                """Show that a machine is away, unless it is back by another connection."""
                left = board._connections.pop(self.context.connection_id, None)
                if left and left not in board._connections.values():
                    board.room.leave(left)
                    board._due.set()

        return BoardHub

    async def _send_news(self) -> None:
        last = ""
        everybody = self._signalr.hub_context(self._board_hub).clients.all
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REMINDING):
                    await self._due.wait()
            await asyncio.sleep(SETTLING)
            self._due.clear()
            state = self.shown()
            if (text := json.dumps(state)) != last:
                last = text
                await everybody.send("state", state)

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        async with self._signalr.lifespan(app):
            task = asyncio.create_task(self._send_news())
            try:
                yield
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    # Answering.

    async def _page(self, request: Request) -> Response:
        return pages.page(STATIC / "board.html")

    async def _texts(self, request: Request) -> Response:
        return pages.texts(STATIC / "board.js")

    async def _client(self, request: Request) -> Response:
        return pages.client()

    async def _icon(self, request: Request) -> Response:
        drawing = (resources.files("labkit.live") / "static" / "icon.svg").read_text(encoding="utf-8")
        return Response(drawing, media_type="image/svg+xml")

    async def _remove(self, request: Request) -> Response:
        try:
            who = str((await request.json())["who"])
            trainee = self.room.remove(who)
        except (ValueError, KeyError, TypeError):
            return JSONResponse({"error": {"message": "Say whom to remove.", "next": None}}, status_code=400)
        except LabError as error:
            return JSONResponse({"error": {"message": error.message, "next": error.next}}, status_code=409)
        self._due.set()
        return JSONResponse({"number": trainee.number, "name": trainee.name})

    async def _close(self, request: Request) -> Response:
        # As Ctrl-C does, once the answer is on its way.
        asyncio.get_running_loop().call_later(0.1, signal.raise_signal, signal.SIGINT)
        return JSONResponse({"trainees": len(self.room.to_json(_now())["trainees"])})


def _now() -> datetime:
    return datetime.now().astimezone()
