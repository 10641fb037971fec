"""What goes wrong in browser contexts while checks use them, and what the pages can be asked about it afterwards."""

import contextlib
import re
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from labkit.verify.causes.finding import Answer, Dialog, Said, ScriptError, Seen
from labkit.verify.causes.finding import Request as Asked

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, Response, WebError
    from playwright.sync_api import Dialog as Asking

_FRAME = re.compile(r"(https?://[^\s()]+):(\d+):\d+\)?$", re.MULTILINE)
CAUGHT = "labkit: uncaught"
"""What a lab's script says by `console.debug`, with a stack, of an error that a library catches and keeps to itself."""

_REFUSED = 400
_ASKED = ("document", "fetch", "script", "xhr")
"""The kinds of what has to be answered at once."""

_MOST_DIALOGS = 50
"""After how many alerts and questions a page is closed: it may have no end of them, and does nothing else meanwhile."""

_MOST = 200
"""How many of each kind are kept: a page in a loop must not fill the memory."""


def watch(context: "BrowserContext") -> Seen:
    """Begin to watch a context; what it returns fills as pages are used."""
    seen = Seen()
    dialogs: dict[Page, int] = {}

    def on_error(error: "WebError") -> None:
        if len(seen.errors) < _MOST:
            seen.errors.append(_script_error(error))

    def on_response(response: "Response") -> None:
        request = response.request
        on_end(request)
        if len(seen.answers) < _MOST and (response.status >= _REFUSED or request.resource_type == "script"):
            page = ""
            with contextlib.suppress(Exception):  # a worker's request has no frame
                page = request.frame.url
            seen.answers.append(Answer(page, request.method, response.url, response.status, request.resource_type))

    def on_console(message: "ConsoleMessage") -> None:
        if message.type == "debug" and message.text.startswith(CAUGHT) and len(seen.errors) < _MOST:
            stack = message.text.removeprefix(CAUGHT).strip()
            name, _, text = stack.split("\n")[0].partition(": ")
            page = message.page.url if message.page else ""
            seen.errors.append(ScriptError(page, name if text else "", text or name, _frames(stack)))
        if len(seen.console) < _MOST and message.type in ("warning", "error"):
            at = message.location
            seen.console.append(Said(message.text, at.get("url", ""), int(at.get("lineNumber", 0)) + 1))

    def on_dialog(asking: "Asking") -> None:
        page = asking.page
        if page is None:
            return
        dialogs[page] = dialogs.get(page, 0) + 1
        if dialogs[page] == _MOST_DIALOGS:
            seen.endless = Dialog(page.url, asking.type, asking.message)
            page.close()

    def on_request(request: "Request") -> None:
        if len(seen.pending) < _MOST and request.resource_type in _ASKED:
            seen.pending[id(request)] = Asked(request.method, request.url, time.monotonic())

    def on_end(request: "Request") -> None:
        seen.pending.pop(id(request), None)

    context.on("request", on_request)
    context.on("requestfailed", on_end)
    context.on("requestfinished", on_end)
    context.on("weberror", on_error)
    context.on("response", on_response)
    context.on("console", on_console)
    # Once they are answered, which Playwright does, or a check that listens to the dialogs of its page.
    context.on("dialogclosed", on_dialog)
    return seen


def _script_error(error: "WebError") -> ScriptError:
    raised = error.error
    stack = getattr(raised, "stack", "") or ""
    frames = _frames(stack)
    if not frames:
        # A script that cannot be parsed has no stack, only a place.
        at = error.location
        frames = ((at["url"], int(at["line"]) + 1),) if at and at.get("url") else ()
    name = getattr(raised, "name", "") or ""
    text = (getattr(raised, "message", "") or str(raised)).split("\n")[0].removeprefix(f"{name}: ")
    return ScriptError(error.page.url if error.page else "", name, text, frames)


def _frames(stack: str) -> tuple[tuple[str, int], ...]:
    return tuple((url, int(line)) for url, line in _FRAME.findall(stack))


def ask(pages: "Iterable[Page]", url: str, script: str, argument: Any) -> Any:
    """Evaluate JavaScript in the page that has this URL; None if there is none, or if it fails."""
    from playwright.sync_api import Error

    for page in pages:
        if page.url == url:
            with contextlib.suppress(Error):
                return page.evaluate(script, argument)
    return None


def parse(pages: "Iterable[Page]", source: str) -> tuple[int, str] | None:
    """Have a page's browser parse a script: the line (from 1) and the text of its syntax error."""
    from playwright.sync_api import Error

    for page in pages:
        with contextlib.suppress(Error):
            session = page.context.new_cdp_session(page)
            session.send("Runtime.enable")  # without which nothing is parsed
            options = {"expression": source, "sourceURL": "labkit", "persistScript": False}
            said = session.send("Runtime.compileScript", options).get("exceptionDetails")
            session.detach()
            if said is None:
                return None
            text = said.get("exception", {}).get("description", said.get("text", ""))
            return int(said["lineNumber"]) + 1, text.split("\n")[0]
    return None
