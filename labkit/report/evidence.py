"""What a run has kept of the browser and of the instances, read for a report, and cut to size."""

import base64
import hashlib
import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from labkit import language
from labkit.harmless import harmless, shortened
from labkit.recording import MOST_EVENTS, Event
from labkit.report import frames, steps

MOST_RECORDINGS = 40
MOST_ENTRIES = 400
MOST_LINES = 400
MOST_CHARACTERS = 2000
MOST_PICTURES = 24
MOST_PICTURE_BYTES = 2_000_000
MOST_LOG_BYTES = 1_000_000


@dataclass(frozen=True)
class Picture:
    """A screenshot: the page's address, the time in seconds since 1970, and the image, named after what is in it."""

    place: str
    at: float
    name: str
    content: bytes = field(repr=False)

    @property
    def data_url(self) -> str:
        """The image as a part of a page."""
        return f"data:image/{self.name.rpartition('.')[2]};base64,{base64.b64encode(self.content).decode('ascii')}"


KINDS = language.marked("step", "console", "error", "sent", "received", "connection")


@dataclass(frozen=True)
class Entry:
    """A line of what happened: `kind` is one of `KINDS`."""

    at: float
    kind: str
    text: str
    place: str = ""


@dataclass(frozen=True)
class Recording:
    """What one browser context did, in order; `left_out` says how many entries are not shown."""

    name: str
    pictures: tuple[Picture, ...]
    entries: tuple[Entry, ...]
    left_out: int


@dataclass(frozen=True)
class Log:
    """The last lines of an instance's log; `left_out` says how many bytes or lines before them are not shown."""

    name: str
    text: str
    left_out: str


@dataclass(frozen=True)
class Evidence:
    """All that a run has kept, and the folder that it is in."""

    folder: Path | None = None
    recordings: tuple[Recording, ...] = ()
    logs: tuple[Log, ...] = ()
    left_out: int = 0
    """How many recordings and pictures are not shown."""


def read(folder: Path | None, decode: Sequence[str] = ()) -> Evidence:
    """Read a run's evidence folder; links in it are not followed. `decode` says what frames mean, see `frames`."""
    if folder is None or not folder.is_dir():
        return Evidence()
    found = sorted(_recordings(folder), key=lambda path: path.parent.stat().st_mtime_ns)
    events = {path.parent: _events(path) for path in found[:MOST_RECORDINGS]}
    said = iter(frames.decoded([each for some in events.values() for each in some if _is_frame(each)], decode))
    pictures = MOST_PICTURES
    recordings = []
    left_out = max(len(found) - MOST_RECORDINGS, 0)
    for path, some in events.items():
        shown, more = _pictures(path, some, pictures)
        pictures -= len(shown)
        left_out += more
        entries = [entry for each in some if (entry := _entry(each, next(said) if _is_frame(each) else None))]
        entries += [_step(each) for each in steps.read(path / "trace.zip")]
        entries.sort(key=lambda each: each.at)
        recordings.append(
            Recording(
                path.relative_to(folder).as_posix(),
                tuple(shown),
                tuple(entries[-MOST_ENTRIES:]),
                max(len(entries) - MOST_ENTRIES, 0),
            )
        )
    logs = tuple(_log(path) for path in sorted(folder.glob("*.log")) if path.is_file() and not path.is_symlink())
    return Evidence(folder, tuple(recordings), logs, left_out)


def _recordings(folder: Path) -> list[Path]:
    return [
        Path(root) / "events.jsonl"
        for root, _, names in os.walk(folder)  # which follows no links
        if "events.jsonl" in names and not (Path(root) / "events.jsonl").is_symlink()
    ]


def _events(path: Path) -> list[Event]:
    events = []
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in itertools.islice(file, 3 * MOST_EVENTS):
            try:
                events.append(Event(**json.loads(line)))
            except (ValueError, TypeError):
                continue
    return events


def _is_frame(event: Event) -> bool:
    return event.kind in ("websocket.sent", "websocket.received")


def _entry(event: Event, said: list[str] | None) -> Entry | None:
    group, _, kind = event.kind.partition(".")
    text = shortened(harmless("\n".join(said) if said else event.text), MOST_CHARACTERS)
    place = shortened(harmless(event.place), 300)
    if group == "websocket":
        if kind in ("sent", "received"):
            if event.binary is not None and not said:
                text = shortened(f"{len(event.binary) * 3 // 4} bytes: {event.binary}", 200)
            return Entry(event.at, kind, text, place)
        return Entry(event.at, "connection", f"WebSocket {kind}", place)
    if group == "uncaught":
        return Entry(event.at, "error", f"uncaught: {text}", place)
    if group == "console":
        return Entry(event.at, "error" if kind in ("error", "assert") else "console", f"{kind}: {text}", place)
    return None


def _step(step: steps.Step) -> Entry:
    text = (
        harmless(language.said("{step} — failed: {error}", step=step.text, error=step.error))
        if step.error
        else harmless(step.text)
    )
    return Entry(step.at, "step", shortened(text, MOST_CHARACTERS))


def _pictures(folder: Path, events: Sequence[Event], most: int) -> tuple[list[Picture], int]:
    """The pictures of a recording, and how many there are that are not shown."""
    shown: list[Picture] = []
    more = 0
    for event in events:
        path = folder / Path(event.text).name
        kind = path.suffix.removeprefix(".")
        if event.kind != "screenshot" or kind not in ("png", "webp") or path.is_symlink() or not path.is_file():
            continue
        if len(shown) == most or path.stat().st_size > MOST_PICTURE_BYTES:
            more += 1
            continue
        content = path.read_bytes()
        name = f"{hashlib.sha256(content).hexdigest()[:16]}.{kind}"
        shown.append(Picture(shortened(harmless(event.place), 300), event.at, name, content))
    return shown, more


def _log(path: Path) -> Log:
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(size - MOST_LOG_BYTES, 0))
        lines = file.read().decode("utf-8", "replace").splitlines()
    left_out = [f"{size - MOST_LOG_BYTES:,} bytes"] if size > MOST_LOG_BYTES else []
    if len(lines) > MOST_LINES:
        left_out.append(f"{len(lines) - MOST_LINES:,} lines")
    text = "\n".join(shortened(harmless(line), MOST_CHARACTERS) for line in lines[-MOST_LINES:])
    return Log(path.name, text, " and ".join(left_out))
