"""What the browser did during a run, kept as evidence: traces, screenshots, the console, the WebSockets' frames.

Each browser context has a recording, a folder named after the fixture or the check that made it::

    trace.zip  console.log  websocket.log  NAME-1.webp  events.jsonl

The logs are for people; `events.jsonl` has the same, and which page a screenshot shows, for the report. A page that
says too much is cut short in the middle, and the number of what was left out is said.
"""

import base64
import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from labkit.verify.browsing import watch

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, ConsoleMessage, Page, WebSocket

    from labkit.verify.causes import Seen

MOST_EVENTS = 1000
"""How many of the first events of a recording are kept, and of the last."""

MOST_CHARACTERS = 20_000
"""How long an event's text may be."""


@dataclass(frozen=True)
class Event:
    """Something that a page did.

    `at` is in seconds since 1970, `place` the address of the page or of the WebSocket. `kind` is `console.TYPE`,
    `uncaught`, `websocket.opened`, `websocket.sent`, `websocket.received`, `websocket.closed` or `screenshot`, whose
    text is the file's name. A frame that is no text is in `binary`, in Base64.
    """

    at: float
    place: str
    kind: str
    text: str = ""
    binary: str | None = None


class Recorder:
    """Keeps what the browser did; a context belongs to the fixture, or the check, that made it.

    Everything is kept of what a failure looks at; with `everything`, of all the rest as well. With `pictures`, a
    screenshot of every page as it was in the end is put into that folder. With `nothing`, which is quicker, it is only
    seen what goes wrong. Without `snapshots` traces tell the steps, and show no page.
    """

    def __init__(
        self,
        folder: Path,
        pictures: Path | None = None,
        everything: bool = False,
        nothing: bool = False,
        snapshots: bool = True,
    ) -> None:
        self._folder = folder
        self._pictures = pictures
        self._everything = everything
        self._nothing = nothing
        self._snapshots = snapshots
        self._recordings: list[_Recording] = []
        self.makers: list[str] = []
        """The fixtures being set up, and before them the check."""

    def record(self, context: "BrowserContext") -> None:
        """Begin to record a new context."""
        maker = self.makers[-1] if self.makers else "browser"
        same = sum(each.maker == maker for each in self._recordings)
        folder = self._folder / (maker if not same else f"{maker}-{same + 1}")
        self._recordings.append(_Recording(maker, folder, context, not self._nothing, self._snapshots))

    def keep(self, makers: set[str]) -> list[str]:
        """Write the evidence of what these made, once, and tell the files; the traces follow at the end."""
        return [path for each in self._recordings if each.maker in makers and not self._nothing for path in each.kept]

    def seen(self, makers: set[str]) -> "list[Seen]":
        """What went wrong in the contexts of these, for the search of a cause."""
        return [each.seen for each in self._recordings if each.maker in makers]

    @property
    def all_seen(self) -> "list[Seen]":
        """What went wrong in all contexts that are open."""
        return [each.seen for each in self._recordings]

    @property
    def pages(self) -> "list[Page]":
        """All pages that are open now."""
        return [page for each in self._recordings for page in each.context.pages if not page.is_closed()]

    def close(self, context: "BrowserContext | None" = None) -> None:
        """End one recording, or all; the traces of what was kept are written."""
        for each in [each for each in self._recordings if context is None or each.context is context]:
            if self._pictures:
                each.photograph(self._pictures)
            if self._everything:
                _ = each.kept
            each.close()
            self._recordings.remove(each)


class _Recording:
    """The recording of one context."""

    def __init__(self, maker: str, folder: Path, context: "BrowserContext", can_be_kept: bool, snapshots: bool) -> None:
        self.maker = maker
        self.context = context
        self.seen = watch(context)
        self._folder = folder
        self._events = _Events()
        self._can_be_kept = can_be_kept
        if not can_be_kept:
            return
        context.tracing.start(snapshots=snapshots, screenshots=False, sources=False)
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self._on_error(error.page.url if error.page else "", str(error.error)))
        context.on("page", lambda page: page.on("websocket", self._on_websocket))

    @cached_property
    def kept(self) -> list[str]:
        """Write it down, and tell the files."""
        self._folder.mkdir(parents=True, exist_ok=True)
        files = [self._folder / name for name in ("trace.zip", "console.log", "websocket.log", "events.jsonl")]
        files += self.photograph(self._folder, "webp")
        self._write()
        return [str(path) for path in files]

    def photograph(self, folder: Path, kind: Literal["png", "webp"] = "png") -> list[Path]:
        """Take a screenshot of each page into that folder, and tell the files."""
        from playwright.sync_api import Error

        files = []
        for number, page in enumerate(self.context.pages, start=1):
            path = folder / f"{self._folder.name}-{number}.{kind}"
            try:
                page.screenshot(path=path, type=kind, quality=80 if kind == "webp" else None, timeout=5000)
                files.append(path)
                self._note(page.url, "screenshot", path.name)
            except Error as error:
                self._note(page.url, "console.warning", f"(no screenshot of it: {error.message})")
        return files

    def close(self) -> None:
        """Stop recording; the trace is written if the rest was."""
        kept = "kept" in self.__dict__
        if self._can_be_kept:
            self.context.tracing.stop(path=self._folder / "trace.zip" if kept else None)
        if kept:
            self._write()

    def _write(self) -> None:
        events = self._events.all()
        opened = {each.place: each.at for each in reversed(events) if each.kind == "websocket.opened"}
        console = [_console_line(each) for each in events if each.kind.partition(".")[0] in ("console", "uncaught")]
        frames = [_frame_line(each, opened) for each in events if each.kind.startswith("websocket.")]
        for name, lines in (
            ("console.log", console),
            ("websocket.log", frames),
            ("events.jsonl", [json.dumps(each.__dict__) for each in events]),
        ):
            text = "".join(f"{line}\n" for line in lines)
            (self._folder / name).write_text(text, encoding="utf-8", errors="replace", newline="\n")

    def _note(self, place: str, kind: str, text: str = "", binary: str | None = None) -> None:
        self._events.add(Event(time.time(), place, kind, _shortened(text), binary))

    def _on_console(self, message: "ConsoleMessage") -> None:
        self._note(message.page.url if message.page else "", f"console.{message.type}", message.text)

    def _on_error(self, url: str, error: str) -> None:
        self._note(url, "uncaught", error)

    def _on_websocket(self, socket: "WebSocket") -> None:
        def note(kind: str) -> Callable[[Any], None]:
            def noted(payload: Any) -> None:
                if isinstance(payload, bytes):
                    self._note(socket.url, kind, binary=base64.b64encode(payload[:MOST_CHARACTERS]).decode("ascii"))
                else:
                    self._note(socket.url, kind, payload if isinstance(payload, str) else "")

            return noted

        self._note(socket.url, "websocket.opened")
        socket.on("framesent", note("websocket.sent"))
        socket.on("framereceived", note("websocket.received"))
        socket.on("close", note("websocket.closed"))


class _Events:
    """The first and the last events, and in between the number of those left out."""

    def __init__(self) -> None:
        self._first: list[Event] = []
        self._last: deque[Event] = deque(maxlen=MOST_EVENTS)
        self._left_out = 0

    def add(self, event: Event) -> None:
        if len(self._first) < MOST_EVENTS:
            self._first.append(event)
            return
        self._left_out += len(self._last) == MOST_EVENTS
        self._last.append(event)

    def all(self) -> list[Event]:
        if not self._left_out:
            return [*self._first, *self._last]
        gap = Event(self._first[-1].at, "", "console.warning", f"({self._left_out} more messages were left out)")
        return [*self._first, gap, *self._last]


def _shortened(text: str) -> str:
    more = len(text) - MOST_CHARACTERS
    return text if more <= 0 else f"{text[:MOST_CHARACTERS]}… ({more} more characters were left out)"


def _console_line(event: Event) -> str:
    return f"{event.place} {event.kind.removeprefix('console.')}: {event.text}"


def _frame_line(event: Event, opened: dict[str, float]) -> str:
    what = event.kind.removeprefix("websocket.")
    if what == "opened":
        return f"{event.place} opened"
    payload = base64.b64decode(event.binary) if event.binary is not None else event.text
    since = event.at - opened.get(event.place, event.at)
    return f"{event.place} {since:.3f} s {what}" + (f" {payload!r}" if payload or event.binary is not None else "")
