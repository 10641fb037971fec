"""Pictures of a chapter, made from a real run of the app: `labkit author pictures`.

What is pictured is the exercise's data: `pictures.py` beside the chapter has a function `pictures(studio)`, which plays
the app and takes each picture at its moment. With each one its *snapshot* is kept, which is what a screen reader would
read of it, so that a test can tell whether the pages still are what the pictures show.
"""

import base64
import html
import importlib.util
import io
import json
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, sync_playwright

from labkit import browser, insertion, instances, progress, workspace
from labkit.author import terminal
from labkit.errors import InternalError, UsageError
from labkit.lab import Exercise, Lab
from labkit.manual import PICTURES
from labkit.workspace import Workspace

LARGEST = 60_000
"""How many bytes a picture may have."""

SNAPSHOTS = "snapshots.json"

_WIDTH, _HEIGHT = 620, 660
_SEEN_AT = re.compile(r"\d{1,2}:\d\d(:\d\d)?( ?[AP]M)?")
_VOLATILE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b(?=[0-9a-f]*\d)[0-9a-f]{8}\b|\d[\d:.+-]*")
_QUALITIES = (88, 78, 66, 54, 42)

_PAGE = """<!doctype html>
<meta charset="utf-8">
<style>
  body {{ margin: 0; padding: 18px; width: max-content; display: flex; gap: 18px; }}
  body {{ background: #e2e4ec; font: 13px system-ui, sans-serif; }}
  figure {{ margin: 0; border-radius: 10px; overflow: hidden; position: relative; }}
  figure {{ background: #fff; box-shadow: 0 3px 18px #0003; }}
  figcaption {{ height: 30px; padding: 0 14px; line-height: 30px; background: #cfd3df; color: #2b3040; }}
  img {{ display: block; width: {width}px; }}
  i {{ position: absolute; margin-top: 30px; box-sizing: border-box; border-radius: 8px; }}
  i {{ border: 3px solid #e0348b; box-shadow: 0 0 0 3px #fff9; }}
</style>
{windows}"""


@dataclass
class Studio:
    """Where the pictures of one exercise are taken: a workspace, a browser, and all the time that the app needs.

    `pictures` are the files by their names, `snapshots` what each of them shows.
    """

    exercise: Exercise
    workspace: Workspace
    server: str | None
    browser: Browser
    pictures: dict[str, bytes] = field(default_factory=dict)
    snapshots: dict[str, list[str]] = field(default_factory=dict)

    def insert(self, *names: str) -> None:
        """Insert these snippets into the workspace; all that are not there yet, if none is named."""
        self.workspace.apply(insertion.insert(self.workspace.folder, self.exercise, names or [*self.exercise.snippets]))

    @contextmanager
    def running(self) -> Iterator[list[str]]:
        """Run the app as it is in the workspace now; gives the addresses of its instances."""
        with instances.running(
            self.exercise.app,
            self.workspace.folder,
            data=self.workspace.data,
            secret=self.workspace.secret,
            id=self.workspace.id,
            count=self.exercise.app.instances,
            database_server=self.server,
        ) as running:
            progress.note(self.exercise, self.workspace, "run", datetime.now())
            yield [each.url for each in running.list]

    def window(self, address: str, beside: Page | None = None) -> Page:
        """Open a window at the address: a browser of one's own, or one more window of the person `beside`."""
        context = self.browser.new_context(
            viewport={"width": _WIDTH, "height": _HEIGHT},
            reduced_motion="reduce",
            color_scheme="light",
            locale="en-GB",
            storage_state=beside.context.storage_state() if beside else None,
        )
        page = context.new_page()
        page.goto(address)
        return page

    def picture(self, name: str, *windows: Page, mark: Locator) -> None:
        """Take a picture of these windows side by side, with one element marked.

        Raises InternalError if the element cannot be seen in its window, or the picture gets too large.
        """
        figures = []
        for page in windows:
            box = mark.bounding_box() if mark.page == page else None
            if mark.page == page and not (box and _inside(box)):
                raise InternalError(f"The picture {name} does not show what it is to mark: {mark}.")
            figures.append(_figure(page, box))
        self.pictures[f"{name}.webp"] = self._webp(name, _PAGE.format(width=_WIDTH, windows="".join(figures)))
        self.snapshots[name] = [_SEEN_AT.sub("TIME", page.locator("body").aria_snapshot()) for page in windows]

    def terminal(self, name: str, shown: str, command: str | None = None, changing: str = "$^") -> None:
        """Take a picture of what a command prints in the workspace, at 80 columns.

        `shown` is the command in the picture, `command` the one that is run, if it is another one. `changing` is a
        pattern for words that are others each time; numbers, and identifiers in hexadecimal form, are known to be.
        """
        from rich.console import Console
        from rich.text import Text

        program, *arguments = shlex.split(command or shown)
        environment = _activated()
        done = terminal.printed(
            [shutil.which(program, path=environment["PATH"]) or program, *arguments],
            self.workspace.folder,
            environment | {"TERM": "xterm-256color", "COLUMNS": "80", "FORCE_COLOR": "1", "PYTHONIOENCODING": "utf-8"},
            columns=80,
        )
        if done.returncode:
            raise InternalError(f"`{command or shown}` ends with {done.returncode}:\n{done.stderr}")
        printed = done.stdout.replace(str(self.workspace.folder), self.workspace.folder.name)
        console = Console(record=True, width=80, file=io.StringIO(), force_terminal=True, highlight=False)
        console.print(Text.assemble(("$ ", "dim"), (shown, "bold"), "\n", Text.from_ansi(printed.rstrip())))
        drawing = console.export_svg(title=self.exercise.name, unique_id=name)
        # The reader's own font does: nothing is fetched from elsewhere.
        drawing = re.sub(r"@font-face \{.*?\}\s*", "", drawing, flags=re.DOTALL)
        drawing = drawing.replace("Fira Code", "ui-monospace")
        self.pictures[f"{name}.svg"] = "".join(f"{line.rstrip()}\n" for line in drawing.splitlines()).encode("utf-8")
        lasting = re.sub(changing, "N", Text.from_ansi(printed).plain)
        self.snapshots[name] = ["\n".join(_VOLATILE.sub("N", line).rstrip() for line in lasting.splitlines())]
        self._check_size(f"{name}.svg")

    def _webp(self, name: str, page_text: str) -> bytes:
        page = self.browser.new_context(viewport={"width": 1400, "height": 720}).new_page()
        try:
            page.set_content(page_text)
            page.wait_for_function("[...document.images].every((image) => image.complete)")
            box: Any = page.locator("body").bounding_box()
            session = page.context.new_cdp_session(page)
            clip = {"x": 0, "y": 0, "width": box["width"], "height": box["height"], "scale": 1}
            for quality in _QUALITIES:
                shot = session.send("Page.captureScreenshot", {"format": "webp", "quality": quality, "clip": clip})
                content = base64.b64decode(shot["data"])
                if len(content) <= LARGEST:
                    return content
        finally:
            page.context.close()
        raise InternalError(f"The picture {name} has more than {LARGEST} bytes.")

    def _check_size(self, file: str) -> None:
        if len(self.pictures[file]) > LARGEST:
            raise InternalError(f"The picture {file} has more than {LARGEST} bytes.")


def take(lab: Lab, exercise: Exercise, say: Callable[[str], None] = lambda name: None) -> dict[str, bytes]:
    """Take all pictures of the exercise: the content of the files in its folder `pictures/`, snapshots included.

    Raises UsageError if the exercise does not say what to picture.
    """
    scenes = _scenes(exercise)
    options = browser.launch_options()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="labkit-pictures-"))).resolve()
        server = stack.enter_context(_server(folder)) if exercise.database else None
        chromium = stack.enter_context(sync_playwright()).chromium.launch(**options)
        made = workspace.create(lab, exercise, folder / exercise.name)
        studio = Studio(exercise, made, server, chromium)
        scenes(studio)
        chromium.close()
    snapshots = json.dumps(studio.snapshots, indent=1, ensure_ascii=False) + "\n"
    return {**studio.pictures, SNAPSHOTS: snapshots.encode("utf-8")}


def folder_of(exercise: Exercise) -> Path:
    """Where the exercise's pictures are."""
    return exercise.folder / PICTURES


def _scenes(exercise: Exercise) -> Callable[[Studio], None]:
    path = exercise.folder / "pictures.py"
    if not path.is_file():
        raise UsageError(f"{exercise.id} has no pictures: {path} is missing.", "docs/authors.md tells how to write it")
    spec = importlib.util.spec_from_file_location(f"pictures_of_{exercise.id}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} cannot be read.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    scenes: Callable[[Studio], None] = module.pictures
    return scenes


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    """A database server for the pictures alone, which the commands in them use as well; its URL for apps."""
    from labkit.services.postgres.lab_server import SERVER_VARIABLE, find_server

    folder.chmod(0o711)  # as root, the server's account passes through it
    before = {name: os.environ.pop(name, None) for name in ("LABKIT_HOME", SERVER_VARIABLE)}
    os.environ["LABKIT_HOME"] = str(folder / "home")
    try:
        with find_server().running() as server:
            yield server.url
    finally:
        os.environ.pop("LABKIT_HOME")
        os.environ.update({name: value for name, value in before.items() if value is not None})


def _activated() -> dict[str, str]:
    """The environment of a terminal in which labkit's own is active, however this command was called."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "NO_COLOR"))}
    return kept | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}


def _figure(page: Page, box: Any) -> str:
    image = base64.b64encode(page.screenshot(animations="disabled", caret="hide")).decode("ascii")
    title = html.escape(page.url.removeprefix("http://"))
    mark = ""
    if box:
        place = {"left": box["x"] - 5, "top": box["y"] - 5, "width": box["width"] + 10, "height": box["height"] + 10}
        mark = f'<i style="{";".join(f"{name}:{value}px" for name, value in place.items())}"></i>'
    picture = f'<img src="data:image/png;base64,{image}">'
    return f"<figure><figcaption>{title}</figcaption>{picture}{mark}</figure>"


def _inside(box: Any) -> bool:
    return bool(
        box["x"] >= 0 and box["y"] >= 0 and box["x"] + box["width"] <= _WIDTH and box["y"] + box["height"] <= _HEIGHT
    )
