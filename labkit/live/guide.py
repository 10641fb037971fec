"""The guide: a lab's chapters in the browser, with buttons that do what the text says."""

import asyncio
import contextlib
import json
import time
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from asgi_signalr import Hub, SignalR
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from labkit import language, manual
from labkit.errors import LabError, unknown
from labkit.files import read_text
from labkit.lab import Lab
from labkit.live import pages, rendering
from labkit.live.desk import Desk
from labkit.live.gate import Gate
from labkit.watching import of_app, saves

Work = Callable[[], Coroutine[Any, Any, None]]

STATIC = Path(__file__).parent / "static"

SETTLING = 0.05
"""Seconds in which news are collected before they are sent."""

OTHERS = 5.0
"""Seconds between two looks whether there is another workspace by now, where nothing tells of one."""

AGAIN = 0.5
"""Seconds after which is tried again what could not be done."""

MOST_LINES = 200
"""The most lines of the log that are sent at once; a page that could not read more is told how many were left out."""

PICTURES = {".avif", ".gif", ".jpeg", ".jpg", ".png", ".svg", ".webp"}
"""The endings of what a chapter may show."""


class Guide:
    """A lab for one person: a desk for every exercise, and the pages that look at them.

    Args:
        lab: the lab.
        folder: where the workspaces are, or will be made.
        token: what whoever may use it has to bring.

    """

    def __init__(self, lab: Lab, folder: Path, token: str) -> None:
        self.lab = lab
        self.token = token
        self.desks = {each.id: Desk(lab, each, folder, self._tell) for each in lab.exercises}
        self.signalr = SignalR(user=self._user)
        self._hub = self._make_hub()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lines: dict[tuple[str, str], list[Any]] = {}
        self._dirty: set[str] = set()
        self._fresh: dict[str, Any] = {}
        self._due: asyncio.Event = asyncio.Event()
        self._last: dict[str, str] = {}
        self._gate: Gate | None = None
        self._port = 0

    @property
    def routes(self) -> list[BaseRoute]:
        """Everything that can be asked for."""
        return [
            Route("/", self._page),
            Route("/api/chapter/{exercise}", self._chapter),
            Route("/api/do/{exercise}", self._do, methods=["POST"]),
            Route("/api/evidence", self._evidence),
            Route("/code.css", self._code_styles),
            Route("/signalr.js", self._client),
            Route("/texts.js", self._texts),
            Route(f"{rendering.FILES}{{path:path}}", self._file),
            Mount("/static", StaticFiles(directory=STATIC)),
            Mount("/signalr", self.signalr),
        ]

    def app(self, port: int, host_names: tuple[str, ...] = ()) -> ASGIApp:
        """The ASGI app that serves the guide on this port."""
        self._port = port
        app = Starlette(routes=self.routes, lifespan=self._lifespan)
        self._gate = Gate(app, port=port, token=self.token, guarded=("/api/", "/signalr/"), host_names=host_names)
        return self._gate

    # Telling the pages.

    def _make_hub(self) -> type[Hub]:
        guide = self

        @self.signalr.hub("/guide", authorize=True)
        class GuideHub(Hub):
            """Every open page is connected to it."""

            async def everything(self) -> dict[str, Any]:
                """All that a page shows, for one that has just been opened or has been away."""
                return await asyncio.to_thread(guide.to_json)

        return GuideHub

    def _user(self, scope: Any) -> str | None:
        return "the person at this machine" if self._gate and self._gate.knows(scope) else None

    def to_json(self) -> dict[str, Any]:
        """Everything: the lab, and the state and the log of each exercise."""
        return {
            "title": self.lab.title,
            "port": self._port,
            "exercises": [
                desk.to_json() | {"log": list(desk.runner.lines), "messages": list(desk.tail.lines)}
                for desk in self.desks.values()
            ],
        }

    def _tell(self, kind: str, exercise: str, news: Any) -> None:
        """Take in news of a desk, on any thread."""
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(self._note, kind, exercise, news)

    def _note(self, kind: str, exercise: str, news: Any) -> None:
        if kind in ("log", "message"):
            self._lines.setdefault((kind, exercise), []).append(news)
        elif news is None:
            self._dirty.add(exercise)
        else:
            self._fresh[exercise] = news
        self._due.set()

    async def _send_news(self) -> None:
        everybody = self.signalr.hub_context(self._hub).clients.all
        while True:
            await self._due.wait()
            await asyncio.sleep(SETTLING)
            self._due.clear()
            dirty, self._dirty = self._dirty, set()
            fresh, self._fresh = self._fresh, {}
            lines, self._lines = self._lines, {}
            for (kind, exercise), each in lines.items():
                await everybody.send(kind, exercise, each[-MOST_LINES:], max(len(each) - MOST_LINES, 0))
            for exercise in sorted(dirty | fresh.keys()):
                state = fresh.get(exercise)
                if exercise in dirty:
                    try:
                        state = await asyncio.to_thread(self.desks[exercise].to_json)
                    except (LabError, OSError, ValueError):  # another program is in the middle of a change
                        self._look_again(exercise)
                        continue
                text = json.dumps(state, default=str)
                if text != self._last.get(exercise):
                    self._last[exercise] = text
                    await everybody.send("state", state)

    def _look_again(self, exercise: str) -> None:
        """Look again in a moment."""
        if self._loop is not None:
            self._loop.call_later(AGAIN, self._note, "state", exercise, None)

    async def _look_after(self, desk: Desk) -> None:
        """Notice what is saved in the workspace, and an instance that ends."""
        around: tuple[int, ...] = ()
        looked = 0.0
        while True:
            before, around = around, desk.surroundings()
            if around == before and time.monotonic() < looked + OTHERS:
                await _moment()
                continue
            looked = time.monotonic()
            found = await asyncio.to_thread(desk.find_workspace)
            if found is None:
                await _moment()
                continue
            self._note("state", desk.exercise.id, None)
            unverified: set[str] = set()
            async for paths in saves(found.folder):
                if not paths:
                    before, around = around, desk.surroundings()
                    if time.monotonic() < looked + OTHERS and around == before:
                        continue
                    looked = time.monotonic()
                    if await asyncio.to_thread(desk.find_workspace) != found:  # another one has been made meanwhile
                        break
                elif files := of_app(paths):
                    desk.on_saved(files)
                    if desk.watches:
                        unverified = await self._verify_saved(desk, unverified | files)
                else:  # what labkit keeps there: done in another window
                    self._note("state", desk.exercise.id, None)
            around = ()  # it is not where it was

    async def _verify_saved(self, desk: Desk, files: set[str]) -> set[str]:
        """Verify what was saved; the files that it could not be done for."""
        try:
            await asyncio.to_thread(desk.verify_saved, files)
        except LabError:  # the page shows it
            return files
        return set()

    async def _poll(self) -> None:
        while True:
            await _moment()
            for desk in self.desks.values():
                if desk.is_due:
                    await asyncio.to_thread(desk.poll)

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self._loop = asyncio.get_running_loop()
        self._due = asyncio.Event()
        async with self.signalr.lifespan(app):
            looks: list[Work] = [partial(self._look_after, desk) for desk in self.desks.values()]
            tasks = [asyncio.create_task(_always(each)) for each in [self._send_news, self._poll, *looks]]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                self._loop = None
                await asyncio.gather(*(asyncio.to_thread(desk.close) for desk in self.desks.values()))

    # Answering.

    async def _page(self, request: Request) -> Response:
        return pages.page(STATIC / "guide.html")

    async def _texts(self, request: Request) -> Response:
        return pages.texts(STATIC / "guide.js")

    async def _client(self, request: Request) -> Response:
        return pages.client()

    async def _code_styles(self, request: Request) -> Response:
        return Response(rendering.styles(), media_type="text/css")

    async def _chapter(self, request: Request) -> Response:
        return await self._answer(lambda: self._rendered(request.path_params["exercise"]))

    def _rendered(self, exercise_id: str) -> dict[str, Any]:
        exercise = self._desk(exercise_id).exercise
        chapter = exercise.chapter
        renderer = self._renderer(chapter.path)
        return {
            "id": exercise.id,
            "title": chapter.title,
            "introduction": renderer.render(chapter.introduction),
            "tasks": [
                {
                    "id": task.id,
                    "title": task.title,
                    "html": renderer.render(task.source, [step.id for step in task.steps]),
                }
                for task in chapter.tasks
            ],
            "end": renderer.render(chapter.end),
            "pages": [
                {
                    "id": f"page-{name}",
                    "title": _title(text := read_text(path)),
                    "html": self._renderer(path).render(text),
                }
                for name, path in manual.pages(self.lab).items()
            ],
        }

    def _renderer(self, page: Path) -> rendering.Renderer:
        names = {self._in_lab(path): f"page-{name}" for name, path in manual.pages(self.lab).items()}
        names |= {self._in_lab(each.chapter.path): each.id for each in self.lab.exercises}
        return rendering.Renderer(self._in_lab(page.parent), names)

    def _in_lab(self, path: Path) -> str:
        return path.relative_to(self.lab.folder).as_posix()

    async def _do(self, request: Request) -> Response:
        try:
            document = await request.json()
            action, arguments = document.pop("do"), document
        except (ValueError, KeyError, AttributeError, TypeError):
            return JSONResponse({"error": rendering.told("What is to be done is missing.")}, status_code=400)
        return await self._answer(lambda: self._done(request.path_params["exercise"], str(action), arguments))

    def _done(self, exercise: str, action: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do it; the page that asked for it gets what has changed with the answer, the others through the hub."""
        desk = self._desk(exercise)
        answer = desk.do(action, arguments)
        answer["message"] = language.translated(answer["message"])
        try:
            state = desk.to_json()
        except (LabError, OSError):  # another program is in the middle of a change: the hub tells it
            self._tell("state", exercise, None)
            return answer
        self._tell("state", exercise, state)
        return answer | {"state": state}

    async def _answer(self, work: Callable[[], dict[str, Any]]) -> Response:
        try:
            return JSONResponse(await asyncio.to_thread(work))
        except LabError as error:
            action = rendering.action_of(error.next) if error.next else None
            return JSONResponse(
                {"error": rendering.told(error.message, error.next) | {"action": action}}, status_code=409
            )
        except OSError as error:
            message = f"{error.strerror or error}: {error.filename or ''}".rstrip(": ")
            return JSONResponse({"error": rendering.told(message)}, status_code=409)
        except Exception as error:  # noqa: BLE001  (a fault of labkit's own is told as one, and the page goes on)
            traceback.print_exc()
            message = f"labkit itself failed: {type(error).__name__}: {error}"
            advice = "Report the lines that the guide has printed in its terminal."
            return JSONResponse({"error": rendering.told(message, advice)}, status_code=500)

    def _evidence(self, request: Request) -> Response:
        """A picture that a check has kept."""
        wanted = Path(request.query_params.get("path", ""))
        return _picture(wanted if any(wanted in desk.verifier.evidence for desk in self.desks.values()) else None)

    def _file(self, request: Request) -> Response:
        """A picture of the lab's manual; nothing else of the lab."""
        wanted = (self.lab.folder / request.path_params["path"]).resolve()
        return _picture(wanted if wanted.is_relative_to(self.lab.folder) else None)

    def _desk(self, exercise: str) -> Desk:
        if exercise not in self.desks:
            raise unknown("exercise", exercise, self.desks)
        return self.desks[exercise]


async def _always(work: Work) -> None:
    """Begin a work again that has failed: one thing that goes wrong must not leave the page with old news for ever."""
    while True:
        try:
            await work()
        except OSError:  # a folder went away, or another program is in the middle of a change
            pass
        except Exception:  # noqa: BLE001  (a fault of labkit's own is told in the terminal)
            traceback.print_exc()
        await asyncio.sleep(AGAIN)


def _picture(path: Path | None) -> Response:
    if path is None or path.suffix.lower() not in PICTURES or not path.is_file():
        return Response(status_code=404)
    return FileResponse(path)


async def _moment() -> None:
    """Wait for the next moment, of two in a second, at which whoever looks now and then does so: all wake at once."""
    await asyncio.sleep(AGAIN - asyncio.get_running_loop().time() % AGAIN)


def _title(text: str) -> str:
    """A page's title: its first heading."""
    return next((line.lstrip("# ") for line in text.splitlines() if line.startswith("# ")), "A page without a title")
